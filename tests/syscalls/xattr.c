/*
 * xattr.c: extended attributes, where the file system has them.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/xattr.h>

static char buffer[256];

static void setup(void)
{
    guest_write_file("f", "");
    if (setxattr("f", "user.one", "1", 1, 0) < 0) {
        CHECK(errno == ENOTSUP || errno == ENOSYS);
        SKIP("no user attributes on this file system");
    }
}

TEST_CASE(set_get_list_remove)
{
    setup();
    CHECK_OK(setxattr("f", "user.two", "value", 5, 0));
    CHECK_EQ(getxattr("f", "user.two", buffer, sizeof(buffer)), 5);
    CHECK(memcmp(buffer, "value", 5) == 0);
    CHECK_EQ(getxattr("f", "user.two", NULL, 0), 5);
    ssize_t n = CHECK_OK(listxattr("f", buffer, sizeof(buffer)));
    int found = 0;
    for (ssize_t at = 0; at < n; at += (ssize_t)strlen(buffer + at) + 1) {
        found += strcmp(buffer + at, "user.one") == 0 || strcmp(buffer + at, "user.two") == 0;
    }
    CHECK_EQ(found, 2);
    CHECK_OK(removexattr("f", "user.one"));
    CHECK_ERRNO(getxattr("f", "user.one", buffer, sizeof(buffer)), ENODATA);
    CHECK_ERRNO(removexattr("f", "user.one"), ENODATA);
}

TEST_CASE(create_and_replace_flags)
{
    setup();
    CHECK_ERRNO(setxattr("f", "user.one", "x", 1, XATTR_CREATE), EEXIST);
    CHECK_ERRNO(setxattr("f", "user.new", "x", 1, XATTR_REPLACE), ENODATA);
    CHECK_OK(setxattr("f", "user.one", "", 0, XATTR_REPLACE));
    CHECK_EQ(getxattr("f", "user.one", buffer, sizeof(buffer)), 0);
    CHECK_ERRNO(setxattr("f", "user.one", "x", 1, 0x80), EINVAL);
}

TEST_CASE(sizes_and_names)
{
    char name[300];
    setup();
    CHECK_OK(setxattr("f", "user.one", "12345", 5, 0));
    CHECK_ERRNO(getxattr("f", "user.one", buffer, 3), ERANGE);
    CHECK_ERRNO(listxattr("f", buffer, 2), ERANGE);
    memset(name, 'n', sizeof(name));
    memcpy(name, "user.", 5);
    name[256] = '\0';
    CHECK_ERRNO(setxattr("f", name, "x", 1, 0), ERANGE);
    CHECK_ERRNO(setxattr("f", "", "x", 1, 0), ERANGE);
    CHECK(setxattr("f", "noprefix", "x", 1, 0) < 0 && errno == EOPNOTSUPP);
    CHECK_ERRNO(setxattr("missing", "user.x", "x", 1, 0), ENOENT);
}

TEST_CASE(descriptors_and_links)
{
    setup();
    int fd = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK_OK(fsetxattr(fd, "user.three", "3", 1, 0));
    CHECK_EQ(fgetxattr(fd, "user.three", buffer, 10), 1);
    CHECK_OK(symlink("f", "l"));
    CHECK_EQ(getxattr("l", "user.three", buffer, 10), 1);
    CHECK_ERRNO(lsetxattr("l", "user.x", "x", 1, 0), EPERM);
    CHECK(flistxattr(fd, buffer, sizeof(buffer)) > 0);
    CHECK_OK(fremovexattr(fd, "user.three"));
}
