/*
 * sys_fd.c: descriptors: close, close_range, dup, dup2, dup3. Sources: Linux fs/file.c; dup(2),
 * close_range(2).
 */
#include <fcntl.h>

#include "sentry/vfs/file.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#define CLOSE_RANGE_UNSHARE_FLAG 2U
#define CLOSE_RANGE_CLOEXEC_FLAG 4U

long sys_close(struct task *task, const struct syscall_args *args)
{
    return fd_close(task->fds, arg_int(args, 0));
}

long sys_dup(struct task *task, const struct syscall_args *args)
{
    struct file *file = arg_file_raw(task, args, 0);
    return file ? install_file(task, file, false) : -EBADF;
}

static long dup_to(struct task *task, int old_fd, int new_fd, bool close_on_exec)
{
    bool ignored;
    uint64_t limit = task_limit(RLIMIT_NOFILE);
    if ((uint64_t)(unsigned)new_fd >= limit) {
        return -EBADF;
    }
    struct file *file = fd_get(task->fds, old_fd, &ignored);
    if (!file) {
        return -EBADF;
    }
    int error = fd_install_at(task->fds, new_fd, file, close_on_exec, limit);
    if (error < 0) {
        file_unref(file);
        return error;
    }
    return new_fd;
}

long sys_dup2(struct task *task, const struct syscall_args *args)
{
    int old_fd = arg_int(args, 0);
    int new_fd = arg_int(args, 1);
    if (old_fd != new_fd) {
        return dup_to(task, old_fd, new_fd, false);
    }
    auto_file struct file *file = arg_file_raw(task, args, 0);
    return file ? new_fd : -EBADF;
}

long sys_dup3(struct task *task, const struct syscall_args *args)
{
    int old_fd = arg_int(args, 0);
    int new_fd = arg_int(args, 1);
    int flags = arg_int(args, 2);
    if ((flags & ~O_CLOEXEC) != 0 || old_fd == new_fd) {
        return -EINVAL;
    }
    return dup_to(task, old_fd, new_fd, (flags & O_CLOEXEC) != 0);
}

/* Gives the task a descriptor table of its own. */
static int unshare_table(struct task *task)
{
    struct fd_table *copy;
    if (atomic_load(&task->fds->ref.count) == 1) {
        return 0;
    }
    int error = fd_table_copy(task->fds, UINT32_MAX, &copy);
    if (error < 0) {
        return error;
    }
    mutex_lock(&kernel_lock);
    struct fd_table *old = task->fds;
    task->fds = copy;
    mutex_unlock(&kernel_lock);
    fd_table_unref(old);
    return 0;
}

long sys_close_range(struct task *task, const struct syscall_args *args)
{
    unsigned first = arg_uint(args, 0);
    unsigned last = arg_uint(args, 1);
    unsigned flags = arg_uint(args, 2);
    if ((flags & ~(CLOSE_RANGE_UNSHARE_FLAG | CLOSE_RANGE_CLOEXEC_FLAG)) != 0 || first > last) {
        return -EINVAL;
    }
    if ((flags & CLOSE_RANGE_UNSHARE_FLAG) != 0) {
        int error = unshare_table(task);
        if (error < 0) {
            return error;
        }
    }
    fd_close_range(task->fds, first, last, (flags & CLOSE_RANGE_CLOEXEC_FLAG) != 0);
    return 0;
}
