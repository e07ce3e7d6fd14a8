/*
 * symlink.c: symlink, readlink, and links inside paths.
 */
#include "tests/syscalls/guest_test.h"

static char buffer[PATH_MAX + 10];

TEST_CASE(text_is_kept_as_it_is)
{
    const char *texts[] = {"a", "../..//x/./y", "/absolute/path", "with space", "nowhere/at/all"};
    for (int i = 0; i < 5; i++) {
        CHECK_OK(symlink(texts[i], "l"));
        ssize_t n = CHECK_OK(readlink("l", buffer, sizeof(buffer)));
        CHECK_EQ(n, strlen(texts[i]));
        CHECK(memcmp(buffer, texts[i], (size_t)n) == 0);
        CHECK_OK(unlink("l"));
    }
}

TEST_CASE(readlink_truncates_without_a_nul)
{
    CHECK_OK(symlink("abcdef", "l"));
    memset(buffer, '#', sizeof(buffer));
    CHECK_EQ(readlink("l", buffer, 3), 3);
    CHECK(memcmp(buffer, "abc#", 4) == 0);
    CHECK_ERRNO(readlink("l", buffer, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_readlink, "l", buffer, -1), EINVAL);
    CHECK_ERRNO(syscall(SYS_readlink, "l", guest_bad(), 10), EFAULT);
}

TEST_CASE(readlink_errors)
{
    guest_write_file("f", "");
    CHECK_ERRNO(readlink("f", buffer, 10), EINVAL);
    CHECK_ERRNO(readlink("missing", buffer, 10), ENOENT);
    CHECK_ERRNO(readlink("f/x", buffer, 10), ENOTDIR);
    CHECK_ERRNO(readlink(".", buffer, 10), EINVAL);
}

TEST_CASE(symlink_errors)
{
    guest_write_file("f", "");
    CHECK_ERRNO(symlink("x", "f"), EEXIST);
    CHECK_ERRNO(symlink("", "l"), ENOENT);
    CHECK_ERRNO(symlink("x", ""), ENOENT);
    CHECK_ERRNO(symlink("x", "missing/l"), ENOENT);
    memset(buffer, 't', PATH_MAX);
    buffer[PATH_MAX] = '\0';
    CHECK_ERRNO(symlink(buffer, "l"), ENAMETOOLONG);
    buffer[PATH_MAX - 1] = '\0';
    int result = symlink(buffer, "l");
    CHECK(result == 0 || errno == ENAMETOOLONG);
}

TEST_CASE(followed_in_paths)
{
    char text[8];
    CHECK_OK(mkdir("d", 0755));
    CHECK_OK(mkdir("d/e", 0755));
    guest_write_file("d/f", "F");
    CHECK_OK(symlink("d/e", "l"));
    CHECK_EQ(guest_read_file("l/../f", text, sizeof(text)), 1); /* .. is taken after following */
    CHECK_OK(symlink("l", "l2"));
    CHECK_EQ(guest_read_file("l2/../f", text, sizeof(text)), 1);
    CHECK_OK(symlink("/", "root"));
    CHECK_OK(access("root/dev/null", F_OK));
}

TEST_CASE(forty_links_and_no_more)
{
    char from[16];
    char to[16];
    guest_write_file("l0", "end");
    for (int i = 1; i <= 41; i++) {
        snprintf(from, sizeof(from), "l%d", i - 1);
        snprintf(to, sizeof(to), "l%d", i);
        CHECK_OK(symlink(from, to));
    }
    struct stat st;
    CHECK_OK(stat("l40", &st));
    CHECK_ERRNO(stat("l41", &st), ELOOP);
    CHECK_OK(symlink("self", "self"));
    CHECK_ERRNO(stat("self", &st), ELOOP);
    CHECK_ERRNO(stat("self/x", &st), ELOOP);
    CHECK_ERRNO(mkdir("self/x", 0755), ELOOP);
}

TEST_CASE(trailing_slash)
{
    struct stat st;
    CHECK_OK(mkdir("d", 0755));
    guest_write_file("f", "");
    CHECK_OK(symlink("d", "ld"));
    CHECK_OK(symlink("f", "lf"));
    CHECK_OK(lstat("ld", &st));
    CHECK(S_ISLNK(st.st_mode));
    CHECK_OK(lstat("ld/", &st));
    CHECK(S_ISDIR(st.st_mode));
    CHECK_ERRNO(lstat("lf/", &st), ENOTDIR);
    CHECK_ERRNO(unlink("ld/"), ENOTDIR);
    CHECK_ERRNO(rmdir("ld"), ENOTDIR);
    CHECK_OK(symlink("new", "dangling"));
    CHECK_ERRNO(mkdir("dangling", 0755), EEXIST);
}
