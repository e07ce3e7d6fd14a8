/*
 * proc_status.c: stat, statm, status, limits, io of a process or thread. Linux: fs/proc/array.c,
 * base.c.
 *
 * A snapshot is taken under kernel_lock; memory figures come from the address space afterwards.
 */
#include <errno.h>
#include <string.h>

#include "sentry/core/cred.h"
#include "sentry/fs/proc/internal.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/fd_table.h"
#include "sentry/vfs/fs_context.h"

struct snapshot {
    int pid, tgid, ppid, pgid, sid, terminal_group;
    uint64_t terminal;
    enum task_state state;
    bool stopped, forked, running;
    int tracer;
    unsigned threads;
    char comm[17];
    uint64_t user_ns, system_ns, child_user_ns, child_system_ns, start_ns, max_rss;
    uint64_t min_fault, maj_fault, switches;
    uint64_t pending, shared_pending, blocked, ignored, caught;
    unsigned pending_count;
    int nice, exit_signal, exit_code;
    uint32_t policy, priority;
    struct rlimit limits[RLIM_NLIMITS];
    uint8_t affinity[128];
    int syscall_nr;
    uint64_t stack, instruction;
    const struct cred *cred; /* reference */
    struct mm *mm;           /* reference or NULL */
    unsigned fd_size;
    uint32_t umask;
    bool thp_disabled;
    int seccomp_mode;
    unsigned seccomp_filters;
};

static void snapshot_signals(struct snapshot *s, const struct task *task)
{
    const struct process *process = task->process;
    s->pending = task->pending.set;
    s->shared_pending = process->pending.set;
    s->pending_count = (unsigned)__builtin_popcountll(task->pending.set) +
                       (unsigned)__builtin_popcountll(process->pending.set);
    s->blocked = task->signal_mask;
    if (process->sighand == NULL) {
        return;
    }
    for (int i = 0; i < SIGNAL_COUNT; i++) {
        uint64_t handler = process->sighand->actions[i].handler;
        if (handler == 1) {
            s->ignored |= 1ULL << i;
        } else if (handler != 0) {
            s->caught |= 1ULL << i;
        }
    }
}

static void snapshot_times(struct snapshot *s, struct task *task, bool whole)
{
    struct process *process = task->process;
    if (whole) {
        process_cpu_time(process, &s->user_ns, &s->system_ns);
    } else {
        task_cpu_time(task, &s->user_ns, &s->system_ns);
    }
    s->child_user_ns = process->child_user_ns;
    s->child_system_ns = process->child_system_ns;
    s->start_ns = whole ? process->start_ns : task->start_ns;
    s->max_rss = process->max_rss;
    s->min_fault = task->min_fault;
    s->maj_fault = task->maj_fault;
    s->switches = task->voluntary_switches;
}

static void snapshot_identity(struct snapshot *s, struct task *task)
{
    struct process *process = task->process;
    s->pid = task->tid;
    s->tgid = process->tgid;
    s->ppid = process->parent != NULL ? process->parent->tgid : 0;
    s->pgid = process->pgid;
    s->sid = process->session != NULL ? process->session->sid : 0;
    s->terminal_group = -1;
    struct tty *tty = process->session != NULL ? process->session->tty : NULL;
    if (tty != NULL && tty_kernel_hooks.device != NULL) {
        s->terminal = tty_kernel_hooks.device(tty);
        s->terminal_group = tty_kernel_hooks.foreground_group(tty);
    }
    s->state = process->state == PROCESS_ZOMBIE ? TASK_ZOMBIE : atomic_load(&task->state);
    s->stopped = task->stopped;
    s->tracer = task->ptrace.tracer != NULL ? task->ptrace.tracer->tid : 0;
    s->running = atomic_load(&task->in_guest);
    s->threads = (unsigned)process->thread_count;
    s->forked = task->forked;
    s->seccomp_mode = task->seccomp_mode;
    s->seccomp_filters = seccomp_count_locked(task);
    memcpy(s->comm, task->comm, 16);
}

static int take_snapshot(struct proc_node *node, struct snapshot *s)
{
    struct task *task;
    memset(s, 0, sizeof(*s));
    int result = proc_get_task(node, &task);
    if (result < 0) {
        return result;
    }
    struct fd_table *fds = NULL;
    struct fs_context *fs = NULL;
    mutex_lock(&kernel_lock);
    struct process *process = task->process;
    snapshot_identity(s, task);
    snapshot_times(s, task, node->task == NULL);
    snapshot_signals(s, task);
    s->nice = process->nice;
    s->exit_signal = process->exit_signal;
    s->exit_code = process->state == PROCESS_ZOMBIE ? process->exit_status : task->exit_code;
    s->policy = task->sched_policy;
    s->priority = task->sched_priority;
    memcpy(s->limits, process->limits, sizeof(s->limits));
    memcpy(s->affinity, task->affinity, sizeof(s->affinity));
    s->syscall_nr = task->syscall_nr;
    struct arch_regs regs;
    task_sleep_registers(task, &regs);
    s->stack = regs.rsp;
    s->instruction = regs.rip;
    s->thp_disabled = task->thp_disabled;
    s->cred = task->cred != NULL ? cred_ref(task->cred) : cred_ref(&cred_boot);
    s->mm = task->mm != NULL ? mm_ref(task->mm) : NULL;
    fds = task->fds != NULL ? fd_table_ref(task->fds) : NULL;
    fs = task->fs != NULL ? fs_context_ref(task->fs) : NULL;
    mutex_unlock(&kernel_lock);
    if (fds != NULL) {
        mutex_lock(&fds->lock);
        s->fd_size = max_of(fds->capacity, 64U);
        mutex_unlock(&fds->lock);
        fd_table_unref(fds);
    }
    if (fs != NULL) {
        s->umask = fs_context_umask(fs);
        fs_context_unref(fs);
    }
    task_unref(task);
    return 0;
}

static void drop_snapshot(struct snapshot *s)
{
    cred_unref(s->cred);
    if (s->mm != NULL) {
        mm_unref(s->mm);
    }
}

static const char *state_name(const struct snapshot *s)
{
    if (s->state == TASK_ZOMBIE) {
        return "Z (zombie)";
    }
    if (s->state == TASK_DEAD) {
        return "X (dead)";
    }
    if (s->stopped || s->state == TASK_STOPPED) {
        return "T (stopped)";
    }
    if (s->state == TASK_TRACED) {
        return "t (tracing stop)";
    }
    return s->state == TASK_SLEEPING ? "S (sleeping)" : "R (running)";
}

static uint64_t ticks(uint64_t ns)
{
    return ns / PROC_TICK_NS;
}

/* Linux: task_prio: 20 + nice for the fair class, -1 - rt_priority for real time. */
static int priority_of(const struct snapshot *s)
{
    bool real_time = s->policy == 1 || s->policy == 2;
    return real_time ? -1 - (int)s->priority : 20 + s->nice;
}

static unsigned long long ull(uint64_t value)
{
    return (unsigned long long)value;
}

int proc_show_stat(struct proc_node *node, struct text *out)
{
    struct snapshot s;
    struct proc_resident rss = {0};
    int result = take_snapshot(node, &s);
    if (result < 0) {
        return result;
    }
    struct task *task;
    bool allowed = false;
    if (proc_get_task(node, &task) == 0) {
        allowed = proc_check_access(task) == 0;
        task_unref(task);
    }
    struct mm *mm = s.mm;
    if (mm != NULL) {
        proc_resident(mm, &rss);
    }
    bool shown = mm != NULL && allowed; /* Linux: addresses only for those who may trace */
    uint64_t pages = (rss.anonymous + rss.file + rss.shared) / PAGE_SIZE;
    text_printf(out, "%d (%s) %c %d %d %d %d %d %u %llu 0 %llu 0 ", s.pid, s.comm,
                state_name(&s)[0], s.ppid, s.pgid, s.sid, (int)s.terminal, s.terminal_group,
                s.forked ? 0x40U | 0x400000U : 0x400000U, ull(s.min_fault), ull(s.maj_fault));
    text_printf(out, "%llu %llu %lld %lld %d %d %u 0 %llu ", ull(ticks(s.user_ns)),
                ull(ticks(s.system_ns)), (long long)ticks(s.child_user_ns),
                (long long)ticks(s.child_system_ns), priority_of(&s), s.nice, s.threads,
                ull(ticks(s.start_ns)));
    text_printf(out, "%llu %llu %llu %llu %llu %llu ", ull(mm != NULL ? mm->total_bytes : 0),
                ull(pages), ull(s.limits[RLIMIT_RSS].rlim_cur), ull(shown ? mm->start_code : 0),
                ull(shown ? mm->end_code : 0), ull(shown ? mm->start_stack : 0));
    /* Linux: kstkesp and kstkeip are 0 unless the task is exiting. Signal masks: the low 31 bits.
     */
    text_printf(out, "0 0 %llu %llu %llu %llu %d 0 0 %d 0 %u %u 0 0 0 ",
                ull(s.pending & 0x7fffffff), ull(s.blocked & 0x7fffffff),
                ull(s.ignored & 0x7fffffff), ull(s.caught & 0x7fffffff),
                s.state == TASK_SLEEPING ? 1 : 0, node->task != NULL ? -1 : s.exit_signal,
                s.priority, s.policy);
    text_printf(out, "%llu %llu %llu %llu %llu %llu %llu %d\n", ull(shown ? mm->start_data : 0),
                ull(shown ? mm->end_data : 0), ull(shown ? mm->brk_start : 0),
                ull(shown ? mm->arg_start : 0), ull(shown ? mm->arg_end : 0),
                ull(shown ? mm->env_start : 0), ull(shown ? mm->env_end : 0),
                allowed ? s.exit_code : 0);
    drop_snapshot(&s);
    return 0;
}

int proc_show_statm(struct proc_node *node, struct text *out)
{
    struct mm *mm;
    int result = proc_get_mm(node, &mm);
    if (result < 0) {
        return result;
    }
    if (mm == NULL) {
        text_puts(out, "0 0 0 0 0 0 0\n");
        return 0;
    }
    struct proc_resident rss;
    proc_resident(mm, &rss);
    uint64_t text = (page_round_up(mm->end_code) - (mm->start_code & PAGE_MASK)) / PAGE_SIZE;
    text_printf(out, "%llu %llu %llu %llu 0 %llu 0\n", ull(mm->total_bytes / PAGE_SIZE),
                ull((rss.anonymous + rss.file + rss.shared) / PAGE_SIZE),
                ull((rss.file + rss.shared) / PAGE_SIZE), ull(text),
                ull(mm->data_bytes / PAGE_SIZE));
    mm_unref(mm);
    return 0;
}

static void show_kb(struct text *out, const char *name, uint64_t bytes)
{
    text_printf(out, "%s:\t%8llu kB\n", name, ull(bytes / 1024));
}

struct area_sums {
    uint64_t stack, library;
};

static struct area_sums sum_areas(struct mm *mm)
{
    struct area_sums sums = {0};
    mm_lock(mm);
    for (struct area *area = mm_find_from_locked(mm, 0); area != NULL;
         area = mm_next_locked(area)) {
        uint64_t size = area->end - area->start;
        if ((area->flags & AREA_STACK) != 0) {
            sums.stack += size;
        } else if ((area->prot & 4) != 0 && area->backing != NULL) {
            sums.library += size;
        }
    }
    mm_unlock(mm);
    return sums;
}

static void show_memory(struct text *out, const struct snapshot *s)
{
    struct mm *mm = s->mm;
    struct proc_resident rss;
    proc_resident(mm, &rss);
    struct area_sums sums = sum_areas(mm);
    uint64_t total = rss.anonymous + rss.file + rss.shared;
    uint64_t code = page_round_up(mm->end_code) - (mm->start_code & PAGE_MASK);
    show_kb(out, "VmPeak", max_of(mm->peak_bytes, mm->total_bytes));
    show_kb(out, "VmSize", mm->total_bytes);
    show_kb(out, "VmLck", mm->locked_bytes);
    show_kb(out, "VmPin", 0);
    show_kb(out, "VmHWM", max_of(s->max_rss, total));
    show_kb(out, "VmRSS", total);
    show_kb(out, "RssAnon", rss.anonymous);
    show_kb(out, "RssFile", rss.file);
    show_kb(out, "RssShmem", rss.shared);
    show_kb(out, "VmData", mm->data_bytes);
    show_kb(out, "VmStk", sums.stack);
    show_kb(out, "VmExe", code);
    show_kb(out, "VmLib", sums.library > code ? sums.library - code : 0);
    show_kb(out, "VmPTE", total / 512 + 8192);
    show_kb(out, "VmSwap", 0);
    show_kb(out, "HugetlbPages", 0);
    text_printf(out, "CoreDumping:\t0\nTHP_enabled:\t%d\n", s->thp_disabled ? 0 : 1);
}

static void show_ids(struct text *out, const struct snapshot *s)
{
    const struct cred *cred = s->cred;
    text_printf(out, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t%u\nGroups:\t",
                cred->uid, cred->euid, cred->suid, cred->fsuid, cred->gid, cred->egid, cred->sgid,
                cred->fsgid, s->fd_size);
    for (uint32_t i = 0; i < cred->group_count; i++) {
        text_printf(out, i > 0 ? " %u" : "%u", cred->groups[i]);
    }
    text_printf(out, " \nNStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n", s->tgid, s->pid,
                s->pgid, s->sid);
}

static bool cpu_allowed(const struct snapshot *s, uint32_t cpu)
{
    return cpu / 8 < sizeof(s->affinity) && (s->affinity[cpu / 8] >> (cpu % 8) & 1) != 0;
}

/* "3" and "0-1": Linux prints masks in words of 32 bits, the highest first, and ranges. */
static void show_cpus(struct text *out, const struct snapshot *s)
{
    uint32_t highest = min_of(kernel.cpu_highest, (uint32_t)sizeof(s->affinity) * 8 - 1);
    text_puts(out, "Cpus_allowed:\t");
    for (int word = (int)(highest / 32); word >= 0; word--) {
        uint32_t bits = 0;
        for (uint32_t i = 0; i < 32; i++) {
            uint32_t cpu = (uint32_t)word * 32 + i;
            bits |= cpu <= highest && cpu_allowed(s, cpu) ? 1U << i : 0;
        }
        int digits = word == (int)(highest / 32) ? (int)(highest % 32) / 4 + 1 : 8;
        text_printf(out, "%0*x%s", digits, bits, word > 0 ? "," : "");
    }
    text_puts(out, "\nCpus_allowed_list:\t");
    const char *separator = "";
    for (uint32_t cpu = 0; cpu <= highest; cpu++) {
        if (!cpu_allowed(s, cpu)) {
            continue;
        }
        uint32_t first = cpu;
        while (cpu < highest && cpu_allowed(s, cpu + 1)) {
            cpu++;
        }
        text_printf(out, first == cpu ? "%s%u" : "%s%u-%u", separator, first, cpu);
        separator = ",";
    }
    text_puts(out, "\nMems_allowed:\t00000000,00000001\nMems_allowed_list:\t0\n");
}

static void show_signals(struct text *out, const struct snapshot *s)
{
    const struct cred *cred = s->cred;
    text_printf(out, "SigQ:\t%u/%llu\n", s->pending_count,
                ull(s->limits[RLIMIT_SIGPENDING].rlim_cur));
    text_printf(out, "SigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\n", ull(s->pending),
                ull(s->shared_pending), ull(s->blocked));
    text_printf(out, "SigIgn:\t%016llx\nSigCgt:\t%016llx\n", ull(s->ignored), ull(s->caught));
    text_printf(out, "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\n",
                ull(cred->cap_inheritable), ull(cred->cap_permitted), ull(cred->cap_effective));
    text_printf(out, "CapBnd:\t%016llx\nCapAmb:\t%016llx\n", ull(cred->cap_bounding),
                ull(cred->cap_ambient));
    text_printf(out, "NoNewPrivs:\t%d\nSeccomp:\t%d\nSeccomp_filters:\t%u\n", cred->no_new_privs,
                s->seccomp_mode, s->seccomp_filters);
}

static void show_name(struct text *out, const char *comm)
{
    text_puts(out, "Name:\t");
    for (; *comm != 0; comm++) {
        if (*comm == '\n') {
            text_puts(out, "\\n");
        } else if (*comm == '\\') {
            text_puts(out, "\\\\");
        } else {
            text_putc(out, *comm);
        }
    }
    text_putc(out, '\n');
}

int proc_show_status(struct proc_node *node, struct text *out)
{
    struct snapshot s;
    int result = take_snapshot(node, &s);
    if (result < 0) {
        return result;
    }
    show_name(out, s.comm);
    if (s.mm != NULL) {
        text_printf(out, "Umask:\t%#04o\n", s.umask);
    }
    text_printf(out, "State:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t%d\n",
                state_name(&s), s.tgid, s.pid, s.ppid, s.tracer);
    show_ids(out, &s);
    if (s.mm != NULL) {
        show_memory(out, &s);
    }
    text_printf(out, "Threads:\t%u\n", s.threads);
    show_signals(out, &s);
    text_puts(out, "Speculation_Store_Bypass:\tthread vulnerable\n"
                   "SpeculationIndirectBranch:\tconditional enabled\n");
    show_cpus(out, &s);
    text_printf(out, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t0\n",
                ull(s.switches));
    drop_snapshot(&s);
    return 0;
}

/* DIFFERS: no byte of a guest's file goes to a disk that the sandbox knows of. */
int proc_show_io(struct proc_node *node, struct text *out)
{
    struct task *task;
    struct io_counts io;
    int result = proc_get_task(node, &task);
    if (result < 0) {
        return result;
    }
    mutex_lock(&kernel_lock);
    if (node->task == NULL) {
        process_io(task->process, &io);
    } else {
        task_io(task, &io);
    }
    mutex_unlock(&kernel_lock);
    task_unref(task);
    text_printf(out, "rchar: %llu\nwchar: %llu\nsyscr: %llu\nsyscw: %llu\n", ull(io.read_bytes),
                ull(io.written_bytes), ull(io.reads), ull(io.writes));
    text_puts(out, "read_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n");
    return 0;
}

static void show_limit(struct text *out, rlim_t value)
{
    if (value == RLIM_INFINITY) {
        text_printf(out, "%-20s ", "unlimited");
    } else {
        text_printf(out, "%-20llu ", ull(value));
    }
}

int proc_show_limits(struct proc_node *node, struct text *out)
{
    static const struct {
        const char *name, *unit;
    } names[RLIM_NLIMITS] = {
        [RLIMIT_CPU] = {"Max cpu time", "seconds"},
        [RLIMIT_FSIZE] = {"Max file size", "bytes"},
        [RLIMIT_DATA] = {"Max data size", "bytes"},
        [RLIMIT_STACK] = {"Max stack size", "bytes"},
        [RLIMIT_CORE] = {"Max core file size", "bytes"},
        [RLIMIT_RSS] = {"Max resident set", "bytes"},
        [RLIMIT_NPROC] = {"Max processes", "processes"},
        [RLIMIT_NOFILE] = {"Max open files", "files"},
        [RLIMIT_MEMLOCK] = {"Max locked memory", "bytes"},
        [RLIMIT_AS] = {"Max address space", "bytes"},
        [RLIMIT_LOCKS] = {"Max file locks", "locks"},
        [RLIMIT_SIGPENDING] = {"Max pending signals", "signals"},
        [RLIMIT_MSGQUEUE] = {"Max msgqueue size", "bytes"},
        [RLIMIT_NICE] = {"Max nice priority", NULL},
        [RLIMIT_RTPRIO] = {"Max realtime priority", NULL},
        [RLIMIT_RTTIME] = {"Max realtime timeout", "us"},
    };
    struct snapshot s;
    int result = take_snapshot(node, &s);
    if (result < 0) {
        return result;
    }
    text_printf(out, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        text_printf(out, "%-25s ", names[i].name);
        show_limit(out, s.limits[i].rlim_cur);
        show_limit(out, s.limits[i].rlim_max);
        if (names[i].unit != NULL) {
            text_printf(out, "%-10s\n", names[i].unit);
        } else {
            text_putc(out, '\n');
        }
    }
    drop_snapshot(&s);
    return 0;
}
