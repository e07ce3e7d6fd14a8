/*
 * inet_options.c: options of the IP, IPv6, TCP and UDP levels: a table of defaults and rules, and
 * the few that are no plain integers. To add one: a name in inet_options.h and a row. The rules
 * were measured on Linux 6.18.
 */
#include "sentry/net/inet_options.h"

#include <errno.h>
#include <linux/capability.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

#include "sentry/core/cred.h"
#include "sentry/net/inet.h"
#include "sentry/net/tcp.h"
#include "sentry/net/udp.h"

/* linux/in.h and linux/in6.h, which libc's headers lack. */
#define LINUX_IP_RECVERR_RFC4884   26
#define LINUX_IP_LOCAL_PORT_RANGE  51
#define LINUX_IP_PROTOCOL          52
#define LINUX_IPV6_MULTICAST_ALL   29
#define LINUX_IPV6_RTALERT_ISOLATE 30
#define LINUX_IPV6_RECVERR_RFC4884 31
#define LINUX_IPV6_FLOWINFO        11
#define LINUX_IPV6_FLOWINFO_SEND   33
#define LINUX_IPV6_RECVORIGDSTADDR 74
#define LINUX_TCP_TX_DELAY         37
#define LINUX_UDP_NO_CHECK6_TX     101
#define LINUX_UDP_NO_CHECK6_RX     102
#define LINUX_UDPLITE_SEND_CSCOV   10
#define LINUX_UDPLITE_RECV_CSCOV   11
#define LINUX_UDP_ENCAP            100

enum rule {
    RULE_BOOL,
    RULE_RANGE,     /* low..high, else EINVAL */
    RULE_DEFAULT,   /* the same, and -1 is the initial value */
    RULE_ANY,       /* whatever it is */
    RULE_TOS,       /* the ECN bits of a TCP socket are the kernel's */
    RULE_READ_ONLY, /* ENOPROTOOPT */
    RULE_REFUSED,   /* EINVAL */
    RULE_ADMIN,     /* EPERM without CAP_NET_ADMIN */
    RULE_DEVICE,    /* 0 or the loopback's index in network order: EADDRNOTAVAIL */
    RULE_POSITIVE,  /* what is negative is 0 */
};

#define FOR_TCP 1
#define FOR_UDP 2
#define FOR_ALL 3

struct inet_option {
    int level, option, types;
    enum rule rule;
    int initial, low, high;
};

#define IP(row, option, types, ...)   [INET_##row] = {IPPROTO_IP, option, types, __VA_ARGS__}
#define IPV6(row, option, types, ...) [INET_##row] = {IPPROTO_IPV6, option, types, __VA_ARGS__}
#define TCP(row, option, ...)         [INET_##row] = {IPPROTO_TCP, option, FOR_TCP, __VA_ARGS__}
#define UDP(row, option, ...)         [INET_##row] = {IPPROTO_UDP, option, FOR_UDP, __VA_ARGS__}
#define BOOLEAN                       RULE_BOOL, 0, 0, 1
#define INT_LIMIT                     0x7fffffff

static const struct inet_option table[INET_OPTION_COUNT] = {
    IP(IP_FREEBIND, IP_FREEBIND, FOR_ALL, BOOLEAN),
    IPV6(IPV6_V6ONLY, IPV6_V6ONLY, FOR_ALL, BOOLEAN),
    IP(IP_TOS, IP_TOS, FOR_ALL, RULE_TOS, 0, 0, 255),
    IP(IP_TTL, IP_TTL, FOR_ALL, RULE_DEFAULT, 64, 1, 255),
    IP(IP_HDRINCL, IP_HDRINCL, FOR_ALL, RULE_READ_ONLY, 0, 0, 0),
    IP(IP_ROUTER_ALERT, IP_ROUTER_ALERT, FOR_ALL, RULE_REFUSED, 0, 0, 0),
    IP(IP_PKTINFO, IP_PKTINFO, FOR_ALL, BOOLEAN),
    IP(IP_MTU_DISCOVER, IP_MTU_DISCOVER, FOR_ALL, RULE_RANGE, 1, 0, 5),
    IP(IP_RECVERR, IP_RECVERR, FOR_ALL, BOOLEAN),
    IP(IP_RECVTTL, IP_RECVTTL, FOR_ALL, BOOLEAN),
    IP(IP_RECVTOS, IP_RECVTOS, FOR_ALL, BOOLEAN),
    IP(IP_RECVOPTS, IP_RECVOPTS, FOR_ALL, BOOLEAN),
    IP(IP_RETOPTS, IP_RETOPTS, FOR_ALL, BOOLEAN),
    IP(IP_RECVORIGDSTADDR, IP_RECVORIGDSTADDR, FOR_ALL, BOOLEAN),
    IP(IP_PASSSEC, IP_PASSSEC, FOR_ALL, BOOLEAN),
    IP(IP_MINTTL, IP_MINTTL, FOR_ALL, RULE_RANGE, 0, 0, 255),
    IP(IP_NODEFRAG, IP_NODEFRAG, FOR_ALL, RULE_READ_ONLY, 0, 0, 0),
    IP(IP_CHECKSUM, IP_CHECKSUM, FOR_ALL, BOOLEAN),
    IP(IP_BIND_ADDRESS_NO_PORT, IP_BIND_ADDRESS_NO_PORT, FOR_ALL, BOOLEAN),
    IP(IP_RECVERR_RFC4884, LINUX_IP_RECVERR_RFC4884, FOR_ALL, RULE_RANGE, 0, 0, 1),
    IP(IP_MTU, IP_MTU, FOR_ALL, RULE_READ_ONLY, 0, 0, 0),
    IP(IP_TRANSPARENT, IP_TRANSPARENT, FOR_ALL, RULE_ADMIN, 0, 0, 1),
    IP(IP_MULTICAST_IF, IP_MULTICAST_IF, FOR_ALL, RULE_ANY, 0, 0, 0),
    IP(IP_MULTICAST_TTL, IP_MULTICAST_TTL, FOR_UDP, RULE_DEFAULT, 1, 0, 255),
    IP(IP_MULTICAST_LOOP, IP_MULTICAST_LOOP, FOR_ALL, RULE_BOOL, 1, 0, 1),
    IP(IP_MULTICAST_ALL, IP_MULTICAST_ALL, FOR_ALL, RULE_RANGE, 1, 0, 1),
    IP(IP_UNICAST_IF, IP_UNICAST_IF, FOR_ALL, RULE_DEVICE, 0, 0, 0),
    IP(IP_LOCAL_PORT_RANGE, LINUX_IP_LOCAL_PORT_RANGE, FOR_ALL, RULE_ANY, 0, 0, 0),
    IPV6(IPV6_2292PKTINFO, IPV6_2292PKTINFO, FOR_ALL, BOOLEAN),
    IPV6(IPV6_2292HOPOPTS, IPV6_2292HOPOPTS, FOR_ALL, BOOLEAN),
    IPV6(IPV6_2292DSTOPTS, IPV6_2292DSTOPTS, FOR_ALL, BOOLEAN),
    IPV6(IPV6_2292RTHDR, IPV6_2292RTHDR, FOR_ALL, BOOLEAN),
    IPV6(IPV6_2292HOPLIMIT, IPV6_2292HOPLIMIT, FOR_ALL, BOOLEAN),
    IPV6(IPV6_FLOWINFO, LINUX_IPV6_FLOWINFO, FOR_ALL, BOOLEAN),
    IPV6(IPV6_UNICAST_HOPS, IPV6_UNICAST_HOPS, FOR_ALL, RULE_DEFAULT, 64, 0, 255),
    IPV6(IPV6_MULTICAST_IF, IPV6_MULTICAST_IF, FOR_UDP, RULE_RANGE, 0, 0, 1),
    IPV6(IPV6_MULTICAST_HOPS, IPV6_MULTICAST_HOPS, FOR_UDP, RULE_DEFAULT, 1, 0, 255),
    IPV6(IPV6_MULTICAST_LOOP, IPV6_MULTICAST_LOOP, FOR_ALL, RULE_RANGE, 1, 0, 1),
    IPV6(IPV6_MTU_DISCOVER, IPV6_MTU_DISCOVER, FOR_ALL, RULE_RANGE, 1, 0, 5),
    IPV6(IPV6_RECVERR, IPV6_RECVERR, FOR_ALL, BOOLEAN),
    IPV6(IPV6_MULTICAST_ALL, LINUX_IPV6_MULTICAST_ALL, FOR_ALL, RULE_BOOL, 1, 0, 1),
    IPV6(IPV6_ROUTER_ALERT_ISOLATE, LINUX_IPV6_RTALERT_ISOLATE, FOR_ALL, BOOLEAN),
    IPV6(IPV6_RECVERR_RFC4884, LINUX_IPV6_RECVERR_RFC4884, FOR_ALL, RULE_RANGE, 0, 0, 1),
    IPV6(IPV6_FLOWINFO_SEND, LINUX_IPV6_FLOWINFO_SEND, FOR_ALL, BOOLEAN),
    IPV6(IPV6_RECVPKTINFO, IPV6_RECVPKTINFO, FOR_ALL, BOOLEAN),
    IPV6(IPV6_RECVHOPLIMIT, IPV6_RECVHOPLIMIT, FOR_ALL, BOOLEAN),
    IPV6(IPV6_RECVHOPOPTS, IPV6_RECVHOPOPTS, FOR_ALL, BOOLEAN),
    IPV6(IPV6_RECVRTHDR, IPV6_RECVRTHDR, FOR_ALL, BOOLEAN),
    IPV6(IPV6_RECVDSTOPTS, IPV6_RECVDSTOPTS, FOR_ALL, BOOLEAN),
    IPV6(IPV6_RECVPATHMTU, IPV6_RECVPATHMTU, FOR_ALL, BOOLEAN),
    IPV6(IPV6_DONTFRAG, IPV6_DONTFRAG, FOR_ALL, BOOLEAN),
    IPV6(IPV6_RECVTCLASS, IPV6_RECVTCLASS, FOR_ALL, BOOLEAN),
    IPV6(IPV6_TCLASS, IPV6_TCLASS, FOR_ALL, RULE_TOS, 0, 0, 255),
    IPV6(IPV6_AUTOFLOWLABEL, IPV6_AUTOFLOWLABEL, FOR_ALL, RULE_BOOL, 1, 0, 1),
    IPV6(IPV6_ADDR_PREFERENCES, IPV6_ADDR_PREFERENCES, FOR_ALL, RULE_ANY, 0, 0, 0),
    IPV6(IPV6_MINHOPCOUNT, IPV6_MINHOPCOUNT, FOR_ALL, RULE_RANGE, 0, 0, 255),
    IPV6(IPV6_RECVORIGDSTADDR, LINUX_IPV6_RECVORIGDSTADDR, FOR_ALL, BOOLEAN),
    IPV6(IPV6_TRANSPARENT, IPV6_TRANSPARENT, FOR_ALL, RULE_ADMIN, 0, 0, 1),
    IPV6(IPV6_UNICAST_IF, IPV6_UNICAST_IF, FOR_ALL, RULE_DEVICE, 0, 0, 0),
    IPV6(IPV6_RECVFRAGSIZE, IPV6_RECVFRAGSIZE, FOR_ALL, BOOLEAN),
    IPV6(IPV6_FREEBIND, IPV6_FREEBIND, FOR_ALL, BOOLEAN),
    IPV6(IPV6_MTU, IPV6_MTU, FOR_ALL, RULE_REFUSED, 0, 0, 0),
    TCP(TCP_NODELAY, TCP_NODELAY, BOOLEAN),
    TCP(TCP_MAXSEG, TCP_MAXSEG, RULE_RANGE, 536, 88, 32767),
    TCP(TCP_CORK, TCP_CORK, BOOLEAN),
    TCP(TCP_KEEPIDLE, TCP_KEEPIDLE, RULE_RANGE, 7200, 1, 32767),
    TCP(TCP_KEEPINTVL, TCP_KEEPINTVL, RULE_RANGE, 75, 1, 32767),
    TCP(TCP_KEEPCNT, TCP_KEEPCNT, RULE_RANGE, 9, 1, 127),
    TCP(TCP_SYNCNT, TCP_SYNCNT, RULE_RANGE, 6, 1, 127),
    TCP(TCP_LINGER2, TCP_LINGER2, RULE_ANY, 60, 0, 0),
    TCP(TCP_DEFER_ACCEPT, TCP_DEFER_ACCEPT, RULE_POSITIVE, 0, 0, 0),
    TCP(TCP_WINDOW_CLAMP, TCP_WINDOW_CLAMP, RULE_ANY, 0, 0, 0),
    TCP(TCP_QUICKACK, TCP_QUICKACK, RULE_BOOL, 1, 0, 1),
    TCP(TCP_THIN_LINEAR_TIMEOUTS, TCP_THIN_LINEAR_TIMEOUTS, RULE_RANGE, 0, 0, 1),
    TCP(TCP_THIN_DUPACK, TCP_THIN_DUPACK, RULE_RANGE, 0, 0, 1),
    TCP(TCP_USER_TIMEOUT, TCP_USER_TIMEOUT, RULE_RANGE, 0, 0, INT_LIMIT),
    TCP(TCP_REPAIR, TCP_REPAIR, RULE_ADMIN, 0, -1, 1),
    TCP(TCP_FASTOPEN, TCP_FASTOPEN, RULE_RANGE, 0, 0, INT_LIMIT),
    TCP(TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_CONNECT, RULE_RANGE, 0, 0, 1),
    TCP(TCP_FASTOPEN_NO_COOKIE, TCP_FASTOPEN_NO_COOKIE, RULE_RANGE, 0, 0, 1),
    TCP(TCP_TIMESTAMP, TCP_TIMESTAMP, RULE_READ_ONLY, 0, 0, 0),
    TCP(TCP_NOTSENT_LOWAT, TCP_NOTSENT_LOWAT, RULE_ANY, 0, 0, 0),
    TCP(TCP_SAVE_SYN, TCP_SAVE_SYN, RULE_RANGE, 0, 0, 1),
    TCP(TCP_INQ, TCP_INQ, RULE_RANGE, 0, 0, 1),
    TCP(TCP_TX_DELAY, LINUX_TCP_TX_DELAY, RULE_RANGE, 0, 0, INT_LIMIT),
    UDP(UDPLITE_SEND_CSCOV, LINUX_UDPLITE_SEND_CSCOV, RULE_ANY, 0, 0, 0),
    UDP(UDPLITE_RECV_CSCOV, LINUX_UDPLITE_RECV_CSCOV, RULE_ANY, 0, 0, 0),
    UDP(UDP_CORK, UDP_CORK, BOOLEAN),
    UDP(UDP_ENCAP, LINUX_UDP_ENCAP, RULE_READ_ONLY, 0, 0, 0),
    UDP(UDP_NO_CHECK6_TX, LINUX_UDP_NO_CHECK6_TX, BOOLEAN),
    UDP(UDP_NO_CHECK6_RX, LINUX_UDP_NO_CHECK6_RX, BOOLEAN),
    UDP(UDP_SEGMENT, UDP_SEGMENT, RULE_RANGE, 0, 0, 65535),
    UDP(UDP_GRO, UDP_GRO, BOOLEAN),
};

bool inet_v6_only(const struct inet_socket *socket)
{
    return socket->base.domain == AF_INET6 && socket->options[INET_IPV6_V6ONLY] != 0;
}

void inet_options_default(struct inet_socket *socket)
{
    for (size_t i = 0; i < array_size(table); i++) {
        socket->options[i] = table[i].initial;
    }
    if (inet_is_v6(socket) && !inet_is_tcp(socket)) {
        socket->options[INET_IP_MULTICAST_ALL] = 0; /* measured */
    }
}

/* The row number, or -1. Rows of the other protocol are not found. */
static int row_find(const struct inet_socket *socket, int level, int option)
{
    if (level == IPPROTO_IPV6 && socket->base.domain != AF_INET6) {
        return -1;
    }
    if (level == IPPROTO_UDPLITE && socket->base.protocol == IPPROTO_UDPLITE) {
        level = IPPROTO_UDP; /* Linux: the same options */
    }
    for (size_t i = 0; i < array_size(table); i++) {
        if (table[i].level == level && table[i].option == option) {
            bool transport = level == IPPROTO_TCP || level == IPPROTO_UDP;
            int type = inet_is_tcp(socket) ? FOR_TCP : FOR_UDP;
            return transport && !(table[i].types & type) ? -1 : (int)i;
        }
    }
    return -1;
}

static int rule_apply(const struct inet_socket *socket, const struct inet_option *row, int *value)
{
    bool tcp = inet_is_tcp(socket);
    if (tcp && !(row->types & FOR_TCP)) {
        return row->level == IPPROTO_IP ? -EINVAL : -ENOPROTOOPT;
    }
    switch (row->rule) {
    case RULE_BOOL:
        *value = *value != 0;
        return 0;
    case RULE_TOS:
        if (row->level == IPPROTO_IPV6 && (*value < -1 || *value > 255)) {
            return -EINVAL;
        }
        if (row->level == IPPROTO_IPV6 && *value == -1) {
            *value = 0;
        }
        *value &= tcp ? 0xfc : 0xff;
        return 0;
    case RULE_READ_ONLY:
        return -ENOPROTOOPT;
    case RULE_REFUSED:
        return -EINVAL;
    case RULE_ADMIN:
        if (row->level == IPPROTO_TCP && *value > 0) {
            return -EPERM; /* DIFFERS: repair is refused to everybody */
        }
        if (!capable(CAP_NET_ADMIN) && !(row->level != IPPROTO_TCP && capable(CAP_NET_RAW))) {
            return -EPERM;
        }
        if (row->level != IPPROTO_TCP) {
            *value = *value != 0;
        }
        break;
    case RULE_DEVICE:
        return *value == 0 || ntohl((uint32_t)*value) == INET_LOOPBACK_INDEX ? 0 : -EADDRNOTAVAIL;
    case RULE_DEFAULT:
        if (*value == -1) {
            *value = row->initial;
        }
        break;
    case RULE_POSITIVE:
        *value = max_of(*value, 0);
        return 0;
    case RULE_ANY:
        return 0;
    case RULE_RANGE:
        break;
    }
    return *value < row->low || *value > row->high ? -EINVAL : 0;
}

/* What the kernel makes of a stored value. Locked. */
static int adjust_locked(struct inet_socket *socket, int index, int *value)
{
    bool tcp = inet_is_tcp(socket);
    switch (index) {
    case INET_IPV6_V6ONLY:
        return socket->local.port != 0 ? -EINVAL : 0;
    case INET_TCP_WINDOW_CLAMP:
        if (*value != 0) {
            *value = max_of(*value < 0 ? 0 : *value, 1152); /* half of SOCK_MIN_RCVBUF */
        }
        return 0;
    case INET_TCP_LINGER2:
        *value = *value < 0 ? -1 : *value == 0 ? 60 : min_of(*value, 120);
        return 0;
    case INET_TCP_DEFER_ACCEPT: {
        /* Linux: kept as a number of retransmissions, 1, 2, 4 … seconds apart, at most 120 */
        int seconds = 0, timeout = 1, wanted = *value;
        while (wanted > seconds && seconds < 15270) {
            seconds += timeout;
            timeout = min_of(timeout * 2, 120);
        }
        *value = seconds;
        return 0;
    }
    case INET_UDPLITE_SEND_CSCOV:
    case INET_UDPLITE_RECV_CSCOV:
        if (socket->base.protocol != IPPROTO_UDPLITE) {
            return -ENOPROTOOPT;
        }
        *value = *value == 0 ? 0 : max_of(min_of(*value < 0 ? 65535 : *value, 65535), 8);
        return 0;
    case INET_TCP_REPAIR:
        *value = max_of(*value, 0);
        return 0;
    case INET_TCP_FASTOPEN_CONNECT:
        return socket->local.port != 0 && tcp && socket->has_peer ? -EINVAL : 0;
    default:
        return 0;
    }
}

/* IP_MULTICAST_IF: an address, or the index of an interface. */
static int set_multicast_if(struct inet_socket *socket, const void *value, uint32_t length)
{
    struct ip_mreqn request = {.imr_ifindex = 0};
    if (inet_is_tcp(socket) || length < sizeof(struct in_addr)) {
        return -EINVAL;
    }
    if (length >= sizeof(request)) {
        memcpy(&request, value, sizeof(request));
    } else if (length >= sizeof(struct ip_mreq)) {
        memcpy(&request, value, sizeof(struct ip_mreq));
    } else {
        memcpy(&request.imr_address, value, sizeof(struct in_addr));
    }
    uint32_t addr = request.imr_address.s_addr;
    if (request.imr_ifindex != 0) {
        if (request.imr_ifindex != INET_LOOPBACK_INDEX) {
            return -EADDRNOTAVAIL;
        }
        addr = htonl(INADDR_LOOPBACK);
    } else if (addr != INADDR_ANY && ntohl(addr) != INADDR_LOOPBACK) {
        return -EADDRNOTAVAIL;
    }
    mutex_lock(&socket->base.lock);
    socket->options[INET_IP_MULTICAST_IF] = (int)addr;
    mutex_unlock(&socket->base.lock);
    return 0;
}

/* Options that are no plain integers. -ENOPROTOOPT: not known. */
static int set_special(struct inet_socket *socket, int level, int option, const void *value,
                       uint32_t length)
{
    bool tcp = inet_is_tcp(socket);
    if (level == IPPROTO_TCP && tcp) {
        return tcp_set_special(socket, option, value, length);
    }
    if (level == IPPROTO_IP && option == IP_OPTIONS) {
        const unsigned char *bytes = value;
        for (uint32_t i = 0; i < length; i++) { /* only padding is understood */
            if (bytes[i] > 1) {
                return -EINVAL;
            }
        }
        return length > 40 ? -EINVAL : 0;
    }
    if (level == IPPROTO_IPV6 && !inet_is_v6(socket)) {
        return -ENOPROTOOPT;
    }
    if (level == IPPROTO_IP && (option == IP_IPSEC_POLICY || option == IP_XFRM_POLICY)) {
        return option == IP_IPSEC_POLICY ? -EOPNOTSUPP : -EINVAL;
    }
    if (level == IPPROTO_IPV6 && option == 24 /* IPV6_AUTHHDR of old: an address form */) {
        return -EINVAL;
    }
    if (level == IPPROTO_IP || level == IPPROTO_IPV6) {
        return inet_set_membership(socket, level, option, value, length);
    }
    return -ENOPROTOOPT;
}

int inet_set_option(struct socket *base, int level, int option, const void *value, uint32_t length)
{
    struct inet_socket *socket = inet_of(base);
    int number = 0;
    if (level == IPPROTO_IP && option == IP_MULTICAST_IF) {
        return set_multicast_if(socket, value, length);
    }
    int index = row_find(socket, level, option);
    if (index < 0) {
        return set_special(socket, level, option, value, length);
    }
    if (length >= sizeof(number)) {
        memcpy(&number, value, sizeof(number));
    } else if (length >= 1 && level == IPPROTO_IP) {
        number = *(const unsigned char *)value; /* Linux: IP options may be one byte */
    } else if (level != IPPROTO_IP || table[index].rule == RULE_DEFAULT) {
        return -EINVAL;
    }
    mutex_lock(&base->lock);
    int result = 0;
    if (index == INET_UDP_ENCAP && number == 0) {
        number = 0;
    } else if (index == INET_TCP_MAXSEG && number == 0) {
        number = table[index].initial;
    } else {
        result = rule_apply(socket, &table[index], &number);
    }
    if (result == 0) {
        result = adjust_locked(socket, index, &number);
    }
    if (result == 0) {
        socket->options[index] = number;
    }
    mutex_unlock(&base->lock);
    if (result == 0 && index == INET_UDP_CORK && number == 0) {
        result = udp_uncork(socket);
    }
    return result;
}

/* The route's MTU is known to connected sockets only. */
static int get_mtu(struct inet_socket *socket, int level, void *value, uint32_t *length)
{
    mutex_lock(&socket->base.lock);
    bool connected = socket->has_peer;
    mutex_unlock(&socket->base.lock);
    if (!connected) {
        return -ENOTCONN;
    }
    /* Linux: an IPv4 packet is no longer than 65535 bytes */
    return socket_option_put_int(value, length,
                                 level == IPPROTO_IP ? INET_LOOPBACK_MTU - 1 : INET_LOOPBACK_MTU);
}

static int put_ip_int(void *value, uint32_t *length, int number)
{
    unsigned char byte = (unsigned char)number;
    if (*length > 0 && *length < sizeof(number) && number >= 0 && number <= 255) {
        return socket_option_put(value, length, &byte, 1);
    }
    return socket_option_put_int(value, length, number);
}

int inet_get_option(struct socket *base, int level, int option, void *value, uint32_t *length)
{
    struct inet_socket *socket = inet_of(base);
    bool tcp = inet_is_tcp(socket);
    int index = row_find(socket, level, option);
    if (index == INET_IP_MTU || index == INET_IPV6_MTU) {
        return get_mtu(socket, level, value, length);
    }
    if (index < 0) {
        if (level == IPPROTO_TCP && tcp) {
            return tcp_get_special(socket, option, value, length);
        }
        if (level == IPPROTO_IP && (option == IP_OPTIONS || (option == IP_PKTOPTIONS && tcp))) {
            *length = 0;
            return 0;
        }
        if (level == IPPROTO_IP && option == LINUX_IP_PROTOCOL) {
            return socket_option_put_int(value, length, 0);
        }
        /* Measured: IPv4 answers EOPNOTSUPP for levels that are not the socket's. */
        bool own = level == IPPROTO_IP || level == base->protocol || level == SOL_SOCKET;
        return base->domain == AF_INET && !own ? -EOPNOTSUPP : -ENOPROTOOPT;
    }
    mutex_lock(&base->lock);
    int number = socket->options[index];
    if (index == INET_TCP_MAXSEG && socket->has_peer) {
        number = TCP_LOOPBACK_MSS;
    } else if (index == INET_TCP_TIMESTAMP) {
        number = tcp_timestamp();
    }
    mutex_unlock(&base->lock);
    return level == IPPROTO_IP && option != IP_MULTICAST_IF
               ? put_ip_int(value, length, number)
               : socket_option_put_int(value, length, number);
}
