/*
 * stat.c: stat family: types, sizes, links, times, flags.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/sysmacros.h>

TEST_CASE(regular_file)
{
    struct stat st;
    time_t before = time(NULL);
    guest_write_file("f", "12345");
    CHECK_OK(stat("f", &st));
    CHECK_EQ(st.st_mode, S_IFREG | 0644);
    CHECK_EQ(st.st_size, 5);
    CHECK_EQ(st.st_nlink, 1);
    CHECK_EQ(st.st_uid, geteuid());
    CHECK(st.st_ino != 0);
    CHECK(st.st_blksize > 0);
    CHECK(st.st_mtime >= before - 1 && st.st_mtime <= time(NULL) + 1);
    struct stat by_fd;
    int fd = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK_OK(fstat(fd, &by_fd));
    CHECK_EQ(by_fd.st_ino, st.st_ino);
    CHECK_EQ(by_fd.st_dev, st.st_dev);
}

TEST_CASE(symlink_and_lstat)
{
    struct stat st;
    guest_write_file("f", "12345");
    CHECK_OK(symlink("f", "l"));
    CHECK_OK(stat("l", &st));
    CHECK(S_ISREG(st.st_mode));
    CHECK_OK(lstat("l", &st));
    CHECK_EQ(st.st_mode, S_IFLNK | 0777);
    CHECK_EQ(st.st_size, 1);
    CHECK_OK(fstatat(AT_FDCWD, "l", &st, AT_SYMLINK_NOFOLLOW));
    CHECK(S_ISLNK(st.st_mode));
    CHECK_OK(unlink("f"));
    CHECK_ERRNO(stat("l", &st), ENOENT);
    CHECK_OK(lstat("l", &st));
}

TEST_CASE(directory_links)
{
    struct stat st;
    CHECK_OK(mkdir("d", 0755));
    CHECK_OK(stat("d", &st));
    CHECK(S_ISDIR(st.st_mode));
    CHECK(st.st_nlink == 2 || st.st_nlink == 1);
    nlink_t base = st.st_nlink;
    CHECK_OK(mkdir("d/sub", 0755));
    CHECK_OK(stat("d", &st));
    CHECK(st.st_nlink == base + 1 || base == 1);
}

TEST_CASE(devices)
{
    struct stat st;
    CHECK_OK(stat("/dev/null", &st));
    CHECK(S_ISCHR(st.st_mode));
    CHECK_EQ(major(st.st_rdev), 1);
    CHECK_EQ(minor(st.st_rdev), 3);
    CHECK_EQ(st.st_size, 0);
}

TEST_CASE(errors)
{
    struct stat st;
    guest_write_file("f", "");
    CHECK_ERRNO(stat("missing", &st), ENOENT);
    CHECK_ERRNO(stat("f/x", &st), ENOTDIR);
    CHECK_ERRNO(stat("", &st), ENOENT);
    CHECK_ERRNO(fstat(9999, &st), EBADF);
    CHECK_ERRNO(fstatat(AT_FDCWD, "f", &st, 0x8000), EINVAL);
    CHECK_ERRNO(syscall(SYS_stat, "f", guest_bad()), EFAULT);
    CHECK_ERRNO(syscall(SYS_stat, guest_bad(), &st), EFAULT);
}

TEST_CASE(times_move)
{
    struct stat a;
    struct stat b;
    char byte;
    guest_write_file("f", "x");
    CHECK_OK(stat("f", &a));
    guest_sleep_ms(20);
    int fd = (int)CHECK_OK(open("f", O_RDWR));
    CHECK_EQ(read(fd, &byte, 1), 1);
    CHECK_EQ(write(fd, "y", 1), 1);
    CHECK_OK(fstat(fd, &b));
    CHECK(b.st_mtim.tv_sec > a.st_mtim.tv_sec || b.st_mtim.tv_nsec > a.st_mtim.tv_nsec);
    CHECK(b.st_ctim.tv_sec > a.st_ctim.tv_sec || b.st_ctim.tv_nsec > a.st_ctim.tv_nsec);
    guest_sleep_ms(20);
    CHECK_OK(chmod("f", 0600));
    CHECK_OK(stat("f", &a));
    CHECK_EQ(a.st_mtim.tv_nsec, b.st_mtim.tv_nsec);
    CHECK(a.st_ctim.tv_sec > b.st_ctim.tv_sec || a.st_ctim.tv_nsec > b.st_ctim.tv_nsec);
}

TEST_CASE(directory_time_changes_with_its_entries)
{
    struct stat a;
    struct stat b;
    CHECK_OK(mkdir("d", 0755));
    CHECK_OK(stat("d", &a));
    guest_sleep_ms(20);
    guest_write_file("d/f", "");
    CHECK_OK(stat("d", &b));
    CHECK(b.st_mtim.tv_sec > a.st_mtim.tv_sec || b.st_mtim.tv_nsec > a.st_mtim.tv_nsec);
}
