/*
 * icmp.c: ICMP and ICMPv6 on the loopback: echo sockets (SOCK_DGRAM) and raw sockets, which is what
 * ping uses. An echo request to a local address is answered at once; raw sockets see requests and
 * answers, echo sockets the answers to their own. icmp_lock (RANK_OBJECT, below socket locks)
 * guards the list of these sockets. Source: Linux raw_sendmsg, raw_rcv, ping_v4_sendmsg, ping_rcv,
 * icmp_echo, rawv6_rcv.
 */
#include "sentry/net/udp.h"

#include <errno.h>
#include <netinet/ip.h>
#include <stdlib.h>
#include <string.h>

#include <linux/capability.h>

#include "sentry/core/clock.h"
#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/mm/uio.h"

#define ICMP_HEADER       8 /* type, code, checksum, identifier, sequence number */
#define ECHO_REQUEST      8
#define ECHO_REPLY        0
#define ECHO_REQUEST_V6   128
#define ECHO_REPLY_V6     129
#define LINUX_SOL_RAW     255
#define LINUX_ICMP_FILTER 1 /* also ICMPV6_FILTER */
#define LINUX_CHECKSUM    7 /* IPV6_CHECKSUM */
#define RECEIVERS_MAX     64

static struct mutex icmp_lock = {.host = PTHREAD_MUTEX_INITIALIZER, .rank = RANK_OBJECT};
static LIST_HEAD(, inet_socket) icmp_sockets; /* under icmp_lock */
static uint16_t next_identifier;              /* under icmp_lock */

atomic_uint icmp_group_low = 1, icmp_group_high = 0;

/* One ICMP message on its way. */
struct icmp_packet {
    struct in6_addr source, destination;
    unsigned char ttl, tos;
    uint32_t length;
    unsigned char *data;
};

static bool is_raw(const struct inet_socket *socket)
{
    return socket->base.type == SOCK_RAW;
}

/* --- checksums --- */

static uint32_t sum_of(uint32_t sum, const void *data, size_t length)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < length; i++) {
        sum += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/* The checksum field as it should be; 0 when data includes a right one. */
static uint16_t checksum(const struct icmp_packet *packet, bool v6)
{
    uint32_t sum = 0;
    if (v6) {
        uint32_t pseudo[2] = {htonl(packet->length), htonl(IPPROTO_ICMPV6)};
        sum = sum_of(sum, &packet->source, sizeof(packet->source));
        sum = sum_of(sum, &packet->destination, sizeof(packet->destination));
        sum = sum_of(sum, pseudo, sizeof(pseudo));
    }
    sum = sum_of(sum, packet->data, packet->length);
    return htons((uint16_t)~sum);
}

static void set_checksum(struct icmp_packet *packet, bool v6)
{
    memset(packet->data + 2, 0, 2);
    uint16_t value = checksum(packet, v6);
    memcpy(packet->data + 2, &value, sizeof(value));
}

/* --- delivery --- */

/* Does the socket hear a message? (Under icmp_lock; addresses of the entry.) */
static bool hears(const struct inet_socket *socket, const struct icmp_packet *packet, bool v6)
{
    const struct inet_port_entry *entry = &socket->entry;
    uint16_t identifier;
    memcpy(&identifier, packet->data + 4, sizeof(identifier));
    if (inet_is_v6(socket) != v6 ||
        (!inet_is_any(&entry->local.addr) &&
         !inet_addr_equal(&entry->local.addr, &packet->destination)) ||
        (entry->has_peer && !inet_addr_equal(&entry->peer.addr, &packet->source))) {
        return false;
    }
    return is_raw(socket) || (packet->data[0] == (v6 ? ECHO_REPLY_V6 : ECHO_REPLY) &&
                              entry->local.port == ntohs(identifier));
}

static void put_ip_header(struct udp_packet *copy, const struct icmp_packet *packet)
{
    struct ip header = {.ip_hl = 5,
                        .ip_v = 4,
                        .ip_tos = packet->tos,
                        .ip_len = htons((uint16_t)(sizeof(header) + packet->length)),
                        .ip_ttl = packet->ttl,
                        .ip_p = IPPROTO_ICMP};
    header.ip_src.s_addr = inet_to_v4(&packet->source);
    header.ip_dst.s_addr = inet_to_v4(&packet->destination);
    header.ip_sum = htons((uint16_t)~sum_of(0, &header, sizeof(header)));
    memcpy(copy->data, &header, sizeof(header));
}

static void deliver_to(struct udp_socket *socket, const struct icmp_packet *packet, bool v6)
{
    uint32_t head = is_raw(&socket->inet) && !v6 ? sizeof(struct ip) : 0;
    mutex_lock(&socket->inet.base.lock);
    unsigned type = packet->data[0];
    bool filtered = is_raw(&socket->inet) && (v6 || type < 32) &&
                    (socket->icmp_filter[type / 32] >> type % 32 & 1) != 0;
    mutex_unlock(&socket->inet.base.lock);
    struct udp_packet *copy = filtered ? NULL : udp_packet_new(head + packet->length);
    if (!copy) {
        return;
    }
    copy->source.addr = packet->source;
    copy->destination.addr = packet->destination;
    copy->ttl = packet->ttl;
    copy->tos = packet->tos;
    copy->time = clock_realtime();
    if (head > 0) {
        put_ip_header(copy, packet);
    }
    memcpy(copy->data + head, packet->data, packet->length);
    udp_enqueue(socket, copy);
}

static void deliver(const struct icmp_packet *packet, bool v6)
{
    struct inet_socket *receivers[RECEIVERS_MAX], *socket;
    size_t count = 0;
    mutex_lock(&icmp_lock);
    LIST_FOREACH (socket, &icmp_sockets, entry.link) {
        if (count < RECEIVERS_MAX && hears(socket, packet, v6)) {
            receivers[count++] = inet_ref(socket);
        }
    }
    mutex_unlock(&icmp_lock);
    for (size_t i = 0; i < count; i++) {
        deliver_to(udp_of(&receivers[i]->base), packet, v6);
        inet_unref(receivers[i]);
    }
}

/* The message arrives; a request is answered. */
static void transmit(struct icmp_packet *packet, bool v6)
{
    bool local = inet_scope_of(&packet->destination) == INET_SCOPE_LOCAL;
    bool request = packet->length >= ICMP_HEADER && packet->data[1] == 0 &&
                   packet->data[0] == (v6 ? ECHO_REQUEST_V6 : ECHO_REQUEST) &&
                   checksum(packet, v6) == 0;
    if (packet->length < ICMP_HEADER || !local) {
        return;
    }
    deliver(packet, v6);
    if (request) {
        struct in6_addr asked = packet->destination;
        packet->destination = packet->source;
        packet->source = asked;
        packet->ttl = 64;
        packet->data[0] = v6 ? ECHO_REPLY_V6 : ECHO_REPLY;
        set_checksum(packet, v6);
        deliver(packet, v6);
    }
}

/* --- addresses --- */

/* The list knows what the socket is bound and connected to. Locked. */
static void update_entry_locked(struct inet_socket *inet)
{
    mutex_lock(&icmp_lock);
    inet->entry.local = inet->local;
    inet->entry.peer = inet->peer;
    inet->entry.has_peer = inet->has_peer;
    mutex_unlock(&icmp_lock);
}

/* An echo socket's identifier stands where UDP has its port. Locked. */
static int set_identifier_locked(struct inet_socket *inet, uint16_t wanted)
{
    struct inet_socket *other;
    int result = -EADDRINUSE;
    mutex_lock(&icmp_lock);
    for (uint32_t tries = 0; tries < 0xffff && result != 0; tries++) {
        uint16_t identifier = wanted != 0 ? wanted : ++next_identifier;
        bool taken = identifier == 0;
        LIST_FOREACH (other, &icmp_sockets, entry.link) {
            taken |= other != inet && !is_raw(other) && other->entry.local.port == identifier &&
                     inet_is_v6(other) == inet_is_v6(inet);
        }
        if (!taken) {
            inet->local.port = inet->entry.local.port = identifier;
            result = 0;
        } else if (wanted != 0) {
            break;
        }
    }
    mutex_unlock(&icmp_lock);
    return result;
}

static int icmp_bind(struct socket *base, const struct socket_address *name)
{
    struct inet_socket *inet = inet_of(base);
    struct inet_endpoint local;
    mutex_lock(&base->lock);
    int result = inet_parse_local(inet, name, &local);
    if (result == 0 && !is_raw(inet)) {
        result = inet->local.port != 0 ? -EINVAL : set_identifier_locked(inet, local.port);
    }
    if (result == 0) {
        inet->local.addr = local.addr;
        inet->bound_address = !inet_is_any(&local.addr);
        update_entry_locked(inet);
    }
    mutex_unlock(&base->lock);
    return result;
}

static int icmp_connect(struct socket *base, const struct socket_address *name, unsigned flags)
{
    struct inet_socket *inet = inet_of(base);
    struct inet_endpoint destination;
    int result = 0;
    (void)flags;
    if (name->length < sizeof(sa_family_t)) {
        return -EINVAL;
    }
    mutex_lock(&base->lock);
    if (name->any.sa_family == AF_UNSPEC) {
        inet->has_peer = false;
    } else {
        struct in6_addr source = inet->local.addr;
        result = inet_parse_destination(inet, name, &destination);
        if (result == 0) {
            result = inet_route(inet, &destination, &source);
        }
        if (result == 0) {
            inet->local.addr = source;
            inet->peer = destination;
            inet->has_peer = true;
        }
    }
    update_entry_locked(inet);
    mutex_unlock(&base->lock);
    return result;
}

/* --- send --- */

static int address_locked(struct inet_socket *inet, const struct socket_message *message,
                          struct icmp_packet *packet)
{
    struct udp_control control = {.has_source = false};
    struct inet_endpoint destination = inet->peer;
    int result = udp_control_parse(inet, message, &control);
    if (result == 0 && message->name.length > 0) {
        result = inet_parse_destination(inet, &message->name, &destination);
    } else if (result == 0 && !inet->has_peer) {
        result = -EDESTADDRREQ;
    }
    packet->source = control.has_source ? control.source : inet->local.addr;
    if (result == 0) {
        result = inet_route(inet, &destination, &packet->source);
    }
    if (result == 0 && inet_is_mapped(&destination.addr) == inet_is_v6(inet)) {
        result = -EINVAL;
    }
    if (result == 0 && !is_raw(inet) && inet->local.port == 0) {
        result = set_identifier_locked(inet, 0);
    }
    if (result == 0 && (inet->shutdown & INET_SHUT_SEND)) {
        result = -EPIPE;
    }
    packet->destination = destination.addr;
    bool v6 = inet_is_v6(inet);
    int ttl = inet->options[v6 ? INET_IPV6_UNICAST_HOPS : INET_IP_TTL];
    int tos = inet->options[v6 ? INET_IPV6_TCLASS : INET_IP_TOS];
    packet->ttl = (unsigned char)(control.has_ttl ? control.ttl : ttl);
    packet->tos = (unsigned char)(control.has_tos ? control.tos : tos);
    return result;
}

static ssize_t icmp_send(struct socket *base, struct socket_message *message)
{
    struct inet_socket *inet = inet_of(base);
    struct icmp_packet packet = {.length = 0};
    bool v6 = inet_is_v6(inet);
    uint64_t length = message->uio->left;
    if (length > UDP_MAX_V4) {
        return -EMSGSIZE;
    }
    if (message->flags & MSG_OOB) {
        return -EOPNOTSUPP;
    }
    if (!is_raw(inet) && length < ICMP_HEADER) {
        return -EINVAL;
    }
    auto_free unsigned char *data = calloc(1, (size_t)length + ICMP_HEADER);
    if (!data) {
        return -ENOMEM;
    }
    if (length > 0 && uio_get(message->uio, data, (size_t)length) != (ssize_t)length) {
        return -EFAULT;
    }
    packet.data = data;
    packet.length = (uint32_t)length;
    if (!is_raw(inet) && (data[0] != (v6 ? ECHO_REQUEST_V6 : ECHO_REQUEST) || data[1] != 0)) {
        return -EINVAL;
    }
    mutex_lock(&base->lock);
    int result = address_locked(inet, message, &packet);
    uint16_t identifier = htons(inet->local.port);
    mutex_unlock(&base->lock);
    if (result != 0) {
        return result;
    }
    if (!is_raw(inet)) {
        memcpy(data + 4, &identifier, sizeof(identifier));
    }
    if (!is_raw(inet) || v6) {
        set_checksum(&packet, v6);
    }
    transmit(&packet, v6);
    return (ssize_t)length;
}

/* --- options, life --- */

static bool is_filter(const struct inet_socket *inet, int level, int option)
{
    return is_raw(inet) && option == LINUX_ICMP_FILTER &&
           level == (inet_is_v6(inet) ? IPPROTO_ICMPV6 : LINUX_SOL_RAW);
}

static int icmp_set_option(struct socket *base, int level, int option, const void *value,
                           uint32_t length)
{
    struct udp_socket *socket = udp_of(base);
    if (is_filter(&socket->inet, level, option)) {
        mutex_lock(&base->lock);
        memcpy(socket->icmp_filter, value, min_of(length, inet_is_v6(&socket->inet) ? 32U : 4U));
        mutex_unlock(&base->lock);
        return 0;
    }
    if (is_raw(&socket->inet) && level == LINUX_SOL_RAW && option == LINUX_CHECKSUM) {
        return inet_is_v6(&socket->inet) ? 0 : -ENOPROTOOPT; /* it is always made */
    }
    return inet_set_option(base, level, option, value, length);
}

static int icmp_get_option(struct socket *base, int level, int option, void *value,
                           uint32_t *length)
{
    struct udp_socket *socket = udp_of(base);
    if (is_filter(&socket->inet, level, option)) {
        mutex_lock(&base->lock);
        int result = socket_option_put(value, length, socket->icmp_filter,
                                       inet_is_v6(&socket->inet) ? 32 : 4);
        mutex_unlock(&base->lock);
        return result;
    }
    return inet_get_option(base, level, option, value, length);
}

static void icmp_release(struct socket *base)
{
    mutex_lock(&icmp_lock);
    LIST_REMOVE(inet_of(base), entry.link);
    mutex_unlock(&icmp_lock);
    udp_release(base);
}

static const struct socket_ops icmp_socket_ops = {
    .bind = icmp_bind,
    .connect = icmp_connect,
    .listen = udp_listen,
    .accept = udp_accept,
    .send = icmp_send,
    .receive = udp_receive,
    .shutdown = udp_shutdown,
    .get_name = inet_get_name,
    .set_option = icmp_set_option,
    .get_option = icmp_get_option,
    .ioctl = udp_ioctl,
    .poll = udp_poll,
    .release = icmp_release,
    .take_error = inet_take_error,
    .is_listening = udp_is_listening,
};

/* Linux: ping_init_sock */
static bool may_ping(void)
{
    unsigned low = atomic_load(&icmp_group_low), high = atomic_load(&icmp_group_high);
    const struct cred *cred = current.cred;
    bool found = cred->egid >= low && cred->egid <= high;
    for (uint32_t i = 0; i < cred->group_count; i++) {
        found |= cred->groups[i] >= low && cred->groups[i] <= high;
    }
    return found;
}

int icmp_socket_create(int domain, int type, struct socket **ret_socket)
{
    int protocol = domain == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    if (type == SOCK_RAW ? !capable(CAP_NET_RAW) : !may_ping()) {
        return type == SOCK_RAW ? -EPERM : -EACCES;
    }
    struct udp_socket *socket = udp_socket_new(&icmp_socket_ops, domain, type, protocol);
    if (!socket) {
        return -ENOMEM;
    }
    if (type == SOCK_RAW) {
        socket->inet.local.port = (uint16_t)protocol; /* Linux: inet_num */
    }
    socket->inet.entry.local = socket->inet.local;
    mutex_lock(&icmp_lock);
    LIST_INSERT_HEAD(&icmp_sockets, &socket->inet, entry.link);
    mutex_unlock(&icmp_lock);
    *ret_socket = &socket->inet.base;
    return 0;
}
