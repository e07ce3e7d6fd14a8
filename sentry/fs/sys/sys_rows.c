/*
 * sys_rows.c: the tables of /sys. CPUs are numbered from 0 inside, whatever the host's numbers are;
 * the whole is one package, one node.
 */
#include <cpuid.h>

#include "sentry/fs/sys/sys_internal.h"
#include "sentry/kernel/kernel.h"

#define END                                                                                        \
    {                                                                                              \
        .name = NULL                                                                               \
    }
#define FILE_ROW(n, s)                                                                             \
    {                                                                                              \
        .name = (n), .show = (s)                                                                   \
    }
#define DIR_ROW(n, c)                                                                              \
    {                                                                                              \
        .name = (n), .children = (c)                                                               \
    }

#define CONSTANT(function, string)                                                                 \
    static void function(uint32_t number, struct text *out)                                        \
    {                                                                                              \
        (void)number;                                                                              \
        text_puts(out, string);                                                                    \
    }

static uint32_t cpu_count(void)
{
    return max_of(kernel.cpu_count, 1U);
}

static uint32_t node_count(void)
{
    return 1;
}

static void show_cpu_list(uint32_t number, struct text *out)
{
    (void)number;
    text_printf(out, cpu_count() == 1 ? "0\n" : "0-%u\n", cpu_count() - 1);
}

/* Words of 32 bits, the highest first, as Linux prints masks of nr_cpu_ids bits. */
static void append_mask(struct text *out, uint32_t first, uint32_t count)
{
    uint32_t highest = cpu_count() - 1;
    for (int word = (int)(highest / 32); word >= 0; word--) {
        uint32_t bits = 0;
        for (uint32_t i = 0; i < 32; i++) {
            uint32_t cpu = (uint32_t)word * 32 + i;
            bits |= cpu >= first && cpu < first + count ? 1U << i : 0;
        }
        int digits = word == (int)(highest / 32) ? (int)(highest % 32) / 4 + 1 : 8;
        text_printf(out, "%0*x%s", digits, bits, word > 0 ? "," : "\n");
    }
}

static void show_all_mask(uint32_t number, struct text *out)
{
    (void)number;
    append_mask(out, 0, cpu_count());
}

static void show_own_mask(uint32_t number, struct text *out)
{
    append_mask(out, number, 1);
}

static void show_number(uint32_t number, struct text *out)
{
    text_printf(out, "%u\n", number);
}

static void show_kernel_max(uint32_t number, struct text *out)
{
    (void)number;
    text_printf(out, "%u\n", 8191);
}

CONSTANT(show_zero, "0\n")
CONSTANT(show_one, "1\n")
CONSTANT(show_newline, "\n")
CONSTANT(show_nothing, "")

/* --- devices/system/cpu --- */

static const struct sys_entry topology_rows[] = {
    FILE_ROW("core_cpus", show_own_mask),
    FILE_ROW("core_cpus_list", show_number),
    FILE_ROW("core_id", show_number),
    FILE_ROW("core_siblings", show_all_mask),
    FILE_ROW("core_siblings_list", show_cpu_list),
    FILE_ROW("die_id", show_zero),
    FILE_ROW("package_cpus", show_all_mask),
    FILE_ROW("package_cpus_list", show_cpu_list),
    FILE_ROW("physical_package_id", show_zero),
    FILE_ROW("thread_siblings", show_own_mask),
    FILE_ROW("thread_siblings_list", show_number),
    END,
};

struct cache {
    uint32_t type, level, line, ways, sets;
};

/* number: the CPU above the lowest eight bits, which are the cache's. */
static bool read_cache(uint32_t number, struct cache *ret)
{
    uint32_t index = number & 255;
    uint32_t a, b, c, d;
    static const uint32_t leaves[] = {4, 0x8000001d};
    for (size_t i = 0; i < array_size(leaves); i++) {
        if (__get_cpuid_count(leaves[i], index, &a, &b, &c, &d) && (a & 31) != 0) {
            *ret = (struct cache){.type = a & 31,
                                  .level = a >> 5 & 7,
                                  .line = (b & 4095) + 1,
                                  .ways = (b >> 22) + 1,
                                  .sets = c + 1};
            return true;
        }
    }
    return false;
}

static uint32_t cache_count(void)
{
    struct cache cache;
    uint32_t count = 0;
    while (count < 8 && read_cache(count, &cache)) {
        count++;
    }
    return count;
}

static void show_cache_size(uint32_t number, struct text *out)
{
    struct cache cache;
    if (read_cache(number, &cache)) {
        text_printf(out, "%lluK\n",
                    (unsigned long long)cache.line * cache.ways * cache.sets / 1024);
    }
}

static void show_cache_type(uint32_t number, struct text *out)
{
    struct cache cache;
    if (read_cache(number, &cache)) {
        text_puts(out, cache.type == 1   ? "Data\n"
                       : cache.type == 2 ? "Instruction\n"
                                         : "Unified\n");
    }
}

#define CACHE_NUMBER(function, field)                                                              \
    static void function(uint32_t number, struct text *out)                                        \
    {                                                                                              \
        struct cache cache;                                                                        \
        if (read_cache(number, &cache)) {                                                          \
            text_printf(out, "%u\n", cache.field);                                                 \
        }                                                                                          \
    }
CACHE_NUMBER(show_cache_level, level)
CACHE_NUMBER(show_cache_line, line)
CACHE_NUMBER(show_cache_ways, ways)
CACHE_NUMBER(show_cache_sets, sets)

/* Only the last level is taken to be shared: no hyper-threads are shown. */
static void show_cache_cpus(uint32_t number, struct text *out)
{
    struct cache cache;
    if (read_cache(number, &cache) && cache.level < 3) {
        text_printf(out, "%u\n", number >> 8);
    } else {
        show_cpu_list(number, out);
    }
}

static void show_cache_mask(uint32_t number, struct text *out)
{
    struct cache cache;
    if (read_cache(number, &cache) && cache.level < 3) {
        append_mask(out, number >> 8, 1);
    } else {
        show_all_mask(number, out);
    }
}

static const struct sys_entry cache_index_rows[] = {
    FILE_ROW("coherency_line_size", show_cache_line),
    FILE_ROW("level", show_cache_level),
    FILE_ROW("number_of_sets", show_cache_sets),
    FILE_ROW("shared_cpu_list", show_cache_cpus),
    FILE_ROW("shared_cpu_map", show_cache_mask),
    FILE_ROW("size", show_cache_size),
    FILE_ROW("type", show_cache_type),
    FILE_ROW("ways_of_associativity", show_cache_ways),
    END,
};
static const struct sys_entry cache_rows[] = {
    {.name = "index", .children = cache_index_rows, .count = cache_count}, END};

static const struct sys_entry one_cpu_rows[] = {
    DIR_ROW("cache", cache_rows),
    FILE_ROW("online", show_one),
    DIR_ROW("topology", topology_rows),
    END,
};

CONSTANT(show_smt_control, "notsupported\n")
static const struct sys_entry smt_rows[] = {FILE_ROW("active", show_zero),
                                            FILE_ROW("control", show_smt_control), END};

static const struct sys_entry cpu_rows[] = {
    {.name = "cpu", .children = one_cpu_rows, .count = cpu_count},
    FILE_ROW("isolated", show_newline),
    FILE_ROW("kernel_max", show_kernel_max),
    FILE_ROW("offline", show_newline),
    FILE_ROW("online", show_cpu_list),
    FILE_ROW("possible", show_cpu_list),
    FILE_ROW("present", show_cpu_list),
    DIR_ROW("smt", smt_rows),
    END,
};

/* --- devices/system/node --- */

static void show_node_meminfo(uint32_t number, struct text *out)
{
    uint64_t total, available;
    kernel_memory(&total, &available);
    text_printf(out,
                "Node %u MemTotal:       %8llu kB\nNode %u MemFree:        %8llu kB\n"
                "Node %u MemUsed:        %8llu kB\n",
                number, (unsigned long long)(total / 1024), number,
                (unsigned long long)(available / 1024), number,
                (unsigned long long)((total - available) / 1024));
}

CONSTANT(show_distance, "10\n")
CONSTANT(show_numastat, "numa_hit 0\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\n"
                        "local_node 0\nother_node 0\n")

static const struct sys_entry one_node_rows[] = {
    FILE_ROW("cpulist", show_cpu_list),  FILE_ROW("cpumap", show_all_mask),
    FILE_ROW("distance", show_distance), FILE_ROW("meminfo", show_node_meminfo),
    FILE_ROW("numastat", show_numastat), END,
};

static const struct sys_entry node_rows[] = {
    {.name = "node", .children = one_node_rows, .count = node_count},
    FILE_ROW("has_cpu", show_zero),
    FILE_ROW("has_memory", show_zero),
    FILE_ROW("has_normal_memory", show_zero),
    FILE_ROW("online", show_zero),
    FILE_ROW("possible", show_zero),
    END,
};

static const struct sys_entry clocksource0_rows[] = {END};
static const struct sys_entry clocksource_rows[] = {DIR_ROW("clocksource0", clocksource0_rows),
                                                    END};
static const struct sys_entry system_rows[] = {
    DIR_ROW("clocksource", clocksource_rows),
    DIR_ROW("cpu", cpu_rows),
    DIR_ROW("node", node_rows),
    END,
};

/* --- class/net --- */

CONSTANT(show_lo_address, "00:00:00:00:00:00\n")
CONSTANT(show_lo_flags, "0x9\n")
CONSTANT(show_lo_mtu, "65536\n")
CONSTANT(show_lo_state, "unknown\n")
CONSTANT(show_lo_type, "772\n")
static const struct sys_entry lo_rows[] = {
    FILE_ROW("address", show_lo_address),
    FILE_ROW("carrier", show_one),
    FILE_ROW("flags", show_lo_flags),
    FILE_ROW("ifindex", show_one),
    FILE_ROW("iflink", show_one),
    FILE_ROW("mtu", show_lo_mtu),
    FILE_ROW("operstate", show_lo_state),
    FILE_ROW("type", show_lo_type),
    END,
};
static const struct sys_entry virtual_net_rows[] = {DIR_ROW("lo", lo_rows), END};
static const struct sys_entry virtual_rows[] = {DIR_ROW("net", virtual_net_rows), END};
static const struct sys_entry class_net_rows[] = {
    {.name = "lo", .target = "../../devices/virtual/net/lo"}, END};

static const struct sys_entry empty_rows[] = {END};
static const struct sys_entry class_rows[] = {
    DIR_ROW("block", empty_rows), DIR_ROW("net", class_net_rows), DIR_ROW("tty", empty_rows), END};

/* --- kernel --- */

/* DIFFERS: Linux's defaults; the host's setting, which applies to guest memory, is not read. */
CONSTANT(show_thp_enabled, "always [madvise] never\n")
CONSTANT(show_thp_defrag, "always defer defer+madvise [madvise] never\n")
CONSTANT(show_thp_shmem, "always within_size advise [never] deny force\n")
CONSTANT(show_pmd_size, "2097152\n")
static const struct sys_entry thp_rows[] = {
    FILE_ROW("defrag", show_thp_defrag),       FILE_ROW("enabled", show_thp_enabled),
    FILE_ROW("hpage_pmd_size", show_pmd_size), FILE_ROW("shmem_enabled", show_thp_shmem),
    FILE_ROW("use_zero_page", show_one),       END,
};
static const struct sys_entry hugepages_2m_rows[] = {FILE_ROW("free_hugepages", show_zero),
                                                     FILE_ROW("nr_hugepages", show_zero), END};
static const struct sys_entry hugepages_rows[] = {DIR_ROW("hugepages-2048kB", hugepages_2m_rows),
                                                  END};
static const struct sys_entry mm_rows[] = {DIR_ROW("hugepages", hugepages_rows),
                                           DIR_ROW("transparent_hugepage", thp_rows), END};
CONSTANT(show_cpu_byteorder, "little\n")
CONSTANT(show_address_bits, "64\n")
static const struct sys_entry kernel_rows[] = {
    FILE_ROW("address_bits", show_address_bits),
    FILE_ROW("cpu_byteorder", show_cpu_byteorder),
    DIR_ROW("mm", mm_rows),
    FILE_ROW("uevent_seqnum", show_zero),
    END,
};

/* --- fs/cgroup: one group, whose limits are the sandbox's. Source: cgroup-v2.rst --- */

static void show_bytes_or_max(struct text *out, uint64_t bytes)
{
    if (bytes == UINT64_MAX) {
        text_puts(out, "max\n");
    } else {
        text_printf(out, "%llu\n", (unsigned long long)bytes);
    }
}

static void show_memory_max(uint32_t number, struct text *out)
{
    (void)number;
    show_bytes_or_max(out, kernel.limits.memory_bytes);
}

static void show_memory_current(uint32_t number, struct text *out)
{
    (void)number;
    text_printf(out, "%llu\n", (unsigned long long)atomic_load(&kernel.memory_used));
}

static void show_pids_max(uint32_t number, struct text *out)
{
    (void)number;
    show_bytes_or_max(out, kernel.limits.tasks);
}

static void show_pids_current(uint32_t number, struct text *out)
{
    (void)number;
    text_printf(out, "%u\n", atomic_load(&kernel.task_count));
}

static void show_effective_cpus(uint32_t number, struct text *out)
{
    show_cpu_list(number, out);
}

CONSTANT(show_controllers, "cpuset cpu memory pids\n")
CONSTANT(show_cpu_max, "max 100000\n")
CONSTANT(show_max, "max\n")
CONSTANT(show_cpu_weight, "100\n")
CONSTANT(show_memory_events, "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n")
CONSTANT(show_cgroup_events, "populated 1\nfrozen 0\n")
CONSTANT(show_cgroup_type, "domain\n")

static void show_memory_stat(uint32_t number, struct text *out)
{
    (void)number;
    text_printf(out,
                "anon %llu\nfile 0\nkernel 0\nshmem 0\ninactive_anon 0\nactive_anon 0\n"
                "inactive_file 0\nactive_file 0\nslab 0\npgfault 0\npgmajfault 0\n",
                (unsigned long long)atomic_load(&kernel.memory_used));
}

static const struct sys_entry cgroup_rows[] = {
    FILE_ROW("cgroup.controllers", show_controllers),
    FILE_ROW("cgroup.events", show_cgroup_events),
    FILE_ROW("cgroup.subtree_control", show_newline),
    FILE_ROW("cgroup.type", show_cgroup_type),
    FILE_ROW("cpu.max", show_cpu_max),
    FILE_ROW("cpu.weight", show_cpu_weight),
    FILE_ROW("cpuset.cpus", show_newline),
    FILE_ROW("cpuset.cpus.effective", show_effective_cpus),
    FILE_ROW("cpuset.mems.effective", show_zero),
    FILE_ROW("memory.current", show_memory_current),
    FILE_ROW("memory.events", show_memory_events),
    FILE_ROW("memory.high", show_max),
    FILE_ROW("memory.max", show_memory_max),
    FILE_ROW("memory.stat", show_memory_stat),
    FILE_ROW("memory.swap.current", show_zero),
    FILE_ROW("memory.swap.max", show_zero),
    FILE_ROW("pids.current", show_pids_current),
    FILE_ROW("pids.max", show_pids_max),
    END,
};
static const struct sys_entry fs_rows[] = {DIR_ROW("cgroup", cgroup_rows), END};

static const struct sys_entry devices_rows[] = {DIR_ROW("system", system_rows),
                                                DIR_ROW("virtual", virtual_rows), END};
static const struct sys_entry bus_rows[] = {DIR_ROW("pci", empty_rows), END};
static const struct sys_entry power_rows[] = {FILE_ROW("state", show_nothing), END};

static const struct sys_entry root_rows[] = {
    DIR_ROW("block", sys_block_rows),
    DIR_ROW("bus", bus_rows),
    DIR_ROW("class", class_rows),
    DIR_ROW("dev", empty_rows),
    DIR_ROW("devices", devices_rows),
    DIR_ROW("firmware", empty_rows),
    DIR_ROW("fs", fs_rows),
    DIR_ROW("kernel", kernel_rows),
    DIR_ROW("module", empty_rows),
    DIR_ROW("power", power_rows),
    END,
};

const struct sys_entry sys_root = DIR_ROW("sys", root_rows);
