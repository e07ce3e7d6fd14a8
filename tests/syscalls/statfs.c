/*
 * statfs.c: statfs and the sync family.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/statfs.h>

TEST_CASE(plausible)
{
    struct statfs a;
    struct statfs b;
    CHECK_OK(statfs(".", &a));
    CHECK(a.f_bsize > 0 && a.f_bsize <= 1 << 20);
    CHECK(a.f_bfree <= a.f_blocks);
    CHECK(a.f_bavail <= a.f_bfree);
    CHECK(a.f_namelen >= 255);
    int fd = (int)CHECK_OK(open(".", O_RDONLY));
    CHECK_OK(fstatfs(fd, &b));
    CHECK_EQ(a.f_type, b.f_type);
    CHECK_EQ(a.f_blocks, b.f_blocks);
}

TEST_CASE(known_types)
{
    struct statfs s;
    int ends[2];
    CHECK_OK(statfs("/proc", &s));
    CHECK_EQ(s.f_type, 0x9fa0);
    CHECK_OK(pipe(ends));
    CHECK_OK(fstatfs(ends[0], &s));
    CHECK_EQ(s.f_type, 0x50495045);
}

TEST_CASE(statfs_errors)
{
    struct statfs s;
    CHECK_ERRNO(statfs("missing", &s), ENOENT);
    CHECK_ERRNO(fstatfs(9999, &s), EBADF);
    CHECK_ERRNO(syscall(SYS_statfs, ".", guest_bad()), EFAULT);
}

TEST_CASE(syncing)
{
    int ends[2];
    int fd = (int)CHECK_OK(open("f", O_RDWR | O_CREAT, 0644));
    CHECK_EQ(write(fd, "x", 1), 1);
    CHECK_OK(fsync(fd));
    CHECK_OK(fdatasync(fd));
    CHECK_OK(syncfs(fd));
    int dir = (int)CHECK_OK(open(".", O_RDONLY));
    CHECK_OK(fsync(dir));
    CHECK_ERRNO(fsync(9999), EBADF);
    CHECK_OK(pipe(ends));
    CHECK_ERRNO(fsync(ends[0]), EINVAL);
    CHECK_OK(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
    CHECK_ERRNO(sync_file_range(fd, 0, 0, 0x80), EINVAL);
    CHECK_ERRNO(sync_file_range(ends[0], 0, 0, SYNC_FILE_RANGE_WRITE), ESPIPE);
}

TEST_CASE(fadvise_and_readahead)
{
    int ends[2];
    int fd = (int)CHECK_OK(open("f", O_RDWR | O_CREAT, 0644));
    for (int advice = 0; advice < 6; advice++) {
        CHECK_EQ(posix_fadvise(fd, 0, 0, advice), 0);
    }
    CHECK_EQ(posix_fadvise(fd, 0, 0, 99), EINVAL);
    CHECK_EQ(posix_fadvise(9999, 0, 0, 0), EBADF);
    CHECK_OK(pipe(ends));
    CHECK_EQ(posix_fadvise(ends[0], 0, 0, 0), ESPIPE);
    CHECK_OK(readahead(fd, 0, 4096));
}
