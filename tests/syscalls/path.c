/*
 * path.c: names and paths: dots, slashes, length limits, invalid bytes.
 */
#include "tests/syscalls/guest_test.h"

TEST_CASE(dots_and_slashes)
{
    struct stat a;
    struct stat b;
    const char *same[] = {"d", "./d", ".//d/.", "d/", "d//", "d/../d", "d/e/..", "x/../d"};
    CHECK_OK(mkdir("d", 0755));
    CHECK_OK(mkdir("d/e", 0755));
    CHECK_OK(stat("d", &a));
    for (int i = 0; i < 7; i++) {
        CHECK_OK(stat(same[i], &b));
        CHECK_EQ(a.st_ino, b.st_ino);
    }
    CHECK_ERRNO(stat(same[7], &b), ENOENT); /* x must exist even if .. follows */
}

TEST_CASE(parent_of_the_root)
{
    struct stat a;
    struct stat b;
    CHECK_OK(stat("/", &a));
    CHECK_OK(stat("/..", &b));
    CHECK_EQ(a.st_ino, b.st_ino);
    CHECK_OK(stat("/../../../..", &b));
    CHECK_EQ(a.st_ino, b.st_ino);
    CHECK_OK(stat("//", &b));
    CHECK_EQ(a.st_ino, b.st_ino);
}

TEST_CASE(length_limits)
{
    char path[PATH_MAX + 2];
    struct stat st;
    for (int i = 0; i < PATH_MAX; i += 2) {
        memcpy(path + i, "./", 2);
    }
    path[PATH_MAX - 1] = '\0'; /* 4095 bytes and a NUL */
    CHECK_OK(stat(path, &st));
    path[PATH_MAX - 1] = '/';
    path[PATH_MAX] = '\0';
    CHECK_ERRNO(stat(path, &st), ENAMETOOLONG);
    char name[260];
    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    CHECK_ERRNO(stat(name, &st), ENAMETOOLONG);
    CHECK_ERRNO(mkdir(name, 0755), ENAMETOOLONG);
    CHECK_ERRNO(symlink("x", name), ENAMETOOLONG);
    name[255] = '\0';
    CHECK_OK(mkdir(name, 0755));
}

TEST_CASE(any_byte_but_nul_and_slash)
{
    char name[3] = "x?";
    for (int i = 1; i < 256; i++) {
        if (i == '/') {
            continue;
        }
        name[1] = (char)i;
        int fd = (int)CHECK_OK(open(name, O_WRONLY | O_CREAT | O_EXCL, 0644));
        CHECK_OK(close(fd));
    }
    for (int i = 1; i < 256; i++) {
        if (i != '/') {
            name[1] = (char)i;
            CHECK_OK(unlink(name));
        }
    }
}

TEST_CASE(names_are_case_sensitive)
{
    guest_write_file("a", "");
    guest_write_file("A", "");
    CHECK_OK(unlink("a"));
    CHECK_OK(access("A", F_OK));
}

TEST_CASE(string_crossing_into_unmapped_memory)
{
    struct stat st;
    /* The terminating NUL is never found: the name runs into a page that is not there. */
    char *end = guest_page_end();
    memcpy(end - 4, "xxxx", 4);
    CHECK_ERRNO(syscall(SYS_stat, end - 4, &st), EFAULT);
    memcpy(end - 2, ".", 2);
    CHECK_OK(syscall(SYS_stat, end - 2, &st));
}
