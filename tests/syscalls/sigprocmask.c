/*
 * sigprocmask.c: blocking, unblocking and pending signals.
 */
#include "tests/syscalls/guest_test.h"

static volatile sig_atomic_t order[8];
static volatile sig_atomic_t count;

static void note(int sig)
{
    order[count++ % 8] = sig;
}

TEST_CASE(how)
{
    sigset_t set;
    sigset_t old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, &old));
    CHECK_EQ(sigismember(&old, SIGUSR1), 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, &old));
    CHECK_EQ(sigismember(&old, SIGUSR1), 1);
    CHECK_OK(sigprocmask(SIG_UNBLOCK, &set, &old));
    CHECK_EQ(sigismember(&old, SIGUSR2), 1);
    CHECK_OK(sigprocmask(SIG_SETMASK, &set, &old));
    CHECK_EQ(sigismember(&old, SIGUSR1), 1);
    CHECK_EQ(sigismember(&old, SIGUSR2), 0);
    CHECK_OK(sigprocmask(77, NULL, &old));
    CHECK_EQ(sigismember(&old, SIGUSR1), 0);
    CHECK_EQ(sigismember(&old, SIGUSR2), 1);
}

TEST_CASE(errors)
{
    sigset_t set;
    sigemptyset(&set);
    CHECK_ERRNO(sigprocmask(77, &set, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 4), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, guest_bad(), NULL, 8), EFAULT);
    CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, guest_bad(), 8), EFAULT);
}

TEST_CASE(blocked_stays_pending_once)
{
    sigset_t set;
    sigset_t pending;
    guest_handle(SIGUSR1, note, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    for (int i = 0; i < 3; i++) {
        CHECK_OK(kill(getpid(), SIGUSR1));
    }
    CHECK_EQ(count, 0);
    CHECK_OK(sigpending(&pending));
    CHECK_EQ(sigismember(&pending, SIGUSR1), 1);
    CHECK_EQ(sigismember(&pending, SIGUSR2), 0);
    CHECK_OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
    CHECK_EQ(count, 1);
    CHECK_OK(sigpending(&pending));
    CHECK_EQ(sigismember(&pending, SIGUSR1), 0);
}

TEST_CASE(kill_and_stop_cannot_be_blocked)
{
    sigset_t set;
    sigfillset(&set);
    CHECK_OK(sigprocmask(SIG_SETMASK, &set, NULL));
    CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &set));
    CHECK_EQ(sigismember(&set, SIGKILL), 0);
    CHECK_EQ(sigismember(&set, SIGSTOP), 0);
    CHECK_EQ(sigismember(&set, SIGTERM), 1);
}

TEST_CASE(low_numbers_first_handlers_nest)
{
    sigset_t set;
    guest_handle(SIGUSR1, note, 0);
    guest_handle(SIGUSR2, note, 0);
    guest_handle(SIGTERM, note, 0);
    sigfillset(&set);
    CHECK_OK(sigprocmask(SIG_SETMASK, &set, NULL));
    CHECK_OK(kill(getpid(), SIGTERM));
    CHECK_OK(kill(getpid(), SIGUSR1));
    CHECK_OK(kill(getpid(), SIGUSR2));
    sigemptyset(&set);
    CHECK_OK(sigprocmask(SIG_SETMASK, &set, NULL));
    CHECK_EQ(count, 3);
    /* Linux: frames are set up lowest first, so the highest one runs first. */
    CHECK_EQ(order[0], SIGTERM);
    CHECK_EQ(order[1], SIGUSR2);
    CHECK_EQ(order[2], SIGUSR1);
}

TEST_CASE(ignored_and_blocked_is_kept_pending)
{
    sigset_t set;
    sigset_t pending;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    signal(SIGUSR1, SIG_IGN);
    CHECK_OK(raise(SIGUSR1));
    CHECK_OK(sigpending(&pending));
    /* Linux: a blocked signal is queued even when ignored. */
    CHECK_EQ(sigismember(&pending, SIGUSR1), 1);
    CHECK_OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
    CHECK_OK(sigpending(&pending));
    CHECK_EQ(sigismember(&pending, SIGUSR1), 0);
}
