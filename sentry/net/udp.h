/*
 * udp.h: UDP on the loopback: queues of datagrams, and of errors.
 *
 * A datagram goes into its receiver's queue at once and is charged to it as Linux charges an
 * sk_buff; what does not fit is dropped. udp.c: life, connect, readiness; udp_message.c: send and
 * receive; udp_control.c: control messages.
 *
 * Locks: socket->lock, never two of them → the port tables' lock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <linux/errqueue.h>

#include "platform/base/compiler.h"
#include "platform/base/queue.h"
#include "sentry/net/inet.h"

#define UDP_MAX_V4         65507U
#define UDP_MAX_V6         65527U
#define UDP_SEGMENTS_MAX   128
#define UDP_RECEIVERS_MAX  256 /* of one broadcast or multicast datagram */
#define UDP_ERRORS_PENDING 64

struct udp_packet {
    TAILQ_ENTRY(udp_packet) link;
    uint32_t length, charge;
    struct inet_endpoint source, destination;
    unsigned char ttl, tos;
    struct timespec time;
    struct sock_extended_err error; /* in the queue of errors */
    struct in6_addr offender;
    unsigned char data[];
};

TAILQ_HEAD(udp_packet_list, udp_packet);

struct udp_socket {
    struct inet_socket inet;
    /* under inet.base.lock */
    bool dead;
    struct udp_packet_list packets, errors;
    uint32_t charged, error_count;
    uint32_t drops;
    struct udp_packet *corked;
    uint32_t corked_room;
    uint32_t icmp_filter[8]; /* types that a raw ICMP socket does not want */
};

static inline struct udp_socket *udp_of(struct socket *socket)
{
    return container_of(socket, struct udp_socket, inet.base);
}

/* What control messages of a send say. */
struct udp_control {
    bool has_source, has_ttl, has_tos, has_segment;
    struct in6_addr source;
    int ttl, tos;
    uint32_t segment;
};

/* udp.c */
/* UDP, or UDP-Lite, which differs only in its options: nothing is damaged on the way here. */
int udp_socket_create(int domain, int protocol, struct socket **ret_socket) must_check;
/* The common part of sockets with a queue of datagrams. NULL: no memory. */
struct udp_socket *udp_socket_new(const struct socket_ops *ops, int domain, int type,
                                  int protocol) must_check;
void udp_free(struct inet_socket *socket);
int udp_listen(struct socket *base, int backlog) must_check;
int udp_accept(struct socket *base, struct socket **ret_socket) must_check;
int udp_shutdown(struct socket *base, int how) must_check;
uint32_t udp_poll(struct socket *base);
long udp_ioctl(struct socket *base, unsigned command, uint64_t argument) must_check;
bool udp_is_listening(struct socket *base);
void udp_release(struct socket *base);
struct udp_packet *udp_packet_new(uint32_t length) must_check;
void udp_packet_free(struct udp_packet *packet);

/* icmp.c: echo sockets (SOCK_DGRAM) and raw ICMP sockets. -EACCES, -EPERM. */
int icmp_socket_create(int domain, int type, struct socket **ret_socket) must_check;
extern atomic_uint icmp_group_low, icmp_group_high; /* net.ipv4.ping_group_range */

/* udp_message.c */
ssize_t udp_send(struct socket *base, struct socket_message *message) must_check;
ssize_t udp_receive(struct socket *base, struct socket_message *message) must_check;
/* Into the receiver's queue, or dropped. Takes the packet. */
void udp_enqueue(struct udp_socket *target, struct udp_packet *packet);
/* Sends what was corked. */
int udp_uncork(struct inet_socket *socket) must_check;

/* udp_control.c */
/* -EINVAL: malformed or out of range. */
int udp_control_parse(const struct inet_socket *socket, const struct socket_message *message,
                      struct udp_control *ret) must_check;
/* The control messages that the socket's options ask for. Locked. -ENOMEM. */
int udp_control_deliver(struct udp_socket *socket, const struct udp_packet *packet,
                        struct socket_message *message) must_check;
/* The first of the errors, with the datagram that met it (MSG_ERRQUEUE). */
ssize_t udp_error_receive(struct udp_socket *socket, struct socket_message *message) must_check;
/* Nobody listens at packet's destination: the sender hears of it. Takes the packet. */
void udp_refused(struct udp_socket *socket, struct udp_packet *packet);
