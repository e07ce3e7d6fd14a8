/*
 * udp.c: the life, connections, readiness and ioctls of UDP sockets. Source: Linux
 * __ip4_datagram_connect, __ip6_datagram_connect, __udp_disconnect, udp_poll, udp_ioctl.
 */
#include "sentry/net/udp.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

static const struct socket_ops udp_socket_ops;

/* --- packets --- */

/* What Linux charges for a datagram: the buffer rounded to a power of two, and its head. */
static uint32_t charge_of(uint32_t length)
{
    uint32_t size = 576;
    uint32_t wanted = length + 364;
    while (size < wanted) {
        size = size == 576 ? 1024 : size * 2;
    }
    return size + 256;
}

struct udp_packet *udp_packet_new(uint32_t length)
{
    struct udp_packet *packet = malloc(sizeof(*packet) + length);
    if (packet) {
        memset(packet, 0, sizeof(*packet));
        packet->length = length;
        packet->charge = charge_of(length);
        atomic_fetch_add(&inet_memory, (long)sizeof(*packet) + length);
    }
    return packet;
}

void udp_packet_free(struct udp_packet *packet)
{
    if (packet) {
        atomic_fetch_sub(&inet_memory, (long)sizeof(*packet) + packet->length);
        free(packet);
    }
}

static void packets_free(struct udp_packet_list *packets)
{
    struct udp_packet *packet;
    while ((packet = TAILQ_FIRST(packets))) {
        TAILQ_REMOVE(packets, packet, link);
        udp_packet_free(packet);
    }
}

/* --- life --- */

struct udp_socket *udp_socket_new(const struct socket_ops *ops, int domain, int type, int protocol)
{
    struct udp_socket *socket = calloc(1, sizeof(*socket));
    if (socket) {
        inet_socket_init(&socket->inet, ops, domain, type, protocol);
        TAILQ_INIT(&socket->packets);
        TAILQ_INIT(&socket->errors);
    }
    return socket;
}

int udp_socket_create(int domain, int protocol, struct socket **ret_socket)
{
    struct udp_socket *socket = udp_socket_new(&udp_socket_ops, domain, SOCK_DGRAM, protocol);
    if (!socket) {
        return -ENOMEM;
    }
    *ret_socket = &socket->inet.base;
    return 0;
}

void udp_free(struct inet_socket *inet)
{
    struct udp_socket *socket = udp_of(&inet->base);
    packets_free(&socket->packets);
    packets_free(&socket->errors);
    free(socket->corked);
    free(inet->groups);
    socket_fini(&inet->base);
    free(socket);
}

void udp_release(struct socket *base)
{
    struct udp_socket *socket = udp_of(base);
    struct udp_packet_list packets = TAILQ_HEAD_INITIALIZER(packets);
    inet_port_release(&socket->inet);
    mutex_lock(&base->lock);
    socket->dead = true;
    base->file = NULL;
    TAILQ_CONCAT(&packets, &socket->packets, link);
    TAILQ_CONCAT(&packets, &socket->errors, link);
    socket->charged = socket->error_count = 0;
    mutex_unlock(&base->lock);
    packets_free(&packets);
    inet_unref(&socket->inet);
}

/* --- connect --- */

static void disconnect_locked(struct inet_socket *inet)
{
    inet->has_peer = false;
    memset(&inet->peer, 0, sizeof(inet->peer));
    if (!inet->bound_address) {
        inet->local.addr =
            inet_is_v6(inet) ? (struct in6_addr)IN6ADDR_ANY_INIT : inet_from_v4(INADDR_ANY);
    }
    inet_port_update_locked(inet); /* the port stays */
}

static int connect_locked(struct inet_socket *inet, const struct socket_address *name)
{
    struct inet_endpoint destination;
    struct in6_addr source = inet->local.addr;
    int result = inet_parse_destination(inet, name, &destination);
    if (result != 0) {
        return result;
    }
    if (!inet_is_mapped(&destination.addr) && destination.scope == 0 &&
        (inet_scope_of(&destination.addr) == INET_SCOPE_MULTICAST &&
         inet->options[INET_IPV6_MULTICAST_IF] == 0)) {
        return -EINVAL; /* Linux: a group or link-local address needs its interface */
    }
    if (inet->has_peer && !inet->bound_address) {
        source = inet_is_v6(inet) ? (struct in6_addr)IN6ADDR_ANY_INIT : inet_from_v4(INADDR_ANY);
    }
    result = inet_route(inet, &destination, &source);
    if (result == 0) {
        result = inet_autobind_locked(inet);
        result = result == -EADDRINUSE ? -EAGAIN : result;
    }
    if (result != 0) {
        return result;
    }
    inet->local.addr = source;
    inet->peer = destination;
    inet->has_peer = true;
    inet->error = 0;
    inet_port_update_locked(inet);
    return 0;
}

static int udp_connect(struct socket *base, const struct socket_address *name, unsigned flags)
{
    struct inet_socket *inet = inet_of(base);
    int result = 0;
    (void)flags;
    if (name->length < sizeof(sa_family_t)) {
        return -EINVAL;
    }
    mutex_lock(&base->lock);
    if (name->any.sa_family == AF_UNSPEC) {
        disconnect_locked(inet);
    } else {
        result = connect_locked(inet, name);
    }
    mutex_unlock(&base->lock);
    return result;
}

int udp_listen(struct socket *base, int backlog)
{
    (void)base;
    (void)backlog;
    return -EOPNOTSUPP;
}

int udp_accept(struct socket *base, struct socket **ret_socket)
{
    (void)base;
    (void)ret_socket;
    return -EOPNOTSUPP;
}

/* Linux: without a peer ENOTCONN, yet the bits are set. */
int udp_shutdown(struct socket *base, int how)
{
    struct inet_socket *inet = inet_of(base);
    mutex_lock(&base->lock);
    inet->shutdown |= how == SHUT_RD   ? INET_SHUT_RECEIVE
                      : how == SHUT_WR ? INET_SHUT_SEND
                                       : INET_SHUT_BOTH;
    int result = inet->has_peer ? 0 : -ENOTCONN;
    mutex_unlock(&base->lock);
    wait_queue_wake(&base->queue, EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLRDHUP | EPOLLHUP);
    return result;
}

/* --- readiness, ioctl, options --- */

uint32_t udp_poll(struct socket *base)
{
    struct udp_socket *socket = udp_of(base);
    uint32_t mask = EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
    mutex_lock_nested(&base->lock);
    unsigned shutdown = socket->inet.shutdown;
    if (socket->inet.error || !TAILQ_EMPTY(&socket->errors)) {
        mask |= EPOLLERR;
        mask |= base->options.values[SO_SELECT_ERR_QUEUE] ? EPOLLPRI : 0U;
    }
    if (shutdown & INET_SHUT_RECEIVE) {
        mask |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
    }
    if (shutdown == INET_SHUT_BOTH) {
        mask |= EPOLLHUP;
    }
    if (!TAILQ_EMPTY(&socket->packets)) {
        mask |= EPOLLIN | EPOLLRDNORM;
    }
    mutex_unlock(&base->lock);
    return mask;
}

long udp_ioctl(struct socket *base, unsigned command, uint64_t argument)
{
    struct udp_socket *socket = udp_of(base);
    int answer = 0;
    if (command != SIOCINQ && command != SIOCOUTQ) {
        return -ENOTTY;
    }
    if (command == SIOCINQ) {
        mutex_lock(&base->lock);
        struct udp_packet *first = TAILQ_FIRST(&socket->packets);
        answer = first ? (int)first->length : 0;
        mutex_unlock(&base->lock);
    }
    return socket_put_user(argument, &answer, sizeof(answer));
}

bool udp_is_listening(struct socket *base)
{
    (void)base;
    return false;
}

static const struct socket_ops udp_socket_ops = {
    .bind = inet_bind,
    .connect = udp_connect,
    .listen = udp_listen,
    .accept = udp_accept,
    .send = udp_send,
    .receive = udp_receive,
    .shutdown = udp_shutdown,
    .get_name = inet_get_name,
    .set_option = inet_set_option,
    .get_option = inet_get_option,
    .ioctl = udp_ioctl,
    .poll = udp_poll,
    .release = udp_release,
    .take_error = inet_take_error,
    .is_listening = udp_is_listening,
};
