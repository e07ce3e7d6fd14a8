/*
 * proc_task.c: the tables of /proc/PID and /proc/PID/task/TID, and their small files.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/current.h"
#include "sentry/fs/proc/internal.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/dentry.h"

#define ARGUMENTS_MAX (2 << 20)

/* Guest memory [start, end) into out, as far as it can be read. */
static void append_memory(struct mm *mm, uint64_t start, uint64_t end, struct text *out)
{
    char buffer[4096];
    end = min_of(end, start + ARGUMENTS_MAX);
    while (start < end && !out->failed) {
        size_t length = min_of(end - start, (uint64_t)sizeof(buffer));
        ssize_t count = mm_copy_in_some(mm, start, buffer, length);
        if (count <= 0) {
            return;
        }
        text_append(out, buffer, (size_t)count);
        start += (uint64_t)count;
    }
}

static int show_cmdline(struct proc_node *node, struct text *out)
{
    struct mm *mm;
    int result = proc_get_mm(node, &mm);
    if (result < 0 || mm == NULL) {
        return result;
    }
    uint64_t start = mm->arg_start;
    uint64_t end = mm->arg_end;
    if (start < end) {
        append_memory(mm, start, end, out);
        /* Linux: get_mm_proctitle: a program that overwrote the end wrote its title on into the
         * environment. */
        if (out->length == end - start && out->length > 0 && out->data[out->length - 1] != 0) {
            append_memory(mm, end, mm->env_end, out);
            if (!out->failed) {
                out->length = strnlen(out->data, out->length);
            }
        }
    }
    mm_unref(mm);
    return 0;
}

static int show_environ(struct proc_node *node, struct text *out)
{
    struct mm *mm;
    int result = proc_get_guarded_mm(node, &mm);
    if (result < 0 || mm == NULL) {
        return result;
    }
    if (mm->env_start < mm->env_end) {
        append_memory(mm, mm->env_start, mm->env_end, out);
    }
    mm_unref(mm);
    return 0;
}

static int show_auxv(struct proc_node *node, struct text *out)
{
    struct mm *mm;
    int result = proc_get_guarded_mm(node, &mm);
    if (result < 0 || mm == NULL) {
        return result;
    }
    text_append(out, mm->auxv, min_of(mm->auxv_count, 64U) * sizeof(mm->auxv[0]));
    mm_unref(mm);
    return 0;
}

static int show_comm(struct proc_node *node, struct text *out)
{
    struct task *task;
    char comm[17] = {0};
    int result = proc_get_task(node, &task);
    if (result == 0) {
        mutex_lock(&kernel_lock);
        memcpy(comm, task->comm, 16);
        mutex_unlock(&kernel_lock);
        task_unref(task);
        text_printf(out, "%s\n", comm);
    }
    return result;
}

static int write_comm(struct proc_node *node, char *data, size_t length)
{
    struct task *task;
    int result = proc_get_task(node, &task);
    if (result < 0) {
        return result;
    }
    if (current.task == NULL || current.task->process != task->process) {
        result = -EINVAL; /* Linux: same_thread_group */
    } else {
        mutex_lock(&kernel_lock);
        memset(task->comm, 0, sizeof(task->comm));
        memcpy(task->comm, data, min_of(strnlen(data, length), (size_t)15));
        mutex_unlock(&kernel_lock);
    }
    task_unref(task);
    return result;
}

static int show_children(struct proc_node *node, struct text *out)
{
    struct task *task;
    int result = proc_get_task(node, &task);
    if (result < 0) {
        return result;
    }
    mutex_lock(&kernel_lock);
    struct process *child;
    /* Children belong to the process; Linux lists them under the thread that made them. */
    if (task == task->process->leader) {
        TAILQ_FOREACH (child, &task->process->children, sibling_link) {
            text_printf(out, "%d ", child->tgid);
        }
    }
    mutex_unlock(&kernel_lock);
    task_unref(task);
    return 0;
}

static int get_oom_adj(struct proc_node *node, int *ret)
{
    mutex_lock(&kernel_lock);
    *ret = node->process->oom_score_adj;
    mutex_unlock(&kernel_lock);
    return 0;
}

static int show_oom_score_adj(struct proc_node *node, struct text *out)
{
    int adj;
    int result = get_oom_adj(node, &adj);
    text_printf(out, "%d\n", adj);
    return result;
}

static int write_oom_score_adj(struct proc_node *node, char *data, size_t length)
{
    char *end;
    (void)length;
    long value = strtol(data, &end, 10);
    if (end == data || (*end != 0 && *end != '\n') || value < -1000 || value > 1000) {
        return -EINVAL;
    }
    mutex_lock(&kernel_lock);
    bool lower = value < node->process->oom_score_adj;
    mutex_unlock(&kernel_lock);
    if (lower && !capable(CAP_SYS_RESOURCE)) {
        return -EACCES;
    }
    mutex_lock(&kernel_lock);
    node->process->oom_score_adj = (int)value;
    mutex_unlock(&kernel_lock);
    return 0;
}

/* Linux: proc_oom_score: share of memory in thousandths plus the adjustment, scaled to 0..2000/3·2.
 */
static int show_oom_score(struct proc_node *node, struct text *out)
{
    struct mm *mm;
    struct proc_resident rss = {0};
    uint64_t total, available;
    int adj;
    int result = proc_get_mm(node, &mm);
    if (result < 0) {
        return result;
    }
    if (mm != NULL) {
        proc_resident(mm, &rss);
        mm_unref(mm);
    }
    kernel_memory(&total, &available);
    result = get_oom_adj(node, &adj);
    int64_t points = total > 0 ? (int64_t)((rss.anonymous + rss.shared) * 1000 / total) : 0;
    int64_t score = (1000 + points + adj) * 2 / 3;
    text_printf(out, "%lld\n", (long long)(adj == -1000 ? 0 : max_of(score, (int64_t)0)));
    return result;
}

static int show_personality(struct proc_node *node, struct text *out)
{
    text_printf(out, "%08x\n", node->process->personality);
    return 0;
}

static int show_timerslack(struct proc_node *node, struct text *out)
{
    struct task *task;
    int result = proc_get_task(node, &task);
    if (result == 0) {
        text_printf(out, "%llu\n", (unsigned long long)task->timer_slack_ns);
        task_unref(task);
    }
    return result;
}

static int show_schedstat(struct proc_node *node, struct text *out)
{
    struct task *task;
    uint64_t user, system;
    int result = proc_get_task(node, &task);
    if (result == 0) {
        mutex_lock(&kernel_lock);
        task_cpu_time(task, &user, &system);
        mutex_unlock(&kernel_lock);
        text_printf(out, "%llu 0 %llu\n", (unsigned long long)(user + system),
                    (unsigned long long)task->voluntary_switches);
        task_unref(task);
    }
    return result;
}

static int show_syscall(struct proc_node *node, struct text *out)
{
    struct task *task;
    int result = proc_get_task(node, &task);
    if (result < 0) {
        return result;
    }
    mutex_lock(&kernel_lock);
    int number = task->syscall_nr;
    struct arch_regs regs;
    task_sleep_registers(task, &regs);
    bool sleeping = atomic_load(&task->state) == TASK_SLEEPING;
    mutex_unlock(&kernel_lock);
    task_unref(task);
    if (!sleeping || number < 0) {
        text_puts(out, "running\n");
        return 0;
    }
    text_printf(out, "%d 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx\n", number,
                (unsigned long long)regs.rdi, (unsigned long long)regs.rsi,
                (unsigned long long)regs.rdx, (unsigned long long)regs.r10,
                (unsigned long long)regs.r8, (unsigned long long)regs.r9,
                (unsigned long long)regs.rsp, (unsigned long long)regs.rip);
    return 0;
}

#define SHOW_CONSTANT(name, string)                                                                \
    static int name(struct proc_node *node, struct text *out)                                      \
    {                                                                                              \
        (void)node;                                                                                \
        text_puts(out, string);                                                                    \
        return 0;                                                                                  \
    }

SHOW_CONSTANT(show_wchan, "0")
SHOW_CONSTANT(show_cgroup, "0::/\n")
SHOW_CONSTANT(show_no_id, "4294967295")
SHOW_CONSTANT(show_id_map, "         0          0 4294967295\n")
SHOW_CONSTANT(show_setgroups, "allow\n")
SHOW_CONSTANT(show_coredump_filter, "00000033\n")
SHOW_CONSTANT(show_cpuset, "/\n")
SHOW_CONSTANT(show_empty, "")

/* --- task/TID --- */

static int64_t next_thread(struct proc_node *dir, uint64_t from)
{
    int64_t best = -1;
    mutex_lock(&kernel_lock);
    struct task *task;
    TAILQ_FOREACH (task, &dir->process->threads, thread_link) {
        if (task->tid >= 0 && (uint64_t)task->tid >= from && (best < 0 || task->tid < best)) {
            best = task->tid;
        }
    }
    struct task *leader = dir->process->leader;
    if (leader != NULL && (uint64_t)leader->tid >= from && (best < 0 || leader->tid < best)) {
        best = leader->tid;
    }
    mutex_unlock(&kernel_lock);
    return best;
}

static int find_thread(struct proc_node *dir, uint64_t number, struct proc_node *child)
{
    struct task *task = task_find((int)number);
    if (task == NULL || task->process != dir->process) {
        task_unref(task);
        return -ENOENT;
    }
    task_unref(child->task);
    child->task = task;
    return 0;
}

#define LINK(n, r, f)                                                                              \
    {                                                                                              \
        .name = (n), .mode = S_IFLNK | 0777, .readlink = (r), .follow = (f)                        \
    }
#define NUMBERS(n, m, e, nx, f)                                                                    \
    {                                                                                              \
        .name = (n), .mode = S_IFDIR | (m), .each = (e), .next = (nx), .find = (f)                 \
    }

/* Rows that a process and a thread share. Order: as Linux lists them. */
#define COMMON_ROWS                                                                                \
    NUMBERS("fd", 0500, &proc_fd_each, proc_fd_next, proc_fd_find),                                \
        NUMBERS("fdinfo", 0555, &proc_fdinfo_each, proc_fd_next, proc_fd_find),                    \
        {.name = "ns", .mode = S_IFDIR | 0511, .children = proc_ns_rows},                          \
        PROC_DIR("net", proc_net), PROC_FILE("environ", 0400, PROC_GUARDED, show_environ),         \
        PROC_FILE("auxv", 0400, PROC_GUARDED, show_auxv),                                          \
        PROC_FILE("status", 0444, 0, proc_show_status),                                            \
        PROC_FILE("personality", 0400, PROC_GUARDED, show_personality),                            \
        PROC_FILE("limits", 0444, 0, proc_show_limits),                                            \
        PROC_WRITABLE("comm", 0644, 0, show_comm, write_comm),                                     \
        PROC_FILE("syscall", 0400, PROC_GUARDED, show_syscall),                                    \
        PROC_FILE("cmdline", 0444, 0, show_cmdline), PROC_FILE("stat", 0444, 0, proc_show_stat),   \
        PROC_FILE("statm", 0444, 0, proc_show_statm),                                              \
        PROC_FILE("maps", 0444, PROC_GUARDED, proc_show_maps),                                     \
        {.name = "mem", .mode = S_IFREG | 0600, .flags = PROC_GUARDED, .ops = &proc_mem_ops},      \
        LINK("cwd", proc_link_cwd, proc_follow_cwd),                                               \
        LINK("root", proc_link_root, proc_follow_root),                                            \
        LINK("exe", proc_link_exe, proc_follow_exe),                                               \
        PROC_FILE("mounts", 0444, PROC_AT_OPEN, proc_show_mounts),                                 \
        PROC_FILE("mountinfo", 0444, PROC_AT_OPEN, proc_show_mountinfo),                           \
        PROC_FILE("smaps", 0444, PROC_GUARDED, proc_show_smaps),                                   \
        PROC_FILE("smaps_rollup", 0444, PROC_GUARDED, proc_show_smaps_rollup),                     \
        PROC_FILE("wchan", 0444, 0, show_wchan), PROC_FILE("schedstat", 0444, 0, show_schedstat),  \
        PROC_FILE("cpuset", 0444, 0, show_cpuset), PROC_FILE("cgroup", 0444, 0, show_cgroup),      \
        PROC_FILE("oom_score", 0444, 0, show_oom_score),                                           \
        PROC_WRITABLE("oom_score_adj", 0644, 0, show_oom_score_adj, write_oom_score_adj),          \
        PROC_FILE("loginuid", 0444, 0, show_no_id), PROC_FILE("sessionid", 0444, 0, show_no_id),   \
        PROC_FILE("io", 0400, PROC_GUARDED, proc_show_io),                                         \
        PROC_FILE("uid_map", 0444, 0, show_id_map), PROC_FILE("gid_map", 0444, 0, show_id_map),    \
        PROC_FILE("projid_map", 0444, 0, show_empty),                                              \
        PROC_FILE("setgroups", 0444, 0, show_setgroups)

static const struct proc_entry tid_rows[] = {
    COMMON_ROWS,
    PROC_FILE("children", 0444, 0, show_children),
    {.name = NULL},
};

static const struct proc_entry pid_rows[] = {
    NUMBERS("task", 0555, &proc_tid, next_thread, find_thread),
    COMMON_ROWS,
    PROC_FILE("mountstats", 0400, PROC_AT_OPEN, proc_show_mountstats),
    PROC_FILE("coredump_filter", 0444, 0, show_coredump_filter),
    PROC_FILE("timerslack_ns", 0444, 0, show_timerslack),
    {.name = NULL},
};

const struct proc_entry proc_tid = PROC_DIR("tid", tid_rows);
const struct proc_entry proc_pid = PROC_DIR("pid", pid_rows);
