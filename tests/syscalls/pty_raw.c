/*
 * pty_raw.c: line discipline, non-canonical mode: VMIN, VTIME, switching.
 */
#include "tests/syscalls/guest_test.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

static int master;
static int slave;
static char buffer[4096];

static void setup(int min, int tenths)
{
    struct termios t;
    guest_pty(&master, &slave);
    CHECK_OK(tcgetattr(slave, &t));
    cfmakeraw(&t);
    t.c_cc[VMIN] = (cc_t)min;
    t.c_cc[VTIME] = (cc_t)tenths;
    CHECK_OK(tcsetattr(slave, TCSANOW, &t));
}

TEST_CASE(bytes_pass_unchanged)
{
    unsigned char all[256];
    setup(1, 0);
    for (int i = 0; i < 256; i++) {
        all[i] = (unsigned char)i;
    }
    CHECK_EQ(write(master, all, 256), 256);
    size_t used = 0;
    while (used < 256) {
        used += (size_t)CHECK_OK(read(slave, buffer + used, 256 - used));
    }
    CHECK(memcmp(buffer, all, 256) == 0);
    CHECK_EQ(write(slave, all, 256), 256);
    used = 0;
    while (used < 256) {
        used += (size_t)CHECK_OK(read(master, buffer + used, 256 - used));
    }
    CHECK(memcmp(buffer, all, 256) == 0);
}

TEST_CASE(min_zero_time_zero_never_blocks)
{
    setup(0, 0);
    CHECK_EQ(read(slave, buffer, 10), 0);
    CHECK_EQ(write(master, "abc", 3), 3);
    guest_await_readable(slave);
    CHECK_EQ(read(slave, buffer, 10), 3);
}

TEST_CASE(min_waits_for_that_many)
{
    setup(4, 0);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(write(master, "ab", 2), 2);
        guest_sleep_ms(30);
        CHECK_EQ(write(master, "cd", 2), 2);
        _exit(0);
    }
    CHECK_EQ(read(slave, buffer, 10), 4);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(time_without_min_is_a_timeout)
{
    setup(0, 2);
    long long start = guest_now_ms();
    CHECK_EQ(read(slave, buffer, 10), 0);
    CHECK(guest_now_ms() - start >= 190);
}

TEST_CASE(time_with_min_is_between_bytes)
{
    setup(10, 1);
    CHECK_EQ(write(master, "abc", 3), 3);
    CHECK_EQ(read(slave, buffer, 10), 3);
}

TEST_CASE(nonblocking)
{
    setup(1, 0);
    CHECK_OK(fcntl(slave, F_SETFL, O_NONBLOCK));
    CHECK_ERRNO(read(slave, buffer, 10), EAGAIN);
    struct pollfd p = {.fd = slave, .events = POLLIN | POLLOUT};
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLOUT);
    CHECK_EQ(write(master, "x", 1), 1);
    CHECK_EQ(poll(&p, 1, 1000), 1);
    CHECK_EQ(p.revents, POLLIN | POLLOUT);
}

TEST_CASE(switching_to_raw_frees_a_partial_line)
{
    struct termios t;
    int count = 0;
    guest_pty(&master, &slave);
    CHECK_EQ(write(master, "part", 4), 4);
    CHECK_OK(tcgetattr(slave, &t));
    t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    t.c_cc[VMIN] = 1;
    CHECK_OK(tcsetattr(slave, TCSANOW, &t));
    guest_await_readable(slave);
    CHECK_OK(ioctl(slave, FIONREAD, &count));
    CHECK_EQ(count, 4);
    CHECK_EQ(read(slave, buffer, 10), 4);
}

TEST_CASE(tcsaflush_discards_input)
{
    struct termios t;
    setup(0, 0);
    CHECK_EQ(write(master, "old", 3), 3);
    guest_await_readable(slave);
    CHECK_OK(tcgetattr(slave, &t));
    CHECK_OK(tcsetattr(slave, TCSAFLUSH, &t));
    CHECK_EQ(read(slave, buffer, 10), 0);
}

TEST_CASE(settings_are_visible_from_both_sides)
{
    struct termios a;
    struct termios b;
    setup(7, 3);
    CHECK_OK(tcgetattr(slave, &a));
    CHECK_OK(tcgetattr(master, &b));
    CHECK_EQ(a.c_lflag, b.c_lflag);
    CHECK_EQ(b.c_cc[VMIN], 7);
    CHECK_EQ(b.c_cc[VTIME], 3);
}
