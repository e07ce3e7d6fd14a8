/*
 * setuid.c: user ids: setuid, setreuid, setresuid, setfsuid.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/fsuid.h>

static void expect(uid_t r, uid_t e, uid_t s)
{
    uid_t ruid;
    uid_t euid;
    uid_t suid;
    CHECK_OK(getresuid(&ruid, &euid, &suid));
    CHECK_EQ(ruid, r);
    CHECK_EQ(euid, e);
    CHECK_EQ(suid, s);
    CHECK_EQ(getuid(), r);
    CHECK_EQ(geteuid(), e);
}

TEST_CASE(ordinary_user)
{
    uid_t me = getuid();
    if (me == 0) {
        if (!guest_can_switch_user()) {
            SKIP("cannot switch users");
        }
        guest_become_user();
        me = 12345;
    }
    expect(me, me, me);
    CHECK_OK(setuid(me));
    CHECK_ERRNO(setuid(0), EPERM);
    CHECK_ERRNO(setreuid(0, (uid_t)-1), EPERM);
    CHECK_ERRNO(setresuid((uid_t)-1, 0, (uid_t)-1), EPERM);
    CHECK_ERRNO(seteuid(0), EPERM);
    CHECK_OK(setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1));
    CHECK_EQ(setfsuid(0), me);
    CHECK_EQ(setfsuid((uid_t)-1), me);
    CHECK_ERRNO(setuid((uid_t)-1), EINVAL);
    expect(me, me, me);
}

TEST_CASE(root_drops_everything)
{
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    CHECK_OK(setuid(12345));
    expect(12345, 12345, 12345);
    CHECK_ERRNO(setuid(0), EPERM);
}

TEST_CASE(temporary_change)
{
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    CHECK_OK(seteuid(12345));
    expect(0, 12345, 0);
    CHECK_ERRNO(setuid(777), EPERM);
    CHECK_OK(seteuid(0));
    expect(0, 0, 0);
    CHECK_OK(setresuid(1000, 2000, 3000));
    expect(1000, 2000, 3000);
    CHECK_OK(setresuid((uid_t)-1, 3000, (uid_t)-1));
    expect(1000, 3000, 3000);
    CHECK_OK(setresuid((uid_t)-1, 1000, 1000));
    expect(1000, 1000, 1000);
}

TEST_CASE(setreuid_and_the_saved_id)
{
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    CHECK_OK(setreuid(1000, 2000));
    expect(1000, 2000, 2000);
    CHECK_OK(setreuid(2000, 1000));
    expect(2000, 1000, 1000);
}

TEST_CASE(file_system_id_follows)
{
    struct stat st;
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    CHECK_OK(chmod(".", 0777));
    CHECK_EQ(setfsuid(12345), 0);
    CHECK_EQ(setfsuid((uid_t)-1), 12345);
    guest_write_file("f", "");
    CHECK_OK(stat("f", &st));
    CHECK_EQ(st.st_uid, 12345);
    CHECK_OK(seteuid(23456));
    guest_write_file("g", "");
    CHECK_OK(stat("g", &st));
    CHECK_EQ(st.st_uid, 23456);
}

TEST_CASE(inherited_by_fork)
{
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    CHECK_OK(setresuid(1, 2, 3));
    pid_t pid = guest_fork();
    if (pid == 0) {
        expect(1, 2, 3);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}
