/*
 * strace.h: the trace of system calls, one line per finished call, as strace(1) prints them.
 *
 *   [   2] openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3
 *   [   2] read(3, "root:x:0:0:"..., 4096) = 1021
 *   [   2] --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=3, …} ---
 *   [   2] +++ exited with 0 +++
 *
 * Each line is one write(2), so that lines of different threads never mix. Input is decoded before
 * the call runs (exec and racing threads may change it), output afterwards. While off, the only
 * cost is one load per call.
 */
#pragma once

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/base/text.h"

struct syscall_args;
struct syscall_row;
struct task;

extern atomic_int strace_fd; /* -1: off */

static inline bool strace_enabled(void)
{
    return atomic_load_explicit(&strace_fd, memory_order_relaxed) >= 0;
}

/* Lines go to fd, which is borrowed for good; -1 turns the trace off. */
void strace_configure(int fd);

/* One call being traced; lives on the stack of dispatch. */
struct strace_call {
    const struct syscall_row *row; /* NULL: unknown number */
    unsigned number;
    const struct syscall_args *args;
    struct text before; /* "name(" and the arguments known so far */
    unsigned next;      /* first argument not yet in `before` */
    bool done;          /* printed: the call never returns */
};

void strace_enter(struct strace_call *call, struct task *task, unsigned number,
                  const struct syscall_args *args);
void strace_leave(struct strace_call *call, struct task *task, long result);

/* A signal is about to be delivered to task (also a fatal or ignored-by-default one). Fits the
 * kernel's signal_trace hook: may be called with kernel_lock held. */
void strace_signal(struct task *task, const siginfo_t *info);
/* The task ends with a wait status. */
void strace_exit(struct task *task, int wait_status);
