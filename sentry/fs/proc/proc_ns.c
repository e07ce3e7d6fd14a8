/*
 * proc_ns.c: /proc/PID/ns: one namespace of each kind, but for those of mounts. Linux: fs/nsfs.c,
 * ioctl_ns(2).
 */
#include <errno.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/current.h"
#include "sentry/fs/proc/internal.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/mount.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define FURTHER_NUMBERS        4026532200U
#define GET_MOUNT_NAMESPACE_ID 0x8008b705U /* NS_GET_MNTNS_ID */

struct namespace_name {
    const char *name, *type;
    uint32_t number; /* as the first ones of Linux */
    unsigned flag;   /* CLONE_NEW* */
};
static const struct namespace_name namespaces[] = {
    {"cgroup", "cgroup", 4026531835U, CLONE_NEWCGROUP},
    {"ipc", "ipc", 4026531839U, CLONE_NEWIPC},
    {"mnt", "mnt", 4026531841U, CLONE_NEWNS},
    {"net", "net", 4026531840U, CLONE_NEWNET},
    {"pid", "pid", 4026531836U, CLONE_NEWPID},
    {"pid_for_children", "pid", 4026531836U, CLONE_NEWPID},
    {"time", "time", 4026531834U, CLONE_NEWTIME},
    {"time_for_children", "time", 4026531834U, CLONE_NEWTIME},
    {"user", "user", 4026531837U, CLONE_NEWUSER},
    {"uts", "uts", 4026531838U, CLONE_NEWUTS},
};

static const struct namespace_name *namespace_of(const struct proc_node *node)
{
    for (size_t i = 0; i < array_size(namespaces); i++) {
        if (strcmp(namespaces[i].name, node->entry->name) == 0) {
            return &namespaces[i];
        }
    }
    return &namespaces[0];
}

/* What stat shows of a namespace, and the text of its link. */
static uint32_t number_of(struct proc_node *node)
{
    const struct namespace_name *ns = namespace_of(node);
    struct task *task;
    uint64_t id = 1;
    if (ns->flag == CLONE_NEWNS && proc_get_task(node, &task) == 0) {
        mutex_lock(&kernel_lock);
        struct fs_context *fs = task->fs ? fs_context_ref(task->fs) : NULL;
        mutex_unlock(&kernel_lock);
        id = fs ? fs_context_namespace(fs) : 1;
        fs_context_unref(fs);
        task_unref(task);
    }
    return id <= 1 ? ns->number : FURTHER_NUMBERS + (uint32_t)id;
}

static int link_ns(struct proc_node *node, struct text *out)
{
    text_printf(out, "%s:[%u]", namespace_of(node)->type, number_of(node));
    return 0;
}

static void free_ns(struct inode *inode)
{
    inode_fini(inode);
    free(inode);
}

static long put_number(uint64_t addr, uint64_t value, size_t size)
{
    return mm_copy_out(current.mm, addr, &value, size);
}

/* Linux: ns_ioctl. Only mounts have further namespaces: of what lies above them nothing is told. */
static long ns_ioctl(struct file *file, unsigned command, uint64_t argument)
{
    unsigned flag = proc_file_namespace(file);
    switch (command) {
    case NS_GET_NSTYPE:
        return (long)flag;
    case NS_GET_USERNS:
        return flag == CLONE_NEWUSER ? -EPERM : -EOPNOTSUPP; /* DIFFERS: gives a descriptor */
    case NS_GET_PARENT:
        return flag == CLONE_NEWUSER || flag == CLONE_NEWPID ? -EPERM : -EINVAL;
    case NS_GET_OWNER_UID:
        return flag == CLONE_NEWUSER ? put_number(argument, 0, 4) : -EINVAL;
    case GET_MOUNT_NAMESPACE_ID:
        return flag == CLONE_NEWNS ? put_number(argument, proc_file_mount_namespace(file), 8)
                                   : -EINVAL;
    default:
        return -ENOTTY;
    }
}

static void ns_release(struct file *file)
{
    mount_namespace_unref(file->private_data);
}

static const struct file_ops ns_file_ops = {
    .ioctl = ns_ioctl, .release = ns_release, .anon_name = "ns"};

unsigned proc_file_namespace(const struct file *file)
{
    if (file->ops != &ns_file_ops) {
        return 0;
    }
    for (size_t i = 0; i < array_size(namespaces); i++) {
        if (namespaces[i].number == file->inode->ino) {
            return namespaces[i].flag;
        }
    }
    return CLONE_NEWNS;
}

uint64_t proc_file_mount_namespace(const struct file *file)
{
    return file->inode->ino > FURTHER_NUMBERS ? file->inode->ino - FURTHER_NUMBERS : 1;
}

static int open_ns(struct inode *inode, struct file *file)
{
    (void)inode;
    file->ops = &ns_file_ops;
    if (proc_file_namespace(file) == CLONE_NEWNS) { /* which lives as long as the file */
        file->private_data = mount_namespace_find(proc_file_mount_namespace(file));
    }
    return 0;
}

static const struct inode_ops ns_inode_ops = {.open = open_ns, .free = free_ns};

/* An object that can be compared with stat, as tools do, and given to setns. */
static int follow_ns(struct proc_node *node, struct path *ret_path)
{
    struct inode *inode = calloc(1, sizeof(*inode));
    auto_text struct text name = TEXT_INIT;
    if (inode == NULL) {
        return -ENOMEM;
    }
    inode_init(inode, node->inode.super, &ns_inode_ops, number_of(node), S_IFREG | 0444);
    inode->uid = inode->gid = 0;
    int result = link_ns(node, &name);
    struct dentry *dentry = result == 0 ? dentry_new_disconnected(text_string(&name), inode) : NULL;
    inode_unref(inode);
    if (dentry == NULL) {
        return -ENOMEM;
    }
    *ret_path = (struct path){NULL, dentry};
    return 0;
}

#define NAMESPACE(n)                                                                               \
    {                                                                                              \
        .name = (n), .mode = S_IFLNK | 0777, .readlink = link_ns, .follow = follow_ns              \
    }
const struct proc_entry proc_ns_rows[] = {
    NAMESPACE("cgroup"), NAMESPACE("ipc"),
    NAMESPACE("mnt"),    NAMESPACE("net"),
    NAMESPACE("pid"),    NAMESPACE("pid_for_children"),
    NAMESPACE("time"),   NAMESPACE("time_for_children"),
    NAMESPACE("user"),   NAMESPACE("uts"),
    {.name = NULL},
};
