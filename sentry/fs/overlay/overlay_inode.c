/*
 * overlay_inode.c: names and attributes. The VFS holds the locks of the directories and objects
 * concerned.
 *
 * Each change first makes everything that can fail (attributes of our own, pinned directories,
 * memory), then changes the tree, then link counts and times.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "platform/base/text.h"
#include "sentry/fs/overlay/internal.h"

static bool is_dead(const struct overlay_inode *dir)
{
    return (inode_load(dir->inode.flags) & INODE_DEAD) != 0;
}

static void add_links(struct overlay_inode *node, int delta)
{
    inode_set_nlink_locked(&node->inode, node->inode.nlink + (uint32_t)delta);
}

/* A removed name of node: one link fewer, or none for a directory. */
static void lose_link(struct overlay_inode *node)
{
    if (overlay_is_dir(node)) {
        inode_set_nlink_locked(&node->inode, 0);
        inode_store(node->inode.flags, node->inode.flags | INODE_DEAD);
    } else if (node->inode.nlink > 0) {
        add_links(node, -1);
    }
    inode_touch_locked(&node->inode, INODE_SET_CTIME);
}

static void touch_dir(struct overlay_inode *dir)
{
    inode_touch_locked(&dir->inode, INODE_SET_MTIME | INODE_SET_CTIME);
}

static int overlay_lookup(struct inode *inode, const char *name, struct inode **ret_child)
{
    struct overlay_inode *dir = overlay_of(inode);
    struct overlay_inode *child = NULL;
    switch (overlay_tree_find(dir, name, &child)) {
    case OVERLAY_WHITEOUT:
        return -ENOENT;
    case OVERLAY_CHILD:
        *ret_child = &child->inode;
        return 0;
    case OVERLAY_NO_ENTRY:
        break;
    }
    if (dir->lower == NULL || is_dead(dir)) {
        return -ENOENT;
    }
    struct inode *lower;
    int result = layer_lookup(dir->lower, name, &lower);
    if (result < 0) {
        return result;
    }
    result = overlay_from_lower(overlay_super_of(dir), dir, name, lower, &child);
    if (result == 0) {
        *ret_child = &child->inode;
    }
    return result;
}

static bool overlay_revalidate(struct inode *inode, const char *name, struct inode *child)
{
    struct overlay_inode *dir = overlay_of(inode);
    struct overlay_inode *found = NULL;
    if (dir->lower == NULL) {
        return true;
    }
    switch (overlay_tree_find(dir, name, &found)) {
    case OVERLAY_WHITEOUT:
        return child == NULL;
    case OVERLAY_CHILD:
        inode_unref(&found->inode); /* not the last: the entry has one */
        return child == &found->inode;
    case OVERLAY_NO_ENTRY:
        break;
    }
    if (child == NULL) {
        return inode_revalidate(dir->lower, name, NULL);
    }
    struct inode *lower = overlay_of(child)->lower;
    return lower != NULL && inode_revalidate(dir->lower, name, lower);
}

/* Puts a new object into dir; drops it on failure. */
static int add_new(struct overlay_inode *dir, const char *name, struct overlay_inode *child,
                   struct inode **ret_child)
{
    int result = is_dead(dir) ? -ENOENT : overlay_own(dir);
    if (result == 0) {
        inode_init_owner(&child->inode, &dir->inode);
        result = overlay_tree_set(dir, name, child, false);
    }
    if (result < 0) {
        inode_unref(&child->inode);
        return result;
    }
    if (overlay_is_dir(child)) {
        add_links(dir, 1);
    }
    touch_dir(dir);
    *ret_child = &child->inode;
    return 0;
}

static int new_object(struct overlay_super *super, uint32_t mode, uint64_t rdev,
                      struct overlay_inode **ret)
{
    struct overlay_inode *child;
    int result = overlay_inode_new(super, mode, rdev, &child);
    if (result < 0) {
        return result;
    }
    if (S_ISREG(mode)) {
        struct inode *data;
        result = overlay_new_data(super, &data);
        if (result < 0) {
            inode_unref(&child->inode);
            return result;
        }
        atomic_store(&child->data, data);
    } else if (S_ISDIR(mode)) {
        child->inode.nlink = 2;
    }
    *ret = child;
    return 0;
}

static int overlay_create(struct inode *dir, const char *name, uint32_t mode, uint64_t rdev,
                          struct inode **ret_child)
{
    struct overlay_inode *child;
    int result = new_object(overlay_super_of(overlay_of(dir)), mode, rdev, &child);
    return result < 0 ? result : add_new(overlay_of(dir), name, child, ret_child);
}

static int overlay_symlink(struct inode *dir, const char *name, const char *target,
                           struct inode **ret_child)
{
    struct overlay_inode *child;
    int result = new_object(overlay_super_of(overlay_of(dir)), S_IFLNK | 0777, 0, &child);
    if (result < 0) {
        return result;
    }
    child->target = strdup(target);
    if (child->target == NULL) {
        inode_unref(&child->inode);
        return -ENOMEM;
    }
    child->inode.size = strlen(target);
    return add_new(overlay_of(dir), name, child, ret_child);
}

static int overlay_tmpfile(struct inode *dir, uint32_t mode, struct inode **ret_child)
{
    struct overlay_inode *child;
    int result = new_object(overlay_super_of(overlay_of(dir)), S_IFREG | (mode & 07777), 0, &child);
    if (result < 0) {
        return result;
    }
    inode_init_owner(&child->inode, dir);
    child->inode.nlink = 0;
    *ret_child = &child->inode;
    return 0;
}

static int overlay_link(struct inode *inode, const char *name, struct inode *target_inode)
{
    struct overlay_inode *dir = overlay_of(inode);
    struct overlay_inode *target = overlay_of(target_inode);
    if (is_dead(dir)) {
        return -ENOENT;
    }
    int result = overlay_own(dir);
    if (result == 0) {
        result = overlay_own(target);
    }
    if (result == 0) {
        result = overlay_tree_set(dir, name, target, false);
    }
    if (result < 0) {
        return result;
    }
    add_links(target, 1);
    inode_touch_locked(target_inode, INODE_SET_CTIME);
    touch_dir(dir);
    return 0;
}

static int remove_name(struct overlay_inode *dir, const char *name, struct overlay_inode *child)
{
    int result = overlay_own(dir);
    if (result == 0) {
        result = overlay_load_attr(child);
    }
    if (result == 0) {
        result = overlay_tree_remove(dir, name, child);
    }
    if (result < 0) {
        return result;
    }
    if (overlay_is_dir(child) && dir->inode.nlink > 2) {
        add_links(dir, -1);
    }
    lose_link(child);
    touch_dir(dir);
    return 0;
}

static int overlay_unlink(struct inode *dir, const char *name, struct inode *child)
{
    return remove_name(overlay_of(dir), name, overlay_of(child));
}

static int overlay_rmdir(struct inode *dir, const char *name, struct inode *child)
{
    int result = overlay_check_empty(overlay_of(child));
    return result < 0 ? result : remove_name(overlay_of(dir), name, overlay_of(child));
}

/* A directory moved from one parent to another takes its ".." along. */
static void move_links(struct overlay_inode *from, struct overlay_inode *to)
{
    if (from != to) {
        add_links(to, 1);
        if (from->inode.nlink > 2) {
            add_links(from, -1);
        }
    }
}

static int overlay_rename(struct inode *old_inode, const char *old_name, struct inode *child_inode,
                          struct inode *new_inode, const char *new_name, struct inode *target_inode,
                          unsigned flags)
{
    struct overlay_inode *old_dir = overlay_of(old_inode);
    struct overlay_inode *new_dir = overlay_of(new_inode);
    struct overlay_inode *child = overlay_of(child_inode);
    struct overlay_inode *target = target_inode != NULL ? overlay_of(target_inode) : NULL;
    bool exchange = (flags & RENAME_EXCHANGE) != 0;
    /* Linux: overlayfs takes no RENAME_WHITEOUT. */
    if ((flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0 ||
        (exchange && target == NULL)) {
        return exchange && target == NULL ? -ENOENT : -EINVAL;
    }
    if ((flags & RENAME_NOREPLACE) != 0 && target != NULL) {
        return -EEXIST;
    }
    if (child == target) {
        return 0; /* two names of one file: Linux does nothing */
    }
    if (is_dead(new_dir)) {
        return -ENOENT;
    }
    int result = 0;
    if (target != NULL && !exchange && overlay_is_dir(target)) {
        result = overlay_check_empty(target);
    }
    if (result == 0) {
        result = overlay_own(old_dir);
    }
    if (result == 0) {
        result = overlay_own(new_dir);
    }
    if (result == 0) {
        result = overlay_load_attr(child);
    }
    if (result == 0 && target != NULL) {
        result = overlay_load_attr(target);
    }
    if (result == 0) {
        result = overlay_tree_rename(old_dir, old_name, child, new_dir, new_name, target, exchange);
    }
    if (result < 0) {
        return result;
    }
    if (overlay_is_dir(child)) {
        move_links(old_dir, new_dir);
    }
    if (target != NULL && exchange) {
        if (overlay_is_dir(target)) {
            move_links(new_dir, old_dir);
        }
        inode_touch_locked(target_inode, INODE_SET_CTIME);
    } else if (target != NULL) {
        if (overlay_is_dir(target) && new_dir->inode.nlink > 2) {
            add_links(new_dir, -1);
        }
        lose_link(target);
    }
    inode_touch_locked(child_inode, INODE_SET_CTIME);
    touch_dir(old_dir);
    touch_dir(new_dir);
    return 0;
}

static int overlay_readlink(struct inode *inode, struct text *target)
{
    struct overlay_inode *node = overlay_of(inode);
    if (node->target != NULL) {
        text_puts(target, node->target);
        return target->failed ? -ENOMEM : 0;
    }
    return node->lower != NULL ? inode_readlink(node->lower, target) : -EINVAL;
}

static int overlay_getattr(struct inode *inode, struct inode_attr *ret_attr)
{
    struct overlay_inode *node = overlay_of(inode);
    if (atomic_load(&node->owned)) {
        inode_attr_cached(inode, ret_attr);
        struct inode *data = atomic_load(&node->data);
        if (data != NULL) { /* shared mappings allocate blocks behind our back */
            ret_attr->blocks = inode_load(data->blocks);
        }
        return 0;
    }
    int result = inode_getattr(node->lower, ret_attr);
    if (result < 0) {
        return result;
    }
    ret_attr->dev = inode->super->dev;
    ret_attr->ino = inode->ino;
    ret_attr->mode = (ret_attr->mode & ~(uint32_t)S_IFMT) | (inode->mode & S_IFMT);
    if (!inode->super->cache_forever) { /* permission checks read these */
        mutex_lock_nested(&inode->lock);
        if (!atomic_load(&node->owned)) {
            inode_store(inode->mode, ret_attr->mode);
            inode_store(inode->uid, ret_attr->uid);
            inode_store(inode->gid, ret_attr->gid);
            inode_store(inode->size, ret_attr->size);
        }
        mutex_unlock(&inode->lock);
    }
    return 0;
}

static int overlay_setattr(struct inode *inode, const struct inode_attr *attr, unsigned set)
{
    struct overlay_inode *node = overlay_of(inode);
    int result = overlay_own(node);
    if (result < 0) {
        return result;
    }
    if ((set & INODE_SET_SIZE) != 0) {
        if (!S_ISREG(inode_load(inode->mode))) {
            return overlay_is_dir(node) ? -EISDIR : -EINVAL;
        }
        result = overlay_copy_data(node, attr->size);
        struct inode *data = atomic_load(&node->data);
        if (result == 0 && inode_load(data->size) != attr->size) {
            result = layer_set_size(data, attr->size);
        }
        if (data != NULL) {
            overlay_update_size(node);
        }
        if (result < 0) {
            return result;
        }
    }
    inode_apply_locked(inode, attr, set);
    return 0;
}

/* What the lower file system refuses beyond mode bits (policy) holds until there is a copy. */
static int overlay_permission(struct inode *inode, int mask)
{
    struct overlay_inode *node = overlay_of(inode);
    struct inode *lower = node->lower;
    if (lower == NULL || lower->ops->permission == NULL || atomic_load(&node->data) != NULL ||
        (mask & ~2) == 0) {
        return 0;
    }
    return lower->ops->permission(lower, mask & ~2);
}

const struct inode_ops overlay_inode_ops = {
    .readlink = overlay_readlink,
    .getattr = overlay_getattr,
    .setattr = overlay_setattr,
    .open = overlay_open,
    .getxattr = overlay_getxattr,
    .setxattr = overlay_setxattr,
    .listxattr = overlay_listxattr,
    .removexattr = overlay_removexattr,
    .permission = overlay_permission,
    .free = overlay_inode_free,
};

const struct inode_ops overlay_dir_inode_ops = {
    .lookup = overlay_lookup,
    .create = overlay_create,
    .symlink = overlay_symlink,
    .link = overlay_link,
    .unlink = overlay_unlink,
    .rmdir = overlay_rmdir,
    .rename = overlay_rename,
    .tmpfile = overlay_tmpfile,
    .getattr = overlay_getattr,
    .setattr = overlay_setattr,
    .open = overlay_open,
    .getxattr = overlay_getxattr,
    .setxattr = overlay_setxattr,
    .listxattr = overlay_listxattr,
    .removexattr = overlay_removexattr,
    .permission = overlay_permission,
    .revalidate = overlay_revalidate,
    .free = overlay_inode_free,
};
