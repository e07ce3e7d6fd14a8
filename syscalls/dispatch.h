/*
 * dispatch.h: from the registers of a stopped task to the function of its call, and back.
 *
 * Registers: the number is in rax. Dispatch copies it to orig_rax, runs the call and puts the
 * result into rax. A restart class (-512 … -516, sentry/core/restart.h) is left in rax:
 * signal_deliver, which runs next, sees orig_rax and rax and makes it -EINTR or a call to be
 * repeated. After any other result orig_rax is UINT64_MAX, or signal_deliver makes it so. Calls
 * that replace all registers (rt_sigreturn, a successful execve) keep what they set.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "syscalls/syscall_table.h"

struct task;

/* Serves the call that task->regs describe. The caller is the task's own sentry thread. */
void syscall_dispatch(struct task *task);

#define SYSCALL_ERRNO_COUNT 134 /* Linux errno values are below it */

/* Turns counting per call and errno on (coverage reports). Off at start; costs nothing while off.
 */
void syscall_count_enable(bool on);
/* The trace or the counting was turned on or off: does every call have to come here? */
void syscall_watch(void);
uint64_t syscall_count_calls(unsigned number);
/* How often the call failed with error (positive); restart classes count as EINTR. */
uint64_t syscall_count_errors(unsigned number, unsigned error);
