/*
 * sys_scheduler.c: scheduling calls. The host schedules stub threads; policy, priority and nice
 * values are kept and shown as Linux would, affinity is passed on to the engine.
 */
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/process.h"
#include "syscalls/syscall.h"

#define POLICY_RESET_ON_FORK 0x40000000
#define POLICY_BATCH         3
#define POLICY_IDLE          5
#define POLICY_DEADLINE      6

long sys_sched_yield(struct task *task, const struct syscall_args *args)
{
    (void)task;
    (void)args;
    sched_yield();
    return 0;
}

/* The named thread (0: the caller) with a reference; -ESRCH. */
static int find_target(struct task *task, int pid, struct task **ret_target)
{
    struct task *target = pid == 0 ? task_ref(task) : task_find(pid);
    if (!target) {
        return -ESRCH;
    }
    *ret_target = target;
    return 0;
}

static bool may_change(const struct task *task, const struct task *target)
{
    if (target->process == task->process || cred_capable(task->cred, CAP_SYS_NICE)) {
        return true;
    }
    mutex_lock(&kernel_lock);
    const struct cred *other = target->cred;
    bool allowed = other && (task->cred->euid == other->uid || task->cred->euid == other->euid);
    mutex_unlock(&kernel_lock);
    return allowed;
}

long sys_sched_getaffinity(struct task *task, const struct syscall_args *args)
{
    struct task *target;
    uint64_t size = (uint32_t)args->arg[1];
    uint64_t bytes = (kernel.cpu_highest / 64 + 1) * 8;
    if (size < bytes || size % 8 != 0) {
        return -EINVAL;
    }
    int result = find_target(task, arg_int(args, 0), &target);
    if (result != 0) {
        return result;
    }
    size = min_of(bytes, (uint64_t)sizeof(target->affinity));
    uint8_t mask[sizeof(target->affinity)];
    mutex_lock(&kernel_lock);
    for (size_t i = 0; i < sizeof(mask); i++) {
        mask[i] = target->affinity[i] & kernel.cpu_mask[i];
    }
    mutex_unlock(&kernel_lock);
    task_unref(target);
    result = mm_copy_out(task->mm, args->arg[2], mask, size);
    return result != 0 ? result : (long)size;
}

long sys_sched_setaffinity(struct task *task, const struct syscall_args *args)
{
    struct task *target;
    uint8_t mask[sizeof(task->affinity)];
    memset(mask, 0, sizeof(mask));
    uint64_t size = min_of(args->arg[1], (uint64_t)sizeof(mask));
    int result = mm_copy_in(task->mm, args->arg[2], mask, size);
    if (result == 0) {
        result = find_target(task, arg_int(args, 0), &target);
    }
    if (result != 0) {
        return result;
    }
    bool any = false;
    for (size_t i = 0; i < sizeof(mask); i++) {
        mask[i] &= kernel.cpu_mask[i];
        any = any || mask[i] != 0;
    }
    if (!may_change(task, target)) {
        result = -EPERM;
    } else if (!any) {
        result = -EINVAL;
    } else {
        mutex_lock(&kernel_lock);
        memcpy(target->affinity, mask, sizeof(mask));
        mutex_unlock(&kernel_lock);
        if (target == task) {
            ignore_result(kernel.platform_ops->thread_set_affinity(task->platform_thread, mask,
                                                                   sizeof(mask)));
        }
    }
    task_unref(target);
    return result;
}

static bool is_realtime(int policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

static int set_policy(struct task *task, int pid, int policy, int priority)
{
    int plain = policy & ~POLICY_RESET_ON_FORK;
    if (plain < 0 || plain > POLICY_IDLE || plain == 4) {
        return -EINVAL;
    }
    if (is_realtime(plain) ? priority < 1 || priority > 99 : priority != 0) {
        return -EINVAL;
    }
    struct task *target;
    int result = find_target(task, pid, &target);
    if (result != 0) {
        return result;
    }
    uint64_t limit = task_limit(RLIMIT_RTPRIO);
    if (!may_change(task, target) ||
        (is_realtime(plain) && !cred_capable(task->cred, CAP_SYS_NICE) &&
         (uint64_t)priority > limit)) {
        result = -EPERM;
    } else {
        target->sched_policy = (uint32_t)policy;
        target->sched_priority = (uint32_t)priority;
    }
    task_unref(target);
    return result;
}

long sys_sched_setscheduler(struct task *task, const struct syscall_args *args)
{
    int32_t priority;
    if (args->arg[2] == 0 || arg_int(args, 0) < 0 || arg_int(args, 1) < 0) {
        return -EINVAL;
    }
    int result = copy_in(args->arg[2], &priority);
    return result != 0 ? result : set_policy(task, arg_int(args, 0), arg_int(args, 1), priority);
}

long sys_sched_setparam(struct task *task, const struct syscall_args *args)
{
    int32_t priority;
    struct task *target;
    if (args->arg[1] == 0 || arg_int(args, 0) < 0) {
        return -EINVAL;
    }
    int result = copy_in(args->arg[1], &priority);
    if (result == 0) {
        result = find_target(task, arg_int(args, 0), &target);
    }
    if (result != 0) {
        return result;
    }
    int policy = (int)target->sched_policy;
    task_unref(target);
    return set_policy(task, arg_int(args, 0), policy, priority);
}

long sys_sched_getscheduler(struct task *task, const struct syscall_args *args)
{
    struct task *target;
    if (arg_int(args, 0) < 0) {
        return -EINVAL;
    }
    int result = find_target(task, arg_int(args, 0), &target);
    if (result != 0) {
        return result;
    }
    long policy = target->sched_policy;
    task_unref(target);
    return policy;
}

long sys_sched_getparam(struct task *task, const struct syscall_args *args)
{
    struct task *target;
    if (args->arg[1] == 0 || arg_int(args, 0) < 0) {
        return -EINVAL;
    }
    int result = find_target(task, arg_int(args, 0), &target);
    if (result != 0) {
        return result;
    }
    int32_t priority = (int32_t)target->sched_priority;
    task_unref(target);
    return copy_out(args->arg[1], &priority);
}

static int priority_bound(int policy, int realtime)
{
    if (is_realtime(policy)) {
        return realtime;
    }
    return policy == SCHED_OTHER || policy == POLICY_BATCH || policy == POLICY_IDLE ||
                   policy == POLICY_DEADLINE
               ? 0
               : -EINVAL;
}

long sys_sched_get_priority_max(struct task *task, const struct syscall_args *args)
{
    (void)task;
    return priority_bound(arg_int(args, 0), 99);
}

long sys_sched_get_priority_min(struct task *task, const struct syscall_args *args)
{
    (void)task;
    return priority_bound(arg_int(args, 0), 1);
}

long sys_sched_rr_get_interval(struct task *task, const struct syscall_args *args)
{
    struct task *target;
    if (arg_int(args, 0) < 0) {
        return -EINVAL;
    }
    int result = find_target(task, arg_int(args, 0), &target);
    if (result != 0) {
        return result;
    }
    uint64_t slice = target->sched_policy == SCHED_FIFO ? 0
                     : target->sched_policy == SCHED_RR ? 100000000U
                                                        : 3000000U;
    task_unref(target);
    return copy_out_timespec_ns(args->arg[1], slice);
}

struct guest_sched_attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t util_min, util_max;
};

/* Linux: __checkparam_dl. The reservation is kept and shown; the host schedules as ever. */
static int set_deadline(struct task *task, int pid, const struct guest_sched_attr *attr)
{
    struct task *target;
    uint64_t period = attr->period != 0 ? attr->period : attr->deadline;
    if (attr->deadline == 0 || attr->runtime < 1024 || attr->deadline < attr->runtime ||
        period < attr->deadline || (int64_t)(attr->deadline | period) < 0 || attr->priority != 0) {
        return -EINVAL;
    }
    int result = find_target(task, pid, &target);
    if (result != 0) {
        return result;
    }
    if (!cred_capable(task->cred, CAP_SYS_NICE)) {
        result = -EPERM;
    } else {
        target->sched_policy = POLICY_DEADLINE;
        target->sched_priority = 0;
        target->sched_runtime = attr->runtime;
        target->sched_deadline = attr->deadline;
        target->sched_period = period;
    }
    task_unref(target);
    return result;
}

long sys_sched_setattr(struct task *task, const struct syscall_args *args)
{
    struct guest_sched_attr attr;
    uint32_t size;
    if (args->arg[1] == 0 || arg_int(args, 0) < 0 || args->arg[2] != 0) {
        return -EINVAL;
    }
    int result = copy_in(args->arg[1], &size);
    if (result != 0) {
        return result;
    }
    size = size == 0 ? 48 : size;
    if (size < 48 || size > PAGE_SIZE) {
        return -E2BIG;
    }
    result = copy_in_struct(args->arg[1], size, &attr, sizeof(attr));
    if (result != 0) {
        return result;
    }
    if (attr.policy == POLICY_DEADLINE) {
        return set_deadline(task, arg_int(args, 0), &attr);
    }
    if (attr.policy > POLICY_IDLE) {
        return -EINVAL;
    }
    return set_policy(task, arg_int(args, 0), (int)attr.policy, (int)attr.priority);
}

long sys_sched_getattr(struct task *task, const struct syscall_args *args)
{
    struct task *target;
    uint32_t size = arg_uint(args, 2);
    if (args->arg[1] == 0 || arg_int(args, 0) < 0 || size < 48 || size > PAGE_SIZE ||
        args->arg[3] != 0) {
        return -EINVAL;
    }
    int result = find_target(task, arg_int(args, 0), &target);
    if (result != 0) {
        return result;
    }
    struct guest_sched_attr attr = {.size = min_of(size, (uint32_t)sizeof(attr)),
                                    .policy = target->sched_policy,
                                    .nice = target->process->nice,
                                    .priority = target->sched_priority,
                                    .util_max = 1024};
    if (attr.policy == POLICY_DEADLINE) {
        attr.runtime = target->sched_runtime;
        attr.deadline = target->sched_deadline;
        attr.period = target->sched_period;
    }
    task_unref(target);
    return mm_copy_out(task->mm, args->arg[1], &attr, attr.size);
}

/* Calls fn for every process that (which, who) names, under kernel_lock. */
static int for_each_named(struct task *task, int which, int who,
                          int (*fn)(struct task *task, struct process *process, int *value),
                          int *value)
{
    int result = -ESRCH;
    struct process *process;
    mutex_lock(&kernel_lock);
    TAILQ_FOREACH (process, &all_processes, all_link) {
        bool match = false;
        struct task *leader = process->leader;
        if (process->state != PROCESS_RUNNING || !leader || !leader->cred) {
            continue;
        }
        switch (which) {
        case PRIO_PROCESS:
            match = who == 0 ? process == task->process : process->tgid == who;
            break;
        case PRIO_PGRP:
            match = process->pgid == (who == 0 ? task->process->pgid : who);
            break;
        case PRIO_USER:
            match = leader->cred->uid == (who == 0 ? task->cred->uid : (uid_t)who);
            break;
        default:
            break;
        }
        if (match) {
            int one = fn(task, process, value);
            result = result == -ESRCH || one != 0 ? one : result;
        }
    }
    mutex_unlock(&kernel_lock);
    return result;
}

static int get_nice(struct task *task, struct process *process, int *value)
{
    (void)task;
    *value = max_of(*value, 20 - process->nice);
    return 0;
}

static int set_nice(struct task *task, struct process *process, int *value)
{
    const struct cred *other = process->leader->cred;
    bool owner = task->cred->euid == other->uid || task->cred->euid == other->euid;
    if (!owner && !cred_capable(task->cred, CAP_SYS_NICE)) {
        return -EPERM;
    }
    int64_t floor = 20 - (int64_t)min_of(process->limits[RLIMIT_NICE].rlim_cur, (rlim_t)40);
    if (*value < process->nice && *value < floor && !cred_capable(task->cred, CAP_SYS_NICE)) {
        return -EACCES;
    }
    process->nice = *value;
    return 0;
}

long sys_getpriority(struct task *task, const struct syscall_args *args)
{
    int value = 0;
    int which = arg_int(args, 0);
    if (which < PRIO_PROCESS || which > PRIO_USER) {
        return -EINVAL;
    }
    int result = for_each_named(task, which, arg_int(args, 1), get_nice, &value);
    return result != 0 ? result : value;
}

long sys_setpriority(struct task *task, const struct syscall_args *args)
{
    int which = arg_int(args, 0);
    int value = max_of(-20, min_of(19, arg_int(args, 2)));
    if (which < PRIO_PROCESS || which > PRIO_USER) {
        return -EINVAL;
    }
    return for_each_named(task, which, arg_int(args, 1), set_nice, &value);
}

long sys_ioprio_get(struct task *task, const struct syscall_args *args)
{
    struct task *target;
    if (arg_int(args, 0) < 1 || arg_int(args, 0) > 3) {
        return -EINVAL;
    }
    if (arg_int(args, 0) != 1) {
        return task->ioprio;
    }
    int result = find_target(task, arg_int(args, 1), &target);
    if (result != 0) {
        return result == -EINVAL ? -ESRCH : result;
    }
    int value = target->ioprio;
    task_unref(target);
    return value;
}

long sys_ioprio_set(struct task *task, const struct syscall_args *args)
{
    struct task *target;
    int value = arg_int(args, 2);
    int class = value >> 13 & 7;
    int level = value & 7;
    if (arg_int(args, 0) < 1 || arg_int(args, 0) > 3 || class > 3 || (value & 0x1ff8) ||
        (class == 0 && level != 0)) {
        return -EINVAL;
    }
    if (class == 1 && !cred_capable(task->cred, CAP_SYS_NICE)) {
        return -EPERM;
    }
    if (arg_int(args, 0) != 1) {
        task->ioprio = value;
        return 0;
    }
    int result = find_target(task, arg_int(args, 1), &target);
    if (result != 0) {
        return result == -EINVAL ? -ESRCH : result;
    }
    target->ioprio = value;
    task_unref(target);
    return 0;
}

long sys_getcpu(struct task *task, const struct syscall_args *args)
{
    unsigned cpu = 0;
    unsigned node = 0;
    (void)task;
    getcpu(&cpu, &node);
    int result = args->arg[0] != 0 ? copy_out(args->arg[0], &cpu) : 0;
    if (result == 0 && args->arg[1] != 0) {
        result = copy_out(args->arg[1], &node);
    }
    return result;
}
