/* mount_api.c: fsopen, fsconfig, fsmount, fspick, open_tree, move_mount, mount_setattr, statmount,
 * listmount. */
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/statfs.h>

#include "guest_test.h"

#define SYS_OPEN_TREE     428
#define SYS_MOVE_MOUNT    429
#define SYS_FSOPEN        430
#define SYS_FSCONFIG      431
#define SYS_FSMOUNT       432
#define SYS_FSPICK        433
#define SYS_MOUNT_SETATTR 442
#define SYS_STATMOUNT     457
#define SYS_LISTMOUNT     458

static void begin(void)
{
    if (unshare(CLONE_NEWNS) == 0) {
        CHECK_OK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
    }
    CHECK_OK(mkdir("a", 0755));
    CHECK_OK(mkdir("b", 0755));
    if (mount("t", "b", "tmpfs", 0, NULL) != 0) {
        SKIP("no right to mount");
    }
    CHECK_OK(umount("b"));
}

/* A tmpfs that has no place yet. */
static int make_tmpfs(unsigned attributes)
{
    int context = (int)CHECK_OK(syscall(SYS_FSOPEN, "tmpfs", FSOPEN_CLOEXEC));
    CHECK_OK(syscall(SYS_FSCONFIG, context, FSCONFIG_SET_STRING, "size", "1M", 0));
    CHECK_OK(syscall(SYS_FSCONFIG, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
    int tree = (int)CHECK_OK(syscall(SYS_FSMOUNT, context, FSMOUNT_CLOEXEC, attributes));
    CHECK_ERRNO(syscall(SYS_FSMOUNT, context, 0, 0), EBUSY);
    CHECK_OK(close(context));
    return tree;
}

TEST_CASE(make_and_move)
{
    struct statfs fs;
    begin();
    int tree = make_tmpfs(MOUNT_ATTR_NOEXEC);
    CHECK_OK(mkdirat(tree, "inside", 0755));
    CHECK_OK(syscall(SYS_MOVE_MOUNT, tree, "", AT_FDCWD, "a", MOVE_MOUNT_F_EMPTY_PATH));
    CHECK_OK(close(tree));
    CHECK_OK(access("a/inside", F_OK));
    CHECK_OK(statfs("a", &fs));
    CHECK_EQ(fs.f_blocks, 256);
    CHECK_EQ(fs.f_flags & MS_NOEXEC, MS_NOEXEC);
    CHECK_OK(syscall(SYS_MOVE_MOUNT, AT_FDCWD, "a", AT_FDCWD, "b", 0));
    CHECK_OK(access("b/inside", F_OK));
    CHECK_ERRNO(access("a/inside", F_OK), ENOENT);
    CHECK_OK(umount("b"));
}

TEST_CASE(parameters)
{
    begin();
    CHECK_ERRNO(syscall(SYS_FSOPEN, "no-such-fs", 0), ENODEV);
    CHECK_ERRNO(syscall(SYS_FSOPEN, "tmpfs", 16), EINVAL);
    int context = (int)CHECK_OK(syscall(SYS_FSOPEN, "tmpfs", 0));
    CHECK_ERRNO(syscall(SYS_FSCONFIG, context, FSCONFIG_SET_STRING, "size", "x", 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_FSCONFIG, context, FSCONFIG_SET_STRING, "nonsense", "x", 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_FSCONFIG, context, FSCONFIG_SET_FLAG, "ro", "x", 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_FSCONFIG, context, 100, "ro", NULL, 0), EOPNOTSUPP);
    CHECK_ERRNO(syscall(SYS_FSCONFIG, -1, FSCONFIG_SET_FLAG, "ro", NULL, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_FSCONFIG, 0, FSCONFIG_SET_FLAG, "ro", NULL, 0), EINVAL);
    CHECK_OK(syscall(SYS_FSCONFIG, context, FSCONFIG_SET_FLAG, "ro", NULL, 0));
    CHECK_ERRNO(syscall(SYS_FSMOUNT, context, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_FSMOUNT, -1, 0, 0), EBADF);
}

TEST_CASE(pick)
{
    struct statfs fs;
    begin();
    CHECK_OK(mount("t", "a", "tmpfs", 0, "size=1M"));
    int context = (int)CHECK_OK(syscall(SYS_FSPICK, AT_FDCWD, "a", FSPICK_CLOEXEC));
    CHECK_OK(syscall(SYS_FSCONFIG, context, FSCONFIG_SET_STRING, "size", "2M", 0));
    CHECK_OK(syscall(SYS_FSCONFIG, context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0));
    CHECK_OK(statfs("a", &fs));
    CHECK_EQ(fs.f_blocks, 512);
    CHECK_OK(syscall(SYS_FSCONFIG, context, FSCONFIG_SET_FLAG, "ro", NULL, 0));
    CHECK_OK(syscall(SYS_FSCONFIG, context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0));
    CHECK_ERRNO(mkdir("a/d", 0700), EROFS);
    CHECK_OK(close(context));
    CHECK_ERRNO(syscall(SYS_FSPICK, AT_FDCWD, "absent", 0), ENOENT);
    CHECK_ERRNO(syscall(SYS_FSPICK, -1, "a", 0), EBADF);
    CHECK_OK(umount("a"));
}

TEST_CASE(clone_and_attributes)
{
    begin();
    CHECK_OK(mount("t", "a", "tmpfs", 0, NULL));
    CHECK_OK(mkdir("a/d", 0700));
    int tree = (int)CHECK_OK(syscall(SYS_OPEN_TREE, AT_FDCWD, "a", OPEN_TREE_CLONE));
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    CHECK_OK(syscall(SYS_MOUNT_SETATTR, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)));
    CHECK_OK(syscall(SYS_MOVE_MOUNT, tree, "", AT_FDCWD, "b", MOVE_MOUNT_F_EMPTY_PATH));
    CHECK_OK(access("b/d", F_OK));
    CHECK_ERRNO(mkdir("b/e", 0700), EROFS);
    CHECK_OK(mkdir("a/e", 0700));
    attr = (struct mount_attr){.attr_clr = MOUNT_ATTR_RDONLY};
    CHECK_OK(syscall(SYS_MOUNT_SETATTR, AT_FDCWD, "b", 0, &attr, sizeof(attr)));
    CHECK_OK(mkdir("b/f", 0700));
    attr = (struct mount_attr){.attr_set = MOUNT_ATTR_NOATIME};
    CHECK_ERRNO(syscall(SYS_MOUNT_SETATTR, AT_FDCWD, "b", 0, &attr, sizeof(attr)), EINVAL);
    CHECK_ERRNO(syscall(SYS_MOUNT_SETATTR, AT_FDCWD, "b", 0, &attr, 8), EINVAL);
    CHECK_ERRNO(syscall(SYS_OPEN_TREE, AT_FDCWD, "b", 0xffffffff), EINVAL);
    CHECK_OK(close(tree));
    CHECK_OK(umount("b"));
    CHECK_OK(umount("a"));
}

TEST_CASE(beneath)
{
    begin();
    CHECK_OK(mount("t", "a", "tmpfs", 0, NULL));
    CHECK_OK(mkdir("a/over", 0700));
    int tree = make_tmpfs(0);
    CHECK_OK(mkdirat(tree, "under", 0700));
    if (syscall(SYS_MOVE_MOUNT, tree, "", AT_FDCWD, "a", MOVE_MOUNT_F_EMPTY_PATH | 0x200) != 0) {
        SKIP("MOVE_MOUNT_BENEATH needs Linux 6.5");
    }
    CHECK_OK(close(tree));
    CHECK_OK(access("a/over", F_OK));
    CHECK_OK(umount("a"));
    CHECK_OK(access("a/under", F_OK));
    CHECK_OK(umount("a"));
}

struct request {
    uint32_t size, spare;
    uint64_t id, parameter;
};

TEST_CASE(list_and_status)
{
    static uint64_t buffer[512];
    struct statx attributes;
    uint64_t ids[64];
    begin();
    CHECK_OK(mount("src", "a", "tmpfs", MS_NOSUID, NULL));
    CHECK_OK(syscall(SYS_statx, AT_FDCWD, "a", 0, 0x4000, &attributes));
    struct request request = {24, 0, attributes.stx_mnt_id, 1 | 2 | 32};
    if (syscall(SYS_STATMOUNT, &request, buffer, sizeof(buffer), 0) != 0 && errno == ENOSYS) {
        SKIP("statmount needs Linux 6.8");
    }
    CHECK_EQ(buffer[1], 1 | 2 | 32);
    CHECK_EQ(buffer[3], 0x01021994);
    CHECK_EQ(buffer[5], request.id);
    CHECK_EQ(buffer[8] & MOUNT_ATTR_NOSUID, MOUNT_ATTR_NOSUID);
    CHECK(strcmp((char *)buffer + 512 + ((uint32_t *)buffer)[9], "tmpfs") == 0);
    CHECK_ERRNO(syscall(SYS_STATMOUNT, &request, buffer, 512, 0), EOVERFLOW);
    CHECK_ERRNO(syscall(SYS_STATMOUNT, &request, buffer, sizeof(buffer), 1), EINVAL);
    request.id = UINT64_MAX;
    request.parameter = 0;
    long count = CHECK_OK(syscall(SYS_LISTMOUNT, &request, ids, 64, 0));
    bool found = false;
    for (long i = 0; i < count; i++) {
        found |= ids[i] == attributes.stx_mnt_id;
        CHECK(i == 0 || ids[i] > ids[i - 1]);
    }
    CHECK(found);
    request.parameter = attributes.stx_mnt_id - 1;
    CHECK(syscall(SYS_LISTMOUNT, &request, ids, 1, 0) == 1 && ids[0] == attributes.stx_mnt_id);
    request.size = 0;
    CHECK_ERRNO(syscall(SYS_LISTMOUNT, &request, ids, 1, 0), EINVAL);
    CHECK_OK(umount("a"));
}

TEST_CASE(unprivileged)
{
    CHECK_OK(mkdir("a", 0755));
    if (geteuid() == 0) {
        CHECK_OK(setresuid(65534, 65534, 65534));
    }
    CHECK_ERRNO(syscall(SYS_FSOPEN, "tmpfs", 0), EPERM);
    CHECK_ERRNO(syscall(SYS_FSPICK, AT_FDCWD, "a", 0), EPERM);
    CHECK_ERRNO(syscall(SYS_OPEN_TREE, AT_FDCWD, "a", OPEN_TREE_CLONE), EPERM);
    CHECK_OK(syscall(SYS_OPEN_TREE, AT_FDCWD, "a", 0));
}
