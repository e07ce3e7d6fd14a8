/*
 * sys_pidfd.c: pidfd_open, pidfd_send_signal, pidfd_getfd. Source: Linux kernel/pid.c,
 * kernel/signal.c; the man pages of the calls.
 */
#include <fcntl.h>

#include "sentry/fs/anon/pidfd.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/kernel/signal.h"
#include "sentry/vfs/file.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#define CAPABILITY_PTRACE 19

long sys_pidfd_open(struct task *task, const struct syscall_args *args)
{
    int pid = arg_int(args, 0);
    unsigned flags = arg_uint(args, 1);
    struct file *file;
    if ((flags & ~(unsigned)O_NONBLOCK) != 0 || pid <= 0) {
        return -EINVAL;
    }
    struct process *process = process_find(pid);
    if (!process) {
        struct task *thread = task_find(pid);
        task_unref(thread);
        return thread ? -EINVAL : -ESRCH; /* a thread that leads no group cannot be opened */
    }
    int error = pidfd_new(process, flags, &file);
    process_unref(process);
    return error < 0 ? error : install_file(task, file, true);
}

/* The siginfo of pidfd_send_signal: the guest's, within what it may claim, or that of kill(2). */
static int signal_info(struct task *task, const struct process *target, int signo, uint64_t addr,
                       siginfo_t *ret_info)
{
    if (addr == 0) {
        signal_info_user(ret_info, signo, SI_USER);
        return 0;
    }
    if (copy_in(addr, ret_info) < 0) {
        return -EFAULT;
    }
    if (ret_info->si_signo != signo) {
        return -EINVAL;
    }
    bool forged = ret_info->si_code >= 0 || ret_info->si_code == SI_TKILL;
    return forged && target != task->process ? -EPERM : 0;
}

static int send_locked(struct process *target, int signo, const siginfo_t *info)
{
    if (target->state == PROCESS_REAPED) {
        return -ESRCH;
    }
    if (!signal_may_send(target, signo)) {
        return -EPERM;
    }
    if (signo == 0 || target->state == PROCESS_ZOMBIE || target == init_process) {
        return 0;
    }
    return signal_send_process_locked(target, signo, info);
}

long sys_pidfd_send_signal(struct task *task, const struct syscall_args *args)
{
    siginfo_t info;
    int signo = arg_int(args, 1);
    if (arg_uint(args, 3) != 0) {
        return -EINVAL;
    }
    auto_file struct file *file = arg_file(task, args, 0);
    struct process *target = file ? pidfd_process(file) : NULL;
    if (file && !target) {
        target = proc_file_process(file); /* a directory /proc/PID will do; killall uses that */
    }
    if (!target) {
        return -EBADF;
    }
    int error = signal_info(task, target, signo, arg_u64(args, 2), &info);
    if (error < 0) {
        return error;
    }
    if (signo < 0 || signo > SIGNAL_COUNT) {
        return -EINVAL;
    }
    mutex_lock(&kernel_lock);
    error = send_locked(target, signo, &info);
    mutex_unlock(&kernel_lock);
    return error;
}

/* Linux: __ptrace_may_access with PTRACE_MODE_ATTACH_REALCREDS. */
static bool may_take_from_locked(struct task *task, struct process *target)
{
    const struct cred *own = task->cred;
    if (target == task->process || cred_capable(own, CAPABILITY_PTRACE)) {
        return true;
    }
    const struct cred *other = target->leader ? target->leader->cred : NULL;
    return other && own->uid == other->euid && own->uid == other->suid && own->uid == other->uid &&
           own->gid == other->egid && own->gid == other->sgid && own->gid == other->gid;
}

static int take_table(struct task *task, struct process *target, struct fd_table **ret_table)
{
    int error = -ESRCH;
    mutex_lock(&kernel_lock);
    struct task *thread = TAILQ_FIRST(&target->threads);
    if (target->state == PROCESS_RUNNING && thread && thread->fds) {
        error = -EPERM;
        if (may_take_from_locked(task, target)) {
            *ret_table = fd_table_ref(thread->fds);
            error = 0;
        }
    }
    mutex_unlock(&kernel_lock);
    return error;
}

long sys_pidfd_getfd(struct task *task, const struct syscall_args *args)
{
    struct fd_table *table;
    bool ignored;
    if (arg_uint(args, 2) != 0) {
        return -EINVAL;
    }
    auto_file struct file *file = arg_file(task, args, 0);
    struct process *target = file ? pidfd_process(file) : NULL;
    if (!target) {
        return -EBADF;
    }
    int error = take_table(task, target, &table);
    if (error < 0) {
        return error;
    }
    struct file *taken = fd_get(table, arg_int(args, 1), &ignored);
    fd_table_unref(table);
    return taken ? install_file(task, taken, true) : -EBADF;
}
