/*
 * errno_read_write.c: read, write and lseek families: which error comes first, and edge results.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/uio.h>

static char buffer[64];

static int file_with(const char *text, int flags)
{
    guest_write_file("f", text);
    return (int)CHECK_OK(open("f", flags));
}

TEST_CASE(bad_descriptors)
{
    int fd = file_with("hello", O_PATH);
    CHECK_ERRNO(read(-1, buffer, 1), EBADF);
    CHECK_ERRNO(read(fd, buffer, 1), EBADF);
    CHECK_ERRNO(write(fd, buffer, 1), EBADF);
    CHECK_ERRNO(lseek(fd, 0, SEEK_SET), EBADF);
    CHECK_ERRNO(syscall(SYS_read, 999, guest_bad(), 1), EBADF);
}

TEST_CASE(access_mode)
{
    int reader = file_with("hello", O_RDONLY);
    int writer = (int)CHECK_OK(open("f", O_WRONLY));
    CHECK_ERRNO(write(reader, "x", 1), EBADF);
    CHECK_ERRNO(read(writer, buffer, 1), EBADF);
    CHECK_ERRNO(pwrite(reader, "x", 1, 0), EBADF);
    struct iovec iov = {buffer, 1};
    CHECK_ERRNO(writev(reader, &iov, 1), EBADF);
    CHECK_ERRNO(syscall(SYS_writev, reader, guest_bad(), 1), EBADF);
}

TEST_CASE(positions)
{
    int fd = file_with("hello", O_RDWR);
    CHECK_ERRNO(pread(fd, buffer, 1, -1), EINVAL);
    CHECK_ERRNO(pwrite(fd, buffer, 1, -1), EINVAL);
    CHECK_ERRNO(pread(-1, buffer, 1, -1), EINVAL); /* the position is looked at first */
    CHECK_EQ(pread(fd, buffer, 10, 3), 2);
    CHECK_EQ(pread(fd, buffer, 10, 100), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
    CHECK_EQ(pwrite(fd, "X", 1, 7), 1);
    CHECK_EQ(lseek(fd, 0, SEEK_END), 8);
    CHECK_EQ(pread(fd, buffer, 10, 0), 8);
    CHECK(memcmp(buffer, "hello\0\0X", 8) == 0);
}

TEST_CASE(seek)
{
    int fd = file_with("hello", O_RDWR);
    CHECK_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
    CHECK_ERRNO(lseek(fd, 0, 5), EINVAL);
    CHECK_ERRNO(lseek(fd, -6, SEEK_END), EINVAL);
    CHECK_EQ(lseek(fd, -1, SEEK_END), 4);
    CHECK_EQ(lseek(fd, 100, SEEK_SET), 100);
    CHECK_EQ(read(fd, buffer, 1), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_DATA), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 5);
    CHECK_ERRNO(lseek(fd, 5, SEEK_DATA), ENXIO);
    CHECK_ERRNO(lseek(-1, 0, 99), EBADF);
    int ends[2];
    CHECK_OK(pipe(ends));
    CHECK_ERRNO(lseek(ends[0], 0, SEEK_SET), ESPIPE);
    CHECK_ERRNO(lseek(ends[0], 0, 99), EINVAL);
}

TEST_CASE(vectors)
{
    int fd = file_with("hello world", O_RDWR);
    char a[3];
    char b[20];
    struct iovec iov[2] = {{a, sizeof(a)}, {b, sizeof(b)}};
    CHECK_EQ(readv(fd, iov, 2), 11);
    CHECK(memcmp(a, "hel", 3) == 0 && memcmp(b, "lo world", 8) == 0);
    CHECK_EQ(readv(fd, iov, 0), 0);
    CHECK_ERRNO(syscall(SYS_readv, fd, iov, -1L), EINVAL);
    CHECK_ERRNO(syscall(SYS_readv, fd, iov, 1025L), EINVAL);
    CHECK_ERRNO(syscall(SYS_readv, fd, guest_bad(), 1), EFAULT);
    iov[1].iov_len = (size_t)-1;
    CHECK_ERRNO(readv(fd, iov, 2), EINVAL);
    iov[1].iov_len = 5;
    CHECK_EQ(preadv(fd, iov, 2, 1), 8);
    CHECK_ERRNO(preadv(fd, iov, 2, -1), EINVAL);
}

TEST_CASE(flags_of_preadv2)
{
    int fd = file_with("hello", O_RDWR);
    struct iovec iov = {buffer, sizeof(buffer)};
    CHECK_EQ(preadv2(fd, &iov, 1, -1, 0), 5); /* -1: the file's own position */
    CHECK_EQ(preadv2(fd, &iov, 1, -1, 0), 0);
    CHECK_EQ(preadv2(fd, &iov, 1, 1, 0), 4);
    CHECK_ERRNO(preadv2(fd, &iov, 1, 0, 0x4000), EOPNOTSUPP);
    iov = (struct iovec){"!!", 2};
    CHECK_EQ(pwritev2(fd, &iov, 1, 0, RWF_APPEND), 2);
    CHECK_EQ(lseek(fd, 0, SEEK_END), 7);
    CHECK_ERRNO(pwritev2(fd, &iov, 1, 0, 0x4000), EOPNOTSUPP);
}

TEST_CASE(faults)
{
    int fd = file_with("hello", O_RDWR);
    CHECK_ERRNO(read(fd, guest_bad(), 5), EFAULT);
    CHECK_ERRNO(write(fd, guest_bad(), 5), EFAULT);
    CHECK_EQ(read(fd, guest_bad(), 0), 0);
    CHECK_EQ(write(fd, guest_bad(), 0), 0);
    int ends[2];
    CHECK_OK(pipe(ends));
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_ERRNO(read(ends[0], guest_bad(), 1), EFAULT);
    CHECK_EQ(read(ends[0], buffer, 1), 1); /* the byte is still there */
}

TEST_CASE(directories)
{
    int fd = (int)CHECK_OK(open(".", O_RDONLY));
    CHECK_ERRNO(read(fd, buffer, 1), EISDIR);
    CHECK_ERRNO(pread(fd, buffer, 1, 0), EISDIR);
    CHECK_ERRNO(write(fd, buffer, 1), EBADF);
}

TEST_CASE(append)
{
    int fd = file_with("hello", O_RDWR | O_APPEND);
    CHECK_EQ(write(fd, "1", 1), 1);
    CHECK_EQ(pwrite(fd, "2", 1, 0), 1); /* Linux appends all the same */
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
    guest_read_file("f", buffer, sizeof(buffer));
    CHECK(strcmp(buffer, "hello12") == 0);
}

static void nothing(int signo)
{
    (void)signo;
}

TEST_CASE(interrupted_read_gives_eintr)
{
    int ends[2];
    CHECK_OK(pipe(ends));
    guest_handle(SIGALRM, nothing, 0);
    guest_ticker_start(20);
    CHECK_ERRNO(read(ends[0], buffer, 1), EINTR);
    guest_ticker_stop();
}

TEST_CASE(interrupted_write_gives_the_part)
{
    int ends[2];
    static char big[200000];
    CHECK_OK(pipe(ends));
    guest_handle(SIGALRM, nothing, 0);
    guest_ticker_start(20);
    CHECK_EQ(write(ends[1], big, sizeof(big)), 65536);
    CHECK_ERRNO(write(ends[1], big, 1), EINTR);
    guest_ticker_stop();
}
