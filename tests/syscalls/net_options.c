/*
 * net_options.c: options of TCP, UDP, IP and the socket level that programs set.
 */
#include "tests/syscalls/net_test.h"

#include <linux/capability.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

static int stream(void)
{
    return net_socket(AF_INET, SOCK_STREAM);
}

TEST_CASE(kind)
{
    int fd = net_socket(AF_INET6, SOCK_STREAM);
    CHECK_EQ(net_get(fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
    CHECK_EQ(net_get(fd, SOL_SOCKET, SO_DOMAIN), AF_INET6);
    CHECK_EQ(net_get(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
    CHECK_EQ(net_get(fd, SOL_SOCKET, SO_ACCEPTCONN), 0);
    CHECK_ERRNO(net_set(fd, SOL_SOCKET, SO_TYPE, 1), ENOPROTOOPT);
}

TEST_CASE(tcp_flags)
{
    int fd = stream();
    static const int options[] = {TCP_NODELAY, TCP_CORK};
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQ(net_get(fd, IPPROTO_TCP, options[i]), 0);
        CHECK_OK(net_set(fd, IPPROTO_TCP, options[i], 7));
        CHECK_EQ(net_get(fd, IPPROTO_TCP, options[i]), 1);
    }
    CHECK_ERRNO(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &fd, 1), EINVAL);
}

TEST_CASE(keepalive)
{
    int fd = stream();
    CHECK_EQ(net_get(fd, IPPROTO_TCP, TCP_KEEPIDLE), 7200);
    CHECK_EQ(net_get(fd, IPPROTO_TCP, TCP_KEEPINTVL), 75);
    CHECK_EQ(net_get(fd, IPPROTO_TCP, TCP_KEEPCNT), 9);
    CHECK_OK(net_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1));
    CHECK_OK(net_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60));
    CHECK_EQ(net_get(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    CHECK_ERRNO(net_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 0), EINVAL);
    CHECK_ERRNO(net_set(fd, IPPROTO_TCP, TCP_KEEPCNT, 128), EINVAL);
    CHECK_OK(net_set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 1234));
    CHECK_EQ(net_get(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 1234);
}

TEST_CASE(defer_accept)
{
    int fd = stream();
    CHECK_OK(net_set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 5));
    CHECK_EQ(net_get(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 7); /* in retransmissions */
    CHECK_OK(net_set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 0));
    CHECK_EQ(net_get(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
}

TEST_CASE(congestion)
{
    char name[16];
    socklen_t length = sizeof(name);
    int fd = stream();
    CHECK_OK(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
    CHECK_OK(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length));
    CHECK_EQ(strcmp(name, "reno"), 0);
    CHECK_ERRNO(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "nosuch", 6), ENOENT);
    CHECK_ERRNO(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "", 0), EINVAL);
}

TEST_CASE(info)
{
    struct tcp_info info;
    socklen_t length = sizeof(info);
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_OK(getsockopt(pair.client, IPPROTO_TCP, TCP_INFO, &info, &length));
    CHECK_EQ(info.tcpi_state, TCP_ESTABLISHED);
    length = sizeof(info);
    CHECK_OK(getsockopt(pair.listener, IPPROTO_TCP, TCP_INFO, &info, &length));
    CHECK_EQ(info.tcpi_state, TCP_LISTEN);
    close(pair.server);
    net_await(pair.client, POLLRDHUP);
    length = sizeof(info);
    CHECK_OK(getsockopt(pair.client, IPPROTO_TCP, TCP_INFO, &info, &length));
    CHECK_EQ(info.tcpi_state, TCP_CLOSE_WAIT);
    length = 1;
    CHECK_OK(getsockopt(pair.client, IPPROTO_TCP, TCP_INFO, &info, &length));
    CHECK_EQ(length, 1);
}

TEST_CASE(inherited)
{
    int listener = stream();
    CHECK_OK(net_set(listener, SOL_SOCKET, SO_KEEPALIVE, 1));
    CHECK_OK(net_set(listener, IPPROTO_TCP, TCP_NODELAY, 1));
    CHECK_OK(net_set(listener, SOL_SOCKET, SO_RCVBUF, 20000));
    CHECK_OK(net_bind(listener, AF_INET, NULL, 0));
    CHECK_OK(listen(listener, 2));
    int client = stream();
    CHECK_OK(net_connect(client, AF_INET, NULL, net_port(listener)));
    int server = (int)CHECK_OK(accept(listener, NULL, NULL));
    CHECK_EQ(net_get(server, SOL_SOCKET, SO_KEEPALIVE), 1);
    CHECK_EQ(net_get(server, IPPROTO_TCP, TCP_NODELAY), 1);
    CHECK_EQ(net_get(server, SOL_SOCKET, SO_RCVBUF), 40000);
    CHECK_EQ(net_get(client, IPPROTO_TCP, TCP_NODELAY), 0);
}

TEST_CASE(buffers)
{
    int fd = stream();
    CHECK_OK(net_set(fd, SOL_SOCKET, SO_SNDBUF, 10000));
    CHECK_EQ(net_get(fd, SOL_SOCKET, SO_SNDBUF), 20000);
    CHECK_OK(net_set(fd, SOL_SOCKET, SO_SNDBUF, 1));
    CHECK_EQ(net_get(fd, SOL_SOCKET, SO_SNDBUF), 4608);
    CHECK_OK(net_set(fd, SOL_SOCKET, SO_RCVBUF, 1));
    CHECK_EQ(net_get(fd, SOL_SOCKET, SO_RCVBUF), 2304);
    int udp = net_socket(AF_INET, SOCK_DGRAM);
    CHECK(net_get(udp, SOL_SOCKET, SO_RCVBUF) >= 100000);
    if (!guest_has_cap(CAP_NET_ADMIN)) {
        CHECK_ERRNO(net_set(fd, SOL_SOCKET, SO_RCVBUFFORCE, 5000), EPERM);
    }
}

TEST_CASE(device)
{
    char name[16] = {0};
    socklen_t length = sizeof(name);
    int fd = stream();
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &length));
    CHECK_EQ(length, 0);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "nosuch0", 7), ENODEV);
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2));
    length = sizeof(name);
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &length));
    CHECK_EQ(length, 3);
    CHECK_EQ(strcmp(name, "lo"), 0);
    int listener = net_listener(AF_INET, 2);
    CHECK_OK(net_connect(fd, AF_INET, NULL, net_port(listener)));
}

TEST_CASE(linger)
{
    struct linger value = {.l_onoff = 5, .l_linger = 9};
    socklen_t length = sizeof(value);
    int fd = stream();
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, sizeof(value)));
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_LINGER, &value, &length));
    CHECK_EQ(value.l_onoff, 1);
    CHECK_EQ(value.l_linger, 9);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, 4), EINVAL);
}

TEST_CASE(timeouts)
{
    struct timeval value = {.tv_sec = 1, .tv_usec = 500000};
    socklen_t length = sizeof(value);
    int fd = stream();
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof(value)));
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, &length));
    CHECK_EQ(value.tv_sec, 1);
    CHECK_EQ(value.tv_usec, 500000);
    value.tv_usec = 1000000;
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof(value)), EDOM);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &value, 8), EINVAL);
}

TEST_CASE(privileged)
{
    int fd = stream();
    bool admin = guest_has_cap(CAP_NET_ADMIN);
    bool raw = guest_has_cap(CAP_NET_RAW);
    if (!admin && !raw) {
        CHECK_ERRNO(net_set(fd, SOL_SOCKET, SO_MARK, 1), EPERM);
        CHECK_ERRNO(net_set(fd, SOL_SOCKET, SO_PRIORITY, 7), EPERM);
        CHECK_ERRNO(net_set(fd, IPPROTO_IP, IP_TRANSPARENT, 1), EPERM);
    } else {
        CHECK_OK(net_set(fd, SOL_SOCKET, SO_MARK, 5));
        CHECK_EQ(net_get(fd, SOL_SOCKET, SO_MARK), 5);
    }
    CHECK_OK(net_set(fd, SOL_SOCKET, SO_PRIORITY, 6));
    CHECK_EQ(net_get(fd, SOL_SOCKET, SO_PRIORITY), 6);
}

TEST_CASE(ip_options)
{
    int fd = net_socket(AF_INET, SOCK_DGRAM);
    unsigned char byte = 7;
    CHECK_EQ(net_get(fd, IPPROTO_IP, IP_TTL), 64);
    CHECK_OK(setsockopt(fd, IPPROTO_IP, IP_TTL, &byte, 1));
    CHECK_EQ(net_get(fd, IPPROTO_IP, IP_TTL), 7);
    CHECK_ERRNO(net_set(fd, IPPROTO_IP, IP_TTL, 256), EINVAL);
    CHECK_ERRNO(net_set(fd, IPPROTO_IP, IP_TTL, 0), EINVAL);
    CHECK_OK(net_set(fd, IPPROTO_IP, IP_TTL, -1));
    CHECK_EQ(net_get(fd, IPPROTO_IP, IP_TTL), 64);
    socklen_t length = 1;
    CHECK_OK(getsockopt(fd, IPPROTO_IP, IP_TTL, &byte, &length));
    CHECK_EQ(length, 1);
    CHECK_EQ(byte, 64);
    int value;
    length = sizeof(value);
    CHECK_ERRNO(getsockopt(fd, IPPROTO_IP, IP_MTU, &value, &length), ENOTCONN);
    CHECK_OK(net_connect(fd, AF_INET, NULL, 9));
    CHECK_EQ(net_get(fd, IPPROTO_IP, IP_MTU), 65535);
}

TEST_CASE(v6_options)
{
    int fd = net_socket(AF_INET6, SOCK_DGRAM);
    CHECK_EQ(net_get(fd, IPPROTO_IPV6, IPV6_V6ONLY), 0);
    CHECK_EQ(net_get(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS), 64);
    CHECK_OK(net_set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 3));
    CHECK_EQ(net_get(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS), 3);
    CHECK_ERRNO(net_set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 256), EINVAL);
    int four = net_socket(AF_INET, SOCK_DGRAM);
    int value;
    socklen_t length = sizeof(value);
    CHECK_EQ(getsockopt(four, IPPROTO_IPV6, IPV6_V6ONLY, &value, &length), -1);
}

TEST_CASE(unknown)
{
    int value;
    socklen_t length = sizeof(value);
    int fd = stream();
    CHECK_ERRNO(getsockopt(fd, SOL_SOCKET, 999, &value, &length), ENOPROTOOPT);
    CHECK_ERRNO(net_set(fd, SOL_SOCKET, 999, 1), ENOPROTOOPT);
    CHECK_ERRNO(net_set(fd, IPPROTO_TCP, 999, 1), ENOPROTOOPT);
    CHECK_ERRNO(getsockopt(fd, IPPROTO_TCP, 999, &value, &length), ENOPROTOOPT);
    CHECK_ERRNO(getsockopt(fd, SOL_SOCKET, SO_ERROR, guest_bad(), &length), EFAULT);
    CHECK_ERRNO(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, guest_bad()), EFAULT);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, guest_bad(), 4), EFAULT);
    length = (socklen_t)-1;
    CHECK_ERRNO(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &length), EINVAL);
}

TEST_CASE(creation)
{
    CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
    CHECK_ERRNO(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP), EPROTONOSUPPORT);
    CHECK_ERRNO(socket(AF_INET, SOCK_SEQPACKET, 77), ESOCKTNOSUPPORT);
    CHECK_ERRNO(socket(AF_INET, 0, 0), ESOCKTNOSUPPORT);
    CHECK_ERRNO(socket(AF_INET, 77, 0), EINVAL);
    CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, -1), EINVAL);
    CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, 1000), EINVAL);
    CHECK_ERRNO(socket(999, SOCK_STREAM, 0), EAFNOSUPPORT);
    int fds[2];
    CHECK_ERRNO(socketpair(AF_INET, SOCK_STREAM, 0, fds), EOPNOTSUPP);
    CHECK_OK(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP));
    CHECK_OK(socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP));
    if (!guest_has_cap(CAP_NET_RAW)) {
        CHECK_ERRNO(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), EPERM);
        CHECK_ERRNO(socket(AF_PACKET, SOCK_RAW, 0), EPERM);
    }
}

TEST_CASE(peek_offset_of_a_stream)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    if (net_set(pair.server, SOL_SOCKET, SO_PEEK_OFF, 0) < 0) {
        SKIP("streams of this kernel have no SO_PEEK_OFF");
    }
    CHECK_EQ(write(pair.client, "abcdef", 6), 6);
    guest_await_readable(pair.server);
    CHECK_EQ(recv(pair.server, buffer, 2, MSG_PEEK), 2);
    CHECK_EQ(recv(pair.server, buffer, 2, MSG_PEEK), 2);
    CHECK_EQ(memcmp(buffer, "cd", 2), 0);
    CHECK_EQ(recv(pair.server, buffer, 3, 0), 3);
    CHECK_EQ(recv(pair.server, buffer, 8, MSG_PEEK), 2);
    CHECK_EQ(memcmp(buffer, "ef", 2), 0);
}
