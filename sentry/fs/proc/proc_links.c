/*
 * proc_links.c: links to objects: exe, cwd, root, fd/N, and fdinfo. Linux: fs/proc/base.c, fd.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/current.h"
#include "sentry/fs/proc/internal.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/fd_table.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/mount.h"

/* The path as the reader sees it. */
static int describe_path(const struct path *path, struct text *out)
{
    struct path root = {NULL, NULL};
    if (current.fs != NULL) {
        fs_context_get_root(current.fs, &root);
    }
    int result = path_text(path, root.dentry != NULL ? &root : NULL, true, out);
    path_unref(&root);
    return result;
}

static int get_guarded_task(struct proc_node *node, struct task **ret_task)
{
    int result = proc_get_task(node, ret_task);
    if (result == 0) {
        result = proc_check_access(*ret_task);
        if (result < 0) {
            task_unref(*ret_task);
        }
    }
    return result;
}

/* The path of an open file; files without one get a name of their own. */
static int file_path(struct file *file, struct path *ret_path)
{
    if (file->path.dentry != NULL) {
        path_ref(&file->path);
        *ret_path = file->path;
        return 0;
    }
    auto_text struct text name = TEXT_INIT;
    int result = file_describe(file, &name);
    if (result < 0) {
        return result;
    }
    struct dentry *dentry = dentry_new_disconnected(text_string(&name), file->inode);
    if (dentry == NULL) {
        return -ENOMEM;
    }
    *ret_path = (struct path){NULL, dentry};
    return 0;
}

/* The program's file with a reference: -ENOENT when there is none (kernel-like tasks, zombies). */
static int exe_file(struct proc_node *node, struct file **ret_file)
{
    struct mm *mm;
    int result = proc_get_guarded_mm(node, &mm);
    if (result < 0) {
        return result;
    }
    if (mm == NULL) {
        return -ENOENT;
    }
    mm_lock(mm);
    struct mm_backing *backing = mm->exe;
    result = -ENOENT;
    if (backing != NULL && backing->ops == &file_backing_ops) {
        *ret_file = file_ref(container_of(backing, struct file, backing));
        result = 0;
    }
    mm_unlock(mm);
    mm_unref(mm);
    return result;
}

int proc_follow_exe(struct proc_node *node, struct path *ret_path)
{
    struct file *file;
    int result = exe_file(node, &file);
    if (result == 0) {
        result = file_path(file, ret_path);
        file_unref(file);
    }
    return result;
}

int proc_link_exe(struct proc_node *node, struct text *out)
{
    struct file *file;
    int result = exe_file(node, &file);
    if (result == 0) {
        result = file_describe(file, out);
        file_unref(file);
    }
    return result;
}

static int context_path(struct proc_node *node, bool cwd, struct path *ret_path)
{
    struct task *task;
    int result = get_guarded_task(node, &task);
    if (result < 0) {
        return result;
    }
    mutex_lock(&kernel_lock);
    struct fs_context *fs = task->fs != NULL ? fs_context_ref(task->fs) : NULL;
    mutex_unlock(&kernel_lock);
    task_unref(task);
    if (fs == NULL) {
        return -ENOENT;
    }
    if (cwd) {
        fs_context_get_cwd(fs, ret_path);
    } else {
        fs_context_get_root(fs, ret_path);
    }
    fs_context_unref(fs);
    return 0;
}

static int describe_context(struct proc_node *node, bool cwd, struct text *out)
{
    struct path path;
    int result = context_path(node, cwd, &path);
    if (result == 0) {
        result = describe_path(&path, out);
        path_unref(&path);
    }
    return result;
}

int proc_follow_cwd(struct proc_node *node, struct path *ret_path)
{
    return context_path(node, true, ret_path);
}

int proc_follow_root(struct proc_node *node, struct path *ret_path)
{
    return context_path(node, false, ret_path);
}

int proc_link_cwd(struct proc_node *node, struct text *out)
{
    return describe_context(node, true, out);
}

int proc_link_root(struct proc_node *node, struct text *out)
{
    return describe_context(node, false, out);
}

static int get_fds(struct proc_node *node, struct fd_table **ret_fds)
{
    struct task *task;
    int result = get_guarded_task(node, &task);
    if (result < 0) {
        return result;
    }
    mutex_lock(&kernel_lock);
    *ret_fds = task->fds != NULL ? fd_table_ref(task->fds) : NULL;
    mutex_unlock(&kernel_lock);
    task_unref(task);
    return *ret_fds != NULL ? 0 : -ENOENT;
}

int64_t proc_fd_next(struct proc_node *dir, uint64_t from)
{
    struct fd_table *fds;
    if (get_fds(dir, &fds) < 0) {
        return -1;
    }
    int64_t fd = from > INT32_MAX ? -1 : fd_next(fds, (uint32_t)from);
    fd_table_unref(fds);
    return fd;
}

static int get_file(struct proc_node *node, int fd, struct file **ret_file, bool *ret_close_on_exec)
{
    struct fd_table *fds;
    int result = get_fds(node, &fds);
    if (result < 0) {
        return result;
    }
    *ret_file = fd_get(fds, fd, ret_close_on_exec);
    fd_table_unref(fds);
    return *ret_file != NULL ? 0 : -ENOENT;
}

int proc_fd_find(struct proc_node *dir, uint64_t number, struct proc_node *child)
{
    struct file *file;
    bool close_on_exec;
    int result = get_file(dir, (int)number, &file, &close_on_exec);
    if (result < 0) {
        return result;
    }
    child->fd = (int)number;
    if (S_ISLNK(inode_load(child->inode.mode))) {
        child->inode.mode = S_IFLNK | ((file->mode & FILE_READ) != 0 ? 0500U : 0U) |
                            ((file->mode & FILE_WRITE) != 0 ? 0300U : 0U);
        child->inode.size = 64;
    }
    file_unref(file);
    return 0;
}

static int follow_fd(struct proc_node *node, struct path *ret_path)
{
    struct file *file;
    bool close_on_exec;
    int result = get_file(node, node->fd, &file, &close_on_exec);
    if (result == 0) {
        result = file_path(file, ret_path);
        file_unref(file);
    }
    return result;
}

static int link_fd(struct proc_node *node, struct text *out)
{
    struct file *file;
    bool close_on_exec;
    int result = get_file(node, node->fd, &file, &close_on_exec);
    if (result == 0) {
        result = file_describe(file, out);
        file_unref(file);
    }
    return result;
}

static int show_fdinfo(struct proc_node *node, struct text *out)
{
    struct file *file;
    bool close_on_exec;
    int result = get_file(node, node->fd, &file, &close_on_exec);
    if (result < 0) {
        return result;
    }
    unsigned flags = atomic_load(&file->flags) | (close_on_exec ? O_CLOEXEC : 0);
    /* The position is read without its lock: the reading file may be the one described. */
    uint64_t position = file->position;
    text_printf(out, "pos:\t%lli\nflags:\t0%o\nmnt_id:\t%i\nino:\t%llu\n", (long long)position,
                flags, file->path.mount != NULL ? file->path.mount->id : 0,
                (unsigned long long)file->inode->ino);
    file_show_fdinfo(file, out);
    file_unref(file);
    return 0;
}

const struct proc_entry proc_fd_each = {
    .name = "fd", .mode = S_IFLNK | 0700, .readlink = link_fd, .follow = follow_fd};
const struct proc_entry proc_fdinfo_each = {
    .name = "fdinfo", .mode = S_IFREG | 0444, .flags = PROC_GUARDED, .show = show_fdinfo};
