/*
 * setgid.c: group ids and supplementary groups.
 */
#include "tests/syscalls/guest_test.h"

#include <grp.h>
#include <sys/fsuid.h>

static void expect(gid_t r, gid_t e, gid_t s)
{
    gid_t rgid;
    gid_t egid;
    gid_t sgid;
    CHECK_OK(getresgid(&rgid, &egid, &sgid));
    CHECK_EQ(rgid, r);
    CHECK_EQ(egid, e);
    CHECK_EQ(sgid, s);
}

TEST_CASE(root)
{
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    CHECK_OK(setgid(1234));
    expect(1234, 1234, 1234);
    CHECK_OK(setresgid(1, 2, 3));
    expect(1, 2, 3);
    CHECK_OK(setregid((gid_t)-1, 9));
    expect(1, 9, 9);
    CHECK_EQ(setfsgid(77), 9);
    CHECK_EQ(setfsgid((gid_t)-1), 77);
}

TEST_CASE(ordinary_user)
{
    if (getuid() == 0) {
        if (!guest_can_switch_user()) {
            SKIP("cannot switch users");
        }
        guest_become_user();
    }
    gid_t me = getgid();
    CHECK_OK(setgid(me));
    CHECK_ERRNO(setgid(me + 1), EPERM);
    CHECK_ERRNO(setregid(me + 1, (gid_t)-1), EPERM);
    CHECK_ERRNO(setresgid((gid_t)-1, (gid_t)-1, me + 1), EPERM);
    CHECK_ERRNO(setgroups(0, NULL), EPERM);
    CHECK_EQ(setfsgid(me + 1), me);
    CHECK_EQ(setfsgid((gid_t)-1), me);
}

TEST_CASE(supplementary_groups)
{
    gid_t groups[32];
    gid_t set[3] = {30, 10, 20};
    int count = (int)CHECK_OK(getgroups(0, NULL));
    CHECK(count >= 0 && count <= 65536);
    CHECK_ERRNO(syscall(SYS_getgroups, -1, groups), EINVAL);
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    CHECK_OK(setgroups(3, set));
    CHECK_EQ(getgroups(0, NULL), 3);
    CHECK_EQ(getgroups(32, groups), 3);
    int seen = 0;
    for (int i = 0; i < 3; i++) {
        seen += (int)groups[i];
    }
    CHECK_EQ(seen, 60);
    CHECK_ERRNO(getgroups(2, groups), EINVAL);
    CHECK_ERRNO(syscall(SYS_setgroups, 70000, set), EINVAL);
    CHECK_ERRNO(syscall(SYS_setgroups, 3, guest_bad()), EFAULT);
    CHECK_OK(setgroups(0, NULL));
    CHECK_EQ(getgroups(0, NULL), 0);
}

TEST_CASE(groups_give_access)
{
    gid_t group = 23456;
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    guest_write_file("f", "secret");
    CHECK_OK(chown("f", 0, group));
    CHECK_OK(chmod("f", 0640));
    CHECK_OK(chmod(".", 0755));
    for (int member = 0; member < 2; member++) {
        pid_t pid = guest_fork();
        if (pid == 0) {
            CHECK_OK(setgroups((size_t)member, &group));
            CHECK_OK(setresgid(12345, 12345, 12345));
            CHECK_OK(setresuid(12345, 12345, 12345));
            if (member) {
                CHECK_OK(open("f", O_RDONLY));
                CHECK_ERRNO(open("f", O_WRONLY), EACCES);
            } else {
                CHECK_ERRNO(open("f", O_RDONLY), EACCES);
            }
            _exit(0);
        }
        CHECK_CHILD_OK(pid);
    }
}
