/*
 * inet.c: AF_INET: present or not, a closed port must not hang.
 */
#include "tests/syscalls/guest_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

static int inet_socket(int type)
{
    int fd = socket(AF_INET, type, 0);
    if (fd < 0) {
        CHECK(errno == EAFNOSUPPORT || errno == EPERM || errno == EACCES);
        SKIP("no AF_INET here");
    }
    return fd;
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

/* Binds to a free loopback port, or skips where there is no loopback. */
static int bind_any(int fd)
{
    struct sockaddr_in a = loopback(0);
    socklen_t length = sizeof(a);
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        SKIP("no loopback here");
    }
    CHECK_OK(getsockname(fd, (struct sockaddr *)&a, &length));
    return ntohs(a.sin_port);
}

TEST_CASE(closed_port_is_refused)
{
    int fd = inet_socket(SOCK_STREAM);
    struct sockaddr_in a = loopback(1);
    long long start = guest_now_ms();
    CHECK_EQ(connect(fd, (struct sockaddr *)&a, sizeof(a)), -1);
    CHECK(errno == ECONNREFUSED || errno == ENETUNREACH || errno == EACCES || errno == EPERM);
    CHECK(guest_now_ms() - start < 5000);
}

TEST_CASE(loopback_stream)
{
    char buffer[16];
    int server = inet_socket(SOCK_STREAM);
    int port = bind_any(server);
    CHECK(port > 0);
    CHECK_OK(listen(server, 5));
    struct sockaddr_in a = loopback(port);
    int fd = inet_socket(SOCK_STREAM);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        SKIP("loopback is down");
    }
    int peer = (int)CHECK_OK(accept(server, NULL, NULL));
    CHECK_EQ(write(fd, "hello", 5), 5);
    guest_await_readable(peer);
    CHECK_EQ(read(peer, buffer, sizeof(buffer)), 5);
    CHECK_OK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)));
    CHECK_OK(shutdown(fd, SHUT_WR));
    guest_await_readable(peer);
    CHECK_EQ(read(peer, buffer, sizeof(buffer)), 0);
    CHECK_EQ(write(peer, "back", 4), 4);
    guest_await_readable(fd);
    CHECK_EQ(read(fd, buffer, sizeof(buffer)), 4);
}

TEST_CASE(loopback_datagram)
{
    char buffer[16];
    struct sockaddr_in from;
    socklen_t length = sizeof(from);
    int one = inet_socket(SOCK_DGRAM);
    int two = inet_socket(SOCK_DGRAM);
    struct sockaddr_in to = loopback(bind_any(one));
    int port = bind_any(two);
    if (sendto(two, "gram", 4, 0, (struct sockaddr *)&to, sizeof(to)) != 4) {
        SKIP("loopback is down");
    }
    guest_await_readable(one);
    CHECK_EQ(recvfrom(one, buffer, 16, 0, (struct sockaddr *)&from, &length), 4);
    CHECK_EQ(ntohs(from.sin_port), port);
}

TEST_CASE(nonblocking_connect)
{
    int server = inet_socket(SOCK_STREAM);
    int port = bind_any(server);
    CHECK_OK(listen(server, 5));
    struct sockaddr_in a = loopback(port);
    int fd = inet_socket(SOCK_STREAM | SOCK_NONBLOCK);
    int result = connect(fd, (struct sockaddr *)&a, sizeof(a));
    if (result < 0 && errno == ENETUNREACH) {
        SKIP("loopback is down");
    }
    CHECK(result == 0 || errno == EINPROGRESS);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    CHECK_EQ(poll(&p, 1, 5000), 1);
    int error = -1;
    socklen_t length = sizeof(error);
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length));
    if (error == 0) {
        CHECK_OK(accept(server, NULL, NULL));
    }
}
