/*
 * unix_dgram.c: AF_UNIX datagram sockets.
 */
#include "tests/syscalls/guest_test.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

static char buffer[1000];

static struct sockaddr_un address(const char *path)
{
    struct sockaddr_un a;
    memset(&a, 0, sizeof(a));
    a.sun_family = AF_UNIX;
    strcpy(a.sun_path, path);
    return a;
}

static int bound(const char *path)
{
    struct sockaddr_un a = address(path);
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    CHECK_OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
    return fd;
}

TEST_CASE(sendto_and_recvfrom)
{
    struct sockaddr_un to = address("a");
    struct sockaddr_un from;
    socklen_t length = sizeof(from);
    int a = bound("a");
    int b = bound("b");
    CHECK_EQ(sendto(b, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)), 5);
    CHECK_EQ(recvfrom(a, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &length), 5);
    CHECK(strcmp(from.sun_path, "b") == 0);
    int c = (int)CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    CHECK_EQ(sendto(c, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
    length = sizeof(from);
    CHECK_EQ(recvfrom(a, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &length), 1);
    CHECK_EQ(length, 0); /* the sender has no name */
}

TEST_CASE(connected)
{
    struct sockaddr_un to = address("a");
    int a = bound("a");
    int b = bound("b");
    int c = bound("c");
    CHECK_ERRNO(write(b, "x", 1), ENOTCONN);
    CHECK_OK(connect(b, (struct sockaddr *)&to, sizeof(to)));
    CHECK_EQ(write(b, "one", 3), 3);
    CHECK_EQ(read(a, buffer, sizeof(buffer)), 3);
    /* Linux: a connected receiver takes datagrams only from its peer. */
    struct sockaddr_un to_b = address("b");
    CHECK_ERRNO(sendto(c, "no", 2, 0, (struct sockaddr *)&to_b, sizeof(to_b)), EPERM);
    struct sockaddr unspecified = {.sa_family = AF_UNSPEC};
    CHECK_OK(connect(b, &unspecified, sizeof(unspecified)));
    CHECK_ERRNO(write(b, "x", 1), ENOTCONN);
    CHECK_EQ(sendto(c, "yes", 3, 0, (struct sockaddr *)&to_b, sizeof(to_b)), 3);
}

TEST_CASE(truncation)
{
    int pair[2];
    struct iovec v = {buffer, 3};
    struct msghdr message = {.msg_iov = &v, .msg_iovlen = 1};
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    CHECK_EQ(send(pair[0], "abcdef", 6, 0), 6);
    CHECK_EQ(send(pair[0], "ghijkl", 6, 0), 6);
    CHECK_EQ(recvmsg(pair[1], &message, 0), 3);
    CHECK_EQ(message.msg_flags & MSG_TRUNC, MSG_TRUNC);
    CHECK_EQ(recv(pair[1], buffer, 3, MSG_TRUNC), 6); /* the real length */
    CHECK(memcmp(buffer, "ghi", 3) == 0);
}

TEST_CASE(peek)
{
    int pair[2];
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    CHECK_EQ(send(pair[0], "abcdef", 6, 0), 6);
    CHECK_EQ(recv(pair[1], buffer, 100, MSG_PEEK), 6);
    CHECK_EQ(recv(pair[1], buffer, 2, MSG_PEEK), 2);
    CHECK_EQ(recv(pair[1], buffer, 100, 0), 6);
    CHECK_ERRNO(recv(pair[1], buffer, 100, MSG_DONTWAIT), EAGAIN);
}

TEST_CASE(errors)
{
    struct sockaddr_un to = address("missing");
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    CHECK_ERRNO(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), ENOENT);
    int a = bound("a");
    to = address("a");
    CHECK_OK(close(a));
    CHECK_ERRNO(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), ECONNREFUSED);
    static char huge[1 << 22];
    int pair[2];
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    CHECK_ERRNO(send(pair[0], huge, sizeof(huge), 0), EMSGSIZE);
}

TEST_CASE(queue_is_bounded)
{
    int pair[2];
    int count = 0;
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair));
    while (send(pair[0], "x", 1, 0) == 1) {
        CHECK(++count < 100000);
    }
    CHECK_EQ(errno, EAGAIN);
    CHECK(count >= 5);
    struct pollfd p = {.fd = pair[0], .events = POLLOUT};
    for (int i = 0; i < count; i++) {
        CHECK_EQ(recv(pair[1], buffer, 10, 0), 1);
    }
    CHECK_EQ(poll(&p, 1, 1000), 1);
    CHECK_EQ(p.revents, POLLOUT);
}
