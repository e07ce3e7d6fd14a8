/*
 * statx.c: statx: masks, agreement with stat, errors.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/sysmacros.h>

static struct statx x;

TEST_CASE(agrees_with_stat)
{
    struct stat st;
    guest_write_file("f", "12345");
    CHECK_OK(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &x));
    CHECK_OK(stat("f", &st));
    CHECK_EQ(x.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
    CHECK_EQ(x.stx_mode, st.st_mode);
    CHECK_EQ(x.stx_size, st.st_size);
    CHECK_EQ(x.stx_ino, st.st_ino);
    CHECK_EQ(x.stx_nlink, st.st_nlink);
    CHECK_EQ(x.stx_uid, st.st_uid);
    CHECK_EQ(x.stx_blksize, st.st_blksize);
    CHECK_EQ(makedev(x.stx_dev_major, x.stx_dev_minor), st.st_dev);
    CHECK_EQ(x.stx_mtime.tv_sec, st.st_mtim.tv_sec);
    CHECK_EQ(x.stx_mtime.tv_nsec, st.st_mtim.tv_nsec);
}

TEST_CASE(flags)
{
    guest_write_file("f", "12345");
    CHECK_OK(symlink("f", "l"));
    CHECK_OK(statx(AT_FDCWD, "l", 0, STATX_TYPE, &x));
    CHECK_EQ(x.stx_mode & S_IFMT, S_IFREG);
    CHECK_OK(statx(AT_FDCWD, "l", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &x));
    CHECK_EQ(x.stx_mode & S_IFMT, S_IFLNK);
    int fd = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK_OK(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &x));
    CHECK_EQ(x.stx_size, 5);
    CHECK_OK(statx(AT_FDCWD, "f", AT_STATX_DONT_SYNC, STATX_SIZE, &x));
    CHECK_OK(statx(AT_FDCWD, "f", AT_STATX_FORCE_SYNC, STATX_SIZE, &x));
}

TEST_CASE(errors)
{
    CHECK_ERRNO(statx(AT_FDCWD, "missing", 0, STATX_BASIC_STATS, &x), ENOENT);
    CHECK_ERRNO(statx(AT_FDCWD, "", 0, STATX_BASIC_STATS, &x), ENOENT);
    CHECK_ERRNO(statx(AT_FDCWD, ".", 0, 0x80000000U, &x), EINVAL);
    CHECK_ERRNO(statx(AT_FDCWD, ".", 0x8000, STATX_BASIC_STATS, &x), EINVAL);
    CHECK_ERRNO(statx(AT_FDCWD, ".", AT_STATX_DONT_SYNC | AT_STATX_FORCE_SYNC, 0, &x), EINVAL);
    CHECK_ERRNO(statx(9999, "f", 0, STATX_BASIC_STATS, &x), EBADF);
    CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, ".", 0, STATX_BASIC_STATS, guest_bad()), EFAULT);
}
