/*
 * setitimer.c: interval timers: real, virtual, profiling.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/time.h>

static volatile sig_atomic_t calls;
static volatile sig_atomic_t last;

static void note(int sig)
{
    last = sig;
    calls++;
}

TEST_CASE(real_once)
{
    struct itimerval set = {{0, 0}, {0, 50000}};
    struct itimerval now;
    guest_handle(SIGALRM, note, 0);
    long long start = guest_now_ms();
    CHECK_OK(setitimer(ITIMER_REAL, &set, NULL));
    CHECK_OK(getitimer(ITIMER_REAL, &now));
    CHECK(now.it_value.tv_usec <= 50000);
    CHECK_ERRNO(pause(), EINTR);
    CHECK(guest_now_ms() - start >= 49);
    CHECK_EQ(last, SIGALRM);
    CHECK_OK(getitimer(ITIMER_REAL, &now));
    CHECK_EQ(now.it_value.tv_usec, 0);
    guest_sleep_ms(80);
    CHECK_EQ(calls, 1);
}

TEST_CASE(real_repeats)
{
    struct itimerval set = {{0, 20000}, {0, 10000}};
    struct itimerval old;
    guest_handle(SIGALRM, note, 0);
    long long start = guest_now_ms();
    CHECK_OK(setitimer(ITIMER_REAL, &set, NULL));
    while (calls < 5) {
        pause();
    }
    CHECK(guest_now_ms() - start >= 89);
    struct itimerval off = {{0, 0}, {0, 0}};
    CHECK_OK(setitimer(ITIMER_REAL, &off, &old));
    CHECK_EQ(old.it_interval.tv_usec, 20000);
    int before = calls;
    guest_sleep_ms(50);
    CHECK_EQ(calls, before);
}

static void spin_until_called(void)
{
    volatile unsigned long n = 0;
    while (calls == 0) {
        n++;
    }
}

TEST_CASE(virtual_counts_user_time)
{
    struct itimerval set = {{0, 0}, {0, 30000}};
    guest_handle(SIGVTALRM, note, 0);
    CHECK_OK(setitimer(ITIMER_VIRTUAL, &set, NULL));
    guest_sleep_ms(60);
    CHECK_EQ(calls, 0); /* sleeping costs nothing */
    spin_until_called();
    CHECK_EQ(last, SIGVTALRM);
}

TEST_CASE(profiling_counts_cpu_time)
{
    struct itimerval set = {{0, 0}, {0, 30000}};
    guest_handle(SIGPROF, note, 0);
    CHECK_OK(setitimer(ITIMER_PROF, &set, NULL));
    spin_until_called();
    CHECK_EQ(last, SIGPROF);
}

TEST_CASE(errors)
{
    struct itimerval set = {{0, 0}, {0, 1000000}};
    CHECK_ERRNO(setitimer(ITIMER_REAL, &set, NULL), EINVAL);
    set.it_value.tv_usec = -1;
    CHECK_ERRNO(setitimer(ITIMER_REAL, &set, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_setitimer, 7, &set, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_getitimer, 7, &set), EINVAL);
    CHECK_ERRNO(syscall(SYS_getitimer, ITIMER_REAL, guest_bad()), EFAULT);
    CHECK_ERRNO(syscall(SYS_setitimer, ITIMER_REAL, guest_bad(), NULL), EFAULT);
}
