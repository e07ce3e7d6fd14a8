/*
 * readv.c: readv, writev, preadv, pwritev and the flags of preadv2.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/uio.h>

static char a[8];
static char b[8];
static int fd;

static void setup(void)
{
    guest_write_file("f", "0123456789");
    fd = (int)CHECK_OK(open("f", O_RDWR));
    memset(a, 0, sizeof(a));
    memset(b, 0, sizeof(b));
}

TEST_CASE(scatter_and_gather)
{
    struct iovec v[3] = {{a, 3}, {NULL, 0}, {b, 5}};
    setup();
    CHECK_EQ(readv(fd, v, 3), 8);
    CHECK(memcmp(a, "012", 3) == 0 && memcmp(b, "34567", 5) == 0);
    CHECK_EQ(readv(fd, v, 3), 2);
    CHECK(memcmp(a, "892", 3) == 0);
    CHECK_EQ(readv(fd, v, 3), 0);
    struct iovec out[2] = {{"AB", 2}, {"CDE", 3}};
    CHECK_EQ(writev(fd, out, 2), 5);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 15);
}

TEST_CASE(positioned)
{
    struct iovec v[2] = {{a, 2}, {b, 2}};
    setup();
    CHECK_EQ(preadv(fd, v, 2, 5), 4);
    CHECK(memcmp(a, "56", 2) == 0 && memcmp(b, "78", 2) == 0);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
    CHECK_EQ(pwritev(fd, v, 2, 20), 4);
    CHECK_EQ(lseek(fd, 0, SEEK_END), 24);
    CHECK_ERRNO(preadv(fd, v, 2, -1), EINVAL);
    int ends[2];
    CHECK_OK(pipe(ends));
    CHECK_ERRNO(preadv(ends[0], v, 2, 0), ESPIPE);
}

TEST_CASE(flags_of_the_second_version)
{
    struct iovec v[1] = {{a, 4}};
    setup();
    ssize_t n = preadv2(fd, v, 1, 3, 0);
    if (n < 0 && errno == ENOSYS) {
        SKIP("no preadv2");
    }
    CHECK_EQ(n, 4);
    CHECK_EQ(preadv2(fd, v, 1, -1, 0), 4); /* -1: the file's own offset */
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 4);
    CHECK_ERRNO(preadv2(fd, v, 1, 0, 0x40000000), EOPNOTSUPP);
    n = preadv2(fd, v, 1, 0, RWF_NOWAIT);
    CHECK(n == 4 || (n < 0 && (errno == EAGAIN || errno == EOPNOTSUPP)));
    n = pwritev2(fd, v, 1, 0, RWF_APPEND);
    CHECK(n == 4 || (n < 0 && errno == EOPNOTSUPP));
    if (n == 4) {
        CHECK_EQ(lseek(fd, 0, SEEK_END), 14);
    }
    CHECK_EQ(pwritev2(fd, v, 1, 0, RWF_DSYNC), 4);
}

TEST_CASE(errors)
{
    static struct iovec many[1025];
    struct iovec v[2] = {{a, 4}, {guest_bad(), 4}};
    setup();
    CHECK_ERRNO(syscall(SYS_readv, fd, v, -1), EINVAL);
    CHECK_EQ(readv(fd, v, 0), 0);
    for (int i = 0; i < 1025; i++) {
        many[i] = (struct iovec){a, 1};
    }
    CHECK_ERRNO(readv(fd, many, 1025), EINVAL);
    CHECK_EQ(readv(fd, many, 1024), 10);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(readv(fd, v, 2), 4); /* what could be stored counts */
    CHECK_ERRNO(readv(fd, v + 1, 1), EFAULT);
    CHECK_ERRNO(syscall(SYS_readv, fd, guest_bad(), 2), EFAULT);
    v[1].iov_len = (size_t)-1;
    CHECK_ERRNO(readv(fd, v, 2), EINVAL);
    CHECK_ERRNO(readv(9999, v, 1), EBADF);
}

TEST_CASE(huge_lengths_are_capped)
{
    struct iovec v[2] = {{a, 8}, {b, SSIZE_MAX - 8}};
    int zero = (int)CHECK_OK(open("/dev/null", O_WRONLY));
    ssize_t n = writev(zero, v, 2);
    CHECK(n == 0x7ffff000 || (n < 0 && errno == EFAULT));
}
