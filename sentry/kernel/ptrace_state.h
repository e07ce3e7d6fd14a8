/*
 * ptrace_state.h: what a task knows of its tracer and of those it traces; a part of struct task.
 * (K) = guarded by kernel_lock. A tracer's list holds a reference to each of its tracees; a tracee
 * does not hold its tracer, which lets go of all before it ends.
 */
#pragma once

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/base/queue.h"

struct task;
struct ptrace_errand;

/* How a tracee was resumed last. */
enum ptrace_mode {
    PTRACE_MODE_CALLS = 1,   /* stops at the entry and the exit of calls */
    PTRACE_MODE_EMULATE = 2, /* stops at the entry of calls, which are not made */
    PTRACE_MODE_STEP = 4,    /* one instruction */
    PTRACE_MODE_WATCH = 8,   /* a debug register is enabled */
};

struct ptrace_state {
    struct task *tracer;                   /* (K) NULL: not traced */
    TAILQ_HEAD(tracee_list, task) tracees; /* (K) references */
    TAILQ_ENTRY(task) link;                /* (K) in the tracer's list */
    int creator_tid;                       /* (K) the thread that made it: whom TRACEME means */
    bool lets_go;                          /* (K) as a tracer: ends, takes no more tracees */

    bool seized;            /* (K) by PTRACE_SEIZE */
    bool tracer_privileged; /* (K) the tracer had CAP_SYS_PTRACE when it attached */
    unsigned options;       /* (K) PTRACE_O_* */
    atomic_uint mode;       /* enum ptrace_mode; written under (K), while the tracee is stopped */

    bool stopped;     /* (K) in a stop, until it is resumed */
    bool frozen;      /* (K) the tracer is at work on it: it stays where it is, even if killed */
    bool listening;   /* (K) PTRACE_LISTEN: stopped, but not for its tracer */
    bool at_signal;   /* (K) stopped before the delivery of a signal */
    bool killed;      /* (K) no stop holds it any more */
    bool trap_stop;   /* (K) is to stop: PTRACE_INTERRUPT, a new tracee */
    bool trap_notify; /* (K) seized: the state of the group stop changed */
    bool took_stop;   /* (K) has reported the group stop that is in effect */
    bool stop_valid;  /* (K) the stop signal it has in hand was not undone by SIGCONT */
    int stop_code;    /* (K) news for wait, 0: taken; then what the tracer resumes it with */
    bool has_info;    /* (K) info tells of this stop */
    siginfo_t info;
    uint64_t message; /* (K) PTRACE_GETEVENTMSG */

    bool was_step;                /* own: and was so when the guest ran last */
    unsigned may_write;           /* own: where the instruction that is stepped may write */
    uint64_t watched[4];          /* own: the values of what is watched, before the step */
    bool step_flag;               /* own: the trap flag in task->regs is the tracer's */
    struct ptrace_errand *errand; /* (K) to be done by the stopped tracee; see ptrace_regs.c */
    uint64_t debug[8];            /* while frozen: the debug registers as told */
};
