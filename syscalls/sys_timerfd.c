/* sys_timerfd.c: timerfd_create, timerfd_settime, timerfd_gettime. Source: timerfd_create(2). */
#include <sys/timerfd.h>

#include "sentry/fs/anon/timerfd.h"
#include "sentry/vfs/file.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

long sys_timerfd_create(struct task *task, const struct syscall_args *args)
{
    int flags = arg_int(args, 1);
    struct file *file;
    if ((flags & ~(TFD_CLOEXEC | TFD_NONBLOCK)) != 0) {
        return -EINVAL;
    }
    int error = timerfd_new(arg_int(args, 0), (unsigned)flags & TFD_NONBLOCK, &file);
    return error < 0 ? error : install_file(task, file, (flags & TFD_CLOEXEC) != 0);
}

long sys_timerfd_settime(struct task *task, const struct syscall_args *args)
{
    struct itimerspec value;
    struct itimerspec old;
    if (copy_in(arg_u64(args, 2), &value) < 0) {
        return -EFAULT;
    }
    auto_file struct file *file = arg_file(task, args, 0);
    if (!file) {
        return -EBADF;
    }
    int error = timerfd_set_time(file, arg_int(args, 1), &value, &old);
    if (error == 0 && arg_u64(args, 3) != 0) {
        error = copy_out(arg_u64(args, 3), &old);
    }
    return error;
}

long sys_timerfd_gettime(struct task *task, const struct syscall_args *args)
{
    struct itimerspec value;
    auto_file struct file *file = arg_file(task, args, 0);
    if (!file) {
        return -EBADF;
    }
    int error = timerfd_get_time(file, &value);
    return error < 0 ? error : copy_out(arg_u64(args, 1), &value);
}
