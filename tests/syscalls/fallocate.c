/*
 * fallocate.c: fallocate modes.
 */
#include "tests/syscalls/guest_test.h"

static int fd;
static char buffer[20000];

static void setup(void)
{
    fd = (int)CHECK_OK(open("f", O_RDWR | O_CREAT | O_TRUNC, 0644));
    memset(buffer, 'd', sizeof(buffer));
    CHECK_EQ(write(fd, buffer, 16384), 16384);
}

static void try(int mode, off_t offset, off_t length)
{
    if (fallocate(fd, mode, offset, length) < 0) {
        CHECK(errno == EOPNOTSUPP || errno == ENOSYS);
        SKIP("mode not supported on this file system");
    }
}

static off_t size(void)
{
    struct stat st;
    CHECK_OK(fstat(fd, &st));
    return st.st_size;
}

TEST_CASE(extends)
{
    setup();
    try(0, 10000, 20000);
    CHECK_EQ(size(), 30000);
    CHECK_EQ(pread(fd, buffer, 1, 29999), 1);
    CHECK_EQ(buffer[0], 0);
    CHECK_EQ(pread(fd, buffer, 1, 16383), 1);
    CHECK_EQ(buffer[0], 'd');
    try(0, 0, 100);
    CHECK_EQ(size(), 30000);
}

TEST_CASE(keep_size)
{
    setup();
    try(FALLOC_FL_KEEP_SIZE, 0, 100000);
    CHECK_EQ(size(), 16384);
    CHECK_OK(ftruncate(fd, 20000));
    CHECK_EQ(pread(fd, buffer, 1, 19999), 1);
    CHECK_EQ(buffer[0], 0);
}

TEST_CASE(punch_hole)
{
    struct stat before;
    struct stat after;
    setup();
    CHECK_OK(fstat(fd, &before));
    try(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192);
    CHECK_EQ(size(), 16384);
    CHECK_EQ(pread(fd, buffer, 16384, 0), 16384);
    CHECK(buffer[4095] == 'd' && buffer[4096] == 0 && buffer[12287] == 0 && buffer[12288] == 'd');
    CHECK_OK(fstat(fd, &after));
    CHECK(after.st_blocks <= before.st_blocks);
    try(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 10); /* not whole pages */
    CHECK_EQ(pread(fd, buffer, 200, 0), 200);
    CHECK(buffer[99] == 'd' && buffer[100] == 0 && buffer[109] == 0 && buffer[110] == 'd');
    CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096), EOPNOTSUPP);
}

TEST_CASE(zero_range)
{
    setup();
    try(FALLOC_FL_ZERO_RANGE, 5, 10000);
    CHECK_EQ(pread(fd, buffer, 16384, 0), 16384);
    CHECK(buffer[4] == 'd' && buffer[5] == 0 && buffer[10004] == 0 && buffer[10005] == 'd');
    try(FALLOC_FL_ZERO_RANGE, 16000, 10000);
    CHECK_EQ(size(), 26000);
}

TEST_CASE(collapse_and_insert)
{
    setup();
    CHECK_EQ(pwrite(fd, "M", 1, 8192), 1);
    try(FALLOC_FL_COLLAPSE_RANGE, 4096, 4096);
    CHECK_EQ(size(), 12288);
    CHECK_EQ(pread(fd, buffer, 1, 4096), 1);
    CHECK_EQ(buffer[0], 'M');
    try(FALLOC_FL_INSERT_RANGE, 4096, 4096);
    CHECK_EQ(size(), 16384);
    CHECK_EQ(pread(fd, buffer, 1, 8192), 1);
    CHECK_EQ(buffer[0], 'M');
}

TEST_CASE(errors)
{
    int ends[2];
    setup();
    try(0, 0, 1);
    CHECK_OK(pipe(ends));
    int ro = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK_ERRNO(fallocate(fd, 0, -1, 10), EINVAL);
    CHECK_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
    CHECK_ERRNO(fallocate(fd, 0, 0, -1), EINVAL);
    CHECK_ERRNO(fallocate(fd, 0x8000, 0, 10), EOPNOTSUPP);
    CHECK_ERRNO(fallocate(ro, 0, 0, 10), EBADF);
    CHECK_ERRNO(fallocate(ends[1], 0, 0, 10), ESPIPE);
    CHECK_ERRNO(fallocate(9999, 0, 0, 10), EBADF);
    CHECK_ERRNO(fallocate(fd, 0, LLONG_MAX, 10), EFBIG);
}
