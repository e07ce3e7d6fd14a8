/*
 * access.c: access, faccessat and faccessat2.
 */
#include "tests/syscalls/guest_test.h"

static bool powerful(void)
{
    return guest_has_cap(1 /* CAP_DAC_OVERRIDE */);
}

TEST_CASE(modes)
{
    guest_write_file("f", "");
    CHECK_OK(access("f", F_OK));
    CHECK_OK(access("f", R_OK | W_OK));
    CHECK_ERRNO(access("f", X_OK), EACCES); /* even for root: no x bit at all */
    CHECK_OK(chmod("f", 0100));
    CHECK_OK(access("f", X_OK));
    if (powerful()) {
        CHECK_OK(access("f", R_OK));
    } else {
        CHECK_ERRNO(access("f", R_OK), EACCES);
        CHECK_ERRNO(access("f", R_OK | X_OK), EACCES);
    }
}

TEST_CASE(errors)
{
    guest_write_file("f", "");
    CHECK_OK(symlink("missing", "l"));
    CHECK_ERRNO(access("missing", F_OK), ENOENT);
    CHECK_ERRNO(access("l", F_OK), ENOENT);
    CHECK_ERRNO(access("f/x", F_OK), ENOTDIR);
    CHECK_ERRNO(access("f", 8), EINVAL);
    CHECK_ERRNO(syscall(SYS_access, guest_bad(), F_OK), EFAULT);
}

TEST_CASE(faccessat2_flags)
{
    CHECK_OK(symlink("missing", "l"));
    long result = syscall(SYS_faccessat2, AT_FDCWD, "l", F_OK, AT_SYMLINK_NOFOLLOW);
    if (result < 0 && errno == ENOSYS) {
        SKIP("no faccessat2");
    }
    CHECK_EQ(result, 0);
    int fd = (int)CHECK_OK(open(".", O_RDONLY));
    CHECK_OK(syscall(SYS_faccessat2, fd, "", R_OK, AT_EMPTY_PATH));
    CHECK_OK(syscall(SYS_faccessat2, AT_FDCWD, ".", R_OK, AT_EACCESS));
    CHECK_ERRNO(syscall(SYS_faccessat2, AT_FDCWD, ".", R_OK, 0x8000), EINVAL);
    CHECK_ERRNO(syscall(SYS_faccessat, 9999, "x", R_OK), EBADF);
}

TEST_CASE(real_and_effective_ids)
{
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    guest_write_file("f", "");
    CHECK_OK(chmod("f", 0600));
    CHECK_OK(chmod(".", 0755));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(setresuid(12345, 0, 0)); /* like a setuid program */
        CHECK_ERRNO(access("f", R_OK), EACCES);
        CHECK_OK(syscall(SYS_faccessat2, AT_FDCWD, "f", R_OK, AT_EACCESS));
        CHECK_OK(open("f", O_RDONLY));
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(owner_group_other_are_exclusive)
{
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    guest_write_file("f", "");
    CHECK_OK(chown("f", 12345, 12345));
    CHECK_OK(chmod("f", 0077)); /* the owner has nothing although others have all */
    CHECK_OK(chmod(".", 0755));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_become_user();
        CHECK_ERRNO(access("f", R_OK), EACCES);
        CHECK_ERRNO(open("f", O_RDONLY), EACCES);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}
