/*
 * eventfd.c: eventfd counters and semaphores.
 */
#include "tests/syscalls/guest_test.h"

#include <poll.h>
#include <sys/eventfd.h>

static uint64_t value;

static void put(int fd, uint64_t n)
{
    CHECK_EQ(write(fd, &n, 8), 8);
}

TEST_CASE(counter)
{
    int fd = (int)CHECK_OK(eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC));
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    put(fd, 4);
    CHECK_EQ(read(fd, &value, 8), 8);
    CHECK_EQ(value, 7);
    CHECK_ERRNO(read(fd, &value, 8), EAGAIN);
}

TEST_CASE(semaphore)
{
    int fd = (int)CHECK_OK(eventfd(2, EFD_NONBLOCK | EFD_SEMAPHORE));
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(read(fd, &value, 8), 8);
        CHECK_EQ(value, 1);
    }
    CHECK_ERRNO(read(fd, &value, 8), EAGAIN);
}

TEST_CASE(limits)
{
    int fd = (int)CHECK_OK(eventfd(0, EFD_NONBLOCK));
    value = UINT64_MAX;
    CHECK_ERRNO(write(fd, &value, 8), EINVAL);
    put(fd, UINT64_MAX - 1);
    value = 1;
    CHECK_ERRNO(write(fd, &value, 8), EAGAIN);
    put(fd, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLIN);
    CHECK_EQ(read(fd, &value, 8), 8);
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLOUT);
}

TEST_CASE(sizes)
{
    char buffer[16];
    int fd = (int)CHECK_OK(eventfd(1, 0));
    CHECK_ERRNO(read(fd, buffer, 7), EINVAL);
    CHECK_ERRNO(write(fd, buffer, 7), EINVAL);
    memset(buffer, 0, sizeof(buffer));
    CHECK_EQ(read(fd, buffer, 16), 8);
    CHECK_ERRNO(eventfd(0, 0x100), EINVAL);
    CHECK_EQ(lseek(fd, 5, SEEK_SET), 0); /* Linux: accepted and ignored */
}

TEST_CASE(blocking_reader_and_writer)
{
    int fd = (int)CHECK_OK(eventfd(0, 0));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_sleep_ms(20);
        put(fd, 5);
        _exit(0);
    }
    CHECK_EQ(read(fd, &value, 8), 8);
    CHECK_EQ(value, 5);
    CHECK_CHILD_OK(pid);
    put(fd, UINT64_MAX - 1);
    pid = guest_fork();
    if (pid == 0) {
        guest_sleep_ms(20);
        CHECK_EQ(read(fd, &value, 8), 8);
        _exit(0);
    }
    put(fd, 9);
    CHECK_CHILD_OK(pid);
    CHECK_EQ(read(fd, &value, 8), 8);
    CHECK_EQ(value, 9);
}
