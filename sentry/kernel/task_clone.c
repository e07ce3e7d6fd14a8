/* task_clone.c: making tasks. Flags are validated first; what can fail comes before the child
 * shows. */
#include "sentry/kernel/task_clone.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>

#include "sentry/kernel/ipc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/keyring.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/fd_table.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/mount.h"

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

#define CLONE_NAMESPACES                                                                           \
    (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |     \
     CLONE_NEWCGROUP)

int (*kernel_install_pidfd)(struct task *installer, struct task *target, int *ret_fd);

static int check_flags(const struct clone_request *request)
{
    uint64_t flags = request->flags;
    if ((flags & CLONE_FS) && (flags & (CLONE_NEWNS | CLONE_NEWUSER))) {
        return -EINVAL;
    }
    if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND)) {
        return -EINVAL;
    }
    if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM)) {
        return -EINVAL;
    }
    if ((flags & CLONE_SIGHAND) && (flags & CLONE_CLEAR_SIGHAND)) {
        return -EINVAL;
    }
    if ((flags & (CLONE_THREAD | CLONE_PARENT)) && (flags & (CLONE_NEWUSER | CLONE_NEWPID))) {
        return -EINVAL;
    }
    if ((flags & CLONE_PIDFD) && (flags & (CLONE_DETACHED | CLONE_THREAD))) {
        return -EINVAL;
    }
    /* No namespaces inside the sandbox yet but those of mounts. */
    if ((flags & CLONE_NAMESPACES & ~(uint64_t)CLONE_NEWNS) ||
        ((flags & CLONE_NEWNS) && !capable(CAP_SYS_ADMIN))) {
        return -EPERM;
    }
    return 0;
}

/* A process for the child (CLONE_THREAD: the parent's). */
static int make_process(struct task *parent, const struct clone_request *request,
                        struct process **ret_process)
{
    if (request->flags & CLONE_THREAD) {
        *ret_process = process_ref(parent->process);
        return 0;
    }
    struct process *process = process_new(parent->process);
    if (!process) {
        return -ENOMEM;
    }
    if (request->flags & CLONE_SIGHAND) {
        process->sighand = sighand_ref(parent->process->sighand);
    } else {
        process->sighand = sighand_copy(parent->process->sighand);
    }
    if (!process->sighand) {
        process_unref(process);
        return -ENOMEM;
    }
    if (request->flags & CLONE_CLEAR_SIGHAND) {
        for (int i = 0; i < SIGNAL_COUNT; i++) {
            struct linux_sigaction *action = &process->sighand->actions[i];
            bool ignored = action->handler == 1;
            *action = (struct linux_sigaction){.handler = ignored ? 1U : 0U};
        }
    }
    process->exit_signal = request->exit_signal;
    process->nice = parent->process->nice;
    process->oom_score_adj = parent->process->oom_score_adj;
    *ret_process = process;
    return 0;
}

/* Memory, descriptors, file-system context, credentials: shared or copied. */
static int copy_resources(struct task *parent, struct task *child, uint64_t flags)
{
    int result = 0;
    if (flags & CLONE_VM) {
        child->mm = mm_ref(parent->mm);
    } else {
        result = mm_fork(parent->mm, &child->mm);
    }
    if (result == 0) {
        if (flags & CLONE_FILES) {
            child->fds = fd_table_ref(parent->fds);
        } else {
            result = fd_table_copy(parent->fds, UINT32_MAX, &child->fds);
        }
    }
    if (result == 0) {
        child->fs = flags & CLONE_FS ? fs_context_ref(parent->fs) : fs_context_copy(parent->fs);
        result = child->fs ? 0 : -ENOMEM;
    }
    if (result == 0 && (flags & CLONE_NEWNS)) {
        result = mount_namespace_copy(child->fs);
    }
    child->cred = cred_ref(parent->cred);
    if (result == 0 && (flags & CLONE_SYSVSEM)) {
        if (!parent->sem_undo) {
            parent->sem_undo = sem_undo_list_new();
        }
        child->sem_undo = parent->sem_undo ? sem_undo_list_ref(parent->sem_undo) : NULL;
        result = child->sem_undo ? 0 : -ENOMEM;
    }
    return result;
}

static int copy_xstate(struct task *parent, struct task *child)
{
    size_t size = arch_xstate_size();
    child->initial_xstate = malloc(size);
    if (!child->initial_xstate) {
        return -ENOMEM;
    }
    ssize_t got = kernel.platform_ops->thread_get_xstate(parent->platform_thread,
                                                         child->initial_xstate, size);
    return got < 0 ? (int)got : 0;
}

/* Linux: sched_fork: SCHED_RESET_ON_FORK asks that privileges end with the caller. */
static void copy_scheduling(const struct task *parent, struct task *child)
{
    const uint32_t reset = 0x40000000;
    uint32_t policy = parent->sched_policy;
    child->sched_policy = policy;
    child->sched_priority = parent->sched_priority;
    if ((policy & reset) != 0) {
        policy &= ~reset;
        bool realtime = policy == SCHED_FIFO || policy == SCHED_RR || policy == 6;
        child->sched_policy = realtime ? SCHED_OTHER : policy;
        child->sched_priority = 0;
        if (child->process != parent->process) {
            child->process->nice = max_of(child->process->nice, 0);
        }
    }
}

static int copy_state(struct task *parent, struct task *child, const struct clone_request *request)
{
    task_complete_registers(parent);
    child->regs = parent->regs;
    child->regs.rax = 0;
    child->regs.orig_rax = UINT64_MAX;
    if (request->stack != 0) {
        child->regs.rsp = request->stack;
    }
    if (request->flags & CLONE_SETTLS) {
        child->regs.fs_base = request->tls;
    }
    memcpy(child->comm, parent->comm, sizeof(child->comm));
    mutex_lock(&kernel_lock);
    memcpy(child->affinity, parent->affinity, sizeof(child->affinity));
    mutex_unlock(&kernel_lock);
    child->signal_mask = parent->restore_mask ? parent->saved_mask : parent->signal_mask;
    copy_scheduling(parent, child);
    child->timer_slack_ns = child->default_slack_ns = parent->timer_slack_ns;
    child->ioprio = parent->ioprio;
    key_task_copy(parent, child);
    child->default_keyring = parent->default_keyring;
    child->memory_policy = parent->memory_policy;
    child->forked = true;
    if (!(request->flags & CLONE_VM) || (request->flags & CLONE_VFORK)) {
        child->altstack_addr = parent->altstack_addr;
        child->altstack_size = parent->altstack_size;
        child->altstack_flags = parent->altstack_flags;
    }
    if (request->flags & CLONE_CHILD_CLEARTID) {
        child->clear_child_tid = request->child_tid;
    }
    return copy_xstate(parent, child);
}

static int check_counts_locked(struct task *parent)
{
    uint64_t limit = parent->process->limits[RLIMIT_NPROC].rlim_cur;
    uint64_t tasks = atomic_load(&kernel.task_count);
    if (tasks >= kernel.limits.tasks) {
        return -EDQUOT; /* the sandbox's own limit: reported, the guest sees EAGAIN */
    }
    if (tasks >= limit && parent->cred->uid != 0 && !cred_capable(parent->cred, CAP_SYS_RESOURCE)) {
        return -EAGAIN;
    }
    return 0;
}

/* The event that the tracer wants to be told of, or 0. Linux: kernel_clone. */
static int wanted_event(struct task *parent, const struct clone_request *request)
{
    int event = request->flags & CLONE_VFORK      ? PTRACE_EVENT_VFORK
                : request->exit_signal != SIGCHLD ? PTRACE_EVENT_CLONE
                                                  : PTRACE_EVENT_FORK;
    bool untraced = request->flags & CLONE_UNTRACED;
    return !untraced && ptrace_event_enabled(parent, event) ? event : 0;
}

/* Enters the child into the tables. (K) */
static int publish_locked(struct task *parent, struct task *child,
                          const struct clone_request *request, int event)
{
    struct process *process = child->process;
    if (parent->exiting || task_fatal_pending_locked(parent)) {
        return -ERESTARTNOINTR;
    }
    int result = check_counts_locked(parent);
    if (result != 0) {
        return result;
    }
    int tid = pid_allocate_locked();
    if (request->set_tid && request->set_tid_count > 0) {
        tid = request->set_tid[0];
        if (task_find_locked(tid)) {
            return -EEXIST;
        }
    }
    if (tid < 0) {
        return tid;
    }
    task_publish_locked(child, tid);
    seccomp_inherit_locked(child, parent);
    if (!(request->flags & CLONE_THREAD)) {
        process->tgid = tid;
        process->leader = task_ref(child);
        process->pgid = parent->process->pgid;
        process->session = session_ref(parent->process->session);
        process->gave_up_tty = parent->process->gave_up_tty;
        bool sibling = request->flags & CLONE_PARENT;
        process->parent = sibling ? parent->process->parent : parent->process;
        if (sibling) {
            process->exit_signal = parent->process->exit_signal;
        }
        process->has_subreaper = parent->process->has_subreaper || parent->process->is_subreaper;
        TAILQ_INSERT_TAIL(&process->parent->children, process, sibling_link);
        process_publish_locked(process);
    }
    TAILQ_INSERT_TAIL(&process->threads, child, thread_link);
    process->thread_count++;
    process->live_count++;
    if (process->stop_requested) {
        atomic_store(&child->work, true);
    }
    if (request->flags & CLONE_VFORK) {
        child->vfork_parent = task_ref(parent);
        parent->vfork_done = false;
    }
    child->ptrace.creator_tid = parent->tid;
    if (event != 0 || (request->flags & CLONE_PTRACE)) {
        ptrace_inherit_locked(child, parent);
    }
    atomic_fetch_add(&kernel.forks, 1);
    return tid;
}

/* Takes back a child that never ran. */
static void discard(struct task *child, bool published)
{
    if (published) {
        mutex_lock(&kernel_lock);
        struct process *process = child->process;
        ptrace_unlink_locked(child);
        TAILQ_REMOVE(&process->threads, child, thread_link);
        process->thread_count--;
        process->live_count--;
        if (child->vfork_parent) {
            child->vfork_parent = task_unref(child->vfork_parent);
        }
        if (process->leader == child) {
            TAILQ_REMOVE(&process->parent->children, process, sibling_link);
            TAILQ_REMOVE(&all_processes, process, all_link);
            process->leader = NULL;
            process->state = PROCESS_REAPED;
            task_unpublish_locked(child);
            mutex_unlock(&kernel_lock);
            task_unref(child);
            process_unref(process);
        } else {
            task_unpublish_locked(child);
            mutex_unlock(&kernel_lock);
        }
    }
    key_task_free(child);
    seccomp_task_exit(child);
    sem_undo_list_unref(child->sem_undo);
    child->sem_undo = NULL;
    child->mm = mm_unref(child->mm);
    child->fds = child->fds ? fd_table_unref(child->fds) : NULL;
    child->fs = child->fs ? fs_context_unref(child->fs) : NULL;
    free(child->initial_xstate);
    child->initial_xstate = NULL;
    task_unref(child);
}

static void wait_for_vfork(struct task *parent)
{
    for (;;) {
        task_sleep_prepare();
        mutex_lock(&kernel_lock);
        bool done = parent->vfork_done || parent->exiting;
        mutex_unlock(&kernel_lock);
        if (done) {
            return;
        }
        ignore_result(task_sleep_killable(SLEEP_FOREVER));
    }
}

/* Writes the tids that the flags ask for. The child's memory is its own already. */
static int store_tids(struct task *parent, struct task *child, const struct clone_request *request)
{
    int32_t tid = child->tid;
    if (request->flags & CLONE_PARENT_SETTID) {
        int result = mm_copy_out(parent->mm, request->parent_tid, &tid, sizeof(tid));
        if (result != 0) {
            return result;
        }
    }
    if (request->flags & CLONE_CHILD_SETTID) {
        /* Linux: schedule_tail ignores a fault here. */
        ignore_result(mm_copy_out(child->mm, request->child_tid, &tid, sizeof(tid)));
    }
    return 0;
}

static int install_pidfd(struct task *parent, struct task *child,
                         const struct clone_request *request)
{
    int fd = -1;
    int result = kernel_install_pidfd ? kernel_install_pidfd(parent, child, &fd) : -EINVAL;
    if (result == 0 && mm_copy_out(parent->mm, request->pidfd, &fd, sizeof(fd)) != 0) {
        ignore_result(fd_close(parent->fds, fd));
        result = -EFAULT;
    }
    return result;
}

long task_clone(struct task *parent, const struct clone_request *request)
{
    int result = check_flags(request);
    if (result != 0) {
        return result;
    }
    struct process *process = NULL;
    result = make_process(parent, request, &process);
    if (result != 0) {
        return result;
    }
    struct task *child = task_new(process);
    process_unref(process); /* the task holds it */
    if (!child) {
        return -ENOMEM;
    }
    result = copy_resources(parent, child, request->flags);
    if (result == 0) {
        result = copy_state(parent, child, request);
    }
    int tid = result;
    int event = wanted_event(parent, request);
    if (result == 0) {
        mutex_lock(&kernel_lock);
        tid = publish_locked(parent, child, request, event);
        mutex_unlock(&kernel_lock);
    }
    if (tid < 0) {
        discard(child, false);
        if (tid == -EDQUOT) {
            if (kernel_limit_hit) {
                kernel_limit_hit("pids", "the sandbox's limit of processes and threads", false);
            }
            return -EAGAIN;
        }
        return tid;
    }
    result = store_tids(parent, child, request);
    if (result == 0 && (request->flags & CLONE_PIDFD)) {
        result = install_pidfd(parent, child, request);
    }
    if (result == 0) {
        result = task_start(child);
    }
    if (result != 0) {
        discard(child, true);
        return result;
    }
    task_unref(child);
    if (event != 0) {
        ptrace_event(parent, event, (uint64_t)tid);
    }
    if (request->flags & CLONE_VFORK) {
        wait_for_vfork(parent);
        ptrace_event(parent, PTRACE_EVENT_VFORK_DONE, (uint64_t)tid);
    }
    return tid;
}

int task_unshare(struct task *task, uint64_t flags)
{
    const uint64_t known = CLONE_NAMESPACES | CLONE_THREAD | CLONE_FS | CLONE_SIGHAND | CLONE_VM |
                           CLONE_FILES | CLONE_SYSVSEM | CLONE_NEWTIME;
    if (flags & ~known) {
        return -EINVAL;
    }
    if (flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) {
        mutex_lock(&kernel_lock);
        bool alone = task->process->thread_count == 1;
        mutex_unlock(&kernel_lock);
        if (!alone) {
            return -EINVAL;
        }
    }
    if ((flags & ((CLONE_NAMESPACES & ~(uint64_t)CLONE_NEWNS) | CLONE_NEWTIME)) ||
        ((flags & CLONE_NEWNS) && !capable(CAP_SYS_ADMIN))) {
        return -EPERM;
    }
    struct fd_table *fds = NULL;
    struct fs_context *fs = NULL;
    if (flags & CLONE_FILES) {
        int error = fd_table_copy(task->fds, UINT32_MAX, &fds);
        if (error != 0) {
            return error;
        }
    }
    int result = 0;
    if (flags & (CLONE_FS | CLONE_NEWNS)) {
        fs = fs_context_copy(task->fs);
        result = fs ? 0 : -ENOMEM;
    }
    if (result == 0 && (flags & CLONE_NEWNS)) {
        result = mount_namespace_copy(fs);
    }
    if (result != 0) {
        fs_context_unref(fs);
        if (fds) {
            fd_table_unref(fds);
        }
        return result;
    }
    if (flags & (CLONE_SYSVSEM | CLONE_NEWIPC)) { /* Linux: the undo list is undone now */
        sem_undo_list_unref(task->sem_undo);
        task->sem_undo = NULL;
    }
    mutex_lock(&kernel_lock);
    struct fd_table *old_fds = fds ? task->fds : NULL;
    struct fs_context *old_fs = fs ? task->fs : NULL;
    task->fds = fds ? fds : task->fds;
    task->fs = fs ? fs : task->fs;
    mutex_unlock(&kernel_lock);
    current.fs = task->fs;
    if (old_fds) {
        fd_table_unref(old_fds);
    }
    if (old_fs) {
        fs_context_unref(old_fs);
    }
    return 0;
}
