/*
 * signal_deliver.c: what happens between a system call (or a fault) and the guest's next
 * instruction: group stops, default actions, handlers, and restarted calls.
 * Linux: get_signal, handle_signal, arch_do_signal_or_restart.
 */
#include <errno.h>
#include <string.h>

#include "sentry/kernel/core_dump.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/signal_sets.h"
#include "sentry/kernel/task.h"

#define SYS_RESTART_SYSCALL 219

/* Every thread has parked: the process counts as stopped. (K) */
static void stop_complete(struct process *process)
{
    if (!process->stop_requested || process->stop_reported) {
        return;
    }
    struct task *task;
    TAILQ_FOREACH (task, &process->threads, thread_link) {
        if (!task->stopped && !task->ptrace.took_stop) {
            return;
        }
    }
    process->stop_reported = true;
    process->stop_unwaited = true;
    if (!ptrace_by_parent_locked(process)) { /* it hears of its tracee */
        process_notify_parent_locked(process, SIGCHLD, CLD_STOPPED, process->stop_signal);
    }
}

void process_thread_left_locked(struct process *process)
{
    stop_complete(process);
}

/* Starts a group stop; the calling thread parks at once, the others when they come by. (K) */
static void stop_begin(struct process *process, int signo)
{
    if (!process->stop_requested) {
        process->stop_requested = true;
        process->stop_signal = signo;
        process->stop_reported = false;
        process->continued = false;
    }
    struct task *task;
    TAILQ_FOREACH (task, &process->threads, thread_link) {
        task->ptrace.took_stop = false; /* a tracee that was resumed stops again */
        task_kick_locked(task);
    }
}

/* Parks until SIGCONT or death. kernel_lock is dropped meanwhile. */
static void stop_park(struct task *task)
{
    struct process *process = task->process;
    task->stopped = true;
    stop_complete(process);
    while (process->stop_requested && !task->exiting && !task->ptrace.tracer) {
        sleeper_prepare(&task->sleeper);
        atomic_store(&task->state, TASK_STOPPED);
        mutex_unlock(&kernel_lock);
        sleeper_wait(&task->sleeper, SLEEP_FOREVER);
        mutex_lock(&kernel_lock);
    }
    atomic_store(&task->state, TASK_RUNNING);
    task->stopped = false;
}

/* How a restart class ends when a handler runs (action) or none does (NULL). */
static void finish_restart(struct task *task, const struct linux_sigaction *action)
{
    struct arch_regs *regs = &task->regs;
    if ((int64_t)regs->orig_rax < 0) {
        return; /* not in a system call */
    }
    bool restart = false;
    switch (-(int64_t)regs->rax) {
    case ERESTARTNOINTR:
        restart = true;
        break;
    case ERESTARTSYS:
        restart = !action || (action->flags & SA_RESTART);
        break;
    case ERESTARTNOHAND:
        restart = !action;
        break;
    case ERESTART_RESTARTBLOCK:
        if (!action) {
            regs->rax = SYS_RESTART_SYSCALL;
            regs->rip -= 2;
            regs->orig_rax = UINT64_MAX;
            return;
        }
        break;
    default:
        regs->orig_rax = UINT64_MAX;
        return;
    }
    if (restart) {
        regs->rax = regs->orig_rax;
        regs->rip -= 2;
    } else {
        regs->rax = (uint64_t)-EINTR;
    }
    regs->orig_rax = UINT64_MAX;
}

#define CORE_DUMPED 0x80 /* in a wait status */

/* The default action; drops the lock for a while when there is a core to be written. True when the
 * task is to exit. (K) */
static bool default_action(struct task *task, const siginfo_t *info)
{
    struct process *process = task->process;
    int signo = info->si_signo;
    bool dumped = false;
    uint64_t bit = SIGNAL_BIT(signo);
    if (bit & SIGNALS_IGNORED_BY_DEFAULT) {
        return false;
    }
    if (bit & SIGNALS_STOP) {
        if (task->ptrace.tracer && !task->ptrace.stop_valid) {
            return false; /* SIGCONT came while the tracer looked at it */
        }
        if (signo == SIGSTOP || !process_group_orphaned_locked(process->pgid, NULL)) {
            stop_begin(process, signo);
        }
        return false;
    }
    if ((bit & SIGNALS_CORE) && process->limits[RLIMIT_CORE].rlim_cur > 0 && !process->dumping) {
        process->dumping = true; /* and whoever comes second just ends */
        mutex_unlock(&kernel_lock);
        dumped = core_dump(task, info);
        mutex_lock(&kernel_lock);
    }
    process_group_exit_locked(process, dumped ? signo | CORE_DUMPED : signo);
    return true;
}

/* Runs one handler. Locks dropped. */
static void run_handler(struct task *task, const struct linux_sigaction *action,
                        const siginfo_t *info, uint64_t saved_mask)
{
    finish_restart(task, action);
    int signo = info->si_signo;
    bool stepping = ptrace_stepping(task);
    int result = signal_frame_push(task, action, info, saved_mask);
    if (result != 0) {
        siginfo_t segv;
        memset(&segv, 0, sizeof(segv));
        segv.si_signo = SIGSEGV;
        segv.si_code = SI_KERNEL;
        mutex_lock(&kernel_lock);
        task->signal_mask = saved_mask;
        if (signo == SIGSEGV) {
            task->process->sighand->actions[SIGSEGV - 1].handler = 0;
            task->signal_mask &= ~SIGNAL_BIT(SIGSEGV);
        }
        mutex_unlock(&kernel_lock);
        signal_force(task, &segv);
        return;
    }
    uint64_t mask = task->signal_mask | action->mask;
    if (!(action->flags & SA_NODEFER)) {
        mask |= SIGNAL_BIT(signo);
    }
    signal_set_mask(task, mask);
    if (stepping) {
        ptrace_step_into_handler(task);
    }
}

/* What comes before signals. True: look again. (K), may be dropped meanwhile. */
static bool take_stop(struct task *task)
{
    bool stop = task->process->stop_requested && !task->ptrace.took_stop;
    if (task->ptrace.tracer && (stop || ptrace_trap_pending_locked(task))) {
        ptrace_trap_locked(task);
        return true;
    }
    if (stop) {
        stop_park(task);
    }
    return stop;
}

void (*signal_trace)(struct task *task, const siginfo_t *info);

void signal_deliver(struct task *task)
{
    struct process *process = task->process;
    bool handled = false;
    mutex_lock(&kernel_lock);
    for (;;) {
        atomic_store(&task->work, false);
        if (task->exiting) {
            break;
        }
        if (take_stop(task)) {
            continue;
        }
        siginfo_t info;
        int signo = signal_dequeue_locked(task, ~task->signal_mask, &info);
        if (signo == 0) {
            break;
        }
        if (task->ptrace.tracer) {
            signo = ptrace_signal_locked(task, &info);
            if (signo == 0) {
                continue;
            }
        }
        if (signal_trace) {
            signal_trace(task, &info);
        }
        struct linux_sigaction action = process->sighand->actions[signo - 1];
        if (action.handler == (uint64_t)(uintptr_t)SIG_IGN) {
            continue;
        }
        if (action.handler == (uint64_t)(uintptr_t)SIG_DFL) {
            if (default_action(task, &info)) {
                break;
            }
            continue;
        }
        if (action.flags & SA_RESETHAND) {
            process->sighand->actions[signo - 1].handler = (uint64_t)(uintptr_t)SIG_DFL;
        }
        uint64_t saved = task->restore_mask ? task->saved_mask : task->signal_mask;
        task->restore_mask = false;
        handled = true;
        mutex_unlock(&kernel_lock);
        run_handler(task, &action, &info, saved);
        mutex_lock(&kernel_lock);
    }
    if (!handled && !task->exiting) {
        finish_restart(task, NULL);
    }
    if (task->restore_mask) {
        task->restore_mask = false;
        task->signal_mask = task->saved_mask;
        if ((task->pending.set | process->pending.set) & ~task->signal_mask) {
            atomic_store(&task->work, true);
        }
    }
    mutex_unlock(&kernel_lock);
}
