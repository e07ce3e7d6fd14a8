/*
 * dup.c: dup, dup2, dup3 and F_DUPFD.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/resource.h>

TEST_CASE(share_offset_and_status_flags)
{
    guest_write_file("f", "abcdef");
    int a = (int)CHECK_OK(open("f", O_RDWR | O_CLOEXEC));
    int b = (int)CHECK_OK(dup(a));
    CHECK_EQ(lseek(a, 3, SEEK_SET), 3);
    CHECK_EQ(lseek(b, 0, SEEK_CUR), 3);
    CHECK_OK(fcntl(a, F_SETFL, O_APPEND));
    CHECK_EQ(fcntl(b, F_GETFL) & O_APPEND, O_APPEND);
    CHECK_EQ(fcntl(a, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(b, F_GETFD), 0); /* descriptor flags are not shared */
}

TEST_CASE(dup2_replaces)
{
    int ends[2];
    char byte;
    CHECK_OK(pipe(ends));
    int null = (int)CHECK_OK(open("/dev/null", O_RDWR));
    CHECK_EQ(dup2(null, ends[1]), ends[1]);
    CHECK_EQ(read(ends[0], &byte, 1), 0); /* the writing end was closed */
    CHECK_EQ(dup2(null, null), null);
    CHECK_EQ(dup2(null, 200), 200);
    CHECK_ERRNO(dup2(9999, 9999), EBADF);
    CHECK_ERRNO(dup2(9999, 5), EBADF);
    CHECK_ERRNO(dup2(null, -1), EBADF);
}

TEST_CASE(dup3_flags)
{
    int null = (int)CHECK_OK(open("/dev/null", O_RDWR));
    CHECK_EQ(dup3(null, 100, O_CLOEXEC), 100);
    CHECK_EQ(fcntl(100, F_GETFD), FD_CLOEXEC);
    CHECK_ERRNO(dup3(null, null, 0), EINVAL);
    CHECK_ERRNO(dup3(null, 101, O_NONBLOCK), EINVAL);
}

TEST_CASE(dupfd_takes_the_lowest_from_there)
{
    int null = (int)CHECK_OK(open("/dev/null", O_RDWR));
    CHECK_EQ(dup2(null, 50), 50);
    CHECK_EQ(fcntl(null, F_DUPFD, 50), 51);
    CHECK_EQ(fcntl(null, F_DUPFD_CLOEXEC, 50), 52);
    CHECK_EQ(fcntl(52, F_GETFD), FD_CLOEXEC);
    CHECK_ERRNO(fcntl(null, F_DUPFD, -1), EINVAL);
}

TEST_CASE(limit)
{
    struct rlimit limit;
    int null = (int)CHECK_OK(open("/dev/null", O_RDWR));
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = 20;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    CHECK_ERRNO(dup2(null, 20), EBADF);
    CHECK_EQ(dup2(null, 19), 19);
    CHECK_ERRNO(fcntl(null, F_DUPFD, 20), EINVAL);
    while (dup(null) >= 0) {
    }
    CHECK_EQ(errno, EMFILE);
    CHECK_ERRNO(open("/dev/null", O_RDONLY), EMFILE);
    int ends[2];
    CHECK_ERRNO(pipe(ends), EMFILE);
    CHECK_OK(close(19));
    CHECK_ERRNO(pipe(ends), EMFILE); /* only one is free */
    CHECK_EQ(dup(null), 19);
}
