/* sys_sem.c: System V semaphores. Source: semget(2), semop(2), semctl(2). */
#include <stdlib.h>

#include "sentry/core/clock.h"
#include "sentry/kernel/ipc.h"
#include "syscalls/syscall.h"

#define FEW_OPERATIONS 8

long sys_semget(struct task *task, const struct syscall_args *args)
{
    (void)task;
    return ipc_sem_get(arg_int(args, 0), arg_int(args, 1), arg_int(args, 2));
}

static long operate(const struct syscall_args *args, uint64_t deadline)
{
    struct sembuf few[FEW_OPERATIONS];
    auto_free struct sembuf *many = NULL;
    struct sembuf *operations = few;
    unsigned count = arg_uint(args, 2);
    if (count == 0 || arg_int(args, 0) < 0) {
        return -EINVAL;
    }
    if (count > atomic_load(&ipc_limits.sem_opm)) {
        return -E2BIG;
    }
    if (count > FEW_OPERATIONS) {
        operations = many = calloc(count, sizeof(*many));
        if (!many) {
            return -ENOMEM;
        }
    }
    if (mm_copy_in(current.mm, args->arg[1], operations, count * sizeof(*operations)) != 0) {
        return -EFAULT;
    }
    return ipc_sem_operate(arg_int(args, 0), operations, count, deadline);
}

long sys_semop(struct task *task, const struct syscall_args *args)
{
    (void)task;
    return operate(args, SLEEP_FOREVER);
}

long sys_semtimedop(struct task *task, const struct syscall_args *args)
{
    uint64_t deadline = SLEEP_FOREVER;
    (void)task;
    if (args->arg[3] != 0) {
        uint64_t timeout;
        int result = copy_in_timespec_ns(args->arg[3], &timeout);
        if (result != 0) {
            return result;
        }
        deadline = ns_add(clock_monotonic_ns(), timeout);
    }
    return operate(args, deadline);
}

static long get_all(int id, uint64_t addr)
{
    auto_free uint16_t *values = NULL;
    unsigned count = 0;
    int result = ipc_sem_get_all(id, &values, &count);
    return result != 0 ? result : mm_copy_out(current.mm, addr, values, count * sizeof(*values));
}

static long set_all(int id, uint64_t addr)
{
    int count = ipc_sem_count(id);
    if (count < 0) {
        return count;
    }
    auto_free uint16_t *values = calloc((size_t)count, sizeof(*values));
    if (!values) {
        return -ENOMEM;
    }
    if (mm_copy_in(current.mm, addr, values, (size_t)count * sizeof(*values)) != 0) {
        return -EFAULT;
    }
    return ipc_sem_set_all(id, values, (unsigned)count);
}

static long stat_call(int id, int cmd, uint64_t addr)
{
    struct semid_ds ds;
    int result = ipc_sem_stat(id, cmd, &ds);
    if (result >= 0 && copy_out(addr, &ds) != 0) {
        return -EFAULT;
    }
    return result;
}

long sys_semctl(struct task *task, const struct syscall_args *args)
{
    int id = arg_int(args, 0);
    int number = arg_int(args, 1);
    int cmd = arg_int(args, 2);
    uint64_t addr = arg_u64(args, 3);
    struct semid_ds ds;
    struct seminfo info;
    int result;
    (void)task;
    if (id < 0) {
        return -EINVAL;
    }
    switch (cmd) {
    case IPC_INFO:
    case SEM_INFO:
        result = ipc_sem_info(cmd, &info);
        return result >= 0 && copy_out(addr, &info) != 0 ? -EFAULT : result;
    case IPC_STAT:
    case SEM_STAT:
    case SEM_STAT_ANY:
        return stat_call(id, cmd, addr);
    case GETALL:
        return get_all(id, addr);
    case SETALL:
        return set_all(id, addr);
    case GETVAL:
    case GETPID:
    case GETNCNT:
    case GETZCNT:
        return ipc_sem_get_one(id, number, cmd);
    case SETVAL:
        return ipc_sem_set_one(id, number, (int)addr);
    case IPC_SET:
        return copy_in(addr, &ds) != 0 ? -EFAULT : ipc_sem_set(id, &ds);
    case IPC_RMID:
        return ipc_sem_remove(id);
    default:
        return -EINVAL;
    }
}
