/*
 * sys_super.c: the file system /sys over its tables. Everything is read-only and belongs to root.
 * Names never change, so the name cache may keep them.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "sentry/fs/sys/sys.h"
#include "sentry/fs/sys/sys_internal.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"

struct sys_node {
    struct inode inode;
    const struct sys_entry *entry;
    uint32_t number;
};

static const struct inode_ops sys_inode_ops;

static struct sys_node *node_of(struct inode *inode)
{
    return container_of(inode, struct sys_node, inode);
}

static uint32_t mode_of(const struct sys_entry *entry)
{
    if (entry->target != NULL) {
        return S_IFLNK | 0777;
    }
    return entry->children != NULL ? S_IFDIR | 0755 : S_IFREG | 0444;
}

/* The number of a name is a hash of its path: the same at each look-up. */
static uint64_t ino_of(uint64_t parent, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325ULL ^ parent;
    for (; *name != 0; name++) {
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3ULL;
    }
    return 2 + ((hash ^ hash >> 29) & 0xffffffffffULL);
}

static const struct inode_ops sys_changing_ops;

static bool has_changing(const struct sys_entry *entry)
{
    const struct sys_entry *row = entry->children;
    while (row != NULL && row->name != NULL && row->present == NULL) {
        row++;
    }
    return row != NULL && row->name != NULL;
}

static struct sys_node *node_new(struct super *super, const struct sys_entry *entry, uint64_t ino,
                                 uint32_t number)
{
    struct sys_node *node = calloc(1, sizeof(*node));
    if (node != NULL) {
        inode_init(&node->inode, super, has_changing(entry) ? &sys_changing_ops : &sys_inode_ops,
                   ino, mode_of(entry));
        node->inode.uid = node->inode.gid = 0;
        node->inode.nlink = entry->children != NULL ? 2 : 1;
        /* Linux: attribute files show one page. */
        node->inode.size = S_ISREG(node->inode.mode) ? 4096 : 0;
        node->entry = entry;
        node->number = number;
    }
    return node;
}

/* name is the row's prefix and a number below its count, in plain decimal. */
static bool match_number(const struct sys_entry *row, const char *name, uint32_t *ret)
{
    size_t length = strlen(row->name);
    char canonical[64];
    if (strncmp(name, row->name, length) != 0 || name[length] < '0' || name[length] > '9') {
        return false;
    }
    unsigned long number = strtoul(name + length, NULL, 10);
    snprintf(canonical, sizeof(canonical), "%s%lu", row->name, number);
    if (strcmp(canonical, name) != 0 || number >= row->count()) {
        return false;
    }
    *ret = (uint32_t)number;
    return true;
}

static int sys_lookup(struct inode *dir, const char *name, struct inode **ret_child)
{
    struct sys_node *parent = node_of(dir);
    uint32_t number = parent->number;
    const struct sys_entry *row = parent->entry->children;
    if (row == NULL) {
        return -ENOTDIR;
    }
    for (; row->name != NULL; row++) {
        if (row->count != NULL ? match_number(row, name, &number) : strcmp(row->name, name) == 0) {
            break;
        }
    }
    if (row->name == NULL || (row->present != NULL && !row->present(number))) {
        return -ENOENT;
    }
    if (row->count != NULL) {
        number |= parent->number << 8; /* cpuN/cache/indexM */
    }
    struct sys_node *child = node_new(dir->super, row, ino_of(dir->ino, name), number);
    if (child == NULL) {
        return -ENOMEM;
    }
    *ret_child = &child->inode;
    return 0;
}

static int sys_readlink(struct inode *inode, struct text *target)
{
    if (node_of(inode)->entry->target == NULL) {
        return -EINVAL;
    }
    text_puts(target, node_of(inode)->entry->target);
    return 0;
}

static int sys_setattr(struct inode *inode, const struct inode_attr *attr, unsigned set)
{
    (void)inode;
    (void)attr;
    return (set & ~(unsigned)(INODE_SET_SIZE | INODE_SET_MTIME | INODE_SET_CTIME)) != 0 ? -EPERM
                                                                                        : 0;
}

static ssize_t sys_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    struct sys_node *node = node_of(file->inode);
    auto_text struct text out = TEXT_INIT;
    (void)flags;
    node->entry->show(node->number, &out);
    if (out.failed) {
        return -ENOMEM;
    }
    if (offset >= out.length) {
        return 0;
    }
    return uio_put(uio, out.data + offset, min_of(out.length - offset, uio->left));
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

static int sys_readdir(struct file *file, struct dir_sink *sink, uint64_t *pos)
{
    uint64_t ino = file->inode->ino;
    uint64_t at = 2;
    if (!emit_dots(sink, ino, pos)) {
        return 0;
    }
    for (const struct sys_entry *row = node_of(file->inode)->entry->children; row->name != NULL;
         row++) {
        uint32_t count = row->count != NULL ? row->count() : 1;
        bool present = row->present == NULL || row->present(node_of(file->inode)->number);
        for (uint32_t i = 0; i < count; i++, at++) {
            char name[64];
            if (at < *pos || !present) {
                continue;
            }
            snprintf(name, sizeof(name), row->count != NULL ? "%s%u" : "%s", row->name, i);
            if (!sink->emit(sink, name, strlen(name), ino_of(ino, name),
                            (unsigned char)IFTODT(mode_of(row)), at + 1)) {
                return 0;
            }
            *pos = at + 1;
        }
    }
    return 0;
}

static const struct file_ops sys_file_ops = {.read = sys_read};
static const struct file_ops sys_dir_ops = {.readdir = sys_readdir};

static int sys_open(struct inode *inode, struct file *file)
{
    file->ops = S_ISDIR(inode->mode) ? &sys_dir_ops : &sys_file_ops;
    return S_ISLNK(inode->mode) ? -ELOOP : 0;
}

static void sys_free(struct inode *inode)
{
    inode_fini(inode);
    free(node_of(inode));
}

/* Rows that come and go. */
static bool sys_revalidate(struct inode *dir, const char *name, struct inode *child)
{
    const struct sys_node *node = node_of(dir);
    for (const struct sys_entry *row = node->entry->children; row->name != NULL; row++) {
        if (row->present != NULL && strcmp(row->name, name) == 0) {
            return row->present(node->number) == (child != NULL);
        }
    }
    return true;
}

static const struct inode_ops sys_changing_ops = {
    .lookup = sys_lookup,
    .setattr = sys_setattr,
    .open = sys_open,
    .revalidate = sys_revalidate,
    .free = sys_free,
};

static const struct inode_ops sys_inode_ops = {
    .lookup = sys_lookup,
    .readlink = sys_readlink,
    .setattr = sys_setattr,
    .open = sys_open,
    .free = sys_free,
};

static int sys_statfs(struct super *super, struct statfs *ret)
{
    (void)super;
    ret->f_bsize = 4096;
    return 0;
}

static void sys_super_free(struct super *super)
{
    free(super);
}

static const struct super_ops sys_super_ops = {.statfs = sys_statfs, .free = sys_super_free};

int sys_new(struct super **ret_super)
{
    struct super *super = calloc(1, sizeof(*super));
    if (super == NULL) {
        return -ENOMEM;
    }
    super_init(super, &sys_super_ops, "sysfs", SYSFS_MAGIC);
    struct sys_node *root = node_new(super, &sys_root, 1, 0);
    if (root == NULL) {
        super_unref(super);
        return -ENOMEM;
    }
    super->root = &root->inode;
    *ret_super = super;
    return 0;
}
