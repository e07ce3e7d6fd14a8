/* signal_sets.h: classes of signals, and inner operations shared by the signal_*.c files. */
#pragma once

#include <signal.h>
#include <stdbool.h>

#include "sentry/kernel/signal.h"

#define SIGRTMIN_KERNEL 32

#define SIGNALS_UNBLOCKABLE (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))
#define SIGNALS_STOP                                                                               \
    (SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU))
#define SIGNALS_IGNORED_BY_DEFAULT                                                                 \
    (SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGWINCH) | SIGNAL_BIT(SIGURG))
#define SIGNALS_SYNCHRONOUS                                                                        \
    (SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGTRAP) |         \
     SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGSYS))
#define SIGNALS_CORE                                                                               \
    (SIGNAL_BIT(SIGQUIT) | SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGTRAP) | SIGNAL_BIT(SIGABRT) |        \
     SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGSYS) |          \
     SIGNAL_BIT(SIGXCPU) | SIGNAL_BIT(SIGXFSZ))

/* (K) */
int signal_dequeue_locked(struct task *task, uint64_t set, siginfo_t *ret_info);
bool signal_send_timer_locked(struct process *process, struct task *target,
                              struct signal_entry *entry);
void signal_cancel_timer_locked(struct process *process, struct signal_entry *entry);

/* rt_sigaction. action NULL: only the old one. -EINVAL. */
int signal_set_action(struct process *process, int signo, const struct linux_sigaction *action,
                      struct linux_sigaction *ret_old) must_check;
/* exec: handlers become default, ignored stay ignored. */
void signal_reset_actions(struct process *process);

/*
 * The frame on the guest's stack. Both work on task->regs and the platform thread's extended state.
 * signal_frame_push returns -EFAULT when the stack cannot take it (the caller forces SIGSEGV).
 * signal_frame_pop is rt_sigreturn: -EFAULT for a bad frame.
 */
int signal_frame_push(struct task *task, const struct linux_sigaction *action,
                      const siginfo_t *info, uint64_t saved_mask) must_check;
int signal_frame_pop(struct task *task) must_check;
