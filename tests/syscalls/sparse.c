/*
 * sparse.c: sparse files, SEEK_DATA and SEEK_HOLE, offsets beyond 4 GB.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/resource.h>

static int create(void)
{
    return (int)CHECK_OK(open("f", O_RDWR | O_CREAT | O_TRUNC, 0644));
}

TEST_CASE(hole_reads_as_zeros)
{
    char buffer[100];
    struct stat st;
    int fd = create();
    CHECK_EQ(pwrite(fd, "end", 3, 1 << 20), 3);
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_size, (1 << 20) + 3);
    CHECK(st.st_blocks * 512 < 1 << 20);
    memset(buffer, 'x', sizeof(buffer));
    CHECK_EQ(pread(fd, buffer, 100, 5000), 100);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(buffer[i], 0);
    }
    CHECK_EQ(pread(fd, buffer, 100, (1 << 20) - 2), 5);
}

TEST_CASE(data_and_holes)
{
    int fd = create();
    CHECK_EQ(pwrite(fd, "a", 1, 1 << 20), 1);
    CHECK_OK(ftruncate(fd, 4 << 20));
    off_t data = lseek(fd, 0, SEEK_DATA);
    if (data < 0 && errno == EINVAL) {
        SKIP("no SEEK_DATA");
    }
    CHECK(data == 1 << 20 || data == 0); /* a file system may treat all as data */
    off_t hole = lseek(fd, 1 << 20, SEEK_HOLE);
    CHECK(hole > 1 << 20 && hole <= 4 << 20);
    CHECK_ERRNO(lseek(fd, 4 << 20, SEEK_DATA), ENXIO);
    CHECK_ERRNO(lseek(fd, 4 << 20, SEEK_HOLE), ENXIO);
    CHECK_ERRNO(lseek(fd, -1, SEEK_DATA), ENXIO);
    if (data != 0) {
        CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 0);
        CHECK_ERRNO(lseek(fd, hole, SEEK_DATA), ENXIO);
    }
}

TEST_CASE(end_is_a_hole)
{
    int fd = create();
    CHECK_EQ(write(fd, "abc", 3), 3);
    CHECK_EQ(lseek(fd, 0, SEEK_DATA), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 3);
    CHECK_EQ(lseek(fd, 2, SEEK_DATA), 2);
}

TEST_CASE(beyond_four_gigabytes)
{
    char buffer[8] = "";
    struct stat st;
    off_t at = (5LL << 30) + 123;
    int fd = create();
    CHECK_EQ(lseek(fd, at, SEEK_SET), at);
    CHECK_EQ(write(fd, "high", 4), 4);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), at + 4);
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_size, at + 4);
    CHECK_EQ(pread(fd, buffer, 8, at), 4);
    CHECK(memcmp(buffer, "high", 4) == 0);
    CHECK_EQ(pread(fd, buffer, 4, at - (4LL << 30)), 4); /* no wrap at 32 bits */
    CHECK_EQ(buffer[0], 0);
    CHECK_OK(ftruncate(fd, 6LL << 30));
    CHECK_EQ(lseek(fd, 0, SEEK_END), 6LL << 30);
    CHECK_OK(truncate("f", 10));
}

static volatile sig_atomic_t got;

static void note(int sig)
{
    got = sig;
}

TEST_CASE(file_size_limit)
{
    struct rlimit limit = {10000, RLIM_INFINITY};
    static char block[20000];
    int fd = create();
    CHECK_OK(getrlimit(RLIMIT_FSIZE, &limit));
    limit.rlim_cur = 10000;
    CHECK_OK(setrlimit(RLIMIT_FSIZE, &limit));
    guest_handle(SIGXFSZ, note, 0);
    CHECK_EQ(write(fd, block, 20000), 10000); /* as much as fits */
    CHECK_EQ(got, 0);
    CHECK_ERRNO(write(fd, block, 1), EFBIG);
    CHECK_EQ(got, SIGXFSZ);
    CHECK_ERRNO(ftruncate(fd, 20000), EFBIG);
    CHECK_EQ(pwrite(fd, block, 100, 9950), 50);
    pid_t pid = guest_fork();
    if (pid == 0) {
        signal(SIGXFSZ, SIG_DFL);
        (void)!write(fd, block, 1);
        _exit(0);
    }
    CHECK_CHILD_SIGNAL(pid, SIGXFSZ);
}
