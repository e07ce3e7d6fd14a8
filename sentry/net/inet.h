/*
 * inet.h: AF_INET and AF_INET6 sockets on the loopback of the sandbox, for the files of this folder
 * that implement them.
 *
 * Nothing leaves the sandbox: 127.0.0.0/8 and ::1 are local, every other address is unreachable as
 * on a host whose only interface is `lo`. IPv4 addresses are kept v4-mapped (::ffff:a.b.c.d), so
 * that one form of end point serves both families. inet.c: names and what TCP and UDP share;
 * inet_address.c: addresses and routes; inet_port.c: the tables of ports; inet_options.c: options.
 *
 * Locks: read or send lock of a stream → socket->lock (one, or two in address order) → ports_lock.
 * A struct inet_socket lives while its file, its peer or a look-up holds it.
 */
#pragma once

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "platform/base/queue.h"
#include "platform/base/refcount.h"
#include "sentry/net/inet_options.h"
#include "sentry/net/socket.h"

#define INET_LOOPBACK_INDEX 1
#define INET_LOOPBACK_MTU   65536

#define INET_SHUT_RECEIVE 1U
#define INET_SHUT_SEND    2U
#define INET_SHUT_BOTH    3U

struct inet_endpoint {
    struct in6_addr addr;
    uint16_t port; /* host order */
    uint32_t scope;
};

/* What the port tables know of a socket. Under ports_lock. */
struct inet_port_entry {
    LIST_ENTRY(inet_socket) link;
    bool listed, in_bound, listening, has_peer, v6_only;
    struct inet_endpoint local, peer;
};

struct inet_socket {
    struct socket base;
    struct refcount ref;
    struct inet_port_entry entry;
    uint32_t uid; /* of the creator */

    /* under base.lock */
    struct inet_endpoint local, peer; /* local.port 0: not bound */
    bool bound_address, bound_port;   /* by bind(2), not by the kernel */
    bool has_peer;
    unsigned shutdown; /* INET_SHUT_* */
    int error;         /* positive; reported once */
    int options[INET_OPTION_COUNT];
    struct inet_groups *groups; /* owned; NULL: of no multicast group */
};

static inline struct inet_socket *inet_of(struct socket *socket)
{
    return container_of(socket, struct inet_socket, base);
}

static inline bool inet_is_v6(const struct inet_socket *socket)
{
    return socket->base.domain == AF_INET6;
}

static inline bool inet_is_tcp(const struct inet_socket *socket)
{
    return socket->base.type == SOCK_STREAM;
}

/* inet.c */
void inet_socket_init(struct inet_socket *socket, const struct socket_ops *ops, int domain,
                      int type, int protocol);
struct inet_socket *inet_ref(struct inet_socket *socket);
/* Frees the socket by tcp_free or udp_free with the last reference. */
struct inet_socket *inet_unref(struct inet_socket *socket);
int inet_bind(struct socket *base, const struct socket_address *name) must_check;
int inet_get_name(struct socket *base, bool peer, struct socket_address *ret_name) must_check;
int inet_take_error(struct socket *base) must_check;
void inet_name_put(const struct inet_socket *socket, const struct inet_endpoint *endpoint,
                   struct socket_address *ret_name);
/* Gives the socket a port if it has none. Locked. -EADDRINUSE. */
int inet_autobind_locked(struct inet_socket *socket) must_check;

/* inet_address.c */
enum inet_scope {
    INET_SCOPE_ANY,       /* 0.0.0.0, :: */
    INET_SCOPE_LOCAL,     /* of the loopback interface */
    INET_SCOPE_BROADCAST, /* 127.255.255.255: of the loopback's network */
    INET_SCOPE_LIMITED,   /* 255.255.255.255 */
    INET_SCOPE_MULTICAST,
    INET_SCOPE_LINK, /* fe80::/10 */
    INET_SCOPE_OTHER,
};

enum inet_scope inet_scope_of(const struct in6_addr *addr);
struct in6_addr inet_from_v4(uint32_t addr /* network order */);
uint32_t inet_to_v4(const struct in6_addr *addr);
bool inet_is_mapped(const struct in6_addr *addr);
bool inet_addr_equal(const struct in6_addr *a, const struct in6_addr *b);
/* The unspecified address, of either family. */
bool inet_is_any(const struct in6_addr *addr);
/* A sockaddr of the socket's family (an AF_INET one too on a UDP socket of AF_INET6), as connect
 * and sendto take it. -EINVAL, -EAFNOSUPPORT, -ENETUNREACH (v4 on a v6-only socket). */
int inet_parse_destination(const struct inet_socket *socket, const struct socket_address *name,
                           struct inet_endpoint *ret) must_check;
/* The route to *destination, in which the unspecified address becomes the loopback's; *source is
 * filled when it is unspecified. Only local unicast has one for streams; datagrams may go to the
 * broadcast address and, by multicast_if or the source, to groups. -ENETUNREACH, -EINVAL. */
int inet_route(const struct inet_socket *socket, struct inet_endpoint *destination,
               struct in6_addr *source) must_check;
/* May it be bound? -EADDRNOTAVAIL, -EINVAL … */
int inet_parse_local(const struct inet_socket *socket, const struct socket_address *name,
                     struct inet_endpoint *ret) must_check;

/* inet_multicast.c */
int inet_set_membership(struct inet_socket *socket, int level, int option, const void *value,
                        uint32_t length) must_check;
bool inet_is_member_locked(const struct inet_socket *socket, const struct in6_addr *group);
/* Does the socket want what source sends to the group? */
bool inet_takes_group_locked(const struct inet_socket *socket, const struct in6_addr *group,
                             const struct in6_addr *source);

/* inet_port.c */
extern atomic_uint inet_port_low, inet_port_high, inet_unprivileged_port;
/* Registers socket->local with port (0: a free one). Locked. -EADDRINUSE. */
int inet_port_bind_locked(struct inet_socket *socket, uint16_t port) must_check;
/* For connect: checks that the connection local → peer is unique, or chooses a local port that
 * makes it so. Locked; local.addr and peer are set. -EADDRNOTAVAIL. */
int inet_port_connect_locked(struct inet_socket *socket) must_check;
/* Listening starts: -EADDRINUSE when another listener is there. Locked. */
int inet_port_listen_locked(struct inet_socket *socket) must_check;
/* Listening ended. */
void inet_port_unlisten(struct inet_socket *socket);
/* A connection made by a listener: registered without checks. */
void inet_port_adopt(struct inet_socket *socket);
/* Local address or peer changed (UDP connect). Locked. */
void inet_port_update_locked(struct inet_socket *socket);
/* The connection is gone, the port stays. */
void inet_port_unpeer(struct inet_socket *socket);
void inet_port_release(struct inet_socket *socket);
/* The listener (TCP) or receiver (UDP) that traffic from source to destination reaches: a
 * reference, or NULL. */
struct inet_socket *inet_port_find(int protocol, const struct inet_endpoint *destination,
                                   const struct inet_endpoint *source) must_check;
/* All UDP sockets that want a datagram to a broadcast or multicast destination: up to room
 * references. Returns how many. */
size_t inet_port_find_all(int protocol, const struct inet_endpoint *destination,
                          const struct inet_endpoint *source, struct inet_socket **ret,
                          size_t room);
/* All registered sockets of a protocol and domain: a malloc'ed array of references. -ENOMEM. */
int inet_port_list(int domain, int protocol, struct inet_socket ***ret_sockets,
                   size_t *ret_count) must_check;

/* Bytes in the queues of all sockets: above high queues are cut to INET_QUEUE_LEAST, above max
 * nothing is queued behind what is queued, and datagrams are dropped. */
extern atomic_long inet_memory, inet_memory_high, inet_memory_max;
#define INET_QUEUE_LEAST 65536U
/* At boot: the bounds follow from the sandbox's memory limit. */
void inet_limit_memory(uint64_t bytes);
