/*
 * inet.c: TCP and UDP sockets without a network. ports_lock (RANK_OBJECT) guards the list of bound
 * ports, which gives EADDRINUSE and picks free ones.
 */
#include "sentry/net/inet.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/mm/uio.h"

#define SIN6_LEN_RFC2133 24
#define EPHEMERAL_FIRST  32768U
#define EPHEMERAL_COUNT  28232U /* net.ipv4.ip_local_port_range: 32768 to 60999 */

static pthread_mutex_t ports_lock =
    PTHREAD_MUTEX_INITIALIZER; /* innermost: nothing is taken under it */
static LIST_HEAD(, inet_socket) ports;
static uint32_t next_port;

static bool is_v6(const struct inet_socket *socket)
{
    return socket->base.domain == AF_INET6;
}

static bool is_tcp(const struct inet_socket *socket)
{
    return socket->base.type == SOCK_STREAM;
}

/* --- ports --- */

static bool same_protocol_locked(const struct inet_socket *a, const struct inet_socket *b)
{
    if (a->base.type != b->base.type) {
        return false;
    }
    return a->base.domain == b->base.domain || (!inet_v6_only(a) && !inet_v6_only(b));
}

static bool addresses_meet(const struct inet_socket *a, const struct inet_socket *b)
{
    if (is_v6(a) || is_v6(b)) {
        return true;
    }
    uint32_t x = ((const struct sockaddr_in *)(const void *)&a->name)->sin_addr.s_addr;
    uint32_t y = ((const struct sockaddr_in *)(const void *)&b->name)->sin_addr.s_addr;
    return x == y || x == INADDR_ANY || y == INADDR_ANY;
}

static bool port_taken_locked(const struct inet_socket *socket, uint16_t port)
{
    struct inet_socket *other;
    LIST_FOREACH (other, &ports, port_link) {
        if (other->port != port || !same_protocol_locked(other, socket) ||
            !addresses_meet(other, socket)) {
            continue;
        }
        const int *a = socket->base.options.values, *b = other->base.options.values;
        bool reuse = a[SO_REUSEADDR] && b[SO_REUSEADDR] && (!is_tcp(other) || !other->listening);
        if (!reuse && !(a[SO_REUSEPORT] && b[SO_REUSEPORT])) {
            return true;
        }
    }
    return false;
}

/* Gives the socket port, or a free one when port is 0. The socket is locked and its address set. */
static int port_bind_locked(struct inet_socket *socket, uint16_t port)
{
    int result = 0;
    pthread_mutex_lock(&ports_lock);
    if (port != 0) {
        result = port_taken_locked(socket, port) ? -EADDRINUSE : 0;
    } else {
        result = -EADDRINUSE;
        for (uint32_t tries = 0; result != 0 && tries < EPHEMERAL_COUNT; tries++) {
            next_port = (next_port + 7919) % EPHEMERAL_COUNT;
            port = (uint16_t)(EPHEMERAL_FIRST + next_port);
            result = port_taken_locked(socket, port) ? -EADDRINUSE : 0;
        }
    }
    if (result == 0) {
        socket->port = port;
        /* sin_port and sin6_port are at the same place. */
        socket->name.sin6_port = htons(port);
        LIST_INSERT_HEAD(&ports, socket, port_link);
    }
    pthread_mutex_unlock(&ports_lock);
    return result;
}

static void port_release(struct inet_socket *socket)
{
    if (socket->port != 0) {
        pthread_mutex_lock(&ports_lock);
        LIST_REMOVE(socket, port_link);
        pthread_mutex_unlock(&ports_lock);
        socket->port = 0;
    }
}

static int autobind_locked(struct inet_socket *socket)
{
    return socket->port == 0 ? port_bind_locked(socket, 0) : 0;
}

/* --- calls --- */

/* DIFFERS: Linux without a local routing table lets any IPv4 address be bound; with one, only local
 * addresses, which is what programs expect. */
static int bind_address_check(struct inet_socket *socket, const struct socket_address *name,
                              uint16_t *ret_port)
{
    if (is_v6(socket)) {
        const struct sockaddr_in6 *in6 = (const void *)&name->storage;
        if (name->length < SIN6_LEN_RFC2133) {
            return -EINVAL;
        }
        if (name->any.sa_family != AF_INET6) {
            return -EAFNOSUPPORT;
        }
        *ret_port = ntohs(in6->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
            uint8_t first = in6->sin6_addr.s6_addr[12];
            return !inet_v6_only(socket) && (first == 127 || first == 0) ? 0 : -EADDRNOTAVAIL;
        }
        return IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr) ? 0 : -EADDRNOTAVAIL;
    }
    const struct sockaddr_in *in = (const void *)&name->storage;
    if (name->length < sizeof(*in)) {
        return -EINVAL;
    }
    uint32_t address = ntohl(in->sin_addr.s_addr);
    if (name->any.sa_family != AF_INET &&
        (name->any.sa_family != AF_UNSPEC || address != INADDR_ANY)) {
        return -EAFNOSUPPORT;
    }
    *ret_port = ntohs(in->sin_port);
    bool local = address == INADDR_ANY || address >> 24 == 127 || address == INADDR_BROADCAST ||
                 IN_MULTICAST(address);
    return local || socket->options[0] ? 0 : -EADDRNOTAVAIL;
}

static int inet_bind(struct socket *base, const struct socket_address *name)
{
    struct inet_socket *socket = inet_of(base);
    uint16_t port;
    int result = bind_address_check(socket, name, &port);
    if (result != 0) {
        return result;
    }
    if (port != 0 && port < 1024 && !capable(CAP_NET_BIND_SERVICE)) {
        return -EACCES;
    }
    mutex_lock(&base->lock);
    if (socket->port != 0) {
        result = -EINVAL;
    } else {
        struct sockaddr_in6 old = socket->name;
        memcpy(&socket->name, name->bytes,
               is_v6(socket) ? min_of(name->length, (uint32_t)sizeof(socket->name))
                             : sizeof(struct sockaddr_in));
        socket->name.sin6_family = (sa_family_t)base->domain;
        if (!is_v6(socket)) {
            memset((char *)&socket->name + 8, 0, 8); /* sin_zero */
        }
        result = port_bind_locked(socket, port);
        if (result != 0) {
            socket->name = old;
        }
    }
    mutex_unlock(&base->lock);
    return result;
}

/* What sending to, or connecting to, name gives. */
static int unreachable(struct inet_socket *socket, const struct socket_address *name)
{
    if (name->any.sa_family == AF_INET6 && is_v6(socket)) {
        const struct sockaddr_in6 *in6 = (const void *)&name->storage;
        if (name->length < SIN6_LEN_RFC2133) {
            return -EINVAL;
        }
        return IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) ? -ENETUNREACH : -EADDRNOTAVAIL;
    }
    if (name->any.sa_family == AF_INET && !(is_v6(socket) && is_tcp(socket))) {
        return name->length < sizeof(struct sockaddr_in) ? -EINVAL : -ENETUNREACH;
    }
    return is_v6(socket) && name->length < SIN6_LEN_RFC2133 ? -EINVAL : -EAFNOSUPPORT;
}

static int inet_connect(struct socket *base, const struct socket_address *name, unsigned flags)
{
    (void)flags;
    struct inet_socket *socket = inet_of(base);
    if (name->length < sizeof(sa_family_t)) {
        return -EINVAL;
    }
    mutex_lock(&base->lock);
    int result;
    if (name->any.sa_family == AF_UNSPEC) {
        result = 0; /* dissolves the association that there is not */
    } else if (socket->listening) {
        result = -EISCONN;
    } else {
        result = unreachable(socket, name);
        if (!is_tcp(socket) && (result == -ENETUNREACH || result == -EADDRNOTAVAIL)) {
            int bound = autobind_locked(socket);
            result = bound != 0 ? -EAGAIN : result;
        }
    }
    mutex_unlock(&base->lock);
    return result;
}

static int inet_listen(struct socket *base, int backlog)
{
    (void)backlog;
    struct inet_socket *socket = inet_of(base);
    if (!is_tcp(socket)) {
        return -EOPNOTSUPP;
    }
    mutex_lock(&base->lock);
    int result = autobind_locked(socket);
    if (result == 0) {
        socket->listening = true;
        socket->shutdown = 0;
    }
    mutex_unlock(&base->lock);
    return result;
}

static int inet_accept(struct socket *base, struct socket **ret_socket)
{
    (void)ret_socket;
    struct inet_socket *socket = inet_of(base);
    if (!is_tcp(socket)) {
        return -EOPNOTSUPP;
    }
    mutex_lock(&base->lock);
    int result = socket->listening ? -EAGAIN : -EINVAL;
    mutex_unlock(&base->lock);
    return result;
}

static ssize_t send_udp(struct inet_socket *socket, struct socket_message *message)
{
    const struct socket_address *name = &message->name;
    if (message->uio->left > 0xffff) {
        return -EMSGSIZE;
    }
    if (name->length == 0) {
        return -EDESTADDRREQ;
    }
    int result = unreachable(socket, name);
    const struct sockaddr_in *in = (const void *)&name->storage;
    if (result == -EINVAL || result == -EAFNOSUPPORT) {
        return result;
    }
    if (in->sin_port == 0) {
        return -EINVAL;
    }
    mutex_lock(&socket->base.lock);
    int bound = autobind_locked(socket);
    mutex_unlock(&socket->base.lock);
    return bound != 0 ? -EAGAIN : result;
}

static ssize_t inet_send(struct socket *base, struct socket_message *message)
{
    struct inet_socket *socket = inet_of(base);
    mutex_lock(&base->lock);
    bool shut = (socket->shutdown & 2) != 0;
    mutex_unlock(&base->lock);
    if (is_tcp(socket) || shut) {
        if (is_tcp(socket) && !(message->flags & MSG_NOSIGNAL) && current_hooks.send_signal) {
            current_hooks.send_signal(SIGPIPE);
        }
        return -EPIPE;
    }
    return send_udp(socket, message);
}

static ssize_t inet_receive(struct socket *base, struct socket_message *message)
{
    struct inet_socket *socket = inet_of(base);
    mutex_lock(&base->lock);
    bool shut = (socket->shutdown & 1) != 0;
    mutex_unlock(&base->lock);
    if (is_tcp(socket)) {
        return shut ? 0 : -ENOTCONN;
    }
    return shut && !(message->flags & MSG_DONTWAIT) ? 0 : -EAGAIN;
}

/* Linux: nothing is connected, so ENOTCONN, yet the bits are set; a listener stops listening. */
static int inet_shutdown(struct socket *base, int how)
{
    struct inet_socket *socket = inet_of(base);
    int result = -ENOTCONN;
    mutex_lock(&base->lock);
    if (socket->listening) {
        result = 0;
        if (how != SHUT_WR) {
            socket->listening = false;
        }
    } else {
        socket->shutdown |= how == SHUT_RD ? 1 : how == SHUT_WR ? 2 : 3;
    }
    mutex_unlock(&base->lock);
    wait_queue_wake(&base->queue, EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLRDHUP | EPOLLHUP);
    return result;
}

static int inet_get_name(struct socket *base, bool peer, struct socket_address *ret_name)
{
    struct inet_socket *socket = inet_of(base);
    if (peer) {
        return -ENOTCONN;
    }
    mutex_lock(&base->lock);
    ret_name->length = is_v6(socket) ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    memcpy(ret_name->bytes, &socket->name, ret_name->length);
    mutex_unlock(&base->lock);
    return 0;
}

static long inet_ioctl(struct socket *base, unsigned command, uint64_t argument)
{
    struct inet_socket *socket = inet_of(base);
    int zero = 0;
    switch (command) {
    case SIOCINQ:
    case SIOCOUTQ:
    case SIOCATMARK:
        break;
    default:
        return -ENOTTY;
    }
    mutex_lock(&base->lock);
    bool listening = socket->listening;
    mutex_unlock(&base->lock);
    if (command == SIOCATMARK && !is_tcp(socket)) {
        return -ENOTTY;
    }
    return listening && command != SIOCATMARK ? -EINVAL
                                              : socket_put_user(argument, &zero, sizeof(zero));
}

static uint32_t inet_poll(struct socket *base)
{
    struct inet_socket *socket = inet_of(base);
    uint32_t mask = EPOLLOUT | EPOLLWRNORM;
    mutex_lock_nested(&base->lock);
    if (socket->listening) {
        mask = 0;
    } else {
        if (is_tcp(socket)) {
            mask |= EPOLLHUP;
        } else {
            mask |= EPOLLWRBAND;
        }
        if (socket->shutdown & 1) {
            mask |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
        }
        if (socket->shutdown == 3) {
            mask |= EPOLLHUP;
        }
    }
    mutex_unlock(&base->lock);
    return mask;
}

static void inet_release(struct socket *base)
{
    struct inet_socket *socket = inet_of(base);
    port_release(socket);
    socket_fini(base);
    free(socket);
}

static int inet_take_error(struct socket *base)
{
    (void)base;
    return 0;
}

static bool inet_is_listening(struct socket *base)
{
    mutex_lock(&base->lock);
    bool listening = inet_of(base)->listening;
    mutex_unlock(&base->lock);
    return listening;
}

static const struct socket_ops inet_socket_ops = {
    .bind = inet_bind,
    .connect = inet_connect,
    .listen = inet_listen,
    .accept = inet_accept,
    .send = inet_send,
    .receive = inet_receive,
    .shutdown = inet_shutdown,
    .get_name = inet_get_name,
    .set_option = inet_set_option,
    .get_option = inet_get_option,
    .ioctl = inet_ioctl,
    .poll = inet_poll,
    .release = inet_release,
    .take_error = inet_take_error,
    .is_listening = inet_is_listening,
};

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
        protocol = IPPROTO_TCP;
        break;
    case SOCK_DGRAM:
        if (protocol == (domain == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6)) {
            return -EACCES; /* Linux: net.ipv4.ping_group_range is empty */
        }
        if (protocol != 0 && protocol != IPPROTO_UDP) {
            return -EPROTONOSUPPORT;
        }
        protocol = IPPROTO_UDP;
        break;
    case SOCK_RAW:
        /* DIFFERS: CAP_NET_RAW does not help; there is nothing to send through. */
        return protocol == 0 ? -EPROTONOSUPPORT : -EPERM;
    default:
        return -ESOCKTNOSUPPORT;
    }
    struct inet_socket *socket = calloc(1, sizeof(*socket));
    if (!socket) {
        return -ENOMEM;
    }
    socket_init(&socket->base, &inet_socket_ops, domain, type, protocol);
    if (type == SOCK_STREAM) {
        socket->base.options.send_buffer = 16384;
        socket->base.options.receive_buffer = 131072;
    }
    socket->name.sin6_family = (sa_family_t)domain;
    inet_options_default(socket);
    *ret_socket = &socket->base;
    return 0;
}

int inet_socket_create(int type, int protocol, struct socket **ret_socket)
{
    return create(AF_INET, type, protocol, ret_socket);
}

int inet6_socket_create(int type, int protocol, struct socket **ret_socket)
{
    return create(AF_INET6, type, protocol, ret_socket);
}
