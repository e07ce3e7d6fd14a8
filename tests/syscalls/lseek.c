/*
 * lseek.c: lseek, read and write at offsets.
 */
#include "tests/syscalls/guest_test.h"

static int fd;
static char buffer[64];

static void setup(void)
{
    guest_write_file("f", "0123456789");
    fd = (int)CHECK_OK(open("f", O_RDWR));
}

TEST_CASE(positions)
{
    setup();
    CHECK_EQ(lseek(fd, 3, SEEK_SET), 3);
    CHECK_EQ(lseek(fd, 4, SEEK_CUR), 7);
    CHECK_EQ(lseek(fd, -1, SEEK_CUR), 6);
    CHECK_EQ(read(fd, buffer, 1), 1);
    CHECK_EQ(buffer[0], '6');
    CHECK_EQ(lseek(fd, -2, SEEK_END), 8);
    CHECK_EQ(lseek(fd, 100, SEEK_END), 110);
    CHECK_EQ(read(fd, buffer, 1), 0);
    CHECK_EQ(write(fd, "x", 1), 1);
    CHECK_EQ(lseek(fd, 0, SEEK_END), 111);
}

TEST_CASE(errors)
{
    int ends[2];
    setup();
    CHECK_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
    CHECK_ERRNO(lseek(fd, -11, SEEK_END), EINVAL);
    CHECK_ERRNO(lseek(fd, 0, 99), EINVAL);
    CHECK_ERRNO(lseek(9999, 0, SEEK_SET), EBADF);
    CHECK_OK(pipe(ends));
    CHECK_ERRNO(lseek(ends[0], 0, SEEK_SET), ESPIPE);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
    CHECK_EQ(lseek(fd, 1LL << 40, SEEK_SET), 1LL << 40);
    CHECK(lseek(fd, LLONG_MAX, SEEK_CUR) < 0);
    CHECK(errno == EOVERFLOW || errno == EINVAL);
}

TEST_CASE(positioned_calls_leave_the_offset)
{
    setup();
    CHECK_EQ(pread(fd, buffer, 3, 5), 3);
    CHECK(memcmp(buffer, "567", 3) == 0);
    CHECK_EQ(pwrite(fd, "XY", 2, 12), 2);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
    CHECK_EQ(pread(fd, buffer, 64, 0), 14);
    CHECK(memcmp(buffer, "0123456789\0\0XY", 14) == 0);
    CHECK_EQ(pread(fd, buffer, 1, 14), 0);
    CHECK_ERRNO(pread(fd, buffer, 1, -1), EINVAL);
    CHECK_ERRNO(pwrite(fd, buffer, 1, -1), EINVAL);
}

TEST_CASE(zero_length)
{
    setup();
    CHECK_EQ(read(fd, buffer, 0), 0);
    CHECK_EQ(write(fd, buffer, 0), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
    CHECK_ERRNO(read(9999, buffer, 0), EBADF);
}

TEST_CASE(partial_transfer_at_a_bad_page)
{
    char *end = guest_page_end();
    int null = (int)CHECK_OK(open("/dev/zero", O_RDONLY));
    setup();
    memset(end - 4, 'p', 4);
    ssize_t n = write(fd, end - 4, 8);
    CHECK(n == 4 || (n < 0 && errno == EFAULT));
    n = read(null, end - 4, 8);
    CHECK(n == 4 || (n < 0 && errno == EFAULT));
    CHECK_ERRNO(write(fd, end, 8), EFAULT);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_ERRNO(read(fd, guest_bad(), 1), EFAULT);
}

TEST_CASE(concurrent_writers_share_the_offset)
{
    char text[8000];
    fd = (int)CHECK_OK(open("g", O_RDWR | O_CREAT, 0644));
    pid_t pids[4];
    for (int i = 0; i < 4; i++) {
        pids[i] = guest_fork();
        if (pids[i] == 0) {
            for (int n = 0; n < 100; n++) {
                CHECK_EQ(write(fd, "0123456789", 10), 10);
            }
            _exit(0);
        }
    }
    for (int i = 0; i < 4; i++) {
        CHECK_CHILD_OK(pids[i]);
    }
    CHECK_EQ(guest_read_file("g", text, sizeof(text)), 4000); /* none overwrote another */
}

TEST_CASE(holes_of_a_small_file)
{
    int own = (int)CHECK_OK(open("f", O_CREAT | O_RDWR, 0600));
    CHECK_EQ(pwrite(own, "a", 1, 0), 1);
    CHECK_EQ(pwrite(own, "b", 1, 5 * 65536), 1);
    if (lseek(own, 0, SEEK_HOLE) == 5 * 65536 + 1) {
        SKIP("a file system without holes");
    }
    off_t hole = lseek(own, 0, SEEK_HOLE), data = lseek(own, hole, SEEK_DATA);
    CHECK(hole > 0 && hole <= 65536);
    CHECK(data > hole && data <= 5 * 65536);
    CHECK_OK(ftruncate(own, 0));
    CHECK_EQ(pwrite(own, "b", 1, 20000), 1);
    CHECK_OK(fsync(own));
    data = lseek(own, 0, SEEK_DATA);
    CHECK(data > 0 && data <= 20000);
}
