/*
 * unlink.c: unlink, rmdir and mkdir.
 */
#include "tests/syscalls/guest_test.h"

TEST_CASE(open_file_lives_on)
{
    char byte = 0;
    struct stat st;
    guest_write_file("f", "x");
    int fd = (int)CHECK_OK(open("f", O_RDWR));
    CHECK_OK(unlink("f"));
    CHECK_ERRNO(open("f", O_RDONLY), ENOENT);
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_nlink, 0);
    CHECK_EQ(read(fd, &byte, 1), 1);
    CHECK_EQ(byte, 'x');
    CHECK_EQ(write(fd, "more", 4), 4);
    CHECK_EQ(lseek(fd, 0, SEEK_END), 5);
}

TEST_CASE(unlink_errors)
{
    CHECK_OK(mkdir("d", 0755));
    guest_write_file("f", "");
    CHECK_ERRNO(unlink("missing"), ENOENT);
    CHECK_ERRNO(unlink("d"), EISDIR);
    CHECK_ERRNO(unlink("f/x"), ENOTDIR);
    CHECK_ERRNO(unlink("f/"), ENOTDIR);
    CHECK_ERRNO(unlink(""), ENOENT);
    CHECK_ERRNO(unlinkat(AT_FDCWD, "f", 0x8000), EINVAL);
    CHECK_ERRNO(unlinkat(AT_FDCWD, "f", AT_REMOVEDIR), ENOTDIR);
}

TEST_CASE(rmdir_errors)
{
    CHECK_OK(mkdir("d", 0755));
    guest_write_file("d/f", "");
    CHECK(rmdir("d") < 0 && (errno == ENOTEMPTY || errno == EEXIST));
    CHECK_ERRNO(rmdir("d/f"), ENOTDIR);
    CHECK_ERRNO(rmdir("missing"), ENOENT);
    CHECK_ERRNO(rmdir("d/."), EINVAL);
    CHECK_ERRNO(rmdir("d/.."), ENOTEMPTY);
    CHECK_ERRNO(rmdir("/"), EBUSY);
    CHECK_OK(unlink("d/f"));
    CHECK_OK(unlinkat(AT_FDCWD, "d", AT_REMOVEDIR));
}

TEST_CASE(mkdir_modes_and_errors)
{
    struct stat st;
    CHECK_OK(mkdir("d", 01777));
    CHECK_OK(stat("d", &st));
    CHECK_EQ(st.st_mode & 07777, 01755);
    CHECK_ERRNO(mkdir("d", 0755), EEXIST);
    CHECK_ERRNO(mkdir(".", 0755), EEXIST);
    CHECK_ERRNO(mkdir("/", 0755), EEXIST);
    CHECK_ERRNO(mkdir("missing/x", 0755), ENOENT);
    CHECK_ERRNO(mkdir("", 0755), ENOENT);
    CHECK_OK(mkdir("slash/", 0755));
    guest_write_file("f", "");
    CHECK_ERRNO(mkdir("f", 0755), EEXIST);
    CHECK_ERRNO(mkdir("f/x", 0755), ENOTDIR);
}

TEST_CASE(removed_directory_in_use)
{
    CHECK_OK(mkdir("d", 0755));
    int fd = (int)CHECK_OK(open("d", O_RDONLY | O_DIRECTORY));
    CHECK_OK(rmdir("d"));
    CHECK_ERRNO(openat(fd, "f", O_WRONLY | O_CREAT, 0644), ENOENT);
    CHECK_ERRNO(mkdirat(fd, "sub", 0755), ENOENT);
    struct stat st;
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_nlink, 0);
}

TEST_CASE(deep_tree)
{
    char path[PATH_MAX];
    size_t used = 0;
    for (int i = 0; i < 200; i++) {
        used += (size_t)snprintf(path + used, sizeof(path) - used, "%sdddddddd", i ? "/" : "");
        CHECK_OK(mkdir(path, 0755));
    }
    CHECK_OK(access(path, X_OK));
    while (true) {
        CHECK_OK(rmdir(path));
        char *slash = strrchr(path, '/');
        if (!slash) {
            break;
        }
        *slash = '\0';
    }
}
