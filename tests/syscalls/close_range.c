/*
 * close_range.c: close and close_range.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/close_range.h>

TEST_CASE(close_twice)
{
    int fd = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    CHECK_OK(close(fd));
    CHECK_ERRNO(close(fd), EBADF);
    CHECK_ERRNO(close(-1), EBADF);
    CHECK_ERRNO(close(1 << 30), EBADF);
}

static void open_many(int first)
{
    int fd = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(dup2(fd, first + i), first + i);
    }
    CHECK_OK(close(fd));
}

TEST_CASE(a_range)
{
    open_many(100);
    CHECK_OK(close_range(102, 105, 0));
    for (int i = 0; i < 10; i++) {
        bool closed = i >= 2 && i <= 5;
        CHECK_EQ(fcntl(100 + i, F_GETFD) < 0, closed);
    }
    CHECK_OK(close_range(100, ~0U, 0));
    CHECK_ERRNO(fcntl(109, F_GETFD), EBADF);
    CHECK_OK(close_range(100, 200, 0)); /* nothing open: fine */
}

TEST_CASE(cloexec_only)
{
    open_many(100);
    if (close_range(100, 104, CLOSE_RANGE_CLOEXEC) < 0) {
        SKIP("no CLOSE_RANGE_CLOEXEC");
    }
    CHECK_EQ(fcntl(104, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(105, F_GETFD), 0);
}

static int close_unshared(void *argument)
{
    (void)argument;
    return close_range(100, 109, CLOSE_RANGE_UNSHARE);
}

TEST_CASE(unshare_first)
{
    static char stack[65536] __attribute__((aligned(64)));
    open_many(100);
    pid_t pid = (pid_t)CHECK_OK(
        clone(close_unshared, stack + sizeof(stack), CLONE_FILES | CLONE_VM | SIGCHLD, NULL));
    CHECK_CHILD_OK(pid);
    CHECK_OK(fcntl(105, F_GETFD));
}

TEST_CASE(errors)
{
    CHECK_ERRNO(close_range(10, 9, 0), EINVAL);
    CHECK_ERRNO(close_range(10, 11, 0x100), EINVAL);
}
