/*
 * errno_attributes.c: stat, access, chmod, chown, times, truncate, extended attributes, allocation.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/falloc.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/xattr.h>

static char buffer[256];

TEST_CASE(stat_family)
{
    struct stat st;
    guest_write_file("f", "hello");
    CHECK_OK(symlink("f", "s"));
    CHECK_OK(stat("s", &st));
    CHECK_EQ(st.st_mode, S_IFREG | 0644);
    CHECK_EQ(st.st_size, 5);
    CHECK_OK(lstat("s", &st));
    CHECK(S_ISLNK(st.st_mode));
    CHECK_EQ(st.st_size, 1);
    CHECK_ERRNO(stat("absent", &st), ENOENT);
    CHECK_ERRNO(stat("", &st), ENOENT);
    CHECK_ERRNO(fstat(-1, &st), EBADF);
    CHECK_ERRNO(syscall(SYS_stat, "f", guest_bad()), EFAULT);
    CHECK_ERRNO(fstatat(AT_FDCWD, "f", &st, 0x40000), EINVAL);
    int fd = (int)CHECK_OK(open("f", O_PATH));
    CHECK_OK(fstatat(fd, "", &st, AT_EMPTY_PATH));
    CHECK_EQ(st.st_size, 5);
    CHECK_ERRNO(fstatat(fd, "", &st, 0), ENOENT);
    CHECK_ERRNO(fstatat(fd, "x", &st, 0), ENOTDIR);
    CHECK_OK(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
    CHECK(S_ISDIR(st.st_mode));
    int ends[2];
    CHECK_OK(pipe(ends));
    CHECK_OK(fstatat(ends[0], "", &st, AT_EMPTY_PATH));
    CHECK(S_ISFIFO(st.st_mode));
}

TEST_CASE(statx_call)
{
    struct statx sx;
    guest_write_file("f", "hello");
    CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, "f", 0, 0x80000000U, &sx), EINVAL);
    CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, "f", 0x6000, STATX_ALL, &sx), EINVAL);
    CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, "absent", 0, STATX_ALL, &sx), ENOENT);
    CHECK_OK(syscall(SYS_statx, AT_FDCWD, "f", 0, STATX_BASIC_STATS, &sx));
    CHECK_EQ(sx.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
    CHECK_EQ(sx.stx_size, 5);
    CHECK_EQ(sx.stx_mode, S_IFREG | 0644);
    struct stat st;
    CHECK_OK(stat("f", &st));
    CHECK_EQ(sx.stx_ino, st.st_ino);
    CHECK_EQ(sx.stx_mtime.tv_nsec, st.st_mtim.tv_nsec);
}

TEST_CASE(statfs_call)
{
    struct statfs fs;
    CHECK_OK(statfs(".", &fs));
    CHECK(fs.f_bsize > 0 && fs.f_namelen > 0);
    int fd = (int)CHECK_OK(open(".", O_PATH));
    CHECK_OK(fstatfs(fd, &fs));
    CHECK_ERRNO(statfs("absent", &fs), ENOENT);
    CHECK_ERRNO(fstatfs(-1, &fs), EBADF);
    CHECK_ERRNO(syscall(SYS_statfs, ".", guest_bad()), EFAULT);
}

TEST_CASE(access_family)
{
    guest_write_file("f", "");
    CHECK_OK(access("f", F_OK));
    CHECK_OK(access("f", R_OK | W_OK));
    CHECK_ERRNO(access("f", X_OK), EACCES); /* no x bit: not even for root */
    CHECK_ERRNO(access("f", 8), EINVAL);
    CHECK_ERRNO(access("absent", F_OK), ENOENT);
    CHECK_ERRNO(syscall(439, AT_FDCWD, "f", R_OK, 0x4000), EINVAL); /* faccessat2 */
    CHECK_OK(syscall(439, AT_FDCWD, "f", R_OK, AT_EACCESS));
    CHECK_OK(symlink("absent", "s"));
    CHECK_OK(syscall(439, AT_FDCWD, "s", F_OK, AT_SYMLINK_NOFOLLOW));
    CHECK_ERRNO(access("s", F_OK), ENOENT);
}

TEST_CASE(access_asks_for_real_ids)
{
    if (!guest_can_switch_user()) {
        SKIP("cannot change user");
    }
    guest_write_file("f", "");
    CHECK_OK(chmod("f", 0600));
    CHECK_OK(chmod(".", 0755));
    CHECK_OK(setresuid(12345, 0, 0));
    CHECK_ERRNO(access("f", R_OK), EACCES);
    CHECK_OK(syscall(439, AT_FDCWD, "f", R_OK, AT_EACCESS));
}

TEST_CASE(modes_and_owners)
{
    struct stat st;
    guest_write_file("f", "");
    CHECK_OK(chmod("f", 04711));
    CHECK_OK(stat("f", &st));
    CHECK_EQ(st.st_mode, S_IFREG | 04711);
    CHECK_ERRNO(chmod("absent", 0644), ENOENT);
    CHECK_ERRNO(fchmod(-1, 0644), EBADF);
    CHECK_OK(chown("f", (uid_t)-1, (gid_t)-1));
    CHECK_ERRNO(fchownat(AT_FDCWD, "f", 0, 0, 0x4000), EINVAL);
    CHECK_ERRNO(lchown("absent", 0, 0), ENOENT);
    CHECK_EQ(umask(077), 022);
    CHECK_EQ(umask(022), 077);
}

TEST_CASE(times)
{
    struct stat st;
    guest_write_file("f", "");
    struct timespec ts[2] = {{100, 5}, {200, 7}};
    CHECK_OK(utimensat(AT_FDCWD, "f", ts, 0));
    CHECK_OK(stat("f", &st));
    CHECK_EQ(st.st_atim.tv_sec, 100);
    CHECK_EQ(st.st_mtim.tv_sec, 200);
    CHECK_EQ(st.st_mtim.tv_nsec, 7);
    ts[0].tv_nsec = UTIME_OMIT;
    ts[1].tv_nsec = UTIME_NOW;
    CHECK_OK(utimensat(AT_FDCWD, "f", ts, 0));
    CHECK_OK(stat("f", &st));
    CHECK_EQ(st.st_atim.tv_sec, 100);
    CHECK(st.st_mtim.tv_sec > 1000000);
    ts[1].tv_nsec = 1000000000;
    CHECK_ERRNO(utimensat(AT_FDCWD, "f", ts, 0), EINVAL);
    ts[0].tv_nsec = ts[1].tv_nsec = UTIME_OMIT;
    CHECK_OK(utimensat(-5, "absent", ts, 0));
    CHECK_ERRNO(utimensat(AT_FDCWD, "absent", NULL, 0), ENOENT);
    CHECK_ERRNO(syscall(SYS_utimensat, AT_FDCWD, NULL, NULL, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_utimensat, -5, NULL, NULL, 0), EBADF);
    int fd = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK_OK(futimens(fd, NULL));
    struct timeval tv[2] = {{1, 1000000}, {1, 0}};
    CHECK_ERRNO(utimes("f", tv), EINVAL);
}

TEST_CASE(truncation)
{
    struct stat st;
    guest_write_file("f", "hello");
    CHECK_ERRNO(truncate("f", -1), EINVAL);
    CHECK_ERRNO(truncate(".", 0), EISDIR);
    CHECK_ERRNO(truncate("absent", 0), ENOENT);
    CHECK_OK(truncate("f", 2));
    CHECK_OK(stat("f", &st));
    CHECK_EQ(st.st_size, 2);
    int fd = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK_ERRNO(ftruncate(fd, 0), EINVAL);
    CHECK_ERRNO(ftruncate(-1, -1), EINVAL);
    CHECK_ERRNO(ftruncate(-1, 0), EBADF);
    fd = (int)CHECK_OK(open("f", O_RDWR));
    CHECK_OK(ftruncate(fd, 100));
    CHECK_EQ(pread(fd, buffer, 200, 0), 100);
    CHECK_EQ(buffer[50], 0);
}

TEST_CASE(extended_attributes)
{
    guest_write_file("f", "");
    if (setxattr("f", "user.a", "value", 5, 0) < 0 && errno == EOPNOTSUPP) {
        SKIP("no extended attributes on this file system");
    }
    CHECK_EQ(getxattr("f", "user.a", buffer, sizeof(buffer)), 5);
    CHECK_EQ(getxattr("f", "user.a", NULL, 0), 5);
    CHECK_ERRNO(getxattr("f", "user.a", buffer, 2), ERANGE);
    CHECK_ERRNO(getxattr("f", "user.b", buffer, 2), ENODATA);
    CHECK_ERRNO(setxattr("f", "user.a", "v", 1, XATTR_CREATE), EEXIST);
    CHECK_ERRNO(setxattr("f", "user.b", "v", 1, XATTR_REPLACE), ENODATA);
    CHECK_ERRNO(setxattr("f", "user.b", "v", 1, 9), EINVAL);
    CHECK_ERRNO(setxattr("f", "", "v", 1, 0), ERANGE);
    CHECK_ERRNO(syscall(SYS_setxattr, "f", "user.b", buffer, 70000L, 0), E2BIG);
    CHECK_ERRNO(setxattr("absent", "user.b", "v", 1, 0), ENOENT);
    CHECK(listxattr("f", buffer, sizeof(buffer)) >= 7);
    CHECK_OK(removexattr("f", "user.a"));
    CHECK_ERRNO(removexattr("f", "user.a"), ENODATA);
    int fd = (int)CHECK_OK(open("f", O_PATH));
    CHECK_ERRNO(fgetxattr(fd, "user.a", buffer, 2), EBADF);
    CHECK_ERRNO(flistxattr(-1, buffer, 2), EBADF);
}

TEST_CASE(allocation)
{
    guest_write_file("f", "hello");
    int fd = (int)CHECK_OK(open("f", O_RDWR));
    int reader = (int)CHECK_OK(open("f", O_RDONLY));
    int ends[2];
    CHECK_OK(pipe(ends));
    CHECK_ERRNO(fallocate(fd, 0, -1, 1), EINVAL);
    CHECK_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
    CHECK_ERRNO(fallocate(fd, 0x1000, 0, 1), EOPNOTSUPP);
    CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 1), EOPNOTSUPP);
    CHECK_ERRNO(fallocate(reader, 0, 0, 1), EBADF);
    CHECK_ERRNO(fallocate(ends[1], 0, 0, 1), ESPIPE);
    CHECK_ERRNO(fallocate(-1, 0x1000, -1, 0), EBADF);
    CHECK_EQ(posix_fadvise(fd, 0, -1, 0), EINVAL);
    CHECK_EQ(posix_fadvise(fd, 0, 0, 77), EINVAL);
    CHECK_EQ(posix_fadvise(ends[0], 0, 0, 0), ESPIPE);
    CHECK_ERRNO(fsync(ends[0]), EINVAL);
    CHECK_ERRNO(fsync(-1), EBADF);
    CHECK_OK(fsync(fd));
    CHECK_OK(fdatasync(fd));
    CHECK_ERRNO(sync_file_range(fd, -1, 0, 0), EINVAL);
    CHECK_ERRNO(sync_file_range(fd, 0, 0, 64), EINVAL);
    CHECK_ERRNO(sync_file_range(ends[0], 0, 0, 0), ESPIPE);
    CHECK_ERRNO(readahead(ends[0], 0, 1), EINVAL);
}
