/*
 * inet_address.c: addresses and routes of a host whose only interface is the loopback, which has
 * 127.0.0.1/8 and ::1/128. Behaviour was measured on Linux 6.18 in a network namespace with `lo`
 * up.
 */
#include "sentry/net/inet.h"

#include <errno.h>
#include <string.h>

#define SIN6_LEN_RFC2133 24

static const struct in6_addr loopback_v6 = IN6ADDR_LOOPBACK_INIT;

bool inet_is_mapped(const struct in6_addr *addr)
{
    return IN6_IS_ADDR_V4MAPPED(addr);
}

struct in6_addr inet_from_v4(uint32_t addr)
{
    struct in6_addr mapped = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(&mapped.s6_addr[12], &addr, sizeof(addr));
    return mapped;
}

uint32_t inet_to_v4(const struct in6_addr *addr)
{
    uint32_t v4;
    memcpy(&v4, &addr->s6_addr[12], sizeof(v4));
    return v4;
}

bool inet_addr_equal(const struct in6_addr *a, const struct in6_addr *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

bool inet_is_any(const struct in6_addr *addr)
{
    return IN6_IS_ADDR_UNSPECIFIED(addr) ||
           (inet_is_mapped(addr) && inet_to_v4(addr) == INADDR_ANY);
}

static enum inet_scope scope_of_v4(uint32_t addr)
{
    uint32_t host = ntohl(addr);
    if (host == INADDR_ANY) {
        return INET_SCOPE_ANY;
    }
    if (host == INADDR_BROADCAST) {
        return INET_SCOPE_LIMITED;
    }
    if (IN_MULTICAST(host)) {
        return INET_SCOPE_MULTICAST;
    }
    if (host >> 24 == 127) {
        return host == 0x7fffffff ? INET_SCOPE_BROADCAST : INET_SCOPE_LOCAL;
    }
    return INET_SCOPE_OTHER;
}

enum inet_scope inet_scope_of(const struct in6_addr *addr)
{
    if (inet_is_mapped(addr)) {
        return scope_of_v4(inet_to_v4(addr));
    }
    if (IN6_IS_ADDR_UNSPECIFIED(addr)) {
        return INET_SCOPE_ANY;
    }
    if (IN6_IS_ADDR_LOOPBACK(addr)) {
        return INET_SCOPE_LOCAL;
    }
    if (IN6_IS_ADDR_MULTICAST(addr)) {
        return INET_SCOPE_MULTICAST;
    }
    return IN6_IS_ADDR_LINKLOCAL(addr) ? INET_SCOPE_LINK : INET_SCOPE_OTHER;
}

static void endpoint_v4(const struct sockaddr_in *in, struct inet_endpoint *ret)
{
    ret->addr = inet_from_v4(in->sin_addr.s_addr);
    ret->port = ntohs(in->sin_port);
    ret->scope = 0;
}

static void endpoint_v6(const struct sockaddr_in6 *in6, uint32_t length, struct inet_endpoint *ret)
{
    ret->addr = in6->sin6_addr;
    ret->port = ntohs(in6->sin6_port);
    ret->scope = length >= sizeof(*in6) ? in6->sin6_scope_id : 0;
}

int inet_parse_destination(const struct inet_socket *socket, const struct socket_address *name,
                           struct inet_endpoint *ret)
{
    const struct sockaddr_in *in = (const void *)&name->storage;
    bool udp = !inet_is_tcp(socket);
    if (!inet_is_v6(socket)) {
        if (name->length < sizeof(*in)) {
            return -EINVAL;
        }
        if (name->any.sa_family != AF_INET && !(udp && name->any.sa_family == AF_UNSPEC)) {
            return -EAFNOSUPPORT;
        }
        endpoint_v4(in, ret);
        return 0;
    }
    if (udp && name->any.sa_family == AF_INET) {
        if (name->length < sizeof(*in)) {
            return -EINVAL;
        }
        endpoint_v4(in, ret);
        return inet_v6_only(socket) ? -ENETUNREACH : 0;
    }
    if (name->length < SIN6_LEN_RFC2133) {
        return -EINVAL;
    }
    if (name->any.sa_family != AF_INET6) {
        return -EAFNOSUPPORT;
    }
    endpoint_v6((const void *)&name->storage, name->length, ret);
    if (inet_is_mapped(&ret->addr) && inet_v6_only(socket)) {
        return -ENETUNREACH;
    }
    return 0;
}

/* Groups are reached only when the interface is told: by option, or by the source address. */
static bool multicast_reaches(const struct inet_socket *socket, bool v4,
                              const struct in6_addr *source)
{
    /* Linux: the loopback has no route to IPv6 groups */
    return v4 && (inet_scope_of(source) == INET_SCOPE_LOCAL ||
                  socket->options[INET_IP_MULTICAST_IF] != 0);
}

int inet_route(const struct inet_socket *socket, struct inet_endpoint *destination,
               struct in6_addr *source)
{
    bool v4 = inet_is_mapped(&destination->addr);
    bool udp = !inet_is_tcp(socket);
    if (!inet_is_any(source) && inet_is_mapped(source) != v4) {
        return v4 ? -ENETUNREACH : -EINVAL;
    }
    switch (inet_scope_of(&destination->addr)) {
    case INET_SCOPE_ANY:
        destination->addr = v4 ? inet_from_v4(htonl(INADDR_LOOPBACK)) : loopback_v6;
        break;
    case INET_SCOPE_LOCAL:
        break;
    case INET_SCOPE_BROADCAST:
        if (!udp) {
            return -ENETUNREACH;
        }
        if (!socket->base.options.values[SO_BROADCAST]) {
            return -EACCES;
        }
        break;
    case INET_SCOPE_MULTICAST:
        if (!udp || !multicast_reaches(socket, v4, source)) {
            return -ENETUNREACH;
        }
        break;
    case INET_SCOPE_LINK:
        return udp && destination->scope != 0 ? -ENETUNREACH
               : destination->scope           ? -ENETUNREACH
                                              : -EINVAL;
    case INET_SCOPE_LIMITED:
    case INET_SCOPE_OTHER:
        return -ENETUNREACH;
    }
    if (inet_is_any(source)) {
        *source = v4 ? inet_from_v4(htonl(INADDR_LOOPBACK)) : loopback_v6;
    }
    return 0;
}

static int local_check_v6(const struct inet_socket *socket, const struct inet_endpoint *local)
{
    bool free_bind = socket->options[INET_IP_FREEBIND] || socket->options[INET_IP_TRANSPARENT];
    enum inet_scope scope = inet_scope_of(&local->addr);
    if (inet_is_mapped(&local->addr)) {
        if (inet_v6_only(socket)) {
            return -EINVAL;
        }
        return scope == INET_SCOPE_ANY || scope == INET_SCOPE_LOCAL || free_bind ? 0
                                                                                 : -EADDRNOTAVAIL;
    }
    switch (scope) {
    case INET_SCOPE_ANY:
    case INET_SCOPE_LOCAL:
        return 0;
    case INET_SCOPE_MULTICAST:
        if (inet_is_tcp(socket)) {
            return -EINVAL;
        }
        return IN6_IS_ADDR_MC_LINKLOCAL(&local->addr) && local->scope == 0 ? -EINVAL : 0;
    case INET_SCOPE_LINK:
        return local->scope == 0 ? -EINVAL : -EADDRNOTAVAIL;
    default:
        return free_bind ? 0 : -EADDRNOTAVAIL;
    }
}

int inet_parse_local(const struct inet_socket *socket, const struct socket_address *name,
                     struct inet_endpoint *ret)
{
    if (inet_is_v6(socket)) {
        if (name->length < SIN6_LEN_RFC2133) {
            return -EINVAL;
        }
        if (name->any.sa_family != AF_INET6) {
            return -EAFNOSUPPORT;
        }
        endpoint_v6((const void *)&name->storage, name->length, ret);
        return local_check_v6(socket, ret);
    }
    const struct sockaddr_in *in = (const void *)&name->storage;
    if (name->length < sizeof(*in)) {
        return -EINVAL;
    }
    if (name->any.sa_family != AF_INET &&
        (name->any.sa_family != AF_UNSPEC || in->sin_addr.s_addr != INADDR_ANY)) {
        return -EAFNOSUPPORT;
    }
    endpoint_v4(in, ret);
    bool free_bind = socket->options[INET_IP_FREEBIND] || socket->options[INET_IP_TRANSPARENT];
    return inet_scope_of(&ret->addr) != INET_SCOPE_OTHER || free_bind ? 0 : -EADDRNOTAVAIL;
}
