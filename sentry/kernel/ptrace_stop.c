/*
 * ptrace_stop.c: the stops of a tracee, in its own sentry thread: before signals, for group stops,
 * events and calls, and single steps. Linux: ptrace_stop, ptrace_signal, do_jobctl_trap.
 *
 * Before a task stops its registers are made complete, with no lock held, because the tracer reads
 * and writes task->regs.
 */
#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/ptrace_errand.h"
#include "sentry/kernel/signal_sets.h"
#include "sentry/kernel/task.h"

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif
#define MESSAGE_CALL_ENTRY 1 /* PTRACE_EVENTMSG_SYSCALL_ENTRY */
#define MESSAGE_CALL_EXIT  2

/* Sleeps until the tracer resumes the task, or it dies. (K), dropped meanwhile. */
static void wait_for_tracer(struct task *task)
{
    struct ptrace_state *state = &task->ptrace;
    for (;;) {
        struct ptrace_errand *errand = state->errand;
        if (errand) {
            mutex_unlock(&kernel_lock);
            ptrace_errand_run(task, errand);
            mutex_lock(&kernel_lock);
            state->errand = NULL;
            errand->done = true;
            sleeper_wake(&errand->asker->sleeper);
            continue;
        }
        bool again = state->listening && (state->trap_stop || state->trap_notify);
        if (!state->frozen && (!state->stopped || state->killed || again)) {
            break;
        }
        sleeper_prepare(&task->sleeper);
        mutex_unlock(&kernel_lock);
        bool hinting = task->platform_thread && kernel.platform_ops->thread_rest;
        if (hinting) {
            kernel.platform_ops->thread_rest(task->platform_thread, true);
        }
        sleeper_wait(&task->sleeper, SLEEP_FOREVER);
        if (hinting) {
            kernel.platform_ops->thread_rest(task->platform_thread, false);
        }
        mutex_lock(&kernel_lock);
    }
}

/* Stops the task; info is given back as the tracer left it. Returns what it was resumed with, 0
 * when it did not stop. (K), dropped meanwhile. */
static int stop_locked(struct task *task, int code, int why, uint64_t message, siginfo_t *info)
{
    struct ptrace_state *state = &task->ptrace;
    struct process *process = task->process;
    mutex_unlock(&kernel_lock);
    task_complete_registers(task);
    mutex_lock(&kernel_lock);
    if (!state->tracer || state->killed) {
        return 0;
    }
    state->stopped = true;
    state->listening = false;
    state->stop_code = code;
    state->message = message;
    state->has_info = info != NULL;
    state->trap_stop = false;
    if (info) {
        state->info = *info;
        if (info->si_code >> 8 == PTRACE_EVENT_STOP) {
            state->trap_notify = false;
        }
    }
    if (why == CLD_STOPPED && process->stop_requested) {
        state->took_stop = true;
        process_thread_left_locked(process);
    }
    atomic_store(&task->state, TASK_TRACED);
    ptrace_notify_tracer_locked(
        task, why,
        why == CLD_STOPPED && process->stop_signal != 0 ? process->stop_signal : code & 0x7f);
    wait_for_tracer(task);
    atomic_store(&task->state, TASK_RUNNING);
    bool again = state->stopped; /* killed, or to be stopped anew */
    int resumed = again ? 0 : state->stop_code;
    if (info) {
        *info = state->info;
    }
    state->stopped = state->listening = state->has_info = state->at_signal = false;
    state->stop_code = 0;
    state->message = 0;
    return resumed;
}

/* A stop that tells of itself: an event or a call. */
static int notify_locked(struct task *task, int signo, int code, int why, uint64_t message)
{
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    info.si_signo = signo;
    info.si_code = code;
    info.si_pid = task->tid;
    info.si_uid = task->cred->uid;
    return stop_locked(task, code, why, message, &info);
}

int ptrace_signal_locked(struct task *task, siginfo_t *info)
{
    struct ptrace_state *state = &task->ptrace;
    state->stop_valid = true;
    state->at_signal = true;
    int stopped_for = info->si_signo;
    bool stops = state->tracer && !state->killed;
    int signo = stop_locked(task, stopped_for, CLD_TRAPPED, 0, info);
    state->at_signal = false;
    if (!stops) {
        return stopped_for;
    }
    if (signo < 1 || signo > SIGNAL_COUNT) {
        return 0;
    }
    if (signo != info->si_signo) {
        struct task *tracer = state->tracer;
        memset(info, 0, sizeof(*info));
        info->si_signo = signo;
        info->si_code = SI_USER;
        info->si_pid = tracer ? tracer->process->tgid : 0;
        info->si_uid = tracer && tracer->cred ? tracer->cred->uid : 0;
    }
    if (task->signal_mask & SIGNAL_BIT(signo)) {
        ignore_result(signal_send_task_locked(task, signo, info));
        return 0;
    }
    return signo;
}

bool ptrace_trap_pending_locked(const struct task *task)
{
    return task->ptrace.tracer && (task->ptrace.trap_stop || task->ptrace.trap_notify);
}

void ptrace_trap_locked(struct task *task)
{
    struct ptrace_state *state = &task->ptrace;
    struct process *process = task->process;
    int signo = process->stop_requested ? process->stop_signal : 0;
    if (state->seized) {
        signo = signo != 0 ? signo : SIGTRAP;
        ignore_result(notify_locked(task, signo, signo | PTRACE_EVENT_STOP << 8, CLD_STOPPED, 0));
    } else if (signo != 0) {
        ignore_result(stop_locked(task, signo, CLD_STOPPED, 0, NULL));
    } else {
        state->trap_stop = state->trap_notify = false;
    }
}

static bool event_enabled_locked(const struct task *task, int event)
{
    return task->ptrace.tracer && (task->ptrace.options & 1U << event);
}

bool ptrace_event_enabled(struct task *task, int event)
{
    mutex_lock(&kernel_lock);
    bool enabled = event_enabled_locked(task, event);
    mutex_unlock(&kernel_lock);
    return enabled;
}

void ptrace_event(struct task *task, int event, uint64_t message)
{
    mutex_lock(&kernel_lock);
    if (event_enabled_locked(task, event)) {
        ignore_result(notify_locked(task, SIGTRAP, SIGTRAP | event << 8, CLD_TRAPPED, message));
    }
    mutex_unlock(&kernel_lock);
}

void ptrace_report_exec(struct task *task, int old_tid)
{
    mutex_lock(&kernel_lock);
    bool traced = task->ptrace.tracer != NULL;
    memset(task->ptrace.debug, 0, sizeof(task->ptrace.debug));
    atomic_fetch_and(&task->ptrace.mode, ~(unsigned)PTRACE_MODE_WATCH);
    bool plain = traced && !task->ptrace.seized && !event_enabled_locked(task, PTRACE_EVENT_EXEC);
    mutex_unlock(&kernel_lock);
    if (plain) { /* Linux: the old way: a signal */
        siginfo_t info;
        signal_info_user(&info, SIGTRAP, SI_USER);
        ignore_result(signal_send_task(task, SIGTRAP, &info));
    } else if (traced) {
        ptrace_event(task, PTRACE_EVENT_EXEC, (uint64_t)old_tid);
    }
}

void ptrace_report_exit(struct task *task)
{
    mutex_lock(&kernel_lock);
    if (event_enabled_locked(task, PTRACE_EVENT_EXIT) && task->platform_thread) {
        /* Linux: the SIGKILL that ends it has been taken: only another one ends this stop. */
        task->ptrace.killed = false;
        int status = task->process->group_exiting ? task->process->exit_status : task->exit_code;
        ignore_result(notify_locked(task, SIGTRAP, SIGTRAP | PTRACE_EVENT_EXIT << 8, CLD_TRAPPED,
                                    (uint64_t)status));
    }
    mutex_unlock(&kernel_lock);
}

bool ptrace_stepping(struct task *task)
{
    return (atomic_load(&task->ptrace.mode) & PTRACE_MODE_STEP) != 0;
}

void ptrace_step_into_handler(struct task *task)
{
    mutex_lock(&kernel_lock);
    if (task->ptrace.tracer) {
        ignore_result(notify_locked(task, SIGTRAP, SIGTRAP, CLD_TRAPPED, 0));
    }
    mutex_unlock(&kernel_lock);
}

/* A call stop; the tracer may send a signal with it. */
static void call_stop(struct task *task, uint64_t message)
{
    mutex_lock(&kernel_lock);
    int code = SIGTRAP | (task->ptrace.options & PTRACE_O_TRACESYSGOOD ? 0x80 : 0);
    int signo = notify_locked(task, SIGTRAP, code, CLD_TRAPPED, message);
    if (signo >= 1 && signo <= SIGNAL_COUNT) {
        siginfo_t info;
        memset(&info, 0, sizeof(info));
        info.si_signo = signo;
        info.si_code = SI_KERNEL;
        ignore_result(signal_send_task_locked(task, signo, &info));
    }
    mutex_unlock(&kernel_lock);
}

bool ptrace_call_enter(struct task *task)
{
    unsigned mode = atomic_load(&task->ptrace.mode);
    if (mode & (PTRACE_MODE_CALLS | PTRACE_MODE_EMULATE)) {
        call_stop(task, MESSAGE_CALL_ENTRY);
    }
    return !task->exiting && !(mode & PTRACE_MODE_EMULATE);
}

void ptrace_call_exit(struct task *task)
{
    unsigned mode = atomic_load(&task->ptrace.mode);
    if (task->exiting) {
        return;
    }
    if ((mode & PTRACE_MODE_STEP) && !(mode & PTRACE_MODE_EMULATE)) {
        /* Linux: user_single_step_report: the trap flag does not stop behind a call. */
        siginfo_t info;
        memset(&info, 0, sizeof(info));
        info.si_signo = SIGTRAP;
        info.si_code = TRAP_BRKPT;
        info.si_addr = (void *)(uintptr_t)task->regs.rip;
        signal_force(task, &info);
    } else if (mode & PTRACE_MODE_CALLS) {
        call_stop(task, MESSAGE_CALL_EXIT);
    }
}

void ptrace_before_run(struct task *task)
{
    unsigned mode = atomic_load_explicit(&task->ptrace.mode, memory_order_relaxed);
    if (mode & PTRACE_MODE_WATCH) {
        ptrace_watch_begin(task);
    }
    if (mode & (PTRACE_MODE_STEP | PTRACE_MODE_WATCH)) {
        task_complete_registers(task);
        task->ptrace.step_flag = !(task->regs.eflags & ARCH_EFLAGS_TF);
        task->regs.eflags |= ARCH_EFLAGS_TF;
    }
}

/* The flag that was set for a step is not the guest's. */
void ptrace_after_run(struct task *task)
{
    task->ptrace.was_step = task->ptrace.step_flag;
    if (task->ptrace.step_flag) {
        task->ptrace.step_flag = false;
        task_complete_registers(task);
        task->regs.eflags &= ~ARCH_EFLAGS_TF;
    }
}
