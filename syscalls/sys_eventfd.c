/* sys_eventfd.c: eventfd and eventfd2. Source: eventfd(2). */
#include <sys/eventfd.h>

#include "sentry/fs/anon/eventfd.h"
#include "sentry/vfs/file.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

static long create(struct task *task, unsigned initial, int flags)
{
    struct file *file;
    if ((flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK)) != 0) {
        return -EINVAL;
    }
    int error =
        eventfd_new(initial, (flags & EFD_SEMAPHORE) != 0, (unsigned)flags & EFD_NONBLOCK, &file);
    return error < 0 ? error : install_file(task, file, (flags & EFD_CLOEXEC) != 0);
}

long sys_eventfd(struct task *task, const struct syscall_args *args)
{
    return create(task, arg_uint(args, 0), 0);
}

long sys_eventfd2(struct task *task, const struct syscall_args *args)
{
    return create(task, arg_uint(args, 0), arg_int(args, 1));
}
