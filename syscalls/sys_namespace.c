/*
 * sys_namespace.c: setns, pivot_root and reboot, in a sandbox with one namespace of each kind but
 * mounts. Source: Linux kernel/nsproxy.c, kernel/reboot.c, kernel/pid_namespace.c (reboot_pid_ns).
 */
#include <linux/capability.h>
#include <linux/reboot.h>
#include <sched.h>

#include "sentry/core/cred.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/mount.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

/*
 * As in a process namespace other than Linux's first one, where control-alt-delete is unknown.
 * DIFFERS: what ends the namespace there is refused here.
 */
long sys_reboot(struct task *task, const struct syscall_args *args)
{
    unsigned magic2 = arg_uint(args, 1);
    if (!cred_capable(task->cred, CAP_SYS_BOOT)) {
        return -EPERM;
    }
    if (arg_uint(args, 0) != LINUX_REBOOT_MAGIC1 ||
        (magic2 != LINUX_REBOOT_MAGIC2 && magic2 != LINUX_REBOOT_MAGIC2A &&
         magic2 != LINUX_REBOOT_MAGIC2B && magic2 != LINUX_REBOOT_MAGIC2C)) {
        return -EINVAL;
    }
    switch (arg_uint(args, 2)) {
    case LINUX_REBOOT_CMD_RESTART:
    case LINUX_REBOOT_CMD_RESTART2:
    case LINUX_REBOOT_CMD_HALT:
    case LINUX_REBOOT_CMD_POWER_OFF:
        return -EPERM;
    default:
        return -EINVAL;
    }
}

/* To go where one is already, or to another mount namespace. Linux: the root and working directory
 * become the namespace's. */
long sys_setns(struct task *task, const struct syscall_args *args)
{
    unsigned wanted = arg_uint(args, 1);
    auto_file struct file *file = arg_file(task, args, 0);
    if (!file) {
        return -EBADF;
    }
    unsigned kind = proc_file_namespace(file);
    if (kind == 0 || (wanted != 0 && wanted != kind) || kind == CLONE_NEWUSER) {
        return -EINVAL;
    }
    if (!cred_capable(task->cred, CAP_SYS_ADMIN) ||
        (kind == CLONE_NEWNS && !cred_capable(task->cred, CAP_SYS_CHROOT))) {
        return -EPERM;
    }
    if (kind == CLONE_NEWNS) {
        struct mount_namespace *ns = mount_namespace_find(proc_file_mount_namespace(file));
        if (!ns || atomic_load(&task->fs->ref.count) != 1) { /* Linux: shared: CLONE_FS */
            mount_namespace_unref(ns);
            return -EINVAL;
        }
        fs_context_enter(task->fs, ns);
    }
    return 0;
}

long sys_pivot_root(struct task *task, const struct syscall_args *args)
{
    auto_path struct path new_root = {0}, put_old = {0}, root = {0};
    if (!cred_capable(task->cred, CAP_SYS_ADMIN)) {
        return -EPERM;
    }
    int error = lookup_path(task, arg_u64(args, 0), WALK_FOLLOW | WALK_DIRECTORY, &new_root);
    if (error == 0) {
        error = lookup_path(task, arg_u64(args, 1), WALK_FOLLOW | WALK_DIRECTORY, &put_old);
    }
    if (error < 0) {
        return error;
    }
    fs_context_get_root(task->fs, &root);
    error = mount_pivot(&root, &new_root, &put_old);
    return error < 0 ? error : task_pivot_roots(&root, &new_root);
}
