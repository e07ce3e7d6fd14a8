/*
 * netlink_route.c: the answers of NETLINK_ROUTE for a host whose only interface is the loopback:
 * link, addresses, routes and rules; dumps of the rest are empty. Changes are refused (EPERM). The
 * messages follow what Linux 6.18 sends in a network namespace with `lo` up.
 */
#include "sentry/net/netlink_route.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include <linux/capability.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>

#include "platform/base/compiler.h"
#include "sentry/core/cred.h"

#define LOOPBACK 1 /* interface index */
#define MTU      65536

/* --- building messages --- */

static void put_attribute(struct text *text, uint16_t type, const void *data, size_t length)
{
    static const char zeroes[4];
    struct rtattr attribute = {.rta_len = (unsigned short)RTA_LENGTH(length), .rta_type = type};
    text_append(text, &attribute, sizeof(attribute));
    text_append(text, data, length);
    text_append(text, zeroes, RTA_ALIGN(length) - length);
}

static void put_u8(struct text *text, uint16_t type, uint8_t value)
{
    put_attribute(text, type, &value, sizeof(value));
}

static void put_u32(struct text *text, uint16_t type, uint32_t value)
{
    put_attribute(text, type, &value, sizeof(value));
}

/* Where an answer goes: its text, the request it belongs to, the socket and the flags. */
struct reply {
    struct text *text;
    const struct nlmsghdr *request;
    uint32_t port_id;
    uint16_t flags;
};

/* Starts a message; message_end sets its length. Returns where it starts. */
static size_t message_begin(const struct reply *reply, uint16_t type)
{
    struct nlmsghdr header = {
        .nlmsg_type = type,
        .nlmsg_flags = reply->flags,
        .nlmsg_seq = reply->request->nlmsg_seq,
        .nlmsg_pid = reply->port_id,
    };
    size_t start = reply->text->length;
    text_append(reply->text, &header, sizeof(header));
    return start;
}

static void message_end(const struct reply *reply, size_t start)
{
    if (!reply->text->failed) {
        uint32_t length = (uint32_t)(reply->text->length - start);
        memcpy(reply->text->data + start, &length, sizeof(length));
    }
}

static void put_done(struct reply *reply)
{
    int zero = 0;
    size_t start = message_begin(reply, NLMSG_DONE);
    text_append(reply->text, &zero, sizeof(zero));
    message_end(reply, start);
}

/* With the request repeated unless it is only acknowledged. */
static void put_error(struct reply *reply, const unsigned char *body, uint32_t length, int error)
{
    struct nlmsgerr head = {.error = error, .msg = *reply->request};
    reply->flags = error == 0 ? NLM_F_CAPPED : 0;
    size_t start = message_begin(reply, NLMSG_ERROR);
    text_append(reply->text, &head, sizeof(head));
    if (error != 0) {
        text_append(reply->text, body, length);
    }
    message_end(reply, start);
}

/* --- link --- */

static void put_link(const struct reply *reply)
{
    static const unsigned char no_address[6];
    static const struct rtnl_link_stats64 no_stats64;
    static const struct rtnl_link_stats no_stats;
    struct text *text = reply->text;
    struct rtnl_link_ifmap map = {.mem_start = 0};
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC,
                             .ifi_type = ARPHRD_LOOPBACK,
                             .ifi_index = LOOPBACK,
                             .ifi_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING | (1U << 16)};
    size_t start = message_begin(reply, RTM_NEWLINK);
    text_append(text, &info, sizeof(info));
    put_attribute(text, IFLA_IFNAME, "lo", 3);
    put_u32(text, IFLA_TXQLEN, 1000);
    put_u8(text, IFLA_OPERSTATE, 0); /* unknown */
    put_u8(text, IFLA_LINKMODE, 0);
    put_u32(text, IFLA_MTU, MTU);
    put_u32(text, IFLA_MIN_MTU, 0);
    put_u32(text, IFLA_MAX_MTU, 0);
    put_u32(text, IFLA_GROUP, 0);
    put_u32(text, IFLA_PROMISCUITY, 0);
    put_u32(text, IFLA_NUM_TX_QUEUES, 1);
    put_u32(text, IFLA_NUM_RX_QUEUES, 1);
    put_u8(text, IFLA_CARRIER, 1);
    put_u32(text, IFLA_CARRIER_CHANGES, 0);
    put_u8(text, IFLA_PROTO_DOWN, 0);
    put_attribute(text, IFLA_MAP, &map, sizeof(map));
    put_attribute(text, IFLA_ADDRESS, no_address, sizeof(no_address));
    put_attribute(text, IFLA_BROADCAST, no_address, sizeof(no_address));
    put_attribute(text, IFLA_STATS64, &no_stats64, sizeof(no_stats64));
    put_attribute(text, IFLA_STATS, &no_stats, sizeof(no_stats));
    put_attribute(text, IFLA_QDISC, "noqueue", 8);
    message_end(reply, start);
}

/* RTM_GETLINK of one interface: by index or by name. Returns 0 for the loopback, else an errno. */
static int link_wanted(const unsigned char *body, uint32_t length)
{
    struct ifinfomsg info;
    if (length < sizeof(info)) {
        return -EINVAL;
    }
    memcpy(&info, body, sizeof(info));
    if (info.ifi_index != 0) {
        return info.ifi_index == LOOPBACK ? 0 : -ENODEV;
    }
    uint32_t at = NLMSG_ALIGN(sizeof(info));
    while (at + sizeof(struct rtattr) <= length) {
        struct rtattr attribute;
        memcpy(&attribute, body + at, sizeof(attribute));
        if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > length - at) {
            return -EINVAL;
        }
        if (attribute.rta_type == IFLA_IFNAME || attribute.rta_type == IFLA_ALT_IFNAME) {
            uint32_t room = attribute.rta_len - (uint32_t)sizeof(attribute);
            const char *name = (const char *)body + at + sizeof(attribute);
            return room >= 2 && strncmp(name, "lo", room) == 0 ? 0 : -ENODEV;
        }
        at += RTA_ALIGN(attribute.rta_len);
    }
    return -EINVAL;
}

/* --- addresses --- */

static void put_cache_info(struct text *text)
{
    struct ifa_cacheinfo info = {.ifa_prefered = UINT32_MAX, .ifa_valid = UINT32_MAX};
    put_attribute(text, IFA_CACHEINFO, &info, sizeof(info));
}

static void put_addresses(const struct reply *reply, int family)
{
    struct text *text = reply->text;
    if (family == AF_UNSPEC || family == AF_INET) {
        struct ifaddrmsg info = {.ifa_family = AF_INET,
                                 .ifa_prefixlen = 8,
                                 .ifa_flags = IFA_F_PERMANENT,
                                 .ifa_scope = RT_SCOPE_HOST,
                                 .ifa_index = LOOPBACK};
        uint32_t address = htonl(INADDR_LOOPBACK);
        size_t start = message_begin(reply, RTM_NEWADDR);
        text_append(text, &info, sizeof(info));
        put_u32(text, IFA_ADDRESS, address);
        put_u32(text, IFA_LOCAL, address);
        put_attribute(text, IFA_LABEL, "lo", 3);
        put_u32(text, IFA_FLAGS, IFA_F_PERMANENT);
        put_cache_info(text);
        message_end(reply, start);
    }
    if (family == AF_UNSPEC || family == AF_INET6) {
        struct ifaddrmsg info = {.ifa_family = AF_INET6,
                                 .ifa_prefixlen = 128,
                                 .ifa_flags = IFA_F_PERMANENT,
                                 .ifa_scope = RT_SCOPE_HOST,
                                 .ifa_index = LOOPBACK};
        size_t start = message_begin(reply, RTM_NEWADDR);
        text_append(text, &info, sizeof(info));
        put_attribute(text, IFA_ADDRESS, &in6addr_loopback, sizeof(in6addr_loopback));
        put_cache_info(text);
        put_u32(text, IFA_FLAGS, IFA_F_PERMANENT);
        message_end(reply, start);
    }
}

/* --- routes and rules --- */

static void put_route_v4(const struct reply *reply, uint32_t destination, uint8_t bits,
                         uint8_t type, uint8_t scope)
{
    struct text *text = reply->text;
    struct rtmsg info = {.rtm_family = AF_INET,
                         .rtm_dst_len = bits,
                         .rtm_table = RT_TABLE_LOCAL,
                         .rtm_protocol = RTPROT_KERNEL,
                         .rtm_scope = scope,
                         .rtm_type = type};
    size_t start = message_begin(reply, RTM_NEWROUTE);
    text_append(text, &info, sizeof(info));
    put_u32(text, RTA_TABLE, RT_TABLE_LOCAL);
    put_u32(text, RTA_DST, htonl(destination));
    put_u32(text, RTA_PREFSRC, htonl(INADDR_LOOPBACK));
    put_u32(text, RTA_OIF, LOOPBACK);
    message_end(reply, start);
}

static void put_route_v6(const struct reply *reply, bool source)
{
    struct text *text = reply->text;
    struct rta_cacheinfo cache = {.rta_clntref = 0};
    struct rtmsg info = {.rtm_family = AF_INET6,
                         .rtm_dst_len = 128,
                         .rtm_table = RT_TABLE_LOCAL,
                         .rtm_protocol = RTPROT_KERNEL,
                         .rtm_scope = RT_SCOPE_UNIVERSE,
                         .rtm_type = RTN_LOCAL};
    size_t start = message_begin(reply, RTM_NEWROUTE);
    text_append(text, &info, sizeof(info));
    put_u32(text, RTA_TABLE, RT_TABLE_LOCAL);
    put_attribute(text, RTA_DST, &in6addr_loopback, sizeof(in6addr_loopback));
    if (source) {
        put_attribute(text, RTA_PREFSRC, &in6addr_loopback, sizeof(in6addr_loopback));
    }
    put_u32(text, RTA_PRIORITY, 0);
    put_u32(text, RTA_OIF, LOOPBACK);
    put_attribute(text, RTA_CACHEINFO, &cache, sizeof(cache));
    put_u8(text, RTA_PREF, 0);
    message_end(reply, start);
}

static void put_routes(const struct reply *reply, int family)
{
    if (family == AF_UNSPEC || family == AF_INET) {
        put_route_v4(reply, 0x7f000000, 8, RTN_LOCAL, RT_SCOPE_HOST);
        put_route_v4(reply, 0x7f000001, 32, RTN_LOCAL, RT_SCOPE_HOST);
        put_route_v4(reply, 0x7fffffff, 32, RTN_BROADCAST, RT_SCOPE_LINK);
    }
    if (family == AF_UNSPEC || family == AF_INET6) {
        put_route_v6(reply, false);
    }
}

/* RTM_GETROUTE of one destination. */
static int put_route_to(const struct reply *reply, const unsigned char *body, uint32_t length)
{
    struct rtmsg info;
    unsigned char destination[16] = {0};
    uint32_t at = NLMSG_ALIGN(sizeof(info));
    if (length < sizeof(info)) {
        return -EINVAL;
    }
    memcpy(&info, body, sizeof(info));
    if (info.rtm_family != AF_INET && info.rtm_family != AF_INET6) {
        return -EOPNOTSUPP;
    }
    uint32_t size = info.rtm_family == AF_INET ? 4 : 16;
    while (at + sizeof(struct rtattr) <= length) {
        struct rtattr attribute;
        memcpy(&attribute, body + at, sizeof(attribute));
        if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > length - at) {
            return -EINVAL;
        }
        if (attribute.rta_type == RTA_DST) {
            if (attribute.rta_len != RTA_LENGTH(size)) {
                return -EINVAL;
            }
            memcpy(destination, body + at + sizeof(attribute), size);
        }
        at += RTA_ALIGN(attribute.rta_len);
    }
    if (info.rtm_family == AF_INET6) {
        if (memcmp(destination, &in6addr_loopback, sizeof(in6addr_loopback)) != 0) {
            return -ENETUNREACH;
        }
        put_route_v6(reply, true);
        return 0;
    }
    uint32_t host;
    memcpy(&host, destination, sizeof(host));
    host = ntohl(host);
    if (host >> 24 != 127) {
        return -ENETUNREACH;
    }
    put_route_v4(reply, host, 32, host == 0x7fffffff ? RTN_BROADCAST : RTN_LOCAL,
                 RT_SCOPE_UNIVERSE);
    return 0;
}

static void put_rule(const struct reply *reply, int family, uint8_t table, uint32_t priority)
{
    struct text *text = reply->text;
    struct fib_rule_hdr info = {.family = (uint8_t)family, .table = table, .action = FR_ACT_TO_TBL};
    size_t start = message_begin(reply, RTM_NEWRULE);
    text_append(text, &info, sizeof(info));
    put_u32(text, FRA_TABLE, table);
    put_u32(text, FRA_SUPPRESS_PREFIXLEN, UINT32_MAX);
    put_u8(text, FRA_PROTOCOL, RTPROT_KERNEL);
    if (priority != 0) {
        put_u32(text, FRA_PRIORITY, priority);
    }
    message_end(reply, start);
}

static void put_rules(const struct reply *reply, int family)
{
    if (family == AF_UNSPEC || family == AF_INET) {
        put_rule(reply, AF_INET, RT_TABLE_LOCAL, 0);
        put_rule(reply, AF_INET, RT_TABLE_MAIN, 32766);
        put_rule(reply, AF_INET, RT_TABLE_DEFAULT, 32767);
    }
    if (family == AF_UNSPEC || family == AF_INET6) {
        put_rule(reply, AF_INET6, RT_TABLE_LOCAL, 0);
        put_rule(reply, AF_INET6, RT_TABLE_MAIN, 32766);
    }
}

/* --- requests --- */

static void put_dump(struct reply *reply, int family)
{
    reply->flags = NLM_F_MULTI;
    switch (reply->request->nlmsg_type) {
    case RTM_GETLINK:
        put_link(reply);
        break;
    case RTM_GETADDR:
        put_addresses(reply, family);
        break;
    case RTM_GETROUTE:
        put_routes(reply, family);
        break;
    case RTM_GETRULE:
        put_rules(reply, family);
        break;
    default: /* neighbours, queues …: there are none */
        break;
    }
    put_done(reply);
}

/* Changes are refused, but for the one that changes nothing: that the loopback be up. */
static int change(uint16_t type, const unsigned char *body, uint32_t length)
{
    struct ifinfomsg info;
    if (!capable(CAP_NET_ADMIN) || (type != RTM_NEWLINK && type != RTM_SETLINK) ||
        length < sizeof(info)) {
        return -EPERM;
    }
    memcpy(&info, body, sizeof(info));
    int error = link_wanted(body, length);
    if (error != 0) {
        return error;
    }
    return (info.ifi_flags & IFF_UP) == (info.ifi_change & IFF_UP) &&
                   (info.ifi_change & ~(unsigned)IFF_UP) == 0
               ? 0
               : -EPERM;
}

void netlink_route_answer(struct text *text, const struct nlmsghdr *request,
                          const unsigned char *body, uint32_t length, uint32_t port_id)
{
    struct reply reply = {.text = text, .request = request, .port_id = port_id};
    bool dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
    int error = 0;
    if (!(request->nlmsg_flags & NLM_F_REQUEST) || request->nlmsg_type < NLMSG_MIN_TYPE) {
        error = 0; /* Linux: control messages and non-requests are only acknowledged */
    } else if (request->nlmsg_type > RTM_MAX) {
        error = -EOPNOTSUPP;
    } else if ((request->nlmsg_type & 3) != 2) {
        error = change(request->nlmsg_type, body, length); /* not one of RTM_GET… */
    } else if (dump) {
        put_dump(&reply, length > 0 ? body[0] : AF_UNSPEC);
        return;
    } else if (request->nlmsg_type == RTM_GETLINK) {
        error = link_wanted(body, length);
        if (error == 0) {
            put_link(&reply);
        }
    } else if (request->nlmsg_type == RTM_GETROUTE) {
        error = put_route_to(&reply, body, length);
    } else {
        error = -EOPNOTSUPP;
    }
    if (error != 0 || (request->nlmsg_flags & NLM_F_ACK)) {
        put_error(&reply, body, length, error);
    }
}

void netlink_diag_answer(struct text *text, const struct nlmsghdr *request,
                         const unsigned char *body, uint32_t length, uint32_t port_id)
{
    struct reply reply = {.text = text, .request = request, .port_id = port_id};
    bool known =
        request->nlmsg_type == SOCK_DIAG_BY_FAMILY || request->nlmsg_type == TCPDIAG_GETSOCK;
    if (!(request->nlmsg_flags & NLM_F_REQUEST) || request->nlmsg_type < NLMSG_MIN_TYPE) {
        if (request->nlmsg_flags & NLM_F_ACK) {
            put_error(&reply, body, length, 0);
        }
        return;
    }
    put_error(&reply, body, length, known ? -ENOENT : -EINVAL);
}
