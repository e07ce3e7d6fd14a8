/*
 * net_icmp.c: echo over the loopback: raw ICMP sockets and SOCK_DGRAM ones, and who may have them.
 */
#include "tests/syscalls/net_test.h"

#include <linux/capability.h>
#include <netinet/ip.h>

#define FILTER 1 /* ICMP_FILTER, ICMP6_FILTER */

struct echo {
    unsigned char type, code;
    uint16_t checksum, identifier, sequence;
    char data[16];
};

static uint16_t checksum(const void *data, size_t length)
{
    const uint16_t *words = data;
    uint32_t sum = 0;
    for (size_t i = 0; i < length / 2; i++) {
        sum += words[i];
    }
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t) ~(sum + (sum >> 16));
}

static struct echo request(unsigned char type, uint16_t identifier)
{
    struct echo echo = {.type = type, .identifier = htons(identifier), .sequence = htons(3)};
    memcpy(echo.data, "0123456789abcdef", 16);
    echo.checksum = checksum(&echo, sizeof(echo));
    return echo;
}

static int raw(int domain)
{
    int fd = socket(domain, SOCK_RAW, domain == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
    if (!guest_has_cap(CAP_NET_RAW)) {
        CHECK_EQ(fd, -1);
        CHECK_EQ(errno, EPERM);
        SKIP("no CAP_NET_RAW");
    }
    return (int)CHECK_OK(fd);
}

static int ping(int domain)
{
    int fd = socket(domain, SOCK_DGRAM, domain == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
    if (fd < 0) {
        CHECK_EQ(errno, EACCES);
        SKIP("net.ipv4.ping_group_range is not for us");
    }
    return fd;
}

TEST_CASE(raw_echo)
{
    struct {
        struct ip header;
        struct echo echo;
    } got;
    union net_name to = net_name_of(AF_INET, "127.0.0.9", 0), from;
    socklen_t length = sizeof(from);
    int fd = raw(AF_INET);
    struct echo echo = request(8, 0x1234);
    uint32_t filter = ~(1U << 0); /* only echo replies */
    CHECK_OK(setsockopt(fd, 255, FILTER, &filter, sizeof(filter)));
    CHECK_EQ(sendto(fd, &echo, sizeof(echo), 0, &to.any, sizeof(to.in)), sizeof(echo));
    guest_await_readable(fd);
    CHECK_EQ(recvfrom(fd, &got, sizeof(got), 0, &from.any, &length), sizeof(got));
    CHECK_EQ(from.in.sin_addr.s_addr, htonl(0x7f000009));
    CHECK_EQ(got.header.ip_v, 4);
    CHECK_EQ(got.header.ip_hl, 5);
    CHECK_EQ(got.header.ip_p, IPPROTO_ICMP);
    CHECK_EQ(got.header.ip_src.s_addr, htonl(0x7f000009));
    CHECK_EQ(ntohs(got.header.ip_len), sizeof(got));
    CHECK_EQ(got.echo.type, 0);
    CHECK_EQ(got.echo.identifier, htons(0x1234));
    CHECK_EQ(got.echo.sequence, htons(3));
    CHECK_EQ(memcmp(got.echo.data, echo.data, 16), 0);
    CHECK_EQ(checksum(&got.echo, sizeof(got.echo)), 0);
    CHECK_ERRNO(recv(fd, &got, sizeof(got), MSG_DONTWAIT), EAGAIN);
}

TEST_CASE(raw_sees_the_request)
{
    unsigned char got[128];
    union net_name to = net_name_of(AF_INET, NULL, 0);
    int fd = raw(AF_INET);
    struct echo echo = request(8, 7);
    CHECK_EQ(sendto(fd, &echo, sizeof(echo), 0, &to.any, sizeof(to.in)), sizeof(echo));
    guest_await_readable(fd);
    CHECK_EQ(recv(fd, got, sizeof(got), 0), 20 + sizeof(echo));
    CHECK_EQ(got[20], 8);
    guest_await_readable(fd);
    CHECK_EQ(recv(fd, got, sizeof(got), 0), 20 + sizeof(echo));
    CHECK_EQ(got[20], 0);
    echo.checksum ^= 1; /* nobody answers this */
    CHECK_EQ(sendto(fd, &echo, sizeof(echo), 0, &to.any, sizeof(to.in)), sizeof(echo));
    guest_sleep_ms(30);
    CHECK_EQ(recv(fd, got, sizeof(got), MSG_DONTWAIT), 20 + sizeof(echo));
    CHECK_ERRNO(recv(fd, got, sizeof(got), MSG_DONTWAIT), EAGAIN);
}

TEST_CASE(raw_v6)
{
    struct echo got;
    unsigned char filter[32];
    union net_name to = net_name_of(AF_INET6, NULL, 0);
    int fd = raw(AF_INET6);
    memset(filter, 0xff, sizeof(filter));
    ((uint32_t *)(void *)filter)[129 / 32] &= ~(1U << 129 % 32);
    CHECK_OK(setsockopt(fd, IPPROTO_ICMPV6, FILTER, filter, sizeof(filter)));
    struct echo echo = request(128, 99);
    CHECK_EQ(sendto(fd, &echo, sizeof(echo), 0, &to.any, sizeof(to.in6)), sizeof(echo));
    guest_await_readable(fd);
    CHECK_EQ(recv(fd, &got, sizeof(got), 0), sizeof(got));
    CHECK_EQ(got.type, 129);
    CHECK_EQ(got.identifier, htons(99));
    CHECK_EQ(memcmp(got.data, echo.data, 16), 0);
}

static void datagram_echo(int domain)
{
    struct echo got;
    union net_name to = net_name_of(domain, NULL, 0), from, own;
    socklen_t length = sizeof(from), own_length = sizeof(own);
    int fd = ping(domain);
    struct echo echo = request(domain == AF_INET ? 8 : 128, 1);
    echo.checksum = 0; /* the kernel's */
    CHECK_EQ(sendto(fd, &echo, sizeof(echo), 0, &to.any, net_length(domain)), sizeof(echo));
    guest_await_readable(fd);
    CHECK_EQ(recvfrom(fd, &got, sizeof(got), 0, &from.any, &length), sizeof(got));
    CHECK_EQ(got.type, domain == AF_INET ? 0 : 129);
    CHECK_EQ(got.sequence, htons(3));
    CHECK_EQ(memcmp(got.data, echo.data, 16), 0);
    CHECK_OK(getsockname(fd, &own.any, &own_length));
    CHECK_EQ(got.identifier, own.in.sin_port); /* as is the identifier */
    CHECK_EQ(length, net_length(domain));
}

TEST_CASE(datagram_echo_v4)
{
    datagram_echo(AF_INET);
}

TEST_CASE(datagram_echo_v6)
{
    datagram_echo(AF_INET6);
}

TEST_CASE(datagram_checks)
{
    union net_name to = net_name_of(AF_INET, NULL, 0);
    int fd = ping(AF_INET);
    struct echo echo = request(0, 1);
    CHECK_ERRNO(sendto(fd, &echo, sizeof(echo), 0, &to.any, sizeof(to.in)), EINVAL);
    echo.type = 8;
    CHECK_ERRNO(sendto(fd, &echo, 4, 0, &to.any, sizeof(to.in)), EINVAL);
    CHECK_ERRNO(send(fd, &echo, sizeof(echo), 0), EDESTADDRREQ);
    CHECK_OK(connect(fd, &to.any, sizeof(to.in)));
    CHECK_EQ(send(fd, &echo, sizeof(echo), 0), sizeof(echo));
    CHECK_EQ(net_get(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_ICMP);
    CHECK_ERRNO(listen(fd, 1), EOPNOTSUPP);
}

TEST_CASE(others_need_the_capability)
{
    if (guest_has_cap(CAP_NET_RAW)) {
        SKIP("CAP_NET_RAW is there");
    }
    CHECK_ERRNO(socket(AF_INET, SOCK_RAW, IPPROTO_TCP), EPERM);
    CHECK_ERRNO(socket(AF_INET, SOCK_RAW, IPPROTO_RAW), EPERM);
    CHECK_ERRNO(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6), EPERM);
}
