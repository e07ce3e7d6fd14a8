/*
 * udp_control.c: control messages of datagrams, and the queue of errors. Source: Linux
 * ip_cmsg_send, ip_cmsg_recv_offset, ip6_datagram_send_ctl, ip6_datagram_recv_ctl, ip_icmp_error,
 * ip_recv_error, sock_recv_timestamp.
 */
#include "sentry/net/udp.h"

#include <errno.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/net_tstamp.h>
#include <netinet/udp.h>
#include <string.h>

#include "sentry/core/clock.h"
#include "sentry/mm/uio.h"

#define HEADER sizeof(struct cmsghdr)

/* --- send --- */

static int parse_ip(const struct cmsghdr *header, const unsigned char *data, size_t length,
                    struct udp_control *ret)
{
    int number = 0;
    struct in_pktinfo info;
    switch (header->cmsg_type) {
    case IP_PKTINFO:
        if (length != sizeof(info)) {
            return -EINVAL;
        }
        memcpy(&info, data, sizeof(info));
        if (info.ipi_ifindex != 0 && info.ipi_ifindex != INET_LOOPBACK_INDEX) {
            return -ENETUNREACH;
        }
        if (info.ipi_spec_dst.s_addr != INADDR_ANY) {
            ret->source = inet_from_v4(info.ipi_spec_dst.s_addr);
            ret->has_source = true;
        }
        return 0;
    case IP_TTL:
        if (length != sizeof(number)) {
            return -EINVAL;
        }
        memcpy(&number, data, sizeof(number));
        ret->ttl = number;
        ret->has_ttl = true;
        return number < 1 || number > 255 ? -EINVAL : 0;
    case IP_TOS:
        if (length == sizeof(number)) {
            memcpy(&number, data, sizeof(number));
        } else if (length == 1) {
            number = data[0];
        } else {
            return -EINVAL;
        }
        ret->tos = number;
        ret->has_tos = true;
        return number < 0 || number > 255 ? -EINVAL : 0;
    case IP_RETOPTS:
        return 0;
    default:
        return -EINVAL;
    }
}

static int parse_ipv6(const struct cmsghdr *header, const unsigned char *data, size_t length,
                      struct udp_control *ret)
{
    int number;
    struct in6_pktinfo info;
    switch (header->cmsg_type) {
    case IPV6_PKTINFO:
    case IPV6_2292PKTINFO:
        if (length < sizeof(info)) {
            return -EINVAL;
        }
        memcpy(&info, data, sizeof(info));
        if (info.ipi6_ifindex != 0 && info.ipi6_ifindex != INET_LOOPBACK_INDEX) {
            return -ENODEV;
        }
        if (IN6_IS_ADDR_UNSPECIFIED(&info.ipi6_addr)) {
            return 0;
        }
        if (inet_scope_of(&info.ipi6_addr) != INET_SCOPE_LOCAL) {
            return -EINVAL;
        }
        ret->source = info.ipi6_addr;
        ret->has_source = true;
        return 0;
    case IPV6_HOPLIMIT:
    case IPV6_2292HOPLIMIT:
    case IPV6_TCLASS:
        if (length != sizeof(number)) {
            return -EINVAL;
        }
        memcpy(&number, data, sizeof(number));
        if (number < -1 || number > 255) {
            return -EINVAL;
        }
        if (header->cmsg_type == IPV6_TCLASS) {
            ret->tos = max_of(number, 0);
            ret->has_tos = true;
        } else if (number >= 0) {
            ret->ttl = number;
            ret->has_ttl = true;
        }
        return 0;
    case IPV6_DONTFRAG:
        return length == sizeof(number) ? 0 : -EINVAL;
    default:
        return -EINVAL;
    }
}

int udp_control_parse(const struct inet_socket *socket, const struct socket_message *message,
                      struct udp_control *ret)
{
    size_t at = 0, length = message->control ? message->control_length : 0;
    while (length - at >= HEADER) {
        struct cmsghdr header;
        memcpy(&header, message->control + at, HEADER);
        if (header.cmsg_len < HEADER || header.cmsg_len > length - at) {
            return -EINVAL;
        }
        const unsigned char *data = message->control + at + HEADER;
        size_t room = header.cmsg_len - HEADER;
        int result = 0;
        if (header.cmsg_level == IPPROTO_IP) {
            result = parse_ip(&header, data, room, ret);
        } else if (header.cmsg_level == IPPROTO_IPV6) {
            result = inet_is_v6(socket) ? parse_ipv6(&header, data, room, ret) : 0;
        } else if (header.cmsg_level == IPPROTO_UDP && header.cmsg_type == UDP_SEGMENT) {
            uint16_t segment;
            if (room != sizeof(segment)) {
                return -EINVAL;
            }
            memcpy(&segment, data, sizeof(segment));
            ret->segment = segment;
            ret->has_segment = true;
        }
        if (result != 0) {
            return result;
        }
        size_t step = CMSG_ALIGN(header.cmsg_len);
        if (step >= length - at) {
            break;
        }
        at += step;
    }
    return 0;
}

/* --- receive --- */

/* Linux: __sock_recv_timestamp */
static int add_timestamp(const struct udp_socket *socket, const struct timespec *time,
                         struct socket_message *message)
{
    const struct socket_options *options = &socket->inet.base.options;
    struct timeval coarse = {.tv_sec = time->tv_sec, .tv_usec = time->tv_nsec / 1000};
    struct timespec stamps[3] = {*time};
    int result = 0;
    if (options->timestamp == SO_TIMESTAMPNS || options->timestamp == LINUX_SO_TIMESTAMPNS_NEW) {
        result = socket_message_add(message, SOL_SOCKET, options->timestamp, time, sizeof(*time));
    } else if (options->timestamp != 0) {
        result =
            socket_message_add(message, SOL_SOCKET, options->timestamp, &coarse, sizeof(coarse));
    }
    if (result == 0 && (options->timestamping & SOF_TIMESTAMPING_SOFTWARE)) {
        result = socket_message_add(message, SOL_SOCKET, SO_TIMESTAMPING, stamps, sizeof(stamps));
    }
    return result;
}

static int add_int(struct socket_message *message, int level, int type, int number)
{
    return socket_message_add(message, level, type, &number, sizeof(number));
}

static int add_v4(const struct udp_socket *socket, const struct udp_packet *packet,
                  struct socket_message *message)
{
    const int *options = socket->inet.options;
    struct in_addr destination = {inet_to_v4(&packet->destination.addr)};
    int result = 0;
    if (options[INET_IP_PKTINFO] && inet_is_v6(&socket->inet) == false) {
        struct in_pktinfo info = {.ipi_ifindex = INET_LOOPBACK_INDEX,
                                  .ipi_spec_dst = destination,
                                  .ipi_addr = destination};
        if (inet_scope_of(&packet->destination.addr) != INET_SCOPE_LOCAL) {
            info.ipi_spec_dst.s_addr = htonl(INADDR_LOOPBACK);
        }
        result = socket_message_add(message, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
    }
    if (result == 0 && options[INET_IP_RECVTTL]) {
        result = add_int(message, IPPROTO_IP, IP_TTL, packet->ttl);
    }
    if (result == 0 && options[INET_IP_RECVTOS]) {
        result = socket_message_add(message, IPPROTO_IP, IP_TOS, &packet->tos, 1);
    }
    if (result == 0 && options[INET_IP_RECVORIGDSTADDR]) {
        struct sockaddr_in in = {.sin_family = AF_INET,
                                 .sin_port = htons(packet->destination.port),
                                 .sin_addr = destination};
        result = socket_message_add(message, IPPROTO_IP, IP_ORIGDSTADDR, &in, sizeof(in));
    }
    return result;
}

static int add_v6(const struct udp_socket *socket, const struct udp_packet *packet,
                  struct socket_message *message)
{
    const int *options = socket->inet.options;
    bool v4 = inet_is_mapped(&packet->destination.addr);
    struct in6_pktinfo info = {.ipi6_addr = packet->destination.addr,
                               .ipi6_ifindex = INET_LOOPBACK_INDEX};
    int result = 0;
    if (options[INET_IPV6_RECVPKTINFO]) {
        result = socket_message_add(message, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
    }
    if (v4) {
        return result;
    }
    if (result == 0 && options[INET_IPV6_RECVHOPLIMIT]) {
        result = add_int(message, IPPROTO_IPV6, IPV6_HOPLIMIT, packet->ttl);
    }
    if (result == 0 && options[INET_IPV6_RECVTCLASS]) {
        result = add_int(message, IPPROTO_IPV6, IPV6_TCLASS, packet->tos);
    }
    if (result == 0 && options[INET_IPV6_2292PKTINFO]) {
        result = socket_message_add(message, IPPROTO_IPV6, IPV6_2292PKTINFO, &info, sizeof(info));
    }
    if (result == 0 && options[INET_IPV6_2292HOPLIMIT]) {
        result = add_int(message, IPPROTO_IPV6, IPV6_2292HOPLIMIT, packet->ttl);
    }
    return result;
}

int udp_control_deliver(struct udp_socket *socket, const struct udp_packet *packet,
                        struct socket_message *message)
{
    int result = add_timestamp(socket, &packet->time, message);
    if (result == 0 && socket->inet.base.options.values[SO_RXQ_OVFL] && socket->drops > 0) {
        result = socket_message_add(message, SOL_SOCKET, SO_RXQ_OVFL, &socket->drops,
                                    sizeof(socket->drops));
    }
    if (result == 0 && inet_is_v6(&socket->inet)) {
        result = add_v6(socket, packet, message);
    }
    if (result == 0 && inet_is_mapped(&packet->destination.addr)) {
        result = add_v4(socket, packet, message);
    }
    return result;
}

/* --- errors --- */

ssize_t udp_error_receive(struct udp_socket *socket, struct socket_message *message)
{
    struct inet_socket *inet = &socket->inet;
    mutex_lock(&inet->base.lock);
    struct udp_packet *packet = TAILQ_FIRST(&socket->errors);
    if (packet) {
        TAILQ_REMOVE(&socket->errors, packet, link);
        socket->error_count--;
        struct udp_packet *next = TAILQ_FIRST(&socket->errors);
        inet->error = next ? (int)next->error.ee_errno : 0; /* Linux: sock_dequeue_err_skb */
    }
    mutex_unlock(&inet->base.lock);
    if (!packet) {
        return -EAGAIN;
    }
    uint32_t part = (uint32_t)min_of(message->uio->left, (uint64_t)packet->length);
    ssize_t count = part > 0 ? uio_put(message->uio, packet->data, part) : 0;
    if (count == (ssize_t)part) {
        bool v4 = inet_is_mapped(&packet->destination.addr);
        unsigned char report[sizeof(packet->error) + sizeof(struct sockaddr_in6)] = {0};
        struct inet_endpoint offender = {.addr = packet->offender};
        struct socket_address name;
        size_t size = sizeof(packet->error);
        memcpy(report, &packet->error, sizeof(packet->error));
        inet_name_put(inet, &offender, &name);
        if (v4 && !inet_is_v6(inet)) {
            memcpy(report + size, name.bytes, sizeof(struct sockaddr_in));
            size += sizeof(struct sockaddr_in);
        } else {
            memcpy(report + size, name.bytes, sizeof(struct sockaddr_in6));
            size += sizeof(struct sockaddr_in6);
        }
        inet_name_put(inet, &packet->destination, &message->name);
        message->ret_flags |= MSG_ERRQUEUE | (part < packet->length ? MSG_TRUNC : 0);
        bool v6 = inet_is_v6(inet);
        int result = socket_message_add(message, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
                                        v6 ? IPV6_RECVERR : IP_RECVERR, report, (uint32_t)size);
        count = result != 0 ? result : count;
    } else {
        count = -EFAULT;
    }
    udp_packet_free(packet);
    return count;
}

void udp_refused(struct udp_socket *socket, struct udp_packet *packet)
{
    struct inet_socket *inet = &socket->inet;
    bool v4 = inet_is_mapped(&packet->destination.addr);
    bool told = false;
    mutex_lock(&inet->base.lock);
    bool connected = inet->has_peer;
    bool meant = !connected || (inet->peer.port == packet->destination.port &&
                                inet_addr_equal(&inet->peer.addr, &packet->destination.addr));
    bool wants = inet->options[v4 && !inet_is_v6(inet) ? INET_IP_RECVERR : INET_IPV6_RECVERR] != 0;
    if (meant && (connected || wants)) {
        inet->error = ECONNREFUSED;
        told = true;
        if (wants && socket->error_count < UDP_ERRORS_PENDING) {
            packet->error = (struct sock_extended_err){
                .ee_errno = ECONNREFUSED,
                .ee_origin = v4 ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ICMP6,
                .ee_type = v4 ? ICMP_DEST_UNREACH : ICMPV6_DEST_UNREACH,
                .ee_code = v4 ? ICMP_PORT_UNREACH : ICMPV6_PORT_UNREACH,
            };
            packet->offender = packet->destination.addr;
            TAILQ_INSERT_TAIL(&socket->errors, packet, link);
            socket->error_count++;
            packet = NULL;
        }
    }
    mutex_unlock(&inet->base.lock);
    udp_packet_free(packet);
    if (told) {
        wait_queue_wake(&inet->base.queue, EPOLLERR | EPOLLIN | EPOLLOUT);
    }
}
