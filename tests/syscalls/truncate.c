/*
 * truncate.c: truncate and ftruncate.
 */
#include "tests/syscalls/guest_test.h"

static struct stat st;

TEST_CASE(shrink_and_grow)
{
    char text[32];
    guest_write_file("f", "0123456789");
    CHECK_OK(truncate("f", 4));
    CHECK_EQ(guest_read_file("f", text, sizeof(text)), 4);
    CHECK_OK(truncate("f", 8));
    CHECK_EQ(guest_read_file("f", text, sizeof(text)), 8);
    CHECK(memcmp(text, "0123\0\0\0\0", 8) == 0);
    int fd = (int)CHECK_OK(open("f", O_RDWR));
    CHECK_EQ(lseek(fd, 6, SEEK_SET), 6);
    CHECK_OK(ftruncate(fd, 2));
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
    CHECK_EQ(read(fd, text, 1), 0);
    CHECK_EQ(write(fd, "z", 1), 1);
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_size, 7);
}

TEST_CASE(errors)
{
    int ends[2];
    guest_write_file("f", "x");
    CHECK_OK(mkdir("d", 0755));
    CHECK_ERRNO(truncate("missing", 0), ENOENT);
    CHECK_ERRNO(truncate("d", 0), EISDIR);
    CHECK_ERRNO(truncate("f", -1), EINVAL);
    CHECK_ERRNO(truncate("f/x", 0), ENOTDIR);
    int ro = (int)CHECK_OK(open("f", O_RDONLY));
    int dir = (int)CHECK_OK(open("d", O_RDONLY));
    CHECK_ERRNO(ftruncate(ro, 0), EINVAL);
    CHECK_ERRNO(ftruncate(dir, 0), EINVAL);
    CHECK_ERRNO(ftruncate(9999, 0), EBADF);
    CHECK_OK(pipe(ends));
    CHECK_ERRNO(ftruncate(ends[1], 0), EINVAL);
    CHECK_OK(chmod("f", 0444));
    if (!guest_has_cap(1 /* CAP_DAC_OVERRIDE */)) {
        CHECK_ERRNO(truncate("f", 0), EACCES);
    }
}

TEST_CASE(times)
{
    struct stat after;
    guest_write_file("f", "abc");
    CHECK_OK(stat("f", &st));
    guest_sleep_ms(20);
    CHECK_OK(truncate("f", 1));
    CHECK_OK(stat("f", &after));
    CHECK(after.st_mtim.tv_nsec != st.st_mtim.tv_nsec || after.st_mtime != st.st_mtime);
}
