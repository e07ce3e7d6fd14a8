/* aio.c: native asynchronous I/O: contexts, requests, completions, eventfds, polls, cancelling. */
#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#include "guest_test.h"

static aio_context_t setup(unsigned count)
{
    aio_context_t context = 0;
    if (syscall(SYS_io_setup, count, &context) != 0) {
        CHECK_EQ(errno, ENOSYS);
        SKIP("no asynchronous I/O");
    }
    return context;
}

static long submit(aio_context_t context, struct iocb *iocb)
{
    return syscall(SYS_io_submit, context, 1L, &iocb);
}

static struct iocb request(int opcode, int fd, void *buffer, size_t length, off_t offset)
{
    return (struct iocb){.aio_lio_opcode = (uint16_t)opcode,
                         .aio_fildes = (uint32_t)fd,
                         .aio_buf = (uintptr_t)buffer,
                         .aio_nbytes = length,
                         .aio_offset = offset,
                         .aio_data = 42};
}

TEST_CASE(write_and_read)
{
    char text[16] = "";
    struct io_event event;
    aio_context_t context = setup(8);
    int fd = (int)CHECK_OK(open("f", O_CREAT | O_RDWR, 0600));
    struct iocb write_one = request(IOCB_CMD_PWRITE, fd, "hello", 5, 3);
    CHECK_EQ(submit(context, &write_one), 1);
    CHECK_EQ(syscall(SYS_io_getevents, context, 1L, 1L, &event, NULL), 1);
    CHECK_EQ(event.data, 42);
    CHECK_EQ(event.obj, (uintptr_t)&write_one);
    CHECK_EQ(event.res, 5);
    struct iovec parts[2] = {{text, 4}, {text + 4, 8}};
    struct iocb read_one = request(IOCB_CMD_PREADV, fd, parts, 2, 0);
    CHECK_EQ(submit(context, &read_one), 1);
    CHECK_EQ(syscall(SYS_io_getevents, context, 1L, 1L, &event, NULL), 1);
    CHECK_EQ(event.res, 8);
    CHECK(memcmp(text, "\0\0\0hello", 8) == 0);
    struct iocb sync_one = request(IOCB_CMD_FSYNC, fd, NULL, 0, 0);
    CHECK_EQ(submit(context, &sync_one), 1);
    CHECK_EQ(syscall(SYS_io_getevents, context, 1L, 1L, &event, NULL), 1);
    CHECK_EQ(event.res, 0);
    CHECK_OK(syscall(SYS_io_destroy, context));
    CHECK_ERRNO(syscall(SYS_io_destroy, context), EINVAL);
}

TEST_CASE(errors)
{
    char text[4];
    aio_context_t context = setup(1), used = 1;
    struct iocb bad = request(IOCB_CMD_PREAD, -1, text, 4, 0);
    struct iocb *none = NULL;
    CHECK_ERRNO(syscall(SYS_io_setup, 1, &used), EINVAL);
    used = 0;
    CHECK_ERRNO(syscall(SYS_io_setup, 0, &used), EINVAL);
    CHECK_ERRNO(syscall(SYS_io_setup, 1, guest_bad()), EFAULT);
    CHECK_ERRNO(syscall(SYS_io_setup, 1000000, &used), EAGAIN);
    CHECK_ERRNO(submit(context, &bad), EBADF);
    CHECK_ERRNO(syscall(SYS_io_submit, context, -1L, &none), EINVAL);
    CHECK_ERRNO(syscall(SYS_io_submit, context, 1L, &none), EFAULT);
    CHECK_ERRNO(syscall(SYS_io_submit, (aio_context_t)4096, 1L, &none), EINVAL);
    CHECK_EQ(syscall(SYS_io_submit, context, 0L, NULL), 0);
    int fd = (int)CHECK_OK(open("f", O_CREAT | O_WRONLY, 0600));
    bad = request(IOCB_CMD_PREAD, fd, text, 4, 0);
    CHECK_ERRNO(submit(context, &bad), EBADF);
    bad = request(99, fd, text, 4, 0);
    CHECK_ERRNO(submit(context, &bad), EINVAL);
    bad = request(IOCB_CMD_PWRITE, fd, text, 4, 0);
    bad.aio_flags = IOCB_FLAG_RESFD;
    bad.aio_resfd = (uint32_t)fd;
    CHECK_ERRNO(submit(context, &bad), EINVAL);
    CHECK_ERRNO(syscall(SYS_io_getevents, context, 2L, 1L, NULL, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_io_cancel, context, &bad, NULL), EINVAL);
}

static void on_alarm(int signo)
{
    (void)signo;
}

TEST_CASE(waiting)
{
    struct io_event event;
    struct timespec soon = {0, 50000000};
    aio_context_t context = setup(4);
    long long before = guest_now_ms();
    CHECK_EQ(syscall(SYS_io_getevents, context, 1L, 1L, &event, &soon), 0);
    CHECK(guest_now_ms() - before >= 49);
    CHECK_EQ(syscall(SYS_io_getevents, context, 0L, 1L, &event, NULL), 0);
    struct sigaction action = {.sa_handler = on_alarm};
    CHECK_OK(sigaction(SIGALRM, &action, NULL));
    guest_ticker_start(20);
    CHECK_ERRNO(syscall(SYS_io_getevents, context, 1L, 1L, &event, NULL), EINTR);
}

TEST_CASE(tells_an_eventfd)
{
    uint64_t count = 0;
    aio_context_t context = setup(4);
    int fd = (int)CHECK_OK(open("f", O_CREAT | O_RDWR, 0600));
    int event = (int)CHECK_OK(eventfd(0, EFD_NONBLOCK));
    struct iocb one = request(IOCB_CMD_PWRITE, fd, "x", 1, 0);
    one.aio_flags = IOCB_FLAG_RESFD;
    one.aio_resfd = (uint32_t)event;
    CHECK_EQ(submit(context, &one), 1);
    CHECK_EQ(read(event, &count, sizeof(count)), 8);
    CHECK_EQ(count, 1);
    count = UINT64_MAX - 1;
    CHECK_EQ(write(event, &count, sizeof(count)), 8);
    CHECK_EQ(submit(context, &one), 1);
    struct pollfd state = {event, POLLIN | POLLOUT, 0};
    CHECK_EQ(poll(&state, 1, 0), 1);
    CHECK_EQ(state.revents & POLLERR, POLLERR);
    CHECK_EQ(read(event, &count, sizeof(count)), 8);
    CHECK(count == UINT64_MAX);
}

TEST_CASE(poll_request)
{
    struct io_event event;
    int pipes[2];
    aio_context_t context = setup(4);
    CHECK_OK(pipe(pipes));
    struct iocb one = request(5 /* IOCB_CMD_POLL */, pipes[0], (void *)POLLIN, 0, 0);
    CHECK_EQ(submit(context, &one), 1);
    CHECK_EQ(syscall(SYS_io_getevents, context, 0L, 1L, &event, NULL), 0);
    pid_t child = guest_fork();
    if (child == 0) {
        guest_sleep_ms(50);
        CHECK_EQ(write(pipes[1], "x", 1), 1);
        _exit(0);
    }
    CHECK_EQ(syscall(SYS_io_getevents, context, 1L, 1L, &event, NULL), 1);
    CHECK_EQ(event.res & POLLIN, POLLIN);
    CHECK_CHILD_OK(child);
}

TEST_CASE(not_inherited)
{
    struct io_event event;
    aio_context_t context = setup(4);
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_ERRNO(syscall(SYS_io_getevents, context, 0L, 1L, &event, NULL), EINVAL);
        _exit(0);
    }
    CHECK_CHILD_OK(child);
    CHECK_EQ(syscall(SYS_io_getevents, context, 0L, 1L, &event, NULL), 0);
}
