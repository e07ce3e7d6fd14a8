/*
 * net_epoll.c: streams and datagrams under epoll, select, splice and sendfile.
 */
#include "tests/syscalls/net_test.h"

#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/sendfile.h>

static int watch(int epoll, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static uint32_t next(int epoll, int ms)
{
    struct epoll_event event = {.events = 0};
    int count = (int)CHECK_OK(epoll_wait(epoll, &event, 1, ms));
    return count == 0 ? 0 : event.events;
}

TEST_CASE(edge)
{
    char buffer[16];
    struct net_pair pair = net_pair_of(AF_INET);
    int epoll = (int)CHECK_OK(epoll_create1(0));
    CHECK_OK(watch(epoll, pair.server, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET));
    CHECK_EQ(next(epoll, 100), EPOLLOUT);
    CHECK_EQ(next(epoll, 0), 0);
    CHECK_EQ(write(pair.client, "abc", 3), 3);
    CHECK_EQ(next(epoll, 1000), EPOLLIN | EPOLLOUT);
    CHECK_EQ(next(epoll, 0), 0);
    CHECK_EQ(write(pair.client, "d", 1), 1);
    CHECK_EQ(next(epoll, 1000), EPOLLIN | EPOLLOUT); /* an edge for each arrival */
    CHECK_EQ(read(pair.server, buffer, 16), 4);
    close(pair.client);
    CHECK_EQ(next(epoll, 1000), EPOLLIN | EPOLLOUT | EPOLLRDHUP);
}

TEST_CASE(listener)
{
    int fd = net_listener(AF_INET, 4);
    int epoll = (int)CHECK_OK(epoll_create1(0));
    CHECK_OK(watch(epoll, fd, EPOLLIN));
    CHECK_EQ(next(epoll, 20), 0);
    int client = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(net_connect(client, AF_INET, NULL, net_port(fd)));
    CHECK_EQ(next(epoll, 1000), EPOLLIN);
    CHECK_OK(accept(fd, NULL, NULL));
    CHECK_EQ(next(epoll, 0), 0);
}

TEST_CASE(connecting)
{
    int fd = net_listener(AF_INET, 4);
    int client = net_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
    int epoll = (int)CHECK_OK(epoll_create1(0));
    CHECK_OK(watch(epoll, client, EPOLLIN | EPOLLOUT | EPOLLET));
    CHECK_EQ(next(epoll, 0), EPOLLOUT | EPOLLHUP);
    CHECK_ERRNO(net_connect(client, AF_INET, NULL, net_port(fd)), EINPROGRESS);
    CHECK_EQ(next(epoll, 1000), EPOLLOUT);
}

TEST_CASE(writable_again)
{
    static char block[65536];
    struct net_pair pair = net_pair_of(AF_INET);
    int epoll = (int)CHECK_OK(epoll_create1(0));
    net_nonblock(pair.client);
    while (write(pair.client, block, sizeof(block)) > 0) {
    }
    CHECK_OK(watch(epoll, pair.client, EPOLLOUT | EPOLLET));
    CHECK_EQ(next(epoll, 20), 0);
    net_nonblock(pair.server);
    uint32_t events = 0;
    for (int i = 0; i < 1000 && events == 0; i++) {
        while (read(pair.server, block, sizeof(block)) > 0) {
        }
        events = next(epoll, 10);
    }
    CHECK_EQ(events, EPOLLOUT);
}

TEST_CASE(hang_up)
{
    struct net_pair pair = net_pair_of(AF_INET);
    int epoll = (int)CHECK_OK(epoll_create1(0));
    CHECK_OK(watch(epoll, pair.server, 0));
    struct linger linger = {.l_onoff = 1};
    CHECK_OK(setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
    close(pair.client);
    CHECK_EQ(next(epoll, 1000), EPOLLERR | EPOLLHUP);
}

TEST_CASE(datagram)
{
    char c;
    int fd = net_datagram(AF_INET);
    union net_name to = net_name_of(AF_INET, NULL, net_port(fd));
    int epoll = (int)CHECK_OK(epoll_create1(0));
    CHECK_OK(watch(epoll, fd, EPOLLIN));
    CHECK_EQ(next(epoll, 10), 0);
    CHECK_EQ(sendto(fd, "x", 1, 0, &to.any, sizeof(to.in)), 1);
    CHECK_EQ(next(epoll, 1000), EPOLLIN);
    CHECK_EQ(recv(fd, &c, 1, 0), 1);
    CHECK_EQ(next(epoll, 0), 0);
}

TEST_CASE(select_urgent)
{
    struct net_pair pair = net_pair_of(AF_INET);
    fd_set set;
    struct timeval timeout = {.tv_sec = 2};
    CHECK_EQ(send(pair.client, "!", 1, MSG_OOB), 1);
    FD_ZERO(&set);
    FD_SET(pair.server, &set);
    CHECK_EQ(select(pair.server + 1, NULL, NULL, &set, &timeout), 1);
}

TEST_CASE(blocked_poll_wakes)
{
    struct net_pair pair = net_pair_of(AF_INET);
    pid_t child = guest_fork();
    if (child == 0) {
        guest_sleep_ms(50);
        CHECK_EQ(write(pair.client, "x", 1), 1);
        _exit(0);
    }
    struct pollfd p = {.fd = pair.server, .events = POLLIN};
    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK_EQ(p.revents, POLLIN);
    CHECK_CHILD_OK(child);
}

TEST_CASE(sendfile_to_stream)
{
    char buffer[64];
    struct net_pair pair = net_pair_of(AF_INET);
    guest_write_file("file", "contents of a file");
    int file = (int)CHECK_OK(open("file", O_RDONLY));
    off_t at = 9;
    CHECK_EQ(sendfile(pair.client, file, &at, 100), 9);
    CHECK_EQ(at, 18);
    CHECK_EQ(recv(pair.server, buffer, 9, MSG_WAITALL), 9);
    CHECK_EQ(memcmp(buffer, "of a file", 9), 0);
}

TEST_CASE(splice_both_ways)
{
    char buffer[16];
    int fds[2];
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_OK(pipe(fds));
    CHECK_EQ(write(fds[1], "through", 7), 7);
    CHECK_EQ(splice(fds[0], NULL, pair.client, NULL, 100, 0), 7);
    guest_await_readable(pair.server);
    CHECK_EQ(splice(pair.server, NULL, fds[1], NULL, 100, 0), 7);
    CHECK_EQ(read(fds[0], buffer, 16), 7);
    CHECK_EQ(memcmp(buffer, "through", 7), 0);
    CHECK_OK(shutdown(pair.client, SHUT_WR));
    CHECK_EQ(splice(pair.server, NULL, fds[1], NULL, 100, 0), 0);
    CHECK_ERRNO(lseek(pair.client, 0, SEEK_SET), ESPIPE);
    CHECK_ERRNO(pread(pair.client, buffer, 1, 0), ESPIPE);
}

TEST_CASE_SLOW(many_sockets)
{
    int listener = net_listener(AF_INET, 16);
    int port = net_port(listener);
    for (int i = 0; i < 5000; i++) {
        char c = 'x';
        int client = net_socket(AF_INET, SOCK_STREAM);
        /* no port is left in TIME_WAIT */
        struct linger linger = {.l_onoff = 1};
        CHECK_OK(setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
        CHECK_OK(net_connect(client, AF_INET, NULL, port));
        int server = (int)CHECK_OK(accept(listener, NULL, NULL));
        CHECK_EQ(write(client, &c, 1), 1);
        CHECK_EQ(read(server, &c, 1), 1);
        close(client);
        close(server);
    }
}

TEST_CASE_SLOW(many_open_at_once)
{
    enum { COUNT = 400 };
    int clients[COUNT], servers[COUNT];
    int listener = net_listener(AF_INET, COUNT);
    for (int i = 0; i < COUNT; i++) {
        clients[i] = net_socket(AF_INET, SOCK_STREAM);
        CHECK_OK(net_connect(clients[i], AF_INET, NULL, net_port(listener)));
        servers[i] = (int)CHECK_OK(accept(listener, NULL, NULL));
        CHECK_EQ(write(clients[i], &i, sizeof(i)), sizeof(i));
    }
    for (int i = COUNT - 1; i >= 0; i--) {
        int got;
        CHECK_EQ(read(servers[i], &got, sizeof(got)), sizeof(got));
        CHECK_EQ(got, i);
    }
}
