/*
 * inet_options.h: the integer options of the IP, IPv6, TCP and UDP levels that a socket stores.
 * Each row of the table in inet_options.c has its place in socket->options.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"

enum inet_option_row {
    INET_IP_FREEBIND,
    INET_IPV6_V6ONLY,
    INET_IP_TOS,
    INET_IP_TTL,
    INET_IP_HDRINCL,
    INET_IP_ROUTER_ALERT,
    INET_IP_PKTINFO,
    INET_IP_MTU_DISCOVER,
    INET_IP_RECVERR,
    INET_IP_RECVTTL,
    INET_IP_RECVTOS,
    INET_IP_RECVOPTS,
    INET_IP_RETOPTS,
    INET_IP_RECVORIGDSTADDR,
    INET_IP_PASSSEC,
    INET_IP_MINTTL,
    INET_IP_NODEFRAG,
    INET_IP_CHECKSUM,
    INET_IP_BIND_ADDRESS_NO_PORT,
    INET_IP_RECVERR_RFC4884,
    INET_IP_MTU,
    INET_IP_TRANSPARENT,
    INET_IP_MULTICAST_IF, /* an address, network order */
    INET_IP_MULTICAST_TTL,
    INET_IP_MULTICAST_LOOP,
    INET_IP_MULTICAST_ALL,
    INET_IP_UNICAST_IF,
    INET_IP_LOCAL_PORT_RANGE,
    INET_IPV6_2292PKTINFO,
    INET_IPV6_2292HOPOPTS,
    INET_IPV6_2292DSTOPTS,
    INET_IPV6_2292RTHDR,
    INET_IPV6_2292HOPLIMIT,
    INET_IPV6_FLOWINFO,
    INET_IPV6_UNICAST_HOPS,
    INET_IPV6_MULTICAST_IF,
    INET_IPV6_MULTICAST_HOPS,
    INET_IPV6_MULTICAST_LOOP,
    INET_IPV6_MTU_DISCOVER,
    INET_IPV6_RECVERR,
    INET_IPV6_MULTICAST_ALL,
    INET_IPV6_ROUTER_ALERT_ISOLATE,
    INET_IPV6_RECVERR_RFC4884,
    INET_IPV6_FLOWINFO_SEND,
    INET_IPV6_RECVPKTINFO,
    INET_IPV6_RECVHOPLIMIT,
    INET_IPV6_RECVHOPOPTS,
    INET_IPV6_RECVRTHDR,
    INET_IPV6_RECVDSTOPTS,
    INET_IPV6_RECVPATHMTU,
    INET_IPV6_DONTFRAG,
    INET_IPV6_RECVTCLASS,
    INET_IPV6_TCLASS,
    INET_IPV6_AUTOFLOWLABEL,
    INET_IPV6_ADDR_PREFERENCES,
    INET_IPV6_MINHOPCOUNT,
    INET_IPV6_RECVORIGDSTADDR,
    INET_IPV6_TRANSPARENT,
    INET_IPV6_UNICAST_IF,
    INET_IPV6_RECVFRAGSIZE,
    INET_IPV6_FREEBIND,
    INET_IPV6_MTU,
    INET_TCP_NODELAY,
    INET_TCP_MAXSEG,
    INET_TCP_CORK,
    INET_TCP_KEEPIDLE,
    INET_TCP_KEEPINTVL,
    INET_TCP_KEEPCNT,
    INET_TCP_SYNCNT,
    INET_TCP_LINGER2,
    INET_TCP_DEFER_ACCEPT,
    INET_TCP_WINDOW_CLAMP,
    INET_TCP_QUICKACK,
    INET_TCP_THIN_LINEAR_TIMEOUTS,
    INET_TCP_THIN_DUPACK,
    INET_TCP_USER_TIMEOUT,
    INET_TCP_REPAIR,
    INET_TCP_FASTOPEN,
    INET_TCP_FASTOPEN_CONNECT,
    INET_TCP_FASTOPEN_NO_COOKIE,
    INET_TCP_TIMESTAMP,
    INET_TCP_NOTSENT_LOWAT,
    INET_TCP_SAVE_SYN,
    INET_TCP_INQ,
    INET_TCP_TX_DELAY,
    INET_UDPLITE_SEND_CSCOV,
    INET_UDPLITE_RECV_CSCOV,
    INET_UDP_CORK,
    INET_UDP_ENCAP,
    INET_UDP_NO_CHECK6_TX,
    INET_UDP_NO_CHECK6_RX,
    INET_UDP_SEGMENT,
    INET_UDP_GRO,
    INET_OPTION_COUNT,
};

struct inet_socket;
struct socket;

void inet_options_default(struct inet_socket *socket);
/* Everything but what only TCP or UDP knows in whole: names, TCP_INFO … see inet_options.c. */
int inet_set_option(struct socket *socket, int level, int option, const void *value,
                    uint32_t length) must_check;
int inet_get_option(struct socket *socket, int level, int option, void *value,
                    uint32_t *length) must_check;
/* IPV6_V6ONLY. Locked or at bind. */
bool inet_v6_only(const struct inet_socket *socket);
