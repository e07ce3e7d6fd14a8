/*
 * mknod.c: mknod for each type.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/sysmacros.h>

TEST_CASE(files_and_fifos)
{
    struct stat st;
    CHECK_OK(mknod("f", S_IFREG | 0640, 0));
    CHECK_OK(stat("f", &st));
    CHECK_EQ(st.st_mode, S_IFREG | 0640);
    CHECK_OK(mknod("zero", 0600, 0)); /* no type: a regular file */
    CHECK_OK(stat("zero", &st));
    CHECK(S_ISREG(st.st_mode));
    CHECK_OK(mknod("p", S_IFIFO | 0600, 0));
    CHECK_OK(mknod("s", S_IFSOCK | 0600, 0));
    CHECK_OK(stat("s", &st));
    CHECK(S_ISSOCK(st.st_mode));
    CHECK_OK(mknodat(AT_FDCWD, "g", S_IFREG | 0600, 0));
}

TEST_CASE(errors)
{
    guest_write_file("f", "");
    CHECK_ERRNO(mknod("f", S_IFREG | 0600, 0), EEXIST);
    CHECK_ERRNO(mknod("d", S_IFDIR | 0755, 0), EPERM);
    CHECK_ERRNO(mknod("x", 0150000 | 0600, 0), EINVAL);
    CHECK_ERRNO(mknod("missing/x", S_IFREG | 0600, 0), ENOENT);
    CHECK_ERRNO(mknod("", S_IFREG | 0600, 0), ENOENT);
}

TEST_CASE(devices_need_a_capability)
{
    if (!guest_has_cap(27 /* CAP_MKNOD */)) {
        CHECK_ERRNO(mknod("null", S_IFCHR | 0600, makedev(1, 3)), EPERM);
        CHECK_ERRNO(mknod("block", S_IFBLK | 0600, makedev(7, 0)), EPERM);
    }
}
