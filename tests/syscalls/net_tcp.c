/*
 * net_tcp.c: streams over the loopback: data, names, flags of send and receive.
 */
#include "tests/syscalls/net_test.h"

#include <netinet/tcp.h>
#include <sys/uio.h>

static void both_ways(int domain)
{
    char buffer[64];
    struct net_pair pair = net_pair_of(domain);
    CHECK_EQ(write(pair.client, "hello", 5), 5);
    CHECK_EQ(read(pair.server, buffer, sizeof(buffer)), 5);
    CHECK_EQ(memcmp(buffer, "hello", 5), 0);
    CHECK_EQ(write(pair.server, "answer", 6), 6);
    CHECK_EQ(read(pair.client, buffer, 3), 3);
    CHECK_EQ(read(pair.client, buffer, sizeof(buffer)), 3);
    CHECK_EQ(memcmp(buffer, "wer", 3), 0);
}

TEST_CASE(data_v4)
{
    both_ways(AF_INET);
}

TEST_CASE(data_v6)
{
    both_ways(AF_INET6);
}

TEST_CASE(names)
{
    union net_name a, b;
    socklen_t length = sizeof(a);
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_OK(getsockname(pair.client, &a.any, &length));
    CHECK_EQ(length, sizeof(struct sockaddr_in));
    length = sizeof(b);
    CHECK_OK(getpeername(pair.server, &b.any, &length));
    CHECK_EQ(memcmp(&a, &b, sizeof(struct sockaddr_in)), 0);
    CHECK_EQ(a.in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    length = sizeof(a);
    CHECK_OK(getsockname(pair.server, &a.any, &length));
    CHECK_EQ(memcmp(&a, &pair.name, sizeof(struct sockaddr_in)), 0);
    length = sizeof(a);
    CHECK_OK(getpeername(pair.client, &a.any, &length));
    CHECK_EQ(memcmp(&a, &pair.name, sizeof(struct sockaddr_in)), 0);
}

TEST_CASE(names_are_cut)
{
    char small[4] = {1, 1, 1, 1};
    socklen_t length = 3;
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_OK(getsockname(pair.client, (struct sockaddr *)small, &length));
    CHECK_EQ(length, sizeof(struct sockaddr_in));
    CHECK_EQ(small[3], 1);
    length = (socklen_t)-1;
    CHECK_ERRNO(getsockname(pair.client, (struct sockaddr *)small, &length), EINVAL);
}

TEST_CASE(accept_tells_the_peer)
{
    union net_name name, own;
    socklen_t length = sizeof(name);
    int listener = net_listener(AF_INET6, 4);
    int client = net_socket(AF_INET6, SOCK_STREAM);
    CHECK_OK(net_connect(client, AF_INET6, NULL, net_port(listener)));
    CHECK_OK(accept4(listener, &name.any, &length, SOCK_CLOEXEC | SOCK_NONBLOCK));
    CHECK_EQ(length, sizeof(struct sockaddr_in6));
    length = sizeof(own);
    CHECK_OK(getsockname(client, &own.any, &length));
    CHECK_EQ(memcmp(&name, &own, sizeof(struct sockaddr_in6)), 0);
}

TEST_CASE(accept4_flags)
{
    int listener = net_listener(AF_INET, 4);
    int client = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(net_connect(client, AF_INET, NULL, net_port(listener)));
    int fd = (int)CHECK_OK(accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    CHECK_ERRNO(accept4(listener, NULL, NULL, 1), EINVAL);
}

TEST_CASE(accept_does_not_inherit_nonblock)
{
    int listener = net_listener(AF_INET, 4);
    net_nonblock(listener);
    CHECK_ERRNO(accept(listener, NULL, NULL), EAGAIN);
    int client = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(net_connect(client, AF_INET, NULL, net_port(listener)));
    int fd = (int)CHECK_OK(accept(listener, NULL, NULL));
    CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
}

TEST_CASE(accept_wants_a_listener)
{
    int fd = net_socket(AF_INET, SOCK_STREAM);
    CHECK_ERRNO(accept(fd, NULL, NULL), EINVAL);
    CHECK_OK(net_bind(fd, AF_INET, NULL, 0));
    CHECK_ERRNO(accept(fd, NULL, NULL), EINVAL);
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_ERRNO(accept(pair.client, NULL, NULL), EINVAL);
}

TEST_CASE(data_before_accept)
{
    char buffer[8];
    int listener = net_listener(AF_INET, 4);
    int client = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(net_connect(client, AF_INET, NULL, net_port(listener)));
    CHECK_EQ(write(client, "early", 5), 5);
    CHECK_OK(shutdown(client, SHUT_WR));
    int server = (int)CHECK_OK(accept(listener, NULL, NULL));
    CHECK_EQ(read(server, buffer, 8), 5);
    CHECK_EQ(read(server, buffer, 8), 0);
}

TEST_CASE(large_transfer)
{
    static char block[65536];
    struct net_pair pair = net_pair_of(AF_INET);
    pid_t child = guest_fork();
    if (child == 0) {
        for (int i = 0; i < 128; i++) {
            memset(block, i, sizeof(block));
            for (size_t done = 0; done < sizeof(block);) {
                done += (size_t)CHECK_OK(write(pair.client, block + done, sizeof(block) - done));
            }
        }
        _exit(0);
    }
    close(pair.client);
    size_t total = 0;
    ssize_t count;
    while ((count = read(pair.server, block, 50000)) > 0) {
        for (ssize_t i = 0; i < count; i += 997) {
            CHECK_EQ((unsigned char)block[i], (total + (size_t)i) / 65536);
        }
        total += (size_t)count;
    }
    CHECK_EQ(count, 0);
    CHECK_EQ(total, 128 * 65536);
    CHECK_CHILD_OK(child);
}

TEST_CASE(many_small_writes)
{
    char buffer[4096];
    struct net_pair pair = net_pair_of(AF_INET);
    for (int i = 0; i < 1000; i++) {
        char c = (char)i;
        CHECK_EQ(write(pair.client, &c, 1), 1);
    }
    CHECK_EQ(recv(pair.server, buffer, 1000, MSG_WAITALL), 1000);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(buffer[i], (char)i);
    }
}

TEST_CASE(fill_and_drain)
{
    static char block[65536];
    struct net_pair pair = net_pair_of(AF_INET);
    net_nonblock(pair.client);
    net_nonblock(pair.server);
    long sent = 0, got = 0;
    ssize_t count;
    while ((count = write(pair.client, block, sizeof(block))) > 0) {
        sent += count;
        CHECK(sent < 64 << 20);
    }
    CHECK_EQ(errno, EAGAIN);
    CHECK(sent >= 100000);
    CHECK_EQ(net_events(pair.client, 0), 0);
    while (got < sent) {
        net_await(pair.server, POLLIN);
        got += CHECK_OK(read(pair.server, block, sizeof(block)));
    }
    CHECK_ERRNO(read(pair.server, block, 1), EAGAIN);
    net_await(pair.client, POLLOUT);
}

TEST_CASE(blocked_writer_goes_on)
{
    static char block[1 << 20];
    struct net_pair pair = net_pair_of(AF_INET);
    pid_t child = guest_fork();
    if (child == 0) {
        for (int i = 0; i < 12; i++) { /* more than the buffers hold */
            CHECK_EQ(write(pair.client, block, sizeof(block)), sizeof(block));
        }
        _exit(0);
    }
    close(pair.client);
    guest_sleep_ms(50);
    long got = 0;
    ssize_t count;
    while ((count = read(pair.server, block, sizeof(block))) > 0) {
        got += count;
    }
    CHECK_EQ(got, 12 << 20);
    CHECK_CHILD_OK(child);
}

TEST_CASE(vectors)
{
    char a[3], b[8];
    struct net_pair pair = net_pair_of(AF_INET);
    struct iovec out[2] = {{.iov_base = "ab", .iov_len = 2}, {.iov_base = "cdef", .iov_len = 4}};
    struct iovec in[2] = {{.iov_base = a, .iov_len = 3}, {.iov_base = b, .iov_len = 8}};
    CHECK_EQ(writev(pair.client, out, 2), 6);
    CHECK_EQ(readv(pair.server, in, 2), 6);
    CHECK_EQ(memcmp(a, "abc", 3), 0);
    CHECK_EQ(memcmp(b, "def", 3), 0);
}

TEST_CASE(peek)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_EQ(write(pair.client, "abc", 3), 3);
    CHECK_EQ(recv(pair.server, buffer, 2, MSG_PEEK), 2);
    CHECK_EQ(recv(pair.server, buffer, 8, MSG_PEEK), 3);
    CHECK_EQ(recv(pair.server, buffer, 8, 0), 3);
    CHECK_ERRNO(recv(pair.server, buffer, 8, MSG_DONTWAIT | MSG_PEEK), EAGAIN);
}

TEST_CASE(waitall)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_EQ(write(pair.client, "abc", 3), 3);
        guest_sleep_ms(50);
        CHECK_EQ(write(pair.client, "def", 3), 3);
        _exit(0);
    }
    CHECK_EQ(recv(pair.server, buffer, 6, MSG_WAITALL), 6);
    CHECK_EQ(memcmp(buffer, "abcdef", 6), 0);
    CHECK_CHILD_OK(child);
}

TEST_CASE(waitall_ends_with_the_stream)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_EQ(write(pair.client, "abc", 3), 3);
    CHECK_OK(shutdown(pair.client, SHUT_WR));
    CHECK_EQ(recv(pair.server, buffer, 6, MSG_WAITALL), 3);
    CHECK_EQ(recv(pair.server, buffer, 6, MSG_WAITALL), 0);
}

TEST_CASE(trunc_discards)
{
    char buffer[8] = "unused";
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_EQ(write(pair.client, "abcdef", 6), 6);
    CHECK_EQ(recv(pair.server, buffer, 4, MSG_TRUNC), 4);
    CHECK_EQ(memcmp(buffer, "unused", 6), 0);
    CHECK_EQ(recv(pair.server, buffer, 8, 0), 2);
    CHECK_EQ(memcmp(buffer, "ef", 2), 0);
}

TEST_CASE(dontwait)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_ERRNO(recv(pair.server, buffer, 8, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(send(pair.client, "x", 1, MSG_DONTWAIT), 1);
    CHECK_EQ(recv(pair.server, buffer, 8, 0), 1);
}

TEST_CASE(zero_length)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_EQ(send(pair.client, "", 0, 0), 0);
    CHECK_ERRNO(recv(pair.server, buffer, 8, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(write(pair.client, "x", 1), 1);
    CHECK_EQ(recv(pair.server, buffer, 0, 0), 0);
    CHECK_EQ(recv(pair.server, buffer, 8, 0), 1);
}

TEST_CASE(more_and_cork_arrive)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_EQ(send(pair.client, "ab", 2, MSG_MORE), 2);
    CHECK_EQ(send(pair.client, "cd", 2, 0), 2);
    CHECK_EQ(recv(pair.server, buffer, 4, MSG_WAITALL), 4);
    CHECK_OK(net_set(pair.client, IPPROTO_TCP, TCP_CORK, 1));
    CHECK_EQ(write(pair.client, "ef", 2), 2);
    CHECK_OK(net_set(pair.client, IPPROTO_TCP, TCP_CORK, 0));
    CHECK_EQ(recv(pair.server, buffer, 2, MSG_WAITALL), 2);
}

TEST_CASE(sendto_ignores_the_name)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    union net_name other = net_name_of(AF_INET, "127.0.0.9", 9);
    union net_name from;
    socklen_t length = sizeof(from);
    CHECK_EQ(sendto(pair.client, "x", 1, 0, &other.any, sizeof(other.in)), 1);
    CHECK_EQ(recvfrom(pair.server, buffer, 8, 0, &from.any, &length), 1);
    CHECK_EQ(length, 0);
}

TEST_CASE(not_connected)
{
    char buffer[8];
    int fd = net_socket(AF_INET, SOCK_STREAM);
    union net_name name;
    socklen_t length = sizeof(name);
    CHECK_ERRNO(recv(fd, buffer, 8, 0), ENOTCONN);
    CHECK_ERRNO(send(fd, buffer, 8, MSG_NOSIGNAL), EPIPE);
    CHECK_ERRNO(getpeername(fd, &name.any, &length), ENOTCONN);
    CHECK_ERRNO(shutdown(fd, SHUT_RD), ENOTCONN);
    CHECK_EQ(net_events(fd, 0), POLLOUT | POLLHUP | POLLIN | POLLRDHUP);
}

TEST_CASE(listener_is_no_stream)
{
    char buffer[8];
    int fd = net_listener(AF_INET, 1);
    CHECK_ERRNO(recv(fd, buffer, 8, 0), ENOTCONN);
    CHECK_ERRNO(send(fd, buffer, 8, MSG_NOSIGNAL), EPIPE);
    CHECK_ERRNO(net_connect(fd, AF_INET, NULL, 1), EISCONN);
    int count;
    CHECK_ERRNO(ioctl(fd, FIONREAD, &count), EINVAL);
    CHECK_EQ(net_get(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
}

TEST_CASE(bad_memory)
{
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_EQ(write(pair.client, "abc", 3), 3);
    CHECK_ERRNO(read(pair.server, guest_bad(), 3), EFAULT);
    char *end = guest_page_end();
    CHECK_ERRNO(write(pair.client, guest_bad(), 3), EFAULT);
    memcpy(end - 2, "de", 2);
    ssize_t count = write(pair.client, end - 2, 4);
    CHECK(count == 2 || (count == -1 && errno == EFAULT));
    char buffer[8];
    CHECK_EQ(recv(pair.server, buffer, 3, MSG_WAITALL), 3);
    CHECK_EQ(memcmp(buffer, "abc", 3), 0);
}

TEST_CASE(fionread_and_outq)
{
    int count = -1;
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_OK(ioctl(pair.server, FIONREAD, &count));
    CHECK_EQ(count, 0);
    CHECK_EQ(write(pair.client, "abcd", 4), 4);
    guest_await_readable(pair.server);
    CHECK_OK(ioctl(pair.server, FIONREAD, &count));
    CHECK_EQ(count, 4);
    CHECK_OK(ioctl(pair.client, 0x5411 /* SIOCOUTQ */, &count));
    CHECK_EQ(count, 0);
    CHECK_ERRNO(ioctl(pair.client, FIONREAD, guest_bad()), EFAULT);
}

TEST_CASE(receive_timeout)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    struct timeval timeout = {.tv_usec = 60000};
    CHECK_OK(setsockopt(pair.server, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)));
    long long start = guest_now_ms();
    CHECK_ERRNO(recv(pair.server, buffer, 8, 0), EAGAIN);
    CHECK(guest_now_ms() - start >= 55);
    CHECK_OK(setsockopt(pair.listener, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)));
    CHECK_ERRNO(accept(pair.listener, NULL, NULL), EAGAIN);
}

TEST_CASE(send_timeout)
{
    static char block[65536];
    struct net_pair pair = net_pair_of(AF_INET);
    struct timeval timeout = {.tv_usec = 60000};
    CHECK_OK(setsockopt(pair.client, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)));
    ssize_t count;
    do { /* a partial write first, then nothing gets through */
        count = write(pair.client, block, sizeof(block));
    } while (count > 0);
    CHECK_EQ(count, -1);
    CHECK_EQ(errno, EAGAIN);
}

TEST_CASE(low_water)
{
    char buffer[16];
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_OK(net_set(pair.server, SOL_SOCKET, SO_RCVLOWAT, 5));
    CHECK_EQ(write(pair.client, "abc", 3), 3);
    guest_sleep_ms(20);
    CHECK_EQ(net_events(pair.server, 0), POLLOUT);
    CHECK_EQ(recv(pair.server, buffer, 16, MSG_DONTWAIT), 3);
    CHECK_EQ(write(pair.client, "abcdef", 6), 6);
    net_await(pair.server, POLLIN);
    CHECK_EQ(recv(pair.server, buffer, 16, 0), 6);
}

static void on_alarm(int signo)
{
    (void)signo;
}

TEST_CASE(receive_is_interrupted)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    guest_handle(SIGALRM, on_alarm, 0);
    guest_ticker_start(10);
    CHECK_ERRNO(recv(pair.server, buffer, 8, 0), EINTR);
    CHECK_ERRNO(accept(pair.listener, NULL, NULL), EINTR);
    guest_ticker_stop();
}

TEST_CASE(mixed_families)
{
    char buffer[8];
    union net_name name;
    socklen_t length = sizeof(name);
    int listener = net_socket(AF_INET6, SOCK_STREAM);
    CHECK_OK(net_bind(listener, AF_INET6, "::", 0));
    CHECK_OK(listen(listener, 4));
    int client = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(net_connect(client, AF_INET, NULL, net_port(listener)));
    int server = (int)CHECK_OK(accept(listener, &name.any, &length));
    CHECK_EQ(length, sizeof(struct sockaddr_in6));
    CHECK_EQ(name.in6.sin6_family, AF_INET6);
    CHECK(IN6_IS_ADDR_V4MAPPED(&name.in6.sin6_addr));
    CHECK_EQ(write(client, "x", 1), 1);
    CHECK_EQ(read(server, buffer, 8), 1);
    int mapped = net_socket(AF_INET6, SOCK_STREAM);
    CHECK_OK(net_connect(mapped, AF_INET6, "::ffff:127.0.0.1", net_port(listener)));
    length = sizeof(name);
    CHECK_OK(getsockname(mapped, &name.any, &length));
    CHECK(IN6_IS_ADDR_V4MAPPED(&name.in6.sin6_addr));
}

TEST_CASE(wildcard_destination)
{
    union net_name name;
    socklen_t length = sizeof(name);
    int listener = net_listener(AF_INET, 4);
    int client = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(net_connect(client, AF_INET, "0.0.0.0", net_port(listener)));
    CHECK_OK(getpeername(client, &name.any, &length));
    CHECK_EQ(name.in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
}

TEST_CASE(other_loopback_addresses)
{
    union net_name name;
    socklen_t length = sizeof(name);
    int listener = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(net_bind(listener, AF_INET, "127.1.2.3", 0));
    CHECK_OK(listen(listener, 4));
    int client = net_socket(AF_INET, SOCK_STREAM);
    CHECK_ERRNO(net_connect(client, AF_INET, NULL, net_port(listener)), ECONNREFUSED);
    CHECK_OK(net_connect(client, AF_INET, "127.1.2.3", net_port(listener)));
    CHECK_OK(getsockname(client, &name.any, &length));
    CHECK_EQ(name.in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
}

TEST_CASE(self_connect)
{
    char buffer[8];
    int fd = net_socket(AF_INET, SOCK_STREAM);
    CHECK_OK(net_bind(fd, AF_INET, NULL, 0));
    CHECK_OK(net_connect(fd, AF_INET, NULL, net_port(fd)));
    CHECK_EQ(write(fd, "self", 4), 4);
    CHECK_EQ(read(fd, buffer, 8), 4);
    CHECK_OK(shutdown(fd, SHUT_WR));
    CHECK_EQ(read(fd, buffer, 8), 0);
}

struct transfer {
    int fd;
    long count;
};

static void *receiver(void *argument)
{
    struct transfer *transfer = argument;
    static char buffer[3000];
    ssize_t count;
    while ((count = read(transfer->fd, buffer, sizeof(buffer))) > 0) {
        transfer->count += count;
    }
    return NULL;
}

TEST_CASE(threads_share_a_stream)
{
    char block[777];
    pthread_t thread;
    struct net_pair pair = net_pair_of(AF_INET6);
    struct transfer transfer = {.fd = pair.server};
    memset(block, 1, sizeof(block));
    CHECK_EQ(pthread_create(&thread, NULL, receiver, &transfer), 0);
    for (int i = 0; i < 2000; i++) {
        CHECK_EQ(write(pair.client, block, sizeof(block)), sizeof(block));
    }
    CHECK_OK(shutdown(pair.client, SHUT_WR));
    pthread_join(thread, NULL);
    CHECK_EQ(transfer.count, 2000L * 777);
}
