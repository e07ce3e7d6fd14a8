/* seccomp.c: a task's filters: installing, sharing, asking them. Linux: kernel/seccomp.c. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/seccomp_internal.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/file.h"

#define PATH_INSTRUCTIONS_MAX 32768 /* Linux: MAX_INSNS_PER_PATH */
#define PATH_PENALTY          4     /* each filter counts for so many more */
#define ERRNO_MAX             4095
#define CODE_SECCOMP          1 /* SYS_SECCOMP */

static int64_t filter_bytes(unsigned count)
{
    return (int64_t)(sizeof(struct seccomp_filter) + count * sizeof(struct sock_filter));
}

static struct seccomp_filter *filter_new(const struct sock_filter *code, unsigned count)
{
    if (kernel_charge(filter_bytes(count)) != 0) {
        return NULL;
    }
    struct seccomp_filter *filter = calloc(1, (size_t)filter_bytes(count));
    if (!filter) {
        ignore_result(kernel_charge(-filter_bytes(count)));
        return NULL;
    }
    refcount_init(&filter->ref);
    atomic_init(&filter->users, 1);
    filter->count = count;
    memcpy(filter->code, code, count * sizeof(*code));
    return filter;
}

struct seccomp_filter *seccomp_filter_ref(struct seccomp_filter *filter)
{
    refcount_get(&filter->ref);
    return filter;
}

struct seccomp_filter *seccomp_filter_unref(struct seccomp_filter *filter)
{
    while (filter && refcount_put(&filter->ref)) {
        struct seccomp_filter *previous = filter->previous;
        seccomp_listener_free(filter->listener);
        ignore_result(kernel_charge(-filter_bytes(filter->count)));
        free(filter);
        filter = previous;
    }
    return NULL;
}

/* A task uses the filter no more: listeners of filters without users are told. */
static void put_user(struct seccomp_filter *filter)
{
    while (filter && atomic_fetch_sub(&filter->users, 1) == 1) {
        if (filter->listener) {
            wait_queue_wake(&filter->listener->queue, EPOLLHUP);
        }
        filter = filter->previous;
    }
}

void seccomp_inherit_locked(struct task *child, const struct task *parent)
{
    child->seccomp_mode = parent->seccomp_mode;
    if (parent->seccomp_filter) {
        child->seccomp_filter = seccomp_filter_ref(parent->seccomp_filter);
        atomic_fetch_add(&child->seccomp_filter->users, 1);
    }
}

void seccomp_task_exit(struct task *task)
{
    mutex_lock(&kernel_lock);
    struct seccomp_filter *filter = task->seccomp_filter;
    task->seccomp_filter = NULL;
    mutex_unlock(&kernel_lock);
    put_user(filter);
    seccomp_filter_unref(filter);
}

unsigned seccomp_count_locked(const struct task *task)
{
    unsigned count = 0;
    for (const struct seccomp_filter *f = task->seccomp_filter; f; f = f->previous) {
        count++;
    }
    return count;
}

int seccomp_set_strict(struct task *task)
{
    mutex_lock(&kernel_lock);
    int result = task->seccomp_mode == SECCOMP_MODE_FILTER ? -EINVAL : 0;
    if (result == 0) {
        task->seccomp_mode = SECCOMP_MODE_STRICT;
    }
    mutex_unlock(&kernel_lock);
    return result;
}

static bool is_ancestor(const struct seccomp_filter *old, const struct seccomp_filter *filter)
{
    for (; filter; filter = filter->previous) {
        if (filter == old) {
            return true;
        }
    }
    return old == NULL;
}

/* The tid of a thread with filters of its own, or 0. (K) */
static int find_other_locked(struct task *task)
{
    struct task *thread;
    TAILQ_FOREACH (thread, &task->process->threads, thread_link) {
        bool follows = thread->seccomp_mode == SECCOMP_MODE_DISABLED ||
                       (thread->seccomp_mode == SECCOMP_MODE_FILTER &&
                        is_ancestor(thread->seccomp_filter, task->seccomp_filter));
        if (thread != task && !thread->exiting && !follows) {
            return thread->tid;
        }
    }
    return 0;
}

/* All threads get the caller's filter and no_new_privs. The old filters stay: the new one holds
 * them. (K) */
static void synchronise_locked(struct task *task)
{
    struct task *thread;
    TAILQ_FOREACH (thread, &task->process->threads, thread_link) {
        struct seccomp_filter *old = thread->seccomp_filter;
        if (thread == task || thread->exiting || old == task->seccomp_filter) {
            continue;
        }
        atomic_fetch_add(&task->seccomp_filter->users, 1);
        thread->seccomp_filter = seccomp_filter_ref(task->seccomp_filter);
        thread->seccomp_mode = SECCOMP_MODE_FILTER;
        thread->seccomp_no_new_privs = task->cred->no_new_privs;
        put_user(old);
        seccomp_filter_unref(old);
        task_kick_locked(thread); /* also out of guest code, where calls may be answered */
    }
}

static int check_path_locked(const struct task *task, unsigned count)
{
    uint64_t total = count;
    for (const struct seccomp_filter *f = task->seccomp_filter; f; f = f->previous) {
        total += f->count + PATH_PENALTY;
    }
    return total > PATH_INSTRUCTIONS_MAX ? -ENOMEM : 0;
}

/* Linux: has_duplicate_listener: only one filter of a task may have a listener. */
static bool has_listener_locked(const struct task *task)
{
    for (const struct seccomp_filter *f = task->seccomp_filter; f; f = f->previous) {
        if (f->listener && !f->listener->closed) {
            return true;
        }
    }
    return false;
}

static int attach_locked(struct task *task, struct seccomp_filter *filter, unsigned flags)
{
    if (task->seccomp_mode == SECCOMP_MODE_STRICT) {
        return -EINVAL;
    }
    if (filter->listener && has_listener_locked(task)) {
        return -EBUSY;
    }
    int result = check_path_locked(task, filter->count);
    if (result == 0 && (flags & SECCOMP_FILTER_FLAG_TSYNC)) {
        result = find_other_locked(task);
        if (result > 0 && (flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH)) {
            result = -ESRCH;
        }
    }
    if (result != 0) {
        return result;
    }
    filter->previous = task->seccomp_filter; /* takes the task's reference and use */
    task->seccomp_filter = filter;
    task->seccomp_mode = SECCOMP_MODE_FILTER;
    if (flags & SECCOMP_FILTER_FLAG_TSYNC) {
        synchronise_locked(task);
    }
    return 0;
}

int seccomp_install(struct task *task, const struct sock_filter *code, unsigned count,
                    unsigned flags, struct file **ret_listener)
{
    struct file *listener = NULL;
    int result = seccomp_bpf_check(code, count);
    if (result != 0) {
        return result;
    }
    struct seccomp_filter *filter = filter_new(code, count);
    if (!filter) {
        return -ENOMEM;
    }
    filter->killable = flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    if (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) {
        filter->listener = seccomp_listener_new();
        result = filter->listener ? seccomp_listener_file(filter, &listener) : -ENOMEM;
    }
    if (result == 0) {
        mutex_lock(&kernel_lock);
        result = attach_locked(task, filter, flags);
        mutex_unlock(&kernel_lock);
    }
    if (result != 0) {
        file_unref(listener);
        seccomp_filter_unref(filter);
        return result;
    }
    *ret_listener = listener;
    return 0;
}

/* SIGSYS that tells of the call. */
static void send_sigsys(struct task *task, int number, int data)
{
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    info.si_signo = SIGSYS;
    info.si_code = CODE_SECCOMP;
    info.si_errno = data;
    info.si_call_addr = (void *)(uintptr_t)task->regs.rip;
    info.si_syscall = number;
    info.si_arch = AUDIT_ARCH_X86_64;
    signal_force(task, &info);
}

/* The thread ends with this wait status, and its process with it when all is true or no other is
 * left. */
static void end_task(struct task *task, int wait_status, bool all)
{
    mutex_lock(&kernel_lock);
    if (all || task->process->live_count == 1) {
        process_group_exit_locked(task->process, wait_status);
    }
    task->exit_code = wait_status;
    task->exiting = true;
    atomic_store(&task->work, true);
    mutex_unlock(&kernel_lock);
}

/* The filters' verdict: of several the most severe; *ret_match is the filter that gave it. */
static uint32_t run_filters(struct task *task, const struct seccomp_data *data,
                            struct seccomp_filter **ret_match)
{
    uint32_t verdict = SECCOMP_RET_ALLOW;
    for (struct seccomp_filter *f = task->seccomp_filter; f; f = f->previous) {
        uint32_t one = seccomp_bpf_run(f->code, f->count, data);
        if ((int32_t)(one & SECCOMP_RET_ACTION_FULL) <
            (int32_t)(verdict & SECCOMP_RET_ACTION_FULL)) {
            verdict = one;
            *ret_match = f;
        }
    }
    return verdict;
}

static enum seccomp_decision check_strict(struct task *task, int number)
{
    static const int allowed[] = {SYS_read, SYS_write, SYS_exit, SYS_rt_sigreturn};
    for (size_t i = 0; i < array_size(allowed); i++) {
        if (number == allowed[i]) {
            return SECCOMP_PROCEED;
        }
    }
    end_task(task, SIGKILL, false);
    return SECCOMP_ROLL_BACK;
}

enum seccomp_decision seccomp_check(struct task *task, int number, const uint64_t args[6],
                                    long *ret_result)
{
    if (task->seccomp_mode == SECCOMP_MODE_STRICT) {
        return check_strict(task, number);
    }
    struct seccomp_filter *match = NULL;
    struct seccomp_data data = {
        .nr = number, .arch = AUDIT_ARCH_X86_64, .instruction_pointer = task->regs.rip};
    memcpy(data.args, args, sizeof(data.args));
    uint32_t verdict = run_filters(task, &data, &match);
    int value = (int)(verdict & SECCOMP_RET_DATA);
    switch (verdict & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
        return SECCOMP_PROCEED;
    case SECCOMP_RET_ERRNO:
        *ret_result = -min_of(value, ERRNO_MAX);
        return SECCOMP_ANSWER;
    case SECCOMP_RET_TRAP:
        send_sigsys(task, number, value);
        return SECCOMP_ROLL_BACK;
    case SECCOMP_RET_TRACE:
        *ret_result = value;
        return SECCOMP_ASK_TRACER;
    case SECCOMP_RET_USER_NOTIF:
        return seccomp_ask(match, task, &data, ret_result);
    case SECCOMP_RET_KILL_THREAD:
        end_task(task, SIGSYS, false);
        return SECCOMP_ROLL_BACK;
    default:
        end_task(task, SIGSYS, true);
        return SECCOMP_ROLL_BACK;
    }
}
