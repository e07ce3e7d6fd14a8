/* sys_futex.c: futex(2), its newer forms, and robust lists. */
#include <linux/futex.h>
#include <time.h>

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

/* The deadline of a lock: absolute, by the realtime clock unless the operation has a choice. */
static int lock_deadline(const struct syscall_args *args, uint64_t *ret_deadline)
{
    *ret_deadline = SLEEP_FOREVER;
    return args->arg[3] == 0 ? 0 : copy_in_timespec_ns(args->arg[3], ret_deadline);
}

/* Locks with priority inheritance. */
static long pi_call(struct task *task, const struct syscall_args *args, int op, bool shared)
{
    uint64_t addr = args->arg[0];
    bool realtime = op & FUTEX_CLOCK_REALTIME;
    uint64_t deadline = SLEEP_FOREVER;
    int command = op & FUTEX_CMD_MASK;
    if (command == FUTEX_LOCK_PI || command == FUTEX_LOCK_PI2 || command == FUTEX_WAIT_REQUEUE_PI) {
        int result = lock_deadline(args, &deadline);
        if (result != 0) {
            return result;
        }
    }
    switch (command) {
    case FUTEX_LOCK_PI:
        return futex_lock_pi(task, addr, shared, false, deadline, true);
    case FUTEX_LOCK_PI2:
        return futex_lock_pi(task, addr, shared, false, deadline, realtime);
    case FUTEX_TRYLOCK_PI:
        return futex_lock_pi(task, addr, shared, true, SLEEP_FOREVER, false);
    case FUTEX_UNLOCK_PI:
        return futex_unlock_pi(task, addr, shared);
    case FUTEX_WAIT_REQUEUE_PI:
        return futex_wait_requeue_pi(task, addr, args->arg[4], shared, arg_uint(args, 2), deadline,
                                     realtime);
    default:
        return futex_cmp_requeue_pi(task, addr, args->arg[4], shared, arg_int(args, 2),
                                    (int)args->arg[3], arg_uint(args, 5));
    }
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
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
    case FUTEX_TRYLOCK_PI:
    case FUTEX_UNLOCK_PI:
    case FUTEX_WAIT_REQUEUE_PI:
    case FUTEX_CMP_REQUEUE_PI:
        return pi_call(task, args, op, shared);
    default:
        return -ENOSYS;
    }
}

/* The kernel's struct futex_waitv, and the flags of the newer calls. */
struct linux_futex_waitv {
    uint64_t value, addr;
    uint32_t flags, reserved;
};
#define FLAG_SIZE_MASK 3U
#define FLAG_SIZE_U32  2U
#define FLAG_PRIVATE   128U

/* Linux: futex_flags_valid, futex_validate_input. */
static bool flags_ok(uint64_t flags, uint64_t value)
{
    return (flags & ~(uint64_t)(FLAG_SIZE_MASK | FLAG_PRIVATE)) == 0 &&
           (flags & FLAG_SIZE_MASK) == FLAG_SIZE_U32 && value <= UINT32_MAX;
}

static int read_words(uint64_t addr, unsigned count, struct futex_word *words)
{
    for (unsigned i = 0; i < count; i++) {
        struct linux_futex_waitv one;
        if (copy_in(addr + i * sizeof(one), &one) != 0) {
            return -EFAULT;
        }
        if (one.reserved != 0 || !flags_ok(one.flags, one.value)) {
            return -EINVAL;
        }
        words[i] = (struct futex_word){.addr = one.addr,
                                       .expected = (uint32_t)one.value,
                                       .shared = !(one.flags & FLAG_PRIVATE)};
    }
    return 0;
}

/* An absolute time by the clock given. */
static int read_deadline(uint64_t addr, int clock, uint64_t *ret_deadline)
{
    *ret_deadline = SLEEP_FOREVER;
    if (addr == 0) {
        return 0;
    }
    if (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME) {
        return -EINVAL;
    }
    return copy_in_timespec_ns(addr, ret_deadline);
}

long sys_futex_waitv(struct task *task, const struct syscall_args *args)
{
    struct futex_word words[FUTEX_WORDS_MAX];
    unsigned count = arg_uint(args, 1);
    int clock = arg_int(args, 4);
    uint64_t deadline;
    if (arg_uint(args, 2) != 0 || count == 0 || count > FUTEX_WORDS_MAX || args->arg[0] == 0) {
        return -EINVAL;
    }
    int result = read_deadline(args->arg[3], clock, &deadline);
    if (result == 0) {
        result = read_words(args->arg[0], count, words);
    }
    if (result != 0) {
        return result;
    }
    return futex_wait_many(task, words, count, deadline, clock == CLOCK_REALTIME);
}

long sys_futex_wake(struct task *task, const struct syscall_args *args)
{
    uint64_t flags = arg_uint(args, 3);
    if (!flags_ok(flags, args->arg[1])) {
        return -EINVAL;
    }
    int count = arg_int(args, 2);
    bool shared = !(flags & FLAG_PRIVATE);
    int woken = futex_wake(task->mm, args->arg[0], shared, count, (uint32_t)args->arg[1]);
    return woken;
}

long sys_futex_wait(struct task *task, const struct syscall_args *args)
{
    uint64_t flags = arg_uint(args, 3);
    int clock = arg_int(args, 5);
    uint64_t deadline;
    if (!flags_ok(flags, args->arg[1]) || args->arg[2] > UINT32_MAX) {
        return -EINVAL;
    }
    int result = read_deadline(args->arg[4], clock, &deadline);
    if (result != 0) {
        return result;
    }
    return futex_wait(task, args->arg[0], !(flags & FLAG_PRIVATE), (uint32_t)args->arg[1],
                      (uint32_t)args->arg[2], deadline, clock == CLOCK_REALTIME);
}

long sys_futex_requeue(struct task *task, const struct syscall_args *args)
{
    struct futex_word words[2];
    if (arg_uint(args, 1) != 0 || args->arg[0] == 0) {
        return -EINVAL;
    }
    int result = read_words(args->arg[0], 2, words);
    if (result != 0) {
        return result;
    }
    if (words[0].shared != words[1].shared) {
        return -EINVAL;
    }
    return futex_requeue(task, words[0].addr, words[1].addr, words[0].shared, arg_int(args, 2),
                         arg_int(args, 3), &words[0].expected);
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
