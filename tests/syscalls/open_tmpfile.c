/*
 * open_tmpfile.c: O_TMPFILE and giving such a file a name.
 */
#include "tests/syscalls/guest_test.h"

static int unnamed(int flags)
{
    int fd = open(".", O_TMPFILE | O_RDWR | flags, 0640);
    if (fd < 0) {
        CHECK(errno == EOPNOTSUPP || errno == EISDIR);
        SKIP("no O_TMPFILE on this file system");
    }
    return fd;
}

TEST_CASE(has_no_name)
{
    struct stat st;
    int fd = unnamed(0);
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_nlink, 0);
    CHECK_EQ(st.st_mode, S_IFREG | 0640);
    CHECK_EQ(write(fd, "abc", 3), 3);
    CHECK_EQ(lseek(fd, 0, SEEK_END), 3);
}

TEST_CASE(linked_through_proc)
{
    char path[64];
    char text[8];
    struct stat st;
    int fd = unnamed(0);
    CHECK_EQ(write(fd, "abc", 3), 3);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CHECK_OK(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    CHECK_EQ(guest_read_file("named", text, sizeof(text)), 3);
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_nlink, 1);
    CHECK_ERRNO(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), EEXIST);
}

TEST_CASE(exclusive_can_never_be_linked)
{
    char path[64];
    int fd = unnamed(O_EXCL);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CHECK_ERRNO(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), ENOENT);
}

TEST_CASE(errors)
{
    guest_write_file("f", "");
    unnamed(0);
    CHECK_ERRNO(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
    CHECK_ERRNO(open("f", O_TMPFILE | O_RDWR, 0600), ENOTDIR);
    CHECK_ERRNO(open("missing", O_TMPFILE | O_RDWR, 0600), ENOENT);
}
