/*
 * directory_modes.c: sticky directories, setgid inheritance, umask.
 */
#include "tests/syscalls/guest_test.h"

TEST_CASE(umask_masks)
{
    struct stat st;
    CHECK_EQ(umask(027), 022);
    CHECK_EQ(umask(027), 027);
    CHECK_OK(close((int)CHECK_OK(open("f", O_CREAT | O_WRONLY, 0777))));
    CHECK_OK(stat("f", &st));
    CHECK_EQ(st.st_mode & 07777, 0750);
    CHECK_OK(mkdir("d", 0777));
    CHECK_OK(stat("d", &st));
    CHECK_EQ(st.st_mode & 07777, 0750);
    CHECK_EQ(umask(0xfffff), 027);
    CHECK_EQ(umask(022), 0777); /* only permission bits are kept */
}

TEST_CASE(umask_is_inherited_not_shared)
{
    umask(077);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(umask(0), 077);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ(umask(022), 077);
}

TEST_CASE(setgid_directory_gives_its_group)
{
    struct stat st;
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    CHECK_OK(mkdir("d", 0777));
    CHECK_OK(chown("d", (uid_t)-1, 23456));
    CHECK_OK(chmod("d", 02777));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_become_user();
        CHECK_OK(close((int)CHECK_OK(open("d/f", O_CREAT | O_WRONLY, 0644))));
        CHECK_OK(mkdir("d/sub", 0755));
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_OK(stat("d/f", &st));
    CHECK_EQ(st.st_gid, 23456);
    CHECK_EQ(st.st_uid, 12345);
    CHECK_OK(stat("d/sub", &st));
    CHECK_EQ(st.st_gid, 23456);
    CHECK_EQ(st.st_mode & S_ISGID, S_ISGID);
}

TEST_CASE(sticky_directory)
{
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    CHECK_OK(chmod(".", 0755));
    CHECK_OK(mkdir("d", 0777));
    CHECK_OK(chmod("d", 01777));
    guest_write_file("d/theirs", "");
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_become_user();
        CHECK_ERRNO(unlink("d/theirs"), EPERM);
        CHECK_ERRNO(rename("d/theirs", "d/x"), EPERM);
        guest_write_file("d/mine", "");
        CHECK_ERRNO(rename("d/mine", "d/theirs"), EPERM);
        CHECK_OK(unlink("d/mine"));
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(sticky_bit_of_an_ordinary_user)
{
    struct stat st;
    CHECK_OK(mkdir("d", 0755));
    CHECK_OK(chmod("d", 01777));
    CHECK_OK(stat("d", &st));
    CHECK_EQ(st.st_mode & 07777, 01777);
}
