/*
 * utimensat.c: setting times: values, now, omit, permissions.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/time.h>
#include <utime.h>

static struct stat st;

TEST_CASE(nanoseconds)
{
    struct timespec t[2] = {{1000000000, 123456789}, {1500000000, 987654321}};
    guest_write_file("f", "");
    CHECK_OK(utimensat(AT_FDCWD, "f", t, 0));
    CHECK_OK(stat("f", &st));
    CHECK_EQ(st.st_atim.tv_sec, 1000000000);
    CHECK_EQ(st.st_atim.tv_nsec, 123456789);
    CHECK_EQ(st.st_mtim.tv_sec, 1500000000);
    CHECK_EQ(st.st_mtim.tv_nsec, 987654321);
    CHECK(st.st_ctim.tv_sec > 1600000000);
}

TEST_CASE(now_and_omit)
{
    struct timespec t[2] = {{1000000000, 5}, {1000000000, 6}};
    guest_write_file("f", "");
    CHECK_OK(utimensat(AT_FDCWD, "f", t, 0));
    t[0] = (struct timespec){77, UTIME_OMIT};
    t[1] = (struct timespec){77, UTIME_NOW};
    CHECK_OK(utimensat(AT_FDCWD, "f", t, 0));
    CHECK_OK(stat("f", &st));
    CHECK_EQ(st.st_atim.tv_nsec, 5);
    CHECK(st.st_mtim.tv_sec > 1600000000);
    t[1].tv_nsec = UTIME_OMIT;
    CHECK_OK(utimensat(AT_FDCWD, "f", t, 0));
    CHECK_OK(utimensat(AT_FDCWD, "f", NULL, 0));
    CHECK_OK(stat("f", &st));
    CHECK(st.st_atim.tv_sec > 1600000000);
}

TEST_CASE(by_descriptor_and_link)
{
    struct timespec t[2] = {{1000, 0}, {2000, 0}};
    guest_write_file("f", "");
    CHECK_OK(symlink("f", "l"));
    int fd = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK_OK(futimens(fd, t));
    CHECK_OK(stat("f", &st));
    CHECK_EQ(st.st_mtime, 2000);
    t[1].tv_sec = 3000;
    CHECK_OK(utimensat(AT_FDCWD, "l", t, AT_SYMLINK_NOFOLLOW));
    CHECK_OK(stat("f", &st));
    CHECK_EQ(st.st_mtime, 2000);
    CHECK_OK(lstat("l", &st));
    CHECK_EQ(st.st_mtime, 3000);
}

TEST_CASE(older_calls)
{
    struct utimbuf u = {111, 222};
    struct timeval tv[2] = {{333, 500000}, {444, 0}};
    guest_write_file("f", "");
    CHECK_OK(syscall(SYS_utime, "f", &u));
    CHECK_OK(stat("f", &st));
    CHECK(st.st_atime == 111 && st.st_mtime == 222);
    CHECK_OK(syscall(SYS_utimes, "f", tv));
    CHECK_OK(stat("f", &st));
    CHECK_EQ(st.st_atim.tv_nsec, 500000000);
    CHECK_EQ(st.st_mtime, 444);
    tv[0].tv_usec = 1000000;
    CHECK_ERRNO(syscall(SYS_utimes, "f", tv), EINVAL);
}

TEST_CASE(errors)
{
    struct timespec t[2] = {{0, 1000000000}, {0, 0}};
    guest_write_file("f", "");
    CHECK_ERRNO(utimensat(AT_FDCWD, "f", t, 0), EINVAL);
    t[0].tv_nsec = 0;
    CHECK_ERRNO(utimensat(AT_FDCWD, "missing", t, 0), ENOENT);
    CHECK_ERRNO(utimensat(AT_FDCWD, "f", t, 0x8000), EINVAL);
    CHECK_ERRNO(syscall(SYS_utimensat, AT_FDCWD, "f", guest_bad(), 0), EFAULT);
    CHECK_ERRNO(futimens(9999, t), EBADF);
}

TEST_CASE(permissions)
{
    struct timespec t[2] = {{1000, 0}, {1000, 0}};
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    guest_write_file("f", "");
    guest_write_file("g", "");
    CHECK_OK(chmod("f", 0666));
    CHECK_OK(chmod(".", 0755));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_become_user();
        CHECK_OK(utimensat(AT_FDCWD, "f", NULL, 0)); /* write permission is enough for now */
        CHECK_ERRNO(utimensat(AT_FDCWD, "f", t, 0), EPERM);
        CHECK_ERRNO(utimensat(AT_FDCWD, "g", NULL, 0), EACCES);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}
