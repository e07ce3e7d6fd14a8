/*
 * pidfd.c: see pidfd.h. The file holds a reference of the process, so the number is never that of
 * another one. No lock: the state is read atomically.
 */
#include "sentry/fs/anon/pidfd.h"

#include <errno.h>
#include <fcntl.h>

#include "platform/base/text.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/fd_table.h"
#include "sentry/vfs/file.h"

static enum process_state state_of(const struct process *process)
{
    return atomic_load(&process->state);
}

static uint32_t pidfd_poll(struct file *file)
{
    switch (state_of(file->private_data)) {
    case PROCESS_RUNNING:
        return 0;
    case PROCESS_ZOMBIE:
        return EPOLLIN | EPOLLRDNORM;
    default:
        return EPOLLIN | EPOLLRDNORM | EPOLLHUP;
    }
}

static struct wait_queue *pidfd_wait_queue(struct file *file)
{
    struct process *process = file->private_data;
    return &process->exit_wait;
}

static void pidfd_release(struct file *file)
{
    process_unref(file->private_data);
}

static void pidfd_show_fdinfo(struct file *file, struct text *text)
{
    const struct process *process = file->private_data;
    int pid = state_of(process) == PROCESS_REAPED ? -1 : process->tgid;
    text_printf(text, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
}

static const struct file_ops pidfd_file_ops = {
    .poll = pidfd_poll,
    .wait_queue = pidfd_wait_queue,
    .release = pidfd_release,
    .show_fdinfo = pidfd_show_fdinfo,
    .anon_name = "[pidfd]",
};

int pidfd_new(struct process *process, unsigned flags, struct file **ret_file)
{
    int error = file_new_anon(&pidfd_file_ops, 0600, FILE_READ | FILE_WRITE | FILE_STREAM,
                              (flags & O_NONBLOCK) | O_RDWR, process_ref(process), ret_file);
    if (error < 0) {
        process_unref(process);
    }
    return error;
}

struct process *pidfd_process(const struct file *file)
{
    return file->ops == &pidfd_file_ops ? file->private_data : NULL;
}

int pidfd_lookup(struct task *task, int fd, int *ret_pid, bool *ret_nonblock)
{
    struct file *file = fd_get_io(task->fds, fd);
    int error = -EBADF;
    struct process *process = file ? pidfd_process(file) : NULL;
    if (process) {
        *ret_pid = process->tgid;
        *ret_nonblock = (atomic_load(&file->flags) & O_NONBLOCK) != 0;
        error = 0;
    }
    file_unref(file);
    return error;
}

int pidfd_install(struct task *installer, struct task *target, int *ret_fd)
{
    struct file *file;
    int error = pidfd_new(target->process, 0, &file);
    if (error < 0) {
        return error;
    }
    int fd = fd_install(installer->fds, file, true, 0, task_limit(RLIMIT_NOFILE));
    if (fd < 0) {
        file_unref(file);
        return fd;
    }
    *ret_fd = fd;
    return 0;
}
