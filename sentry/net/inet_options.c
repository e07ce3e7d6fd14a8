/*
 * inet_options.c: options of the IP, IPv6, TCP and UDP levels: a table of defaults and rules. They
 * are stored and read back; nothing acts on them while nothing can be sent. To add one: a row. Row
 * 0 is IP_FREEBIND, which bind looks at; row 1 IPV6_V6ONLY.
 */
#include <errno.h>
#include <linux/capability.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

#include "sentry/core/cred.h"
#include "sentry/net/inet.h"

enum rule {
    RULE_BOOL,
    RULE_RANGE,     /* low..high, else EINVAL */
    RULE_TOS,       /* the ECN bits of a TCP socket are the kernel's */
    RULE_READ_ONLY, /* ENOPROTOOPT */
    RULE_NO_ROUTE,  /* read: ENOTCONN */
    RULE_ADMIN,     /* EPERM without CAP_NET_ADMIN */
};

#define FOR_TCP 1
#define FOR_UDP 2
#define FOR_ALL 3

struct inet_option {
    int level, option, types;
    enum rule rule;
    int initial, low, high;
};

static const struct inet_option table[] = {
    {IPPROTO_IP, IP_FREEBIND, FOR_ALL, RULE_BOOL, 0, 0, 0},
    {IPPROTO_IPV6, IPV6_V6ONLY, FOR_ALL, RULE_BOOL, 0, 0, 0},
    {IPPROTO_IP, IP_TOS, FOR_ALL, RULE_TOS, 0, 0, 255},
    {IPPROTO_IP, IP_TTL, FOR_ALL, RULE_RANGE, 64, 1, 255},
    {IPPROTO_IP, IP_HDRINCL, FOR_ALL, RULE_READ_ONLY, 0, 0, 0},
    {IPPROTO_IP, IP_PKTINFO, FOR_ALL, RULE_BOOL, 0, 0, 0},
    {IPPROTO_IP, IP_MTU_DISCOVER, FOR_ALL, RULE_RANGE, 1, 0, 5},
    {IPPROTO_IP, IP_RECVERR, FOR_ALL, RULE_BOOL, 0, 0, 0},
    {IPPROTO_IP, IP_RECVTTL, FOR_ALL, RULE_BOOL, 0, 0, 0},
    {IPPROTO_IP, IP_RECVTOS, FOR_ALL, RULE_BOOL, 0, 0, 0},
    {IPPROTO_IP, IP_RECVOPTS, FOR_ALL, RULE_BOOL, 0, 0, 0},
    {IPPROTO_IP, IP_RETOPTS, FOR_ALL, RULE_BOOL, 0, 0, 0},
    {IPPROTO_IP, IP_RECVORIGDSTADDR, FOR_ALL, RULE_BOOL, 0, 0, 0},
    {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, FOR_ALL, RULE_BOOL, 0, 0, 0},
    {IPPROTO_IP, IP_MTU, FOR_ALL, RULE_NO_ROUTE, 0, 0, 0},
    {IPPROTO_IP, IP_TRANSPARENT, FOR_ALL, RULE_ADMIN, 0, 0, 1},
    {IPPROTO_IP, IP_MULTICAST_TTL, FOR_UDP, RULE_RANGE, 1, 0, 255},
    {IPPROTO_IP, IP_MULTICAST_LOOP, FOR_ALL, RULE_BOOL, 1, 0, 0},
    {IPPROTO_IP, IP_MULTICAST_ALL, FOR_ALL, RULE_RANGE, 1, 0, 1},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, FOR_ALL, RULE_RANGE, 64, 0, 255},
    {IPPROTO_IPV6, IPV6_TCLASS, FOR_ALL, RULE_TOS, 0, 0, 255},
    {IPPROTO_IPV6, IPV6_RECVTCLASS, FOR_ALL, RULE_BOOL, 0, 0, 0},
    {IPPROTO_IPV6, IPV6_RECVPKTINFO, FOR_ALL, RULE_BOOL, 0, 0, 0},
    {IPPROTO_IPV6, IPV6_RECVHOPLIMIT, FOR_ALL, RULE_BOOL, 0, 0, 0},
    {IPPROTO_IPV6, IPV6_RECVERR, FOR_ALL, RULE_BOOL, 0, 0, 0},
    {IPPROTO_IPV6, IPV6_MTU_DISCOVER, FOR_ALL, RULE_RANGE, 1, 0, 5},
    {IPPROTO_IPV6, IPV6_MTU, FOR_ALL, RULE_NO_ROUTE, 0, 0, 0},
    {IPPROTO_IPV6, IPV6_DONTFRAG, FOR_ALL, RULE_BOOL, 0, 0, 0},
    {IPPROTO_IPV6, IPV6_MULTICAST_IF, FOR_UDP, RULE_RANGE, 0, 0, 1},
    {IPPROTO_IPV6, IPV6_MULTICAST_HOPS, FOR_UDP, RULE_RANGE, 1, 0, 255},
    {IPPROTO_IPV6, IPV6_MULTICAST_LOOP, FOR_ALL, RULE_RANGE, 1, 0, 1},
    {IPPROTO_TCP, TCP_NODELAY, FOR_TCP, RULE_BOOL, 0, 0, 0},
    {IPPROTO_TCP, TCP_MAXSEG, FOR_TCP, RULE_RANGE, 536, 88, 32767},
    {IPPROTO_TCP, TCP_CORK, FOR_TCP, RULE_BOOL, 0, 0, 0},
    {IPPROTO_TCP, TCP_KEEPIDLE, FOR_TCP, RULE_RANGE, 7200, 1, 32767},
    {IPPROTO_TCP, TCP_KEEPINTVL, FOR_TCP, RULE_RANGE, 75, 1, 32767},
    {IPPROTO_TCP, TCP_KEEPCNT, FOR_TCP, RULE_RANGE, 9, 1, 127},
    {IPPROTO_TCP, TCP_SYNCNT, FOR_TCP, RULE_RANGE, 6, 1, 127},
    {IPPROTO_TCP, TCP_LINGER2, FOR_TCP, RULE_RANGE, 60, -1, 120},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT, FOR_TCP, RULE_RANGE, 0, 0, 0x7fffffff},
    {IPPROTO_TCP, TCP_WINDOW_CLAMP, FOR_TCP, RULE_RANGE, 0, 0, 0x7fffffff},
    {IPPROTO_TCP, TCP_QUICKACK, FOR_TCP, RULE_BOOL, 1, 0, 0},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, FOR_TCP, RULE_RANGE, 0, 0, 0x7fffffff},
    {IPPROTO_TCP, TCP_REPAIR, FOR_TCP, RULE_ADMIN, 0, 0, 1},
    {IPPROTO_TCP, TCP_FASTOPEN, FOR_TCP, RULE_RANGE, 0, 0, 0x7fffffff},
    {IPPROTO_TCP, TCP_FASTOPEN_CONNECT, FOR_TCP, RULE_RANGE, 0, 0, 1},
    {IPPROTO_TCP, TCP_TIMESTAMP, FOR_TCP, RULE_READ_ONLY, 0, 0, 0},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT, FOR_TCP, RULE_RANGE, 0, 0, 0x7fffffff},
    {IPPROTO_TCP, TCP_INQ, FOR_TCP, RULE_RANGE, 0, 0, 1},
    {IPPROTO_UDP, UDP_CORK, FOR_UDP, RULE_BOOL, 0, 0, 0},
    {IPPROTO_UDP, 100 /* UDP_ENCAP */, FOR_UDP, RULE_READ_ONLY, 0, 0, 0},
    {IPPROTO_UDP, UDP_SEGMENT, FOR_UDP, RULE_RANGE, 0, 0, 65535},
    {IPPROTO_UDP, UDP_GRO, FOR_UDP, RULE_BOOL, 0, 0, 0},
};

_Static_assert(array_size(table) <= INET_OPTIONS_MAX, "the option table outgrew the socket");

bool inet_v6_only(const struct inet_socket *socket)
{
    return socket->base.domain == AF_INET6 && socket->options[1] != 0;
}

void inet_options_default(struct inet_socket *socket)
{
    for (size_t i = 0; i < array_size(table); i++) {
        socket->options[i] = table[i].initial;
    }
}

/* The row number, or -1. Rows of the other protocol are not found. */
static int row_find(const struct inet_socket *socket, int level, int option)
{
    if (level == IPPROTO_IPV6 && socket->base.domain != AF_INET6) {
        return -1;
    }
    for (size_t i = 0; i < array_size(table); i++) {
        if (table[i].level == level && table[i].option == option) {
            bool transport = level == IPPROTO_TCP || level == IPPROTO_UDP;
            int type = socket->base.type == SOCK_STREAM ? FOR_TCP : FOR_UDP;
            return transport && !(table[i].types & type) ? -1 : (int)i;
        }
    }
    return -1;
}

static int rule_apply(const struct inet_socket *socket, const struct inet_option *row, int *value)
{
    bool tcp = socket->base.type == SOCK_STREAM;
    if (tcp && !(row->types & FOR_TCP)) {
        return row->level == IPPROTO_IP ? -EINVAL : -ENOPROTOOPT;
    }
    switch (row->rule) {
    case RULE_BOOL:
        *value = *value != 0;
        return 0;
    case RULE_TOS:
        *value &= tcp ? 0xfc : 0xff;
        return 0;
    case RULE_READ_ONLY:
        return -ENOPROTOOPT;
    case RULE_NO_ROUTE:
        return row->level == IPPROTO_IP ? -ENOPROTOOPT : -EINVAL;
    case RULE_ADMIN:
        if (!capable(CAP_NET_ADMIN)) {
            return -EPERM;
        }
        break;
    case RULE_RANGE:
        break;
    }
    if (*value == -1 && (row->option == IP_TTL || row->option == IPV6_UNICAST_HOPS)) {
        *value = row->initial; /* Linux: -1 is the default */
    }
    if (*value < row->low || *value > row->high) {
        return -EINVAL;
    }
    return 0;
}

/* Options that are no plain integers. -ENOPROTOOPT: not known. */
static int set_special(const struct inet_socket *socket, int level, int option, uint32_t length)
{
    bool udp = socket->base.type == SOCK_DGRAM;
    if (level == IPPROTO_TCP && option == TCP_CONGESTION && !udp) {
        return length == 0 ? -EINVAL : -ENOENT;
    }
    if (level == IPPROTO_IP && option == IP_MULTICAST_IF) {
        return udp ? -EADDRNOTAVAIL : -EINVAL;
    }
    bool join4 = level == IPPROTO_IP && (option == IP_ADD_MEMBERSHIP || option == MCAST_JOIN_GROUP);
    bool join6 =
        level == IPPROTO_IPV6 && option == IPV6_JOIN_GROUP && socket->base.domain == AF_INET6;
    return join4 || join6 ? -ENODEV : -ENOPROTOOPT;
}

int inet_set_option(struct socket *base, int level, int option, const void *value, uint32_t length)
{
    struct inet_socket *socket = inet_of(base);
    int index = row_find(socket, level, option);
    int number = 0;
    if (index < 0) {
        return set_special(socket, level, option, length);
    }
    if (length >= sizeof(number)) {
        memcpy(&number, value, sizeof(number));
    } else if (length >= 1 && level == IPPROTO_IP) {
        number = *(const unsigned char *)value; /* Linux: IP options may be one byte */
    } else {
        return -EINVAL;
    }
    mutex_lock(&base->lock);
    int result = rule_apply(socket, &table[index], &number);
    if (result == 0 && index == 1 && socket->port != 0) {
        result = -EINVAL; /* IPV6_V6ONLY after bind */
    }
    if (result == 0) {
        if (level == IPPROTO_TCP && option == TCP_WINDOW_CLAMP && number != 0) {
            number = max_of(number, 1152); /* half of SOCK_MIN_RCVBUF */
        }
        socket->options[index] = number;
    }
    mutex_unlock(&base->lock);
    return result;
}

int inet_get_option(struct socket *base, int level, int option, void *value, uint32_t *length)
{
    struct inet_socket *socket = inet_of(base);
    bool tcp = base->type == SOCK_STREAM;
    if (level == IPPROTO_TCP && tcp && option == TCP_CONGESTION) {
        static const char name[16] = "cubic";
        return socket_option_put(value, length, name, sizeof(name));
    }
    if (level == IPPROTO_TCP && tcp && option == TCP_INFO) {
        struct tcp_info info = {.tcpi_state = socket->listening ? TCP_LISTEN : TCP_CLOSE};
        return socket_option_put(value, length, &info, sizeof(info));
    }
    if (level == IPPROTO_IP && option == IP_MULTICAST_IF) {
        return socket_option_put_int(value, length, 0);
    }
    int index = row_find(socket, level, option);
    if (index < 0) {
        /* Measured: IPv4 answers EOPNOTSUPP for levels that are not the socket's. */
        bool own = level == IPPROTO_IP || level == base->protocol;
        return base->domain == AF_INET && !own ? -EOPNOTSUPP : -ENOPROTOOPT;
    }
    if (table[index].rule == RULE_NO_ROUTE) {
        return -ENOTCONN;
    }
    mutex_lock(&base->lock);
    int number = socket->options[index];
    mutex_unlock(&base->lock);
    return socket_option_put_int(value, length, number);
}
