/*
 * getcwd.c: getcwd, chdir, fchdir.
 */
#include "tests/syscalls/guest_test.h"

static char buffer[PATH_MAX];

TEST_CASE(follows_chdir)
{
    char start[PATH_MAX];
    CHECK(getcwd(start, sizeof(start)));
    CHECK_OK(mkdir("d", 0755));
    CHECK_OK(mkdir("d/e", 0755));
    CHECK_OK(symlink("d/e", "l"));
    CHECK_OK(chdir("l"));
    CHECK(getcwd(buffer, sizeof(buffer)));
    CHECK(strncmp(buffer, start, strlen(start)) == 0);
    CHECK(strcmp(buffer + strlen(start), "/d/e") == 0); /* the real path */
    CHECK_OK(chdir(".."));
    CHECK(getcwd(buffer, sizeof(buffer)));
    CHECK(strcmp(buffer + strlen(start), "/d") == 0);
    CHECK_OK(chdir("/"));
    CHECK(getcwd(buffer, sizeof(buffer)));
    CHECK(strcmp(buffer, "/") == 0);
    CHECK_OK(chdir(start));
}

TEST_CASE(raw_length_and_errors)
{
    CHECK_OK(chdir("/"));
    CHECK_EQ(syscall(SYS_getcwd, buffer, sizeof(buffer)), 2);
    CHECK_EQ(syscall(SYS_getcwd, buffer, 2), 2);
    CHECK_ERRNO(syscall(SYS_getcwd, buffer, 1), ERANGE);
    CHECK_ERRNO(syscall(SYS_getcwd, guest_bad(), 100), EFAULT);
}

TEST_CASE(removed_directory)
{
    CHECK_OK(mkdir("d", 0755));
    CHECK_OK(chdir("d"));
    CHECK_OK(rmdir("../d"));
    CHECK_ERRNO(syscall(SYS_getcwd, buffer, sizeof(buffer)), ENOENT);
    CHECK_ERRNO(open("f", O_WRONLY | O_CREAT, 0644), ENOENT);
    struct stat st;
    CHECK_OK(stat(".", &st));
    CHECK_EQ(st.st_nlink, 0);
    CHECK_OK(chdir(".."));
    CHECK(getcwd(buffer, sizeof(buffer)));
}

TEST_CASE(renamed_directory)
{
    CHECK_OK(mkdir("d", 0755));
    CHECK_OK(chdir("d"));
    CHECK_OK(rename("../d", "../renamed"));
    CHECK(getcwd(buffer, sizeof(buffer)));
    CHECK(strcmp(buffer + strlen(buffer) - 8, "/renamed") == 0);
}

TEST_CASE(chdir_errors)
{
    guest_write_file("f", "");
    CHECK_OK(mkdir("d", 0755));
    CHECK_ERRNO(chdir("f"), ENOTDIR);
    CHECK_ERRNO(chdir("missing"), ENOENT);
    CHECK_ERRNO(chdir(""), ENOENT);
    CHECK_ERRNO(fchdir(9999), EBADF);
    int file = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK_ERRNO(fchdir(file), ENOTDIR);
    int dir = (int)CHECK_OK(open("d", O_RDONLY));
    CHECK_OK(chmod("d", 0));
    if (!guest_has_cap(1 /* CAP_DAC_OVERRIDE */)) {
        CHECK_ERRNO(chdir("d"), EACCES);
        CHECK_ERRNO(fchdir(dir), EACCES);
    }
    CHECK_OK(chmod("d", 0755));
    CHECK_OK(fchdir(dir));
}
