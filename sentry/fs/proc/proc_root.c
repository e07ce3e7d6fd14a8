/*
 * proc_root.c: the table of /proc itself, and the files about the system as a whole.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sentry/core/clock.h"
#include "sentry/core/current.h"
#include "sentry/fs/proc/internal.h"
#include "sentry/vfs/filesystem.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"

#define KB 1024

struct system_times {
    uint64_t user_ns, system_ns;
    unsigned running, total;
    int last_pid;
};

static void take_times(struct system_times *ret)
{
    memset(ret, 0, sizeof(*ret));
    mutex_lock(&kernel_lock);
    ret->user_ns = kernel.ended_user_ns;
    ret->system_ns = kernel.ended_system_ns;
    struct process *process;
    TAILQ_FOREACH (process, &all_processes, all_link) {
        uint64_t user, system;
        struct task *task;
        process_cpu_time(process, &user, &system);
        ret->user_ns += user;
        ret->system_ns += system;
        ret->last_pid = max_of(ret->last_pid, process->tgid);
        TAILQ_FOREACH (task, &process->threads, thread_link) {
            ret->total++;
            ret->last_pid = max_of(ret->last_pid, task->tid);
            ret->running += atomic_load(&task->state) == TASK_RUNNING ? 1 : 0;
        }
    }
    mutex_unlock(&kernel_lock);
}

static uint64_t uptime_ns(void)
{
    return clock_ns(CLOCK_BOOTTIME);
}

static uint64_t idle_ns(const struct system_times *times)
{
    uint64_t all = uptime_ns() * max_of(kernel.cpu_count, 1U);
    uint64_t used = times->user_ns + times->system_ns;
    return all > used ? all - used : 0;
}

static unsigned long long ticks(uint64_t ns)
{
    return (unsigned long long)(ns / PROC_TICK_NS);
}

static int show_uptime(struct proc_node *node, struct text *out)
{
    struct system_times times;
    (void)node;
    take_times(&times);
    uint64_t up = uptime_ns() / 10000000;
    uint64_t idle = idle_ns(&times) / 10000000;
    text_printf(out, "%llu.%02llu %llu.%02llu\n", (unsigned long long)(up / 100),
                (unsigned long long)(up % 100), (unsigned long long)(idle / 100),
                (unsigned long long)(idle % 100));
    return 0;
}

/* The host does not tell which CPU a guest ran on: times are shared out evenly. */
static int show_stat(struct proc_node *node, struct text *out)
{
    struct system_times times;
    unsigned cpus = max_of(kernel.cpu_count, 1U);
    (void)node;
    take_times(&times);
    uint64_t idle = idle_ns(&times);
    text_printf(out, "cpu  %llu 0 %llu %llu 0 0 0 0 0 0\n", ticks(times.user_ns),
                ticks(times.system_ns), ticks(idle));
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        text_printf(out, "cpu%u %llu 0 %llu %llu 0 0 0 0 0 0\n", cpu, ticks(times.user_ns / cpus),
                    ticks(times.system_ns / cpus), ticks(idle / cpus));
    }
    text_printf(out,
                "intr 0\nctxt %llu\nbtime %llu\nprocesses %llu\nprocs_running %u\n"
                "procs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
                (unsigned long long)atomic_load(&kernel.context_switches),
                (unsigned long long)(kernel.boot_time_ns / NSEC_PER_SEC),
                (unsigned long long)atomic_load(&kernel.forks), max_of(times.running, 1U));
    return 0;
}

/*
 * Averages of the CPUs used, in Linux's fixed point: decayed at each look by what was used since
 * the last.
 */
#define LOAD_SHIFT 11
static int show_loadavg(struct proc_node *node, struct text *out)
{
    static struct mutex lock = {.host = PTHREAD_MUTEX_INITIALIZER, .rank = RANK_ACCOUNT};
    static const uint64_t decay[3] = {1884, 2014, 2037}; /* Linux: EXP_1, EXP_5, EXP_15 per 5 s */
    static uint64_t average[3];
    static uint64_t last_ns, last_used;
    struct system_times times;
    uint64_t shown[3];
    (void)node;
    take_times(&times);
    uint64_t now = uptime_ns();
    uint64_t used = times.user_ns + times.system_ns;
    mutex_lock(&lock);
    uint64_t passed = now - last_ns;
    uint64_t steps = min_of(passed / (5 * NSEC_PER_SEC), (uint64_t)1000);
    if (steps > 0) {
        uint64_t active = used > last_used ? ((used - last_used) << LOAD_SHIFT) / passed : 0;
        for (uint64_t step = 0; step < steps; step++) {
            for (int i = 0; i < 3; i++) {
                average[i] = (average[i] * decay[i] + active * (2048 - decay[i])) >> LOAD_SHIFT;
            }
        }
        last_ns = now;
        last_used = used;
    }
    memcpy(shown, average, sizeof(shown));
    mutex_unlock(&lock);
    for (int i = 0; i < 3; i++) {
        uint64_t value = shown[i] + 10;
        text_printf(out, "%llu.%02llu ", (unsigned long long)(value >> LOAD_SHIFT),
                    (unsigned long long)(((value & 2047) * 100) >> LOAD_SHIFT));
    }
    text_printf(out, "%u/%u %d\n", times.running, times.total, times.last_pid);
    return 0;
}

static void show_kb(struct text *out, const char *name, uint64_t bytes)
{
    text_printf(out, "%-16s%8llu kB\n", name, (unsigned long long)(bytes / KB));
}

static int show_meminfo(struct proc_node *node, struct text *out)
{
    static const char *const zeroes[] = {
        "SwapCached:",   "Active:",         "Inactive:",    "Active(anon):", "Inactive(anon):",
        "Active(file):", "Inactive(file):", "Unevictable:", "Mlocked:",      "SwapTotal:",
        "SwapFree:",     "Dirty:",          "Writeback:",
    };
    static const char *const more[] = {
        "KReclaimable:", "Slab:",         "SReclaimable:", "SUnreclaim:",   "KernelStack:",
        "PageTables:",   "NFS_Unstable:", "Bounce:",       "WritebackTmp:",
    };
    uint64_t total, available;
    uint64_t in_files = atomic_load(&kernel.tmpfs_bytes);
    uint64_t in_processes = atomic_load(&kernel.memory_used);
    (void)node;
    kernel_memory(&total, &available);
    show_kb(out, "MemTotal:", total);
    show_kb(out, "MemFree:", available);
    show_kb(out, "MemAvailable:", available);
    show_kb(out, "Buffers:", 0);
    show_kb(out, "Cached:", in_files);
    for (size_t i = 0; i < array_size(zeroes); i++) {
        show_kb(out, zeroes[i], 0);
    }
    show_kb(out, "AnonPages:", in_processes);
    show_kb(out, "Mapped:", 0);
    show_kb(out, "Shmem:", in_files);
    for (size_t i = 0; i < array_size(more); i++) {
        show_kb(out, more[i], 0);
    }
    show_kb(out, "CommitLimit:", total / 2);
    show_kb(out, "Committed_AS:", total - available);
    text_puts(out, "VmallocTotal:   34359738367 kB\n");
    show_kb(out, "VmallocUsed:", 0);
    show_kb(out, "VmallocChunk:", 0);
    show_kb(out, "Percpu:", 0);
    show_kb(out, "AnonHugePages:", 0);
    text_puts(out, "HugePages_Total:       0\nHugePages_Free:        0\n"
                   "HugePages_Rsvd:        0\nHugePages_Surp:        0\n"
                   "Hugepagesize:       2048 kB\n");
    show_kb(out, "Hugetlb:", 0);
    return 0;
}

static int show_vmstat(struct proc_node *node, struct text *out)
{
    uint64_t total, available;
    (void)node;
    kernel_memory(&total, &available);
    text_printf(out,
                "nr_free_pages %llu\nnr_anon_pages %llu\nnr_mapped 0\nnr_file_pages 0\n"
                "pgpgin 0\npgpgout 0\npswpin 0\npswpout 0\npgfault 0\npgmajfault 0\noom_kill 0\n",
                (unsigned long long)(available / 4096),
                (unsigned long long)((total - available) / 4096));
    return 0;
}

#define CONSTANT(name, string)                                                                     \
    static int name(struct proc_node *node, struct text *out)                                      \
    {                                                                                              \
        (void)node;                                                                                \
        text_puts(out, string);                                                                    \
        return 0;                                                                                  \
    }

CONSTANT(show_version, "Linux version " KERNEL_RELEASE " (stockade) (gcc) " KERNEL_VERSION "\n")
CONSTANT(show_cmdline, "quiet\n")
static int show_filesystems(struct proc_node *node, struct text *out)
{
    (void)node;
    filesystem_show(out);
    return 0;
}
CONSTANT(show_devices,
         "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n"
         " 10 misc\n136 pts\n\nBlock devices:\n  7 loop\n")
CONSTANT(show_partitions, "major minor  #blocks  name\n\n")
CONSTANT(show_swaps, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")
CONSTANT(show_empty, "")

static int show_interrupts(struct proc_node *node, struct text *out)
{
    (void)node;
    text_puts(out, "     ");
    for (unsigned cpu = 0; cpu < max_of(kernel.cpu_count, 1U); cpu++) {
        text_printf(out, "      CPU%-2u ", cpu);
    }
    text_putc(out, '\n');
    return 0;
}

static int link_self(struct proc_node *node, struct text *out)
{
    (void)node;
    if (current.task == NULL) {
        return -ENOENT;
    }
    text_printf(out, "%d", current.tgid);
    return 0;
}

static int link_thread_self(struct proc_node *node, struct text *out)
{
    (void)node;
    if (current.task == NULL) {
        return -ENOENT;
    }
    text_printf(out, "%d/task/%d", current.tgid, current.tid);
    return 0;
}

static int link_mounts(struct proc_node *node, struct text *out)
{
    (void)node;
    text_puts(out, "self/mounts");
    return 0;
}

static int link_net(struct proc_node *node, struct text *out)
{
    (void)node;
    text_puts(out, "self/net");
    return 0;
}

static int64_t next_process(struct proc_node *dir, uint64_t from)
{
    int64_t best = -1;
    struct process *process;
    (void)dir;
    mutex_lock(&kernel_lock);
    TAILQ_FOREACH (process, &all_processes, all_link) {
        if ((uint64_t)process->tgid >= from && (best < 0 || process->tgid < best)) {
            best = process->tgid;
        }
    }
    mutex_unlock(&kernel_lock);
    return best;
}

/* Linux finds threads by number too, though it does not list them. */
static int find_process(struct proc_node *dir, uint64_t number, struct proc_node *child)
{
    (void)dir;
    child->process = process_find((int)number);
    if (child->process != NULL) {
        return 0;
    }
    child->task = task_find((int)number);
    if (child->task == NULL) {
        return -ENOENT;
    }
    child->process = process_ref(child->task->process);
    return 0;
}

#define LINK(n, f)                                                                                 \
    {                                                                                              \
        .name = (n), .mode = S_IFLNK | 0777, .readlink = (f)                                       \
    }

static const struct proc_entry root_rows[] = {
    LINK("self", link_self),
    LINK("thread-self", link_thread_self),
    PROC_FILE("cmdline", 0444, 0, show_cmdline),
    {.name = "config.gz", .mode = S_IFREG | 0444, .show = proc_show_config},
    PROC_FILE("consoles", 0444, 0, show_empty),
    PROC_FILE("cpuinfo", 0444, 0, proc_show_cpuinfo),
    PROC_FILE("crypto", 0444, 0, show_empty),
    PROC_FILE("devices", 0444, 0, show_devices),
    PROC_FILE("diskstats", 0444, 0, show_empty),
    PROC_FILE("filesystems", 0444, 0, show_filesystems),
    PROC_FILE("interrupts", 0444, 0, show_interrupts),
    PROC_FILE("iomem", 0400, 0, show_empty),
    PROC_FILE("loadavg", 0444, 0, show_loadavg),
    PROC_FILE("locks", 0444, 0, show_empty),
    PROC_FILE("meminfo", 0444, 0, show_meminfo),
    PROC_FILE("misc", 0444, 0, show_empty),
    PROC_FILE("modules", 0444, 0, show_empty),
    LINK("mounts", link_mounts),
    LINK("net", link_net),
    PROC_FILE("partitions", 0444, 0, show_partitions),
    PROC_FILE("stat", 0444, 0, show_stat),
    PROC_FILE("swaps", 0444, 0, show_swaps),
    PROC_DIR("sys", proc_sys),
    PROC_DIR("sysvipc", proc_sysvipc),
    PROC_FILE("uptime", 0444, 0, show_uptime),
    PROC_FILE("version", 0444, 0, show_version),
    PROC_FILE("vmstat", 0444, 0, show_vmstat),
    {.name = NULL},
};

const struct proc_entry proc_root = {
    .name = "proc",
    .mode = S_IFDIR | 0555,
    .children = root_rows,
    .each = &proc_pid,
    .next = next_process,
    .find = find_process,
};
