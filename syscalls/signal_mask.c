/*
 * signal_mask.c: see signal_mask.h. Linux: set_user_sigmask, restore_saved_sigmask_unless.
 */
#include "syscalls/signal_mask.h"

#include "sentry/kernel/signal.h"
#include "sentry/kernel/task.h"
#include "syscalls/syscall.h"

int temporary_mask_begin(struct task *task, uint64_t addr, uint64_t size)
{
    uint64_t mask;
    if (addr == 0) {
        return 0;
    }
    int error = copy_in_sigset(addr, size, &mask);
    if (error < 0) {
        return error;
    }
    signal_set_temporary_mask(task, mask & ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP)));
    return 0;
}

void temporary_mask_end(struct task *task, bool interrupted)
{
    if (interrupted) {
        return;
    }
    mutex_lock(&kernel_lock);
    bool restore = task->restore_mask;
    uint64_t mask = task->saved_mask;
    task->restore_mask = false;
    mutex_unlock(&kernel_lock);
    if (restore) {
        signal_set_mask(task, mask);
    }
}
