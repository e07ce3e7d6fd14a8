/* sys_signalfd.c: signalfd and signalfd4. Source: signalfd(2). */
#include <sys/signalfd.h>

#include "sentry/fs/anon/signalfd.h"
#include "sentry/vfs/file.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

static long do_signalfd(struct task *task, const struct syscall_args *args, int flags)
{
    int fd = arg_int(args, 0);
    uint64_t mask;
    int error = copy_in_sigset(arg_u64(args, 1), arg_u64(args, 2), &mask);
    if (error < 0) {
        return error;
    }
    if ((flags & ~(SFD_CLOEXEC | SFD_NONBLOCK)) != 0) {
        return -EINVAL;
    }
    if (fd == -1) {
        struct file *file;
        error = signalfd_new(mask, (unsigned)flags & SFD_NONBLOCK, &file);
        return error < 0 ? error : install_file(task, file, (flags & SFD_CLOEXEC) != 0);
    }
    auto_file struct file *file = arg_file(task, args, 0);
    if (!file) {
        return -EBADF;
    }
    if (!file_is_signalfd(file)) {
        return -EINVAL;
    }
    signalfd_set_mask(file, mask);
    return fd;
}

long sys_signalfd(struct task *task, const struct syscall_args *args)
{
    return do_signalfd(task, args, 0);
}

long sys_signalfd4(struct task *task, const struct syscall_args *args)
{
    return do_signalfd(task, args, arg_int(args, 3));
}
