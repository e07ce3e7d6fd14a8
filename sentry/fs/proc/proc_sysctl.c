/*
 * proc_sysctl.c: /proc/sys. What cannot be changed inside a sandbox is read-only here even where
 * Linux lets root write it. Values are Linux's defaults or those the sandbox goes by. Source:
 * Documentation/admin-guide/sysctl.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "sentry/core/current.h"
#include "sentry/core/cred.h"
#include "sentry/core/tunables.h"
#include "sentry/fs/proc/internal.h"
#include "sentry/kernel/aio.h"
#include "sentry/kernel/core_dump.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/keyring.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/dentry.h"

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

/* Numbers that a privileged guest changes, within bounds. */
static int write_number(_Atomic uint64_t *number, const char *data, uint64_t least, uint64_t most)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(data, &end, 0);
    end += strspn(end, " \t\n");
    if (end == data || *end != '\0' || errno != 0 || value < least || value > most ||
        strchr(data, '-')) {
        return -EINVAL;
    }
    *number = value;
    return 0;
}

#define TUNABLE(name, field, least, most) TUNABLE_AT(name, tunables.field, least, most)
#define TUNABLE_AT(name, place, least, most)                                                       \
    static int show_##name(struct proc_node *node, struct text *out)                               \
    {                                                                                              \
        (void)node;                                                                                \
        text_printf(out, "%llu\n", (unsigned long long)(place));                                   \
        return 0;                                                                                  \
    }                                                                                              \
    static int write_##name(struct proc_node *node, char *data, size_t length)                     \
    {                                                                                              \
        (void)node;                                                                                \
        (void)length;                                                                              \
        return write_number(&(place), data, least, most);                                          \
    }
#define ROW_TUNABLE(text, name) PROC_WRITABLE(text, 0644, 0, show_##name, write_##name)

/* --- kernel --- */

static int show_hostname(struct proc_node *node, struct text *out)
{
    char name[65];
    (void)node;
    kernel_get_hostname(name);
    text_printf(out, "%.64s\n", name);
    return 0;
}

static int show_domainname(struct proc_node *node, struct text *out)
{
    char name[65];
    (void)node;
    kernel_get_domainname(name);
    text_printf(out, "%.64s\n", name);
    return 0;
}

static int write_name(char *data, size_t length, int (*set)(const char *, size_t))
{
    size_t used = strcspn(data, "\n");
    return capable(CAP_SYS_ADMIN) ? set(data, min_of(used, min_of(length, (size_t)64))) : -EPERM;
}

static int write_hostname(struct proc_node *node, char *data, size_t length)
{
    (void)node;
    return write_name(data, length, kernel_set_hostname);
}

static int write_domainname(struct proc_node *node, char *data, size_t length)
{
    (void)node;
    return write_name(data, length, kernel_set_domainname);
}

static int show_last_pid(struct proc_node *node, struct text *out)
{
    (void)node;
    text_printf(out, "%d\n", pid_get_last());
    return 0;
}

/* For those who restore processes under the numbers they had. */
static int write_last_pid(struct proc_node *node, char *data, size_t length)
{
    char *end;
    long value = strtol(data, &end, 10);
    (void)node;
    (void)length;
    if (!capable(CAP_SYS_ADMIN)) {
        return -EPERM;
    }
    return end == data || (*end != '\0' && *end != '\n') ? -EINVAL : pid_set_last(value);
}

static void append_uuid(struct text *out, const uint8_t bytes[16])
{
    for (int i = 0; i < 16; i++) {
        text_printf(out, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", bytes[i]);
    }
    text_putc(out, '\n');
}

static int show_boot_id(struct proc_node *node, struct text *out)
{
    uint8_t id[16];
    (void)node;
    memcpy(id, kernel.boot_id, sizeof(id));
    id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
    append_uuid(out, id);
    return 0;
}

static int show_uuid(struct proc_node *node, struct text *out)
{
    uint8_t id[16];
    (void)node;
    if (getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id)) {
        return -EIO;
    }
    id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
    append_uuid(out, id);
    return 0;
}

static int show_threads_max(struct proc_node *node, struct text *out)
{
    (void)node;
    text_printf(out, "%llu\n", (unsigned long long)min_of(kernel.limits.tasks, (uint64_t)4194304));
    return 0;
}

VALUE(entropy_avail, "256")
VALUE(poolsize, "256")
VALUE(urandom_min_reseed_secs, "60")
VALUE(write_wakeup_threshold, "256")
VALUE(cap_last_cap, "40")
static int show_core_pattern(struct proc_node *node, struct text *out)
{
    char pattern[CORE_PATTERN_MAX];
    (void)node;
    core_pattern_get(pattern);
    text_printf(out, "%s\n", pattern);
    return 0;
}

static int write_core_pattern(struct proc_node *node, char *data, size_t length)
{
    (void)node;
    (void)length;
    return core_pattern_set(data);
}

VALUE(core_uses_pid, "0")
VALUE(dmesg_restrict, "1")
VALUE(kptr_restrict, "1")
VALUE(ngroups_max, "65536")
VALUE(osrelease, KERNEL_RELEASE)
VALUE(ostype, "Linux")
VALUE(overflow_id, "65534")
VALUE(panic, "0")
VALUE(perf_event_paranoid, "4")
VALUE(pid_max, "4194304")
VALUE(printk, "4\t4\t1\t7")
VALUE(randomize_va_space, "2")
VALUE(rtsig_max, "32768")
VALUE(sched_child_runs_first, "0")
VALUE(shm_rmid_forced, "0")
VALUE(sysrq, "0")
VALUE(tainted, "0")
VALUE(unprivileged_bpf_disabled, "2")
VALUE(unprivileged_userns_clone, "0")
VALUE(version, KERNEL_VERSION)
VALUE(ptrace_scope, "0")
TUNABLE_AT(keys_max, key_limits.keys, 0, INT32_MAX)
TUNABLE_AT(keys_bytes, key_limits.bytes, 0, INT32_MAX)
TUNABLE_AT(keys_root_max, key_limits.root_keys, 0, INT32_MAX)
TUNABLE_AT(keys_root_bytes, key_limits.root_bytes, 0, INT32_MAX)
VALUE(keys_gc_delay, "0")
VALUE(seccomp_actions, "kill_process kill_thread trap errno user_notif trace log allow")

static const struct proc_entry random_rows[] = {
    ROW(boot_id), ROW(entropy_avail),          ROW(poolsize), ROW(urandom_min_reseed_secs),
    ROW(uuid),    ROW(write_wakeup_threshold), END,
};
static const struct proc_entry yama_rows[] = {ROW(ptrace_scope), END};
static const struct proc_entry seccomp_rows[] = {ROW_AS("actions_avail", seccomp_actions), END};
static const struct proc_entry keys_rows[] = {
    ROW_AS("gc_delay", keys_gc_delay),          ROW_TUNABLE("maxbytes", keys_bytes),
    ROW_TUNABLE("maxkeys", keys_max),           ROW_TUNABLE("root_maxbytes", keys_root_bytes),
    ROW_TUNABLE("root_maxkeys", keys_root_max), END,
};

static const struct proc_entry kernel_rows[] = {
    ROW(cap_last_cap),
    PROC_WRITABLE("core_pattern", 0644, 0, show_core_pattern, write_core_pattern),
    ROW(core_uses_pid),
    ROW(dmesg_restrict),
    PROC_WRITABLE("domainname", 0644, 0, show_domainname, write_domainname),
    PROC_WRITABLE("hostname", 0644, 0, show_hostname, write_hostname),
    PROC_DIR("keys", keys_rows),
    ROW(kptr_restrict),
    PROC_WRITABLE("msgmax", 0644, 0, proc_show_msgmax, proc_write_msgmax),
    PROC_WRITABLE("msgmnb", 0644, 0, proc_show_msgmnb, proc_write_msgmnb),
    PROC_WRITABLE("msgmni", 0644, 0, proc_show_msgmni, proc_write_msgmni),
    PROC_WRITABLE("msg_next_id", 0644, 0, proc_show_msg_next_id, proc_write_msg_next_id),
    ROW(ngroups_max),
    PROC_WRITABLE("ns_last_pid", 0644, 0, show_last_pid, write_last_pid),
    ROW(osrelease),
    ROW(ostype),
    ROW_AS("overflowgid", overflow_id),
    ROW_AS("overflowuid", overflow_id),
    ROW(panic),
    ROW(perf_event_paranoid),
    ROW(pid_max),
    ROW(printk),
    PROC_DIR("random", random_rows),
    ROW(randomize_va_space),
    ROW_AS("rtsig-max", rtsig_max),
    ROW(sched_child_runs_first),
    PROC_DIR("seccomp", seccomp_rows),
    PROC_WRITABLE("sem", 0644, 0, proc_show_sem, proc_write_sem),
    PROC_WRITABLE("sem_next_id", 0644, 0, proc_show_sem_next_id, proc_write_sem_next_id),
    PROC_WRITABLE("shm_next_id", 0644, 0, proc_show_shm_next_id, proc_write_shm_next_id),
    ROW(shm_rmid_forced),
    PROC_WRITABLE("shmall", 0644, 0, proc_show_shmall, proc_write_shmall),
    PROC_WRITABLE("shmmax", 0644, 0, proc_show_shmmax, proc_write_shmmax),
    PROC_WRITABLE("shmmni", 0644, 0, proc_show_shmmni, proc_write_shmmni),
    ROW(sysrq),
    ROW(tainted),
    ROW_AS("threads-max", threads_max),
    ROW(unprivileged_bpf_disabled),
    ROW(unprivileged_userns_clone),
    ROW(version),
    PROC_DIR("yama", yama_rows),
    END,
};

/* --- vm --- */

VALUE(overcommit_memory, "0")
VALUE(overcommit_ratio, "50")
VALUE(overcommit_kbytes, "0")
VALUE(mmap_min_addr, "65536")
VALUE(swappiness, "60")
VALUE(dirty_background_ratio, "10")
VALUE(dirty_ratio, "20")
VALUE(min_free_kbytes, "16384")
VALUE(nr_hugepages, "0")

/* As on a host without the memory for any: the number is taken and stays 0. */
static int write_nr_hugepages(struct proc_node *node, char *data, size_t length)
{
    _Atomic uint64_t wanted;
    (void)node;
    (void)length;
    return write_number(&wanted, data, 0, UINT32_MAX);
}
VALUE(vfs_cache_pressure, "100")
VALUE(panic_on_oom, "0")
VALUE(memfd_noexec, "0")
VALUE(unprivileged_userfaultfd, "0")

TUNABLE(max_map_count, max_map_count, 0, 65530)

/* Linux: 1 and 3 drop cached pages, of which there are none; 2 and 3 drop cached names. */
static int write_drop_caches(struct proc_node *node, char *data, size_t length)
{
    (void)node;
    (void)length;
    if (data[0] < '1' || data[0] > '4' || (data[1] != '\0' && data[1] != '\n')) {
        return -EINVAL;
    }
    if (((data[0] - '0') & 2) != 0) {
        dentry_shrink(NULL);
    }
    return 0;
}

static const struct proc_entry vm_rows[] = {
    ROW(dirty_background_ratio),
    ROW(dirty_ratio),
    PROC_WRITABLE("drop_caches", 0200, 0, NULL, write_drop_caches),
    ROW_TUNABLE("max_map_count", max_map_count),
    ROW(memfd_noexec),
    ROW(min_free_kbytes),
    ROW(mmap_min_addr),
    PROC_WRITABLE("nr_hugepages", 0644, 0, show_nr_hugepages, write_nr_hugepages),
    ROW(overcommit_kbytes),
    ROW(overcommit_memory),
    ROW(overcommit_ratio),
    ROW(panic_on_oom),
    ROW(swappiness),
    ROW(unprivileged_userfaultfd),
    ROW(vfs_cache_pressure),
    END,
};

/* --- fs --- */

static int show_dentry_state(struct proc_node *node, struct text *out)
{
    uint64_t total, unused;
    (void)node;
    dentry_count(&total, &unused);
    text_printf(out, "%llu\t%llu\t45\t0\t0\t0\n", (unsigned long long)total,
                (unsigned long long)unused);
    return 0;
}

VALUE(aio_max_nr, "65536")
static int show_aio_nr(struct proc_node *node, struct text *out)
{
    (void)node;
    text_printf(out, "%llu\n", (unsigned long long)aio_reserved());
    return 0;
}

VALUE(file_max, "9223372036854775807")
VALUE(file_nr, "1024\t0\t9223372036854775807")
VALUE(inode_nr, "1024\t0")
TUNABLE(nr_open, nr_open, 64, NR_OPEN_MOST)
TUNABLE(pipe_max_size, pipe_max_size, 4096, 1048576)
VALUE(pipe_user_pages_hard, "0")
VALUE(pipe_user_pages_soft, "16384")
VALUE(protected_links, "1")
VALUE(protected_create, "0")
VALUE(suid_dumpable, "0")
VALUE(leases_enable, "1")
VALUE(dir_notify_enable, "1")
VALUE(mount_max, "100000")
TUNABLE(max_user_watches, inotify_max_watches, 0, 65536)
TUNABLE(max_user_instances, inotify_max_instances, 0, 1024)
TUNABLE(max_queued_events, inotify_max_events, 0, 16384)
VALUE(epoll_watches, "1048576")

static const struct proc_entry inotify_rows[] = {
    ROW_TUNABLE("max_queued_events", max_queued_events),
    ROW_TUNABLE("max_user_instances", max_user_instances),
    ROW_TUNABLE("max_user_watches", max_user_watches), END};
static const struct proc_entry epoll_rows[] = {ROW_AS("max_user_watches", epoll_watches), END};
static const struct proc_entry mqueue_rows[] = {
    PROC_WRITABLE("msg_default", 0644, 0, proc_show_mq_msg_default, proc_write_mq_msg_default),
    PROC_WRITABLE("msg_max", 0644, 0, proc_show_mq_msg_max, proc_write_mq_msg_max),
    PROC_WRITABLE("msgsize_default", 0644, 0, proc_show_mq_msgsize_default,
                  proc_write_mq_msgsize_default),
    PROC_WRITABLE("msgsize_max", 0644, 0, proc_show_mq_msgsize_max, proc_write_mq_msgsize_max),
    PROC_WRITABLE("queues_max", 0644, 0, proc_show_mq_queues_max, proc_write_mq_queues_max),
    END,
};

static const struct proc_entry fs_rows[] = {
    ROW_AS("aio-max-nr", aio_max_nr),
    ROW_AS("aio-nr", aio_nr),
    ROW_AS("dentry-state", dentry_state),
    ROW_AS("dir-notify-enable", dir_notify_enable),
    PROC_DIR("epoll", epoll_rows),
    ROW_AS("file-max", file_max),
    ROW_AS("file-nr", file_nr),
    ROW_AS("inode-nr", inode_nr),
    PROC_DIR("inotify", inotify_rows),
    PROC_WRITABLE("lease-break-time", 0644, 0, proc_show_lease_break_time,
                  proc_write_lease_break_time),
    ROW_AS("leases-enable", leases_enable),
    ROW_AS("mount-max", mount_max),
    PROC_DIR("mqueue", mqueue_rows),
    ROW_TUNABLE("nr_open", nr_open),
    ROW_TUNABLE("pipe-max-size", pipe_max_size),
    ROW_AS("pipe-user-pages-hard", pipe_user_pages_hard),
    ROW_AS("pipe-user-pages-soft", pipe_user_pages_soft),
    ROW_AS("protected_fifos", protected_create),
    ROW_AS("protected_hardlinks", protected_links),
    ROW_AS("protected_regular", protected_create),
    ROW_AS("protected_symlinks", protected_links),
    ROW(suid_dumpable),
    END,
};

VALUE(max_user_namespaces, "0")
static const struct proc_entry user_rows[] = {ROW(max_user_namespaces), END};

const struct proc_entry proc_sys[] = {
    PROC_DIR("fs", fs_rows),     PROC_DIR("kernel", kernel_rows), PROC_DIR("net", proc_sys_net),
    PROC_DIR("user", user_rows), PROC_DIR("vm", vm_rows),         END,
};
