/*
 * timer_create.c: POSIX timers: notification kinds, overrun, disarm, deletion.
 */
#include "tests/syscalls/guest_test.h"

static volatile sig_atomic_t calls;
static volatile int value;
static volatile int overrun;
static volatile int code;
static volatile int timer_number;
static volatile pid_t handled_by;

static void note(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    value = info->si_value.sival_int;
    code = info->si_code;
    overrun = info->si_overrun;
    timer_number = info->si_timerid;
    handled_by = (pid_t)syscall(SYS_gettid);
    calls++;
}

static timer_t create(clockid_t clock, int sig, int v)
{
    timer_t timer;
    struct sigevent event;
    memset(&event, 0, sizeof(event));
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = sig;
    event.sigev_value.sival_int = v;
    CHECK_OK(timer_create(clock, &event, &timer));
    return timer;
}

static struct itimerspec milliseconds(long first, long interval)
{
    struct itimerspec spec = {{0, interval * 1000000}, {0, first * 1000000}};
    return spec;
}

TEST_CASE(signal_with_value)
{
    struct itimerspec spec = milliseconds(30, 0);
    guest_handle_info(SIGRTMIN, note, 0);
    timer_t timer = create(CLOCK_MONOTONIC, SIGRTMIN, 77);
    long long start = guest_now_ms();
    CHECK_OK(timer_settime(timer, 0, &spec, NULL));
    while (calls == 0) {
        guest_sleep_ms(1);
    }
    CHECK(guest_now_ms() - start >= 30);
    CHECK_EQ(value, 77);
    CHECK_EQ(code, SI_TIMER);
    CHECK_EQ(overrun, 0);
    CHECK_OK(timer_delete(timer));
}

TEST_CASE(gettime_and_disarm)
{
    struct itimerspec spec = milliseconds(500, 100);
    struct itimerspec now;
    timer_t timer = create(CLOCK_MONOTONIC, SIGRTMIN, 0);
    CHECK_OK(timer_gettime(timer, &now));
    CHECK(now.it_value.tv_sec == 0 && now.it_value.tv_nsec == 0);
    CHECK_OK(timer_settime(timer, 0, &spec, NULL));
    CHECK_OK(timer_gettime(timer, &now));
    CHECK(now.it_value.tv_nsec > 0 && now.it_value.tv_nsec <= 500000000);
    CHECK_EQ(now.it_interval.tv_nsec, 100000000);
    spec = milliseconds(0, 0);
    CHECK_OK(timer_settime(timer, 0, &spec, &now));
    CHECK(now.it_value.tv_nsec > 0);
    CHECK_OK(timer_gettime(timer, &now));
    CHECK_EQ(now.it_value.tv_nsec, 0);
    CHECK_OK(timer_delete(timer));
}

TEST_CASE(overrun_counts_missed_expirations)
{
    sigset_t set;
    siginfo_t info;
    struct itimerspec spec = milliseconds(10, 10);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    timer_t timer = create(CLOCK_MONOTONIC, SIGRTMIN, 5);
    CHECK_OK(timer_settime(timer, 0, &spec, NULL));
    guest_sleep_ms(105);
    CHECK_EQ(sigwaitinfo(&set, &info), SIGRTMIN);
    CHECK_EQ(info.si_code, SI_TIMER);
    CHECK(info.si_overrun >= 8);
    CHECK_EQ(timer_getoverrun(timer), info.si_overrun);
    CHECK_OK(timer_delete(timer));
}

TEST_CASE(absolute_time)
{
    struct itimerspec spec = {{0, 0}, {0, 0}};
    guest_handle_info(SIGRTMIN, note, 0);
    timer_t timer = create(CLOCK_REALTIME, SIGRTMIN, 9);
    CHECK_OK(clock_gettime(CLOCK_REALTIME, &spec.it_value));
    spec.it_value.tv_sec -= 1;
    CHECK_OK(timer_settime(timer, TIMER_ABSTIME, &spec, NULL)); /* the past: at once */
    for (int i = 0; i < 1000 && calls == 0; i++) {
        guest_sleep_ms(1);
    }
    CHECK_EQ(calls, 1);
    CHECK_OK(timer_delete(timer));
}

TEST_CASE(no_notification)
{
    timer_t timer;
    struct sigevent event;
    struct itimerspec spec = milliseconds(10, 0);
    memset(&event, 0, sizeof(event));
    event.sigev_notify = SIGEV_NONE;
    CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
    CHECK_OK(timer_settime(timer, 0, &spec, NULL));
    guest_sleep_ms(30);
    CHECK_OK(timer_gettime(timer, &spec));
    CHECK_EQ(spec.it_value.tv_nsec, 0);
    CHECK_OK(timer_delete(timer));
}

TEST_CASE(default_event_is_sigalrm)
{
    timer_t timer;
    struct itimerspec spec = milliseconds(10, 0);
    guest_handle_info(SIGALRM, note, 0);
    CHECK_OK(timer_create(CLOCK_MONOTONIC, NULL, &timer));
    CHECK_OK(timer_settime(timer, 0, &spec, NULL));
    while (calls == 0) {
        guest_sleep_ms(1);
    }
    CHECK_OK(timer_delete(timer));
}

static void *own_timer(void *argument)
{
    timer_t timer;
    struct sigevent event;
    struct itimerspec spec = milliseconds(10, 0);
    memset(&event, 0, sizeof(event));
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGRTMIN;
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    *(pid_t *)argument = event._sigev_un._tid;
    CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
    CHECK_OK(timer_settime(timer, 0, &spec, NULL));
    while (calls == 0) {
        guest_sleep_ms(1);
    }
    CHECK_OK(timer_delete(timer));
    return NULL;
}

TEST_CASE(thread_id)
{
    pthread_t thread;
    pid_t tid = 0;
    guest_handle_info(SIGRTMIN, note, 0);
    CHECK_EQ(pthread_create(&thread, NULL, own_timer, &tid), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(handled_by, tid);
}

TEST_CASE(cpu_time_clock)
{
    struct itimerspec spec = milliseconds(20, 0);
    guest_handle_info(SIGRTMIN, note, 0);
    timer_t timer = create(CLOCK_PROCESS_CPUTIME_ID, SIGRTMIN, 1);
    CHECK_OK(timer_settime(timer, 0, &spec, NULL));
    volatile unsigned long n = 0;
    while (calls == 0) {
        n++;
    }
    CHECK_OK(timer_delete(timer));
}

TEST_CASE(errors)
{
    int id = 0;
    struct sigevent event;
    struct itimerspec spec = {{0, 0}, {0, 1000000000}};
    memset(&event, 0, sizeof(event));
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = 65;
    CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_create, 1000, NULL, &id), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, guest_bad()), EFAULT);
    CHECK_ERRNO(syscall(SYS_timer_delete, 123456), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_gettime, 123456, &spec), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_getoverrun, 123456), EINVAL);
    CHECK_OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id));
    CHECK_ERRNO(syscall(SYS_timer_settime, id, 0, &spec, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_settime, id, 0, NULL, NULL), EINVAL);
    CHECK_OK(syscall(SYS_timer_delete, id));
}

TEST_CASE(not_inherited)
{
    int id = 0;
    CHECK_OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id));
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct itimerspec spec;
        CHECK_ERRNO(syscall(SYS_timer_gettime, id, &spec), EINVAL);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}
