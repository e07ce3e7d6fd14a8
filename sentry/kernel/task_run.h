/* task_run.h: the pairing of a task with its sentry thread and its platform thread. */
#pragma once

#include "platform/base/compiler.h"

struct task;

/* Answers the call in task->regs: number in rax. Stores the number in orig_rax and the result in
 * rax (orig_rax UINT64_MAX when there is no restart to consider). Set at boot: syscalls/dispatch.
 */
extern void (*kernel_syscall)(struct task *task);

/* Makes `current` show the task's present credentials, memory, names. Own thread. */
void task_sync_current(struct task *task);
/* Own thread: a platform thread on task->mm; and giving it back. */
int task_attach_platform(struct task *task) must_check;
/* The stub is gone: nothing of the guest can go on, and the sandbox ends. Own thread. */
void task_stub_died(struct task *task);
/* The task's platform thread could not be had: its process ends by SIGKILL; with -ESRCH the stub is
 * gone. Own thread, which is not exiting. */
void task_cannot_run(struct task *task, int error);
void task_detach_platform(struct task *task);
