/*
 * session.c: setsid and getsid.
 */
#include "tests/syscalls/guest_test.h"

TEST_CASE(new_session)
{
    pid_t old = (pid_t)CHECK_OK(getsid(0));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(getsid(0), old);
        CHECK_EQ(setsid(), getpid());
        CHECK_EQ(getsid(0), getpid());
        CHECK_EQ(getpgrp(), getpid());
        CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(group_leader_may_not)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(setpgid(0, 0));
        CHECK_ERRNO(setsid(), EPERM);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(getsid_of_others)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(setsid());
        pid_t inner = guest_fork();
        if (inner == 0) {
            CHECK_EQ(getsid(0), getppid());
            CHECK_EQ(getsid(getppid()), getppid());
            _exit(0);
        }
        CHECK_CHILD_OK(inner);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_ERRNO(getsid(1 << 21), ESRCH);
}

TEST_CASE(no_group_across_sessions)
{
    int pair[2];
    CHECK_OK(pipe(pair));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(setsid());
        guest_signal_fd(pair[1]);
        for (;;) {
            pause();
        }
    }
    guest_await_fd(pair[0]);
    CHECK_ERRNO(setpgid(pid, getpgrp()), EPERM);
    CHECK_ERRNO(setpgid(0, pid), EPERM);
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
}
