/*
 * proc_net.c: /proc/PID/net. The sandbox has a loopback interface, its sockets, and nothing else
 * that these files could tell of. DIFFERS: traffic is not counted.
 */
#include "sentry/fs/proc/internal.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "sentry/net/net_report.h"

#define SHOW(name, string)                                                                         \
    static int name(struct proc_node *node, struct text *out)                                      \
    {                                                                                              \
        (void)node;                                                                                \
        text_puts(out, string);                                                                    \
        return 0;                                                                                  \
    }

SHOW(show_dev,
     "Inter-|   Receive                                                |  Transmit\n"
     " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop "
     "fifo colls carrier compressed\n"
     "    lo:       0       0    0    0    0     0          0         0        0       0    0    0"
     "    0     0       0          0\n")
SHOW(show_route,
     "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"
     "                                                       \n")
SHOW(show_if_inet6, "00000000000000000000000000000001 01 80 10 80       lo\n")
SHOW(show_arp, "IP address       HW type     Flags       HW address            Mask     Device\n")
SHOW(show_snmp,
     "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos "
     "InDiscards InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs "
     "ReasmFails FragOKs FragFails FragCreates OutTransmits\n"
     "Ip: 2 64 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
     "Icmp: InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs "
     "InRedirects InEchos InEchoReps InTimestamps InTimestampReps InAddrMasks InAddrMaskReps "
     "OutMsgs OutErrors OutRateLimitGlobal OutRateLimitHost OutDestUnreachs OutTimeExcds "
     "OutParmProbs OutSrcQuenchs OutRedirects OutEchos OutEchoReps OutTimestamps OutTimestampReps "
     "OutAddrMasks OutAddrMaskReps\n"
     "Icmp: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
     "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets "
     "CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors\n"
     "Tcp: 1 200 120000 -1 0 0 0 0 0 0 0 0 0 0 0\n"
     "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors "
     "IgnoredMulti MemErrors\n"
     "Udp: 0 0 0 0 0 0 0 0 0\n"
     "UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors "
     "IgnoredMulti MemErrors\n"
     "UdpLite: 0 0 0 0 0 0 0 0 0\n")
SHOW(show_netstat, "TcpExt: SyncookiesSent SyncookiesRecv ListenOverflows ListenDrops\n"
                   "TcpExt: 0 0 0 0\n"
                   "IpExt: InNoRoutes InOctets OutOctets\n"
                   "IpExt: 0 0 0\n")
SHOW(show_ipv6_route,
     "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
     "00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n"
     "00000000000000000000000000000001 80 00000000000000000000000000000000 00 "
     "00000000000000000000000000000000 00000000 00000002 00000000 80200001       lo\n"
     "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
     "00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n")
#define TRIE                                                                                       \
    "  +-- 127.0.0.0/8 2 0 2\n     +-- 127.0.0.0/31 1 0 0\n        |-- 127.0.0.0\n"                \
    "           /8 host LOCAL\n        |-- 127.0.0.1\n           /32 host LOCAL\n"                 \
    "     |-- 127.255.255.255\n        /32 link BROADCAST\n"
SHOW(show_fib_trie, "Main:\n" TRIE "Local:\n" TRIE)
SHOW(show_netlink, "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops"
                   "    Inode\n")
SHOW(show_packet, "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n")
SHOW(show_psched, "000003e8 00000040 000f4240 3b9aca00\n")
SHOW(show_igmp, "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n")
SHOW(show_raw, "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
               "timeout inode ref pointer drops\n")
SHOW(show_empty, "")

#define SHOW_SOCKETS(name, domain, protocol)                                                       \
    static int name(struct proc_node *node, struct text *out)                                      \
    {                                                                                              \
        (void)node;                                                                                \
        return net_report_inet(out, domain, protocol);                                             \
    }

SHOW_SOCKETS(show_tcp, AF_INET, IPPROTO_TCP)
SHOW_SOCKETS(show_tcp6, AF_INET6, IPPROTO_TCP)
SHOW_SOCKETS(show_udp, AF_INET, IPPROTO_UDP)
SHOW_SOCKETS(show_udp6, AF_INET6, IPPROTO_UDP)
SHOW_SOCKETS(show_udplite, AF_INET, IPPROTO_UDPLITE)
SHOW_SOCKETS(show_udplite6, AF_INET6, IPPROTO_UDPLITE)

static int show_unix(struct proc_node *node, struct text *out)
{
    (void)node;
    return net_report_unix(out);
}

static int show_sockstat(struct proc_node *node, struct text *out)
{
    (void)node;
    return net_report_sockstat(out, AF_INET);
}

static int show_sockstat6(struct proc_node *node, struct text *out)
{
    (void)node;
    return net_report_sockstat(out, AF_INET6);
}

const struct proc_entry proc_net[] = {
    PROC_FILE("arp", 0444, PROC_WORLD, show_arp),
    PROC_FILE("dev", 0444, PROC_WORLD, show_dev),
    PROC_FILE("dev_mcast", 0444, PROC_WORLD, show_empty),
    PROC_FILE("fib_trie", 0444, PROC_WORLD, show_fib_trie),
    PROC_FILE("icmp", 0444, PROC_WORLD, show_raw),
    PROC_FILE("if_inet6", 0444, PROC_WORLD, show_if_inet6),
    PROC_FILE("igmp", 0444, PROC_WORLD, show_igmp),
    PROC_FILE("igmp6", 0444, PROC_WORLD, show_empty),
    PROC_FILE("ipv6_route", 0444, PROC_WORLD, show_ipv6_route),
    PROC_FILE("netlink", 0444, PROC_WORLD, show_netlink),
    PROC_FILE("netstat", 0444, PROC_WORLD, show_netstat),
    PROC_FILE("packet", 0444, PROC_WORLD, show_packet),
    PROC_FILE("psched", 0444, PROC_WORLD, show_psched),
    PROC_FILE("raw", 0444, PROC_WORLD, show_raw),
    PROC_FILE("raw6", 0444, PROC_WORLD, show_raw),
    PROC_FILE("route", 0444, PROC_WORLD, show_route),
    PROC_FILE("snmp", 0444, PROC_WORLD, show_snmp),
    PROC_FILE("sockstat", 0444, PROC_WORLD, show_sockstat),
    PROC_FILE("sockstat6", 0444, PROC_WORLD, show_sockstat6),
    PROC_FILE("tcp", 0444, PROC_WORLD, show_tcp),
    PROC_FILE("tcp6", 0444, PROC_WORLD, show_tcp6),
    PROC_FILE("udp", 0444, PROC_WORLD, show_udp),
    PROC_FILE("udp6", 0444, PROC_WORLD, show_udp6),
    PROC_FILE("udplite", 0444, PROC_WORLD, show_udplite),
    PROC_FILE("udplite6", 0444, PROC_WORLD, show_udplite6),
    PROC_FILE("unix", 0444, PROC_WORLD, show_unix),
    {.name = NULL},
};
