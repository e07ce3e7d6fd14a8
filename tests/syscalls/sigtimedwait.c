/*
 * sigtimedwait.c: sigtimedwait and sigwaitinfo.
 */
#include "tests/syscalls/guest_test.h"

static sigset_t block(int sig, int second)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    if (second) {
        sigaddset(&set, second);
    }
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    return set;
}

TEST_CASE(takes_a_pending_signal)
{
    siginfo_t info;
    sigset_t pending;
    sigset_t set = block(SIGUSR1, 0);
    CHECK_OK(kill(getpid(), SIGUSR1));
    CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR1);
    CHECK_EQ(info.si_signo, SIGUSR1);
    CHECK_EQ(info.si_code, SI_USER);
    CHECK_EQ(info.si_pid, getpid());
    CHECK_OK(sigpending(&pending));
    CHECK_EQ(sigismember(&pending, SIGUSR1), 0);
}

TEST_CASE(timeout)
{
    struct timespec t = {0, 50000000};
    sigset_t set = block(SIGUSR1, 0);
    long long start = guest_now_ms();
    CHECK_ERRNO(sigtimedwait(&set, NULL, &t), EAGAIN);
    CHECK(guest_now_ms() - start >= 50);
    t.tv_nsec = 0;
    CHECK_ERRNO(sigtimedwait(&set, NULL, &t), EAGAIN);
    t.tv_nsec = 1000000000;
    CHECK_ERRNO(sigtimedwait(&set, NULL, &t), EINVAL);
    t.tv_nsec = 0;
    t.tv_sec = -1;
    CHECK_ERRNO(sigtimedwait(&set, NULL, &t), EINVAL);
}

TEST_CASE(waits_for_another_process)
{
    siginfo_t info;
    sigset_t set = block(SIGUSR1, 0);
    pid_t parent = getpid();
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_sleep_ms(20);
        CHECK_OK(kill(parent, SIGUSR1));
        _exit(0);
    }
    struct timespec t = {5, 0};
    CHECK_EQ(sigtimedwait(&set, &info, &t), SIGUSR1);
    CHECK_EQ(info.si_pid, pid);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(lowest_number_first_and_fifo_for_values)
{
    siginfo_t info;
    sigset_t set = block(SIGRTMIN + 1, SIGRTMIN + 2);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = 20 + i}));
        CHECK_OK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 10 + i}));
    }
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(sigwaitinfo(&set, &info), i < 3 ? SIGRTMIN + 1 : SIGRTMIN + 2);
        CHECK_EQ(info.si_value.sival_int, i < 3 ? 10 + i : 20 + i - 3);
    }
}

static volatile sig_atomic_t calls;

static void note(int sig)
{
    (void)sig;
    calls++;
}

TEST_CASE(interrupted_by_another_handler)
{
    sigset_t set = block(SIGUSR1, 0);
    struct timespec t = {5, 0};
    guest_handle(SIGALRM, note, SA_RESTART);
    guest_ticker_start(20);
    CHECK_ERRNO(sigtimedwait(&set, NULL, &t), EINTR);
    CHECK_ERRNO(sigwaitinfo(&set, NULL), EINTR);
    guest_ticker_stop();
    CHECK(calls >= 2);
}

TEST_CASE(sigwait_with_sigchld)
{
    siginfo_t info;
    sigset_t set = block(SIGCHLD, 0);
    pid_t pid = guest_fork();
    if (pid == 0) {
        _exit(6);
    }
    CHECK_EQ(sigwaitinfo(&set, &info), SIGCHLD);
    CHECK_EQ(info.si_code, CLD_EXITED);
    CHECK_EQ(info.si_pid, pid);
    CHECK_EQ(info.si_status, 6);
    CHECK_CHILD_EXIT(pid, 6);
}

TEST_CASE(errors)
{
    sigset_t set;
    sigemptyset(&set);
    CHECK_ERRNO(syscall(SYS_rt_sigtimedwait, &set, NULL, NULL, 4), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigtimedwait, guest_bad(), NULL, NULL, 8), EFAULT);
    CHECK_ERRNO(syscall(SYS_rt_sigtimedwait, &set, NULL, guest_bad(), 8), EFAULT);
}
