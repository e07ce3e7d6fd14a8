/*
 * task_exec.c: execve: the new image is built completely in a clean address space; only then are
 * the other threads killed and the old memory given up (the point of no return).
 */
#include "sentry/kernel/resident.h"
#include "sentry/kernel/task_exec.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/keyring.h"
#include "sentry/kernel/posix_timer.h"
#include "sentry/kernel/aio.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/signal_sets.h"
#include "sentry/kernel/task_run.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/fd_table.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/mount.h"

/* Credentials of the new program: setuid and setgid bits, capabilities. Linux:
 * begin_new_exec, cap_bprm_creds_from_file. */
static struct cred *exec_cred(struct task *task, struct file *file, bool *ret_secure)
{
    const struct cred *old = task->cred;
    mutex_lock(&kernel_lock);
    bool traced = !ptrace_allows_privileges_locked(task);
    mutex_unlock(&kernel_lock);
    struct cred *cred = cred_copy(old);
    if (!cred) {
        return NULL;
    }
    struct inode_attr attr;
    bool may_set = !old->no_new_privs && file->path.mount && !traced &&
                   !(file->path.mount->flags & MOUNT_NO_SUID) &&
                   inode_getattr(file->inode, &attr) == 0;
    if (may_set && (attr.mode & S_ISUID)) {
        cred->euid = attr.uid;
    }
    if (may_set && (attr.mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)) {
        cred->egid = attr.gid;
    }
    bool changed = cred->euid != old->euid || cred->egid != old->egid;
    cred->suid = cred->fsuid = cred->euid;
    cred->sgid = cred->fsgid = cred->egid;
    cred->keep_caps = false;
    if (changed) {
        cred->cap_ambient = 0;
    }
    bool root = cred->uid == 0 || cred->euid == 0;
    if (root && !(cred->securebits & 1)) { /* SECBIT_NOROOT */
        cred->cap_permitted = cred->cap_inheritable | cred->cap_bounding;
        cred->cap_effective = cred->euid == 0 ? cred->cap_permitted : cred->cap_ambient;
    } else {
        cred->cap_permitted = cred->cap_ambient;
        cred->cap_effective = cred->cap_ambient;
    }
    *ret_secure = cred->euid != cred->uid || cred->egid != cred->gid;
    return cred;
}

/* Kills the other threads and takes over the identity of the leader. */
int task_become_only_thread(struct task *task)
{
    struct process *process = task->process;
    mutex_lock(&kernel_lock);
    if (process->group_exiting || process->exec_task) {
        mutex_unlock(&kernel_lock);
        return -EAGAIN; /* Linux: the signal that kills us is pending */
    }
    process->exec_task = task;
    struct task *other;
    TAILQ_FOREACH (other, &process->threads, thread_link) {
        if (other != task) {
            other->exiting = true;
            other->ptrace.killed = true;
            task_kick_locked(other);
        }
    }
    while (process->thread_count > 1 && !process->group_exiting) {
        sleeper_prepare(&task->sleeper);
        mutex_unlock(&kernel_lock);
        sleeper_wait(&task->sleeper, SLEEP_FOREVER);
        mutex_lock(&kernel_lock);
    }
    process->exec_task = NULL;
    if (process->group_exiting) {
        mutex_unlock(&kernel_lock);
        return -EAGAIN;
    }
    if (process->leader != task) {
        struct task *old_leader = process->leader;
        ptrace_unlink_locked(old_leader);
        task_unpublish_locked(old_leader);
        task_rekey_locked(task, process->tgid);
        process->leader = task_ref(task);
        task_unref(old_leader);
    }
    mutex_unlock(&kernel_lock);
    return 0;
}

static void set_name(struct task *task, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    mutex_lock(&kernel_lock);
    memset(task->comm, 0, sizeof(task->comm));
    strncpy(task->comm, name, sizeof(task->comm) - 1);
    mutex_unlock(&kernel_lock);
}

/* A private sighand (CLONE_SIGHAND without CLONE_THREAD shares it until exec). */
static int unshare_sighand(struct process *process)
{
    struct sighand *copy = sighand_copy(process->sighand);
    if (!copy) {
        return -ENOMEM;
    }
    mutex_lock(&kernel_lock);
    struct sighand *old = process->sighand;
    process->sighand = copy;
    mutex_unlock(&kernel_lock);
    sighand_unref(old);
    return 0;
}

struct new_image {
    struct mm *mm;
    struct arch_regs regs;
    struct cred *cred;
};

static void copy_limits(struct process *process, struct mm *mm)
{
    mutex_lock(&kernel_lock);
    mm->limit_as = process->limits[RLIMIT_AS].rlim_cur;
    mm->limit_data = process->limits[RLIMIT_DATA].rlim_cur;
    mm->limit_memlock = process->limits[RLIMIT_MEMLOCK].rlim_cur;
    mm->limit_stack = process->limits[RLIMIT_STACK].rlim_cur;
    mutex_unlock(&kernel_lock);
}

/* Everything that can fail. */
static int build_image(struct task *task, const struct exec_request *request,
                       struct new_image *image)
{
    bool secure = false;
    struct load_request load = {
        .file = request->file,
        .path = request->path,
        .argv = request->argv,
        .envp = request->envp,
        .stack_limit = task_limit(RLIMIT_STACK),
        .personality = task->process->personality,
    };
    struct program program;
    int result = program_open(&load, &program);
    if (result != 0) {
        return result;
    }
    image->cred = exec_cred(task, program.file, &secure);
    load.cred = image->cred;
    load.secure = secure;
    result = image->cred ? mm_new(kernel.platform_ops, kernel.platform, &image->mm) : -ENOMEM;
    if (result == 0) {
        copy_limits(task->process, image->mm);
        result = program_load(&load, &program, image->mm, &image->regs);
        if (inode_permission(program.file->inode, 4) != 0) {
            image->mm->dumpable = 0; /* Linux: would_dump: an unreadable program */
        }
        if (secure) {
            image->mm->dumpable = 0;
        }
    }
    program_fini(&program);
    if (result == PLATFORM_DEAD && kernel_limit_hit) {
        /* The new stub, or the engine's own, is gone: that is no answer for the guest. */
        kernel_limit_hit("stub", "a stub process was killed from outside", true);
    }
    if (result != 0) {
        image->mm = mm_unref(image->mm);
        cred_unref(image->cred);
        image->cred = NULL;
    }
    return result;
}

/* The point of no return has passed: puts the image in place. */
static int commit_image(struct task *task, const struct exec_request *request,
                        struct new_image *image)
{
    struct process *process = task->process;
    if (!task->vfork_parent) {
        resident_note(
            task); /* Linux: begin_new_exec: the old memory's peak stays, also a shared one */
    }
    futex_task_exit(task);
    task_detach_platform(task);
    mutex_lock(&kernel_lock);
    struct mm *old = task->mm;
    task->mm = image->mm;
    const struct cred *old_cred = task->cred;
    task->cred = image->cred;
    task->regs = image->regs;
    task->regs.orig_rax = UINT64_MAX;
    task->altstack_addr = task->altstack_size = 0;
    task->altstack_flags = SS_DISABLE;
    task->forked = false;
    process->did_exec = true;
    process->exit_signal = SIGCHLD;
    if (task->vfork_parent) {
        process->max_rss = max_of(process->max_rss, task->vfork_parent->process->max_rss);
    }
    task_vfork_release_locked(task);
    mutex_unlock(&kernel_lock);
    aio_drop_process(process);
    key_task_exec(task);
    mm_unref(old);
    cred_unref(old_cred);
    signal_reset_actions(process);
    posix_timers_delete_all(process);
    set_name(task, request->path);
    task_sync_current(task);
    fd_close_on_exec(task->fds);
    return task_attach_platform(task);
}

int task_exec(struct task *task, const struct exec_request *request)
{
    struct new_image image = {0};
    int old_tid = task->tid;
    int result = build_image(task, request, &image);
    if (result != 0) {
        return result;
    }
    result = task_become_only_thread(task);
    if (result == 0) {
        struct fd_table *own = NULL;
        result = unshare_sighand(task->process);
        if (result == 0) {
            result = fd_table_copy(task->fds, UINT32_MAX, &own);
        }
        if (result == 0) {
            mutex_lock(&kernel_lock);
            struct fd_table *old = task->fds;
            task->fds = own;
            mutex_unlock(&kernel_lock);
            fd_table_unref(old);
            result = commit_image(task, request, &image);
            if (result == 0) {
                ptrace_report_exec(task, old_tid);
                return 0;
            }
            image = (struct new_image){0};
            if (result == -ESRCH && !atomic_load(&task->exiting)) {
                task_stub_died(task);
            }
        }
        /* Linux: a failure after the point of no return is fatal. */
        mutex_lock(&kernel_lock);
        process_group_exit_locked(task->process, SIGKILL);
        mutex_unlock(&kernel_lock);
    }
    if (image.mm) {
        mm_unref(image.mm);
    }
    cred_unref(image.cred);
    return result;
}

int task_exec_first(struct task *task, const struct exec_request *request)
{
    struct new_image image = {0};
    int result = build_image(task, request, &image);
    if (result != 0) {
        return result;
    }
    cred_unref(task->cred);
    task->mm = image.mm;
    task->cred = image.cred;
    task->regs = image.regs;
    task->regs.orig_rax = UINT64_MAX;
    set_name(task, request->path);
    return 0;
}
