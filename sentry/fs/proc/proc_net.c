/*
 * proc_net.c: /proc/PID/net. The sandbox has a loopback interface and nothing else that these files
 * could tell of. DIFFERS: sockets are not listed; the headers are there for programs that parse
 * them.
 */
#include "sentry/fs/proc/internal.h"

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
SHOW(show_unix, "Num       RefCount Protocol Flags    Type St Inode Path\n")
SHOW(show_tcp, "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
               "timeout inode                                                     \n")
SHOW(show_udp,
     "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
     "timeout inode ref pointer drops             \n")
SHOW(show_tcp6,
     "  sl  local_address                         remote_address                        st "
     "tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n")
SHOW(show_udp6,
     "  sl  local_address                         remote_address                        st "
     "tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n")
SHOW(show_route,
     "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"
     "                                                       \n")
SHOW(show_if_inet6, "00000000000000000000000000000001 01 80 10 80       lo\n")
SHOW(show_arp, "IP address       HW type     Flags       HW address            Mask     Device\n")
SHOW(show_snmp,
     "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos "
     "InDiscards InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs "
     "ReasmFails FragOKs FragFails FragCreates\n"
     "Ip: 2 64 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
     "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets "
     "CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors\n"
     "Tcp: 1 200 120000 -1 0 0 0 0 0 0 0 0 0 0 0\n"
     "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors "
     "IgnoredMulti MemErrors\n"
     "Udp: 0 0 0 0 0 0 0 0 0\n")
SHOW(show_sockstat,
     "sockets: used 0\nTCP: inuse 0 orphan 0 tw 0 alloc 0 mem 0\nUDP: inuse 0 mem 0\n"
     "UDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n")
SHOW(show_empty, "")

const struct proc_entry proc_net[] = {
    PROC_FILE("arp", 0444, PROC_WORLD, show_arp),
    PROC_FILE("dev", 0444, PROC_WORLD, show_dev),
    PROC_FILE("if_inet6", 0444, PROC_WORLD, show_if_inet6),
    PROC_FILE("ipv6_route", 0444, PROC_WORLD, show_empty),
    PROC_FILE("netlink", 0444, PROC_WORLD, show_empty),
    PROC_FILE("packet", 0444, PROC_WORLD, show_empty),
    PROC_FILE("route", 0444, PROC_WORLD, show_route),
    PROC_FILE("snmp", 0444, PROC_WORLD, show_snmp),
    PROC_FILE("sockstat", 0444, PROC_WORLD, show_sockstat),
    PROC_FILE("tcp", 0444, PROC_WORLD, show_tcp),
    PROC_FILE("tcp6", 0444, PROC_WORLD, show_tcp6),
    PROC_FILE("udp", 0444, PROC_WORLD, show_udp),
    PROC_FILE("udp6", 0444, PROC_WORLD, show_udp6),
    PROC_FILE("unix", 0444, PROC_WORLD, show_unix),
    {.name = NULL},
};
