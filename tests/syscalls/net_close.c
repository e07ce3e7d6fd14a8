/*
 * net_close.c: how streams end: half-close, reset, linger, SIGPIPE, and what poll says of it.
 */
#include "tests/syscalls/net_test.h"

#include <netinet/tcp.h>

#define HUNG_UP (POLLIN | POLLOUT | POLLHUP | POLLRDHUP)

TEST_CASE(half_close)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_EQ(write(pair.client, "ab", 2), 2);
    CHECK_OK(shutdown(pair.client, SHUT_WR));
    net_await(pair.server, POLLRDHUP);
    CHECK_EQ(net_events(pair.server, 0), POLLIN | POLLOUT | POLLRDHUP);
    CHECK_EQ(read(pair.server, buffer, 8), 2);
    CHECK_EQ(read(pair.server, buffer, 8), 0);
    CHECK_EQ(read(pair.server, buffer, 8), 0);
    CHECK_EQ(write(pair.server, "back", 4), 4);
    CHECK_EQ(read(pair.client, buffer, 8), 4);
    CHECK_ERRNO(send(pair.client, "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQ(net_events(pair.client, 0), POLLOUT);
}

TEST_CASE(shutdown_read)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_OK(shutdown(pair.server, SHUT_RD));
    CHECK_EQ(read(pair.server, buffer, 8), 0);
    CHECK_EQ(net_events(pair.server, 0), POLLIN | POLLOUT | POLLRDHUP);
    CHECK_EQ(write(pair.client, "abc", 3), 3);
    guest_sleep_ms(20);
    CHECK_EQ(read(pair.server, buffer, 8), 3); /* what comes is still there */
    CHECK_EQ(net_events(pair.client, 0), POLLOUT);
}

TEST_CASE(shutdown_both_ways)
{
    char buffer[8];
    union net_name name;
    socklen_t length = sizeof(name);
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_OK(shutdown(pair.client, SHUT_WR));
    net_await(pair.server, POLLRDHUP);
    CHECK_OK(shutdown(pair.server, SHUT_WR));
    net_await(pair.client, POLLHUP);
    CHECK_EQ(net_events(pair.client, 0), HUNG_UP);
    CHECK_EQ(net_events(pair.server, 0), HUNG_UP);
    CHECK_EQ(read(pair.client, buffer, 8), 0);
    CHECK_EQ(read(pair.server, buffer, 8), 0);
    CHECK_ERRNO(getpeername(pair.client, &name.any, &length), ENOTCONN);
    CHECK_ERRNO(send(pair.server, "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_ERRNO(shutdown(pair.client, SHUT_RDWR), ENOTCONN);
    CHECK_ERRNO(net_connect(pair.client, AF_INET, NULL, 1), EISCONN);
}

TEST_CASE(shutdown_arguments)
{
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_ERRNO(shutdown(pair.client, 3), EINVAL);
    CHECK_ERRNO(shutdown(pair.client, -1), EINVAL);
    CHECK_ERRNO(shutdown(0, SHUT_RD), ENOTSOCK);
}

TEST_CASE(close_sends_end)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_EQ(write(pair.client, "last", 4), 4);
    close(pair.client);
    net_await(pair.server, POLLRDHUP);
    CHECK_EQ(net_events(pair.server, 0), POLLIN | POLLOUT | POLLRDHUP);
    CHECK_EQ(read(pair.server, buffer, 8), 4);
    CHECK_EQ(read(pair.server, buffer, 8), 0);
}

TEST_CASE(write_after_close)
{
    struct net_pair pair = net_pair_of(AF_INET);
    char buffer[8];
    close(pair.client);
    net_await(pair.server, POLLRDHUP);
    CHECK_EQ(send(pair.server, "x", 1, MSG_NOSIGNAL), 1);
    net_await(pair.server, POLLERR | POLLHUP);
    CHECK_EQ(net_events(pair.server, 0), HUNG_UP | POLLERR);
    CHECK_EQ(read(pair.server, buffer, 8), 0); /* the end came before */
    CHECK_EQ(net_error(pair.server), EPIPE);
    CHECK_EQ(net_events(pair.server, 0), HUNG_UP);
    CHECK_ERRNO(send(pair.server, "x", 1, MSG_NOSIGNAL), EPIPE);
}

TEST_CASE(write_after_close_signals)
{
    pid_t child = guest_fork();
    if (child == 0) {
        struct net_pair pair = net_pair_of(AF_INET);
        close(pair.client);
        net_await(pair.server, POLLRDHUP);
        CHECK_EQ(write(pair.server, "x", 1), 1);
        net_await(pair.server, POLLERR);
        _exit((int)write(pair.server, "x", 1));
    }
    CHECK_CHILD_SIGNAL(child, SIGPIPE);
}

TEST_CASE(close_with_unread_data_resets)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_EQ(write(pair.client, "unread", 6), 6);
    CHECK_EQ(write(pair.server, "kept", 4), 4);
    guest_await_readable(pair.server);
    guest_await_readable(pair.client);
    close(pair.server);
    net_await(pair.client, POLLERR);
    CHECK_EQ(net_events(pair.client, 0), HUNG_UP | POLLERR);
    CHECK_EQ(read(pair.client, buffer, 8), 4);
    CHECK_ERRNO(read(pair.client, buffer, 8), ECONNRESET);
    CHECK_EQ(read(pair.client, buffer, 8), 0);
    CHECK_ERRNO(send(pair.client, "x", 1, MSG_NOSIGNAL), EPIPE);
}

TEST_CASE(reset_is_told_once)
{
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_EQ(write(pair.client, "unread", 6), 6);
    guest_await_readable(pair.server);
    close(pair.server);
    net_await(pair.client, POLLERR);
    CHECK_EQ(net_error(pair.client), ECONNRESET);
    CHECK_EQ(net_error(pair.client), 0);
    CHECK_ERRNO(send(pair.client, "x", 1, MSG_NOSIGNAL), EPIPE);
}

TEST_CASE(reset_fails_a_write)
{
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_EQ(write(pair.client, "unread", 6), 6);
    guest_await_readable(pair.server);
    close(pair.server);
    net_await(pair.client, POLLERR);
    CHECK_ERRNO(write(pair.client, "x", 1), ECONNRESET); /* without a signal */
    CHECK_ERRNO(send(pair.client, "x", 1, MSG_NOSIGNAL), EPIPE);
}

TEST_CASE(linger_zero_resets)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    CHECK_OK(setsockopt(pair.server, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
    close(pair.server);
    net_await(pair.client, POLLERR);
    CHECK_ERRNO(read(pair.client, buffer, 8), ECONNRESET);
    CHECK_EQ(read(pair.client, buffer, 8), 0);
}

TEST_CASE(linger_waits_for_nothing_here)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    struct linger linger = {.l_onoff = 1, .l_linger = 5};
    CHECK_OK(setsockopt(pair.server, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
    CHECK_EQ(write(pair.server, "bye", 3), 3);
    long long start = guest_now_ms();
    close(pair.server);
    CHECK(guest_now_ms() - start < 2000);
    CHECK_EQ(read(pair.client, buffer, 8), 3);
    CHECK_EQ(read(pair.client, buffer, 8), 0);
}

TEST_CASE(data_after_full_shutdown_resets)
{
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_OK(shutdown(pair.server, SHUT_RDWR));
    net_await(pair.client, POLLRDHUP);
    CHECK_EQ(net_events(pair.server, 0), HUNG_UP);
    CHECK_EQ(send(pair.client, "x", 1, MSG_NOSIGNAL), 1);
    net_await(pair.client, POLLERR);
    CHECK_ERRNO(send(pair.client, "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQ(net_error(pair.server), ECONNRESET);
}

TEST_CASE(listener_closes_with_pending)
{
    char buffer[8];
    int listener = net_listener(AF_INET, 4);
    int client = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(net_connect(client, AF_INET, NULL, net_port(listener)));
    close(listener);
    net_await(client, POLLERR);
    CHECK_ERRNO(read(client, buffer, 8), ECONNRESET);
}

TEST_CASE(listener_shutdown)
{
    int listener = net_listener(AF_INET, 4);
    int port = net_port(listener);
    CHECK_OK(shutdown(listener, SHUT_WR)); /* nothing */
    CHECK_EQ(net_get(listener, SOL_SOCKET, SO_ACCEPTCONN), 1);
    CHECK_OK(shutdown(listener, SHUT_RD));
    CHECK_EQ(net_get(listener, SOL_SOCKET, SO_ACCEPTCONN), 0);
    CHECK_ERRNO(accept(listener, NULL, NULL), EINVAL);
    int client = net_socket(AF_INET, SOCK_STREAM);
    CHECK_ERRNO(net_connect(client, AF_INET, NULL, port), ECONNREFUSED);
    CHECK_OK(listen(listener, 4));
}

static void *shutdown_later(void *argument)
{
    guest_sleep_ms(50);
    shutdown(*(int *)argument, SHUT_RDWR);
    return NULL;
}

TEST_CASE(shutdown_wakes_a_reader)
{
    char buffer[8];
    pthread_t thread;
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_EQ(pthread_create(&thread, NULL, shutdown_later, &pair.server), 0);
    CHECK_EQ(read(pair.server, buffer, 8), 0);
    pthread_join(thread, NULL);
}

TEST_CASE(shutdown_wakes_accept)
{
    pthread_t thread;
    int listener = net_listener(AF_INET, 4);
    CHECK_EQ(pthread_create(&thread, NULL, shutdown_later, &listener), 0);
    CHECK_ERRNO(accept(listener, NULL, NULL), EINVAL);
    pthread_join(thread, NULL);
}

TEST_CASE(accepted_after_reset)
{
    char buffer[8];
    union net_name name;
    socklen_t length = sizeof(name);
    int listener = net_listener(AF_INET, 4);
    int client = net_socket(AF_INET, SOCK_STREAM);
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    CHECK_OK(net_connect(client, AF_INET, NULL, net_port(listener)));
    CHECK_OK(setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
    close(client);
    guest_sleep_ms(20);
    CHECK_EQ(net_events(listener, 0), POLLIN);
    int server = (int)CHECK_OK(accept(listener, &name.any, &length));
    CHECK_EQ(length, sizeof(struct sockaddr_in));
    CHECK_ERRNO(read(server, buffer, 8), ECONNRESET);
}

TEST_CASE(disconnect)
{
    char buffer[8];
    union net_name name;
    socklen_t length = sizeof(name);
    struct net_pair pair = net_pair_of(AF_INET);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    CHECK_OK(connect(pair.client, &none, sizeof(none)));
    CHECK_ERRNO(getpeername(pair.client, &name.any, &length), ENOTCONN);
    net_await(pair.server, POLLERR);
    CHECK_ERRNO(read(pair.server, buffer, 8), ECONNRESET);
    net_error(pair.client);
    length = sizeof(name);
    CHECK_OK(getsockname(pair.client, &name.any, &length));
    CHECK_EQ(name.in.sin_addr.s_addr, 0);
    CHECK_OK(connect(pair.client, &pair.name.any, sizeof(pair.name.in)));
    int again = (int)CHECK_OK(accept(pair.listener, NULL, NULL));
    CHECK_EQ(write(pair.client, "new", 3), 3);
    CHECK_EQ(read(again, buffer, 8), 3);
}

TEST_CASE(disconnect_a_listener)
{
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    int listener = net_listener(AF_INET, 4);
    CHECK_OK(connect(listener, &none, sizeof(none)));
    CHECK_EQ(net_get(listener, SOL_SOCKET, SO_ACCEPTCONN), 0);
    CHECK_ERRNO(accept(listener, NULL, NULL), EINVAL);
}

TEST_CASE(exit_closes)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_EQ(write(pair.client, "from", 4), 4);
        _exit(0);
    }
    close(pair.client);
    CHECK_CHILD_OK(child);
    CHECK_EQ(read(pair.server, buffer, 8), 4);
    CHECK_EQ(read(pair.server, buffer, 8), 0);
}

TEST_CASE(close_of_a_copy_is_nothing)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    int copy = (int)CHECK_OK(dup(pair.client));
    close(pair.client);
    guest_sleep_ms(10);
    CHECK_EQ(net_events(pair.server, 0), POLLOUT);
    CHECK_EQ(write(copy, "x", 1), 1);
    CHECK_EQ(read(pair.server, buffer, 8), 1);
}
