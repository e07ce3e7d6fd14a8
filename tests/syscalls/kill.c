/*
 * kill.c: kill: targets, permissions, signal 0.
 */
#include "tests/syscalls/guest_test.h"

TEST_CASE(null_signal)
{
    CHECK_OK(kill(getpid(), 0));
    pid_t pid = guest_fork();
    if (pid == 0) {
        _exit(0);
    }
    siginfo_t info;
    CHECK_OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    CHECK_OK(kill(pid, 0)); /* a zombie is still there */
    CHECK_OK(kill(pid, SIGTERM));
    CHECK_CHILD_OK(pid);
    CHECK_ERRNO(kill(pid, 0), ESRCH);
}

TEST_CASE(errors)
{
    CHECK_ERRNO(kill(getpid(), 65), EINVAL);
    CHECK_ERRNO(kill(getpid(), -1), EINVAL);
    CHECK_ERRNO(kill(1 << 21, SIGTERM), ESRCH);
    CHECK_ERRNO(kill(-(1 << 21), SIGTERM), ESRCH);
    CHECK_ERRNO(kill(INT_MIN, 0), ESRCH);
}

TEST_CASE(permission)
{
    int ready[2];
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    CHECK_OK(pipe(ready));
    pid_t pid = guest_fork();
    if (pid == 0) {
        pid_t parent = getppid();
        guest_become_user();
        CHECK_ERRNO(kill(parent, 0), EPERM);
        CHECK_ERRNO(kill(parent, SIGTERM), EPERM);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(sigcont_is_allowed_within_the_session)
{
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    pid_t pid = guest_fork();
    if (pid == 0) {
        pid_t parent = getppid();
        guest_become_user();
        CHECK_OK(kill(parent, SIGCONT));
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(real_uid_of_the_sender_counts)
{
    int ready[2];
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    CHECK_OK(pipe(ready));
    pid_t target = guest_fork();
    if (target == 0) {
        guest_become_user();
        guest_signal_fd(ready[1]);
        for (;;) {
            pause();
        }
    }
    guest_await_fd(ready[0]);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(setresuid(12345, 23456, 23456));
        CHECK_OK(kill(target, SIGUSR1));
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_CHILD_SIGNAL(target, SIGUSR1);
}

TEST_CASE(delivered_before_kill_returns)
{
    for (int i = 0; i < 100; i++) {
        pid_t pid = guest_fork();
        if (pid == 0) {
            kill(getpid(), SIGTERM);
            _exit(1);
        }
        CHECK_CHILD_SIGNAL(pid, SIGTERM);
    }
}
