/*
 * net_urgent.c: the out-of-band byte: MSG_OOB, SO_OOBINLINE, SIOCATMARK, POLLPRI, SIGURG.
 */
#include "tests/syscalls/net_test.h"

#ifndef SIOCATMARK
#define SIOCATMARK 0x8905
#endif

static int at_mark(int fd)
{
    int mark = -1;
    CHECK_OK(ioctl(fd, SIOCATMARK, &mark));
    return mark;
}

TEST_CASE(byte)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_EQ(send(pair.client, "abX", 3, MSG_OOB), 3);
    net_await(pair.server, POLLPRI);
    CHECK_EQ(recv(pair.server, buffer, 1, MSG_OOB), 1);
    CHECK_EQ(buffer[0], 'X');
    CHECK_ERRNO(recv(pair.server, buffer, 1, MSG_OOB), EINVAL);
    CHECK_EQ(net_events(pair.server, 0) & POLLPRI, 0);
    CHECK_EQ(recv(pair.server, buffer, 8, 0), 2);
    CHECK_ERRNO(recv(pair.server, buffer, 8, MSG_DONTWAIT), EAGAIN);
}

TEST_CASE(none_there)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_ERRNO(recv(pair.server, buffer, 1, MSG_OOB), EINVAL);
    CHECK_EQ(write(pair.client, "abc", 3), 3);
    CHECK_ERRNO(recv(pair.server, buffer, 1, MSG_OOB), EINVAL);
    CHECK_EQ(at_mark(pair.server), 0);
}

TEST_CASE(reads_stop_at_the_mark)
{
    char buffer[16];
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_EQ(send(pair.client, "before", 6, 0), 6);
    CHECK_EQ(send(pair.client, "!", 1, MSG_OOB), 1);
    CHECK_EQ(send(pair.client, "after", 5, 0), 5);
    net_await(pair.server, POLLPRI);
    CHECK_EQ(at_mark(pair.server), 0);
    CHECK_EQ(recv(pair.server, buffer, 16, 0), 6);
    CHECK_EQ(at_mark(pair.server), 1);
    CHECK_EQ(recv(pair.server, buffer, 16, 0), 5);
    CHECK_EQ(memcmp(buffer, "after", 5), 0);
    CHECK_EQ(at_mark(pair.server), 0);
}

TEST_CASE(peek_at_urgent)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_EQ(send(pair.client, "Z", 1, MSG_OOB), 1);
    net_await(pair.server, POLLPRI);
    CHECK_EQ(recv(pair.server, buffer, 1, MSG_OOB | MSG_PEEK), 1);
    CHECK_EQ(recv(pair.server, buffer, 1, MSG_OOB), 1);
    CHECK_EQ(buffer[0], 'Z');
}

TEST_CASE(inlined)
{
    char buffer[16];
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_OK(net_set(pair.server, SOL_SOCKET, SO_OOBINLINE, 1));
    CHECK_EQ(send(pair.client, "ab", 2, 0), 2);
    CHECK_EQ(send(pair.client, "!", 1, MSG_OOB), 1);
    CHECK_EQ(send(pair.client, "cd", 2, 0), 2);
    net_await(pair.server, POLLPRI);
    CHECK_ERRNO(recv(pair.server, buffer, 1, MSG_OOB), EINVAL);
    CHECK_EQ(recv(pair.server, buffer, 16, 0), 2);
    CHECK_EQ(at_mark(pair.server), 1);
    CHECK_EQ(recv(pair.server, buffer, 16, 0), 3);
    CHECK_EQ(memcmp(buffer, "!cd", 3), 0);
}

TEST_CASE(counts_up_to_the_mark)
{
    int count;
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_EQ(send(pair.client, "abc", 3, 0), 3);
    CHECK_EQ(send(pair.client, "!", 1, MSG_OOB), 1);
    CHECK_EQ(send(pair.client, "de", 2, 0), 2);
    net_await(pair.server, POLLPRI);
    guest_sleep_ms(20);
    CHECK_OK(ioctl(pair.server, FIONREAD, &count));
    CHECK_EQ(count, 3);
}

TEST_CASE(a_second_one)
{
    char buffer[16];
    struct net_pair pair = net_pair_of(AF_INET);
    CHECK_EQ(send(pair.client, "ab", 2, 0), 2);
    CHECK_EQ(send(pair.client, "1", 1, MSG_OOB), 1);
    CHECK_EQ(send(pair.client, "cd", 2, 0), 2);
    CHECK_EQ(send(pair.client, "2", 1, MSG_OOB), 1);
    net_await(pair.server, POLLPRI);
    guest_sleep_ms(20);
    CHECK_EQ(recv(pair.server, buffer, 1, MSG_OOB), 1);
    CHECK_EQ(buffer[0], '2');
    CHECK_EQ(recv(pair.server, buffer, 16, 0), 5); /* the first has become one like others */
    CHECK_EQ(memcmp(buffer, "ab1cd", 5), 0);
}

static volatile sig_atomic_t got_signal;

static void on_signal(int signo)
{
    got_signal = signo;
}

TEST_CASE(sigurg)
{
    struct net_pair pair = net_pair_of(AF_INET);
    guest_handle(SIGURG, on_signal, 0);
    CHECK_OK(fcntl(pair.server, F_SETOWN, getpid()));
    CHECK_EQ(send(pair.client, "!", 1, MSG_OOB), 1);
    for (int i = 0; i < 500 && !got_signal; i++) {
        guest_sleep_ms(10);
    }
    CHECK_EQ(got_signal, SIGURG);
}

TEST_CASE(sigio)
{
    struct net_pair pair = net_pair_of(AF_INET);
    guest_handle(SIGIO, on_signal, 0);
    CHECK_OK(fcntl(pair.server, F_SETOWN, getpid()));
    int on = 1;
    CHECK_OK(ioctl(pair.server, FIOASYNC, &on));
    CHECK_EQ(send(pair.client, "x", 1, 0), 1);
    for (int i = 0; i < 500 && !got_signal; i++) {
        guest_sleep_ms(10);
    }
    CHECK_EQ(got_signal, SIGIO);
}

TEST_CASE(owner_ioctls)
{
    struct net_pair pair = net_pair_of(AF_INET);
    int owner = getpid(), got = 0;
    CHECK_OK(ioctl(pair.server, 0x8902 /* SIOCSPGRP */, &owner));
    CHECK_OK(ioctl(pair.server, 0x8904 /* SIOCGPGRP */, &got));
    CHECK_EQ(got, owner);
    CHECK_EQ(fcntl(pair.server, F_GETOWN), owner);
    owner = 0;
    CHECK_OK(ioctl(pair.server, 0x8901 /* FIOSETOWN */, &owner));
    CHECK_OK(ioctl(pair.server, 0x8903 /* FIOGETOWN */, &got));
    CHECK_EQ(got, 0);
}

TEST_CASE(no_sigurg_without_urgent_data)
{
    char buffer[8];
    struct net_pair pair = net_pair_of(AF_INET);
    guest_handle(SIGURG, on_signal, 0);
    CHECK_OK(fcntl(pair.server, F_SETOWN, getpid()));
    CHECK_EQ(send(pair.client, "x", 1, 0), 1);
    CHECK_EQ(read(pair.server, buffer, 8), 1);
    close(pair.client);
    CHECK_EQ(read(pair.server, buffer, 8), 0);
    guest_sleep_ms(50);
    CHECK_EQ(got_signal, 0);
}
