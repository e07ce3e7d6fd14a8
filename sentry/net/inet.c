/*
 * inet.c: what TCP and UDP sockets share: their making, names and pending error.
 */
#include "sentry/net/inet.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/net/tcp.h"
#include "sentry/net/udp.h"

atomic_long inet_memory, inet_memory_high = 64L << 20, inet_memory_max = 256L << 20;

void inet_limit_memory(uint64_t bytes)
{
    atomic_store(&inet_memory_high, (long)min_of(bytes / 16, 64UL << 20));
    atomic_store(&inet_memory_max, (long)min_of(bytes / 4, 256UL << 20));
}

void inet_socket_init(struct inet_socket *socket, const struct socket_ops *ops, int domain,
                      int type, int protocol)
{
    socket_init(&socket->base, ops, domain, type, protocol);
    refcount_init(&socket->ref);
    socket->uid = current.cred->fsuid;
    if (domain == AF_INET) {
        socket->local.addr = socket->peer.addr = inet_from_v4(INADDR_ANY);
    }
    inet_options_default(socket);
}

struct inet_socket *inet_ref(struct inet_socket *socket)
{
    refcount_get(&socket->ref);
    return socket;
}

struct inet_socket *inet_unref(struct inet_socket *socket)
{
    if (socket && refcount_put(&socket->ref)) {
        if (inet_is_tcp(socket)) {
            tcp_free(socket);
        } else {
            udp_free(socket);
        }
    }
    return NULL;
}

/* --- names --- */

void inet_name_put(const struct inet_socket *socket, const struct inet_endpoint *endpoint,
                   struct socket_address *ret_name)
{
    memset(&ret_name->storage, 0, sizeof(struct sockaddr_in6));
    if (inet_is_v6(socket)) {
        struct sockaddr_in6 *in6 = (void *)&ret_name->storage;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(endpoint->port);
        in6->sin6_addr = endpoint->addr;
        in6->sin6_scope_id = endpoint->scope;
        ret_name->length = sizeof(*in6);
    } else {
        struct sockaddr_in *in = (void *)&ret_name->storage;
        in->sin_family = AF_INET;
        in->sin_port = htons(endpoint->port);
        in->sin_addr.s_addr = inet_to_v4(&endpoint->addr);
        ret_name->length = sizeof(*in);
    }
}

int inet_get_name(struct socket *base, bool peer, struct socket_address *ret_name)
{
    struct inet_socket *socket = inet_of(base);
    int result = 0;
    mutex_lock(&base->lock);
    if (!peer) {
        inet_name_put(socket, &socket->local, ret_name);
    } else if (!socket->has_peer || (inet_is_tcp(socket) && !tcp_shows_peer_locked(socket))) {
        result = -ENOTCONN;
    } else {
        inet_name_put(socket, &socket->peer, ret_name);
    }
    mutex_unlock(&base->lock);
    return result;
}

int inet_autobind_locked(struct inet_socket *socket)
{
    return socket->local.port == 0 ? inet_port_bind_locked(socket, 0) : 0;
}

/* Linux: inet_bind_sk, inet6_bind_sk. */
static int bind_locked(struct inet_socket *socket, const struct inet_endpoint *local)
{
    struct inet_endpoint old = socket->local;
    int v6_only = socket->options[INET_IPV6_V6ONLY];
    if (socket->local.port != 0 || socket->has_peer ||
        (inet_is_tcp(socket) && !tcp_is_closed_locked(socket))) {
        return -EINVAL;
    }
    socket->local.addr = local->addr;
    socket->local.scope = local->scope;
    if (!inet_is_any(&local->addr) && !inet_is_mapped(&local->addr)) {
        socket->options[INET_IPV6_V6ONLY] = 1; /* Linux: a bound IPv6 address is for IPv6 only */
    }
    int result = 0;
    if (local->port != 0 || !socket->options[INET_IP_BIND_ADDRESS_NO_PORT]) {
        result = inet_port_bind_locked(socket, local->port);
    }
    if (result != 0) {
        socket->local = old;
        socket->options[INET_IPV6_V6ONLY] = v6_only;
        return result;
    }
    socket->bound_address = !inet_is_any(&local->addr);
    socket->bound_port = local->port != 0;
    return 0;
}

int inet_bind(struct socket *base, const struct socket_address *name)
{
    struct inet_socket *socket = inet_of(base);
    struct inet_endpoint local;
    mutex_lock(&base->lock);
    int result = inet_parse_local(socket, name, &local);
    if (result == 0 && local.port != 0 && local.port < atomic_load(&inet_unprivileged_port) &&
        !capable(CAP_NET_BIND_SERVICE)) {
        result = -EACCES;
    }
    if (result == 0) {
        result = bind_locked(socket, &local);
    }
    mutex_unlock(&base->lock);
    return result;
}

int inet_take_error(struct socket *base)
{
    struct inet_socket *socket = inet_of(base);
    mutex_lock(&base->lock);
    int error = socket->error;
    socket->error = 0;
    mutex_unlock(&base->lock);
    return error;
}

/* --- creation --- */

static int create(int domain, int type, int protocol, struct socket **ret_socket)
{
    if (protocol < 0 || protocol >= IPPROTO_MAX) {
        return -EINVAL;
    }
    switch (type) {
    case SOCK_STREAM:
        if (protocol != 0 && protocol != IPPROTO_TCP) {
            return -EPROTONOSUPPORT;
        }
        return tcp_socket_create(domain, ret_socket);
    case SOCK_DGRAM:
        if (protocol == (domain == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6)) {
            return icmp_socket_create(domain, SOCK_DGRAM, ret_socket);
        }
        if (protocol != 0 && protocol != IPPROTO_UDP && protocol != IPPROTO_UDPLITE) {
            return -EPROTONOSUPPORT;
        }
        return udp_socket_create(domain, protocol == 0 ? IPPROTO_UDP : protocol, ret_socket);
    case SOCK_RAW:
        if (protocol == (domain == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6)) {
            return icmp_socket_create(domain, SOCK_RAW, ret_socket);
        }
        /* DIFFERS: CAP_NET_RAW does not help: there are no packets but ICMP's. */
        return protocol == 0 ? -EPROTONOSUPPORT : -EPERM;
    default:
        return -ESOCKTNOSUPPORT;
    }
}

int inet_socket_create(int type, int protocol, struct socket **ret_socket)
{
    return create(AF_INET, type, protocol, ret_socket);
}

int inet6_socket_create(int type, int protocol, struct socket **ret_socket)
{
    return create(AF_INET6, type, protocol, ret_socket);
}
