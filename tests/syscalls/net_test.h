/*
 * net_test.h: loopback sockets for the net_* programs.
 */
#pragma once

#include "tests/syscalls/guest_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

union net_name {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_storage storage;
};

struct net_pair {
    int listener, client, server;
    union net_name name; /* of the listener */
};

static inline socklen_t net_length(int domain)
{
    return domain == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

/* The loopback address with a port; text NULL: 127.0.0.1 or ::1. */
static inline union net_name net_name_of(int domain, const char *text, int port)
{
    union net_name name;
    memset(&name, 0, sizeof(name));
    name.any.sa_family = (sa_family_t)domain;
    if (domain == AF_INET6) {
        name.in6.sin6_port = htons((uint16_t)port);
        CHECK_EQ(inet_pton(AF_INET6, text ? text : "::1", &name.in6.sin6_addr), 1);
    } else {
        name.in.sin_port = htons((uint16_t)port);
        CHECK_EQ(inet_pton(AF_INET, text ? text : "127.0.0.1", &name.in.sin_addr), 1);
    }
    return name;
}

static inline int net_port(int fd)
{
    union net_name name;
    socklen_t length = sizeof(name);
    CHECK_OK(getsockname(fd, &name.any, &length));
    return ntohs(name.in.sin_port); /* at the same place in both families */
}

static inline int net_socket(int domain, int type)
{
    int fd = socket(domain, type, 0);
    if (fd < 0 && errno == EAFNOSUPPORT) {
        SKIP("the family is not there");
    }
    return (int)CHECK_OK(fd);
}

static inline int net_bind(int fd, int domain, const char *text, int port)
{
    union net_name name = net_name_of(domain, text, port);
    return bind(fd, &name.any, net_length(domain));
}

static inline int net_connect(int fd, int domain, const char *text, int port)
{
    union net_name name = net_name_of(domain, text, port);
    return connect(fd, &name.any, net_length(domain));
}

static inline int net_listener(int domain, int backlog)
{
    int fd = net_socket(domain, SOCK_STREAM);
    if (net_bind(fd, domain, NULL, 0) < 0 && errno == EADDRNOTAVAIL) {
        SKIP("the loopback has no such address");
    }
    CHECK_OK(listen(fd, backlog));
    return fd;
}

static inline struct net_pair net_pair_of(int domain)
{
    struct net_pair pair;
    pair.listener = net_listener(domain, 8);
    pair.name = net_name_of(domain, NULL, net_port(pair.listener));
    pair.client = net_socket(domain, SOCK_STREAM);
    CHECK_OK(connect(pair.client, &pair.name.any, net_length(domain)));
    pair.server = (int)CHECK_OK(accept(pair.listener, NULL, NULL));
    return pair;
}

/* A bound datagram socket. */
static inline int net_datagram(int domain)
{
    int fd = net_socket(domain, SOCK_DGRAM);
    if (net_bind(fd, domain, NULL, 0) < 0 && errno == EADDRNOTAVAIL) {
        SKIP("the loopback has no such address");
    }
    return fd;
}

static inline int net_get(int fd, int level, int option)
{
    int value = -12345;
    socklen_t length = sizeof(value);
    CHECK_OK(getsockopt(fd, level, option, &value, &length));
    CHECK_EQ(length, sizeof(value));
    return value;
}

static inline int net_set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value));
}

static inline int net_error(int fd)
{
    return net_get(fd, SOL_SOCKET, SO_ERROR);
}

/* The events that are ready, after waiting up to ms for one of them. */
static inline int net_events(int fd, int ms)
{
    struct pollfd p = {.fd = fd,
                       .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLWRNORM};
    CHECK_OK(poll(&p, 1, ms));
    return p.revents & ~(POLLRDNORM | POLLWRNORM | POLLRDBAND | POLLWRBAND);
}

/* Waits up to 5 s until all of the events are there. */
static inline void net_await(int fd, int events)
{
    long long end = guest_now_ms() + 5000;
    while ((net_events(fd, 0) & events) != events) {
        CHECK(guest_now_ms() < end);
        guest_sleep_ms(2);
    }
}

static inline void net_nonblock(int fd)
{
    CHECK_OK(fcntl(fd, F_SETFL, O_NONBLOCK));
}

/* Is the machine's only interface with a route the loopback? */
static inline bool net_is_alone(void)
{
    char text[4096];
    int fd = open("/proc/net/route", O_RDONLY);
    if (fd < 0) {
        return true;
    }
    ssize_t count = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[count > 0 ? count : 0] = 0;
    char *line = strchr(text, '\n');
    return !line || !line[1];
}
