/*
 * net_bind.c: who may bind what: reuse, wildcards, both families, privileges.
 */
#include "tests/syscalls/net_test.h"

#include <linux/capability.h>

/* Binds a fresh socket with options set before. */
static int try_bind(int domain, int type, const char *text, int port, int option, int *ret_fd)
{
    int fd = net_socket(domain, type);
    if (option != 0) {
        CHECK_OK(net_set(fd, SOL_SOCKET, option, 1));
    }
    *ret_fd = fd;
    return net_bind(fd, domain, text, port);
}

TEST_CASE(in_use)
{
    int a, b;
    CHECK_OK(try_bind(AF_INET, SOCK_STREAM, NULL, 0, 0, &a));
    CHECK_ERRNO(try_bind(AF_INET, SOCK_STREAM, NULL, net_port(a), 0, &b), EADDRINUSE);
    CHECK_ERRNO(try_bind(AF_INET, SOCK_STREAM, "0.0.0.0", net_port(a), 0, &b), EADDRINUSE);
    CHECK_OK(try_bind(AF_INET, SOCK_STREAM, "127.0.0.2", net_port(a), 0, &b));
    CHECK_OK(try_bind(AF_INET, SOCK_DGRAM, NULL, net_port(a), 0, &b));
    int port = net_port(a);
    close(a);
    CHECK_OK(try_bind(AF_INET, SOCK_STREAM, NULL, port, 0, &b));
}

TEST_CASE(once)
{
    int a;
    CHECK_OK(try_bind(AF_INET, SOCK_STREAM, NULL, 0, 0, &a));
    CHECK_ERRNO(net_bind(a, AF_INET, NULL, 0), EINVAL);
    CHECK_OK(try_bind(AF_INET, SOCK_DGRAM, NULL, 0, 0, &a));
    CHECK_ERRNO(net_bind(a, AF_INET, NULL, 0), EINVAL);
}

TEST_CASE(arguments)
{
    int fd = net_socket(AF_INET, SOCK_STREAM);
    union net_name name = net_name_of(AF_INET, NULL, 0);
    CHECK_ERRNO(bind(fd, &name.any, sizeof(name.in) - 1), EINVAL);
    CHECK_ERRNO(bind(fd, &name.any, 0), EINVAL);
    CHECK_ERRNO(bind(fd, &name.any, 200), EINVAL);
    CHECK_ERRNO(bind(fd, guest_bad(), sizeof(name.in)), EFAULT);
    name.any.sa_family = AF_UNIX;
    CHECK_ERRNO(bind(fd, &name.any, sizeof(name.in)), EAFNOSUPPORT);
    name.any.sa_family = AF_UNSPEC;
    CHECK_ERRNO(bind(fd, &name.any, sizeof(name.in)), EAFNOSUPPORT);
    name.in.sin_addr.s_addr = 0;
    CHECK_OK(bind(fd, &name.any, sizeof(name.in))); /* old programs leave the family out */
    int six = net_socket(AF_INET6, SOCK_STREAM);
    name = net_name_of(AF_INET6, NULL, 0);
    CHECK_ERRNO(bind(six, &name.any, 23), EINVAL);
    name.any.sa_family = AF_INET;
    CHECK_ERRNO(bind(six, &name.any, sizeof(name.in6)), EAFNOSUPPORT);
}

TEST_CASE(not_local)
{
    int a;
    CHECK_ERRNO(try_bind(AF_INET, SOCK_STREAM, "192.0.2.1", 0, 0, &a), EADDRNOTAVAIL);
    CHECK_ERRNO(try_bind(AF_INET6, SOCK_STREAM, "2001:db8::1", 0, 0, &a), EADDRNOTAVAIL);
    CHECK_ERRNO(try_bind(AF_INET6, SOCK_STREAM, "fe80::1", 0, 0, &a), EINVAL);
    CHECK_ERRNO(try_bind(AF_INET6, SOCK_STREAM, "::ffff:192.0.2.1", 0, 0, &a), EADDRNOTAVAIL);
    int fd = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(net_set(fd, IPPROTO_IP, IP_FREEBIND, 1));
    CHECK_OK(net_bind(fd, AF_INET, "192.0.2.1", 0));
}

TEST_CASE(privileged_port)
{
    char text[16] = "1024";
    int a;
    int from = open("/proc/sys/net/ipv4/ip_unprivileged_port_start", O_RDONLY);
    if (from >= 0) {
        CHECK_OK(read(from, text, sizeof(text) - 1));
    }
    if (atoi(text) <= 1) {
        SKIP("every port is for everyone here");
    }
    int port = atoi(text) - 1;
    if (guest_has_cap(CAP_NET_BIND_SERVICE)) {
        if (try_bind(AF_INET, SOCK_STREAM, "127.7.7.7", port, 0, &a) < 0) {
            CHECK_EQ(errno, EADDRINUSE);
        }
        if (!guest_can_switch_user()) {
            SKIP("there are no other users here");
        }
        guest_become_user();
    }
    CHECK_ERRNO(try_bind(AF_INET, SOCK_STREAM, "127.7.7.7", port, 0, &a), EACCES);
    CHECK_ERRNO(try_bind(AF_INET, SOCK_DGRAM, "127.7.7.7", port, 0, &a), EACCES);
    CHECK_ERRNO(try_bind(AF_INET6, SOCK_STREAM, "::", port, 0, &a), EACCES);
}

TEST_CASE(reuseaddr)
{
    int a, b;
    CHECK_OK(try_bind(AF_INET, SOCK_STREAM, NULL, 0, SO_REUSEADDR, &a));
    CHECK_ERRNO(try_bind(AF_INET, SOCK_STREAM, NULL, net_port(a), 0, &b), EADDRINUSE);
    CHECK_OK(try_bind(AF_INET, SOCK_STREAM, NULL, net_port(a), SO_REUSEADDR, &b));
    CHECK_OK(listen(a, 1));
    CHECK_ERRNO(listen(b, 1), EADDRINUSE);
    int c;
    CHECK_ERRNO(try_bind(AF_INET, SOCK_STREAM, NULL, net_port(a), SO_REUSEADDR, &c), EADDRINUSE);
}

TEST_CASE(reuseaddr_after_close)
{
    int again;
    int listener;
    char c;
    CHECK_OK(try_bind(AF_INET, SOCK_STREAM, NULL, 0, SO_REUSEADDR, &listener));
    CHECK_OK(listen(listener, 2));
    int port = net_port(listener);
    int client = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(net_connect(client, AF_INET, NULL, port));
    int server = (int)CHECK_OK(accept(listener, NULL, NULL));
    close(server);
    CHECK_EQ(read(client, &c, 1), 0);
    close(client);
    close(listener);
    CHECK_OK(try_bind(AF_INET, SOCK_STREAM, NULL, port, SO_REUSEADDR, &again));
    CHECK_OK(listen(again, 2));
}

TEST_CASE(restart_with_open_connections)
{
    int listener, again;
    CHECK_OK(try_bind(AF_INET, SOCK_STREAM, NULL, 0, SO_REUSEADDR, &listener));
    CHECK_OK(listen(listener, 4));
    int port = net_port(listener);
    int client = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(net_connect(client, AF_INET, NULL, port));
    CHECK_OK(accept(listener, NULL, NULL));
    close(listener);
    CHECK_ERRNO(try_bind(AF_INET, SOCK_STREAM, NULL, port, 0, &again), EADDRINUSE);
    CHECK_OK(try_bind(AF_INET, SOCK_STREAM, NULL, port, SO_REUSEADDR, &again));
    CHECK_OK(listen(again, 4));
    int next = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(net_connect(next, AF_INET, NULL, port));
}

TEST_CASE(reuseport)
{
    int a, b, c;
    CHECK_OK(try_bind(AF_INET, SOCK_STREAM, NULL, 0, SO_REUSEPORT, &a));
    CHECK_OK(try_bind(AF_INET, SOCK_STREAM, NULL, net_port(a), SO_REUSEPORT, &b));
    CHECK_ERRNO(try_bind(AF_INET, SOCK_STREAM, NULL, net_port(a), 0, &c), EADDRINUSE);
    CHECK_OK(listen(a, 64));
    CHECK_OK(listen(b, 64));
    for (int i = 0; i < 40; i++) {
        int fd = net_socket(AF_INET, SOCK_STREAM);
        CHECK_OK(net_connect(fd, AF_INET, NULL, net_port(a)));
    }
    net_nonblock(a);
    net_nonblock(b);
    int at_a = 0, at_b = 0;
    while (accept(a, NULL, NULL) >= 0) {
        at_a++;
    }
    while (accept(b, NULL, NULL) >= 0) {
        at_b++;
    }
    CHECK_EQ(at_a + at_b, 40);
    CHECK(at_a > 0 && at_b > 0);
}

TEST_CASE(reuseport_is_of_one_user)
{
    int a, b;
    if (!guest_can_switch_user()) {
        SKIP("there are no other users here");
    }
    CHECK_OK(try_bind(AF_INET, SOCK_STREAM, NULL, 0, SO_REUSEPORT, &a));
    int port = net_port(a);
    pid_t child = guest_fork();
    if (child == 0) {
        guest_become_user();
        CHECK_ERRNO(try_bind(AF_INET, SOCK_STREAM, NULL, port, SO_REUSEPORT, &b), EADDRINUSE);
        _exit(0);
    }
    CHECK_CHILD_OK(child);
}

TEST_CASE(datagram_reuse)
{
    int a, b, c;
    CHECK_OK(try_bind(AF_INET, SOCK_DGRAM, NULL, 0, SO_REUSEADDR, &a));
    CHECK_ERRNO(try_bind(AF_INET, SOCK_DGRAM, NULL, net_port(a), 0, &b), EADDRINUSE);
    CHECK_OK(try_bind(AF_INET, SOCK_DGRAM, NULL, net_port(a), SO_REUSEADDR, &b));
    CHECK_OK(try_bind(AF_INET, SOCK_DGRAM, "0.0.0.0", net_port(a), SO_REUSEADDR, &c));
}

TEST_CASE(wildcard_v6_takes_v4)
{
    int a, b;
    CHECK_OK(try_bind(AF_INET6, SOCK_STREAM, "::", 0, 0, &a));
    CHECK_ERRNO(try_bind(AF_INET, SOCK_STREAM, "0.0.0.0", net_port(a), 0, &b), EADDRINUSE);
    CHECK_ERRNO(try_bind(AF_INET, SOCK_STREAM, NULL, net_port(a), 0, &b), EADDRINUSE);
    CHECK_ERRNO(try_bind(AF_INET6, SOCK_STREAM, NULL, net_port(a), 0, &b), EADDRINUSE);
}

TEST_CASE(v6_only_leaves_v4)
{
    int b;
    int a = net_socket(AF_INET6, SOCK_STREAM);
    CHECK_OK(net_set(a, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    CHECK_OK(net_bind(a, AF_INET6, "::", 0));
    CHECK_OK(try_bind(AF_INET, SOCK_STREAM, "0.0.0.0", net_port(a), 0, &b));
    CHECK_ERRNO(net_set(a, IPPROTO_IPV6, IPV6_V6ONLY, 0), EINVAL);
}

TEST_CASE(v6_address_is_v6_only)
{
    int a, b;
    CHECK_OK(try_bind(AF_INET6, SOCK_STREAM, "::1", 0, 0, &a));
    CHECK_EQ(net_get(a, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    CHECK_OK(try_bind(AF_INET, SOCK_STREAM, "0.0.0.0", net_port(a), 0, &b));
}

TEST_CASE(mapped_address_meets_v4)
{
    int a, b;
    CHECK_OK(try_bind(AF_INET6, SOCK_STREAM, "::ffff:127.0.0.1", 0, 0, &a));
    CHECK_EQ(net_get(a, IPPROTO_IPV6, IPV6_V6ONLY), 0);
    CHECK_ERRNO(try_bind(AF_INET, SOCK_STREAM, NULL, net_port(a), 0, &b), EADDRINUSE);
    CHECK_OK(try_bind(AF_INET6, SOCK_STREAM, "::1", net_port(a), 0, &b));
    int only = net_socket(AF_INET6, SOCK_STREAM);
    CHECK_OK(net_set(only, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    CHECK_ERRNO(net_bind(only, AF_INET6, "::ffff:127.0.0.1", 0), EINVAL);
}

TEST_CASE(bind_address_no_port)
{
    int fd = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(net_set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1));
    CHECK_OK(net_bind(fd, AF_INET, "127.0.0.5", 0));
    CHECK_EQ(net_port(fd), 0);
    int listener = net_listener(AF_INET, 2);
    union net_name name;
    socklen_t length = sizeof(name);
    CHECK_OK(net_connect(fd, AF_INET, NULL, net_port(listener)));
    CHECK_OK(accept(listener, &name.any, &length));
    CHECK_EQ(name.in.sin_addr.s_addr, htonl(0x7f000005));
    CHECK(net_port(fd) != 0);
}

TEST_CASE(unbound_names)
{
    union net_name name;
    socklen_t length = sizeof(name);
    int fd = net_socket(AF_INET6, SOCK_DGRAM);
    CHECK_OK(getsockname(fd, &name.any, &length));
    CHECK_EQ(length, sizeof(struct sockaddr_in6));
    CHECK_EQ(name.in6.sin6_family, AF_INET6);
    CHECK_EQ(name.in6.sin6_port, 0);
    CHECK(IN6_IS_ADDR_UNSPECIFIED(&name.in6.sin6_addr));
}

TEST_CASE(closed_sockets_leave_nothing)
{
    int fd = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(net_bind(fd, AF_INET, NULL, 0));
    int port = net_port(fd);
    close(fd);
    for (int i = 0; i < 3000; i++) {
        fd = net_socket(AF_INET, SOCK_STREAM);
        CHECK_OK(net_bind(fd, AF_INET, NULL, port));
        CHECK_OK(listen(fd, 1));
        close(fd);
    }
}
