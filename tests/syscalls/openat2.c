/*
 * openat2.c: openat2 and its resolve flags.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/openat2.h>

static long openat2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    long fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
    if (fd < 0 && errno == ENOSYS) {
        SKIP("no openat2");
    }
    return fd;
}

static int setup(void)
{
    CHECK_OK(mkdir("root", 0755));
    CHECK_OK(mkdir("root/sub", 0755));
    guest_write_file("root/f", "f");
    guest_write_file("root/sub/g", "g");
    guest_write_file("outside", "o");
    CHECK_OK(symlink("/f", "root/absolute"));
    CHECK_OK(symlink("../outside", "root/escape"));
    CHECK_OK(symlink("sub/g", "root/inside"));
    CHECK_OK(symlink("sub", "root/subdir"));
    return (int)CHECK_OK(open("root", O_PATH | O_DIRECTORY));
}

TEST_CASE(plain)
{
    int dir = setup();
    CHECK_OK(openat2(dir, "f", O_RDONLY, 0, 0));
    CHECK_OK(openat2(dir, "new", O_WRONLY | O_CREAT, 0644, 0));
    CHECK_OK(openat2(dir, "escape", O_RDONLY, 0, 0));
}

TEST_CASE(beneath)
{
    int dir = setup();
    CHECK_OK(openat2(dir, "sub/g", O_RDONLY, 0, RESOLVE_BENEATH));
    CHECK_OK(openat2(dir, "inside", O_RDONLY, 0, RESOLVE_BENEATH));
    CHECK_OK(openat2(dir, "sub/../f", O_RDONLY, 0, RESOLVE_BENEATH));
    CHECK_ERRNO(openat2(dir, "../outside", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
    CHECK_ERRNO(openat2(dir, "escape", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
    CHECK_ERRNO(openat2(dir, "absolute", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
    CHECK_ERRNO(openat2(dir, "/dev/null", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
}

TEST_CASE(in_root)
{
    int dir = setup();
    CHECK_OK(openat2(dir, "/f", O_RDONLY, 0, RESOLVE_IN_ROOT));
    CHECK_OK(openat2(dir, "absolute", O_RDONLY, 0, RESOLVE_IN_ROOT));
    CHECK_OK(openat2(dir, "../../f", O_RDONLY, 0, RESOLVE_IN_ROOT));
    CHECK_ERRNO(openat2(dir, "escape", O_RDONLY, 0, RESOLVE_IN_ROOT), ENOENT);
}

TEST_CASE(no_symlinks)
{
    int dir = setup();
    CHECK_OK(openat2(dir, "sub/g", O_RDONLY, 0, RESOLVE_NO_SYMLINKS));
    CHECK_ERRNO(openat2(dir, "inside", O_RDONLY, 0, RESOLVE_NO_SYMLINKS), ELOOP);
    CHECK_ERRNO(openat2(dir, "subdir/g", O_RDONLY, 0, RESOLVE_NO_SYMLINKS), ELOOP);
    CHECK_OK(openat2(dir, "inside", O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS));
}

TEST_CASE(no_magic_links)
{
    char path[64];
    int dir = setup();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", dir);
    CHECK_OK(openat2(AT_FDCWD, path, O_RDONLY, 0, 0));
    CHECK_ERRNO(openat2(AT_FDCWD, path, O_RDONLY, 0, RESOLVE_NO_MAGICLINKS), ELOOP);
    CHECK_OK(openat2(dir, "inside", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS));
}

TEST_CASE(no_crossing_of_mounts)
{
    setup();
    CHECK_ERRNO(openat2(AT_FDCWD, "/proc/self/status", O_RDONLY, 0, RESOLVE_NO_XDEV), EXDEV);
    CHECK_OK(openat2(AT_FDCWD, "root/sub/g", O_RDONLY, 0, RESOLVE_NO_XDEV));
}

TEST_CASE(strict_arguments)
{
    struct {
        struct open_how how;
        uint64_t extra;
    } big = {.how = {.flags = O_RDONLY}, .extra = 1};
    setup();
    CHECK_ERRNO(openat2(AT_FDCWD, "root/f", O_RDONLY, 0644, 0), EINVAL);
    CHECK_ERRNO(openat2(AT_FDCWD, "root/f", 1ULL << 40, 0, 0), EINVAL);
    CHECK_ERRNO(openat2(AT_FDCWD, "root/f", O_RDONLY, 0, 1ULL << 40), EINVAL);
    CHECK_ERRNO(openat2(AT_FDCWD, "root/f", O_CREAT | O_WRONLY, 010000, 0), EINVAL);
    CHECK_ERRNO(openat2(AT_FDCWD, "f", O_RDONLY, 0, RESOLVE_IN_ROOT | RESOLVE_BENEATH), EINVAL);
    CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, "root/f", &big, 8), EINVAL);
    CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, "root/f", &big, sizeof(big)), E2BIG);
    big.extra = 0;
    CHECK_OK(syscall(SYS_openat2, AT_FDCWD, "root/f", &big, sizeof(big)));
    CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, "root/f", guest_bad(), 24), EFAULT);
}
