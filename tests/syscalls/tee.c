/*
 * tee.c: tee and vmsplice.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/uio.h>

static int one[2];
static int two[2];
static char block[1000];

TEST_CASE(tee_does_not_consume)
{
    CHECK_OK(pipe(one));
    CHECK_OK(pipe(two));
    CHECK_EQ(write(one[1], "abcdef", 6), 6);
    CHECK_EQ(tee(one[0], two[1], 4, 0), 4);
    CHECK_EQ(read(two[0], block, 100), 4);
    CHECK(memcmp(block, "abcd", 4) == 0);
    CHECK_EQ(read(one[0], block, 100), 6);
}

TEST_CASE(tee_errors)
{
    guest_write_file("f", "x");
    int fd = (int)CHECK_OK(open("f", O_RDWR));
    CHECK_OK(pipe(one));
    CHECK_OK(pipe(two));
    CHECK_ERRNO(tee(one[0], fd, 4, 0), EINVAL);
    CHECK_ERRNO(tee(fd, two[1], 4, 0), EINVAL);
    CHECK_ERRNO(tee(one[0], two[1], 4, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_ERRNO(tee(9999, two[1], 4, 0), EBADF);
    CHECK_OK(close(one[1]));
    CHECK_EQ(tee(one[0], two[1], 4, 0), 0);
}

TEST_CASE(vmsplice_into_a_pipe)
{
    char first[] = "first ";
    char second[] = "second";
    struct iovec v[2] = {{first, 6}, {second, 6}};
    CHECK_OK(pipe(one));
    long n = vmsplice(one[1], v, 2, 0);
    if (n < 0 && errno == ENOSYS) {
        SKIP("no vmsplice");
    }
    CHECK_EQ(n, 12);
    CHECK_EQ(read(one[0], block, 100), 12);
    CHECK(memcmp(block, "first second", 12) == 0);
}

TEST_CASE(vmsplice_out_of_a_pipe)
{
    struct iovec v = {block, 3};
    CHECK_OK(pipe(one));
    CHECK_EQ(write(one[1], "xyz!", 4), 4);
    long n = vmsplice(one[0], &v, 1, 0);
    if (n < 0 && errno == ENOSYS) {
        SKIP("no vmsplice");
    }
    CHECK_EQ(n, 3);
    CHECK(memcmp(block, "xyz", 3) == 0);
}
