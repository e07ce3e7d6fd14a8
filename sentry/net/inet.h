/*
 * inet.h: AF_INET and AF_INET6 sockets of a host whose only interface, the loopback, is down.
 *
 * They can be made, named, listened on and configured; nothing can be reached. inet.c has the
 * state, inet_options.c the options. Behaviour was measured on Linux 6.18 in an empty network
 * namespace.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "platform/base/queue.h"
#include "sentry/net/socket.h"

#define INET_OPTIONS_MAX 64 /* rows of the option table; see inet_options.c */

struct inet_socket {
    struct socket base;
    LIST_ENTRY(inet_socket) port_link; /* under ports_lock while bound */
    /* under base.lock */
    struct sockaddr_in6 name; /* local; an AF_INET socket uses the first 16 bytes as sockaddr_in */
    uint16_t port;            /* host order; 0: not bound */
    bool listening;
    unsigned shutdown; /* 1: receive, 2: send */
    int options[INET_OPTIONS_MAX];
};

static inline struct inet_socket *inet_of(struct socket *socket)
{
    return container_of(socket, struct inet_socket, base);
}

void inet_options_default(struct inet_socket *socket);
int inet_set_option(struct socket *socket, int level, int option, const void *value,
                    uint32_t length) must_check;
int inet_get_option(struct socket *socket, int level, int option, void *value,
                    uint32_t *length) must_check;
/* IPV6_V6ONLY. Locked or at bind. */
bool inet_v6_only(const struct inet_socket *socket);
