/* sys_inotify.c: inotify_init, inotify_add_watch, inotify_rm_watch. Source: inotify(7), Linux
 * fs/notify/inotify/inotify_user.c. */
#include <fcntl.h>
#include <sys/inotify.h>

#include "sentry/fs/anon/inotify.h"
#include "sentry/vfs/file.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#define KERNEL_IN_MASK_CREATE 0x10000000U
#define ALL_BITS                                                                                   \
    (IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR | IN_DONT_FOLLOW |       \
     IN_EXCL_UNLINK | KERNEL_IN_MASK_CREATE | IN_MASK_ADD | IN_ISDIR | IN_ONESHOT)

static long create(struct task *task, int flags)
{
    struct file *file;
    if ((flags & ~(IN_CLOEXEC | IN_NONBLOCK)) != 0) {
        return -EINVAL;
    }
    int error = inotify_new((unsigned)flags & IN_NONBLOCK, &file);
    return error < 0 ? error : install_file(task, file, (flags & IN_CLOEXEC) != 0);
}

long sys_inotify_init(struct task *task, const struct syscall_args *args)
{
    (void)args;
    return create(task, 0);
}

long sys_inotify_init1(struct task *task, const struct syscall_args *args)
{
    return create(task, arg_int(args, 0));
}

long sys_inotify_add_watch(struct task *task, const struct syscall_args *args)
{
    uint32_t mask = arg_uint(args, 2);
    auto_path struct path found = {0};
    if ((mask & ALL_BITS) == 0) {
        return -EINVAL;
    }
    auto_file struct file *file = arg_file(task, args, 0);
    if (!file) {
        return -EBADF;
    }
    if ((mask & IN_MASK_ADD) != 0 && (mask & KERNEL_IN_MASK_CREATE) != 0) {
        return -EINVAL;
    }
    unsigned walk = (mask & IN_DONT_FOLLOW) != 0 ? 0 : WALK_FOLLOW;
    walk |= (mask & IN_ONLYDIR) != 0 ? WALK_DIRECTORY : 0U;
    int error = lookup_path(task, arg_u64(args, 1), walk, &found);
    return error < 0 ? error : inotify_add(file, &found, mask);
}

long sys_inotify_rm_watch(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = arg_file(task, args, 0);
    return file ? inotify_remove(file, arg_int(args, 1)) : -EBADF;
}
