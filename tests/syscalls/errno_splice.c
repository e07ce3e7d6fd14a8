/*
 * errno_splice.c: splice, tee, vmsplice, sendfile, copy_file_range: errors and results.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

static char buffer[200000];
static int ends[2];

static int file_with(const char *name, const char *text, int flags)
{
    guest_write_file(name, text);
    return (int)CHECK_OK(open(name, flags));
}

TEST_CASE(splice_errors)
{
    int fd = file_with("f", "hello", O_RDWR);
    int appender = (int)CHECK_OK(open("f", O_RDWR | O_APPEND));
    loff_t offset = 0;
    CHECK_OK(pipe(ends));
    CHECK_EQ(splice(-1, NULL, -1, NULL, 0, 99), 0); /* nothing to move: nothing is looked at */
    CHECK_ERRNO(splice(-1, NULL, -1, NULL, 1, 99), EINVAL);
    CHECK_ERRNO(splice(-1, NULL, ends[1], NULL, 1, 0), EBADF);
    CHECK_ERRNO(splice(fd, NULL, fd, NULL, 1, 0), EINVAL);
    CHECK_ERRNO(splice(ends[0], &offset, fd, NULL, 1, 0), ESPIPE);
    CHECK_ERRNO(splice(ends[0], NULL, ends[1], NULL, 1, 0), EINVAL);
    CHECK_ERRNO(splice(ends[0], NULL, appender, NULL, 1, 0), EINVAL);
    CHECK_ERRNO(splice(ends[0], NULL, fd, NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_EQ(splice(fd, NULL, ends[1], NULL, 100, 0), 5);
    CHECK_EQ(read(ends[0], buffer, 100), 5);
    offset = 1;
    CHECK_EQ(splice(fd, &offset, ends[1], NULL, 2, 0), 2);
    CHECK_EQ(offset, 3);
    offset = 5;
    CHECK_EQ(splice(ends[0], NULL, fd, &offset, 100, 0), 2);
    CHECK_EQ(offset, 7);
    guest_read_file("f", buffer, sizeof(buffer));
    CHECK(strcmp(buffer, "helloel") == 0);
}

TEST_CASE(vmsplice_and_tee)
{
    int fd = file_with("f", "hello", O_RDWR);
    struct iovec iov = {"abc", 3};
    int others[2];
    CHECK_OK(pipe(ends));
    CHECK_OK(pipe(others));
    CHECK_ERRNO(vmsplice(fd, &iov, 1, 0), EBADF);
    CHECK_ERRNO(vmsplice(ends[1], &iov, 1, 99), EINVAL);
    CHECK_EQ(vmsplice(ends[1], &iov, 1, 0), 3);
    CHECK_ERRNO(tee(ends[0], fd, 1, 0), EINVAL);
    CHECK_ERRNO(tee(ends[0], ends[1], 1, 0), EINVAL);
    CHECK_EQ(tee(ends[0], others[1], 100, 0), 3);
    CHECK_EQ(read(others[0], buffer, 100), 3);
    iov = (struct iovec){buffer, 100};
    CHECK_EQ(vmsplice(ends[0], &iov, 1, 0), 3);
}

TEST_CASE(sendfile_call)
{
    int in = file_with("in", "hello world", O_RDWR);
    int out = file_with("out", "", O_RDWR);
    int appender = (int)CHECK_OK(open("out", O_WRONLY | O_APPEND));
    int writer = (int)CHECK_OK(open("in", O_WRONLY));
    off_t offset = 6;
    CHECK_OK(pipe(ends));
    CHECK_ERRNO(sendfile(out, -1, NULL, 1), EBADF);
    CHECK_ERRNO(sendfile(-1, in, NULL, 1), EBADF);
    CHECK_ERRNO(sendfile(out, writer, NULL, 1), EBADF);
    CHECK_ERRNO(sendfile(appender, in, NULL, 1), EINVAL);
    CHECK_ERRNO(sendfile(out, ends[0], &offset, 1), ESPIPE);
    CHECK_EQ(sendfile(out, in, &offset, 100), 5);
    CHECK_EQ(offset, 11);
    CHECK_EQ(lseek(in, 0, SEEK_CUR), 0);
    CHECK_EQ(sendfile(ends[1], in, NULL, 5), 5);
    CHECK_EQ(lseek(in, 0, SEEK_CUR), 5);
    CHECK_EQ(sendfile(out, in, &offset, 100), 0);
    offset = -1;
    CHECK_ERRNO(sendfile(out, in, &offset, 1), EINVAL);
}

TEST_CASE(sendfile_to_socket)
{
    int pair[2];
    memset(buffer, 'x', sizeof(buffer));
    int fd = (int)CHECK_OK(open("f", O_CREAT | O_RDWR, 0600));
    CHECK_EQ(write(fd, buffer, sizeof(buffer)), (long)sizeof(buffer));
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    pid_t pid = guest_fork();
    if (pid == 0) {
        size_t total = 0;
        ssize_t count;
        close(pair[0]);
        while ((count = read(pair[1], buffer, sizeof(buffer))) > 0) {
            total += (size_t)count;
        }
        _exit(total == sizeof(buffer) ? 0 : 1);
    }
    CHECK_EQ(sendfile(pair[0], fd, NULL, sizeof(buffer)), (long)sizeof(buffer));
    CHECK_OK(close(pair[0]));
    CHECK_OK(close(pair[1]));
    CHECK_CHILD_OK(pid);
}

TEST_CASE(copy_file_range_call)
{
    int in = file_with("in", "hello world", O_RDWR);
    int out = file_with("out", "", O_RDWR);
    int dir = (int)CHECK_OK(open(".", O_RDONLY));
    int reader = (int)CHECK_OK(open("out", O_RDONLY));
    int appender = (int)CHECK_OK(open("out", O_WRONLY | O_APPEND));
    loff_t a = 0;
    loff_t b = 2;
    CHECK_OK(pipe(ends));
    CHECK_ERRNO(copy_file_range(-1, NULL, out, NULL, 1, 0), EBADF);
    CHECK_ERRNO(copy_file_range(in, NULL, out, NULL, 1, 1), EINVAL);
    CHECK_ERRNO(copy_file_range(dir, NULL, out, NULL, 1, 0), EISDIR);
    CHECK_ERRNO(copy_file_range(ends[0], NULL, out, NULL, 1, 0), EINVAL);
    CHECK_ERRNO(copy_file_range(in, NULL, reader, NULL, 1, 0), EBADF);
    CHECK_ERRNO(copy_file_range(in, NULL, appender, NULL, 1, 0), EBADF);
    CHECK_ERRNO(copy_file_range(in, &a, in, &b, 4, 0), EINVAL); /* overlap */
    a = 6;
    CHECK_EQ(copy_file_range(in, &a, out, NULL, 100, 0), 5);
    CHECK_EQ(a, 11);
    CHECK_EQ(lseek(out, 0, SEEK_CUR), 5);
    CHECK_EQ(copy_file_range(in, &a, out, NULL, 100, 0), 0);
    guest_read_file("out", buffer, sizeof(buffer));
    CHECK(strcmp(buffer, "world") == 0);
}
