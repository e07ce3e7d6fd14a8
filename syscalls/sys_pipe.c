/* sys_pipe.c: pipe and pipe2. Source: Linux fs/pipe.c; pipe(2). */
#include <fcntl.h>

#include "sentry/fs/anon/pipe.h"
#include "sentry/vfs/file.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

static long make_pipe(struct task *task, uint64_t addr, int flags)
{
    struct file *files[2];
    int fds[2];
    if ((flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) != 0) {
        return -EINVAL;
    }
    int error = pipe_new((unsigned)flags & (O_NONBLOCK | O_DIRECT), &files[0], &files[1]);
    if (error < 0) {
        return error;
    }
    error =
        fd_install_two(task->fds, files, (flags & O_CLOEXEC) != 0, task_limit(RLIMIT_NOFILE), fds);
    if (error < 0) {
        file_unref(files[0]);
        file_unref(files[1]);
        return error;
    }
    if (copy_out(addr, &fds) < 0) {
        ignore_result(fd_close(task->fds, fds[0]));
        ignore_result(fd_close(task->fds, fds[1]));
        return -EFAULT;
    }
    return 0;
}

long sys_pipe(struct task *task, const struct syscall_args *args)
{
    return make_pipe(task, arg_u64(args, 0), 0);
}

long sys_pipe2(struct task *task, const struct syscall_args *args)
{
    return make_pipe(task, arg_u64(args, 0), arg_int(args, 1));
}
