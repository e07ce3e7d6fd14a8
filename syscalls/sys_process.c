/* sys_process.c: fork, exec, exit, wait, process ids and groups. */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <fcntl.h>

#include "sentry/fs/anon/pidfd.h"
#include "sentry/kernel/job_control.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/resident.h"
#include "sentry/kernel/task_clone.h"
#include "sentry/kernel/task_exec.h"
#include "sentry/kernel/task_wait.h"
#include "sentry/vfs/fd_table.h"
#include "sentry/vfs/file.h"
#include "syscalls/exec_arguments.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif
#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

long sys_fork(struct task *task, const struct syscall_args *args)
{
    (void)args;
    struct clone_request request = {.exit_signal = SIGCHLD};
    return task_clone(task, &request);
}

long sys_vfork(struct task *task, const struct syscall_args *args)
{
    (void)args;
    struct clone_request request = {.flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD};
    return task_clone(task, &request);
}

long sys_clone(struct task *task, const struct syscall_args *args)
{
    uint64_t flags = (uint32_t)args->arg[0];
    struct clone_request request = {
        .flags = flags & ~(uint64_t)CSIGNAL,
        .exit_signal = (int)(flags & CSIGNAL),
        .stack = args->arg[1],
        .parent_tid = args->arg[2],
        .child_tid = args->arg[3],
        .tls = args->arg[4],
        .pidfd = args->arg[2],
    };
    if ((flags & CLONE_PIDFD) && (flags & CLONE_PARENT_SETTID)) {
        return -EINVAL; /* both use the same argument */
    }
    if (request.exit_signal > SIGNAL_COUNT) {
        return -EINVAL;
    }
    return task_clone(task, &request);
}

struct clone3_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
        set_tid_size, cgroup;
};

long sys_unshare(struct task *task, const struct syscall_args *args)
{
    return task_unshare(task, args->arg[0]);
}

long sys_clone3(struct task *task, const struct syscall_args *args)
{
    struct clone3_args in;
    int set_tid[32];
    uint64_t size = args->arg[1];
    if (size < 64) {
        return -EINVAL;
    }
    if (size > PAGE_SIZE) {
        return -E2BIG;
    }
    int result = copy_in_struct(args->arg[0], size, &in, sizeof(in));
    if (result != 0) {
        return result;
    }
    if ((in.flags & ~(0xffffffffULL | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP)) ||
        (in.flags & (CLONE_DETACHED | CSIGNAL)) || (in.flags & CLONE_INTO_CGROUP) ||
        in.exit_signal > SIGNAL_COUNT || in.set_tid_size > array_size(set_tid) ||
        (in.stack == 0) != (in.stack_size == 0) || (in.set_tid == 0) != (in.set_tid_size == 0) ||
        ((in.flags & (CLONE_THREAD | CLONE_PARENT)) && in.exit_signal != 0)) {
        return -EINVAL;
    }
    if (in.set_tid_size > 0) {
        result = mm_copy_in(task->mm, in.set_tid, set_tid, in.set_tid_size * sizeof(int));
        if (result != 0) {
            return result;
        }
        if (in.set_tid_size > 1 || set_tid[0] <= 0) {
            return -EINVAL;
        }
    }
    struct clone_request request = {
        .flags = in.flags,
        .exit_signal = (int)in.exit_signal,
        .stack = in.stack == 0 ? 0 : in.stack + in.stack_size,
        .parent_tid = in.parent_tid,
        .child_tid = in.child_tid,
        .tls = in.tls,
        .pidfd = in.pidfd,
        .set_tid = set_tid,
        .set_tid_count = in.set_tid_size,
    };
    return task_clone(task, &request);
}

static long exec_at(struct task *task, const struct path *start, const char *path, unsigned walk,
                    const char *shown, uint64_t argv, uint64_t envp)
{
    struct string_list arguments = {0};
    struct string_list environment = {0};
    struct file *file = NULL;
    long result = vfs_open_exec(start, path, walk, &file);
    if (result == 0) {
        result = exec_copy_strings(argv, envp, &arguments, &environment);
    }
    if (result == 0) {
        struct exec_request request = {
            .file = file, .path = shown, .argv = &arguments, .envp = &environment};
        result = task_exec(task, &request);
    }
    if (file) {
        file_unref(file);
    }
    string_list_fini(&arguments);
    string_list_fini(&environment);
    return result;
}

long sys_execve(struct task *task, const struct syscall_args *args)
{
    char path[PATH_MAX_LENGTH];
    int result = copy_in_path(args->arg[0], path);
    if (result != 0) {
        return result;
    }
    return exec_at(task, NULL, path, WALK_FOLLOW, path, args->arg[1], args->arg[2]);
}

long sys_execveat(struct task *task, const struct syscall_args *args)
{
    char shown[PATH_MAX_LENGTH + 32];
    int dirfd = arg_int(args, 0);
    int flags = arg_int(args, 4);
    if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) {
        return -EINVAL;
    }
    auto_lookup struct lookup lookup;
    int result =
        lookup_begin(task, dirfd, args->arg[1], flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0U, &lookup);
    if (result != 0) {
        return result;
    }
    const char *path = lookup.text;
    const struct path *start = lookup.file ? &lookup.file->path : lookup.start;
    if (lookup.file && !lookup.file->path.dentry) {
        return -EACCES; /* not a file with a name: a pipe or a socket */
    }
    if (dirfd == AT_FDCWD || path[0] == '/') {
        snprintf(shown, sizeof(shown), "%s", path);
    } else if (path[0] == '\0') {
        snprintf(shown, sizeof(shown), "/dev/fd/%d", dirfd);
    } else {
        snprintf(shown, sizeof(shown), "/dev/fd/%d/%s", dirfd, path);
    }
    unsigned walk = (flags & AT_SYMLINK_NOFOLLOW ? 0U : WALK_FOLLOW) |
                    (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0U);
    return exec_at(task, start, path, walk, shown, args->arg[2], args->arg[3]);
}

long sys_exit(struct task *task, const struct syscall_args *args)
{
    mutex_lock(&kernel_lock);
    task->exit_code = (arg_int(args, 0) & 0xff) << 8;
    task->exiting = true;
    atomic_store(&task->work, true);
    mutex_unlock(&kernel_lock);
    return 0;
}

long sys_exit_group(struct task *task, const struct syscall_args *args)
{
    mutex_lock(&kernel_lock);
    process_group_exit_locked(task->process, (arg_int(args, 0) & 0xff) << 8);
    mutex_unlock(&kernel_lock);
    return 0;
}

static int copy_out_rusage(uint64_t addr, uint64_t user_ns, uint64_t system_ns, uint64_t max_rss,
                           const struct task *task)
{
    struct rusage usage;
    memset(&usage, 0, sizeof(usage));
    usage.ru_utime = (struct timeval){.tv_sec = (time_t)(user_ns / 1000000000U),
                                      .tv_usec = (suseconds_t)(user_ns / 1000 % 1000000)};
    usage.ru_stime = (struct timeval){.tv_sec = (time_t)(system_ns / 1000000000U),
                                      .tv_usec = (suseconds_t)(system_ns / 1000 % 1000000)};
    usage.ru_maxrss = (long)(max_rss / 1024);
    if (task) {
        usage.ru_minflt = (long)task->min_fault;
        usage.ru_majflt = (long)task->maj_fault;
        usage.ru_nvcsw = (long)task->voluntary_switches;
    }
    return copy_out(addr, &usage);
}

long sys_wait4(struct task *task, const struct syscall_args *args)
{
    int pid = arg_int(args, 0);
    int options = arg_int(args, 2);
    if (options & ~(WNOHANG | WUNTRACED | WCONTINUED | __WALL | __WCLONE | __WNOTHREAD)) {
        return -EINVAL;
    }
    if (pid == INT32_MIN) {
        return -ESRCH;
    }
    struct wait_request request = {.options = options | WEXITED};
    if (pid == -1) {
        request.which = WAIT_ANY_CHILD;
    } else if (pid == 0) {
        request.which = WAIT_OWN_GROUP;
    } else if (pid < 0) {
        request.which = WAIT_CHILD_GROUP;
        request.id = -pid;
    } else {
        request.which = WAIT_CHILD;
        request.id = pid;
    }
    struct wait_result found;
    int result = task_wait(task, &request, &found);
    if (result != 0 || found.pid == 0) {
        return result;
    }
    if (args->arg[1] != 0) {
        result = copy_out(args->arg[1], &found.status);
    }
    if (result == 0 && args->arg[3] != 0) {
        result = copy_out_rusage(args->arg[3], found.user_ns, found.system_ns, found.max_rss, NULL);
    }
    return result != 0 ? result : found.pid;
}

static int waitid_target(struct task *task, const struct syscall_args *args,
                         struct wait_request *request)
{
    int id = arg_int(args, 1);
    switch (arg_int(args, 0)) {
    case P_ALL:
        request->which = WAIT_ANY_CHILD;
        return 0;
    case P_PID:
        request->which = WAIT_CHILD;
        request->id = id;
        return id <= 0 ? -EINVAL : 0;
    case P_PGID:
        request->which = id == 0 ? WAIT_OWN_GROUP : WAIT_CHILD_GROUP;
        request->id = id;
        return id < 0 ? -EINVAL : 0;
    case P_PIDFD: {
        bool nonblock = false;
        request->which = WAIT_CHILD;
        int result = id < 0 ? -EINVAL : pidfd_lookup(task, id, &request->id, &nonblock);
        if (result == 0 && nonblock) {
            request->options |= WNOHANG;
        }
        return result;
    }
    default:
        return -EINVAL;
    }
}

long sys_waitid(struct task *task, const struct syscall_args *args)
{
    int options = arg_int(args, 3);
    if ((options & ~(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WALL | __WCLONE |
                     __WNOTHREAD)) ||
        !(options & (WEXITED | WSTOPPED | WCONTINUED))) {
        return -EINVAL;
    }
    struct wait_request request = {.options = options};
    int result = waitid_target(task, args, &request);
    if (result != 0) {
        return result;
    }
    struct wait_result found;
    memset(&found, 0, sizeof(found));
    result = task_wait(task, &request, &found);
    if (result == 0 && found.pid == 0 && !(options & WNOHANG)) {
        return -EAGAIN; /* a non-blocking pidfd */
    }
    if (result == 0 && found.pid != 0 && args->arg[4] != 0) {
        result = copy_out_rusage(args->arg[4], found.user_ns, found.system_ns, found.max_rss, NULL);
    }
    if (result == 0 && args->arg[2] != 0) {
        siginfo_t info;
        memset(&info, 0, sizeof(info));
        if (found.pid != 0) {
            info.si_signo = SIGCHLD;
            info.si_code = found.code;
            info.si_pid = found.pid;
            info.si_uid = found.uid;
            info.si_status = found.signal_status;
        }
        result = mm_copy_out(task->mm, args->arg[2], &info, 32); /* up to si_status + padding */
    }
    return result;
}

long sys_getpid(struct task *task, const struct syscall_args *args)
{
    (void)args;
    return task->process->tgid;
}

long sys_gettid(struct task *task, const struct syscall_args *args)
{
    (void)args;
    return task->tid;
}

long sys_getppid(struct task *task, const struct syscall_args *args)
{
    (void)args;
    mutex_lock(&kernel_lock);
    int pid = task->process->parent ? task->process->parent->tgid : 0;
    mutex_unlock(&kernel_lock);
    return pid;
}

long sys_setpgid(struct task *task, const struct syscall_args *args)
{
    return job_set_group(task, arg_int(args, 0), arg_int(args, 1));
}

long sys_getpgid(struct task *task, const struct syscall_args *args)
{
    int pgid;
    int result = job_get_group(task, arg_int(args, 0), &pgid);
    return result != 0 ? result : pgid;
}

long sys_getpgrp(struct task *task, const struct syscall_args *args)
{
    (void)args;
    int pgid;
    int result = job_get_group(task, 0, &pgid);
    return result != 0 ? result : pgid;
}

long sys_getsid(struct task *task, const struct syscall_args *args)
{
    int sid;
    int result = job_get_session(task, arg_int(args, 0), &sid);
    return result != 0 ? result : sid;
}

long sys_setsid(struct task *task, const struct syscall_args *args)
{
    (void)args;
    return job_new_session(task);
}

long sys_set_tid_address(struct task *task, const struct syscall_args *args)
{
    task->clear_child_tid = args->arg[0];
    return task->tid;
}

long sys_getrusage(struct task *task, const struct syscall_args *args)
{
    struct process *process = task->process;
    uint64_t user = 0;
    uint64_t system = 0;
    uint64_t max_rss = 0;
    int who = arg_int(args, 0);
    uint64_t own_rss = who == RUSAGE_CHILDREN ? 0 : resident_peak(task);
    mutex_lock(&kernel_lock);
    switch (who) {
    case RUSAGE_SELF:
        process_cpu_time(process, &user, &system);
        max_rss = own_rss;
        break;
    case RUSAGE_CHILDREN:
        user = process->child_user_ns;
        system = process->child_system_ns;
        max_rss = process->child_max_rss;
        break;
    case RUSAGE_THREAD:
        task_cpu_time(task, &user, &system);
        max_rss = own_rss;
        break;
    default:
        mutex_unlock(&kernel_lock);
        return -EINVAL;
    }
    mutex_unlock(&kernel_lock);
    return copy_out_rusage(args->arg[1], user, system, max_rss,
                           who == RUSAGE_CHILDREN ? NULL : task);
}
