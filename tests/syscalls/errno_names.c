/*
 * errno_names.c: calls that make, remove, rename and read names, and read directories.
 */
#include "tests/syscalls/guest_test.h"

#include <dirent.h>
#include <sys/sysmacros.h>

static char buffer[4096];

TEST_CASE(links)
{
    guest_write_file("f", "x");
    CHECK_OK(link("f", "g"));
    CHECK_ERRNO(link("f", "g"), EEXIST);
    CHECK_ERRNO(link("absent", "h"), ENOENT);
    CHECK_ERRNO(link(".", "h"), EPERM);
    CHECK_ERRNO(linkat(AT_FDCWD, "f", AT_FDCWD, "h", 0x40), EINVAL);
    CHECK_OK(symlink("f", "s"));
    CHECK_OK(linkat(AT_FDCWD, "s", AT_FDCWD, "s2", 0));
    struct stat st;
    CHECK_OK(lstat("s2", &st));
    CHECK(S_ISLNK(st.st_mode));
    CHECK_OK(linkat(AT_FDCWD, "s", AT_FDCWD, "s3", AT_SYMLINK_FOLLOW));
    CHECK_OK(lstat("s3", &st));
    CHECK(S_ISREG(st.st_mode));
    CHECK_EQ(st.st_nlink, 3);
}

TEST_CASE(removal)
{
    guest_write_file("f", "x");
    CHECK_OK(mkdir("d", 0755));
    guest_write_file("d/x", "");
    CHECK_ERRNO(unlink("d"), EISDIR);
    CHECK_ERRNO(rmdir("f"), ENOTDIR);
    CHECK_ERRNO(rmdir("d"), ENOTEMPTY);
    CHECK_ERRNO(rmdir("d/."), EINVAL);
    CHECK_ERRNO(rmdir("d/.."), ENOTEMPTY);
    CHECK_ERRNO(unlink("absent"), ENOENT);
    CHECK_ERRNO(unlink(""), ENOENT);
    CHECK_ERRNO(unlink("f/"), ENOTDIR);
    CHECK_ERRNO(unlinkat(AT_FDCWD, "f", 1), EINVAL);
    CHECK_OK(unlinkat(AT_FDCWD, "d/x", 0));
    CHECK_OK(unlinkat(AT_FDCWD, "d", AT_REMOVEDIR));
}

TEST_CASE(renames)
{
    guest_write_file("a", "a");
    guest_write_file("b", "b");
    CHECK_OK(mkdir("d", 0755));
    CHECK_ERRNO(rename("absent", "x"), ENOENT);
    CHECK_ERRNO(rename("a", "d"), EISDIR);
    CHECK_ERRNO(rename("d", "a"), ENOTDIR);
    CHECK_ERRNO(rename("d", "d/e"), EINVAL);
    CHECK_ERRNO(rename("d/.", "e"), EBUSY);
    CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 1), EEXIST);
    CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 3), EINVAL);
    CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 8), EINVAL);
    CHECK_OK(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 2));
    guest_read_file("a", buffer, sizeof(buffer));
    CHECK(strcmp(buffer, "b") == 0);
    CHECK_OK(rename("a", "b"));
    guest_read_file("b", buffer, sizeof(buffer));
    CHECK(strcmp(buffer, "b") == 0);
    CHECK_OK(rename("b", "b"));
}

TEST_CASE(symbolic_links)
{
    guest_write_file("f", "x");
    CHECK_ERRNO(symlink("", "s"), ENOENT);
    CHECK_OK(symlink("target", "s"));
    CHECK_ERRNO(symlink("target", "s"), EEXIST);
    CHECK_ERRNO(readlink("s", buffer, 0), EINVAL);
    CHECK_EQ(readlink("s", buffer, 3), 3);
    CHECK_EQ(readlink("s", buffer, sizeof(buffer)), 6);
    CHECK_ERRNO(readlink("f", buffer, 10), EINVAL);
    CHECK_ERRNO(readlink("absent", buffer, 10), ENOENT);
    CHECK_ERRNO(syscall(SYS_readlink, "s", guest_bad(), 10), EFAULT);
    int fd = (int)CHECK_OK(open("s", O_PATH | O_NOFOLLOW));
    CHECK_EQ(readlinkat(fd, "", buffer, sizeof(buffer)), 6);
    CHECK_ERRNO(readlinkat(AT_FDCWD, "", buffer, sizeof(buffer)), ENOENT);
}

TEST_CASE(nodes)
{
    struct stat st;
    CHECK_OK(mknod("fifo", S_IFIFO | 0644, 0));
    CHECK_OK(lstat("fifo", &st));
    CHECK(S_ISFIFO(st.st_mode));
    CHECK_OK(mknod("file", 0644, 0));
    CHECK_OK(lstat("file", &st));
    CHECK(S_ISREG(st.st_mode));
    CHECK_ERRNO(mknod("file", S_IFREG | 0644, 0), EEXIST);
    CHECK_ERRNO(mknod("dir", S_IFDIR | 0755, 0), EPERM);
    CHECK_ERRNO(mknod("link", S_IFLNK | 0755, 0), EINVAL);
}

TEST_CASE(read_directory)
{
    CHECK_OK(mkdir("d", 0755));
    guest_write_file("d/name", "");
    int fd = (int)CHECK_OK(open("d", O_RDONLY));
    CHECK_ERRNO(syscall(SYS_getdents64, fd, buffer, 10), EINVAL);
    CHECK_ERRNO(syscall(SYS_getdents64, -1, buffer, 10), EBADF);
    CHECK_ERRNO(syscall(SYS_getdents64, fd, guest_bad(), sizeof(buffer)), EFAULT);
    long size = CHECK_OK(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)));
    int seen = 0;
    for (long at = 0; at < size;) {
        struct dirent64 *entry = (void *)(buffer + at);
        seen += strcmp(entry->d_name, ".") == 0 && entry->d_type == DT_DIR ? 1 : 0;
        seen += strcmp(entry->d_name, "..") == 0 && entry->d_type == DT_DIR ? 10 : 0;
        seen += strcmp(entry->d_name, "name") == 0 && entry->d_type == DT_REG ? 100 : 0;
        CHECK_EQ(entry->d_reclen % 8, 0);
        at += entry->d_reclen;
    }
    CHECK_EQ(seen, 111);
    CHECK_EQ(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    size = CHECK_OK(syscall(SYS_getdents, fd, buffer, 40)); /* one or two entries of the old form */
    CHECK(size >= 24 && size <= 40);
    int file = (int)CHECK_OK(open("d/name", O_RDONLY));
    CHECK_ERRNO(syscall(SYS_getdents64, file, buffer, sizeof(buffer)), ENOTDIR);
    CHECK_OK(unlink("d/name"));
    CHECK_OK(rmdir("d"));
    CHECK_ERRNO(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)), ENOENT);
}

TEST_CASE(working_directory)
{
    char cwd[4096];
    CHECK_OK(syscall(SYS_getcwd, cwd, sizeof(cwd)));
    CHECK_ERRNO(syscall(SYS_getcwd, cwd, 1), ERANGE);
    CHECK_ERRNO(syscall(SYS_getcwd, cwd, 0), ERANGE);
    CHECK_ERRNO(syscall(SYS_getcwd, guest_bad(), sizeof(cwd)), EFAULT);
    CHECK_EQ(syscall(SYS_getcwd, buffer, strlen(cwd) + 1), (long)strlen(cwd) + 1);
    guest_write_file("f", "");
    CHECK_ERRNO(chdir("f"), ENOTDIR);
    CHECK_ERRNO(chdir("absent"), ENOENT);
    CHECK_ERRNO(chdir(""), ENOENT);
    CHECK_ERRNO(fchdir(-1), EBADF);
    int fd = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK_ERRNO(fchdir(fd), ENOTDIR);
    CHECK_OK(mkdir("d", 0755));
    CHECK_OK(chdir("d"));
    CHECK_OK(rmdir("../d"));
    CHECK_ERRNO(syscall(SYS_getcwd, cwd, sizeof(cwd)), ENOENT);
    CHECK_ERRNO(open("x", O_CREAT | O_RDWR, 0600), ENOENT);
    CHECK_ERRNO(mkdir("x", 0700), ENOENT);
    CHECK_OK(chdir(".."));
}

TEST_CASE(make_directory)
{
    struct stat st;
    CHECK_OK(mkdir("d", 01777));
    CHECK_OK(stat("d", &st));
    CHECK_EQ(st.st_mode, S_IFDIR | 01755);
    CHECK_ERRNO(mkdir("d", 0755), EEXIST);
    CHECK_ERRNO(mkdir("/", 0755), EEXIST);
    CHECK_ERRNO(mkdir(".", 0755), EEXIST);
    CHECK_ERRNO(mkdir("absent/d", 0755), ENOENT);
    CHECK_ERRNO(mkdirat(-5, "x", 0755), EBADF);
    CHECK_OK(mkdir("e/", 0755));
}
