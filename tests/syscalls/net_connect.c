/*
 * net_connect.c: connect: refused, in progress, queue full, unreachable, interrupted.
 */
#include "tests/syscalls/net_test.h"

static int closed_port(int domain, int type)
{
    int fd = net_socket(domain, type);
    CHECK_OK(net_bind(fd, domain, NULL, 0));
    int port = net_port(fd);
    close(fd);
    return port;
}

TEST_CASE(refused)
{
    int port = closed_port(AF_INET, SOCK_STREAM);
    int fd = net_socket(AF_INET, SOCK_STREAM);
    CHECK_ERRNO(net_connect(fd, AF_INET, NULL, port), ECONNREFUSED);
    CHECK_ERRNO(net_connect(fd, AF_INET, NULL, port), ECONNREFUSED);
    CHECK_EQ(net_error(fd), 0);
    int listener = net_listener(AF_INET, 2);
    CHECK_OK(net_connect(fd, AF_INET, NULL, net_port(listener)));
}

TEST_CASE(refused_v6)
{
    int port = closed_port(AF_INET6, SOCK_STREAM);
    int fd = net_socket(AF_INET6, SOCK_STREAM);
    CHECK_ERRNO(net_connect(fd, AF_INET6, NULL, port), ECONNREFUSED);
}

TEST_CASE(bound_is_not_listening)
{
    int bound = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(net_bind(bound, AF_INET, NULL, 0));
    int fd = net_socket(AF_INET, SOCK_STREAM);
    CHECK_ERRNO(net_connect(fd, AF_INET, NULL, net_port(bound)), ECONNREFUSED);
}

TEST_CASE(nonblocking)
{
    int listener = net_listener(AF_INET, 2);
    int fd = net_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
    int port = net_port(listener);
    CHECK_ERRNO(net_connect(fd, AF_INET, NULL, port), EINPROGRESS);
    net_await(fd, POLLOUT);
    CHECK_EQ(net_events(fd, 0), POLLOUT);
    CHECK_EQ(net_error(fd), 0);
    CHECK_OK(net_connect(fd, AF_INET, NULL, port)); /* tells the success */
    CHECK_ERRNO(net_connect(fd, AF_INET, NULL, port), EISCONN);
    CHECK_OK(accept(listener, NULL, NULL));
}

TEST_CASE(nonblocking_refused)
{
    int port = closed_port(AF_INET, SOCK_STREAM);
    int fd = net_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
    CHECK_ERRNO(net_connect(fd, AF_INET, NULL, port), EINPROGRESS);
    net_await(fd, POLLERR);
    CHECK_EQ(net_events(fd, 0), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
    CHECK_EQ(net_error(fd), ECONNREFUSED);
    CHECK_EQ(net_error(fd), 0);
    CHECK_ERRNO(net_connect(fd, AF_INET, NULL, port), ECONNABORTED);
    CHECK_ERRNO(net_connect(fd, AF_INET, NULL, port), EINPROGRESS);
}

TEST_CASE(nonblocking_refused_told_by_connect)
{
    int port = closed_port(AF_INET, SOCK_STREAM);
    int fd = net_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
    CHECK_ERRNO(net_connect(fd, AF_INET, NULL, port), EINPROGRESS);
    net_await(fd, POLLERR);
    CHECK_ERRNO(net_connect(fd, AF_INET, NULL, port), ECONNREFUSED);
}

TEST_CASE(nonblocking_refused_told_by_read)
{
    char c;
    int port = closed_port(AF_INET, SOCK_STREAM);
    int fd = net_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
    CHECK_ERRNO(net_connect(fd, AF_INET, NULL, port), EINPROGRESS);
    net_await(fd, POLLERR);
    CHECK_ERRNO(read(fd, &c, 1), ECONNREFUSED);
    CHECK_EQ(read(fd, &c, 1), 0);
}

/* Connections until one does not get through: what is queued is one more than the backlog. */
static int fill_queue(int listener, int backlog)
{
    int port = net_port(listener);
    for (int i = 0; i <= backlog; i++) {
        int fd = net_socket(AF_INET, SOCK_STREAM);
        CHECK_OK(net_connect(fd, AF_INET, NULL, port));
    }
    return port;
}

TEST_CASE(full_queue_waits)
{
    int listener = net_listener(AF_INET, 1);
    int port = fill_queue(listener, 1);
    int fd = net_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
    CHECK_ERRNO(net_connect(fd, AF_INET, NULL, port), EINPROGRESS);
    CHECK_EQ(net_events(fd, 100), 0);
    CHECK_ERRNO(net_connect(fd, AF_INET, NULL, port), EALREADY);
    char c;
    CHECK_ERRNO(send(fd, "x", 1, 0), EAGAIN);
    CHECK_ERRNO(recv(fd, &c, 1, 0), EAGAIN);
    CHECK_OK(accept(listener, NULL, NULL));
    net_await(fd, POLLOUT); /* Linux: with the next SYN, a second later */
    CHECK_EQ(net_error(fd), 0);
    CHECK_EQ(write(fd, "x", 1), 1);
}

TEST_CASE(full_queue_blocks)
{
    int listener = net_listener(AF_INET, 0);
    int port = fill_queue(listener, 0);
    pid_t child = guest_fork();
    if (child == 0) {
        int fd = net_socket(AF_INET, SOCK_STREAM);
        CHECK_OK(net_connect(fd, AF_INET, NULL, port));
        CHECK_EQ(write(fd, "x", 1), 1);
        _exit(0);
    }
    guest_sleep_ms(100);
    CHECK_OK(accept(listener, NULL, NULL));
    char c;
    int server = (int)CHECK_OK(accept(listener, NULL, NULL));
    CHECK_EQ(read(server, &c, 1), 1);
    CHECK_CHILD_OK(child);
}

TEST_CASE(full_queue_refused_by_close)
{
    int listener = net_listener(AF_INET, 0);
    int port = fill_queue(listener, 0);
    int fd = net_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
    CHECK_ERRNO(net_connect(fd, AF_INET, NULL, port), EINPROGRESS);
    guest_sleep_ms(20);
    close(listener);
    net_await(fd, POLLERR);
    CHECK_EQ(net_error(fd), ECONNREFUSED);
}

TEST_CASE(send_timeout_of_connect)
{
    int listener = net_listener(AF_INET, 0);
    int port = fill_queue(listener, 0);
    int fd = net_socket(AF_INET, SOCK_STREAM);
    struct timeval timeout = {.tv_usec = 80000};
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)));
    CHECK_ERRNO(net_connect(fd, AF_INET, NULL, port), EINPROGRESS);
    CHECK_ERRNO(shutdown(fd, 7), EINVAL);
    CHECK_OK(shutdown(fd, SHUT_RDWR)); /* gives it up */
}

static void on_alarm(int signo)
{
    (void)signo;
}

TEST_CASE(interrupted)
{
    int listener = net_listener(AF_INET, 0);
    int port = fill_queue(listener, 0);
    int fd = net_socket(AF_INET, SOCK_STREAM);
    guest_handle(SIGALRM, on_alarm, 0);
    guest_ticker_start(20);
    CHECK_ERRNO(net_connect(fd, AF_INET, NULL, port), EINTR);
    guest_ticker_stop();
}

TEST_CASE(arguments)
{
    int fd = net_socket(AF_INET, SOCK_STREAM);
    union net_name name = net_name_of(AF_INET, NULL, 1);
    CHECK_ERRNO(connect(fd, &name.any, 1), EINVAL);
    CHECK_ERRNO(connect(fd, &name.any, sizeof(name.in) - 1), EINVAL);
    CHECK_ERRNO(connect(fd, &name.any, 129), EINVAL);
    CHECK_ERRNO(connect(fd, guest_bad(), sizeof(name.in)), EFAULT);
    name.any.sa_family = AF_INET6;
    CHECK_ERRNO(connect(fd, &name.any, sizeof(name.in)), EAFNOSUPPORT);
    name.any.sa_family = AF_UNIX;
    CHECK_ERRNO(connect(fd, &name.any, sizeof(name.in)), EAFNOSUPPORT);
    int six = net_socket(AF_INET6, SOCK_STREAM);
    name = net_name_of(AF_INET6, NULL, 1);
    CHECK_ERRNO(connect(six, &name.any, 23), EINVAL);
    name.any.sa_family = AF_INET;
    CHECK_ERRNO(connect(six, &name.any, sizeof(name.in6)), EAFNOSUPPORT);
}

TEST_CASE(unreachable)
{
    if (!net_is_alone()) {
        SKIP("this host has a network");
    }
    int fd = net_socket(AF_INET, SOCK_STREAM);
    CHECK_ERRNO(net_connect(fd, AF_INET, "10.1.2.3", 80), ENETUNREACH);
    CHECK_ERRNO(net_connect(fd, AF_INET, "255.255.255.255", 80), ENETUNREACH);
    CHECK_ERRNO(net_connect(fd, AF_INET, "224.0.0.1", 80), ENETUNREACH);
    CHECK_ERRNO(net_connect(fd, AF_INET, "127.255.255.255", 80), ENETUNREACH);
    int udp = net_socket(AF_INET, SOCK_DGRAM);
    CHECK_ERRNO(net_connect(udp, AF_INET, "10.1.2.3", 80), ENETUNREACH);
    int six = net_socket(AF_INET6, SOCK_STREAM);
    CHECK_ERRNO(net_connect(six, AF_INET6, "2001:db8::1", 80), ENETUNREACH);
    CHECK_ERRNO(net_connect(six, AF_INET6, "::ffff:10.1.2.3", 80), ENETUNREACH);
    CHECK_ERRNO(net_connect(six, AF_INET6, "fe80::1", 80), EINVAL);
}

TEST_CASE(broadcast_is_no_stream)
{
    int fd = net_socket(AF_INET, SOCK_STREAM);
    CHECK_ERRNO(net_connect(fd, AF_INET, "127.255.255.255", 80), ENETUNREACH);
}

TEST_CASE(v6_only_and_mapped)
{
    int listener = net_listener(AF_INET, 2);
    int fd = net_socket(AF_INET6, SOCK_STREAM);
    CHECK_OK(net_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    CHECK_ERRNO(net_connect(fd, AF_INET6, "::ffff:127.0.0.1", net_port(listener)), ENETUNREACH);
    int open = net_socket(AF_INET6, SOCK_STREAM);
    CHECK_OK(net_connect(open, AF_INET6, "::ffff:127.0.0.1", net_port(listener)));
}

TEST_CASE(v6_only_listener_hides_from_v4)
{
    int listener = net_socket(AF_INET6, SOCK_STREAM);
    CHECK_OK(net_set(listener, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    CHECK_OK(net_bind(listener, AF_INET6, "::", 0));
    CHECK_OK(listen(listener, 2));
    int fd = net_socket(AF_INET, SOCK_STREAM);
    CHECK_ERRNO(net_connect(fd, AF_INET, NULL, net_port(listener)), ECONNREFUSED);
}

TEST_CASE(connection_is_unique)
{
    int listener = net_listener(AF_INET, 4);
    int port = net_port(listener);
    int one = net_socket(AF_INET, SOCK_STREAM), two = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(net_set(one, SOL_SOCKET, SO_REUSEADDR, 1));
    CHECK_OK(net_set(two, SOL_SOCKET, SO_REUSEADDR, 1));
    CHECK_OK(net_bind(one, AF_INET, NULL, 0));
    CHECK_OK(net_bind(two, AF_INET, NULL, net_port(one)));
    CHECK_OK(net_connect(one, AF_INET, NULL, port));
    CHECK_ERRNO(net_connect(two, AF_INET, NULL, port), EADDRNOTAVAIL);
    int other = net_listener(AF_INET, 4);
    CHECK_OK(net_connect(two, AF_INET, NULL, net_port(other)));
}

TEST_CASE(ports_are_ephemeral)
{
    int listener = net_listener(AF_INET, 32);
    int seen = 0;
    for (int i = 0; i < 16; i++) {
        int fd = net_socket(AF_INET, SOCK_STREAM);
        CHECK_OK(net_connect(fd, AF_INET, NULL, net_port(listener)));
        CHECK(net_port(fd) >= 1024);
        CHECK(net_port(fd) != seen);
        seen = net_port(fd);
    }
}

TEST_CASE(second_thread_sees_it)
{
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_ERRNO(connect(pair.client, &pair.name.any, sizeof(pair.name.in)), EISCONN);
    CHECK_ERRNO(connect(pair.server, &pair.name.any, sizeof(pair.name.in)), EISCONN);
    CHECK_ERRNO(listen(pair.client, 1), EINVAL);
}

TEST_CASE(listen_without_bind)
{
    int fd = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(listen(fd, 2));
    CHECK(net_port(fd) > 0);
    int client = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(net_connect(client, AF_INET, NULL, net_port(fd)));
    CHECK_OK(accept(fd, NULL, NULL));
    CHECK_ERRNO(net_bind(fd, AF_INET, NULL, 0), EINVAL);
    CHECK_OK(listen(fd, 20));
}
