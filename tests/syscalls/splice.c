/*
 * splice.c: splice between files, pipes and sockets.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/socket.h>

static int ends[2];
static char block[70000];

TEST_CASE(file_to_pipe_with_offset)
{
    loff_t offset = 2;
    guest_write_file("f", "0123456789");
    int fd = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK_OK(pipe(ends));
    CHECK_EQ(splice(fd, &offset, ends[1], NULL, 4, 0), 4);
    CHECK_EQ(offset, 6);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
    CHECK_EQ(read(ends[0], block, 100), 4);
    CHECK(memcmp(block, "2345", 4) == 0);
    CHECK_EQ(splice(fd, NULL, ends[1], NULL, 3, 0), 3);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 3);
    offset = 100;
    CHECK_EQ(splice(fd, &offset, ends[1], NULL, 4, 0), 0); /* end of file */
}

TEST_CASE(pipe_to_file)
{
    loff_t offset = 5;
    int fd = (int)CHECK_OK(open("f", O_RDWR | O_CREAT, 0644));
    CHECK_OK(pipe(ends));
    CHECK_EQ(write(ends[1], "hello", 5), 5);
    CHECK_EQ(splice(ends[0], NULL, fd, &offset, 100, 0), 5);
    CHECK_EQ(offset, 10);
    CHECK_EQ(pread(fd, block, 100, 0), 10);
    CHECK(memcmp(block, "\0\0\0\0\0hello", 10) == 0);
}

TEST_CASE(pipe_to_pipe)
{
    int other[2];
    CHECK_OK(pipe(ends));
    CHECK_OK(pipe(other));
    CHECK_EQ(write(ends[1], "abcdef", 6), 6);
    CHECK_EQ(splice(ends[0], NULL, other[1], NULL, 4, 0), 4);
    CHECK_EQ(read(other[0], block, 100), 4);
    CHECK_EQ(read(ends[0], block, 100), 2);
}

TEST_CASE(socket)
{
    int pair[2];
    CHECK_OK(pipe(ends));
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_EQ(write(ends[1], "data", 4), 4);
    CHECK_EQ(splice(ends[0], NULL, pair[0], NULL, 100, 0), 4);
    CHECK_EQ(read(pair[1], block, 100), 4);
    CHECK_EQ(write(pair[1], "back", 4), 4);
    CHECK_EQ(splice(pair[0], NULL, ends[1], NULL, 100, 0), 4);
    CHECK_EQ(read(ends[0], block, 100), 4);
    CHECK(memcmp(block, "back", 4) == 0);
}

TEST_CASE(nonblocking)
{
    int fd = (int)CHECK_OK(open("f", O_RDWR | O_CREAT, 0644));
    CHECK_OK(pipe(ends));
    CHECK_ERRNO(splice(ends[0], NULL, fd, NULL, 10, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_EQ(write(ends[1], block, 65536), 65536);
    CHECK_EQ(write(fd, "x", 1), 1);
    loff_t zero = 0;
    CHECK_ERRNO(splice(fd, &zero, ends[1], NULL, 10, SPLICE_F_NONBLOCK), EAGAIN);
}

TEST_CASE(errors)
{
    loff_t offset = 0;
    guest_write_file("f", "text");
    int fd = (int)CHECK_OK(open("f", O_RDONLY));
    int other = (int)CHECK_OK(open("g", O_RDWR | O_CREAT, 0644));
    int append = (int)CHECK_OK(open("h", O_WRONLY | O_CREAT | O_APPEND, 0644));
    CHECK_OK(pipe(ends));
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_ERRNO(splice(fd, NULL, other, NULL, 4, 0), EINVAL);
    CHECK_ERRNO(splice(fd, NULL, ends[1], &offset, 4, 0), ESPIPE);
    CHECK_ERRNO(splice(ends[0], NULL, append, NULL, 4, 0), EINVAL);
    CHECK_ERRNO(splice(ends[0], NULL, ends[1], NULL, 1, 0), EINVAL);
    CHECK_ERRNO(splice(fd, NULL, ends[0], NULL, 4, 0), EBADF);
    CHECK_ERRNO(splice(9999, NULL, ends[1], NULL, 4, 0), EBADF);
    CHECK_ERRNO(splice(fd, NULL, ends[1], NULL, 4, 0x100), EINVAL);
    CHECK_EQ(splice(fd, NULL, ends[1], NULL, 0, 0), 0);
}

TEST_CASE(end_of_file_and_broken_pipe)
{
    int fd = (int)CHECK_OK(open("f", O_RDWR | O_CREAT, 0644));
    CHECK_OK(pipe(ends));
    CHECK_OK(close(ends[1]));
    CHECK_EQ(splice(ends[0], NULL, fd, NULL, 10, 0), 0);
    CHECK_OK(pipe(ends));
    CHECK_OK(close(ends[0]));
    signal(SIGPIPE, SIG_IGN);
    CHECK_EQ(write(fd, "x", 1), 1);
    loff_t zero = 0;
    CHECK_ERRNO(splice(fd, &zero, ends[1], NULL, 10, 0), EPIPE);
}
