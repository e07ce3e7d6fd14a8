/* sys_msg.c: System V message queues. Source: msgget(2), msgop(2), msgctl(2). */
#include "sentry/kernel/ipc.h"
#include "syscalls/syscall.h"

long sys_msgget(struct task *task, const struct syscall_args *args)
{
    (void)task;
    return ipc_msg_get(arg_int(args, 0), arg_int(args, 1));
}

long sys_msgsnd(struct task *task, const struct syscall_args *args)
{
    int id = arg_int(args, 0);
    uint64_t addr = args->arg[1];
    uint64_t length = args->arg[2];
    int64_t type;
    (void)task;
    if (copy_in(addr, &type) != 0) {
        return -EFAULT;
    }
    if (id < 0 || (int64_t)length < 0 || length > atomic_load(&ipc_limits.msg_max) || type < 1) {
        return -EINVAL;
    }
    struct ipc_message *message = ipc_message_new(type, length);
    if (!message) {
        return -ENOMEM;
    }
    int result = mm_copy_in(current.mm, addr + sizeof(type), ipc_message_text(message), length);
    if (result == 0) {
        result = ipc_msg_send(id, message, arg_int(args, 3));
    }
    if (result != 0) {
        ipc_message_free(message);
    }
    return result;
}

long sys_msgrcv(struct task *task, const struct syscall_args *args)
{
    int id = arg_int(args, 0);
    uint64_t addr = args->arg[1];
    uint64_t size = args->arg[2];
    int flags = arg_int(args, 4);
    struct ipc_message *message = NULL;
    (void)task;
    if (id < 0 || (int64_t)size < 0) {
        return -EINVAL;
    }
    if ((flags & MSG_COPY) && ((flags & MSG_EXCEPT) || !(flags & IPC_NOWAIT))) {
        return -EINVAL;
    }
    int result = ipc_msg_receive(id, size, arg_s64(args, 3), flags, &message);
    if (result != 0) {
        return result;
    }
    int64_t type = ipc_message_type(message);
    uint64_t length = min_of(size, (uint64_t)ipc_message_length(message));
    bool stored = copy_out(addr, &type) == 0 && mm_copy_out(current.mm, addr + sizeof(type),
                                                            ipc_message_text(message), length) == 0;
    ipc_message_free(message);
    return stored ? (long)length : -EFAULT;
}

static long stat_call(int id, int cmd, uint64_t addr)
{
    struct msqid_ds ds;
    int result = ipc_msg_stat(id, cmd, &ds);
    if (result >= 0 && copy_out(addr, &ds) != 0) {
        return -EFAULT;
    }
    return result;
}

long sys_msgctl(struct task *task, const struct syscall_args *args)
{
    int id = arg_int(args, 0);
    int cmd = arg_int(args, 1);
    uint64_t addr = args->arg[2];
    struct msqid_ds ds;
    struct msginfo info;
    int result;
    (void)task;
    if (id < 0 || cmd < 0) {
        return -EINVAL;
    }
    switch (cmd) {
    case IPC_INFO:
    case MSG_INFO:
        result = ipc_msg_info(cmd, &info);
        return result >= 0 && copy_out(addr, &info) != 0 ? -EFAULT : result;
    case IPC_STAT:
    case MSG_STAT:
    case MSG_STAT_ANY:
        return stat_call(id, cmd, addr);
    case IPC_SET:
        return copy_in(addr, &ds) != 0 ? -EFAULT : ipc_msg_set(id, &ds);
    case IPC_RMID:
        return ipc_msg_remove(id);
    default:
        return -EINVAL;
    }
}
