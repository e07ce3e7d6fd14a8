/* mount.c: mount(2) and umount2(2) of file systems in memory, binds, moves, remounts, expiry. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "guest_test.h"

/* The test's own mounts, where the kernel gives a namespace for them; else the test is skipped
 * unless it may mount. */
static void begin(void)
{
    if (unshare(CLONE_NEWNS) == 0) {
        CHECK_OK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
    }
    CHECK_OK(mkdir("a", 0755));
    CHECK_OK(mkdir("b", 0755));
    if (mount("t", "a", "tmpfs", 0, "size=1M,mode=0750") != 0) {
        SKIP("no right to mount");
    }
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    CHECK_OK(close(fd));
}

TEST_CASE(tmpfs_options)
{
    struct statfs fs;
    struct stat st;
    begin();
    CHECK_OK(statfs("a", &fs));
    CHECK_EQ(fs.f_type, 0x01021994);
    CHECK_EQ(fs.f_blocks, 256);
    CHECK_OK(stat("a", &st));
    CHECK_EQ(st.st_mode & 07777, 0750);
    CHECK_ERRNO(mount("t", "b", "tmpfs", 0, "size=banana"), EINVAL);
    CHECK_ERRNO(mount("t", "b", "tmpfs", 0, "nonsense=1"), EINVAL);
    CHECK_OK(mount("t", "a", "tmpfs", MS_REMOUNT, "size=2M"));
    CHECK_OK(statfs("a", &fs));
    CHECK_EQ(fs.f_blocks, 512);
    CHECK_OK(umount("a"));
}

TEST_CASE(devtmpfs_has_the_devices)
{
    struct stat st;
    begin();
    if (mount("t", "b", "devtmpfs", 0, NULL) != 0) {
        CHECK(errno == EPERM || errno == ENODEV);
        SKIP("no devtmpfs here");
    }
    CHECK_OK(stat("b/null", &st));
    CHECK(S_ISCHR(st.st_mode));
    CHECK_EQ(st.st_rdev, makedev(1, 3));
    put("b/null", "nothing");
    CHECK_OK(umount("b"));
}

TEST_CASE(errors)
{
    begin();
    CHECK_ERRNO(mount("t", "b", "no-such-fs", 0, NULL), ENODEV);
    CHECK_ERRNO(mount("t", "b", NULL, 0, NULL), EINVAL);
    CHECK_ERRNO(mount("t", "absent", "tmpfs", 0, NULL), ENOENT);
    CHECK_ERRNO(mount("t", guest_bad(), "tmpfs", 0, NULL), EFAULT);
    CHECK_ERRNO(mount("t", "b", guest_bad(), 0, NULL), EFAULT);
    put("file", "x");
    CHECK_ERRNO(mount("t", "file", "tmpfs", 0, NULL), ENOTDIR);
    CHECK_ERRNO(mount("none", "b", NULL, MS_REMOUNT, NULL), EINVAL);
    CHECK_ERRNO(umount("b"), EINVAL);
    CHECK_ERRNO(umount2("a", 0x100), EINVAL);
    CHECK_ERRNO(umount2("a", MNT_EXPIRE | MNT_DETACH), EINVAL);
    CHECK_ERRNO(umount("absent"), ENOENT);
    CHECK_OK(umount("a"));
}

TEST_CASE(busy_and_detach)
{
    begin();
    int fd = open("a/f", O_CREAT | O_RDWR, 0600);
    CHECK(fd >= 0);
    CHECK_ERRNO(umount("a"), EBUSY);
    CHECK_ERRNO(mount("t", "a", "tmpfs", MS_REMOUNT | MS_RDONLY, NULL), EBUSY);
    CHECK_OK(umount2("a", MNT_DETACH));
    CHECK_EQ(write(fd, "x", 1), 1);
    CHECK_ERRNO(access("a/f", F_OK), ENOENT);
    CHECK_OK(close(fd));
}

TEST_CASE(read_only)
{
    begin();
    put("a/f", "x");
    CHECK_OK(mount("t", "a", "tmpfs", MS_REMOUNT | MS_RDONLY, NULL));
    CHECK_ERRNO(open("a/g", O_CREAT | O_WRONLY, 0600), EROFS);
    CHECK_ERRNO(mkdir("a/d", 0700), EROFS);
    CHECK_OK(mount("t", "a", "tmpfs", MS_REMOUNT, NULL));
    CHECK_OK(mkdir("a/d", 0700));
    CHECK_OK(umount("a"));
}

TEST_CASE(bind)
{
    begin();
    CHECK_OK(mkdir("a/sub", 0755));
    put("a/sub/f", "hello");
    CHECK_OK(mount("t2", "a/sub", "tmpfs", 0, NULL));
    put("a/sub/g", "second");
    CHECK_OK(mount("a", "b", NULL, MS_BIND, NULL));
    CHECK_OK(access("b/sub/f", F_OK));
    CHECK_OK(umount("b"));
    CHECK_OK(mount("a", "b", NULL, MS_BIND | MS_REC, NULL));
    CHECK_OK(access("b/sub/g", F_OK));
    CHECK_OK(mount(NULL, "b", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
    CHECK_ERRNO(mkdir("b/d", 0700), EROFS);
    CHECK_OK(mkdir("a/d", 0700));
    CHECK_ERRNO(umount("b"), EBUSY);
    CHECK_OK(umount2("b", MNT_DETACH));
    CHECK_OK(umount("a/sub"));
    put("target", "");
    CHECK_OK(mount("a/sub/f", "target", NULL, MS_BIND, NULL));
    char text[8] = "";
    int fd = open("target", O_RDONLY);
    CHECK_EQ(read(fd, text, sizeof(text)), 5);
    CHECK_OK(close(fd));
    CHECK_OK(umount("target"));
    CHECK_OK(umount("a"));
}

TEST_CASE(move)
{
    begin();
    put("a/f", "x");
    CHECK_OK(mount("a", "b", NULL, MS_MOVE, NULL));
    CHECK_OK(access("b/f", F_OK));
    CHECK_ERRNO(access("a/f", F_OK), ENOENT);
    CHECK_OK(mkdir("b/d", 0700));
    CHECK_ERRNO(mount("b", "b/d", NULL, MS_MOVE, NULL), ELOOP);
    CHECK_ERRNO(mount("b/d", "a", NULL, MS_MOVE, NULL), EINVAL);
    CHECK_OK(umount("b"));
}

TEST_CASE(expire)
{
    begin();
    CHECK_ERRNO(umount2("a", MNT_EXPIRE), EAGAIN);
    CHECK_OK(access("a", F_OK));
    CHECK_ERRNO(umount2("a", MNT_EXPIRE), EAGAIN);
    CHECK_OK(umount2("a", MNT_EXPIRE));
    CHECK_ERRNO(umount2("a", MNT_EXPIRE), EINVAL);
}

TEST_CASE(flags)
{
    struct statfs fs;
    begin();
    put("a/f", "#!/bin/sh\n");
    CHECK_OK(chmod("a/f", 0755));
    CHECK_OK(symlink("f", "a/link"));
    CHECK_OK(mount("t", "a", "tmpfs", MS_REMOUNT | MS_NOEXEC | MS_NOSUID | MS_NODEV, NULL));
    CHECK_ERRNO(access("a/f", X_OK), EACCES);
    CHECK_OK(statfs("a", &fs));
    CHECK_EQ(fs.f_flags & 0xf, MS_NOEXEC | MS_NOSUID | MS_NODEV);
    CHECK_OK(mount("t", "a", "tmpfs", MS_REMOUNT | 256 /* MS_NOSYMFOLLOW */, NULL));
    CHECK_ERRNO(open("a/link", O_RDONLY), ELOOP);
    CHECK_OK(mount("t", "a", "tmpfs", MS_REMOUNT, NULL));
    CHECK_OK(access("a/link", F_OK));
    CHECK_OK(umount("a"));
}

TEST_CASE(unprivileged)
{
    CHECK_OK(mkdir("a", 0755));
    if (geteuid() == 0) {
        CHECK_OK(setresuid(65534, 65534, 65534));
    }
    CHECK_ERRNO(mount("t", "a", "tmpfs", 0, NULL), EPERM);
    CHECK_ERRNO(umount("a"), EPERM);
    CHECK_ERRNO(mount("t", "absent", "tmpfs", 0, NULL), ENOENT);
}
