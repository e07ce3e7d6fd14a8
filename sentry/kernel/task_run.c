/*
 * task_run.c: the life of a sentry thread: it owns one guest thread, runs it, and answers its
 * calls.
 *
 *   engine event → kernel_syscall (dispatch) or a fault signal → signal_deliver → resume
 */
#include "sentry/kernel/task_run.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/log.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"

#define TASK_STACK_SIZE thread_stack_size(192UL * 1024)

void (*kernel_syscall)(struct task *task);

void task_sync_current(struct task *task)
{
    current.task = task;
    current.cred = task->cred;
    current.fs = task->fs;
    current.mm = task->mm;
    current.tid = task->tid;
    current.tgid = task->process->tgid;
    mutex_lock(&kernel_lock);
    memcpy(current.comm, task->comm, sizeof(current.comm));
    current.file_limit = task->process->limits[RLIMIT_FSIZE].rlim_cur;
    mutex_unlock(&kernel_lock);
}

int task_attach_platform(struct task *task)
{
    struct platform_thread *thread = NULL;
    int result = kernel.platform_ops->thread_new(task->mm->space, &thread);
    if (result != 0) {
        return result;
    }
    mutex_lock(&kernel_lock);
    task->platform_thread = thread;
    mutex_unlock(&kernel_lock);
    return 0;
}

void task_detach_platform(struct task *task)
{
    mutex_lock(&kernel_lock);
    struct platform_thread *thread = task->platform_thread;
    if (thread) {
        uint64_t user;
        uint64_t system;
        task_cpu_time(task, &user, &system);
        task->base_user_ns = user;
        task->base_system_ns = system;
        atomic_store(&task->user_ns, user);
        atomic_store(&task->system_ns, system);
    }
    task->platform_thread = NULL;
    mutex_unlock(&kernel_lock);
    if (thread) {
        kernel.platform_ops->thread_free(thread);
    }
}

void task_cannot_run(struct task *task, int error)
{
    if (error == -ESRCH) {
        task_stub_died(task);
        return;
    }
    mutex_lock(&kernel_lock);
    process_group_exit_locked(task->process, SIGKILL);
    mutex_unlock(&kernel_lock);
}

void task_stub_died(struct task *task)
{
    if (kernel.platform_ops->space_fault_of_guest(task->mm->space)) {
        log_info("guest process %d (%s) broke its stub and is killed", task->process->tgid,
                 task->comm);
        mutex_lock(&kernel_lock);
        process_group_exit_locked(task->process, SIGKILL);
        mutex_unlock(&kernel_lock);
        return;
    }
    log_error("a stub process was killed from outside (guest process %d, %s)", task->process->tgid,
              task->comm);
    if (kernel_limit_hit) {
        kernel_limit_hit("stub", "a stub process was killed from outside", true);
    }
    mutex_lock(&kernel_lock);
    process_group_exit_locked(task->process, SIGKILL);
    mutex_unlock(&kernel_lock);
}

/* Calls that need not come here: Linux answers them from the task itself, too. */
static void tell_answers(struct task *task)
{
    const struct platform_answers answers = {
        .known = !atomic_load_explicit(&kernel.sees_all_calls, memory_order_relaxed) &&
                 atomic_load_explicit(&task->seccomp_mode, memory_order_relaxed) == 0 &&
                 atomic_load_explicit(&task->ptrace.mode, memory_order_relaxed) == 0,
        .result =
            {
                [PLATFORM_ANSWER_GETPID] = (uint32_t)task->process->tgid,
                [PLATFORM_ANSWER_GETTID] = (uint32_t)task->tid,
                [PLATFORM_ANSWER_GETUID] = task->cred->uid,
                [PLATFORM_ANSWER_GETEUID] = task->cred->euid,
                [PLATFORM_ANSWER_GETGID] = task->cred->gid,
                [PLATFORM_ANSWER_GETEGID] = task->cred->egid,
            },
    };
    kernel.platform_ops->thread_answer(task->platform_thread, &answers);
}

/* One stay in guest code. False: the task must exit. */
static bool run_once(struct task *task)
{
    struct platform_event event;
    atomic_store(&task->in_guest, true);
    if (atomic_load(&task->work)) {
        atomic_store(&task->in_guest, false);
        signal_deliver(task);
        return !task->exiting;
    }
    if (kernel.platform_ops->thread_answer) {
        tell_answers(task);
    }
    ptrace_before_run(task);
    int result = kernel.platform_ops->thread_run(task->platform_thread, &task->regs, &event);
    atomic_store(&task->in_guest, false);
    if (result != 0) {
        task_stub_died(task);
        return false;
    }
    ptrace_after_run(task);
    switch (event.kind) {
    case PLATFORM_EVENT_SYSCALL:
        if (mm_wants_plain(task->mm)) {
            mm_learn_plain(task->mm);
        }
        kernel_syscall(task);
        if (atomic_load(&task->work) || (int64_t)task->regs.orig_rax >= 0) {
            signal_deliver(task);
        }
        break;
    case PLATFORM_EVENT_FAULT:
        task->regs.orig_rax = UINT64_MAX;
        if (!ptrace_watch_step(task, &event.fault)) {
            signal_force_fault(task, &event.fault);
        }
        if (atomic_load(&task->work)) {
            signal_deliver(task);
        }
        break;
    case PLATFORM_EVENT_INTERRUPTED:
        task->regs.orig_rax = UINT64_MAX;
        if (atomic_load(&task->work)) {
            signal_deliver(task);
        }
        break;
    }
    return !task->exiting;
}

static void *task_thread(void *argument)
{
    struct task *task = argument;
    task_sync_current(task);
    atomic_fetch_add(&kernel.task_count, 1);
    int result = task_attach_platform(task);
    if (result == 0 && task->initial_xstate) {
        result = kernel.platform_ops->thread_set_xstate(task->platform_thread, task->initial_xstate,
                                                        arch_xstate_size());
    }
    free(task->initial_xstate);
    task->initial_xstate = NULL;
    if (result != 0) {
        if (!atomic_load(&task->exiting)) {
            log_error("cannot start guest thread %d: %s", task->tid, strerror(-result));
            task_cannot_run(task, result);
        }
    } else {
        while (run_once(task)) {
        }
    }
    task_exit(task);
    atomic_fetch_sub(&kernel.task_count, 1);
    task_unref(task);
    return NULL;
}

int task_start(struct task *task)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0) {
        return -ENOMEM;
    }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, TASK_STACK_SIZE);
    task_ref(task);
    int result = pthread_create(&thread, &attributes, task_thread, task);
    pthread_attr_destroy(&attributes);
    if (result != 0) {
        task_unref(task);
        return -EAGAIN;
    }
    return 0;
}
