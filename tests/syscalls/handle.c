/* handle.c: name_to_handle_at and open_by_handle_at. */
#include <linux/capability.h>

#include "guest_test.h"

union handle {
    struct file_handle handle;
    char room[sizeof(struct file_handle) + 128];
};

TEST_CASE(there_and_back)
{
    union handle h = {.handle = {.handle_bytes = 0}};
    int mount_id = -1;
    char text[8] = "";
    guest_write_file("f", "hello");
    CHECK_ERRNO(name_to_handle_at(AT_FDCWD, "f", &h.handle, &mount_id, 0), EOVERFLOW);
    CHECK(h.handle.handle_bytes > 0 && h.handle.handle_bytes <= 128);
    CHECK_OK(name_to_handle_at(AT_FDCWD, "f", &h.handle, &mount_id, 0));
    CHECK(mount_id > 0);
    if (!guest_has_cap(CAP_DAC_READ_SEARCH)) {
        CHECK_ERRNO(open_by_handle_at(AT_FDCWD, &h.handle, O_RDONLY), EPERM);
        return;
    }
    int fd = open_by_handle_at(AT_FDCWD, &h.handle, O_RDONLY);
    if (fd < 0 && errno == EPERM) {
        SKIP("not in this namespace");
    }
    CHECK(fd >= 0);
    CHECK_EQ(read(fd, text, sizeof(text)), 5);
    CHECK_OK(rename("f", "g"));
    CHECK_OK(open_by_handle_at(AT_FDCWD, &h.handle, O_RDONLY));
    CHECK_OK(symlink("g", "link"));
    h.handle.handle_bytes = 128;
    CHECK_OK(name_to_handle_at(AT_FDCWD, "link", &h.handle, &mount_id, 0));
    CHECK_ERRNO(open_by_handle_at(AT_FDCWD, &h.handle, O_RDONLY), ELOOP);
    h.handle.handle_bytes = 0;
    CHECK_ERRNO(open_by_handle_at(AT_FDCWD, &h.handle, O_RDONLY), EINVAL);
    h.handle.handle_bytes = 16;
    CHECK_ERRNO(open_by_handle_at(-1, &h.handle, O_RDONLY), EBADF);
}

TEST_CASE(errors)
{
    union handle h = {.handle = {.handle_bytes = 129}};
    int mount_id;
    guest_write_file("f", "");
    CHECK_ERRNO(name_to_handle_at(AT_FDCWD, "f", &h.handle, &mount_id, 0), EINVAL);
    h.handle.handle_bytes = 128;
    CHECK_ERRNO(name_to_handle_at(AT_FDCWD, "f", &h.handle, &mount_id, -1), EINVAL);
    CHECK_ERRNO(name_to_handle_at(-1, "f", &h.handle, &mount_id, 0), EBADF);
    CHECK_ERRNO(name_to_handle_at(AT_FDCWD, "absent", &h.handle, &mount_id, 0), ENOENT);
    CHECK_ERRNO(syscall(SYS_name_to_handle_at, AT_FDCWD, "f", guest_bad(), &mount_id, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_name_to_handle_at, AT_FDCWD, "f", &h, guest_bad(), 0), EFAULT);
    CHECK_ERRNO(name_to_handle_at(AT_FDCWD, "/proc/version", &h.handle, &mount_id, 0), EOPNOTSUPP);
}
