/*
 * socket_shutdown.c: shutdown of either direction, as seen from both ends.
 */
#include "tests/syscalls/guest_test.h"

#include <poll.h>
#include <sys/socket.h>

static int pair[2];
static char buffer[16];

static void setup(void)
{
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    signal(SIGPIPE, SIG_IGN);
}

TEST_CASE(write_side)
{
    setup();
    CHECK_EQ(write(pair[0], "last", 4), 4);
    CHECK_OK(shutdown(pair[0], SHUT_WR));
    CHECK_ERRNO(write(pair[0], "x", 1), EPIPE);
    CHECK_EQ(read(pair[1], buffer, 16), 4);
    CHECK_EQ(read(pair[1], buffer, 16), 0);
    CHECK_EQ(write(pair[1], "back", 4), 4);
    CHECK_EQ(read(pair[0], buffer, 16), 4);
}

TEST_CASE(read_side)
{
    setup();
    CHECK_EQ(write(pair[1], "data", 4), 4);
    CHECK_OK(shutdown(pair[0], SHUT_RD));
    CHECK_EQ(read(pair[0], buffer, 16), 4); /* what had arrived can still be read */
    CHECK_EQ(read(pair[0], buffer, 16), 0);
    CHECK_ERRNO(write(pair[1], "x", 1), EPIPE);
    CHECK_EQ(write(pair[0], "x", 1), 1);
}

TEST_CASE(both_sides)
{
    setup();
    CHECK_OK(shutdown(pair[0], SHUT_RDWR));
    CHECK_EQ(read(pair[0], buffer, 16), 0);
    CHECK_EQ(read(pair[1], buffer, 16), 0);
    CHECK_ERRNO(write(pair[0], "x", 1), EPIPE);
    CHECK_ERRNO(write(pair[1], "x", 1), EPIPE);
}

TEST_CASE(poll_sees_it)
{
    setup();
    struct pollfd p = {.fd = pair[1], .events = POLLIN | POLLRDHUP | POLLOUT};
    CHECK_OK(shutdown(pair[0], SHUT_WR));
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLIN | POLLRDHUP | POLLOUT);
    CHECK_OK(shutdown(pair[0], SHUT_RDWR));
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLIN | POLLRDHUP | POLLOUT | POLLHUP);
    CHECK_OK(close(pair[0]));
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK(p.revents & POLLHUP);
}

TEST_CASE(wakes_a_reader)
{
    setup();
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_sleep_ms(30);
        CHECK_OK(shutdown(pair[1], SHUT_WR));
        _exit(0);
    }
    CHECK_EQ(read(pair[0], buffer, 1), 0);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(errors)
{
    setup();
    CHECK_ERRNO(shutdown(pair[0], 3), EINVAL);
    CHECK_ERRNO(shutdown(9999, SHUT_RD), EBADF);
    int null = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    CHECK_ERRNO(shutdown(null, SHUT_RD), ENOTSOCK);
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    int result = shutdown(fd, SHUT_RD);
    CHECK(result == 0 || errno == ENOTCONN);
}

TEST_CASE(seqpacket_and_datagram)
{
    signal(SIGPIPE, SIG_IGN);
    CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
    CHECK_OK(shutdown(pair[0], SHUT_WR));
    CHECK_EQ(read(pair[1], buffer, 16), 0);
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    CHECK_OK(shutdown(pair[0], SHUT_WR));
    CHECK_ERRNO(write(pair[0], "x", 1), EPIPE);
    CHECK_ERRNO(recv(pair[1], buffer, 16, MSG_DONTWAIT), EAGAIN);
}
