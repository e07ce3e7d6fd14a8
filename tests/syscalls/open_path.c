/*
 * open_path.c: O_PATH descriptors: what they can do and what not.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/mman.h>
#include <sys/statfs.h>

TEST_CASE(refuses_input_and_output)
{
    char byte;
    guest_write_file("f", "x");
    int fd = (int)CHECK_OK(open("f", O_PATH));
    CHECK_EQ(fcntl(fd, F_GETFL) & O_PATH, O_PATH);
    CHECK_ERRNO(read(fd, &byte, 1), EBADF);
    CHECK_ERRNO(write(fd, &byte, 1), EBADF);
    CHECK_ERRNO(lseek(fd, 0, SEEK_SET), EBADF);
    CHECK_ERRNO(fchmod(fd, 0600), EBADF);
    CHECK_ERRNO(fchown(fd, (uid_t)-1, (gid_t)-1), EBADF);
    CHECK_ERRNO(ftruncate(fd, 0), EBADF);
    CHECK_ERRNO(fsync(fd), EBADF);
}

TEST_CASE(allows_stat_dup_and_fchdir)
{
    struct stat st;
    struct statfs fs;
    CHECK_OK(mkdir("d", 0755));
    guest_write_file("d/f", "");
    int fd = (int)CHECK_OK(open("d", O_PATH | O_DIRECTORY));
    CHECK_OK(fstat(fd, &st));
    CHECK(S_ISDIR(st.st_mode));
    CHECK_OK(fstatfs(fd, &fs));
    CHECK_OK(dup(fd));
    CHECK_OK(openat(fd, "f", O_RDONLY));
    CHECK_OK(fchdir(fd));
    CHECK_OK(access("f", F_OK));
}

TEST_CASE(symlink_itself)
{
    struct stat st;
    char target[16] = "";
    CHECK_OK(symlink("nowhere", "l"));
    int fd = (int)CHECK_OK(open("l", O_PATH | O_NOFOLLOW));
    CHECK_OK(fstat(fd, &st));
    CHECK(S_ISLNK(st.st_mode));
    CHECK_EQ(readlinkat(fd, "", target, sizeof(target)), 7);
    CHECK(memcmp(target, "nowhere", 7) == 0);
    CHECK_ERRNO(open("l", O_PATH), ENOENT);
}

TEST_CASE(needs_no_permission_on_the_file)
{
    guest_write_file("f", "x");
    CHECK_OK(chmod("f", 0));
    int fd = (int)CHECK_OK(open("f", O_PATH));
    struct stat st;
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_mode & 0777, 0);
}

TEST_CASE(reopen_through_proc)
{
    char path[64];
    char byte = 0;
    guest_write_file("f", "x");
    int fd = (int)CHECK_OK(open("f", O_PATH));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int real = (int)CHECK_OK(open(path, O_RDONLY));
    CHECK_EQ(read(real, &byte, 1), 1);
    CHECK_EQ(byte, 'x');
    CHECK_OK(unlink("f"));
    CHECK_OK(open(path, O_RDONLY)); /* also after the name is gone */
}

TEST_CASE(empty_path_calls)
{
    struct stat st;
    guest_write_file("f", "x");
    int fd = (int)CHECK_OK(open("f", O_PATH));
    CHECK_OK(fstatat(fd, "", &st, AT_EMPTY_PATH));
    CHECK_EQ(st.st_size, 1);
    CHECK_ERRNO(fstatat(fd, "", &st, 0), ENOENT);
    CHECK_OK(fchownat(fd, "", (uid_t)-1, (gid_t)-1, AT_EMPTY_PATH));
}
