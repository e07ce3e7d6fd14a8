/*
 * proc_io.c: /proc/PID/io counts what went through read and write, per thread and for the process.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/sendfile.h>
#include <sys/uio.h>

struct io {
    unsigned long long rchar, wchar, syscr, syscw;
    unsigned long long own; /* bytes read by looking */
};

static struct io look(const char *path)
{
    char text[1024];
    struct io io = {0};
    int fd = (int)CHECK_OK(open(path, O_RDONLY));
    ssize_t n = CHECK_OK(read(fd, text, sizeof(text) - 1));
    text[n] = 0;
    io.own = (unsigned long long)n;
    CHECK_OK(close(fd));
    CHECK_EQ(sscanf(text, "rchar: %llu\nwchar: %llu\nsyscr: %llu\nsyscw: %llu\nread_bytes: ",
                    &io.rchar, &io.wchar, &io.syscr, &io.syscw),
             4);
    return io;
}

/* What the look before has read itself is taken out. */
static struct io since(const char *path, struct io before)
{
    struct io io = look(path);
    io.rchar -= before.rchar + before.own;
    io.syscr -= before.syscr + 1;
    io.wchar -= before.wchar;
    io.syscw -= before.syscw;
    return io;
}

static void expect(struct io io, unsigned long long rchar, unsigned long long wchar,
                   unsigned long long syscr, unsigned long long syscw)
{
    if (io.rchar != rchar || io.wchar != wchar || io.syscr != syscr || io.syscw != syscw) {
        FAIL("%llu %llu %llu %llu, wanted %llu %llu %llu %llu", io.rchar, io.wchar, io.syscr,
             io.syscw, rchar, wchar, syscr, syscw);
    }
}

TEST_CASE(calls)
{
    char buffer[5000] = {0};
    struct iovec parts[2] = {{buffer, 10}, {buffer + 10, 20}};
    int fd = (int)CHECK_OK(open("f", O_RDWR | O_CREAT, 0644));
    int pipe_fds[2];
    CHECK_OK(pipe(pipe_fds));
    struct io start = look("/proc/self/io");
    expect(since("/proc/self/io", start), 0, 0, 0, 0);
    start = look("/proc/self/io");
    CHECK_EQ(write(fd, buffer, 5000), 5000);
    CHECK_EQ(pwrite(fd, buffer, 100, 0), 100);
    CHECK_EQ(writev(fd, parts, 2), 30);
    expect(since("/proc/self/io", start), 0, 5130, 0, 3);
    start = look("/proc/self/io");
    CHECK_EQ(pread(fd, buffer, 5000, 30), 5000);
    CHECK_EQ(preadv(fd, parts, 2, 0), 30);
    CHECK_EQ(read(fd, buffer, 10), 0); /* the end counts as a call */
    CHECK_EQ(write(pipe_fds[1], buffer, 7), 7);
    CHECK_EQ(read(pipe_fds[0], buffer, 100), 7);
    CHECK_ERRNO(read(fd, (void *)1, 0x7fffffffffff), EFAULT);
    CHECK_ERRNO(read(pipe_fds[1], buffer, 1), EBADF);
    expect(since("/proc/self/io", start), 5037, 7, 4, 1);
    start = look("/proc/self/io");
    CHECK_OK(lseek(fd, 0, SEEK_SET));
    int out = (int)CHECK_OK(open("g", O_RDWR | O_CREAT, 0644));
    CHECK_EQ(sendfile(out, fd, NULL, 1000), 1000);
    CHECK_EQ(copy_file_range(fd, NULL, out, NULL, 500, 0), 500);
    expect(since("/proc/self/io", start), 1500, 1500, 2, 2);
    start = look("/proc/self/io");
    CHECK_OK(fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK));
    CHECK_ERRNO(read(pipe_fds[0], buffer, 1), EAGAIN);
    expect(since("/proc/self/io", start), 0, 0, 1, 0);
}

static void *thread(void *unused)
{
    char path[64];
    (void)unused;
    snprintf(path, sizeof(path), "/proc/self/task/%d/io", (int)syscall(SYS_gettid));
    int fd = (int)CHECK_OK(open("t", O_RDWR | O_CREAT, 0644));
    CHECK_EQ(write(fd, "hello", 5), 5);
    struct io io = look(path);
    expect(io, 0, 5, 0, 1);
    CHECK_OK(close(fd));
    return NULL;
}

TEST_CASE(threads)
{
    pthread_t id;
    struct io start = look("/proc/self/io");
    struct io own = look("/proc/thread-self/io");
    CHECK_EQ(pthread_create(&id, NULL, thread, NULL), 0);
    CHECK_EQ(pthread_join(id, NULL), 0);
    guest_sleep_ms(20);
    struct io after = look("/proc/self/io");
    CHECK_EQ(after.wchar - start.wchar, 5);
    CHECK_EQ(after.syscw - start.syscw, 1);
    struct io own_after = look("/proc/thread-self/io");
    CHECK_EQ(own_after.wchar - own.wchar, 0);
    pid_t child = guest_fork();
    if (child == 0) {
        struct io fresh = look("/proc/self/io");
        expect(fresh, 0, 0, 0, 0);
        _exit(0);
    }
    CHECK_CHILD_OK(child);
}
