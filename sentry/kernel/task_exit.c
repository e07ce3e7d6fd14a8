/*
 * task_exit.c: the end of tasks and processes, orphans, and zombies. Linux: kernel/exit.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/kernel/aio.h"
#include "sentry/kernel/ipc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/keyring.h"
#include "sentry/kernel/posix_timer.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/resident.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/task_run.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/fd_table.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/landlock.h"

void process_group_exit_locked(struct process *process, int wait_status)
{
    if (!process->group_exiting) {
        process->group_exiting = true;
        process->exit_status = wait_status;
    }
    process->stop_requested = false;
    struct task *task;
    TAILQ_FOREACH (task, &process->threads, thread_link) {
        task->exiting = true;
        task->ptrace.killed = true;
        task_kick_locked(task);
    }
}

bool task_fatal_pending_locked(struct task *task)
{
    return task->exiting || task->process->group_exiting;
}

void task_vfork_release_locked(struct task *task)
{
    struct task *parent = task->vfork_parent;
    if (parent) {
        task->vfork_parent = NULL;
        parent->vfork_done = true;
        sleeper_wake(&parent->sleeper);
        task_unref(parent);
    }
}

bool process_group_orphaned_locked(int pgid, const struct process *ignore)
{
    struct process *process;
    TAILQ_FOREACH (process, &all_processes, all_link) {
        if (process == ignore || process->pgid != pgid || process->state != PROCESS_RUNNING) {
            continue;
        }
        struct process *parent = process->parent;
        if (parent && parent != init_process && parent->pgid != pgid &&
            parent->session == process->session && parent != ignore) {
            return false;
        }
    }
    return true;
}

static bool group_has_stopped(int pgid)
{
    struct process *process;
    TAILQ_FOREACH (process, &all_processes, all_link) {
        if (process->pgid == pgid && process->state == PROCESS_RUNNING && process->stop_requested) {
            return true;
        }
    }
    return false;
}

static void hangup_if_orphaned(int pgid, const struct process *ignore)
{
    if (!group_has_stopped(pgid) || !process_group_orphaned_locked(pgid, ignore)) {
        return;
    }
    struct process *process;
    TAILQ_FOREACH (process, &all_processes, all_link) {
        if (process->pgid == pgid && process->state == PROCESS_RUNNING && process != ignore) {
            ignore_result(signal_send_process_locked(process, SIGHUP, NULL));
            ignore_result(signal_send_process_locked(process, SIGCONT, NULL));
        }
    }
}

void process_check_orphans_locked(struct process *process)
{
    struct process *parent = process->parent;
    /* Linux: kill_orphaned_pgrp: only a process that tied its group to the session can orphan it.
     */
    if (parent && parent->pgid != process->pgid && parent->session == process->session) {
        hangup_if_orphaned(process->pgid, process);
    }
    struct process *child;
    TAILQ_FOREACH (child, &process->children, sibling_link) {
        if (child->pgid != process->pgid && child->session == process->session) {
            hangup_if_orphaned(child->pgid, process);
        }
    }
}

static struct process *find_reaper(struct process *process)
{
    if (process->has_subreaper) {
        for (struct process *up = process->parent; up && up != init_process; up = up->parent) {
            if (up->is_subreaper && up->state == PROCESS_RUNNING && !up->group_exiting) {
                return up;
            }
        }
    }
    return init_process;
}

void process_reap_locked(struct process *process)
{
    struct process *parent = process->parent;
    process->state = PROCESS_REAPED;
    TAILQ_REMOVE(&parent->children, process, sibling_link);
    TAILQ_REMOVE(&all_processes, process, all_link);
    parent->child_user_ns += process->user_ns + process->child_user_ns;
    parent->child_system_ns += process->system_ns + process->child_system_ns;
    parent->child_max_rss =
        max_of(parent->child_max_rss, max_of(process->max_rss, process->child_max_rss));
    struct task *leader = process->leader;
    process->leader = NULL;
    process->parent = NULL;
    if (leader) {
        ptrace_unlink_locked(leader);
        task_unpublish_locked(leader);
        task_unref(leader);
    }
    process_unref(process);
}

static void reparent_children(struct process *process)
{
    struct process *reaper = find_reaper(process);
    struct process *child;
    while ((child = TAILQ_FIRST(&process->children))) {
        TAILQ_REMOVE(&process->children, child, sibling_link);
        child->parent = reaper;
        child->exit_signal = SIGCHLD;
        TAILQ_INSERT_TAIL(&reaper->children, child, sibling_link);
        if (child->pdeath_signal != 0 && child->state == PROCESS_RUNNING) {
            siginfo_t info;
            memset(&info, 0, sizeof(info));
            info.si_code = SI_USER;
            info.si_pid = process->tgid;
            ignore_result(signal_send_process_locked(child, child->pdeath_signal, &info));
        }
        if (child->state == PROCESS_ZOMBIE && !ptrace_hides_locked(child)) {
            if (reaper == init_process) {
                process_reap_locked(child);
            } else {
                process_notify_parent_locked(child, SIGCHLD, CLD_EXITED, 0);
            }
        }
    }
}

/* True when the parent does not want to wait for it (POSIX: SIGCHLD ignored or SA_NOCLDWAIT). */
static bool parent_ignores_children(struct process *parent)
{
    const struct linux_sigaction *action = &parent->sighand->actions[SIGCHLD - 1];
    return action->handler == (uint64_t)(uintptr_t)SIG_IGN || (action->flags & SA_NOCLDWAIT);
}

void process_notify_parent_locked(struct process *process, int signo, int code, int status)
{
    struct process *parent = process->parent;
    if (!parent || parent == init_process) {
        return;
    }
    const struct linux_sigaction *action = &parent->sighand->actions[SIGCHLD - 1];
    bool stop_news = code == CLD_STOPPED || code == CLD_CONTINUED;
    if (signo != 0 && !(stop_news && (action->flags & SA_NOCLDSTOP)) &&
        !(stop_news && action->handler == (uint64_t)(uintptr_t)SIG_IGN)) {
        siginfo_t info;
        memset(&info, 0, sizeof(info));
        info.si_signo = signo;
        info.si_code = code;
        info.si_pid = process->tgid;
        info.si_uid = process->leader && process->leader->cred ? process->leader->cred->uid : 0;
        info.si_status = status;
        uint64_t user = 0;
        uint64_t system = 0;
        process_cpu_time(process, &user, &system);
        info.si_utime = (clock_t)(user / 10000000);
        info.si_stime = (clock_t)(system / 10000000);
        ignore_result(signal_send_process_locked(parent, signo, &info));
    }
    wait_queue_wake(&parent->child_wait, EPOLLIN);
}

void task_status_to_siginfo(int wait_status, int *ret_code, int *ret_status)
{
    if ((wait_status & 0x7f) == 0) {
        *ret_code = CLD_EXITED;
        *ret_status = wait_status >> 8 & 0xff;
    } else {
        *ret_code = wait_status & 0x80 ? CLD_DUMPED : CLD_KILLED;
        *ret_status = wait_status & 0x7f;
    }
}

/* The last thread is gone: the process becomes a zombie, or vanishes. (K) */
static void process_exit_locked(struct process *process)
{
    struct task *leader = process->leader;
    atomic_store(&leader->state, TASK_ZOMBIE);
    process_check_orphans_locked(process);
    reparent_children(process);
    process->state = PROCESS_ZOMBIE;
    kernel.ended_user_ns += process->user_ns;
    kernel.ended_system_ns += process->system_ns;
    wait_queue_wake(&process->exit_wait, EPOLLIN | EPOLLRDNORM);
    if (ptrace_hides_locked(process)) {
        int code;
        int status;
        task_status_to_siginfo(process->exit_status, &code, &status);
        ptrace_notify_tracer_locked(leader, code, status);
    } else {
        process_announce_exit_locked(process);
    }
}

void process_announce_exit_locked(struct process *process)
{
    struct process *parent = process->parent;
    if (parent == init_process) {
        process_reap_locked(process);
        return;
    }
    int code;
    int status;
    task_status_to_siginfo(process->exit_status, &code, &status);
    bool autoreap = process->exit_signal == SIGCHLD && parent_ignores_children(parent) &&
                    !ptrace_by_parent_locked(process);
    int signo = process->exit_signal;
    if (autoreap && parent->sighand->actions[SIGCHLD - 1].handler == (uint64_t)(uintptr_t)SIG_IGN) {
        signo = 0;
    }
    process_notify_parent_locked(process, signo, code, status);
    if (autoreap) {
        process_reap_locked(process);
        wait_queue_wake(&parent->child_wait, EPOLLIN);
    }
}

/* Takes the task out of its process. True when it was the last thread. (K) */
static bool leave_process(struct task *task)
{
    struct process *process = task->process;
    task_vfork_release_locked(task);
    TAILQ_REMOVE(&process->threads, task, thread_link);
    process->thread_count--;
    signal_queue_flush(&task->pending); /* a timer's entry must not stay behind in a zombie */
    process->user_ns += atomic_load(&task->user_ns);
    process->system_ns += atomic_load(&task->system_ns);
    process_keep_io_locked(task);
    if (process->thread_count == 0 && !process->group_exiting) {
        process->exit_status = task->exit_code;
    }
    bool last = process->thread_count == 0;
    ptrace_let_go_locked(task);
    if (task != process->leader && task->ptrace.tracer) { /* its tracer will wait for it */
        int code;
        int status;
        task->exit_code = process->group_exiting ? process->exit_status : task->exit_code;
        atomic_store(&task->state, TASK_ZOMBIE);
        task_status_to_siginfo(task->exit_code, &code, &status);
        ptrace_notify_tracer_locked(task, code, status);
    } else if (task != process->leader) {
        task_unpublish_locked(task);
        atomic_store(&task->state, TASK_DEAD);
    } else {
        atomic_store(&task->state, TASK_ZOMBIE);
    }
    if (!last) {
        if (process->exec_task && process->thread_count == 1) {
            sleeper_wake(&process->exec_task->sleeper);
        }
        process_thread_left_locked(process);
        /* Process-directed signals may have been meant for this thread. */
        struct task *other = TAILQ_FIRST(&process->threads);
        if (process->pending.set) {
            task_kick_locked(other);
        }
    }
    return last;
}

/* The session leader's end: its terminal is hung up. Locks are not held. */
static void release_terminal(struct process *process)
{
    mutex_lock(&kernel_lock);
    struct tty *tty = NULL;
    if (process->session->sid == process->tgid) {
        tty = process->session->tty;
        process->session->has_leader = false;
    }
    mutex_unlock(&kernel_lock);
    if (tty && tty_kernel_hooks.disassociate) {
        tty_kernel_hooks.disassociate(tty, true);
    }
}

void task_exit(struct task *task)
{
    struct process *process = task->process;
    ptrace_report_exit(task);
    mutex_lock(&kernel_lock);
    task->exiting = true;
    bool last_alive = --process->live_count == 0; /* Linux: group_dead in do_exit */
    mutex_unlock(&kernel_lock);
    if (task->platform_thread) {
        futex_task_exit(task);
    }
    if (last_alive && !task->vfork_parent) {
        resident_note(task);
    }
    task_detach_platform(task);
    key_task_free(task);
    if (last_alive) {
        key_process_free(process);
        aio_drop_process(process);
        posix_timers_end(process);
        release_terminal(process);
    }
    seccomp_task_exit(task);
    sem_undo_list_unref(task->sem_undo);
    task->sem_undo = NULL;
    mutex_lock(&kernel_lock);
    struct mm *mm = task->mm;
    struct fd_table *fds = task->fds;
    struct fs_context *fs = task->fs;
    task->mm = NULL;
    task->fds = NULL;
    task->fs = NULL;
    task_vfork_release_locked(task);
    mutex_unlock(&kernel_lock);
    current.mm = NULL;
    current.fs = NULL;
    mm_unref(mm);
    if (fds) {
        fd_table_unref(fds);
    }
    if (fs) {
        fs_context_unref(fs);
    }
    mutex_lock(&kernel_lock);
    bool first = process->tgid == 2 && process->parent == init_process;
    bool last = leave_process(task);
    int status = process->exit_status;
    if (last) {
        process_exit_locked(process);
    }
    mutex_unlock(&kernel_lock);
    if (kernel_task_exited) {
        kernel_task_exited(task, status);
    }
    if (last && first && kernel_first_process_exited) {
        kernel_first_process_exited(status);
    }
    current.task = NULL;
    current.cred = &cred_boot;
    landlock_reap();
}
