/*
 * ioctl.c: the ioctls of every descriptor, and the errors.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

TEST_CASE(fionread)
{
    int pair[2];
    int count = -1;
    CHECK_OK(pipe(pair));
    CHECK_OK(ioctl(pair[0], FIONREAD, &count));
    CHECK_EQ(count, 0);
    CHECK_EQ(write(pair[1], "1234567", 7), 7);
    CHECK_OK(ioctl(pair[0], FIONREAD, &count));
    CHECK_EQ(count, 7);
    guest_write_file("f", "123456789");
    int fd = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK_EQ(lseek(fd, 4, SEEK_SET), 4);
    CHECK_OK(ioctl(fd, FIONREAD, &count));
    CHECK_EQ(count, 5);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_EQ(write(pair[1], "abc", 3), 3);
    CHECK_OK(ioctl(pair[0], FIONREAD, &count));
    CHECK_EQ(count, 3);
}

TEST_CASE(fionbio)
{
    int pair[2];
    int on = 1;
    int off = 0;
    char byte;
    CHECK_OK(pipe(pair));
    CHECK_OK(ioctl(pair[0], FIONBIO, &on));
    CHECK_EQ(fcntl(pair[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    CHECK_ERRNO(read(pair[0], &byte, 1), EAGAIN);
    CHECK_OK(ioctl(pair[0], FIONBIO, &off));
    CHECK_EQ(fcntl(pair[0], F_GETFL) & O_NONBLOCK, 0);
}

TEST_CASE(cloexec)
{
    int fd = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    CHECK_EQ(fcntl(fd, F_GETFD), 0);
    CHECK_OK(ioctl(fd, FIOCLEX));
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_OK(ioctl(fd, FIONCLEX));
    CHECK_EQ(fcntl(fd, F_GETFD), 0);
}

TEST_CASE(errors)
{
    int pair[2];
    int value;
    struct termios t;
    CHECK_OK(pipe(pair));
    CHECK_ERRNO(ioctl(pair[0], TCGETS, &t), ENOTTY);
    CHECK_ERRNO(ioctl(pair[0], 0xdeadbeef, &value), ENOTTY);
    CHECK_ERRNO(ioctl(9999, FIONREAD, &value), EBADF);
    CHECK_ERRNO(ioctl(pair[0], FIONREAD, guest_bad()), EFAULT);
    CHECK_ERRNO(ioctl(pair[0], FIONBIO, guest_bad()), EFAULT);
    guest_write_file("f", "x");
    int fd = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK_ERRNO(ioctl(fd, TCGETS, &t), ENOTTY);
    int path = (int)CHECK_OK(open("f", O_PATH));
    CHECK_ERRNO(ioctl(path, FIONREAD, &value), EBADF);
}
