/*
 * process_group.c: setpgid, getpgid and signals to groups.
 */
#include "tests/syscalls/guest_test.h"

static pid_t sleeper(void)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        for (;;) {
            pause();
        }
    }
    return pid;
}

static void end(pid_t pid)
{
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
}

TEST_CASE(child_inherits_the_group)
{
    pid_t group = getpgrp();
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(getpgrp(), group);
        CHECK_OK(setpgid(0, 0));
        CHECK_EQ(getpgrp(), getpid());
        CHECK_EQ(getpgid(0), getpid());
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(parent_moves_children)
{
    pid_t one = sleeper();
    pid_t two = sleeper();
    CHECK_OK(setpgid(one, 0));
    CHECK_EQ(getpgid(one), one);
    CHECK_OK(setpgid(two, one));
    CHECK_EQ(getpgid(two), one);
    CHECK_OK(setpgid(two, getpgrp()));
    CHECK_EQ(getpgid(two), getpgrp());
    end(one);
    end(two);
}

TEST_CASE(errors)
{
    pid_t pid = sleeper();
    CHECK_ERRNO(setpgid(pid, -1), EINVAL);
    CHECK_ERRNO(setpgid(-1, 0), EINVAL);
    CHECK_ERRNO(setpgid(pid, pid + 100000), EPERM);
    CHECK_ERRNO(setpgid(getppid(), 0), ESRCH);
    CHECK_ERRNO(setpgid(1 << 21, 0), ESRCH);
    CHECK_ERRNO(getpgid(1 << 21), ESRCH);
    end(pid);
}

TEST_HELPER(wait_for_input)
{
    char byte;
    guest_signal_fd(1);
    return read(0, &byte, 1) == 0 ? 0 : 1;
}

TEST_CASE(not_after_exec)
{
    int to[2];
    int from[2];
    char *args[] = {"x", "--helper", "wait_for_input", NULL};
    char *env[] = {NULL};
    CHECK_OK(pipe2(to, O_CLOEXEC));
    CHECK_OK(pipe2(from, O_CLOEXEC));
    pid_t pid = guest_fork();
    if (pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        execve(guest_self(), args, env);
        _exit(126);
    }
    guest_await_fd(from[0]);
    CHECK_ERRNO(setpgid(pid, 0), EACCES);
    CHECK_OK(close(to[1]));
    CHECK_OK(close(to[0]));
    CHECK_CHILD_OK(pid);
}

TEST_CASE(session_leader_cannot_move)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(setsid());
        CHECK_ERRNO(setpgid(0, 0), EPERM);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(kill_a_group)
{
    pid_t one = sleeper();
    pid_t two = sleeper();
    CHECK_OK(setpgid(one, one));
    CHECK_OK(setpgid(two, one));
    CHECK_OK(kill(-one, 0));
    CHECK_OK(kill(-one, SIGTERM));
    CHECK_CHILD_SIGNAL(one, SIGTERM);
    CHECK_CHILD_SIGNAL(two, SIGTERM);
    CHECK_ERRNO(kill(-one, 0), ESRCH);
}

TEST_CASE(kill_own_group)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(setpgid(0, 0));
        sleeper();
        signal(SIGUSR1, SIG_IGN);
        CHECK_OK(kill(0, SIGUSR1));
        int status;
        CHECK_OK(wait(&status));
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}
