/*
 * sigaction.c: sigaction: what is stored, flags while a handler runs, errors.
 */
#include "tests/syscalls/guest_test.h"

static volatile sig_atomic_t calls;
static volatile sig_atomic_t nested;
static volatile sig_atomic_t other_blocked;

static void count(int sig)
{
    (void)sig;
    calls++;
}

TEST_CASE(old_action_comes_back)
{
    struct sigaction set = {.sa_handler = count, .sa_flags = SA_RESTART | SA_NODEFER};
    struct sigaction old;
    sigaddset(&set.sa_mask, SIGHUP);
    CHECK_OK(sigaction(SIGUSR1, &set, &old));
    CHECK(old.sa_handler == SIG_DFL);
    CHECK_OK(sigaction(SIGUSR1, NULL, &old));
    CHECK(old.sa_handler == count);
    CHECK_EQ(old.sa_flags & ~0x04000000, SA_RESTART | SA_NODEFER);
    CHECK_EQ(sigismember(&old.sa_mask, SIGHUP), 1);
    CHECK_EQ(sigismember(&old.sa_mask, SIGINT), 0);
}

TEST_CASE(kill_and_stop_cannot_be_changed)
{
    struct sigaction set = {.sa_handler = count};
    struct sigaction old;
    CHECK_ERRNO(sigaction(SIGKILL, &set, NULL), EINVAL);
    CHECK_ERRNO(sigaction(SIGSTOP, &set, NULL), EINVAL);
    CHECK_OK(sigaction(SIGKILL, NULL, &old));
    CHECK_ERRNO(sigaction(0, &set, NULL), EINVAL);
    CHECK_ERRNO(sigaction(65, &set, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, guest_bad(), NULL, 8), EFAULT);
}

static void raise_again(int sig)
{
    sigset_t set;
    if (calls++ == 0) {
        raise(sig);
        nested = calls;
        sigprocmask(SIG_BLOCK, NULL, &set);
        other_blocked = sigismember(&set, SIGUSR2);
    }
}

TEST_CASE(signal_is_deferred_while_handled)
{
    guest_handle(SIGUSR1, raise_again, 0);
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(nested, 1);
    CHECK_EQ(calls, 2);
}

TEST_CASE(nodefer)
{
    guest_handle(SIGUSR1, raise_again, SA_NODEFER);
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(nested, 2);
    CHECK_EQ(calls, 2);
}

TEST_CASE(mask_holds_while_handled)
{
    struct sigaction set = {.sa_handler = raise_again};
    sigaddset(&set.sa_mask, SIGUSR2);
    CHECK_OK(sigaction(SIGUSR1, &set, NULL));
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(other_blocked, 1);
    sigset_t now;
    CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &now));
    CHECK_EQ(sigismember(&now, SIGUSR1), 0);
    CHECK_EQ(sigismember(&now, SIGUSR2), 0);
}

TEST_CASE(resethand)
{
    struct sigaction old;
    guest_handle(SIGUSR1, count, SA_RESETHAND);
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(calls, 1);
    CHECK_OK(sigaction(SIGUSR1, NULL, &old));
    CHECK(old.sa_handler == SIG_DFL);
}

TEST_CASE(ignoring_discards_pending)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    CHECK_OK(raise(SIGUSR1));
    signal(SIGUSR1, SIG_IGN);
    guest_handle(SIGUSR1, count, 0);
    CHECK_OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
    CHECK_EQ(calls, 0);
}

TEST_CASE(kill_and_stop_are_removed_from_masks)
{
    struct sigaction set = {.sa_handler = count};
    struct sigaction old;
    sigfillset(&set.sa_mask);
    CHECK_OK(sigaction(SIGUSR1, &set, NULL));
    CHECK_OK(sigaction(SIGUSR1, NULL, &old));
    CHECK_EQ(sigismember(&old.sa_mask, SIGKILL), 0);
    CHECK_EQ(sigismember(&old.sa_mask, SIGSTOP), 0);
    CHECK_EQ(sigismember(&old.sa_mask, SIGHUP), 1);
}

static volatile pid_t info_pid;
static volatile int info_code;
static volatile uid_t info_uid;

static void store_info(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    info_pid = info->si_pid;
    info_uid = info->si_uid;
    info_code = info->si_code;
}

TEST_CASE(siginfo_of_kill_and_raise)
{
    guest_handle_info(SIGUSR1, store_info, 0);
    CHECK_OK(kill(getpid(), SIGUSR1));
    CHECK_EQ(info_code, SI_USER);
    CHECK_EQ(info_pid, getpid());
    CHECK_EQ(info_uid, getuid());
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(info_code, SI_TKILL);
}

TEST_CASE(siginfo_of_sigchld)
{
    guest_handle_info(SIGCHLD, store_info, 0);
    pid_t pid = guest_fork();
    if (pid == 0) {
        _exit(3);
    }
    CHECK_CHILD_EXIT(pid, 3);
    CHECK_EQ(info_code, CLD_EXITED);
    CHECK_EQ(info_pid, pid);
}

TEST_CASE(nocldstop)
{
    guest_handle(SIGCHLD, count, SA_NOCLDSTOP | SA_RESTART);
    int status;
    pid_t pid = guest_fork();
    if (pid == 0) {
        for (;;) {
            pause();
        }
    }
    CHECK_OK(kill(pid, SIGSTOP));
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK_EQ(calls, 0);
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
    CHECK_EQ(calls, 1);
}
