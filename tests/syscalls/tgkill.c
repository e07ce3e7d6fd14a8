/*
 * tgkill.c: signals for one thread, and which thread takes a signal for the process.
 */
#include "tests/syscalls/guest_test.h"

static volatile pid_t handled_by;
static volatile sig_atomic_t calls;
static int ready[2];

static void note(int sig)
{
    (void)sig;
    handled_by = (pid_t)syscall(SYS_gettid);
    calls++;
}

static void *wait_in_thread(void *argument)
{
    *(volatile pid_t *)argument = (pid_t)syscall(SYS_gettid);
    guest_signal_fd(ready[1]);
    while (calls == 0) {
        guest_sleep_ms(1);
    }
    return NULL;
}

TEST_CASE(directed)
{
    pthread_t thread;
    volatile pid_t tid = 0;
    CHECK_OK(pipe(ready));
    guest_handle(SIGUSR1, note, 0);
    CHECK_EQ(pthread_create(&thread, NULL, wait_in_thread, (void *)&tid), 0);
    guest_await_fd(ready[0]);
    CHECK_OK(syscall(SYS_tgkill, getpid(), tid, SIGUSR1));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(handled_by, tid);
    CHECK_EQ(calls, 1);
}

TEST_CASE(process_signal_goes_to_a_thread_that_wants_it)
{
    pthread_t thread;
    volatile pid_t tid = 0;
    sigset_t set;
    CHECK_OK(pipe(ready));
    guest_handle(SIGUSR1, note, 0);
    CHECK_EQ(pthread_create(&thread, NULL, wait_in_thread, (void *)&tid), 0);
    guest_await_fd(ready[0]);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    CHECK_OK(kill(getpid(), SIGUSR1));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(handled_by, tid);
}

TEST_CASE(errors)
{
    pid_t tid = (pid_t)syscall(SYS_gettid);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 0, SIGUSR1), EINVAL);
    CHECK_ERRNO(syscall(SYS_tgkill, 0, tid, SIGUSR1), EINVAL);
    CHECK_ERRNO(syscall(SYS_tgkill, -1, tid, SIGUSR1), EINVAL);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), tid, 65), EINVAL);
    CHECK_ERRNO(syscall(SYS_tgkill, getppid(), tid, SIGUSR1), ESRCH);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 1 << 21, 0), ESRCH);
    CHECK_OK(syscall(SYS_tgkill, getpid(), tid, 0));
    CHECK_OK(syscall(SYS_tkill, tid, 0));
    CHECK_ERRNO(syscall(SYS_tkill, 0, 0), EINVAL);
}

static void *block_and_pend(void *argument)
{
    sigset_t set;
    (void)argument;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    pthread_kill(pthread_self(), SIGUSR1);
    sigpending(&set);
    return (void *)(long)sigismember(&set, SIGUSR1);
}

TEST_CASE(pending_is_per_thread_and_per_process)
{
    pthread_t thread;
    sigset_t set;
    void *result = NULL;
    guest_handle(SIGUSR1, note, 0);
    CHECK_EQ(pthread_create(&thread, NULL, block_and_pend, NULL), 0);
    CHECK_EQ(pthread_join(thread, &result), 0);
    CHECK_EQ((long)result, 1);
    CHECK_OK(sigpending(&set));
    CHECK_EQ(sigismember(&set, SIGUSR1), 0);
    CHECK_EQ(calls, 0);
}

static void *interrupted_read(void *argument)
{
    char byte;
    ssize_t n;
    *(volatile pid_t *)argument = (pid_t)syscall(SYS_gettid);
    guest_signal_fd(ready[1]);
    n = read(*((int *)argument + 1), &byte, 1);
    return (void *)(long)(n < 0 ? errno : 0);
}

TEST_CASE(interrupts_only_that_thread)
{
    pthread_t thread;
    struct {
        volatile pid_t tid;
        int fd;
    } shared = {0, -1};
    int pair[2];
    void *result = NULL;
    CHECK_OK(pipe(ready));
    CHECK_OK(pipe(pair));
    shared.fd = pair[0];
    guest_handle(SIGUSR1, note, 0);
    CHECK_EQ(pthread_create(&thread, NULL, interrupted_read, &shared), 0);
    guest_await_fd(ready[0]);
    for (int i = 0; i < 500 && pthread_tryjoin_np(thread, &result) != 0; i++) {
        CHECK_OK(syscall(SYS_tgkill, getpid(), shared.tid, i == 0 ? 0 : SIGUSR1));
        guest_sleep_ms(5);
        if (calls > 0 && i > 400) {
            FAIL("read goes on");
        }
        if (calls > 0) {
            CHECK_EQ(pthread_join(thread, &result), 0);
            break;
        }
    }
    CHECK_EQ((long)result, EINTR);
    CHECK_EQ(handled_by, shared.tid);
}
