/*
 * net_multicast.c: groups on the loopback.
 */
#include "tests/syscalls/net_test.h"

#define GROUP "239.1.2.3"

static int join(int fd, const char *group, const char *interface, int option)
{
    struct ip_mreq request;
    CHECK_EQ(inet_pton(AF_INET, group, &request.imr_multiaddr), 1);
    CHECK_EQ(inet_pton(AF_INET, interface, &request.imr_interface), 1);
    return setsockopt(fd, IPPROTO_IP, option, &request, sizeof(request));
}

static int member(int port)
{
    int fd = net_socket(AF_INET, SOCK_DGRAM);
    CHECK_OK(net_set(fd, SOL_SOCKET, SO_REUSEADDR, 1));
    CHECK_OK(net_bind(fd, AF_INET, "0.0.0.0", port));
    CHECK_OK(join(fd, GROUP, "127.0.0.1", IP_ADD_MEMBERSHIP));
    return fd;
}

static void use_loopback(int fd)
{
    struct in_addr address = {.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_OK(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &address, sizeof(address)));
}

TEST_CASE(delivered_to_members)
{
    char buffer[16];
    int one = member(0);
    int two = member(net_port(one));
    int from = net_socket(AF_INET, SOCK_DGRAM);
    use_loopback(from);
    union net_name to = net_name_of(AF_INET, GROUP, net_port(one));
    CHECK_EQ(sendto(from, "group", 5, 0, &to.any, sizeof(to.in)), 5);
    net_await(one, POLLIN);
    CHECK_EQ(recv(one, buffer, 16, MSG_DONTWAIT), 5);
    net_await(two, POLLIN);
    CHECK_EQ(recv(two, buffer, 16, MSG_DONTWAIT), 5);
    CHECK_OK(join(two, GROUP, "127.0.0.1", IP_DROP_MEMBERSHIP));
    CHECK_OK(net_set(two, IPPROTO_IP, IP_MULTICAST_ALL, 0));
    CHECK_EQ(sendto(from, "again", 5, 0, &to.any, sizeof(to.in)), 5);
    net_await(one, POLLIN);
    CHECK_ERRNO(recv(two, buffer, 16, MSG_DONTWAIT), EAGAIN);
}

TEST_CASE(memberships)
{
    int fd = net_socket(AF_INET, SOCK_DGRAM);
    CHECK_OK(join(fd, GROUP, "127.0.0.1", IP_ADD_MEMBERSHIP));
    CHECK_ERRNO(join(fd, GROUP, "127.0.0.1", IP_ADD_MEMBERSHIP), EADDRINUSE);
    CHECK_OK(join(fd, GROUP, "127.0.0.1", IP_DROP_MEMBERSHIP));
    CHECK_ERRNO(join(fd, GROUP, "127.0.0.1", IP_DROP_MEMBERSHIP), EADDRNOTAVAIL);
    CHECK_ERRNO(join(fd, "10.0.0.1", "127.0.0.1", IP_ADD_MEMBERSHIP), EINVAL);
    CHECK_ERRNO(join(fd, GROUP, "203.0.113.9", IP_ADD_MEMBERSHIP), ENODEV);
    char small = 0;
    CHECK_ERRNO(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &small, 1), EINVAL);
    int stream = net_socket(AF_INET, SOCK_STREAM);
    CHECK_ERRNO(join(stream, GROUP, "127.0.0.1", IP_ADD_MEMBERSHIP), EPROTO);
}

TEST_CASE(no_interface)
{
    if (!net_is_alone()) {
        SKIP("this host has a network");
    }
    int fd = net_socket(AF_INET, SOCK_DGRAM);
    union net_name to = net_name_of(AF_INET, GROUP, 9);
    CHECK_ERRNO(join(fd, GROUP, "0.0.0.0", IP_ADD_MEMBERSHIP), ENODEV);
    CHECK_ERRNO(sendto(fd, "x", 1, 0, &to.any, sizeof(to.in)), ENETUNREACH);
}

TEST_CASE(options)
{
    int fd = net_socket(AF_INET, SOCK_DGRAM);
    CHECK_EQ(net_get(fd, IPPROTO_IP, IP_MULTICAST_TTL), 1);
    CHECK_OK(net_set(fd, IPPROTO_IP, IP_MULTICAST_TTL, 5));
    CHECK_EQ(net_get(fd, IPPROTO_IP, IP_MULTICAST_TTL), 5);
    CHECK_ERRNO(net_set(fd, IPPROTO_IP, IP_MULTICAST_TTL, 256), EINVAL);
    CHECK_EQ(net_get(fd, IPPROTO_IP, IP_MULTICAST_LOOP), 1);
    unsigned char off = 0;
    CHECK_OK(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &off, 1));
    CHECK_EQ(net_get(fd, IPPROTO_IP, IP_MULTICAST_LOOP), 0);
    use_loopback(fd);
    CHECK_EQ((uint32_t)net_get(fd, IPPROTO_IP, IP_MULTICAST_IF), htonl(INADDR_LOOPBACK));
    struct in_addr other = {.s_addr = htonl(0xcb007109)};
    CHECK_ERRNO(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &other, sizeof(other)), EADDRNOTAVAIL);
}

TEST_CASE(v6_group)
{
    struct ipv6_mreq request = {.ipv6mr_interface = 1};
    int one = net_socket(AF_INET6, SOCK_DGRAM);
    CHECK_OK(net_bind(one, AF_INET6, "::", 0));
    CHECK_EQ(inet_pton(AF_INET6, "ff01::1234", &request.ipv6mr_multiaddr), 1);
    CHECK_OK(setsockopt(one, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &request, sizeof(request)));
    CHECK_ERRNO(setsockopt(one, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &request, sizeof(request)),
                EADDRINUSE);
    int from = net_socket(AF_INET6, SOCK_DGRAM);
    CHECK_OK(net_set(from, IPPROTO_IPV6, IPV6_MULTICAST_IF, 1));
    union net_name to = net_name_of(AF_INET6, "ff01::1234", net_port(one));
    CHECK_ERRNO(sendto(from, "six", 3, 0, &to.any, sizeof(to.in6)), ENETUNREACH);
    request.ipv6mr_interface = 9999;
    CHECK_ERRNO(setsockopt(one, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &request, sizeof(request)),
                ENODEV);
}

TEST_CASE(streams_join_too)
{
    struct group_req request = {.gr_interface = 1};
    struct sockaddr_in *group = (void *)&request.gr_group;
    int listener = net_listener(AF_INET, 2);
    group->sin_family = AF_INET;
    CHECK_EQ(inet_pton(AF_INET, GROUP, &group->sin_addr), 1);
    CHECK_OK(setsockopt(listener, IPPROTO_IP, MCAST_JOIN_GROUP, &request, sizeof(request)));
    int client = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(net_connect(client, AF_INET, NULL, net_port(listener)));
    int server = (int)CHECK_OK(accept(listener, NULL, NULL)); /* does not inherit it */
    CHECK_ERRNO(setsockopt(server, IPPROTO_IP, MCAST_LEAVE_GROUP, &request, sizeof(request)),
                EADDRNOTAVAIL);
    CHECK_OK(setsockopt(listener, IPPROTO_IP, MCAST_LEAVE_GROUP, &request, sizeof(request)));
}
