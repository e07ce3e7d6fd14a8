/*
 * net_udp.c: datagrams over the loopback.
 */
#include "tests/syscalls/net_test.h"

static union net_name name_of(int fd)
{
    union net_name name;
    socklen_t length = sizeof(name);
    memset(&name, 0, sizeof(name));
    CHECK_OK(getsockname(fd, &name.any, &length));
    return name;
}

static void echo(int domain)
{
    char buffer[16];
    union net_name from;
    socklen_t length = sizeof(from);
    int one = net_datagram(domain), two = net_datagram(domain);
    union net_name to = name_of(one), own = name_of(two);
    CHECK_EQ(sendto(two, "gram", 4, 0, &to.any, net_length(domain)), 4);
    CHECK_EQ(recvfrom(one, buffer, 16, 0, &from.any, &length), 4);
    CHECK_EQ(length, net_length(domain));
    CHECK_EQ(memcmp(&from, &own, net_length(domain)), 0);
}

TEST_CASE(echo_v4)
{
    echo(AF_INET);
}

TEST_CASE(echo_v6)
{
    echo(AF_INET6);
}

TEST_CASE(boundaries)
{
    char buffer[16];
    int one = net_datagram(AF_INET), two = net_datagram(AF_INET);
    union net_name to = name_of(one);
    CHECK_EQ(sendto(two, "abc", 3, 0, &to.any, sizeof(to.in)), 3);
    CHECK_EQ(sendto(two, "", 0, 0, &to.any, sizeof(to.in)), 0);
    CHECK_EQ(sendto(two, "defgh", 5, 0, &to.any, sizeof(to.in)), 5);
    CHECK_EQ(recv(one, buffer, 16, 0), 3);
    CHECK_EQ(recv(one, buffer, 16, 0), 0);
    CHECK_EQ(recv(one, buffer, 2, 0), 2);
    CHECK_ERRNO(recv(one, buffer, 16, MSG_DONTWAIT), EAGAIN);
}

TEST_CASE(truncation)
{
    char buffer[16];
    int one = net_datagram(AF_INET), two = net_datagram(AF_INET);
    union net_name to = name_of(one);
    struct iovec vector = {.iov_base = buffer, .iov_len = 3};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sendto(two, "abcdef", 6, 0, &to.any, sizeof(to.in)), 6);
    }
    CHECK_EQ(recv(one, buffer, 3, MSG_TRUNC), 6);
    CHECK_EQ(recvmsg(one, &message, 0), 3);
    CHECK_EQ(message.msg_flags, MSG_TRUNC);
    CHECK_EQ(recv(one, buffer, 3, MSG_PEEK | MSG_TRUNC), 6);
    vector.iov_len = 16;
    CHECK_EQ(recvmsg(one, &message, 0), 6);
    CHECK_EQ(message.msg_flags, 0);
}

TEST_CASE(connected)
{
    char buffer[16];
    int one = net_datagram(AF_INET), two = net_datagram(AF_INET), three = net_datagram(AF_INET);
    union net_name a = name_of(one), b = name_of(two), name;
    socklen_t length = sizeof(name);
    CHECK_OK(connect(two, &a.any, sizeof(a.in)));
    CHECK_OK(getpeername(two, &name.any, &length));
    CHECK_EQ(memcmp(&name, &a, sizeof(a.in)), 0);
    CHECK_EQ(send(two, "x", 1, 0), 1);
    CHECK_EQ(recv(one, buffer, 16, 0), 1);
    CHECK_EQ(sendto(three, "no", 2, 0, &b.any, sizeof(b.in)), 2); /* not from the peer */
    CHECK_EQ(sendto(one, "yes", 3, 0, &b.any, sizeof(b.in)), 3);
    CHECK_EQ(recv(two, buffer, 16, 0), 3);
    CHECK_ERRNO(recv(two, buffer, 16, MSG_DONTWAIT), EAGAIN);
    a = name_of(three);
    CHECK_EQ(sendto(two, "else", 4, 0, &a.any, sizeof(a.in)), 4);
    CHECK_EQ(recv(three, buffer, 16, 0), 4);
    CHECK_OK(connect(two, &a.any, sizeof(a.in))); /* again, to another */
}

TEST_CASE(disconnect)
{
    union net_name name;
    socklen_t length = sizeof(name);
    int one = net_datagram(AF_INET);
    int two = net_socket(AF_INET, SOCK_DGRAM);
    union net_name a = name_of(one);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    CHECK_OK(connect(two, &a.any, sizeof(a.in)));
    CHECK(net_port(two) != 0);
    name = name_of(two);
    CHECK_EQ(name.in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    CHECK_OK(connect(two, &none, sizeof(none)));
    CHECK_ERRNO(getpeername(two, &name.any, &length), ENOTCONN);
    CHECK_ERRNO(send(two, "x", 1, 0), EDESTADDRREQ);
    name = name_of(two);
    CHECK_EQ(name.in.sin_addr.s_addr, 0);
}

TEST_CASE(closed_port_unconnected)
{
    int one = net_datagram(AF_INET);
    union net_name to = name_of(one);
    close(one);
    int two = net_datagram(AF_INET);
    CHECK_EQ(sendto(two, "x", 1, 0, &to.any, sizeof(to.in)), 1);
    CHECK_EQ(sendto(two, "x", 1, 0, &to.any, sizeof(to.in)), 1);
    CHECK_EQ(net_error(two), 0);
}

TEST_CASE(closed_port_connected)
{
    char c;
    int one = net_datagram(AF_INET);
    union net_name to = name_of(one);
    int two = net_datagram(AF_INET);
    CHECK_OK(connect(two, &to.any, sizeof(to.in)));
    close(one);
    CHECK_EQ(send(two, "x", 1, 0), 1);
    net_await(two, POLLERR);
    CHECK_EQ(net_events(two, 0), POLLOUT | POLLERR);
    CHECK_ERRNO(recv(two, &c, 1, 0), ECONNREFUSED);
    CHECK_ERRNO(recv(two, &c, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(send(two, "x", 1, 0), 1);
    net_await(two, POLLERR);
    CHECK_ERRNO(send(two, "x", 1, 0), ECONNREFUSED);
    CHECK_EQ(send(two, "x", 1, 0), 1);
    net_await(two, POLLERR);
    CHECK_EQ(net_error(two), ECONNREFUSED);
    CHECK_EQ(net_error(two), 0);
}

TEST_CASE(sizes)
{
    static char block[70000];
    int one = net_datagram(AF_INET);
    union net_name to = name_of(one);
    CHECK_OK(net_set(one, SOL_SOCKET, SO_RCVBUF, 200000));
    CHECK_EQ(sendto(one, block, 65507, 0, &to.any, sizeof(to.in)), 65507);
    CHECK_ERRNO(sendto(one, block, 65508, 0, &to.any, sizeof(to.in)), EMSGSIZE);
    CHECK_ERRNO(sendto(one, block, 70000, 0, &to.any, sizeof(to.in)), EMSGSIZE);
    CHECK_EQ(recv(one, block, sizeof(block), 0), 65507);
}

TEST_CASE(destinations)
{
    int fd = net_socket(AF_INET, SOCK_DGRAM);
    union net_name to = net_name_of(AF_INET, NULL, 0);
    CHECK_ERRNO(send(fd, "x", 1, 0), EDESTADDRREQ);
    CHECK_ERRNO(sendto(fd, "x", 1, 0, &to.any, sizeof(to.in)), EINVAL); /* port 0 */
    to.in.sin_port = htons(9);
    CHECK_ERRNO(sendto(fd, "x", 1, 0, &to.any, sizeof(to.in) - 1), EINVAL);
    to.any.sa_family = AF_INET6;
    CHECK_ERRNO(sendto(fd, "x", 1, 0, &to.any, sizeof(to.in)), EAFNOSUPPORT);
    to.any.sa_family = AF_UNSPEC;
    CHECK_EQ(sendto(fd, "x", 1, 0, &to.any, sizeof(to.in)), 1);
    CHECK_ERRNO(sendto(fd, "x", 1, MSG_OOB, &to.any, sizeof(to.in)), EOPNOTSUPP);
    CHECK_ERRNO(listen(fd, 1), EOPNOTSUPP);
    CHECK_ERRNO(accept(fd, NULL, NULL), EOPNOTSUPP);
}

TEST_CASE(autobind)
{
    int one = net_datagram(AF_INET);
    union net_name to = name_of(one);
    int two = net_socket(AF_INET, SOCK_DGRAM);
    CHECK_EQ(net_port(two), 0);
    CHECK_EQ(sendto(two, "x", 1, 0, &to.any, sizeof(to.in)), 1);
    CHECK(net_port(two) != 0);
    union net_name name = name_of(two);
    CHECK_EQ(name.in.sin_addr.s_addr, 0);
}

TEST_CASE(v6_socket_to_v4)
{
    char buffer[16];
    union net_name from;
    socklen_t length = sizeof(from);
    int four = net_datagram(AF_INET);
    int six = net_socket(AF_INET6, SOCK_DGRAM);
    CHECK_OK(net_bind(six, AF_INET6, "::", 0));
    union net_name to = net_name_of(AF_INET6, "::ffff:127.0.0.1", net_port(four));
    CHECK_EQ(sendto(six, "a", 1, 0, &to.any, sizeof(to.in6)), 1);
    CHECK_EQ(recvfrom(four, buffer, 16, 0, &from.any, &length), 1);
    CHECK_EQ(from.in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    to = net_name_of(AF_INET, NULL, net_port(four));
    CHECK_EQ(sendto(six, "b", 1, 0, &to.any, sizeof(to.in)), 1); /* an IPv4 address will do */
    CHECK_EQ(recv(four, buffer, 16, 0), 1);
    to = net_name_of(AF_INET, NULL, net_port(six));
    CHECK_EQ(sendto(four, "c", 1, 0, &to.any, sizeof(to.in)), 1);
    length = sizeof(from);
    CHECK_EQ(recvfrom(six, buffer, 16, 0, &from.any, &length), 1);
    CHECK(IN6_IS_ADDR_V4MAPPED(&from.in6.sin6_addr));
}

TEST_CASE(exact_address_wins)
{
    char buffer[16];
    int wild = net_socket(AF_INET, SOCK_DGRAM), exact = net_socket(AF_INET, SOCK_DGRAM);
    CHECK_OK(net_set(wild, SOL_SOCKET, SO_REUSEADDR, 1));
    CHECK_OK(net_set(exact, SOL_SOCKET, SO_REUSEADDR, 1));
    CHECK_OK(net_bind(wild, AF_INET, "0.0.0.0", 0));
    CHECK_OK(net_bind(exact, AF_INET, "127.0.0.3", net_port(wild)));
    int from = net_datagram(AF_INET);
    union net_name to = net_name_of(AF_INET, "127.0.0.3", net_port(wild));
    CHECK_EQ(sendto(from, "e", 1, 0, &to.any, sizeof(to.in)), 1);
    to = net_name_of(AF_INET, "127.0.0.4", net_port(wild));
    CHECK_EQ(sendto(from, "ww", 2, 0, &to.any, sizeof(to.in)), 2);
    CHECK_EQ(recv(exact, buffer, 16, 0), 1);
    CHECK_EQ(recv(wild, buffer, 16, 0), 2);
}

TEST_CASE(overflow_is_dropped)
{
    char block[1000];
    int one = net_datagram(AF_INET), two = net_datagram(AF_INET);
    union net_name to = name_of(one);
    CHECK_OK(net_set(one, SOL_SOCKET, SO_RCVBUF, 8000));
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(sendto(two, block, sizeof(block), 0, &to.any, sizeof(to.in)), sizeof(block));
    }
    int got = 0;
    while (recv(one, block, sizeof(block), MSG_DONTWAIT) > 0) {
        got++;
    }
    CHECK(got >= 2 && got < 50);
}

TEST_CASE(shutdown_datagram)
{
    char c;
    int one = net_datagram(AF_INET), two = net_datagram(AF_INET);
    union net_name to = name_of(one);
    CHECK_ERRNO(shutdown(two, SHUT_RD), ENOTCONN);
    CHECK_OK(connect(two, &to.any, sizeof(to.in)));
    CHECK_OK(shutdown(two, SHUT_RD));
    CHECK_EQ(recv(two, &c, 1, 0), 0);
    CHECK_EQ(net_events(two, 0), POLLIN | POLLOUT | POLLRDHUP);
    CHECK_OK(shutdown(two, SHUT_WR));
    CHECK_ERRNO(send(two, "x", 1, 0), EPIPE);
    CHECK_EQ(net_events(two, 0), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
}

TEST_CASE(fionread)
{
    int count = -1;
    char buffer[16];
    int one = net_datagram(AF_INET);
    union net_name to = name_of(one);
    CHECK_OK(ioctl(one, FIONREAD, &count));
    CHECK_EQ(count, 0);
    CHECK_EQ(sendto(one, "abcde", 5, 0, &to.any, sizeof(to.in)), 5);
    CHECK_EQ(sendto(one, "fg", 2, 0, &to.any, sizeof(to.in)), 2);
    CHECK_OK(ioctl(one, FIONREAD, &count));
    CHECK_EQ(count, 5);
    CHECK_EQ(recv(one, buffer, 16, MSG_PEEK), 5);
    CHECK_EQ(recv(one, buffer, 16, 0), 5);
    CHECK_EQ(read(one, buffer, 16), 2);
}

TEST_CASE(corked)
{
    char buffer[16];
    int one = net_datagram(AF_INET), two = net_datagram(AF_INET);
    union net_name to = name_of(one);
    CHECK_EQ(sendto(two, "ab", 2, MSG_MORE, &to.any, sizeof(to.in)), 2);
    CHECK_ERRNO(recv(one, buffer, 16, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(sendto(two, "cd", 2, 0, &to.any, sizeof(to.in)), 2);
    CHECK_EQ(recv(one, buffer, 16, 0), 4);
    CHECK_EQ(memcmp(buffer, "abcd", 4), 0);
    CHECK_OK(net_set(two, IPPROTO_UDP, 1 /* UDP_CORK */, 1));
    CHECK_EQ(sendto(two, "ef", 2, 0, &to.any, sizeof(to.in)), 2);
    CHECK_EQ(sendto(two, "g", 1, 0, &to.any, sizeof(to.in)), 1);
    CHECK_ERRNO(recv(one, buffer, 16, MSG_DONTWAIT), EAGAIN);
    CHECK_OK(net_set(two, IPPROTO_UDP, 1, 0));
    CHECK_EQ(recv(one, buffer, 16, 0), 3);
}

TEST_CASE(segments)
{
    char buffer[16];
    int one = net_datagram(AF_INET), two = net_datagram(AF_INET);
    union net_name to = name_of(one);
    if (net_set(two, IPPROTO_UDP, 103 /* UDP_SEGMENT */, 3) < 0) {
        SKIP("no UDP_SEGMENT");
    }
    CHECK_EQ(sendto(two, "abcdefg", 7, 0, &to.any, sizeof(to.in)), 7);
    CHECK_EQ(recv(one, buffer, 16, 0), 3);
    CHECK_EQ(recv(one, buffer, 16, 0), 3);
    CHECK_EQ(recv(one, buffer, 16, 0), 1);
}

TEST_CASE(many_messages)
{
    char buffers[4][16], texts[4][2] = {"a", "b", "c", "d"};
    struct iovec vectors[4];
    struct mmsghdr messages[4];
    union net_name names[4];
    int one = net_datagram(AF_INET), two = net_datagram(AF_INET);
    union net_name to = name_of(one);
    memset(messages, 0, sizeof(messages));
    for (int i = 0; i < 4; i++) {
        vectors[i] = (struct iovec){.iov_base = texts[i], .iov_len = 1};
        messages[i].msg_hdr = (struct msghdr){
            .msg_iov = &vectors[i], .msg_iovlen = 1, .msg_name = &to, .msg_namelen = sizeof(to.in)};
    }
    CHECK_EQ(sendmmsg(two, messages, 4, 0), 4);
    for (int i = 0; i < 4; i++) {
        vectors[i] = (struct iovec){.iov_base = buffers[i], .iov_len = 16};
        messages[i].msg_hdr.msg_name = &names[i];
        messages[i].msg_hdr.msg_namelen = sizeof(names[i]);
    }
    CHECK_EQ(recvmmsg(one, messages, 3, 0, NULL), 3);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(messages[i].msg_len, 1);
        CHECK_EQ(buffers[i][0], "abc"[i]);
        CHECK_EQ(names[i].in.sin_port, htons((uint16_t)net_port(two)));
    }
    CHECK_EQ(recvmmsg(one, messages, 4, MSG_WAITFORONE, NULL), 1);
}

TEST_CASE(broadcast)
{
    char buffer[16];
    int one = net_socket(AF_INET, SOCK_DGRAM), two = net_socket(AF_INET, SOCK_DGRAM);
    CHECK_OK(net_bind(one, AF_INET, "0.0.0.0", 0));
    union net_name to = net_name_of(AF_INET, "127.255.255.255", net_port(one));
    CHECK_ERRNO(sendto(two, "x", 1, 0, &to.any, sizeof(to.in)), EACCES);
    CHECK_OK(net_set(two, SOL_SOCKET, SO_BROADCAST, 1));
    CHECK_EQ(sendto(two, "all", 3, 0, &to.any, sizeof(to.in)), 3);
    CHECK_EQ(recv(one, buffer, 16, 0), 3);
}

TEST_CASE(reuseport_spreads)
{
    int sockets[4];
    char c;
    for (int i = 0; i < 4; i++) {
        sockets[i] = net_socket(AF_INET, SOCK_DGRAM);
        CHECK_OK(net_set(sockets[i], SOL_SOCKET, SO_REUSEPORT, 1));
        CHECK_OK(net_bind(sockets[i], AF_INET, NULL, i == 0 ? 0 : net_port(sockets[0])));
    }
    union net_name to = name_of(sockets[0]);
    for (int i = 0; i < 64; i++) {
        int from = net_datagram(AF_INET);
        CHECK_EQ(sendto(from, "x", 1, 0, &to.any, sizeof(to.in)), 1);
        close(from);
    }
    int total = 0, used = 0;
    for (int i = 0; i < 4; i++) {
        int here = 0;
        while (recv(sockets[i], &c, 1, MSG_DONTWAIT) == 1) {
            here++;
        }
        total += here;
        used += here > 0;
    }
    CHECK_EQ(total, 64);
    CHECK(used >= 2);
}

TEST_CASE(peek_offset)
{
    char buffer[16];
    int one = net_datagram(AF_INET);
    union net_name to = name_of(one);
    CHECK_EQ(net_get(one, SOL_SOCKET, SO_PEEK_OFF), -1);
    CHECK_EQ(sendto(one, "abcdef", 6, 0, &to.any, sizeof(to.in)), 6);
    CHECK_OK(net_set(one, SOL_SOCKET, SO_PEEK_OFF, 0));
    CHECK_EQ(recv(one, buffer, 2, MSG_PEEK), 2);
    CHECK_EQ(memcmp(buffer, "ab", 2), 0);
    CHECK_EQ(recv(one, buffer, 2, MSG_PEEK), 2);
    CHECK_EQ(memcmp(buffer, "cd", 2), 0);
    CHECK_EQ(net_get(one, SOL_SOCKET, SO_PEEK_OFF), 4);
    CHECK_EQ(recv(one, buffer, 16, 0), 6);
    CHECK_EQ(net_get(one, SOL_SOCKET, SO_PEEK_OFF), 0);
}
