/*
 * errno_open.c: open, openat, openat2, creat: flags, precedence of errors, results.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/openat2.h>

static long openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    return syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}

TEST_CASE(paths)
{
    char name[5000];
    CHECK_ERRNO(open("", O_RDONLY), ENOENT);
    CHECK_ERRNO(open("absent", O_RDONLY), ENOENT);
    CHECK_ERRNO(open("absent/x", O_RDONLY), ENOENT);
    CHECK_ERRNO(syscall(SYS_open, guest_bad(), O_RDONLY), EFAULT);
    memset(name, 'a', sizeof(name));
    name[4999] = '\0';
    CHECK_ERRNO(open(name, O_RDONLY), ENAMETOOLONG);
    name[256] = '\0';
    CHECK_ERRNO(open(name, O_RDONLY), ENAMETOOLONG);
    guest_write_file("f", "x");
    CHECK_ERRNO(open("f/x", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_ERRNO(open("f", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
    CHECK_ERRNO(open(".", O_RDWR), EISDIR);
    CHECK_OK(symlink("loop", "loop"));
    CHECK_ERRNO(open("loop", O_RDONLY), ELOOP);
    CHECK_OK(symlink("f", "link"));
    CHECK_ERRNO(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
}

TEST_CASE(directory_descriptors)
{
    guest_write_file("f", "x");
    int file = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK_ERRNO(openat(-5, "f", O_RDONLY), EBADF);
    CHECK_ERRNO(openat(file, "f", O_RDONLY), ENOTDIR);
    CHECK_OK(openat(-5, "/", O_RDONLY)); /* not looked at for an absolute path */
    CHECK_ERRNO(openat(-5, "", O_RDONLY), ENOENT);
    int dir = (int)CHECK_OK(open(".", O_PATH));
    CHECK_OK(openat(dir, "f", O_RDONLY));
}

TEST_CASE(status_flags)
{
    int fd = (int)CHECK_OK(open("f", O_CREAT | O_RDWR | O_APPEND | O_TRUNC | O_CLOEXEC, 0600));
    CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | O_APPEND | 0100000);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    struct stat st;
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_mode, S_IFREG | 0600);
    fd = (int)CHECK_OK(open("f", O_PATH | O_RDWR));
    CHECK_EQ(fcntl(fd, F_GETFL), O_PATH);
    fd = (int)CHECK_OK(creat("g", 0777)); /* umask 022 */
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_mode, S_IFREG | 0755);
}

TEST_CASE(lowest_descriptor_and_limit)
{
    int a = (int)CHECK_OK(open(".", O_RDONLY));
    int b = (int)CHECK_OK(open(".", O_RDONLY));
    CHECK_EQ(b, a + 1);
    CHECK_OK(close(a));
    CHECK_EQ(open(".", O_RDONLY), a);
}

TEST_CASE(openat2_arguments)
{
    guest_write_file("f", "x");
    struct open_how how = {.flags = O_RDONLY};
    CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, "f", &how, 8), EINVAL);
    CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, "f", &how, 5000), E2BIG);
    CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, "f", guest_bad(), sizeof(how)), EFAULT);
    char larger[sizeof(how) + 8] = {0};
    CHECK_OK(syscall(SYS_openat2, AT_FDCWD, "f", larger, sizeof(larger)));
    larger[sizeof(how) + 3] = 1;
    CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, "f", larger, sizeof(larger)), E2BIG);
    CHECK_ERRNO(openat2(AT_FDCWD, "f", 1ULL << 40, 0, 0), EINVAL);
    CHECK_ERRNO(openat2(AT_FDCWD, "f", O_RDONLY, 0600, 0), EINVAL);
    CHECK_ERRNO(openat2(AT_FDCWD, "g", O_CREAT | O_RDWR, 010000, 0), EINVAL);
    CHECK_ERRNO(openat2(AT_FDCWD, "f", O_PATH | O_RDWR, 0, 0), EINVAL);
    CHECK_ERRNO(openat2(AT_FDCWD, "f", O_RDONLY, 0, 0x1000), EINVAL);
    CHECK_ERRNO(openat2(AT_FDCWD, "f", O_RDONLY, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT), EINVAL);
}

TEST_CASE(openat2_resolve)
{
    CHECK_OK(mkdir("d", 0755));
    guest_write_file("d/f", "x");
    CHECK_OK(symlink("f", "d/link"));
    CHECK_OK(symlink("/d/f", "d/absolute"));
    int dir = (int)CHECK_OK(open("d", O_PATH | O_DIRECTORY));
    CHECK_OK(openat2(dir, "f", O_RDONLY, 0, RESOLVE_BENEATH));
    CHECK_ERRNO(openat2(dir, "../d/f", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
    CHECK_ERRNO(openat2(dir, "/f", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
    CHECK_OK(openat2(dir, "/f", O_RDONLY, 0, RESOLVE_IN_ROOT));
    CHECK_OK(openat2(dir, "../../f", O_RDONLY, 0, RESOLVE_IN_ROOT));
    CHECK_ERRNO(openat2(dir, "absolute", O_RDONLY, 0, RESOLVE_IN_ROOT), ENOENT);
    CHECK_OK(openat2(dir, "link", O_RDONLY, 0, 0));
    CHECK_ERRNO(openat2(dir, "link", O_RDONLY, 0, RESOLVE_NO_SYMLINKS), ELOOP);
}

TEST_CASE(tmpfile)
{
    CHECK_ERRNO(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    if (fd < 0 && errno == EOPNOTSUPP) {
        SKIP("no O_TMPFILE on this file system");
    }
    CHECK_OK(fd);
    struct stat st;
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_nlink, 0);
    CHECK_EQ(write(fd, "abc", 3), 3);
}
