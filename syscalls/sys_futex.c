/* sys_futex.c: futex(2) and robust lists. */
#include <linux/futex.h>

#include "sentry/core/clock.h"
#include "sentry/kernel/futex.h"
#include "syscalls/syscall.h"

#define ROBUST_HEAD_SIZE 24

/* A relative FUTEX_WAIT that a signal without a handler interrupted goes on to its deadline. */
static long futex_restart(struct task *task)
{
    const uint64_t *a = task->restart_block.args;
    int result = futex_wait(task, a[0], a[1], (uint32_t)a[2], (uint32_t)a[3], a[4], false);
    if (result == -ERESTARTSYS) {
        task->restart_block.restart = futex_restart;
        return -ERESTART_RESTARTBLOCK;
    }
    return result;
}

static long wait_call(struct task *task, const struct syscall_args *args, int op, bool shared)
{
    bool relative = (op & FUTEX_CMD_MASK) == FUTEX_WAIT;
    bool realtime = op & FUTEX_CLOCK_REALTIME;
    uint32_t bitset = relative ? FUTEX_ANY : arg_uint(args, 5);
    uint64_t deadline = SLEEP_FOREVER;
    if (args->arg[3] != 0) {
        int result = copy_in_timespec_ns(args->arg[3], &deadline);
        if (result != 0) {
            return result;
        }
        if (relative) {
            deadline = ns_add(clock_monotonic_ns(), deadline);
            realtime = false;
        }
    }
    int result =
        futex_wait(task, args->arg[0], shared, arg_uint(args, 2), bitset, deadline, realtime);
    if (result == -ERESTARTSYS && args->arg[3] != 0 && !realtime) {
        task->restart_block = (struct restart_block){
            .restart = futex_restart,
            .args = {args->arg[0], shared, arg_uint(args, 2), bitset, deadline}};
        return -ERESTART_RESTARTBLOCK;
    }
    return result;
}

long sys_futex(struct task *task, const struct syscall_args *args)
{
    int op = arg_int(args, 1);
    bool shared = !(op & FUTEX_PRIVATE_FLAG);
    int command = op & FUTEX_CMD_MASK;
    uint64_t addr = args->arg[0];
    uint64_t addr2 = args->arg[4];
    int count = arg_int(args, 2);
    int count2 = (int)args->arg[3];
    uint32_t value3 = arg_uint(args, 5);
    if ((op & FUTEX_CLOCK_REALTIME) && command != FUTEX_WAIT_BITSET && command != FUTEX_WAIT &&
        command != FUTEX_WAIT_REQUEUE_PI && command != FUTEX_LOCK_PI2) {
        return -ENOSYS;
    }
    switch (command) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
        return wait_call(task, args, op, shared);
    case FUTEX_WAKE:
        return futex_wake(task->mm, addr, shared, count, FUTEX_ANY);
    case FUTEX_WAKE_BITSET:
        return futex_wake(task->mm, addr, shared, count, value3);
    case FUTEX_REQUEUE:
        return futex_requeue(task, addr, addr2, shared, count, count2, NULL);
    case FUTEX_CMP_REQUEUE:
        return futex_requeue(task, addr, addr2, shared, count, count2, &value3);
    case FUTEX_WAKE_OP:
        return futex_wake_op(task, addr, addr2, shared, count, count2, value3);
    default:
        return -ENOSYS; /* priority inheritance: as a kernel without CONFIG_FUTEX_PI */
    }
}

long sys_set_robust_list(struct task *task, const struct syscall_args *args)
{
    if (args->arg[1] != ROBUST_HEAD_SIZE) {
        return -EINVAL;
    }
    task->robust_list = args->arg[0];
    return 0;
}

long sys_get_robust_list(struct task *task, const struct syscall_args *args)
{
    uint64_t size = ROBUST_HEAD_SIZE;
    uint64_t head = task->robust_list;
    int pid = arg_int(args, 0);
    if (pid != 0 && pid != task->tid) {
        struct task *other = task_find(pid);
        if (!other) {
            return -ESRCH;
        }
        mutex_lock(&kernel_lock);
        bool allowed = other->process == task->process ||
                       (other->cred && other->cred->uid == task->cred->euid);
        mutex_unlock(&kernel_lock);
        head = other->robust_list;
        task_unref(other);
        if (!allowed) {
            return -EPERM;
        }
    }
    int result = copy_out(args->arg[2], &size);
    return result != 0 ? result : copy_out(args->arg[1], &head);
}
