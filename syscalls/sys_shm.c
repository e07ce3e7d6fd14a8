/* sys_shm.c: System V shared memory. Source: shmget(2), shmop(2), shmctl(2). */
#include "sentry/kernel/ipc.h"
#include "syscalls/syscall.h"

long sys_shmget(struct task *task, const struct syscall_args *args)
{
    (void)task;
    return ipc_shm_get(arg_int(args, 0), arg_u64(args, 1), arg_int(args, 2));
}

long sys_shmat(struct task *task, const struct syscall_args *args)
{
    (void)task;
    uint64_t addr = 0;
    if (arg_int(args, 0) < 0) {
        return -EINVAL;
    }
    int result = ipc_shm_attach(arg_int(args, 0), arg_u64(args, 1), arg_int(args, 2), &addr);
    return result != 0 ? result : (long)addr;
}

long sys_shmdt(struct task *task, const struct syscall_args *args)
{
    (void)task;
    return ipc_shm_detach(arg_u64(args, 0));
}

static long stat_call(int id, int cmd, uint64_t addr)
{
    struct shmid_ds ds;
    int result = ipc_shm_stat(id, cmd, &ds);
    if (result >= 0 && copy_out(addr, &ds) != 0) {
        return -EFAULT;
    }
    return result;
}

long sys_shmctl(struct task *task, const struct syscall_args *args)
{
    int id = arg_int(args, 0);
    int cmd = arg_int(args, 1);
    uint64_t addr = arg_u64(args, 2);
    struct shmid_ds ds;
    struct shminfo limits;
    struct shm_info usage;
    int result;
    (void)task;
    if (id < 0 || cmd < 0) {
        return -EINVAL;
    }
    switch (cmd) {
    case IPC_INFO:
        result = ipc_shm_limits(&limits);
        return result >= 0 && copy_out(addr, &limits) != 0 ? -EFAULT : result;
    case SHM_INFO:
        result = ipc_shm_usage(&usage);
        return result >= 0 && copy_out(addr, &usage) != 0 ? -EFAULT : result;
    case IPC_STAT:
    case SHM_STAT:
    case SHM_STAT_ANY:
        return stat_call(id, cmd, addr);
    case IPC_SET:
        return copy_in(addr, &ds) != 0 ? -EFAULT : ipc_shm_set(id, &ds);
    case IPC_RMID:
        return ipc_shm_remove(id);
    case SHM_LOCK:
    case SHM_UNLOCK:
        return ipc_shm_lock(id, cmd == SHM_LOCK);
    default:
        return -EINVAL;
    }
}
