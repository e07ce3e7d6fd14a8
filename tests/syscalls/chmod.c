/*
 * chmod.c: chmod and chown: bits, permission, and clearing of setuid.
 */
#include "tests/syscalls/guest_test.h"

static mode_t mode_of(const char *name)
{
    struct stat st;
    CHECK_OK(stat(name, &st));
    return st.st_mode & 07777;
}

TEST_CASE(all_bits)
{
    guest_write_file("f", "");
    CHECK_OK(chmod("f", 07777));
    CHECK_EQ(mode_of("f"), 07777);
    CHECK_OK(chmod("f", 0));
    CHECK_EQ(mode_of("f"), 0);
    CHECK_OK(fchmodat(AT_FDCWD, "f", 0641, 0));
    CHECK_EQ(mode_of("f"), 0641);
    CHECK_OK(chmod("f", 0100644)); /* type bits are ignored */
    CHECK_EQ(mode_of("f"), 0644);
}

TEST_CASE(by_descriptor_and_link)
{
    guest_write_file("f", "");
    CHECK_OK(symlink("f", "l"));
    CHECK_OK(chmod("l", 0600));
    CHECK_EQ(mode_of("f"), 0600);
    int fd = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK_OK(fchmod(fd, 0604));
    CHECK_EQ(mode_of("f"), 0604);
}

TEST_CASE(errors)
{
    CHECK_ERRNO(chmod("missing", 0644), ENOENT);
    CHECK_ERRNO(fchmod(9999, 0644), EBADF);
    CHECK_ERRNO(chown("missing", 0, 0), ENOENT);
    CHECK_ERRNO(fchownat(AT_FDCWD, ".", (uid_t)-1, (gid_t)-1, 0x8000), EINVAL);
    if (geteuid() != 0) {
        guest_write_file("f", "");
        CHECK_ERRNO(chown("f", 0, (gid_t)-1), EPERM);
        CHECK_ERRNO(chown("f", (uid_t)-1, 0), EPERM);
        CHECK_OK(chown("f", geteuid(), getegid()));
        CHECK_OK(chown("f", (uid_t)-1, (gid_t)-1));
        CHECK_ERRNO(chmod("/", 0755), EPERM);
    }
}

TEST_CASE(writing_clears_setuid)
{
    guest_write_file("f", "x");
    pid_t pid = guest_fork();
    if (pid == 0) {
        if (guest_can_switch_user()) {
            CHECK_OK(chown("f", 12345, 12345));
            CHECK_OK(chmod(".", 0755));
            guest_become_user();
        }
        if (guest_has_cap(4 /* CAP_FSETID */)) {
            _exit(0);
        }
        CHECK_OK(chmod("f", 06755));
        int fd = (int)CHECK_OK(open("f", O_WRONLY));
        CHECK_EQ(write(fd, "y", 1), 1);
        CHECK_EQ(mode_of("f"), 0755);
        CHECK_OK(chmod("f", 04755));
        CHECK_OK(ftruncate(fd, 0));
        CHECK_EQ(mode_of("f"), 0755);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(chown_clears_setuid)
{
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    guest_write_file("f", "");
    CHECK_OK(chmod("f", 06755));
    CHECK_OK(chown("f", 12345, 12345));
    CHECK_EQ(mode_of("f"), 0755);
    CHECK_OK(chmod("f", 02644));
    CHECK_OK(chown("f", 0, 0));
    CHECK_EQ(mode_of("f"), 02644); /* not executable by the group: means locking, stays */
}

TEST_CASE(lchown_changes_the_link)
{
    struct stat st;
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    guest_write_file("f", "");
    CHECK_OK(symlink("f", "l"));
    CHECK_OK(lchown("l", 23456, (gid_t)-1));
    CHECK_OK(lstat("l", &st));
    CHECK_EQ(st.st_uid, 23456);
    CHECK_OK(stat("f", &st));
    CHECK_EQ(st.st_uid, 0);
    CHECK_OK(chown("l", 34567, 34567));
    CHECK_OK(stat("f", &st));
    CHECK_EQ(st.st_uid, 34567);
}

TEST_CASE(only_the_owner_may)
{
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    guest_write_file("f", "");
    CHECK_OK(chmod("f", 0666));
    CHECK_OK(chmod(".", 0755));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_become_user();
        CHECK_ERRNO(chmod("f", 0777), EPERM);
        CHECK_ERRNO(chown("f", 12345, (gid_t)-1), EPERM);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(setgid_needs_membership)
{
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    guest_write_file("f", "");
    CHECK_OK(chown("f", 12345, 23456));
    CHECK_OK(chmod(".", 0755));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_become_user();
        CHECK_OK(chmod("f", 02755));
        CHECK_EQ(mode_of("f"), 0755); /* Linux: dropped silently */
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}
