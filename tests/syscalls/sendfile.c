/*
 * sendfile.c: sendfile and copy_file_range.
 */
#include <sys/mman.h>
#include "tests/syscalls/guest_test.h"

#include <sys/sendfile.h>
#include <sys/socket.h>

static char buffer[100000];

static int source(const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        buffer[i] = (char)(i % 101);
    }
    int fd = (int)CHECK_OK(open(name, O_RDWR | O_CREAT | O_TRUNC, 0644));
    CHECK_EQ(write(fd, buffer, size), size);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

TEST_CASE(sendfile_to_file_and_socket)
{
    int pair[2];
    off_t offset = 10;
    int in = source("in", 1000);
    int out = (int)CHECK_OK(open("out", O_RDWR | O_CREAT, 0644));
    CHECK_EQ(sendfile(out, in, &offset, 100), 100);
    CHECK_EQ(offset, 110);
    CHECK_EQ(lseek(in, 0, SEEK_CUR), 0);
    CHECK_EQ(lseek(out, 0, SEEK_CUR), 100);
    CHECK_EQ(sendfile(out, in, NULL, 50), 50);
    CHECK_EQ(lseek(in, 0, SEEK_CUR), 50);
    CHECK_EQ(pread(out, buffer, 1, 0), 1);
    CHECK_EQ(buffer[0], 10);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_EQ(sendfile(pair[0], in, NULL, 100000), 950);
    CHECK_EQ(read(pair[1], buffer, sizeof(buffer)), 950);
    CHECK_EQ(buffer[0], 50);
    CHECK_EQ(sendfile(pair[0], in, NULL, 100), 0);
}

TEST_CASE(sendfile_errors)
{
    int in = source("in", 1000);
    int ends[2];
    CHECK_OK(pipe(ends));
    int append = (int)CHECK_OK(open("a", O_WRONLY | O_CREAT | O_APPEND, 0644));
    int ro = (int)CHECK_OK(open("in", O_RDONLY));
    CHECK_ERRNO(sendfile(append, in, NULL, 10), EINVAL);
    CHECK_ERRNO(sendfile(ro, in, NULL, 10), EBADF);
    CHECK_ERRNO(sendfile(ends[1], 9999, NULL, 10), EBADF);
    CHECK_ERRNO(sendfile(9999, in, NULL, 10), EBADF);
    off_t negative = -1;
    CHECK_ERRNO(sendfile(ends[1], in, &negative, 10), EINVAL);
    CHECK_ERRNO(syscall(SYS_sendfile, ends[1], in, guest_bad(), 10), EFAULT);
    CHECK_EQ(sendfile(ends[1], in, NULL, 0), 0);
}

TEST_CASE(sendfile_into_a_pipe)
{
    int ends[2];
    int in = source("in", 100000);
    CHECK_OK(pipe2(ends, O_NONBLOCK));
    ssize_t n = CHECK_OK(sendfile(ends[1], in, NULL, 100000));
    CHECK(n > 0 && n <= 65536);
    CHECK_EQ(lseek(in, 0, SEEK_CUR), n);
    CHECK_ERRNO(sendfile(ends[1], in, NULL, 100000), EAGAIN);
}

TEST_CASE(copy_range)
{
    loff_t from = 100;
    loff_t to = 5;
    int in = source("in", 1000);
    int out = (int)CHECK_OK(open("out", O_RDWR | O_CREAT, 0644));
    ssize_t n = copy_file_range(in, &from, out, &to, 200, 0);
    if (n < 0 && (errno == ENOSYS || errno == EXDEV || errno == EOPNOTSUPP)) {
        SKIP("no copy_file_range here");
    }
    CHECK_EQ(n, 200);
    CHECK_EQ(from, 300);
    CHECK_EQ(to, 205);
    CHECK_EQ(lseek(out, 0, SEEK_END), 205);
    CHECK_EQ(pread(out, buffer, 10, 0), 10);
    CHECK(buffer[0] == 0 && buffer[5] == 100);
    CHECK_EQ(copy_file_range(in, NULL, out, NULL, 2000, 0), 1000);
    CHECK_EQ(copy_file_range(in, NULL, out, NULL, 10, 0), 0);
    CHECK_EQ(lseek(out, 0, SEEK_CUR), 1205);
}

TEST_CASE(copy_range_errors)
{
    loff_t zero = 0;
    loff_t ten = 10;
    int in = source("in", 1000);
    int wo = (int)CHECK_OK(open("out", O_WRONLY | O_CREAT, 0644));
    int append = (int)CHECK_OK(open("app", O_WRONLY | O_CREAT | O_APPEND, 0644));
    int dir = (int)CHECK_OK(open(".", O_RDONLY));
    int ends[2];
    CHECK_OK(pipe(ends));
    CHECK_ERRNO(copy_file_range(in, NULL, wo, NULL, 10, 1), EINVAL);
    CHECK_ERRNO(copy_file_range(wo, NULL, in, NULL, 10, 0), EBADF);
    CHECK_ERRNO(copy_file_range(in, NULL, append, NULL, 10, 0), EBADF);
    CHECK_ERRNO(copy_file_range(dir, NULL, wo, NULL, 10, 0), EISDIR);
    CHECK_ERRNO(copy_file_range(in, NULL, ends[1], NULL, 10, 0), EINVAL);
    CHECK_ERRNO(copy_file_range(in, &zero, in, &ten, 100, 0), EINVAL); /* overlap */
    CHECK_ERRNO(copy_file_range(9999, NULL, wo, NULL, 10, 0), EBADF);
}

TEST_CASE(offset_cannot_be_written)
{
    int in = (int)CHECK_OK(open("empty", O_CREAT | O_RDWR, 0600));
    int out = (int)CHECK_OK(open("out", O_CREAT | O_RDWR, 0600));
    off_t *offset = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(offset != MAP_FAILED);
    CHECK_ERRNO(sendfile(out, in, offset, 10), EFAULT);
}
