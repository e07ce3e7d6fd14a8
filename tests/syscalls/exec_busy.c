/*
 * exec_busy.c: a file that is executed cannot be written, and the other way round.
 */
#include "tests/syscalls/guest_test.h"

static char *no_env[] = {NULL};

TEST_HELPER(wait_for_input)
{
    char byte;
    guest_signal_fd(1);
    return read(0, &byte, 1) == 0 ? 0 : 1;
}

static void copy_self(const char *name)
{
    static char buffer[65536];
    int in = (int)CHECK_OK(open(guest_self(), O_RDONLY | O_CLOEXEC));
    int out = (int)CHECK_OK(open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
    ssize_t n;
    while ((n = CHECK_OK(read(in, buffer, sizeof(buffer)))) > 0) {
        CHECK_EQ(write(out, buffer, (size_t)n), n);
    }
    CHECK_OK(close(in));
    CHECK_OK(close(out));
}

TEST_CASE(open_for_writing_while_running)
{
    int to[2];
    int from[2];
    char *args[] = {"x", "--helper", "wait_for_input", NULL};
    copy_self("copy");
    CHECK_OK(pipe2(to, O_CLOEXEC));
    CHECK_OK(pipe2(from, O_CLOEXEC));
    pid_t pid = guest_fork();
    if (pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        execve("copy", args, no_env);
        _exit(126);
    }
    CHECK_OK(close(to[0]));
    guest_await_fd(from[0]);
    CHECK_ERRNO(open("copy", O_WRONLY), ETXTBSY);
    CHECK_ERRNO(open("copy", O_RDWR), ETXTBSY);
    CHECK_ERRNO(truncate("copy", 0), ETXTBSY);
    CHECK_OK(open("copy", O_RDONLY | O_CLOEXEC));
    CHECK_OK(close(to[1]));
    CHECK_CHILD_OK(pid);
    CHECK_OK(open("copy", O_WRONLY | O_CLOEXEC));
}

TEST_CASE(exec_while_open_for_writing)
{
    char *args[] = {"x", "--list", NULL};
    copy_self("copy");
    int fd = (int)CHECK_OK(open("copy", O_WRONLY | O_CLOEXEC));
    CHECK_ERRNO(execve("./copy", args, no_env), ETXTBSY);
    CHECK_OK(close(fd));
}

TEST_CASE(unlink_and_rename_over_a_running_file)
{
    int to[2];
    int from[2];
    char *args[] = {"x", "--helper", "wait_for_input", NULL};
    copy_self("copy");
    CHECK_OK(pipe2(to, O_CLOEXEC));
    CHECK_OK(pipe2(from, O_CLOEXEC));
    pid_t pid = guest_fork();
    if (pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        execve("copy", args, no_env);
        _exit(126);
    }
    CHECK_OK(close(to[0]));
    guest_await_fd(from[0]);
    guest_write_file("new", "text");
    CHECK_OK(rename("new", "copy"));
    CHECK_OK(unlink("copy"));
    CHECK_OK(close(to[1]));
    CHECK_CHILD_OK(pid);
}
