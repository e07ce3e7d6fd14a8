/*
 * rename.c: rename and renameat2 flags.
 */
#include "tests/syscalls/guest_test.h"

static char text[16];

static void expect(const char *name, const char *want)
{
    guest_read_file(name, text, sizeof(text));
    if (strcmp(text, want) != 0) {
        FAIL("%s holds %s, wanted %s", name, text, want);
    }
}

TEST_CASE(replaces_atomically)
{
    struct stat before;
    struct stat after;
    guest_write_file("a", "A");
    guest_write_file("b", "B");
    CHECK_OK(stat("a", &before));
    int fd = (int)CHECK_OK(open("b", O_RDONLY));
    CHECK_OK(rename("a", "b"));
    CHECK_ERRNO(access("a", F_OK), ENOENT);
    CHECK_OK(stat("b", &after));
    CHECK_EQ(before.st_ino, after.st_ino);
    expect("b", "A");
    char byte = 0;
    CHECK_EQ(read(fd, &byte, 1), 1); /* the replaced file lives while open */
    CHECK_EQ(byte, 'B');
    CHECK_OK(fstat(fd, &after));
    CHECK_EQ(after.st_nlink, 0);
}

TEST_CASE(directories)
{
    CHECK_OK(mkdir("d", 0755));
    CHECK_OK(mkdir("e", 0755));
    guest_write_file("d/f", "F");
    CHECK_OK(rename("d", "e"));
    expect("e/f", "F");
    CHECK_OK(mkdir("full", 0755));
    guest_write_file("full/x", "");
    int result = rename("e", "full");
    CHECK(result < 0 && (errno == ENOTEMPTY || errno == EEXIST));
    guest_write_file("file", "");
    CHECK_ERRNO(rename("e", "file"), ENOTDIR);
    CHECK_ERRNO(rename("file", "e"), EISDIR);
    CHECK_ERRNO(rename("e", "e/inside"), EINVAL);
    CHECK_ERRNO(rename("e", "e/."), EBUSY);
    CHECK_ERRNO(rename(".", "x"), EBUSY);
}

TEST_CASE(parent_entry_follows)
{
    struct stat a;
    struct stat b;
    CHECK_OK(mkdir("d", 0755));
    CHECK_OK(mkdir("e", 0755));
    CHECK_OK(rename("d", "e/d"));
    CHECK_OK(stat("e", &a));
    CHECK_OK(stat("e/d/..", &b));
    CHECK_EQ(a.st_ino, b.st_ino);
}

TEST_CASE(same_inode_does_nothing)
{
    guest_write_file("a", "A");
    CHECK_OK(link("a", "b"));
    CHECK_OK(rename("a", "b"));
    CHECK_OK(access("a", F_OK));
    CHECK_OK(access("b", F_OK));
    CHECK_OK(rename("a", "a"));
}

TEST_CASE(symlinks_are_renamed_not_followed)
{
    struct stat st;
    guest_write_file("a", "A");
    CHECK_OK(symlink("a", "l"));
    CHECK_OK(rename("l", "m"));
    CHECK_OK(lstat("m", &st));
    CHECK(S_ISLNK(st.st_mode));
    guest_write_file("b", "B");
    CHECK_OK(rename("b", "m"));
    expect("a", "A");
    CHECK_OK(lstat("m", &st));
    CHECK(S_ISREG(st.st_mode));
}

TEST_CASE(noreplace)
{
    guest_write_file("a", "A");
    guest_write_file("b", "B");
    if (renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE) == 0 || errno != EEXIST) {
        CHECK_EQ(errno, EINVAL);
        SKIP("no RENAME_NOREPLACE on this file system");
    }
    expect("b", "B");
    CHECK_OK(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
    expect("c", "A");
}

TEST_CASE(exchange)
{
    guest_write_file("a", "A");
    CHECK_OK(mkdir("d", 0755));
    guest_write_file("d/f", "F");
    if (renameat2(AT_FDCWD, "a", AT_FDCWD, "d", RENAME_EXCHANGE) < 0) {
        CHECK_EQ(errno, EINVAL);
        SKIP("no RENAME_EXCHANGE on this file system");
    }
    expect("d", "A");
    expect("a/f", "F");
    CHECK_ERRNO(renameat2(AT_FDCWD, "a", AT_FDCWD, "missing", RENAME_EXCHANGE), ENOENT);
}

TEST_CASE(errors)
{
    guest_write_file("a", "A");
    CHECK_ERRNO(rename("missing", "b"), ENOENT);
    CHECK_ERRNO(rename("a", "missing/b"), ENOENT);
    CHECK_ERRNO(rename("a", "a/b"), ENOTDIR);
    CHECK_ERRNO(rename("", "b"), ENOENT);
    CHECK_ERRNO(rename("a", ""), ENOENT);
    CHECK_ERRNO(rename("a", "b/"), ENOTDIR);
    CHECK_ERRNO(rename("a", "/proc/x"), EXDEV);
    CHECK_ERRNO(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", 0x100), EINVAL);
    CHECK_ERRNO(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE | RENAME_EXCHANGE),
                EINVAL);
    CHECK_ERRNO(renameat(9999, "a", AT_FDCWD, "b"), EBADF);
}

TEST_CASE(open_directory_handle_follows)
{
    CHECK_OK(mkdir("d", 0755));
    int fd = (int)CHECK_OK(open("d", O_RDONLY | O_DIRECTORY));
    CHECK_OK(rename("d", "e"));
    int file = (int)CHECK_OK(openat(fd, "new", O_WRONLY | O_CREAT, 0644));
    CHECK_OK(close(file));
    CHECK_OK(access("e/new", F_OK));
}
