/* file_attr.c: the attributes of chattr(1): what they forbid, and how they are set. */
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "guest_test.h"

/* A tmpfs of the test's own as "d". */
static void begin(void)
{
    if (unshare(CLONE_NEWNS) == 0) {
        CHECK_OK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
    }
    CHECK_OK(mkdir("d", 0755));
    if (mount("t", "d", "tmpfs", 0, NULL) != 0) {
        SKIP("no right to mount");
    }
}

static int set_flags(const char *path, int flags)
{
    int fd = (int)CHECK_OK(open(path, O_RDONLY));
    int result = ioctl(fd, FS_IOC_SETFLAGS, &flags);
    int error = errno;
    CHECK_OK(close(fd));
    errno = error;
    if (result != 0 && (error == ENOTTY || error == EPERM)) {
        SKIP("no such flags here");
    }
    return result;
}

TEST_CASE(immutable)
{
    int flags = 0;
    begin();
    guest_write_file("d/f", "x");
    CHECK_OK(set_flags("d/f", FS_IMMUTABLE_FL));
    int fd = (int)CHECK_OK(open("d/f", O_RDONLY));
    CHECK_OK(ioctl(fd, FS_IOC_GETFLAGS, &flags));
    CHECK_EQ(flags & FS_IMMUTABLE_FL, FS_IMMUTABLE_FL);
    CHECK_ERRNO(open("d/f", O_WRONLY), EPERM);
    CHECK_ERRNO(truncate("d/f", 0), EPERM);
    CHECK_ERRNO(unlink("d/f"), EPERM);
    CHECK_ERRNO(rename("d/f", "d/g"), EPERM);
    CHECK_ERRNO(link("d/f", "d/g"), EPERM);
    CHECK_ERRNO(chmod("d/f", 0600), EPERM);
    CHECK_ERRNO(setxattr("d/f", "user.a", "x", 1, 0), EPERM);
    CHECK_OK(set_flags("d/f", 0));
    CHECK_OK(unlink("d/f"));
}

TEST_CASE(append_only)
{
    begin();
    guest_write_file("d/f", "x");
    CHECK_OK(set_flags("d/f", FS_APPEND_FL));
    CHECK_ERRNO(open("d/f", O_WRONLY), EPERM);
    CHECK_ERRNO(open("d/f", O_WRONLY | O_APPEND | O_TRUNC), EPERM);
    int fd = (int)CHECK_OK(open("d/f", O_WRONLY | O_APPEND));
    CHECK_EQ(write(fd, "y", 1), 1);
    CHECK_ERRNO(fcntl(fd, F_SETFL, 0), EPERM);
    CHECK_ERRNO(truncate("d/f", 0), EPERM);
    CHECK_ERRNO(unlink("d/f"), EPERM);
    CHECK_OK(set_flags("d/f", 0));
    CHECK_OK(mkdir("d/dir", 0755));
    guest_write_file("d/dir/a", "");
    CHECK_OK(set_flags("d/dir", FS_APPEND_FL));
    guest_write_file("d/dir/b", "");
    CHECK_ERRNO(unlink("d/dir/a"), EPERM);
    CHECK_OK(set_flags("d/dir", 0));
}

TEST_CASE(told_by_statx)
{
    struct statx st;
    struct fsxattr attr = {0};
    begin();
    guest_write_file("d/f", "x");
    CHECK_OK(set_flags("d/f", FS_NODUMP_FL));
    CHECK_OK(statx(AT_FDCWD, "d/f", 0, STATX_BASIC_STATS, &st));
    CHECK_EQ(st.stx_attributes & (STATX_ATTR_NODUMP | STATX_ATTR_IMMUTABLE), STATX_ATTR_NODUMP);
    CHECK(st.stx_attributes_mask & STATX_ATTR_IMMUTABLE);
    int fd = (int)CHECK_OK(open("d/f", O_RDONLY));
    CHECK_OK(ioctl(fd, FS_IOC_FSGETXATTR, &attr));
    CHECK_EQ(attr.fsx_xflags, FS_XFLAG_NODUMP);
    attr.fsx_extsize = 4096;
    attr.fsx_xflags |= FS_XFLAG_EXTSIZE;
    CHECK_ERRNO(ioctl(fd, FS_IOC_FSSETXATTR, &attr), EOPNOTSUPP);
    CHECK_ERRNO(set_flags("d/f", FS_COMPR_FL), EOPNOTSUPP);
}

TEST_CASE(calls)
{
    uint64_t attr[3] = {9, 9, 9};
    begin();
    guest_write_file("d/f", "x");
    if (syscall(468, AT_FDCWD, "d/f", attr, 24, 0) != 0 && errno == ENOSYS) {
        SKIP("file_getattr needs Linux 6.17");
    }
    CHECK_EQ(attr[0], 0);
    attr[0] = FS_XFLAG_NODUMP;
    CHECK_OK(syscall(469, AT_FDCWD, "d/f", attr, 24, 0));
    attr[0] = 0;
    CHECK_OK(syscall(468, AT_FDCWD, "d/f", attr, 24, 0));
    CHECK_EQ(attr[0], FS_XFLAG_NODUMP);
    CHECK_ERRNO(syscall(468, AT_FDCWD, "d/f", attr, 8, 0), EINVAL);
    CHECK_ERRNO(syscall(468, AT_FDCWD, "d/f", guest_bad(), 24, 0), EFAULT);
    CHECK_ERRNO(syscall(468, AT_FDCWD, "d/absent", attr, 24, 0), ENOENT);
    CHECK_ERRNO(syscall(468, AT_FDCWD, "d/f", attr, 24, -1), EINVAL);
    attr[0] = 1ULL << 40;
    CHECK_ERRNO(syscall(469, AT_FDCWD, "d/f", attr, 24, 0), EINVAL);
}
