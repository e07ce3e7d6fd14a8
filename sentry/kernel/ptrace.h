/*
 * ptrace.h: tracing of guest tasks by guest tasks. Sources: ptrace(2), Linux kernel/ptrace.c,
 * kernel/signal.c (ptrace_stop), kernel/entry/common.c, arch/x86/kernel/ptrace.c.
 *
 * A tracee stops in its own sentry thread with all registers known, and sleeps until its tracer
 * resumes it or it is killed. The tracer's requests run in the tracer's thread while the tracee is
 * frozen; only the extended state is fetched and set by the tracee itself. The engine knows nothing
 * of it.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/base/compiler.h"
#include "sentry/kernel/ptrace_state.h"

struct platform_fault;
struct process;
struct task;
struct wait_result;
struct wait_request;

/* (K) = kernel_lock is held by the caller. */

/* Becoming a tracer. -EPERM, -ESRCH, -ERESTARTNOINTR. */
int ptrace_traceme(struct task *task) must_check;
int ptrace_attach(struct task *tracer, struct task *target, bool seize,
                  unsigned options) must_check;
/* A new task takes over its maker's tracer, before it is started. (K) */
void ptrace_inherit_locked(struct task *child, struct task *parent);
/* Ends the relation. The tracer's reference goes: the caller has another. (K) */
void ptrace_unlink_locked(struct task *target);
/* A tracer ends: what it traces goes on without it, or is killed. (K) */
void ptrace_let_go_locked(struct task *tracer);

/* Is the process's leader traced by somebody else than its parent? Then the tracer hears first. */
bool ptrace_hides_locked(const struct process *process);
/* Is the process's leader traced by its own parent? (K) */
bool ptrace_by_parent_locked(const struct process *process);
/* SIGCHLD and a wake-up for the tracer's waits. (K) */
void ptrace_notify_tracer_locked(struct task *task, int code, int status);
/* May the new program of a set-user-ID file have what the file gives? (K) */
bool ptrace_allows_privileges_locked(const struct task *task);

/* wait: news of one tracee of the task. False: none that is wanted. (K) */
bool ptrace_take_news_locked(struct task *tracee, const struct wait_request *request,
                             struct wait_result *result);

/* Stops, in the tracee's own thread. The locked ones drop the lock meanwhile. */
/* Before a signal is delivered: the signal to be delivered instead, with its info, or 0. (K) */
int ptrace_signal_locked(struct task *task, siginfo_t *info);
/* A group stop or PTRACE_INTERRUPT is to be reported. (K) */
bool ptrace_trap_pending_locked(const struct task *task);
void ptrace_trap_locked(struct task *task);
/* PTRACE_EVENT_*. True when the tracer wants to know. */
bool ptrace_event_enabled(struct task *task, int event);
void ptrace_event(struct task *task, int event, uint64_t message);
void ptrace_report_exec(struct task *task, int old_tid);
void ptrace_report_exit(struct task *task);
/* Is the task stepped? Then it stops at the beginning of a handler. */
bool ptrace_stepping(struct task *task);
void ptrace_step_into_handler(struct task *task);
/* Entry and exit of a call. False: it is not to be made. */
bool ptrace_call_enter(struct task *task) must_check;
void ptrace_call_exit(struct task *task);
/* The debug registers. -EIO, -EINVAL; -ENOSPC: a watch for reads. */
int ptrace_set_debug(uint64_t debug[8], unsigned index, uint64_t value) must_check;
bool ptrace_debug_enabled(const uint64_t debug[8]);
/* Before a step that is watched; after one: true when the guest and its tracer need not hear of it.
 */
void ptrace_watch_begin(struct task *task);
bool ptrace_watch_step(struct task *task, struct platform_fault *fault);
/* Around the engine's run. */
void ptrace_before_run(struct task *task);
void ptrace_after_run(struct task *task);

/*
 * The tracer's side. freeze: the target is a tracee of the task, and in a stop; it stays there
 * until thaw. -ESRCH.
 */
int ptrace_freeze(struct task *tracer, struct task *target) must_check;
void ptrace_thaw(struct task *target);

/* Of a frozen tracee: offsets and values as struct user has them. -EIO, -EINVAL, -ENOSPC. */
int ptrace_get_user(struct task *target, uint64_t offset, uint64_t *ret_value) must_check;
int ptrace_set_user(struct task *target, uint64_t offset, uint64_t value) must_check;
/* The extended state in the form of PTRACE_GETREGSET; size: arch_xstate_size(), at least. */
int ptrace_get_xstate(struct task *target, void *buffer, size_t size) must_check;
/* -EINVAL: the CPU refuses it. */
int ptrace_set_xstate(struct task *target, void *buffer, size_t size) must_check;
ssize_t ptrace_read_memory(struct task *target, uint64_t addr, void *buffer,
                           size_t length) must_check;
ssize_t ptrace_write_memory(struct task *target, uint64_t addr, const void *buffer,
                            size_t length) must_check;
/* Up to max pending signals from the off-th on. (K) is taken; returns how many. */
int ptrace_peek_signals(struct task *target, uint64_t off, bool shared, siginfo_t *ret_infos,
                        int max);
/* Resumes a frozen tracee with a signal (0: none): thaws it, too. */
void ptrace_resume(struct task *target, unsigned mode, int signo);
void ptrace_detach(struct task *target, int signo);
/* PTRACE_LISTEN; thaws it. -EIO. */
int ptrace_listen(struct task *target) must_check;
/* PTRACE_INTERRUPT of a tracee in any state. -EIO, -ESRCH. */
int ptrace_interrupt(struct task *tracer, struct task *target) must_check;
int ptrace_kill(struct task *tracer, struct task *target) must_check;
