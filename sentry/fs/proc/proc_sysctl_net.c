/*
 * proc_sysctl_net.c: /proc/sys/net. What the loopback goes by is true and may be written by who has
 * CAP_NET_ADMIN; the rest are Linux's defaults, read-only. Source:
 * Documentation/networking/ip-sysctl.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>

#include "sentry/core/cred.h"
#include "sentry/fs/proc/internal.h"
#include "sentry/net/inet.h"
#include "sentry/net/udp.h"

#define VALUE(name, string)                                                                        \
    static int show_##name(struct proc_node *node, struct text *out)                               \
    {                                                                                              \
        (void)node;                                                                                \
        text_puts(out, string "\n");                                                               \
        return 0;                                                                                  \
    }
#define ROW(n)       PROC_FILE(#n, 0444, 0, show_##n)
#define ROW_AS(n, f) PROC_FILE(n, 0444, 0, show_##f)
#define END                                                                                        \
    {                                                                                              \
        .name = NULL                                                                               \
    }

VALUE(netdev_max_backlog, "1000")
VALUE(optmem_max, "131072")
VALUE(rmem_default, "212992")
VALUE(rmem_max, "212992")
VALUE(somaxconn, "4096")
VALUE(wmem_default, "212992")
VALUE(wmem_max, "212992")
VALUE(icmp_echo_ignore_all, "0")
VALUE(igmp_max_memberships, "20")
VALUE(ip_default_ttl, "64")
VALUE(ip_forward, "0")
VALUE(ip_local_reserved_ports, "")
VALUE(ip_no_pmtu_disc, "0")
VALUE(ip_nonlocal_bind, "0")
VALUE(tcp_abort_on_overflow, "0")
VALUE(tcp_allowed_congestion_control, "reno cubic")
VALUE(tcp_autocorking, "1")
VALUE(tcp_available_congestion_control, "reno cubic")
VALUE(tcp_base_mss, "1024")
VALUE(tcp_congestion_control, "cubic")
VALUE(tcp_ecn, "2")
VALUE(tcp_fastopen, "1")
VALUE(tcp_fin_timeout, "60")
VALUE(tcp_keepalive_intvl, "75")
VALUE(tcp_keepalive_probes, "9")
VALUE(tcp_keepalive_time, "7200")
VALUE(tcp_max_orphans, "65536")
VALUE(tcp_max_syn_backlog, "512")
VALUE(tcp_max_tw_buckets, "65536")
VALUE(tcp_mem, "16384\t21845\t32768")
VALUE(tcp_min_snd_mss, "48")
VALUE(tcp_moderate_rcvbuf, "1")
VALUE(tcp_mtu_probing, "0")
VALUE(tcp_no_metrics_save, "0")
VALUE(tcp_notsent_lowat, "4294967295")
VALUE(tcp_orphan_retries, "0")
VALUE(tcp_retries1, "3")
VALUE(tcp_retries2, "15")
VALUE(tcp_rfc1337, "0")
VALUE(tcp_rmem, "4096\t131072\t6291456")
VALUE(tcp_sack, "1")
VALUE(tcp_slow_start_after_idle, "1")
VALUE(tcp_stdurg, "0")
VALUE(tcp_syn_retries, "6")
VALUE(tcp_synack_retries, "5")
VALUE(tcp_syncookies, "1")
VALUE(tcp_timestamps, "1")
VALUE(tcp_tw_reuse, "2")
VALUE(tcp_window_scaling, "1")
VALUE(tcp_wmem, "4096\t16384\t4194304")
VALUE(udp_mem, "32768\t43690\t65536")
VALUE(udp_rmem_min, "4096")
VALUE(udp_wmem_min, "4096")
VALUE(max_dgram_qlen, "512")
VALUE(disable_ipv6, "0")
VALUE(bindv6only, "0")
VALUE(auto_flowlabels, "1")
VALUE(one, "1")
VALUE(zero, "0")

static int show_ip_local_port_range(struct proc_node *node, struct text *out)
{
    (void)node;
    text_printf(out, "%u\t%u\n", atomic_load(&inet_port_low), atomic_load(&inet_port_high));
    return 0;
}

static int write_ip_local_port_range(struct proc_node *node, char *data, size_t length)
{
    unsigned low, high;
    (void)node;
    (void)length;
    if (!capable(CAP_NET_ADMIN)) {
        return -EPERM;
    }
    if (sscanf(data, "%u %u", &low, &high) != 2 || low < 1 || high > 65535 || low > high ||
        low < atomic_load(&inet_unprivileged_port)) {
        return -EINVAL;
    }
    atomic_store(&inet_port_low, low);
    atomic_store(&inet_port_high, high);
    return 0;
}

static int show_ping_group_range(struct proc_node *node, struct text *out)
{
    (void)node;
    text_printf(out, "%u\t%u\n", atomic_load(&icmp_group_low), atomic_load(&icmp_group_high));
    return 0;
}

static int write_ping_group_range(struct proc_node *node, char *data, size_t length)
{
    unsigned low, high;
    (void)node;
    (void)length;
    if (!capable(CAP_NET_ADMIN)) {
        return -EPERM;
    }
    if (sscanf(data, "%u %u", &low, &high) != 2) {
        return -EINVAL;
    }
    atomic_store(&icmp_group_low, low > high ? 1 : low); /* Linux: then the range is empty */
    atomic_store(&icmp_group_high, low > high ? 0 : high);
    return 0;
}

static int show_ip_unprivileged_port_start(struct proc_node *node, struct text *out)
{
    (void)node;
    text_printf(out, "%u\n", atomic_load(&inet_unprivileged_port));
    return 0;
}

static int write_ip_unprivileged_port_start(struct proc_node *node, char *data, size_t length)
{
    unsigned port;
    (void)node;
    (void)length;
    if (!capable(CAP_NET_ADMIN)) {
        return -EPERM;
    }
    if (sscanf(data, "%u", &port) != 1 || port > 65535 || port > atomic_load(&inet_port_low)) {
        return -EINVAL;
    }
    atomic_store(&inet_unprivileged_port, port);
    return 0;
}

static const struct proc_entry core_rows[] = {
    ROW(netdev_max_backlog), ROW(optmem_max),   ROW(rmem_default), ROW(rmem_max),
    ROW(somaxconn),          ROW(wmem_default), ROW(wmem_max),     END,
};
static const struct proc_entry ipv4_interface_rows[] = {
    ROW_AS("accept_local", zero), ROW_AS("forwarding", zero), ROW_AS("route_localnet", zero),
    ROW_AS("rp_filter", zero), END};
static const struct proc_entry ipv4_conf_rows[] = {PROC_DIR("all", ipv4_interface_rows),
                                                   PROC_DIR("default", ipv4_interface_rows),
                                                   PROC_DIR("lo", ipv4_interface_rows), END};
static const struct proc_entry ipv4_rows[] = {
    PROC_DIR("conf", ipv4_conf_rows),
    ROW(icmp_echo_ignore_all),
    ROW(igmp_max_memberships),
    ROW(ip_default_ttl),
    ROW(ip_forward),
    PROC_WRITABLE("ip_local_port_range", 0644, 0, show_ip_local_port_range,
                  write_ip_local_port_range),
    ROW(ip_local_reserved_ports),
    ROW(ip_no_pmtu_disc),
    ROW(ip_nonlocal_bind),
    PROC_WRITABLE("ip_unprivileged_port_start", 0644, 0, show_ip_unprivileged_port_start,
                  write_ip_unprivileged_port_start),
    PROC_WRITABLE("ping_group_range", 0644, 0, show_ping_group_range, write_ping_group_range),
    ROW(tcp_abort_on_overflow),
    ROW(tcp_allowed_congestion_control),
    ROW(tcp_autocorking),
    ROW(tcp_available_congestion_control),
    ROW(tcp_base_mss),
    ROW(tcp_congestion_control),
    ROW(tcp_ecn),
    ROW(tcp_fastopen),
    ROW(tcp_fin_timeout),
    ROW(tcp_keepalive_intvl),
    ROW(tcp_keepalive_probes),
    ROW(tcp_keepalive_time),
    ROW(tcp_max_orphans),
    ROW(tcp_max_syn_backlog),
    ROW(tcp_max_tw_buckets),
    ROW(tcp_mem),
    ROW(tcp_min_snd_mss),
    ROW(tcp_moderate_rcvbuf),
    ROW(tcp_mtu_probing),
    ROW(tcp_no_metrics_save),
    ROW(tcp_notsent_lowat),
    ROW(tcp_orphan_retries),
    ROW(tcp_retries1),
    ROW(tcp_retries2),
    ROW(tcp_rfc1337),
    ROW(tcp_rmem),
    ROW(tcp_sack),
    ROW(tcp_slow_start_after_idle),
    ROW(tcp_stdurg),
    ROW(tcp_syn_retries),
    ROW(tcp_synack_retries),
    ROW(tcp_syncookies),
    ROW(tcp_timestamps),
    ROW(tcp_tw_reuse),
    ROW(tcp_window_scaling),
    ROW(tcp_wmem),
    ROW(udp_mem),
    ROW(udp_rmem_min),
    ROW(udp_wmem_min),
    END,
};
static const struct proc_entry ipv6_interface_rows[] = {ROW_AS("accept_ra", one), ROW(disable_ipv6),
                                                        ROW_AS("forwarding", zero), END};
static const struct proc_entry ipv6_conf_rows[] = {PROC_DIR("all", ipv6_interface_rows),
                                                   PROC_DIR("default", ipv6_interface_rows),
                                                   PROC_DIR("lo", ipv6_interface_rows), END};
static const struct proc_entry ipv6_rows[] = {ROW(auto_flowlabels), ROW(bindv6only),
                                              PROC_DIR("conf", ipv6_conf_rows), END};
static const struct proc_entry unix_rows[] = {ROW(max_dgram_qlen), END};

const struct proc_entry proc_sys_net[] = {
    PROC_DIR("core", core_rows),
    PROC_DIR("ipv4", ipv4_rows),
    PROC_DIR("ipv6", ipv6_rows),
    PROC_DIR("unix", unix_rows),
    END,
};
