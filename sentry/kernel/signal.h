/*
 * signal.h: queueing, masks, dispositions and delivery of signals. Sources: signal(7), Linux
 * kernel/signal.c, arch/x86/kernel/signal.c.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "platform/base/queue.h"
#include "platform/base/refcount.h"

struct task;
struct process;
struct platform_fault;

#define SIGNAL_COUNT      64
#define SIGNAL_BIT(signo) (1ULL << ((signo)-1))

/* The kernel's siginfo: 128 bytes, same layout as the host's siginfo_t. */
struct linux_sigaction {
    uint64_t handler; /* 0 SIG_DFL, 1 SIG_IGN */
    uint64_t flags;
    uint64_t restorer;
    uint64_t mask;
};

struct sighand {
    struct refcount ref;
    struct linux_sigaction actions[SIGNAL_COUNT]; /* (K) by signo-1 */
};

struct signal_entry {
    TAILQ_ENTRY(signal_entry) link;
    siginfo_t info;
    struct posix_timer *timer; /* the entry belongs to this timer and is not freed */
    bool queued;
};

struct signal_queue {
    TAILQ_HEAD(signal_entry_list, signal_entry) entries;
    uint64_t set; /* pending signals */
};

/* Sends with permission checks done. info NULL: SI_KERNEL. -EAGAIN when the RT queue is full. */
int signal_send_task(struct task *task, int signo, const siginfo_t *info);
int signal_send_process(struct process *process, int signo, const siginfo_t *info);
int signal_send_task_locked(struct task *task, int signo, const siginfo_t *info);
int signal_send_process_locked(struct process *process, int signo, const siginfo_t *info);
/* To every process of the group; -ESRCH when there is none. No permission check. */
int signal_send_group(int pgid, int signo, const siginfo_t *info);
/* kill(2)'s permission rule. */
bool signal_may_send(struct process *target, int signo);
void signal_info_user(siginfo_t *info, int signo, int code); /* si_pid, si_uid of the caller */

/* Synchronous: unblocks and resets a blocked or ignored handler, as Linux force_sig does. */
void signal_force(struct task *task, const siginfo_t *info);
void signal_force_fault(struct task *task, const struct platform_fault *fault);

void signal_set_mask(struct task *task, uint64_t mask);
/* Sets a mask for one call; the old one comes back after the handler is set up (sigsuspend). */
void signal_set_temporary_mask(struct task *task, uint64_t mask);
/* Takes a pending signal of set (signalfd, sigtimedwait). Returns signo or 0. */
int signal_dequeue(struct task *task, uint64_t set, siginfo_t *ret_info);
uint64_t signal_pending_set(struct task *task);

/* Before going back to the guest: delivers what is pending, parks in stops. May end the task. */
void signal_deliver(struct task *task);
/* Called for each signal taken by a thread, under kernel_lock; set by --strace. */
extern void (*signal_trace)(struct task *task, const siginfo_t *info);

void signal_queue_init(struct signal_queue *queue);
void signal_queue_flush(struct signal_queue *queue);
struct sighand *sighand_new(void) must_check;
struct sighand *sighand_copy(struct sighand *sighand) must_check;
struct sighand *sighand_ref(struct sighand *sighand);
struct sighand *sighand_unref(struct sighand *sighand);
