/*
 * vfork.c: the child borrows the parent's memory and the parent waits for exec or exit.
 */
#include "tests/syscalls/guest_test.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

TEST_HELPER(exit_with)
{
    return argc > 1 ? atoi(argv[1]) : 1;
}

TEST_CASE(child_writes_are_seen)
{
    volatile int value = 1;
    pid_t pid = vfork();
    if (pid == 0) {
        value = 2;
        _exit(5);
    }
    CHECK_OK(pid);
    CHECK_EQ(value, 2);
    CHECK_CHILD_EXIT(pid, 5);
}

TEST_CASE(parent_waits_until_exit)
{
    long long start = guest_now_ms();
    pid_t pid = vfork();
    if (pid == 0) {
        guest_sleep_ms(60);
        _exit(0);
    }
    CHECK(guest_now_ms() - start >= 60);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(exec_releases_the_parent)
{
    const char *self = guest_self();
    char *args[] = {"x", "--helper", "exit_with", "33", NULL};
    char *env[] = {NULL};
    pid_t pid = vfork();
    if (pid == 0) {
        execve(self, args, env);
        _exit(126);
    }
    CHECK_CHILD_EXIT(pid, 33);
}

TEST_CASE(failed_exec_keeps_running)
{
    volatile int error = 0;
    char *args[] = {"x", NULL};
    pid_t pid = vfork();
    if (pid == 0) {
        execve("/nonexistent/program", args, args + 1);
        error = errno;
        _exit(9);
    }
    CHECK_CHILD_EXIT(pid, 9);
    CHECK_EQ(error, ENOENT);
}

TEST_CASE(fd_table_is_not_shared)
{
    int fd = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    pid_t pid = vfork();
    if (pid == 0) {
        close(fd);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_OK(fcntl(fd, F_GETFD));
}

TEST_CASE(killed_child_releases_the_parent)
{
    pid_t pid = vfork();
    if (pid == 0) {
        kill(getpid(), SIGKILL);
        _exit(0);
    }
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
}
