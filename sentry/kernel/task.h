/*
 * task.h: guest threads (task) and thread groups (process), and the tables that find them.
 *
 * kernel_lock (RANK_KERNEL) guards the task tree, identities, signal state, wait state and whatever
 * is marked (K) below. A task's unmarked fields belong to its own sentry thread. Every task exits
 * by itself: others only set flags and kick it. Sources: Linux kernel/{fork,exit,signal,sys}.c.
 */
#pragma once

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "platform/base/compiler.h"
#include "platform/base/hash.h"
#include "platform/base/lock.h"
#include "platform/base/queue.h"
#include "platform/base/refcount.h"
#include "platform/platform.h"
#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/core/restart.h"
#include "sentry/core/timer.h"
#include "sentry/core/wait_queue.h"
#include "sentry/kernel/ptrace_state.h"
#include "sentry/kernel/signal.h"

struct fd_table;
struct fs_context;
struct key;
struct mm;
struct seccomp_filter;
struct sem_undo_list;
struct tty;

extern struct mutex kernel_lock;

struct session {
    struct refcount ref;
    int sid;
    struct tty *tty; /* (K) controlling terminal; reference held by the tty layer */
    bool has_leader; /* (K) */
};

enum process_state { PROCESS_RUNNING, PROCESS_ZOMBIE, PROCESS_REAPED };

struct posix_timer;

/* What went through read and write, for /proc/PID/io. */
struct io_counts {
    uint64_t read_bytes, written_bytes, reads, writes;
};

struct process {
    struct refcount ref;
    int tgid;
    TAILQ_ENTRY(process) all_link;       /* (K) */
    TAILQ_HEAD(task_list, task) threads; /* (K) live threads */
    int thread_count;                    /* (K) entries of threads */
    int live_count;                      /* (K) of these, threads that have not begun to exit */
    struct task *leader;                 /* (K) reference; replaced by exec from another thread */

    struct process *parent;                     /* (K) never NULL but for init */
    TAILQ_HEAD(process_list, process) children; /* (K) */
    TAILQ_ENTRY(process) sibling_link;          /* (K) */
    int pgid;                                   /* (K) */
    struct session *session;                    /* (K) reference */
    _Atomic enum process_state state;           /* written under (K) */
    bool gave_up_tty;                           /* (K) TIOCNOTTY by one that leads no session */
    bool did_exec;                              /* (K) setpgid by the parent then fails */
    atomic_bool is_subreaper;                   /* written under (K) */
    bool has_subreaper;                         /* (K) */
    int exit_signal;                            /* (K) sent to the parent; 0 none */
    atomic_int pdeath_signal;                   /* written under (K) */

    bool group_exiting;     /* (K) */
    int exit_status;        /* (K) wait status */
    struct task *exec_task; /* (K) the thread that tears down the others */
    int exec_waiting;       /* (K) threads it still waits for */

    struct sighand *sighand;       /* (K) reference */
    struct signal_queue pending;   /* (K) process-directed */
    bool stop_requested;           /* (K) group stop: threads park */
    int stop_signal;               /* (K) its signal */
    bool stop_reported;            /* (K) the parent was told of this stop */
    bool stop_unwaited, continued; /* (K) what WUNTRACED, WCONTINUED will take */
    struct wait_queue child_wait;  /* woken when a child changes state */
    struct wait_queue exit_wait;   /* pidfds: woken when the process has exited */

    struct rlimit limits[RLIM_NLIMITS];          /* (K) */
    uint64_t user_ns, system_ns;                 /* (K) of threads that ended */
    struct io_counts io;                         /* (K) of threads that ended */
    uint64_t child_user_ns, child_system_ns;     /* (K) of reaped children */
    uint64_t max_rss, child_max_rss;             /* (K) bytes */
    uint64_t max_rss_noted_ns;                   /* (K) see resident.h */
    uint64_t start_ns;                           /* CLOCK_BOOTTIME at creation */
    struct timer real_timer;                     /* ITIMER_REAL */
    uint64_t real_interval_ns, real_deadline_ns; /* (K) CLOCK_MONOTONIC; 0: disarmed */
    uint64_t cpu_limit_next;                     /* (K) RLIMIT_CPU: seconds at the next SIGXCPU */
    uint64_t cpu_timer_ns[2],
        cpu_interval_ns[2]; /* (K) ITIMER_VIRTUAL, ITIMER_PROF: at, interval */
    TAILQ_HEAD(posix_timer_list, posix_timer) timers; /* (K) */
    int next_timer_id;                                /* (K) */
    int oom_score_adj;                                /* (K) */
    int nice;                                         /* (K) */
    _Atomic uint32_t personality;
    bool dumping;           /* (K) a thread writes the core file */
    struct key *keyring;    /* under keys_lock: the process keyring, a reference */
    char *cmdline_override; /* unused unless PR_SET_MM… */
};

enum task_state {
    TASK_RUNNING,
    TASK_SLEEPING,
    TASK_STOPPED,
    TASK_TRACED,
    TASK_ZOMBIE,
    TASK_DEAD,
};

/* What restart_syscall(2) repeats: a relative sleep turned absolute. */
struct restart_block {
    long (*restart)(struct task *task);
    uint64_t args[6];
};

/* personality(2) with STICKY_TIMEOUTS: waits leave their timeout arguments alone. */
static inline bool process_sticky_timeouts(const struct process *process)
{
    return (process->personality & 0x4000000U) != 0;
}

struct task {
    struct refcount ref;
    UT_hash_handle hh;                       /* (K) in the tid table */
    TAILQ_ENTRY(task) thread_link;           /* (K) */
    int tid;                                 /* (K) changes only in exec from a non-leader */
    struct process *process;                 /* reference; fixed */
    struct platform_thread *platform_thread; /* (K) for others; NULL before it runs and after */
    struct arch_regs regs;                   /* own; see task_sleep_registers */
    struct mm *mm;                           /* own reference; (K) for others */
    struct fd_table *fds;                    /* own reference; (K) for others */
    struct fs_context *fs;                   /* own reference; (K) for others */
    const struct cred *cred;                 /* own reference; (K) for others */
    char comm[16];                           /* (K) */

    struct sleeper sleeper;
    _Atomic enum task_state state;
    atomic_bool work;                      /* something to do before going back to the guest */
    atomic_bool in_guest;                  /* guest code runs, or is about to unless work is set */
    atomic_ullong user_ns, system_ns;      /* last known CPU time of ended platform threads */
    uint64_t base_user_ns, base_system_ns; /* (K) CPU time of platform threads before exec */

    uint64_t signal_mask;        /* (K) blocked signals: bit signo-1 */
    uint64_t saved_mask;         /* (K) restored after sigsuspend, ppoll … */
    bool restore_mask;           /* (K) */
    uint64_t wait_mask;          /* (K) sigtimedwait: unblocked for waking only */
    struct signal_queue pending; /* (K) thread-directed */
    bool stopped;                /* (K) parked in a group stop */
    atomic_bool exiting; /* written under (K): must exit: group exit, exec of another, SIGKILL */
    int exit_code;       /* wait status of the thread */
    int forced_signal;   /* (K) synchronous signal to be delivered first */
    uint64_t fault_trapno, fault_error, fault_cr2; /* own: for the signal frame */
    uint64_t altstack_addr, altstack_size;
    uint32_t altstack_flags;
    struct wait_queue signal_wait; /* signalfd: woken when a signal is queued */

    uint64_t clear_child_tid;                      /* guest address or 0 */
    _Atomic uint64_t robust_list;                  /* guest address or 0 */
    atomic_int seccomp_mode;                       /* SECCOMP_MODE_*; written under (K) */
    struct seccomp_filter *_Atomic seccomp_filter; /* written under (K); see seccomp.h */
    atomic_bool seccomp_no_new_privs; /* another thread asks for it: taken over at the next call */
    bool futex_exited;                /* under futex_pi.c's lock: has given up its PI locks */
    struct sem_undo_list *sem_undo;   /* own: SEM_UNDO; NULL: nothing was to be undone yet */
    struct task *vfork_parent;        /* (K) waits until this task execs or exits */
    bool vfork_done;                  /* (K) of the waiting parent */
    struct restart_block restart_block;
    atomic_int syscall_nr; /* of the call in progress, -1 outside; for /proc/pid/syscall */
    uint64_t start_ns;
    _Atomic uint64_t min_fault, maj_fault, voluntary_switches;
    _Atomic uint64_t io_read_bytes, io_written_bytes, io_reads, io_writes;
    uint8_t affinity[128]; /* (K) CPU mask as set */
    _Atomic uint32_t sched_policy, sched_priority;
    _Atomic uint64_t timer_slack_ns;
    struct key *thread_keyring, *session_keyring; /* own references; NULL: none yet */
    int default_keyring;                          /* KEY_REQKEY_DEFL_* */
    unsigned memory_policy;                       /* MPOL_* */
    uint64_t default_slack_ns;                    /* the creator's, for PR_SET_TIMERSLACK 0 */
    uint64_t sched_runtime, sched_deadline, sched_period; /* SCHED_DEADLINE: as told */
    atomic_int ioprio;
    atomic_bool thp_disabled;
    bool forked;                    /* (K) PF_FORKNOEXEC */
    _Atomic uint64_t sleep_regs[8]; /* see task_sleep_registers */
    struct ptrace_state ptrace;
    void *initial_xstate; /* loaded when the thread starts; owned */
};

static inline struct task *current_task(void)
{
    return current.task;
}

/* Tables. The finders return a reference or NULL; the _locked ones borrow. */
struct task *task_find(int tid) must_check;
struct path;
/* pivot_root: tasks whose root or working directory is old go to new_root. -ENOMEM: none did. */
int task_pivot_roots(const struct path *old, const struct path *new_root) must_check;
/* The process number given last: the next one follows it. -EINVAL. */
int pid_get_last(void);
int pid_set_last(long pid) must_check;
struct task *task_find_locked(int tid);
struct process *process_find(int tgid) must_check;
struct process *process_find_locked(int tgid);
extern struct process_list all_processes; /* (K) by all_link, in order of creation */
extern struct process *init_process;      /* pid 1 of the sandbox: reaps orphans */

struct task *task_ref(struct task *task);
struct task *task_unref(struct task *task);
struct process *process_ref(struct process *process);
struct process *process_unref(struct process *process);

/* Wakes the task from a sleep or out of guest code, so that it looks at its flags. (K) held. */
void task_kick_locked(struct task *task);

/*
 * Sleeping in a system call. Order: task_sleep_prepare, queue wait entries / look at the condition,
 * task_sleep. Returns 0 when woken (look again), -ETIMEDOUT, or -ERESTARTSYS when a signal is to be
 * handled. No lock may be held.
 */
void task_sleep_prepare(void);
/* sleeper_before_wake of the sandbox. */
void task_before_wake(struct sleeper *sleeper);
int task_sleep(uint64_t deadline_ns) must_check;
/* Only SIGKILL-like flags end it (vfork, exec). */
int task_sleep_killable(uint64_t deadline_ns) must_check;
bool task_signal_pending(struct task *task);

/*
 * In a call, task->regs has the number, the arguments, rip and rcx; some engines tell the others
 * only when they are asked. Called by the task itself before one of those is read or changed. If
 * the stub is gone they stay unknown; the task ends then before it runs again.
 */
void task_complete_registers(struct task *task);
/* The registers with which the task last went to sleep in a call (its own: the present ones):
 * arguments, rsp and rip; the others are 0. DIFFERS: rsp may be that of an earlier call. */
void task_sleep_registers(struct task *task, struct arch_regs *ret_regs);

/* Publishes new credentials of the calling task; takes the reference. */
void task_set_cred(const struct cred *cred);
uint64_t task_limit(int resource); /* soft limit of the calling process */

/* CPU time of a live task, and of a process with its ended threads. Nanoseconds. (K) held. */
void task_cpu_time(struct task *task, uint64_t *ret_user, uint64_t *ret_system);
void process_cpu_time(struct process *process, uint64_t *ret_user, uint64_t *ret_system);
/* The calling task's read or write ended with result; an error counts as a call. */
void task_count_read(struct task *task, ssize_t result);
void task_count_write(struct task *task, ssize_t result);
void task_io(struct task *task, struct io_counts *ret_io);
/* With the threads that ended. (K) held. */
void process_io(struct process *process, struct io_counts *ret_io);
/* The task leaves its process: what it did stays counted. */
void process_keep_io_locked(struct task *task);
