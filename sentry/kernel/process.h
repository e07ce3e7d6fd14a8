/*
 * process.h: inner operations of the task tree, used by sentry/kernel only (and boot).
 * (K) = kernel_lock is held by the caller.
 */
#pragma once

#include "sentry/kernel/task.h"

/* Process ids are those of the initial namespace: 1 is the sandbox's init, 2 the first program. */
int pid_allocate_locked(void) must_check; /* -EAGAIN when all are used */

struct process *process_new(struct process *parent) must_check; /* not yet in the tables */
struct task *task_new(struct process *process) must_check;
void process_publish_locked(struct process *process);
void task_publish_locked(struct task *task, int tid);
void task_unpublish_locked(struct task *task);
/* Changes the tid of a published task (exec from a non-leader thread). */
void task_rekey_locked(struct task *task, int tid);

struct session *session_new(int sid) must_check;
struct session *session_ref(struct session *session);
struct session *session_unref(struct session *session);

/* Starts the sentry thread of a published task. */
int task_start(struct task *task) must_check;

/* Ends: sets the status of the whole group once, and makes every thread exit. (K) */
void process_group_exit_locked(struct process *process, int wait_status);
/* Runs in the task's own thread: gives everything back. The caller's thread then ends. */
void task_exit(struct task *task);
bool task_fatal_pending_locked(struct task *task);
/* Releases the memory-sharing parent of vfork. */
void task_vfork_release_locked(struct task *task);
/* Frees a zombie: removes it from the tables. (K) */
void process_reap_locked(struct process *process);
/* Sends the process's state to its parent (SIGCHLD, wait queues). (K) */
void process_notify_parent_locked(struct process *process, int signo, int code, int status);
/* True when no member of the group has a parent outside it in the same session. (K) */
bool process_group_orphaned_locked(int pgid, const struct process *ignore);

/* A thread left the process: a group stop may be complete now. (K) */
void process_thread_left_locked(struct process *process);

/* exec: kills every other thread of the process and becomes its leader. */
int task_become_only_thread(struct task *task) must_check;

/* A zombie is shown to its parent (who may have no wish for it): the tracer, if any, is done. (K)
 */
void process_announce_exit_locked(struct process *process);
/* CLD_EXITED, CLD_KILLED … and si_status of a wait status. */
void task_status_to_siginfo(int wait_status, int *ret_code, int *ret_status);

/* Sends SIGHUP and SIGCONT to groups that the exit of process orphaned. (K) */
void process_check_orphans_locked(struct process *process);

/* Robust list and clear_child_tid. Own thread, before the memory goes. */
void futex_task_exit(struct task *task);
