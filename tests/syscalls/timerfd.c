/*
 * timerfd.c: timerfd: expirations, absolute time, poll, non-blocking reads.
 */
#include "tests/syscalls/guest_test.h"

#include <poll.h>
#include <sys/timerfd.h>

static struct itimerspec milliseconds(long first, long interval)
{
    struct itimerspec spec = {{0, interval * 1000000}, {0, first * 1000000}};
    return spec;
}

TEST_CASE(once)
{
    uint64_t count = 0;
    struct itimerspec spec = milliseconds(40, 0);
    int fd = (int)CHECK_OK(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    long long start = guest_now_ms();
    CHECK_OK(timerfd_settime(fd, 0, &spec, NULL));
    CHECK_EQ(read(fd, &count, 8), 8);
    CHECK(guest_now_ms() - start >= 40);
    CHECK_EQ(count, 1);
    CHECK_OK(timerfd_gettime(fd, &spec));
    CHECK_EQ(spec.it_value.tv_nsec, 0);
}

TEST_CASE(interval_counts_expirations)
{
    uint64_t count = 0;
    struct itimerspec spec = milliseconds(10, 10);
    int fd = (int)CHECK_OK(timerfd_create(CLOCK_MONOTONIC, 0));
    CHECK_OK(timerfd_settime(fd, 0, &spec, NULL));
    guest_sleep_ms(105);
    CHECK_EQ(read(fd, &count, 8), 8);
    CHECK(count >= 9 && count < 200);
    CHECK_EQ(read(fd, &count, 8), 8);
    CHECK(count >= 1);
}

TEST_CASE(nonblocking_and_poll)
{
    uint64_t count = 0;
    struct itimerspec spec = milliseconds(30, 0);
    int fd = (int)CHECK_OK(timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK));
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
    CHECK_ERRNO(read(fd, &count, 8), EAGAIN);
    CHECK_EQ(poll(&p, 1, 0), 0);
    CHECK_OK(timerfd_settime(fd, 0, &spec, NULL));
    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK_EQ(p.revents, POLLIN);
    CHECK_EQ(read(fd, &count, 8), 8);
    CHECK_EQ(count, 1);
    CHECK_ERRNO(read(fd, &count, 8), EAGAIN);
}

TEST_CASE(absolute)
{
    uint64_t count = 0;
    struct itimerspec spec = {{0, 0}, {0, 0}};
    int fd = (int)CHECK_OK(timerfd_create(CLOCK_REALTIME, 0));
    CHECK_OK(clock_gettime(CLOCK_REALTIME, &spec.it_value));
    spec.it_value.tv_sec -= 5;
    CHECK_OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL));
    CHECK_EQ(read(fd, &count, 8), 8);
    CHECK_EQ(count, 1);
    spec.it_value.tv_sec += 1000;
    CHECK_OK(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, NULL));
    CHECK_OK(timerfd_gettime(fd, &spec));
    CHECK(spec.it_value.tv_sec > 900 && spec.it_value.tv_sec <= 1000);
}

TEST_CASE(setting_clears_expirations)
{
    uint64_t count = 0;
    struct itimerspec spec = milliseconds(1, 0);
    struct itimerspec off = milliseconds(0, 0);
    int fd = (int)CHECK_OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    CHECK_OK(timerfd_settime(fd, 0, &spec, NULL));
    guest_sleep_ms(20);
    CHECK_OK(timerfd_settime(fd, 0, &off, NULL));
    CHECK_ERRNO(read(fd, &count, 8), EAGAIN);
}

TEST_CASE(shared_across_fork)
{
    uint64_t count = 0;
    struct itimerspec spec = milliseconds(20, 0);
    int fd = (int)CHECK_OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    CHECK_OK(timerfd_settime(fd, 0, &spec, NULL));
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        CHECK_EQ(poll(&p, 1, 5000), 1);
        CHECK_EQ(read(fd, &count, 8), 8);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_ERRNO(read(fd, &count, 8), EAGAIN);
}

TEST_CASE(errors)
{
    char small[4];
    uint64_t count = 0;
    struct itimerspec spec = milliseconds(1, 0);
    CHECK_ERRNO(timerfd_create(1000, 0), EINVAL);
    CHECK_ERRNO(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
    int fd = (int)CHECK_OK(timerfd_create(CLOCK_MONOTONIC, 0));
    CHECK_OK(timerfd_settime(fd, 0, &spec, NULL));
    CHECK_ERRNO(read(fd, small, 4), EINVAL);
    CHECK_ERRNO(write(fd, &count, 8), EINVAL);
    CHECK_ERRNO(timerfd_settime(fd, 0x80, &spec, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_timerfd_settime, fd, 0, guest_bad(), NULL), EFAULT);
    spec.it_value.tv_nsec = 1000000000;
    CHECK_ERRNO(timerfd_settime(fd, 0, &spec, NULL), EINVAL);
    int null = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    spec.it_value.tv_nsec = 1;
    CHECK_ERRNO(timerfd_settime(null, 0, &spec, NULL), EINVAL);
    CHECK_ERRNO(timerfd_gettime(9999, &spec), EBADF);
}
