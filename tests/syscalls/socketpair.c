/*
 * socketpair.c: socketpair of each type, and what is not supported.
 */
#include "tests/syscalls/guest_test.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

static int pair[2];
static char block[300000];

TEST_CASE(stream)
{
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_EQ(write(pair[0], "abc", 3), 3);
    CHECK_EQ(write(pair[0], "def", 3), 3);
    CHECK_EQ(read(pair[1], block, 4), 4);
    CHECK_EQ(read(pair[1], block, 100), 2);
    CHECK_EQ(write(pair[1], "x", 1), 1);
    CHECK_EQ(read(pair[0], block, 100), 1);
    CHECK_OK(close(pair[0]));
    CHECK_EQ(read(pair[1], block, 1), 0);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERRNO(write(pair[1], "x", 1), EPIPE);
}

TEST_CASE(datagram)
{
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    CHECK_EQ(write(pair[0], "abc", 3), 3);
    CHECK_EQ(write(pair[0], "", 0), 0);
    CHECK_EQ(write(pair[0], "defgh", 5), 5);
    CHECK_EQ(read(pair[1], block, 2), 2);
    CHECK_EQ(read(pair[1], block, 100), 0);
    CHECK_EQ(read(pair[1], block, 100), 5);
    CHECK_OK(close(pair[0]));
    CHECK_ERRNO(write(pair[1], "x", 1), ECONNREFUSED);
}

TEST_CASE(seqpacket)
{
    CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
    CHECK_EQ(write(pair[0], "abc", 3), 3);
    CHECK_EQ(write(pair[0], "de", 2), 2);
    CHECK_EQ(read(pair[1], block, 100), 3);
    CHECK_EQ(read(pair[1], block, 100), 2);
    CHECK_OK(close(pair[0]));
    CHECK_EQ(read(pair[1], block, 100), 0);
}

TEST_CASE(flags)
{
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair));
    CHECK_EQ(fcntl(pair[0], F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(pair[1], F_GETFL), O_RDWR | O_NONBLOCK);
    CHECK_ERRNO(read(pair[0], block, 1), EAGAIN);
}

TEST_CASE(errors)
{
    CHECK_ERRNO(socketpair(AF_UNIX, 77, 0, pair), EINVAL);
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 77, pair), EPROTONOSUPPORT);
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_RDM, 0, pair), ESOCKTNOSUPPORT);
    CHECK_ERRNO(socketpair(200, SOCK_STREAM, 0, pair), EAFNOSUPPORT);
    CHECK_ERRNO(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, guest_bad()), EFAULT);
}

TEST_CASE(names_are_empty)
{
    struct sockaddr_un name;
    socklen_t length = sizeof(name);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_OK(getsockname(pair[0], (struct sockaddr *)&name, &length));
    CHECK_EQ(length, 2);
    CHECK_EQ(name.sun_family, AF_UNIX);
    length = sizeof(name);
    CHECK_OK(getpeername(pair[0], (struct sockaddr *)&name, &length));
    CHECK_EQ(length, 2);
}

TEST_CASE(full_buffer)
{
    long total = 0;
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    for (;;) {
        ssize_t n = write(pair[0], block, 50000);
        if (n < 0) {
            CHECK_EQ(errno, EAGAIN);
            break;
        }
        total += n;
        CHECK(total < 100000000);
    }
    CHECK(total > 4096);
    struct pollfd p = {.fd = pair[0], .events = POLLOUT};
    CHECK_EQ(poll(&p, 1, 0), 0);
    while (total > 0) {
        total -= CHECK_OK(read(pair[1], block, sizeof(block)));
    }
    CHECK_EQ(poll(&p, 1, 1000), 1);
}

TEST_CASE(blocking_bulk_transfer)
{
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    pid_t pid = guest_fork();
    if (pid == 0) {
        for (size_t i = 0; i < sizeof(block); i++) {
            block[i] = (char)(i % 199);
        }
        CHECK_EQ(write(pair[0], block, sizeof(block)), sizeof(block));
        _exit(0);
    }
    CHECK_OK(close(pair[0]));
    for (size_t got = 0; got < sizeof(block);) {
        size_t n = (size_t)CHECK_OK(read(pair[1], block + got, sizeof(block) - got));
        CHECK(n > 0);
        got += n;
    }
    for (size_t i = 0; i < sizeof(block); i++) {
        CHECK_EQ(block[i], (char)(i % 199));
    }
    CHECK_CHILD_OK(pid);
}
