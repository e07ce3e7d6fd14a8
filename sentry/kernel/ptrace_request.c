/*
 * ptrace_request.c: what a tracer does with a tracee: holding it still, memory, pending signals,
 * and sending it on its way. Linux: ptrace_check_attach, ptrace_resume, ptrace_request.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "sentry/kernel/process.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif

int ptrace_freeze(struct task *tracer, struct task *target)
{
    struct ptrace_state *state = &target->ptrace;
    mutex_lock(&kernel_lock);
    bool mine = state->tracer == tracer && state->stopped && !state->listening && !state->killed;
    if (mine) {
        state->frozen = true;
    }
    mutex_unlock(&kernel_lock);
    return mine ? 0 : -ESRCH;
}

static void thaw_locked(struct task *target)
{
    target->ptrace.frozen = false;
    sleeper_wake(&target->sleeper);
}

void ptrace_thaw(struct task *target)
{
    mutex_lock(&kernel_lock);
    thaw_locked(target);
    mutex_unlock(&kernel_lock);
}

/* The memory cannot change: only the target itself could give it up. */
static struct mm *get_mm(struct task *target)
{
    mutex_lock(&kernel_lock);
    struct mm *mm = target->mm ? mm_ref(target->mm) : NULL;
    mutex_unlock(&kernel_lock);
    return mm;
}

ssize_t ptrace_read_memory(struct task *target, uint64_t addr, void *buffer, size_t length)
{
    struct mm *mm = get_mm(target);
    if (!mm) {
        return -EIO;
    }
    ssize_t got = mm_copy_in_some(mm, addr, buffer, length);
    mm_unref(mm);
    return got;
}

ssize_t ptrace_write_memory(struct task *target, uint64_t addr, const void *buffer, size_t length)
{
    struct mm *mm = get_mm(target);
    if (!mm) {
        return -EIO;
    }
    ssize_t put = mm_copy_out_force(mm, addr, buffer, length);
    mm_unref(mm);
    return put;
}

int ptrace_peek_signals(struct task *target, uint64_t off, bool shared, siginfo_t *ret_infos,
                        int max)
{
    int count = 0;
    mutex_lock(&kernel_lock);
    const struct signal_queue *queue = shared ? &target->process->pending : &target->pending;
    const struct signal_entry *entry;
    TAILQ_FOREACH (entry, &queue->entries, link) {
        if (off > 0) {
            off--;
        } else if (count < max) {
            ret_infos[count++] = entry->info;
        }
    }
    mutex_unlock(&kernel_lock);
    return count;
}

void ptrace_resume(struct task *target, unsigned mode, int signo)
{
    struct ptrace_state *state = &target->ptrace;
    mutex_lock(&kernel_lock);
    state->stop_code = signo;
    mode |= ptrace_debug_enabled(state->debug) ? PTRACE_MODE_WATCH : 0U;
    atomic_store(&state->mode, mode);
    state->stopped = false;
    thaw_locked(target);
    mutex_unlock(&kernel_lock);
}

void ptrace_detach(struct task *target, int signo)
{
    mutex_lock(&kernel_lock);
    target->ptrace.stop_code = signo;
    target->ptrace.frozen = false;
    ptrace_unlink_locked(target);
    mutex_unlock(&kernel_lock);
}

int ptrace_listen(struct task *target)
{
    struct ptrace_state *state = &target->ptrace;
    mutex_lock(&kernel_lock);
    bool fits = state->seized && state->has_info && state->info.si_code >> 8 == PTRACE_EVENT_STOP;
    if (fits) {
        state->listening = true;
    }
    thaw_locked(target);
    mutex_unlock(&kernel_lock);
    return fits ? 0 : -EIO;
}

int ptrace_interrupt(struct task *tracer, struct task *target)
{
    int result = -ESRCH;
    mutex_lock(&kernel_lock);
    if (target->ptrace.tracer == tracer && atomic_load(&target->state) < TASK_ZOMBIE) {
        result = target->ptrace.seized ? 0 : -EIO;
        if (result == 0) {
            target->ptrace.trap_stop = true;
            task_kick_locked(target);
        }
    }
    mutex_unlock(&kernel_lock);
    return result;
}

int ptrace_kill(struct task *tracer, struct task *target)
{
    int result = -ESRCH;
    mutex_lock(&kernel_lock);
    if (target->ptrace.tracer == tracer) {
        result = 0;
        ignore_result(signal_send_task_locked(target, SIGKILL, NULL));
    }
    mutex_unlock(&kernel_lock);
    return result;
}
