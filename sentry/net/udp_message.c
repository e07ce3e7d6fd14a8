/*
 * udp_message.c: datagrams out and in. Source: Linux udp_sendmsg, udpv6_sendmsg, udp_recvmsg,
 * __udp_enqueue_schedule_skb.
 */
#include "sentry/net/udp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/clock.h"
#include "sentry/mm/uio.h"

/* --- delivery --- */

static int pending_error_locked(struct inet_socket *inet)
{
    int error = inet->error;
    inet->error = 0;
    return -error;
}

void udp_enqueue(struct udp_socket *target, struct udp_packet *packet)
{
    bool queued = false;
    mutex_lock(&target->inet.base.lock);
    const struct in6_addr *to = &packet->destination.addr;
    if (!target->dead && (inet_scope_of(to) != INET_SCOPE_MULTICAST ||
                          inet_takes_group_locked(&target->inet, to, &packet->source.addr))) {
        if (target->charged + packet->charge <= target->inet.base.options.receive_buffer &&
            atomic_load(&inet_memory) < atomic_load(&inet_memory_max)) {
            TAILQ_INSERT_TAIL(&target->packets, packet, link);
            target->charged += packet->charge;
            queued = true;
        } else {
            target->drops++;
        }
    }
    mutex_unlock(&target->inet.base.lock);
    if (queued) {
        wait_queue_wake(&target->inet.base.queue, EPOLLIN | EPOLLRDNORM);
    } else {
        udp_packet_free(packet);
    }
}

static void deliver_to_all(int protocol, struct udp_packet *packet)
{
    struct inet_socket *targets[UDP_RECEIVERS_MAX];
    size_t count = inet_port_find_all(protocol, &packet->destination, &packet->source, targets,
                                      UDP_RECEIVERS_MAX);
    /* Linux: a group nobody is in is not delivered to those that merely listen to all */
    bool joined = inet_scope_of(&packet->destination.addr) != INET_SCOPE_MULTICAST;
    for (size_t i = 0; i < count && !joined; i++) {
        mutex_lock(&targets[i]->base.lock);
        joined = inet_is_member_locked(targets[i], &packet->destination.addr);
        mutex_unlock(&targets[i]->base.lock);
    }
    for (size_t i = 0; i < count; i++) {
        struct udp_packet *copy = joined ? udp_packet_new(packet->length) : NULL;
        if (copy) { /* else it is lost, as a datagram may be */
            uint32_t charge = copy->charge;
            memcpy(copy, packet, sizeof(*packet) + packet->length);
            copy->charge = charge;
            udp_enqueue(udp_of(&targets[i]->base), copy);
        }
        inet_unref(targets[i]);
    }
    udp_packet_free(packet);
}

/* Sends the packet on its way. Takes it. */
static void deliver(struct udp_socket *socket, struct udp_packet *packet)
{
    enum inet_scope scope = inet_scope_of(&packet->destination.addr);
    if (scope == INET_SCOPE_BROADCAST || scope == INET_SCOPE_MULTICAST) {
        deliver_to_all(socket->inet.base.protocol, packet);
        return;
    }
    struct inet_socket *target =
        inet_port_find(socket->inet.base.protocol, &packet->destination, &packet->source);
    if (target) {
        udp_enqueue(udp_of(&target->base), packet);
        inet_unref(target);
    } else {
        udp_refused(socket, packet);
    }
}

/* --- send --- */

/* Destination, source and header fields of one send. Locked. */
static int address_locked(struct udp_socket *socket, const struct socket_message *message,
                          const struct udp_control *control, struct udp_packet *envelope)
{
    struct inet_socket *inet = &socket->inet;
    const struct socket_address *name = &message->name;
    bool named = name->length > 0;
    if (named && inet_is_v6(inet)) {
        if (name->length < sizeof(sa_family_t)) {
            return -EINVAL;
        }
        if (name->any.sa_family == AF_UNSPEC) {
            named = false;
        } else if (name->any.sa_family != AF_INET && name->any.sa_family != AF_INET6) {
            return -EINVAL;
        }
    }
    if (named) {
        int result = inet_parse_destination(inet, name, &envelope->destination);
        if (result != 0) {
            return result;
        }
        if (envelope->destination.port == 0) {
            return -EINVAL;
        }
    } else if (inet->has_peer) {
        envelope->destination = inet->peer;
    } else {
        return -EDESTADDRREQ;
    }
    bool v4 = inet_is_mapped(&envelope->destination.addr);
    struct in6_addr source = control->has_source ? control->source : inet->local.addr;
    if (inet_is_any(&source)) {
        source = v4 ? inet_from_v4(INADDR_ANY) : (struct in6_addr)IN6ADDR_ANY_INIT;
    }
    int result = inet_route(inet, &envelope->destination, &source);
    if (result == 0) {
        result = inet_autobind_locked(inet);
        result = result == -EADDRINUSE ? -EAGAIN : result;
    }
    if (result != 0) {
        return result;
    }
    bool group = inet_scope_of(&envelope->destination.addr) == INET_SCOPE_MULTICAST;
    int ttl_row = v4 ? (group ? INET_IP_MULTICAST_TTL : INET_IP_TTL)
                     : (group ? INET_IPV6_MULTICAST_HOPS : INET_IPV6_UNICAST_HOPS);
    int tos_row = v4 ? INET_IP_TOS : INET_IPV6_TCLASS;
    if (group && inet_scope_of(&source) != INET_SCOPE_LOCAL) {
        return -ENETUNREACH;
    }
    envelope->source = (struct inet_endpoint){.addr = source, .port = inet->local.port};
    envelope->ttl = (unsigned char)(control->has_ttl ? control->ttl : inet->options[ttl_row]);
    envelope->tos = (unsigned char)(control->has_tos ? control->tos : inet->options[tos_row]);
    return 0;
}

static uint32_t most_of(const struct udp_packet *envelope)
{
    return inet_is_mapped(&envelope->destination.addr) ? UDP_MAX_V4 : UDP_MAX_V6;
}

static void send_packet(struct udp_socket *socket, const struct udp_packet *envelope,
                        struct udp_packet *packet)
{
    packet->source = envelope->source;
    packet->destination = envelope->destination;
    packet->ttl = envelope->ttl;
    packet->tos = envelope->tos;
    packet->time = clock_realtime();
    deliver(socket, packet);
}

/* Cuts the message into datagrams of segment bytes (UDP_SEGMENT), the last may be shorter. */
static ssize_t send_segments(struct udp_socket *socket, const struct udp_packet *envelope,
                             struct uio *uio, uint32_t segment)
{
    ssize_t total = 0;
    do {
        uint32_t part = (uint32_t)min_of(uio->left, (uint64_t)segment);
        struct udp_packet *packet = udp_packet_new(part);
        if (!packet) {
            return total > 0 ? total : -ENOMEM;
        }
        ssize_t got = part > 0 ? uio_get(uio, packet->data, part) : 0;
        if (got != (ssize_t)part) {
            udp_packet_free(packet);
            return -EFAULT;
        }
        send_packet(socket, envelope, packet);
        total += got;
    } while (uio->left > 0);
    return total;
}

/* Adds the message to the datagram that is being put together. Locked; copies guest memory. */
static ssize_t cork_locked(struct udp_socket *socket, const struct udp_packet *envelope,
                           struct uio *uio)
{
    struct udp_packet *corked = socket->corked;
    uint32_t length = corked ? corked->length : 0;
    const struct udp_packet *head = corked ? corked : envelope;
    uint64_t want = uio->left;
    if (length + want > most_of(head)) {
        return -EMSGSIZE;
    }
    if (!corked || socket->corked_room < length + want) {
        uint32_t room = (uint32_t)(length + want) * 2;
        struct udp_packet *grown = realloc(corked, sizeof(*grown) + room);
        if (!grown) {
            return -ENOMEM;
        }
        if (!corked) {
            memcpy(grown, envelope, sizeof(*grown));
            grown->length = 0;
        }
        socket->corked = corked = grown;
        socket->corked_room = room;
    }
    ssize_t got = want > 0 ? uio_get(uio, corked->data + corked->length, want) : 0;
    if (got != (ssize_t)want) {
        return -EFAULT;
    }
    corked->length += (uint32_t)want;
    return got;
}

int udp_uncork(struct inet_socket *inet)
{
    struct udp_socket *socket = udp_of(&inet->base);
    mutex_lock(&inet->base.lock);
    struct udp_packet *corked = socket->corked;
    socket->corked = NULL;
    socket->corked_room = 0;
    mutex_unlock(&inet->base.lock);
    if (!corked) {
        return 0;
    }
    struct udp_packet *packet = udp_packet_new(corked->length);
    if (packet) {
        memcpy(packet->data, corked->data, corked->length);
        send_packet(socket, corked, packet);
    }
    free(corked);
    return packet ? 0 : -ENOMEM;
}

/* What Linux checks before anything is copied. Locked. *ret_cork: it is not to be sent yet. */
static int begin_locked(struct udp_socket *socket, struct socket_message *message,
                        struct udp_packet *envelope, struct udp_control *control, bool *ret_cork)
{
    struct inet_socket *inet = &socket->inet;
    *ret_cork = (message->flags & MSG_MORE) || inet->options[INET_UDP_CORK] || socket->corked;
    if (socket->corked) {
        return 0; /* the addresses are those of the first part */
    }
    int result = udp_control_parse(inet, message, control);
    if (result == 0) {
        result = address_locked(socket, message, control, envelope);
    }
    if (result == 0) {
        result = pending_error_locked(inet);
    }
    if (result == 0 && (inet->shutdown & INET_SHUT_SEND)) {
        result = -EPIPE;
    }
    return result;
}

ssize_t udp_send(struct socket *base, struct socket_message *message)
{
    struct udp_socket *socket = udp_of(base);
    struct udp_packet envelope = {.length = 0};
    struct udp_control control = {.has_source = false};
    struct uio *uio = message->uio;
    bool cork;
    if (uio->left > 0xffff) {
        return -EMSGSIZE;
    }
    if (message->flags & MSG_OOB) {
        return -EOPNOTSUPP;
    }
    mutex_lock(&base->lock);
    ssize_t result = begin_locked(socket, message, &envelope, &control, &cork);
    uint32_t segment =
        control.has_segment ? control.segment : (uint32_t)socket->inet.options[INET_UDP_SEGMENT];
    if (result == 0 && cork) {
        result = cork_locked(socket, &envelope, uio);
    }
    bool more = (message->flags & MSG_MORE) || socket->inet.options[INET_UDP_CORK];
    mutex_unlock(&base->lock);
    if (result < 0) {
        return result;
    }
    if (cork) {
        int flushed = more ? 0 : udp_uncork(&socket->inet);
        return flushed != 0 ? flushed : result;
    }
    if (segment > 0 && uio->left > segment) {
        if ((uio->left + segment - 1) / segment > UDP_SEGMENTS_MAX ||
            uio->left > most_of(&envelope)) {
            return -EINVAL;
        }
        return send_segments(socket, &envelope, uio, segment);
    }
    if (uio->left > most_of(&envelope)) {
        return -EMSGSIZE;
    }
    return send_segments(socket, &envelope, uio, 0x10000);
}

/* --- receive --- */

/* Copies as much as there is room for, from the peek offset on. */
static ssize_t copy_out(const struct udp_packet *packet, struct socket_message *message,
                        uint32_t offset)
{
    uint32_t left = packet->length - offset;
    uint32_t part = (uint32_t)min_of(message->uio->left, (uint64_t)left);
    ssize_t put = part > 0 ? uio_put(message->uio, packet->data + offset, part) : 0;
    if (put != (ssize_t)part) {
        return -EFAULT;
    }
    if (part < left) {
        message->ret_flags |= MSG_TRUNC;
    }
    return message->flags & MSG_TRUNC ? (ssize_t)left : (ssize_t)part;
}

/* With SO_PEEK_OFF: the datagram and the place in it where peeking goes on. */
static struct udp_packet *peek_at_locked(struct udp_socket *socket, uint32_t *ret_offset)
{
    struct udp_packet *packet;
    int64_t skip = max_of(socket->inet.base.options.peek_offset, (int64_t)0);
    TAILQ_FOREACH (packet, &socket->packets, link) {
        if (skip < packet->length || (skip == 0 && packet->length == 0)) {
            *ret_offset = (uint32_t)skip;
            return packet;
        }
        skip -= packet->length;
    }
    return NULL;
}

static ssize_t receive_locked(struct udp_socket *socket, struct socket_message *message,
                              struct udp_packet **ret_packet)
{
    struct inet_socket *inet = &socket->inet;
    bool peek = (message->flags & MSG_PEEK) != 0;
    uint32_t offset = 0;
    if (inet->error) {
        return pending_error_locked(inet);
    }
    struct udp_packet *packet =
        peek ? peek_at_locked(socket, &offset) : TAILQ_FIRST(&socket->packets);
    if (!packet) {
        bool shut = (inet->shutdown & INET_SHUT_RECEIVE) != 0;
        return shut && !(message->flags & MSG_DONTWAIT) ? 0 : -EAGAIN;
    }
    ssize_t count = copy_out(packet, message, offset);
    if (count >= 0) {
        inet_name_put(inet, &packet->source, &message->name);
        int result = udp_control_deliver(socket, packet, message);
        count = result != 0 ? result : count;
    }
    if (peek) {
        if (socket->inet.base.options.peek_offset >= 0 && count > 0) {
            socket->inet.base.options.peek_offset += count;
        }
        return count;
    }
    if (socket->inet.base.options.peek_offset > 0) {
        socket->inet.base.options.peek_offset =
            max_of(socket->inet.base.options.peek_offset - packet->length, (int64_t)0);
    }
    TAILQ_REMOVE(&socket->packets, packet, link);
    socket->charged -= packet->charge;
    *ret_packet = packet;
    return count;
}

ssize_t udp_receive(struct socket *base, struct socket_message *message)
{
    struct udp_socket *socket = udp_of(base);
    struct udp_packet *packet = NULL;
    if (message->flags & MSG_ERRQUEUE) {
        return udp_error_receive(socket, message);
    }
    mutex_lock(&base->lock);
    ssize_t count = receive_locked(socket, message, &packet);
    mutex_unlock(&base->lock);
    udp_packet_free(packet);
    return count;
}
