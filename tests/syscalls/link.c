/*
 * link.c: link and linkat.
 */
#include "tests/syscalls/guest_test.h"

TEST_CASE(two_names_one_file)
{
    struct stat a;
    struct stat b;
    char text[8];
    guest_write_file("a", "A");
    CHECK_OK(link("a", "b"));
    CHECK_OK(stat("a", &a));
    CHECK_OK(stat("b", &b));
    CHECK_EQ(a.st_ino, b.st_ino);
    CHECK_EQ(a.st_nlink, 2);
    guest_write_file("b", "changed");
    CHECK_EQ(guest_read_file("a", text, sizeof(text)), 7);
    CHECK_OK(unlink("a"));
    CHECK_OK(stat("b", &b));
    CHECK_EQ(b.st_nlink, 1);
}

TEST_CASE(symlinks)
{
    struct stat st;
    guest_write_file("a", "A");
    CHECK_OK(symlink("a", "l"));
    CHECK_OK(link("l", "m")); /* Linux: the symbolic link itself */
    CHECK_OK(lstat("m", &st));
    CHECK(S_ISLNK(st.st_mode));
    CHECK_OK(linkat(AT_FDCWD, "l", AT_FDCWD, "n", AT_SYMLINK_FOLLOW));
    CHECK_OK(lstat("n", &st));
    CHECK(S_ISREG(st.st_mode));
    CHECK_EQ(st.st_nlink, 2);
}

TEST_CASE(errors)
{
    guest_write_file("a", "A");
    guest_write_file("b", "B");
    CHECK_OK(mkdir("d", 0755));
    CHECK_ERRNO(link("a", "b"), EEXIST);
    CHECK_ERRNO(link("missing", "c"), ENOENT);
    CHECK_ERRNO(link("d", "e"), EPERM);
    CHECK_ERRNO(link("a", "missing/c"), ENOENT);
    CHECK_ERRNO(link("a", "a/c"), ENOTDIR);
    CHECK_ERRNO(link("a", ""), ENOENT);
    CHECK_ERRNO(link("/proc/self/status", "c"), EXDEV);
    CHECK_ERRNO(linkat(AT_FDCWD, "a", AT_FDCWD, "c", 0x8000), EINVAL);
}

TEST_CASE(by_descriptor)
{
    struct stat st;
    guest_write_file("a", "A");
    int fd = (int)CHECK_OK(open("a", O_RDONLY));
    if (linkat(fd, "", AT_FDCWD, "b", AT_EMPTY_PATH) < 0) {
        CHECK_EQ(errno, ENOENT);
        SKIP("AT_EMPTY_PATH needs CAP_DAC_READ_SEARCH here");
    }
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_nlink, 2);
}
