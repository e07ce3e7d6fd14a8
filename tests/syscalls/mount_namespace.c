/* mount_namespace.c: CLONE_NEWNS by unshare and clone, setns between them, pivot_root. */
#include <sys/mount.h>
#include <sys/stat.h>

#include "guest_test.h"

static uint64_t namespace_number(void)
{
    struct stat st;
    CHECK_OK(stat("/proc/self/ns/mnt", &st));
    return st.st_ino;
}

static void begin(void)
{
    if (unshare(CLONE_NEWNS) != 0) {
        CHECK_EQ(errno, EPERM);
        SKIP("no right to a mount namespace");
    }
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        SKIP("no right to mount");
    }
}

TEST_CASE(mounts_stay_inside)
{
    begin();
    CHECK_OK(mkdir("d", 0700));
    uint64_t outer = namespace_number();
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_OK(unshare(CLONE_NEWNS));
        CHECK(namespace_number() != outer);
        CHECK_OK(mount("t", "d", "tmpfs", 0, NULL));
        CHECK_OK(mkdir("d/inside", 0700));
        _exit(0);
    }
    CHECK_CHILD_OK(child);
    CHECK_ERRNO(access("d/inside", F_OK), ENOENT);
    CHECK_EQ(namespace_number(), outer);
}

TEST_CASE(copies_are_independent)
{
    begin();
    CHECK_OK(mkdir("d", 0700));
    CHECK_OK(mount("t", "d", "tmpfs", 0, NULL));
    CHECK_OK(mkdir("d/both", 0700));
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_OK(unshare(CLONE_NEWNS));
        CHECK_OK(access("d/both", F_OK));
        CHECK_OK(umount("d"));
        CHECK_ERRNO(access("d/both", F_OK), ENOENT);
        _exit(0);
    }
    CHECK_CHILD_OK(child);
    CHECK_OK(access("d/both", F_OK));
    CHECK_OK(umount("d"));
}

TEST_CASE(back_by_setns)
{
    char before[PATH_MAX];
    begin();
    CHECK(getcwd(before, sizeof(before)) != NULL);
    CHECK_OK(mkdir("d", 0700));
    int own = (int)CHECK_OK(open("/proc/self/ns/mnt", O_RDONLY));
    CHECK_OK(unshare(CLONE_NEWNS));
    CHECK_OK(mount("t", "d", "tmpfs", 0, NULL));
    CHECK_OK(setns(own, CLONE_NEWNS));
    char now[PATH_MAX];
    CHECK(getcwd(now, sizeof(now)) != NULL);
    CHECK(strcmp(now, "/") == 0);
    CHECK_OK(chdir(before));
    CHECK_ERRNO(umount("d"), EINVAL);
}

TEST_CASE(unprivileged)
{
    if (geteuid() == 0) {
        CHECK_OK(setresuid(65534, 65534, 65534));
    }
    CHECK_ERRNO(unshare(CLONE_NEWNS), EPERM);
    CHECK_ERRNO(syscall(SYS_pivot_root, ".", "."), EPERM);
}

TEST_CASE(pivot)
{
    char name[PATH_MAX];
    begin();
    CHECK_OK(mkdir("new", 0700));
    CHECK_OK(mkdir("other", 0700));
    CHECK_ERRNO(syscall(SYS_pivot_root, "new", "new"), EBUSY);
    CHECK_OK(mount("t", "new", "tmpfs", 0, NULL));
    CHECK_OK(mount("t", "other", "tmpfs", 0, NULL));
    CHECK_OK(mkdir("new/old", 0700));
    CHECK_OK(mkdir("new/here", 0700));
    CHECK_ERRNO(syscall(SYS_pivot_root, "new", "other"), EINVAL);
    CHECK_ERRNO(syscall(SYS_pivot_root, "absent", "new/old"), ENOENT);
    CHECK(getcwd(name, sizeof(name)) != NULL);
    if (syscall(SYS_pivot_root, "new", "new/old") != 0) {
        SKIP("the first root cannot be moved here");
    }
    CHECK_OK(access("/here", F_OK));
    CHECK_OK(chdir("/old"));
    CHECK_OK(chdir(name + 1));
    CHECK_OK(chdir("/"));
    CHECK_OK(umount2("/old", MNT_DETACH));
    CHECK_ERRNO(access("/old/proc/self", F_OK), ENOENT);
    CHECK_ERRNO(access("/proc/self", F_OK), ENOENT);
}
