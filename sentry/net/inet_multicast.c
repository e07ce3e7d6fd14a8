/*
 * inet_multicast.c: memberships of multicast groups on the loopback. Source: Linux
 * ip_mc_join_group, ip_mc_leave_group, ip_mc_source, ip_mc_sf_allow; ip(7), ipv6(7).
 */
#include "sentry/net/inet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GROUPS_MAX 20 /* net.ipv4.igmp_max_memberships */

/* A request in any of the forms that setsockopt takes. */
struct request {
    bool leave;
    struct in6_addr group, source;
    bool has_source;
    uint32_t interface; /* 0: by address, or by the route */
    struct in_addr address;
};

static bool is_group(const struct in6_addr *addr)
{
    return inet_scope_of(addr) == INET_SCOPE_MULTICAST;
}

static int parse_mreq(const void *value, uint32_t length, struct request *ret)
{
    struct ip_mreqn mreq = {.imr_ifindex = 0};
    if (length < sizeof(struct ip_mreq)) {
        return -EINVAL;
    }
    memcpy(&mreq, value, length >= sizeof(mreq) ? sizeof(mreq) : sizeof(struct ip_mreq));
    ret->group = inet_from_v4(mreq.imr_multiaddr.s_addr);
    ret->interface = (uint32_t)mreq.imr_ifindex;
    ret->address = mreq.imr_address;
    return 0;
}

static int parse_source(const void *value, uint32_t length, struct request *ret)
{
    struct ip_mreq_source mreq;
    if (length != sizeof(mreq)) {
        return -EINVAL;
    }
    memcpy(&mreq, value, sizeof(mreq));
    ret->group = inet_from_v4(mreq.imr_multiaddr.s_addr);
    ret->address = mreq.imr_interface;
    ret->source = inet_from_v4(mreq.imr_sourceaddr.s_addr);
    ret->has_source = true;
    return 0;
}

static int parse_mreq6(const void *value, uint32_t length, struct request *ret)
{
    struct ipv6_mreq mreq;
    if (length < sizeof(mreq)) {
        return -EINVAL;
    }
    memcpy(&mreq, value, sizeof(mreq));
    ret->group = mreq.ipv6mr_multiaddr;
    ret->interface = mreq.ipv6mr_interface;
    return inet_is_mapped(&ret->group) ? -EINVAL : 0;
}

static int parse_storage(const struct sockaddr_storage *storage, int family, struct in6_addr *ret)
{
    if (storage->ss_family != family) {
        return -EINVAL;
    }
    if (family == AF_INET) {
        *ret = inet_from_v4(((const struct sockaddr_in *)(const void *)storage)->sin_addr.s_addr);
    } else {
        *ret = ((const struct sockaddr_in6 *)(const void *)storage)->sin6_addr;
    }
    return 0;
}

static int parse_group_req(const void *value, uint32_t length, int family, bool source,
                           struct request *ret)
{
    struct group_source_req request = {.gsr_interface = 0};
    size_t size = source ? sizeof(request) : sizeof(struct group_req);
    if (length < size) {
        return -EINVAL;
    }
    memcpy(&request, value, size);
    ret->interface = request.gsr_interface;
    ret->has_source = source;
    int result = parse_storage(&request.gsr_group, family, &ret->group);
    return result == 0 && source ? parse_storage(&request.gsr_source, family, &ret->source)
                                 : result;
}

/* -ENOPROTOOPT: no option about memberships. */
static int parse(int level, int option, const void *value, uint32_t length, struct request *ret)
{
    int family = level == IPPROTO_IP ? AF_INET : AF_INET6;
    ret->leave = option == MCAST_LEAVE_GROUP || option == MCAST_LEAVE_SOURCE_GROUP ||
                 (level == IPPROTO_IP &&
                  (option == IP_DROP_MEMBERSHIP || option == IP_DROP_SOURCE_MEMBERSHIP)) ||
                 (level == IPPROTO_IPV6 && option == IPV6_DROP_MEMBERSHIP);
    switch (option) {
    case MCAST_JOIN_GROUP:
    case MCAST_LEAVE_GROUP:
        return parse_group_req(value, length, family, false, ret);
    case MCAST_JOIN_SOURCE_GROUP:
    case MCAST_LEAVE_SOURCE_GROUP:
        return parse_group_req(value, length, family, true, ret);
    case MCAST_BLOCK_SOURCE:
    case MCAST_UNBLOCK_SOURCE:
    case MCAST_MSFILTER:
        return -EINVAL;
    default:
        break;
    }
    if (level == IPPROTO_IPV6) {
        return option == IPV6_ADD_MEMBERSHIP || option == IPV6_DROP_MEMBERSHIP
                   ? parse_mreq6(value, length, ret)
                   : -ENOPROTOOPT;
    }
    switch (option) {
    case IP_ADD_MEMBERSHIP:
    case IP_DROP_MEMBERSHIP:
        return parse_mreq(value, length, ret);
    case IP_ADD_SOURCE_MEMBERSHIP:
    case IP_DROP_SOURCE_MEMBERSHIP:
        return parse_source(value, length, ret);
    case IP_BLOCK_SOURCE:
    case IP_UNBLOCK_SOURCE:
    case IP_MSFILTER:
        return -EINVAL;
    default:
        return -ENOPROTOOPT;
    }
}

/* Linux: ip_mc_find_dev: without interface and address the route decides, and there is none. */
static int check_interface(const struct request *request, bool v4)
{
    if (request->interface != 0) {
        return request->interface == INET_LOOPBACK_INDEX ? 0 : -ENODEV;
    }
    if (v4) {
        return ntohl(request->address.s_addr) >> 24 == 127 ? 0 : -ENODEV;
    }
    return -ENODEV;
}

struct inet_groups {
    uint32_t count;
    struct {
        struct in6_addr addr;
        struct in6_addr source; /* unspecified: any */
    } items[GROUPS_MAX];
};

/* The place of a membership, or -1. */
static int find_locked(const struct inet_groups *groups, const struct request *request)
{
    for (uint32_t i = 0; groups && i < groups->count; i++) {
        if (inet_addr_equal(&groups->items[i].addr, &request->group) &&
            inet_addr_equal(&groups->items[i].source, &request->source)) {
            return (int)i;
        }
    }
    return -1;
}

static int change_locked(struct inet_socket *socket, const struct request *request)
{
    struct inet_groups *groups = socket->groups;
    int found = find_locked(groups, request);
    if (request->leave) {
        if (found < 0) {
            return -EADDRNOTAVAIL;
        }
        groups->items[found] = groups->items[--groups->count];
        return 0;
    }
    if (found >= 0) {
        return -EADDRINUSE;
    }
    if (!groups) {
        groups = socket->groups = calloc(1, sizeof(*groups));
        if (!groups) {
            return -ENOMEM;
        }
    }
    if (groups->count == GROUPS_MAX) {
        return -ENOBUFS;
    }
    groups->items[groups->count].addr = request->group;
    groups->items[groups->count].source = request->source;
    groups->count++;
    return 0;
}

int inet_set_membership(struct inet_socket *socket, int level, int option, const void *value,
                        uint32_t length)
{
    struct request request = {.leave = false};
    int result = parse(level, option, value, length, &request);
    if (result == -ENOPROTOOPT) {
        return result;
    }
    if (inet_is_tcp(socket) && (option == (level == IPPROTO_IP ? IP_ADD_MEMBERSHIP : -1) ||
                                option == (level == IPPROTO_IP ? IP_DROP_MEMBERSHIP : -1))) {
        return -EPROTO; /* Linux: streams know the newer options only */
    }
    if (result != 0) {
        return result;
    }
    if (!is_group(&request.group)) {
        return -EINVAL;
    }
    result = check_interface(&request, level == IPPROTO_IP);
    if (result != 0) {
        return result;
    }
    mutex_lock(&socket->base.lock);
    result = change_locked(socket, &request);
    mutex_unlock(&socket->base.lock);
    return result;
}

bool inet_is_member_locked(const struct inet_socket *socket, const struct in6_addr *group)
{
    const struct inet_groups *groups = socket->groups;
    for (uint32_t i = 0; groups && i < groups->count; i++) {
        if (inet_addr_equal(&groups->items[i].addr, group)) {
            return true;
        }
    }
    return false;
}

bool inet_takes_group_locked(const struct inet_socket *socket, const struct in6_addr *group,
                             const struct in6_addr *source)
{
    const struct inet_groups *groups = socket->groups;
    for (uint32_t i = 0; groups && i < groups->count; i++) {
        if (inet_addr_equal(&groups->items[i].addr, group) &&
            (IN6_IS_ADDR_UNSPECIFIED(&groups->items[i].source) ||
             inet_addr_equal(&groups->items[i].source, source))) {
            return true;
        }
    }
    int row = inet_is_mapped(group) ? INET_IP_MULTICAST_ALL : INET_IPV6_MULTICAST_ALL;
    return !inet_is_member_locked(socket, group) && socket->options[row] != 0;
}
