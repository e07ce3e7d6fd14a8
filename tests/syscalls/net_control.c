/*
 * net_control.c: control messages of datagrams: packet information, TTL, TOS, time stamps, the
 * queue of errors.
 */
#include "tests/syscalls/net_test.h"

#include <linux/errqueue.h>
#include <sys/time.h>

struct received {
    char data[64];
    ssize_t count;
    unsigned flags;
    union net_name from;
    _Alignas(struct cmsghdr) char control[512];
    struct msghdr header;
};

static void receive(int fd, int flags, struct received *got)
{
    struct iovec vector = {.iov_base = got->data, .iov_len = sizeof(got->data)};
    memset(&got->from, 0, sizeof(got->from));
    got->header = (struct msghdr){.msg_name = &got->from,
                                  .msg_namelen = sizeof(got->from),
                                  .msg_iov = &vector,
                                  .msg_iovlen = 1,
                                  .msg_control = got->control,
                                  .msg_controllen = sizeof(got->control)};
    got->count = CHECK_OK(recvmsg(fd, &got->header, flags));
    got->flags = (unsigned)got->header.msg_flags;
}

/* The control message, or NULL. */
static struct cmsghdr *find(struct received *got, int level, int type)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&got->header); c; c = CMSG_NXTHDR(&got->header, c)) {
        if (c->cmsg_level == level && c->cmsg_type == type) {
            return c;
        }
    }
    return NULL;
}

static int int_of(struct cmsghdr *c)
{
    int value;
    CHECK(c != NULL);
    CHECK_EQ(c->cmsg_len, CMSG_LEN(sizeof(value)));
    memcpy(&value, CMSG_DATA(c), sizeof(value));
    return value;
}

static union net_name name_of(int fd)
{
    union net_name name;
    socklen_t length = sizeof(name);
    CHECK_OK(getsockname(fd, &name.any, &length));
    return name;
}

/* Sends with one control message. */
static ssize_t send_with(int fd, const union net_name *to, socklen_t length, int level, int type,
                         const void *data, size_t size)
{
    union {
        char bytes[CMSG_SPACE(64)];
        struct cmsghdr align;
    } control;
    struct iovec vector = {.iov_base = "data", .iov_len = 4};
    struct msghdr header = {.msg_name = (void *)(uintptr_t)to,
                            .msg_namelen = length,
                            .msg_iov = &vector,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = CMSG_SPACE(size)};
    memset(&control, 0, sizeof(control));
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), data, size);
    return sendmsg(fd, &header, 0);
}

TEST_CASE(nothing_unasked)
{
    struct received got;
    int one = net_datagram(AF_INET);
    union net_name to = name_of(one);
    CHECK_EQ(sendto(one, "x", 1, 0, &to.any, sizeof(to.in)), 1);
    receive(one, 0, &got);
    CHECK_EQ(got.count, 1);
    CHECK_EQ(got.header.msg_controllen, 0);
    CHECK_EQ(got.flags, 0);
}

TEST_CASE(pktinfo)
{
    struct received got;
    struct in_pktinfo info;
    int one = net_socket(AF_INET, SOCK_DGRAM);
    CHECK_OK(net_bind(one, AF_INET, "0.0.0.0", 0));
    CHECK_OK(net_set(one, IPPROTO_IP, IP_PKTINFO, 1));
    union net_name to = net_name_of(AF_INET, "127.0.0.77", net_port(one));
    CHECK_EQ(sendto(one, "x", 1, 0, &to.any, sizeof(to.in)), 1);
    receive(one, 0, &got);
    struct cmsghdr *c = find(&got, IPPROTO_IP, IP_PKTINFO);
    CHECK(c != NULL);
    CHECK_EQ(c->cmsg_len, CMSG_LEN(sizeof(info)));
    memcpy(&info, CMSG_DATA(c), sizeof(info));
    CHECK_EQ(info.ipi_addr.s_addr, htonl(0x7f00004d));
    CHECK_EQ(info.ipi_spec_dst.s_addr, htonl(0x7f00004d));
    CHECK_EQ(info.ipi_ifindex, 1);
}

TEST_CASE(pktinfo_v6)
{
    struct received got;
    struct in6_pktinfo info;
    int one = net_datagram(AF_INET6);
    CHECK_OK(net_set(one, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1));
    CHECK_OK(net_set(one, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1));
    CHECK_OK(net_set(one, IPPROTO_IPV6, IPV6_RECVTCLASS, 1));
    CHECK_OK(net_set(one, IPPROTO_IPV6, IPV6_TCLASS, 0x20));
    union net_name to = name_of(one);
    CHECK_EQ(sendto(one, "x", 1, 0, &to.any, sizeof(to.in6)), 1);
    receive(one, 0, &got);
    struct cmsghdr *c = find(&got, IPPROTO_IPV6, IPV6_PKTINFO);
    CHECK(c != NULL);
    memcpy(&info, CMSG_DATA(c), sizeof(info));
    CHECK(IN6_IS_ADDR_LOOPBACK(&info.ipi6_addr));
    CHECK_EQ(info.ipi6_ifindex, 1);
    CHECK_EQ(int_of(find(&got, IPPROTO_IPV6, IPV6_HOPLIMIT)), 64);
    CHECK_EQ(int_of(find(&got, IPPROTO_IPV6, IPV6_TCLASS)), 0x20);
}

TEST_CASE(send_from)
{
    struct received got;
    int one = net_datagram(AF_INET);
    int two = net_socket(AF_INET, SOCK_DGRAM);
    union net_name to = name_of(one);
    struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(0x7f000037)};
    CHECK_EQ(send_with(two, &to, sizeof(to.in), IPPROTO_IP, IP_PKTINFO, &info, sizeof(info)), 4);
    receive(one, 0, &got);
    CHECK_EQ(got.from.in.sin_addr.s_addr, htonl(0x7f000037));
    CHECK_ERRNO(send_with(two, &to, sizeof(to.in), IPPROTO_IP, IP_PKTINFO, &info, 4), EINVAL);
}

TEST_CASE(ttl_and_tos)
{
    struct received got;
    int one = net_datagram(AF_INET), two = net_datagram(AF_INET);
    union net_name to = name_of(one);
    CHECK_OK(net_set(one, IPPROTO_IP, IP_RECVTTL, 1));
    CHECK_OK(net_set(one, IPPROTO_IP, IP_RECVTOS, 1));
    CHECK_OK(net_set(two, IPPROTO_IP, IP_TTL, 9));
    CHECK_OK(net_set(two, IPPROTO_IP, IP_TOS, 0x10));
    CHECK_EQ(sendto(two, "x", 1, 0, &to.any, sizeof(to.in)), 1);
    receive(one, 0, &got);
    CHECK_EQ(int_of(find(&got, IPPROTO_IP, IP_TTL)), 9);
    struct cmsghdr *c = find(&got, IPPROTO_IP, IP_TOS);
    CHECK(c != NULL);
    CHECK_EQ(c->cmsg_len, CMSG_LEN(1));
    CHECK_EQ(*CMSG_DATA(c), 0x10);
    int ttl = 3;
    CHECK_EQ(send_with(two, &to, sizeof(to.in), IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl)), 4);
    receive(one, 0, &got);
    CHECK_EQ(int_of(find(&got, IPPROTO_IP, IP_TTL)), 3);
    ttl = 0;
    CHECK_ERRNO(send_with(two, &to, sizeof(to.in), IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl)), EINVAL);
}

TEST_CASE(timestamp)
{
    struct received got;
    struct timeval stamp, now;
    int one = net_datagram(AF_INET);
    union net_name to = name_of(one);
    CHECK_OK(net_set(one, SOL_SOCKET, SO_TIMESTAMP, 1));
    CHECK_EQ(net_get(one, SOL_SOCKET, SO_TIMESTAMP), 1);
    CHECK_EQ(sendto(one, "x", 1, 0, &to.any, sizeof(to.in)), 1);
    guest_sleep_ms(10);
    receive(one, 0, &got);
    struct cmsghdr *c = find(&got, SOL_SOCKET, SO_TIMESTAMP);
    CHECK(c != NULL);
    CHECK_EQ(c->cmsg_len, CMSG_LEN(sizeof(stamp)));
    memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
    CHECK_OK(gettimeofday(&now, NULL));
    CHECK(now.tv_sec - stamp.tv_sec < 10);
    CHECK_OK(net_set(one, SOL_SOCKET, SO_TIMESTAMPNS, 1));
    CHECK_EQ(net_get(one, SOL_SOCKET, SO_TIMESTAMP), 0);
    CHECK_EQ(sendto(one, "x", 1, 0, &to.any, sizeof(to.in)), 1);
    receive(one, 0, &got);
    CHECK(find(&got, SOL_SOCKET, SO_TIMESTAMPNS) != NULL);
    CHECK(find(&got, SOL_SOCKET, SO_TIMESTAMP) == NULL);
}

TEST_CASE(control_is_cut)
{
    char small[CMSG_LEN(2)];
    char data[8];
    int one = net_datagram(AF_INET);
    union net_name to = name_of(one);
    struct iovec vector = {.iov_base = data, .iov_len = sizeof(data)};
    struct msghdr header = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = small, .msg_controllen = sizeof(small)};
    CHECK_OK(net_set(one, IPPROTO_IP, IP_PKTINFO, 1));
    CHECK_EQ(sendto(one, "x", 1, 0, &to.any, sizeof(to.in)), 1);
    CHECK_EQ(recvmsg(one, &header, 0), 1);
    CHECK_EQ(header.msg_flags, MSG_CTRUNC);
}

TEST_CASE(error_queue)
{
    struct received got;
    struct sock_extended_err error;
    int one = net_datagram(AF_INET);
    union net_name to = name_of(one);
    close(one);
    int two = net_datagram(AF_INET);
    CHECK_OK(net_set(two, IPPROTO_IP, IP_RECVERR, 1));
    CHECK_ERRNO(recv(two, &got, 1, MSG_ERRQUEUE), EAGAIN);
    CHECK_EQ(sendto(two, "lost", 4, 0, &to.any, sizeof(to.in)), 4);
    net_await(two, POLLERR);
    CHECK_ERRNO(recv(two, &got, 1, MSG_DONTWAIT), ECONNREFUSED);
    CHECK_EQ(net_events(two, 0) & POLLERR, POLLERR); /* the queue is not empty */
    receive(two, MSG_ERRQUEUE, &got);
    CHECK_EQ(got.count, 4);
    CHECK_EQ(memcmp(got.data, "lost", 4), 0);
    CHECK_EQ(got.flags, MSG_ERRQUEUE);
    CHECK_EQ(memcmp(&got.from, &to, sizeof(to.in)), 0);
    struct cmsghdr *c = find(&got, IPPROTO_IP, IP_RECVERR);
    CHECK(c != NULL);
    memcpy(&error, CMSG_DATA(c), sizeof(error));
    CHECK_EQ(error.ee_errno, ECONNREFUSED);
    CHECK_EQ(error.ee_origin, SO_EE_ORIGIN_ICMP);
    CHECK_EQ(error.ee_type, 3);
    CHECK_EQ(error.ee_code, 3);
    struct sockaddr_in *offender = (void *)(CMSG_DATA(c) + sizeof(error));
    CHECK_EQ(offender->sin_family, AF_INET);
    CHECK_EQ(offender->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    CHECK_EQ(net_events(two, 0), POLLOUT);
}

TEST_CASE(error_queue_v6)
{
    struct received got;
    struct sock_extended_err error;
    int one = net_datagram(AF_INET6);
    union net_name to = name_of(one);
    close(one);
    int two = net_datagram(AF_INET6);
    CHECK_OK(net_set(two, IPPROTO_IPV6, IPV6_RECVERR, 1));
    CHECK_EQ(sendto(two, "lost", 4, 0, &to.any, sizeof(to.in6)), 4);
    net_await(two, POLLERR);
    receive(two, MSG_ERRQUEUE, &got);
    struct cmsghdr *c = find(&got, IPPROTO_IPV6, IPV6_RECVERR);
    CHECK(c != NULL);
    memcpy(&error, CMSG_DATA(c), sizeof(error));
    CHECK_EQ(error.ee_errno, ECONNREFUSED);
    CHECK_EQ(error.ee_origin, SO_EE_ORIGIN_ICMP6);
    CHECK_EQ(error.ee_type, 1);
    CHECK_EQ(error.ee_code, 4);
}

TEST_CASE(unknown_messages)
{
    int one = net_datagram(AF_INET);
    union net_name to = name_of(one);
    int value = 0;
    CHECK_ERRNO(send_with(one, &to, sizeof(to.in), SOL_SOCKET, 99, &value, 4), EINVAL);
    CHECK_ERRNO(send_with(one, &to, sizeof(to.in), IPPROTO_IP, 99, &value, 4), EINVAL);
    CHECK_EQ(send_with(one, &to, sizeof(to.in), 200, 99, &value, 4), 4);
    CHECK_EQ(send_with(one, &to, sizeof(to.in), SOL_SOCKET, SCM_RIGHTS, &value, 4), 4);
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_ERRNO(send_with(pair.client, NULL, 0, SOL_SOCKET, 99, &value, 4), EINVAL);
    CHECK_EQ(send_with(pair.client, NULL, 0, IPPROTO_IP, 99, &value, 4), 4);
}

TEST_CASE(dropped_count)
{
    char block[1000];
    struct received got;
    int one = net_datagram(AF_INET);
    union net_name to = name_of(one);
    CHECK_OK(net_set(one, SOL_SOCKET, SO_RCVBUF, 4000));
    CHECK_OK(net_set(one, SOL_SOCKET, SO_RXQ_OVFL, 1));
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(sendto(one, block, sizeof(block), 0, &to.any, sizeof(to.in)), sizeof(block));
    }
    while (recv(one, block, sizeof(block), MSG_DONTWAIT) > 0) {
    }
    CHECK_EQ(sendto(one, "x", 1, 0, &to.any, sizeof(to.in)), 1);
    receive(one, 0, &got);
    CHECK(int_of(find(&got, SOL_SOCKET, SO_RXQ_OVFL)) > 5);
}
