/*
 * pty_poll.c: readiness, non-blocking writes and packet mode of a pty.
 */
#include "tests/syscalls/guest_test.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

static void raw(int fd)
{
    struct termios t;
    CHECK_OK(tcgetattr(fd, &t));
    cfmakeraw(&t);
    CHECK_OK(tcsetattr(fd, TCSANOW, &t));
}

TEST_CASE(master_readiness)
{
    int master;
    int slave;
    guest_pty(&master, &slave);
    raw(slave);
    struct pollfd p = {.fd = master, .events = POLLIN | POLLOUT};
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLOUT);
    CHECK_EQ(write(slave, "x", 1), 1);
    CHECK_EQ(poll(&p, 1, 1000), 1);
    CHECK_EQ(p.revents, POLLIN | POLLOUT);
    CHECK_OK(close(slave));
    CHECK_EQ(poll(&p, 1, 1000), 1);
    CHECK(p.revents & POLLHUP);
}

TEST_CASE(fionread)
{
    int master;
    int slave;
    int count = -1;
    guest_pty(&master, &slave);
    raw(slave);
    CHECK_EQ(write(master, "12345", 5), 5);
    struct pollfd p = {.fd = slave, .events = POLLIN};
    CHECK_EQ(poll(&p, 1, 1000), 1);
    CHECK_OK(ioctl(slave, FIONREAD, &count));
    CHECK_EQ(count, 5);
}

TEST_CASE(nonblocking_write_fills_up)
{
    int master;
    int slave;
    char block[1024];
    long total = 0;
    guest_pty(&master, &slave);
    raw(slave);
    memset(block, 'x', sizeof(block));
    CHECK_OK(fcntl(slave, F_SETFL, O_NONBLOCK));
    for (;;) {
        ssize_t n = write(slave, block, sizeof(block));
        if (n < 0) {
            CHECK_EQ(errno, EAGAIN);
            break;
        }
        total += n;
        CHECK(total < 10000000);
    }
    CHECK(total >= 4096);
    struct pollfd p = {.fd = slave, .events = POLLOUT};
    CHECK_EQ(poll(&p, 1, 0), 0);
    long got = 0;
    while (got < total) {
        got += CHECK_OK(read(master, block, sizeof(block)));
    }
    CHECK_EQ(got, total);
    CHECK_EQ(poll(&p, 1, 1000), 1);
}

TEST_CASE(large_transfer)
{
    int master;
    int slave;
    static char block[50000];
    guest_pty(&master, &slave);
    raw(slave);
    pid_t pid = guest_fork();
    if (pid == 0) {
        for (size_t i = 0; i < sizeof(block); i++) {
            block[i] = (char)(i % 251);
        }
        for (size_t sent = 0; sent < sizeof(block);) {
            sent += (size_t)CHECK_OK(write(slave, block + sent, sizeof(block) - sent));
        }
        CHECK_OK(tcdrain(slave));
        _exit(0);
    }
    for (size_t got = 0; got < sizeof(block);) {
        got += (size_t)CHECK_OK(read(master, block + got, sizeof(block) - got));
    }
    for (size_t i = 0; i < sizeof(block); i++) {
        CHECK_EQ(block[i], (char)(i % 251));
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(packet_mode)
{
    int master;
    int slave;
    char buffer[16];
    guest_pty(&master, &slave);
    raw(slave);
    CHECK_OK(ioctl(master, TIOCPKT, &(int){1}));
    CHECK_EQ(write(slave, "data", 4), 4);
    CHECK_EQ(read(master, buffer, sizeof(buffer)), 5);
    CHECK_EQ(buffer[0], TIOCPKT_DATA);
    CHECK(memcmp(buffer + 1, "data", 4) == 0);
    CHECK_OK(tcflush(slave, TCIFLUSH));
    struct pollfd p = {.fd = master, .events = POLLIN | POLLPRI};
    CHECK_EQ(poll(&p, 1, 1000), 1);
    CHECK(p.revents & POLLPRI);
    CHECK_EQ(read(master, buffer, sizeof(buffer)), 1);
    CHECK_EQ(buffer[0] & TIOCPKT_FLUSHREAD, TIOCPKT_FLUSHREAD);
}
