/*
 * open.c: open and openat: every flag that has a visible effect, and the errors.
 */
#include "tests/syscalls/guest_test.h"

static char buffer[64];

TEST_CASE(create_and_exclusive)
{
    struct stat st;
    int fd = (int)CHECK_OK(open("f", O_WRONLY | O_CREAT | O_EXCL, 0666));
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_mode, S_IFREG | 0644); /* umask 022 */
    CHECK_EQ(st.st_uid, geteuid());
    CHECK_ERRNO(open("f", O_WRONLY | O_CREAT | O_EXCL, 0666), EEXIST);
    CHECK_OK(symlink("target", "l"));
    CHECK_ERRNO(open("l", O_WRONLY | O_CREAT | O_EXCL, 0666), EEXIST);
    CHECK_OK(open("l", O_WRONLY | O_CREAT, 0600)); /* through the link */
    CHECK_OK(stat("target", &st));
    CHECK_EQ(st.st_mode & 0777, 0600);
}

TEST_CASE(truncate)
{
    struct stat st;
    guest_write_file("f", "contents");
    CHECK_OK(close((int)CHECK_OK(open("f", O_WRONLY))));
    CHECK_OK(stat("f", &st));
    CHECK_EQ(st.st_size, 8);
    CHECK_OK(close((int)CHECK_OK(open("f", O_WRONLY | O_TRUNC))));
    CHECK_OK(stat("f", &st));
    CHECK_EQ(st.st_size, 0);
}

TEST_CASE(append)
{
    guest_write_file("f", "abc");
    int fd = (int)CHECK_OK(open("f", O_RDWR | O_APPEND));
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
    CHECK_EQ(write(fd, "d", 1), 1);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 4);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(write(fd, "e", 1), 1);
    CHECK_EQ(pwrite(fd, "f", 1, 0), 1); /* Linux: appends in spite of the offset */
    CHECK_EQ(guest_read_file("f", buffer, sizeof(buffer)), 6);
    CHECK(strcmp(buffer, "abcdef") == 0);
}

TEST_CASE(access_modes)
{
    guest_write_file("f", "abc");
    int ro = (int)CHECK_OK(open("f", O_RDONLY));
    int wo = (int)CHECK_OK(open("f", O_WRONLY));
    CHECK_ERRNO(write(ro, "x", 1), EBADF);
    CHECK_ERRNO(read(wo, buffer, 1), EBADF);
    CHECK_ERRNO(ftruncate(ro, 0), EINVAL);
    CHECK_EQ(fcntl(ro, F_GETFL) & O_ACCMODE, O_RDONLY);
    CHECK_EQ(fcntl(wo, F_GETFL) & O_ACCMODE, O_WRONLY);
    int none = (int)CHECK_OK(open("f", 3)); /* Linux: neither read nor write, only ioctl */
    CHECK_ERRNO(read(none, buffer, 1), EBADF);
    CHECK_ERRNO(write(none, buffer, 1), EBADF);
}

TEST_CASE(directory_flag)
{
    guest_write_file("f", "");
    CHECK_OK(mkdir("d", 0755));
    CHECK_ERRNO(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
    int fd = (int)CHECK_OK(open("d", O_RDONLY | O_DIRECTORY));
    CHECK_ERRNO(read(fd, buffer, 1), EISDIR);
    CHECK_ERRNO(open("d", O_WRONLY), EISDIR);
    CHECK_ERRNO(open("d", O_RDWR), EISDIR);
    CHECK_ERRNO(open("d", O_RDONLY | O_CREAT, 0644), EISDIR);
    CHECK_ERRNO(open("missing", O_RDONLY | O_DIRECTORY | O_CREAT, 0644), EINVAL);
}

TEST_CASE(nofollow)
{
    guest_write_file("f", "");
    CHECK_OK(symlink("f", "l"));
    CHECK_OK(mkdir("d", 0755));
    CHECK_OK(symlink("d", "ld"));
    CHECK_ERRNO(open("l", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK_OK(open("f", O_RDONLY | O_NOFOLLOW));
    guest_write_file("d/x", "");
    CHECK_OK(open("ld/x", O_RDONLY | O_NOFOLLOW)); /* only the last part counts */
    CHECK_ERRNO(open("ld", O_RDONLY | O_NOFOLLOW | O_DIRECTORY), ENOTDIR);
}

TEST_CASE(path_errors)
{
    char longname[300];
    guest_write_file("f", "");
    memset(longname, 'n', sizeof(longname));
    longname[255] = '\0';
    CHECK_OK(open(longname, O_WRONLY | O_CREAT, 0644));
    longname[255] = 'n';
    longname[256] = '\0';
    CHECK_ERRNO(open(longname, O_WRONLY | O_CREAT, 0644), ENAMETOOLONG);
    CHECK_ERRNO(open("missing", O_RDONLY), ENOENT);
    CHECK_ERRNO(open("missing/f", O_RDONLY | O_CREAT, 0644), ENOENT);
    CHECK_ERRNO(open("f/x", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(open("f/", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(open("new/", O_WRONLY | O_CREAT, 0644), EISDIR);
    CHECK_ERRNO(open("", O_RDONLY), ENOENT);
    CHECK_ERRNO(syscall(SYS_open, guest_bad(), O_RDONLY), EFAULT);
    CHECK_OK(symlink("a", "b"));
    CHECK_OK(symlink("b", "a"));
    CHECK_ERRNO(open("a", O_RDONLY), ELOOP);
}

TEST_CASE(openat_relative)
{
    CHECK_OK(mkdir("d", 0755));
    int dir = (int)CHECK_OK(open("d", O_RDONLY | O_DIRECTORY));
    CHECK_OK(openat(dir, "x", O_WRONLY | O_CREAT, 0644));
    CHECK_OK(access("d/x", F_OK));
    CHECK_OK(rename("d", "e"));
    CHECK_OK(openat(dir, "x", O_RDONLY)); /* follows the directory, not the name */
    guest_write_file("f", "");
    int file = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK_ERRNO(openat(file, "x", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(openat(9999, "x", O_RDONLY), EBADF);
    CHECK_OK(openat(9999, "/dev/null", O_RDONLY)); /* absolute: the descriptor does not matter */
}

TEST_CASE(lowest_descriptor_and_cloexec)
{
    int a = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    int b = (int)CHECK_OK(open("/dev/null", O_RDONLY | O_CLOEXEC));
    CHECK_EQ(b, a + 1);
    CHECK_EQ(fcntl(a, F_GETFD), 0);
    CHECK_EQ(fcntl(b, F_GETFD), FD_CLOEXEC);
    CHECK_OK(close(a));
    CHECK_EQ(open("/dev/null", O_RDONLY), a);
}

TEST_CASE(creat_and_unwritable_mode)
{
    int fd = (int)CHECK_OK(creat("f", 0400));
    CHECK_EQ(write(fd, "still", 5), 5); /* the mode applies to later opens only */
    CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_WRONLY);
    if (!guest_has_cap(1 /* CAP_DAC_OVERRIDE */)) {
        CHECK_ERRNO(open("f", O_WRONLY), EACCES);
    }
}

TEST_CASE(search_permission)
{
    CHECK_OK(mkdir("d", 0755));
    guest_write_file("d/f", "");
    CHECK_OK(chmod("d", 0600));
    if (guest_has_cap(1)) {
        CHECK_OK(open("d/f", O_RDONLY));
    } else {
        CHECK_ERRNO(open("d/f", O_RDONLY), EACCES);
        CHECK_ERRNO(open("d/missing", O_RDONLY), EACCES);
    }
    CHECK_OK(chmod("d", 0755));
}

TEST_CASE(flags_shown_by_getfl)
{
    guest_write_file("f", "");
    int fd = (int)CHECK_OK(open("f", O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC));
    int flags = fcntl(fd, F_GETFL);
    CHECK_EQ(flags & (O_ACCMODE | O_APPEND | O_NONBLOCK), O_RDWR | O_APPEND | O_NONBLOCK);
    CHECK_EQ(flags & O_SYNC, O_SYNC);
    CHECK_EQ(flags & (O_CREAT | O_TRUNC | O_EXCL), 0);
}
