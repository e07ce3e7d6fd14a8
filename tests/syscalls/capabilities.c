/*
 * capabilities.c: capget, capset, bounding and ambient sets, and changes of user.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/capability.h>
#include <sys/prctl.h>

static struct __user_cap_header_struct header;
static struct __user_cap_data_struct data[2];

static void get(void)
{
    header.version = _LINUX_CAPABILITY_VERSION_3;
    header.pid = 0;
    CHECK_OK(syscall(SYS_capget, &header, data));
}

TEST_CASE(version_probe)
{
    header.version = 0;
    header.pid = 0;
    CHECK_OK(syscall(SYS_capget, &header, NULL));
    CHECK_EQ(header.version, _LINUX_CAPABILITY_VERSION_3);
    header.version = 0x1234;
    CHECK_ERRNO(syscall(SYS_capget, &header, data), EINVAL);
    CHECK_EQ(header.version, _LINUX_CAPABILITY_VERSION_3);
    header.pid = -1;
    CHECK_ERRNO(syscall(SYS_capget, &header, data), EINVAL);
    header.pid = 1 << 21;
    CHECK_ERRNO(syscall(SYS_capget, &header, data), ESRCH);
    CHECK_ERRNO(syscall(SYS_capget, guest_bad(), data), EFAULT);
}

TEST_CASE(dropping)
{
    get();
    data[0].effective = data[1].effective = 0;
    data[0].inheritable = data[1].inheritable = 0;
    CHECK_OK(syscall(SYS_capset, &header, data));
    CHECK(!guest_has_cap(CAP_CHOWN));
    data[0].permitted = data[1].permitted = 0;
    CHECK_OK(syscall(SYS_capset, &header, data));
    data[0].permitted = 1 << CAP_CHOWN;
    CHECK_ERRNO(syscall(SYS_capset, &header, data), EPERM);
    data[0].permitted = 0;
    data[0].effective = 1 << CAP_CHOWN;
    CHECK_ERRNO(syscall(SYS_capset, &header, data), EPERM);
    header.pid = getppid();
    CHECK_ERRNO(syscall(SYS_capset, &header, data), EPERM);
}

TEST_CASE(bounding_set)
{
    int first = prctl(PR_CAPBSET_READ, CAP_NET_RAW);
    CHECK(first == 0 || first == 1);
    CHECK_ERRNO(prctl(PR_CAPBSET_READ, 99), EINVAL);
    if (guest_has_cap(CAP_SETPCAP)) {
        CHECK_OK(prctl(PR_CAPBSET_DROP, CAP_NET_RAW));
        CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_NET_RAW), 0);
        CHECK_ERRNO(prctl(PR_CAPBSET_DROP, 99), EINVAL);
    } else {
        CHECK_ERRNO(prctl(PR_CAPBSET_DROP, CAP_NET_RAW), EPERM);
    }
}

TEST_CASE(ambient_set)
{
    CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0), 0);
    CHECK_OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
    CHECK_ERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0), EPERM);
    CHECK_ERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 99, 0, 0), EINVAL);
    CHECK_ERRNO(prctl(PR_CAP_AMBIENT, 99, 0, 0, 0), EINVAL);
    if (guest_has_cap(CAP_CHOWN)) {
        get();
        data[0].inheritable |= 1 << CAP_CHOWN;
        CHECK_OK(syscall(SYS_capset, &header, data));
        CHECK_OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
        CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0), 1);
        CHECK_OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_CHOWN, 0, 0));
    }
}

TEST_CASE(change_of_user)
{
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    CHECK(guest_has_cap(CAP_CHOWN));
    CHECK_OK(seteuid(12345));
    CHECK(!guest_has_cap(CAP_CHOWN));
    CHECK_OK(seteuid(0));
    CHECK(guest_has_cap(CAP_CHOWN));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(prctl(PR_SET_KEEPCAPS, 1));
        CHECK_OK(setuid(12345));
        get();
        CHECK(data[0].permitted & 1 << CAP_CHOWN);
        CHECK_EQ(data[0].effective, 0);
        data[0].effective = 1 << CAP_CHOWN;
        CHECK_OK(syscall(SYS_capset, &header, data));
        CHECK(guest_has_cap(CAP_CHOWN));
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_OK(setuid(12345));
    get();
    CHECK_EQ(data[0].permitted, 0);
}

TEST_HELPER(has_no_caps)
{
    get();
    return data[0].effective == 0 && data[0].permitted == 0 ? 0 : 1;
}

TEST_CASE(exec_of_an_ordinary_user_has_none)
{
    char *args[] = {"x", "--helper", "has_no_caps", NULL};
    char *env[] = {NULL};
    pid_t pid = guest_fork();
    if (pid == 0) {
        if (getuid() == 0) {
            if (!guest_can_switch_user()) {
                _exit(0);
            }
            guest_become_user();
        }
        execve(guest_self(), args, env);
        _exit(errno == EACCES ? 0 : 126);
    }
    CHECK_CHILD_OK(pid);
}
