/*
 * proc_access.c: from a node to the task behind it, and who may look. Linux: fs/proc/base.c,
 * kernel/ptrace.c (__ptrace_may_access).
 */
#include <errno.h>
#include <linux/capability.h>

#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/fs/proc/internal.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/landlock.h"

static bool is_alive_locked(const struct proc_node *node)
{
    if (node->process->state == PROCESS_REAPED) {
        return false;
    }
    /* A thread's directory goes with the thread; the leader's stays until the process is reaped. */
    if (node->task != NULL && node->task != node->process->leader) {
        enum task_state state = atomic_load(&node->task->state);
        return state != TASK_DEAD && state != TASK_ZOMBIE;
    }
    return true;
}

bool proc_is_alive(struct proc_node *node)
{
    if (node->process == NULL) {
        return true;
    }
    mutex_lock(&kernel_lock);
    bool alive = is_alive_locked(node);
    mutex_unlock(&kernel_lock);
    return alive;
}

int proc_get_task(struct proc_node *node, struct task **ret_task)
{
    if (node->process == NULL) {
        return -ESRCH;
    }
    mutex_lock(&kernel_lock);
    struct task *task = node->task != NULL ? node->task : node->process->leader;
    bool alive = task != NULL && is_alive_locked(node);
    if (alive) {
        task_ref(task);
    }
    mutex_unlock(&kernel_lock);
    if (!alive) {
        return -ESRCH;
    }
    *ret_task = task;
    return 0;
}

static struct mm *mm_of(struct task *task)
{
    mutex_lock(&kernel_lock);
    struct mm *mm = task->mm != NULL ? mm_ref(task->mm) : NULL;
    mutex_unlock(&kernel_lock);
    return mm;
}

int proc_get_mm(struct proc_node *node, struct mm **ret_mm)
{
    struct task *task;
    int result = proc_get_task(node, &task);
    if (result == 0) {
        *ret_mm = mm_of(task);
        task_unref(task);
    }
    return result;
}

int proc_get_guarded_mm(struct proc_node *node, struct mm **ret_mm)
{
    struct task *task;
    int result = proc_get_task(node, &task);
    if (result < 0) {
        return result;
    }
    result = proc_check_access(task);
    if (result == 0) {
        *ret_mm = mm_of(task);
    }
    task_unref(task);
    return result;
}

int proc_check_access(struct task *task)
{
    const struct cred *own = current.cred;
    if (current.task != NULL && current.task->process == task->process) {
        return 0;
    }
    mutex_lock(&kernel_lock);
    const struct cred *cred = task->cred;
    int dumpable = task->mm != NULL ? task->mm->dumpable : 1;
    bool same = cred != NULL && own->fsuid == cred->uid && own->fsuid == cred->euid &&
                own->fsuid == cred->suid && own->fsgid == cred->gid && own->fsgid == cred->egid &&
                own->fsgid == cred->sgid;
    bool traceable = cred == NULL || landlock_may_trace(cred);
    bool subset = cred != NULL && (cred->cap_permitted & ~own->cap_permitted) == 0;
    mutex_unlock(&kernel_lock);
    if (!traceable) {
        return -EACCES;
    }
    if (cred_capable(own, CAP_SYS_PTRACE)) {
        return 0;
    }
    return same && subset && dumpable == 1 ? 0 : -EACCES;
}

void proc_owner(struct proc_node *node, uint32_t *ret_uid, uint32_t *ret_gid)
{
    *ret_uid = *ret_gid = 0;
    if (node->process == NULL || (node->entry->flags & PROC_WORLD) != 0) {
        return;
    }
    mutex_lock(&kernel_lock);
    struct task *task = node->task != NULL ? node->task : node->process->leader;
    /* Linux: task_dump_owner: the directories themselves always show the effective ids. */
    bool always = node->entry == &proc_pid || node->entry == &proc_tid;
    if (task != NULL && task->cred != NULL &&
        (always || task->mm == NULL || task->mm->dumpable == 1)) {
        *ret_uid = task->cred->euid;
        *ret_gid = task->cred->egid;
    }
    mutex_unlock(&kernel_lock);
}
