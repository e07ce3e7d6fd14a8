/*
 * execveat.c: execveat: relative to a directory, by descriptor, flags.
 */
#include "tests/syscalls/guest_test.h"

static char *no_env[] = {NULL};

TEST_HELPER(exit_with)
{
    return argc > 1 ? atoi(argv[1]) : 1;
}

static int run(int fd, const char *path, int flags)
{
    char *args[] = {"x", "--helper", "exit_with", "17", NULL};
    pid_t pid = guest_fork();
    if (pid == 0) {
        syscall(SYS_execveat, fd, path, args, no_env, flags);
        _exit(errno);
    }
    int status = guest_wait(pid);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

TEST_CASE(by_descriptor)
{
    int fd = (int)CHECK_OK(open(guest_self(), O_RDONLY | O_CLOEXEC));
    CHECK_EQ(run(fd, "", AT_EMPTY_PATH), 17);
    CHECK_EQ(run(fd, "", 0), ENOENT);
    int path = (int)CHECK_OK(open(guest_self(), O_PATH | O_CLOEXEC));
    CHECK_EQ(run(path, "", AT_EMPTY_PATH), 17);
}

TEST_CASE(relative_to_directory)
{
    char directory[PATH_MAX];
    snprintf(directory, sizeof(directory), "%s", guest_self());
    char *slash = strrchr(directory, '/');
    CHECK(slash);
    *slash = '\0';
    int fd = (int)CHECK_OK(open(*directory ? directory : "/", O_RDONLY | O_DIRECTORY));
    CHECK_EQ(run(fd, slash + 1, 0), 17);
    CHECK_EQ(run(AT_FDCWD, guest_self(), 0), 17);
    CHECK_EQ(run(9999, guest_self(), 0), 17);
    CHECK_EQ(run(9999, slash + 1, 0), EBADF);
}

TEST_CASE(nofollow_and_bad_flags)
{
    CHECK_OK(symlink(guest_self(), "link"));
    CHECK_EQ(run(AT_FDCWD, "link", 0), 17);
    CHECK_EQ(run(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW), ELOOP);
    CHECK_EQ(run(AT_FDCWD, "link", 0x8000), EINVAL);
}

TEST_CASE(script_by_cloexec_descriptor_is_refused)
{
    guest_write_file("script", "#!/bin/sh\nexit 3\n");
    CHECK_OK(chmod("script", 0755));
    int fd = (int)CHECK_OK(open("script", O_RDONLY | O_CLOEXEC));
    /* Linux: the interpreter could not open /dev/fd/N any more. */
    CHECK_EQ(run(fd, "", AT_EMPTY_PATH), ENOENT);
}

TEST_CASE(fexecve)
{
    char *args[] = {"x", "--helper", "exit_with", "18", NULL};
    int fd = (int)CHECK_OK(open(guest_self(), O_RDONLY | O_CLOEXEC));
    pid_t pid = guest_fork();
    if (pid == 0) {
        fexecve(fd, args, no_env);
        _exit(126);
    }
    CHECK_CHILD_EXIT(pid, 18);
}
