/*
 * chroot.c: chroot, where it is allowed.
 */
#include "tests/syscalls/guest_test.h"

static void need(void)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        _exit(chroot(".") == 0 ? 0 : 1);
    }
    if (guest_wait(pid) != 0) {
        SKIP("chroot is not allowed here");
    }
}

TEST_CASE(ordinary_users_may_not)
{
    if (!guest_has_cap(18 /* CAP_SYS_CHROOT */)) {
        CHECK_ERRNO(chroot("."), EPERM);
    } else {
        CHECK_ERRNO(chroot("missing"), ENOENT);
    }
}

TEST_CASE(paths_start_there)
{
    char buffer[PATH_MAX];
    need();
    CHECK_OK(mkdir("jail", 0755));
    guest_write_file("jail/inside", "in");
    guest_write_file("outside", "out");
    CHECK_OK(symlink("/inside", "jail/link"));
    CHECK_OK(chroot("jail"));
    CHECK_OK(chdir("/"));
    CHECK_OK(access("/inside", F_OK));
    CHECK_OK(access("/../../inside", F_OK));
    CHECK_OK(access("/link", F_OK)); /* absolute links start at the new root */
    CHECK_ERRNO(access("/../outside", F_OK), ENOENT);
    CHECK(getcwd(buffer, sizeof(buffer)));
    CHECK(strcmp(buffer, "/") == 0);
}

TEST_CASE(old_working_directory_stays_outside)
{
    char buffer[PATH_MAX];
    need();
    CHECK_OK(mkdir("jail", 0755));
    guest_write_file("outside", "out");
    CHECK_OK(chroot("jail"));
    CHECK_OK(access("outside", F_OK));
    CHECK(syscall(SYS_getcwd, buffer, sizeof(buffer)) > 0);
    CHECK(strncmp(buffer, "(unreachable)", 13) == 0);
}

TEST_CASE(inherited_and_per_process)
{
    need();
    CHECK_OK(mkdir("jail", 0755));
    guest_write_file("jail/inside", "in");
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(chroot("jail"));
        pid_t inner = guest_fork();
        if (inner == 0) {
            CHECK_OK(access("/inside", F_OK));
            _exit(0);
        }
        CHECK_CHILD_OK(inner);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_ERRNO(access("/inside", F_OK), ENOENT);
}
