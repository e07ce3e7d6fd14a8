/*
 * proc_super.c: the file system: look-up in tables, directories, attributes.
 *
 * Inode numbers are a hash of the path, so that a name has the same number whenever it is looked
 * up.
 */
#include <errno.h>
#include <dirent.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>

#include "sentry/fs/proc/internal.h"
#include "sentry/kernel/task.h"

#define FIRST_NUMBER 0x10000 /* directory positions of numbers; below: rows of the table */

static const struct inode_ops proc_dir_inode_ops, proc_file_inode_ops, proc_link_inode_ops,
    proc_magic_inode_ops;

uint64_t proc_ino(uint64_t parent, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325ULL ^ parent;
    for (; *name != 0; name++) {
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3ULL;
    }
    hash ^= hash >> 29;
    return 0xf0000000ULL + (hash & 0xffffffffffULL);
}

bool proc_parse_number(const char *name, uint64_t *ret)
{
    uint64_t number = 0;
    if (name[0] == 0 || (name[0] == '0' && name[1] != 0)) {
        return false;
    }
    for (; *name != 0; name++) {
        if (*name < '0' || *name > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(*name - '0');
        if (number > INT32_MAX) {
            return false;
        }
    }
    *ret = number;
    return true;
}

static const struct inode_ops *ops_of(const struct proc_entry *entry)
{
    if (S_ISDIR(entry->mode)) {
        return &proc_dir_inode_ops;
    }
    if (S_ISLNK(entry->mode)) {
        return entry->follow != NULL ? &proc_magic_inode_ops : &proc_link_inode_ops;
    }
    return &proc_file_inode_ops;
}

/* Owners follow the process: exec and setuid change them. */
static void update_owner(struct proc_node *node)
{
    uint32_t uid, gid;
    proc_owner(node, &uid, &gid);
    inode_store(node->inode.uid, uid);
    inode_store(node->inode.gid, gid);
}

static struct proc_node *node_new(struct super *super, const struct proc_entry *entry, uint64_t ino)
{
    struct proc_node *node = calloc(1, sizeof(*node));
    if (node != NULL) {
        inode_init(&node->inode, super, ops_of(entry), ino, entry->mode);
        node->entry = entry;
        node->fd = -1;
        node->inode.nlink = S_ISDIR(entry->mode) ? 2 : 1;
    }
    return node;
}

static const struct proc_entry *find_row(const struct proc_entry *dir, const char *name)
{
    for (const struct proc_entry *row = dir->children; row != NULL && row->name != NULL; row++) {
        if (strcmp(row->name, name) == 0) {
            return row;
        }
    }
    return NULL;
}

static int proc_lookup(struct inode *inode, const char *name, struct inode **ret_child)
{
    struct proc_node *dir = proc_node_of(inode);
    const struct proc_entry *row = find_row(dir->entry, name);
    uint64_t number = 0;
    bool numbered = row == NULL && dir->entry->each != NULL && proc_parse_number(name, &number);
    if (row == NULL && !numbered) {
        return -ENOENT;
    }
    if (dir->process != NULL && !proc_is_alive(dir)) {
        return -ENOENT;
    }
    struct proc_node *child =
        node_new(inode->super, numbered ? dir->entry->each : row, proc_ino(inode->ino, name));
    if (child == NULL) {
        return -ENOMEM;
    }
    child->process = dir->process != NULL ? process_ref(dir->process) : NULL;
    child->task = dir->task != NULL ? task_ref(dir->task) : NULL;
    child->fd = dir->fd;
    int result = numbered ? dir->entry->find(dir, number, child) : 0;
    if (result < 0) {
        inode_unref(&child->inode);
        return result;
    }
    update_owner(child);
    *ret_child = &child->inode;
    return 0;
}

/* Linux: the lookup itself fails for absent names, so there is nothing that could be made. */
static int proc_create(struct inode *dir, const char *name, uint32_t mode, uint64_t rdev,
                       struct inode **ret_child)
{
    (void)dir;
    (void)name;
    (void)mode;
    (void)rdev;
    (void)ret_child;
    return -ENOENT;
}

static int proc_symlink(struct inode *dir, const char *name, const char *target,
                        struct inode **ret_child)
{
    (void)dir;
    (void)name;
    (void)target;
    (void)ret_child;
    return -ENOENT;
}

static bool proc_revalidate(struct inode *dir, const char *name, struct inode *child)
{
    uint64_t number;
    if (child == NULL) {
        return false;
    }
    struct proc_node *node = proc_node_of(child);
    if (node->process == NULL) {
        return true;
    }
    if (!proc_is_alive(node)) {
        return false;
    }
    /* Descriptors come and go. */
    if (proc_node_of(dir)->entry->each != NULL && proc_parse_number(name, &number) &&
        node->fd >= 0) {
        return false;
    }
    update_owner(node);
    return true;
}

static int proc_getattr(struct inode *inode, struct inode_attr *ret_attr)
{
    struct proc_node *node = proc_node_of(inode);
    if (node->process != NULL) {
        update_owner(node);
    }
    inode_attr_cached(inode, ret_attr);
    ret_attr->blksize = 1024;
    if (S_ISDIR(inode_load(inode->mode)) && node->entry == &proc_root) {
        mutex_lock(&kernel_lock);
        struct process *process;
        TAILQ_FOREACH (process, &all_processes, all_link) {
            ret_attr->nlink++;
        }
        mutex_unlock(&kernel_lock);
    }
    return 0;
}

/* Linux: proc_setattr refuses new modes and owners of process files; truncation does nothing. */
static int proc_setattr(struct inode *inode, const struct inode_attr *attr, unsigned set)
{
    (void)inode;
    (void)attr;
    return (set & (INODE_SET_MODE | INODE_SET_UID | INODE_SET_GID)) != 0 ? -EPERM : 0;
}

static int proc_open(struct inode *inode, struct file *file)
{
    struct proc_node *node = proc_node_of(inode);
    if (S_ISDIR(inode_load(inode->mode))) {
        file->ops = &proc_dir_ops;
        return 0;
    }
    if ((node->entry->flags & PROC_GUARDED) != 0) {
        struct task *task;
        int result = proc_get_task(node, &task);
        if (result == 0) {
            result = proc_check_access(task);
            task_unref(task);
        }
        if (result < 0) {
            return result;
        }
    }
    if (node->entry->ops != NULL) {
        file->ops = node->entry->ops;
        return 0;
    }
    return proc_text_open(file);
}

static int proc_readlink(struct inode *inode, struct text *target)
{
    struct proc_node *node = proc_node_of(inode);
    return node->entry->readlink(node, target);
}

static int proc_follow(struct inode *inode, struct path *ret_path)
{
    struct proc_node *node = proc_node_of(inode);
    return node->entry->follow(node, ret_path);
}

static void proc_free(struct inode *inode)
{
    struct proc_node *node = proc_node_of(inode);
    process_unref(node->process);
    task_unref(node->task);
    inode_fini(inode);
    free(node);
}

static const struct inode_ops proc_dir_inode_ops = {
    .lookup = proc_lookup,
    .create = proc_create,
    .symlink = proc_symlink,
    .getattr = proc_getattr,
    .setattr = proc_setattr,
    .open = proc_open,
    .revalidate = proc_revalidate,
    .free = proc_free,
};

static const struct inode_ops proc_file_inode_ops = {
    .getattr = proc_getattr,
    .setattr = proc_setattr,
    .open = proc_open,
    .free = proc_free,
};

static const struct inode_ops proc_link_inode_ops = {
    .readlink = proc_readlink,
    .getattr = proc_getattr,
    .setattr = proc_setattr,
    .free = proc_free,
};

static const struct inode_ops proc_magic_inode_ops = {
    .readlink = proc_readlink,
    .follow = proc_follow,
    .getattr = proc_getattr,
    .setattr = proc_setattr,
    .free = proc_free,
};

static bool emit_name(struct dir_sink *sink, uint64_t parent, const char *name, uint32_t mode,
                      uint64_t next)
{
    return sink->emit(sink, name, strlen(name), proc_ino(parent, name), (unsigned char)IFTODT(mode),
                      next);
}

static bool emit_dots(struct dir_sink *sink, uint64_t ino, uint64_t *pos)
{
    while (*pos < 2) {
        if (!sink->emit(sink, "..", *pos + 1, ino, DT_DIR, *pos + 1)) {
            return false;
        }
        (*pos)++;
    }
    return true;
}

/* Rows first, then numbers; as in Linux, where a process directory lists its rows and the root its
 * files before the processes. */
static int proc_readdir(struct file *file, struct dir_sink *sink, uint64_t *pos)
{
    struct proc_node *dir = proc_node_of(file->inode);
    const struct proc_entry *rows = dir->entry->children;
    uint64_t ino = file->inode->ino;
    uint64_t count = 0;
    if (dir->process != NULL && !proc_is_alive(dir)) {
        return -ENOENT;
    }
    while (rows != NULL && rows[count].name != NULL) {
        count++;
    }
    if (!emit_dots(sink, ino, pos)) {
        return 0;
    }
    for (; *pos - 2 < count && *pos < FIRST_NUMBER; (*pos)++) {
        const struct proc_entry *row = &rows[*pos - 2];
        if (!emit_name(sink, ino, row->name, row->mode, *pos + 1)) {
            return 0;
        }
    }
    if (dir->entry->each == NULL) {
        return 0;
    }
    *pos = max_of(*pos, (uint64_t)FIRST_NUMBER);
    for (;;) {
        char name[24];
        int64_t number = dir->entry->next(dir, *pos - FIRST_NUMBER);
        if (number < 0) {
            return 0;
        }
        uint64_t next = FIRST_NUMBER + (uint64_t)number + 1;
        snprintf(name, sizeof(name), "%lld", (long long)number);
        if (!emit_name(sink, ino, name, dir->entry->each->mode, next)) {
            return 0;
        }
        *pos = next;
    }
}

const struct file_ops proc_dir_ops = {.readdir = proc_readdir};

static int proc_statfs(struct super *super, struct statfs *ret)
{
    (void)super;
    ret->f_bsize = 4096;
    return 0;
}

static void proc_super_free(struct super *super)
{
    free(super);
}

struct process *proc_file_process(const struct file *file)
{
    if (file->ops != &proc_dir_ops) {
        return NULL;
    }
    struct proc_node *node = proc_node_of(file->inode);
    return node->entry == &proc_pid ? node->process : NULL;
}

static const struct super_ops proc_super_ops = {.statfs = proc_statfs, .free = proc_super_free};

int proc_new(struct super **ret_super)
{
    struct super *super = calloc(1, sizeof(*super));
    if (super == NULL) {
        return -ENOMEM;
    }
    super_init(super, &proc_super_ops, "proc", PROC_SUPER_MAGIC);
    super->no_new_names = true;
    struct proc_node *root = node_new(super, &proc_root, 1);
    if (root == NULL) {
        super_unref(super);
        return -ENOMEM;
    }
    root->inode.uid = root->inode.gid = 0;
    super->root = &root->inode;
    *ret_super = super;
    return 0;
}
