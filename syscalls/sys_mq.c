/* sys_mq.c: POSIX message queues. Source: mq_overview(7), Linux ipc/mqueue.c. */
#include <fcntl.h>

#include "sentry/fs/mqueue/mqueue.h"
#include "sentry/net/socket.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

long sys_mq_open(struct task *task, const struct syscall_args *args)
{
    char name[PATH_MAX_LENGTH];
    struct mq_attr attr;
    struct file *file;
    int flags = arg_int(args, 1);
    if (args->arg[3] != 0 && copy_in(args->arg[3], &attr) != 0) {
        return -EFAULT;
    }
    int result = copy_in_path(args->arg[0], name);
    bool created = false;
    if (result == 0) {
        result = mqueue_open(name, flags, arg_uint(args, 2) & 07777, args->arg[3] ? &attr : NULL,
                             &file, &created);
    }
    if (result != 0) {
        return result;
    }
    int fd = install_file(task, file, true);
    if (fd < 0 && created) {
        ignore_result(mqueue_unlink(name)); /* Linux: without a descriptor nothing is made */
    }
    return fd;
}

long sys_mq_unlink(struct task *task, const struct syscall_args *args)
{
    char name[PATH_MAX_LENGTH];
    (void)task;
    int result = copy_in_path(args->arg[0], name);
    return result != 0 ? result : mqueue_unlink(name);
}

static int get_deadline(uint64_t addr, uint64_t *ret_deadline)
{
    *ret_deadline = SLEEP_FOREVER;
    return addr == 0 ? 0 : copy_in_timespec_ns(addr, ret_deadline);
}

long sys_mq_timedsend(struct task *task, const struct syscall_args *args)
{
    uint64_t length = args->arg[2];
    unsigned priority = arg_uint(args, 3);
    uint64_t deadline;
    size_t most = 0;
    int result = get_deadline(args->arg[4], &deadline);
    if (result != 0) {
        return result;
    }
    if (priority >= MQUEUE_PRIORITY_MAX) {
        return -EINVAL;
    }
    auto_file struct file *file = arg_file(task, args, 0);
    result = file ? mqueue_check(file, true, &most) : -EBADF;
    if (result != 0) {
        return result;
    }
    if (length > most) {
        return -EMSGSIZE;
    }
    struct mqueue_message *message = mqueue_message_new(priority, length);
    if (!message) {
        return -ENOMEM;
    }
    result = mm_copy_in(task->mm, args->arg[1], mqueue_message_text(message), length);
    if (result == 0) {
        result = mqueue_send(file, message, deadline);
    }
    if (result != 0) {
        mqueue_message_free(message);
    }
    return result;
}

long sys_mq_timedreceive(struct task *task, const struct syscall_args *args)
{
    uint64_t deadline;
    size_t most = 0;
    struct mqueue_message *message;
    int result = get_deadline(args->arg[4], &deadline);
    if (result != 0) {
        return result;
    }
    auto_file struct file *file = arg_file(task, args, 0);
    result = file ? mqueue_check(file, false, &most) : -EBADF;
    if (result != 0) {
        return result;
    }
    if (args->arg[2] < most) {
        return -EMSGSIZE;
    }
    result = mqueue_receive(file, deadline, &message);
    if (result != 0) {
        return result;
    }
    size_t length = mqueue_message_length(message);
    unsigned priority = mqueue_message_priority(message);
    if ((args->arg[3] != 0 && copy_out(args->arg[3], &priority) != 0) ||
        mm_copy_out(task->mm, args->arg[1], mqueue_message_text(message), length) != 0) {
        result = -EFAULT;
    }
    mqueue_message_free(message);
    return result != 0 ? result : (long)length;
}

/* The kernel's struct sigevent, as far as it goes. */
struct linux_sigevent {
    uint64_t value;
    int32_t signo, notify;
    uint8_t rest[48];
};

static int read_notification(struct task *task, uint64_t addr,
                             struct mqueue_notification *notification)
{
    struct linux_sigevent event;
    if (copy_in(addr, &event) != 0) {
        return -EFAULT;
    }
    *notification = (struct mqueue_notification){
        .how = event.notify, .signo = event.signo, .value = event.value};
    if (event.notify != SIGEV_NONE && event.notify != SIGEV_SIGNAL &&
        event.notify != SIGEV_THREAD) {
        return -EINVAL;
    }
    if (event.notify == SIGEV_SIGNAL && (event.signo < 0 || event.signo > SIGNAL_COUNT)) {
        return -EINVAL;
    }
    if (event.notify != SIGEV_THREAD) {
        return 0;
    }
    /* Linux: the value points to a cookie, which comes back through the netlink socket signo. */
    if (copy_in(event.value, &notification->cookie) != 0) {
        return -EFAULT;
    }
    struct file *socket = fd_get_io(task->fds, event.signo);
    int result = socket ? netlink_check(socket) : -EBADF;
    if (result != 0) {
        file_unref(socket);
        return result;
    }
    notification->socket = socket;
    return 0;
}

long sys_mq_notify(struct task *task, const struct syscall_args *args)
{
    struct mqueue_notification notification = {0};
    if (args->arg[1] != 0) {
        int result = read_notification(task, args->arg[1], &notification);
        if (result != 0) {
            return result;
        }
    }
    auto_file struct file *file = arg_file(task, args, 0);
    if (!file) {
        file_unref(notification.socket);
        return -EBADF;
    }
    return mqueue_notify(file, args->arg[1] != 0 ? &notification : NULL);
}

long sys_mq_getsetattr(struct task *task, const struct syscall_args *args)
{
    struct mq_attr wanted;
    struct mq_attr old;
    if (args->arg[1] != 0) {
        if (copy_in(args->arg[1], &wanted) != 0) {
            return -EFAULT;
        }
        if (wanted.mq_flags & ~(long)O_NONBLOCK) {
            return -EINVAL;
        }
    }
    auto_file struct file *file = arg_file(task, args, 0);
    int result = file ? mqueue_get_attr(file, &old) : -EBADF;
    if (result == 0 && args->arg[1] != 0) {
        result = mqueue_set_attr(file, &wanted);
    }
    if (result == 0 && args->arg[2] != 0 && copy_out(args->arg[2], &old) != 0) {
        result = -EFAULT;
    }
    return result;
}
