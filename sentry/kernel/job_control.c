/* job_control.c: process groups and sessions. */
#include "sentry/kernel/job_control.h"

#include <errno.h>

#include "sentry/kernel/process.h"
#include "sentry/kernel/task.h"

static bool group_exists(int pgid, const struct session *session)
{
    struct process *process;
    TAILQ_FOREACH (process, &all_processes, all_link) {
        if (process->pgid == pgid && process->state != PROCESS_REAPED &&
            process->session == session) {
            return true;
        }
    }
    return false;
}

static int set_group_locked(struct task *task, int pid, int pgid)
{
    struct process *caller = task->process;
    struct process *target = pid == 0 ? caller : process_find_locked(pid);
    if (!target || target->state == PROCESS_REAPED) {
        return -ESRCH;
    }
    if (target != caller) {
        if (target->parent != caller) {
            return -ESRCH;
        }
        if (target->session != caller->session) {
            return -EPERM;
        }
        if (target->did_exec) {
            return -EACCES;
        }
    }
    if (target->session->sid == target->tgid) {
        return -EPERM; /* a session leader */
    }
    if (pgid == 0) {
        pgid = target->tgid;
    }
    if (pgid != target->tgid && !group_exists(pgid, caller->session)) {
        return -EPERM;
    }
    target->pgid = pgid;
    return 0;
}

int job_set_group(struct task *task, int pid, int pgid)
{
    if ((pgid == 0 ? pid : pgid) < 0) {
        return -EINVAL;
    }
    mutex_lock(&kernel_lock);
    int result = set_group_locked(task, pid, pgid);
    mutex_unlock(&kernel_lock);
    return result;
}

int job_get_group(struct task *task, int pid, int *ret_pgid)
{
    mutex_lock(&kernel_lock);
    struct process *process = task->process;
    if (pid != 0) {
        struct task *other = task_find_locked(pid);
        process = other ? other->process : process_find_locked(pid);
    }
    if (process) {
        *ret_pgid = process->pgid;
    }
    mutex_unlock(&kernel_lock);
    return process ? 0 : -ESRCH;
}

int job_get_session(struct task *task, int pid, int *ret_sid)
{
    mutex_lock(&kernel_lock);
    struct process *process = task->process;
    if (pid != 0) {
        struct task *other = task_find_locked(pid);
        process = other ? other->process : process_find_locked(pid);
    }
    if (process) {
        *ret_sid = process->session->sid;
    }
    mutex_unlock(&kernel_lock);
    return process ? 0 : -ESRCH;
}

int job_new_session(struct task *task)
{
    struct process *process = task->process;
    struct session *session = session_new(process->tgid);
    if (!session) {
        return -ENOMEM;
    }
    mutex_lock(&kernel_lock);
    bool taken = process->pgid == process->tgid;
    struct process *each;
    TAILQ_FOREACH (each, &all_processes, all_link) {
        taken = taken || (each->pgid == process->tgid && each->state != PROCESS_REAPED);
    }
    struct session *old = session;
    if (!taken) {
        old = process->session;
        process->session = session;
        process->pgid = process->tgid;
        process->gave_up_tty = false;
    }
    mutex_unlock(&kernel_lock);
    session_unref(old);
    return taken ? -EPERM : process->tgid;
}
