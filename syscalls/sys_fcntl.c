/*
 * sys_fcntl.c: fcntl and flock. Sources: Linux fs/fcntl.c, fs/locks.c; fcntl(2), flock(2).
 */
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "sentry/fs/anon/async_io.h"
#include "sentry/fs/anon/dnotify.h"
#include "sentry/fs/anon/pipe.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/file_lease.h"
#include "sentry/vfs/file_lock.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/inode_flags.h"
#include "syscalls/blocking.h"
#include "syscalls/file_owner.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#define CREATED_QUERY 1028 /* F_CREATED_QUERY, newer than the headers */

#define KERNEL_F_DUPFD_QUERY 1027
#define SETTABLE_FLAGS       (O_APPEND | O_NONBLOCK | O_ASYNC | O_DIRECT | O_NOATIME)

static bool allowed_on_path(int command)
{
    return command == F_DUPFD || command == F_DUPFD_CLOEXEC || command == F_GETFD ||
           command == F_SETFD || command == F_GETFL || command == KERNEL_F_DUPFD_QUERY;
}

static long duplicate(struct task *task, struct file *file, uint64_t from, bool close_on_exec)
{
    uint64_t limit = task_limit(RLIMIT_NOFILE);
    if ((uint32_t)from >= limit) {
        return -EINVAL;
    }
    int fd = fd_install(task->fds, file_ref(file), close_on_exec, (uint32_t)from, limit);
    if (fd < 0) {
        file_unref(file);
    }
    return fd;
}

/* Linux: setfl. */
static long set_flags(struct file *file, int fd, unsigned wanted)
{
    unsigned flags = atomic_load(&file->flags);
    if ((wanted & O_NOATIME) != 0 && (flags & O_NOATIME) == 0 &&
        inode_load(file->inode->uid) != current.cred->fsuid && !capable(3 /* CAP_FOWNER */)) {
        return -EPERM;
    }
    if ((flags & O_APPEND) != 0 && (wanted & O_APPEND) == 0 && inode_is_append_only(file->inode)) {
        return -EPERM;
    }
    int error =
        file_set_flags(file, (flags & ~(unsigned)SETTABLE_FLAGS) | (wanted & SETTABLE_FLAGS));
    if (error == 0 && ((flags ^ wanted) & O_ASYNC) != 0) {
        error = async_io_set(file, fd, (wanted & O_ASYNC) != 0);
    }
    return error;
}

static bool is_ofd(int command)
{
    return command == F_OFD_GETLK || command == F_OFD_SETLK || command == F_OFD_SETLKW;
}

/* struct flock to a request of the lock table. */
static int lock_request(struct task *task, struct file *file, int command, const struct flock *in,
                        struct file_lock *ret_lock)
{
    if (in->l_type != F_RDLCK && in->l_type != F_WRLCK && in->l_type != F_UNLCK) {
        return -EINVAL;
    }
    if (is_ofd(command) && in->l_pid != 0) {
        return -EINVAL;
    }
    *ret_lock = (struct file_lock){.kind = is_ofd(command) ? FILE_LOCK_OFD : FILE_LOCK_POSIX,
                                   .type = in->l_type,
                                   .owner = is_ofd(command) ? (const void *)file : task->fds,
                                   .pid = is_ofd(command) ? -1 : current.tgid};
    return file_lock_range(file, in->l_whence, in->l_start, in->l_len, &ret_lock->start,
                           &ret_lock->end);
}

static long lock_get(struct task *task, struct file *file, int command, uint64_t addr)
{
    struct flock value;
    struct file_lock lock;
    if (copy_in(addr, &value) < 0) {
        return -EFAULT;
    }
    if (command == F_GETLK && value.l_type == F_UNLCK) {
        return -EINVAL;
    }
    int error = lock_request(task, file, command, &value, &lock);
    if (error < 0) {
        return error;
    }
    file_lock_test(file, &lock);
    value.l_type = (short)lock.type;
    if (lock.type != F_UNLCK) {
        value.l_whence = SEEK_SET;
        value.l_start = lock.start;
        value.l_len = lock.end == FILE_LOCK_MAX_END ? 0 : lock.end - lock.start + 1;
        value.l_pid = lock.pid;
    }
    return copy_out(addr, &value);
}

/* Sets a lock; where `wait`, until it is granted or a signal comes. */
static long lock_apply(struct file *file, const struct file_lock *lock, bool wait)
{
    if (!wait) {
        return file_lock_set(file, lock, NULL);
    }
    struct file_lock_wait waiter;
    struct blocking_wait blocking;
    file_lock_wait_init(&waiter);
    int error = file_lock_set(file, lock, &waiter);
    if (error == -EAGAIN) {
        blocking_begin(&blocking, file_lock_queue(file), ~0U, SLEEP_FOREVER);
        while (error == -EAGAIN) {
            int wait_error = blocking_next(&blocking);
            error = wait_error < 0 ? wait_error : file_lock_set(file, lock, &waiter);
        }
        blocking_end(&blocking);
    }
    file_lock_wait_end(&waiter);
    return error;
}

static long lock_set(struct task *task, struct file *file, int command, uint64_t addr)
{
    struct flock value;
    struct file_lock lock;
    if (copy_in(addr, &value) < 0) {
        return -EFAULT;
    }
    int error = lock_request(task, file, command, &value, &lock);
    if (error < 0) {
        return error;
    }
    return lock_apply(file, &lock, command == F_SETLKW || command == F_OFD_SETLKW);
}

/* Does the target of F_SETOWN exist? */
static bool owner_exists(int type, int id)
{
    bool found = false;
    mutex_lock(&kernel_lock);
    if (type == F_OWNER_PGRP) {
        struct process *process;
        TAILQ_FOREACH (process, &all_processes, all_link) {
            found = found || process->pgid == id;
        }
    } else {
        found =
            type == F_OWNER_TID ? task_find_locked(id) != NULL : process_find_locked(id) != NULL;
    }
    mutex_unlock(&kernel_lock);
    return found;
}

static int set_owner(struct file *file, int type, int id)
{
    if (id != 0 && !owner_exists(type, id)) {
        return -ESRCH;
    }
    mutex_lock(&file->lock);
    __atomic_store_n(&file->owner_type, type,
                     __ATOMIC_RELAXED); /* the worker of async_io reads them */
    __atomic_store_n(&file->owner_id, id, __ATOMIC_RELAXED);
    mutex_unlock(&file->lock);
    return id != 0 ? async_io_set_urgent(file) : 0;
}

int file_owner_set(struct file *file, int who)
{
    if (who == INT_MIN) {
        return -EINVAL;
    }
    return who < 0 ? set_owner(file, F_OWNER_PGRP, -who) : set_owner(file, F_OWNER_PID, who);
}

static long set_owner_ex(struct file *file, uint64_t addr)
{
    struct f_owner_ex owner;
    if (copy_in(addr, &owner) < 0) {
        return -EFAULT;
    }
    if (owner.type != F_OWNER_TID && owner.type != F_OWNER_PID && owner.type != F_OWNER_PGRP) {
        return -EINVAL;
    }
    return set_owner(file, (int)owner.type, owner.pid);
}

static void get_owner(struct file *file, struct f_owner_ex *ret_owner)
{
    mutex_lock(&file->lock);
    ret_owner->type = (enum __pid_type)file->owner_type;
    ret_owner->pid = file->owner_id;
    mutex_unlock(&file->lock);
    if (ret_owner->pid != 0 && !owner_exists((int)ret_owner->type, ret_owner->pid)) {
        ret_owner->pid = 0;
    }
}

int file_owner_get(struct file *file)
{
    struct f_owner_ex owner;
    get_owner(file, &owner);
    return owner.type == F_OWNER_PGRP ? -owner.pid : owner.pid;
}

static long set_signal(struct file *file, uint64_t signo)
{
    if (signo > SIGNAL_COUNT) {
        return -EINVAL;
    }
    mutex_lock(&file->lock);
    __atomic_store_n(&file->owner_signal, (int)signo, __ATOMIC_RELAXED);
    mutex_unlock(&file->lock);
    return 0;
}

static long owner_command(struct file *file, int command, uint64_t argument)
{
    struct f_owner_ex owner;
    switch (command) {
    case F_SETOWN:
        return file_owner_set(file, (int)argument);
    case F_SETOWN_EX:
        return set_owner_ex(file, argument);
    case F_GETOWN:
        return file_owner_get(file);
    case F_GETOWN_EX:
        get_owner(file, &owner);
        return copy_out(argument, &owner);
    case F_SETSIG:
        return set_signal(file, argument);
    default:
        return file->owner_signal;
    }
}

static long lease_command(struct file *file, int fd, int command, int argument)
{
    if (command == F_GETLEASE) {
        return lease_get(file);
    }
    int result = lease_set(file, fd, argument);
    if (result == 0 && argument != F_UNLCK && file_owner_get(file) == 0) {
        result = file_owner_set(file, current.tgid); /* Linux: lease_setup */
    }
    return result;
}

static long same_file(struct task *task, struct file *file, int fd)
{
    bool ignored;
    auto_file struct file *other = fd_get(task->fds, fd, &ignored);
    return other ? other == file : -EBADF;
}

static long descriptor_command(struct task *task, int fd, struct file *file, bool close_on_exec,
                               int command, uint64_t argument)
{
    switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        return duplicate(task, file, argument, command == F_DUPFD_CLOEXEC);
    case F_GETFD:
        return close_on_exec ? FD_CLOEXEC : 0;
    case F_SETFD:
        return fd_set_close_on_exec(task->fds, fd, (argument & FD_CLOEXEC) != 0);
    case F_GETFL:
        return (long)(int)(atomic_load(&file->flags) & ~(unsigned)O_CLOEXEC);
    default:
        return same_file(task, file, (int)argument);
    }
}

static long file_command(struct task *task, struct file *file, int fd, int command,
                         uint64_t argument)
{
    switch (command) {
    case F_SETFL:
        return set_flags(file, fd, (unsigned)argument);
    case F_GETLK:
    case F_OFD_GETLK:
        return lock_get(task, file, command, argument);
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return lock_set(task, file, command, argument);
    case F_SETOWN:
    case F_GETOWN:
    case F_SETOWN_EX:
    case F_GETOWN_EX:
    case F_SETSIG:
    case F_GETSIG:
        return owner_command(file, command, argument);
    case CREATED_QUERY:
        return (file->mode & FILE_CREATED) != 0;
    case F_GETPIPE_SZ:
        return pipe_get_size(file);
    case F_SETPIPE_SZ:
        return pipe_set_size(file, (uint32_t)argument);
    case F_ADD_SEALS:
        return (argument >> 32) != 0 ? -EINVAL : file_add_seals(file, (unsigned)argument);
    case F_GET_SEALS:
        return file_get_seals(file);
    case F_SETLEASE:
    case F_GETLEASE:
        return lease_command(file, fd, command, (int)argument);
    case F_NOTIFY:
        return dnotify_set(file, task->fds, fd, (unsigned)argument);
    default:
        return -EINVAL;
    }
}

long sys_fcntl(struct task *task, const struct syscall_args *args)
{
    int fd = arg_int(args, 0);
    int command = arg_int(args, 1);
    bool close_on_exec = false;
    auto_file struct file *file = fd_get(task->fds, fd, &close_on_exec);
    if (!file) {
        return -EBADF;
    }
    if (allowed_on_path(command)) {
        return descriptor_command(task, fd, file, close_on_exec, command, arg_u64(args, 2));
    }
    if ((file->mode & FILE_PATH) != 0) {
        return -EBADF;
    }
    return file_command(task, file, fd, command, arg_u64(args, 2));
}

long sys_flock(struct task *task, const struct syscall_args *args)
{
    int operation = arg_int(args, 1);
    struct file_lock lock = {
        .kind = FILE_LOCK_FLOCK, .end = FILE_LOCK_MAX_END, .pid = current.tgid};
    if ((operation & 32) != 0) {
        return -EOPNOTSUPP; /* Linux: LOCK_MAND */
    }
    switch (operation & ~LOCK_NB) {
    case LOCK_SH:
        lock.type = F_RDLCK;
        break;
    case LOCK_EX:
        lock.type = F_WRLCK;
        break;
    case LOCK_UN:
        lock.type = F_UNLCK;
        break;
    default:
        return -EINVAL;
    }
    auto_file struct file *file = arg_file(task, args, 0);
    if (!file || (lock.type != F_UNLCK && (file->mode & (FILE_READ | FILE_WRITE)) == 0)) {
        return -EBADF;
    }
    lock.owner = file;
    return lock_apply(file, &lock, (operation & LOCK_NB) == 0);
}
