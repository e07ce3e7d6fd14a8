/*
 * gofer_super.c: an instance, and the operations that only read: lookup, attributes, links.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "platform/base/text.h"
#include "sentry/core/clock.h"
#include "sentry/fs/gofer/internal.h"

#define DEFAULT_IDLE_FDS 128

/*
 * After how many names asked one by one a directory is read as a whole: a listing costs about as
 * much as this many look-ups. A directory's own size tells roughly how many names it has.
 */
static uint32_t walks_worth_a_listing(const struct gofer_node *dir)
{
    return 3 + (uint32_t)min_of(inode_load(dir->inode.size) / 4096, (uint64_t)60);
}

static int lookup_by_walk(struct gofer_node *dir, const char *name, struct gofer_node **ret)
{
    struct gofer_super *super = gofer_super_of(dir);
    struct gofer_object object;
    uint64_t fid;
    int result = gofer_node_fid(dir, &fid);
    if (result == 0) {
        result = gofer_walk(super->client, fid, name, &object);
    }
    if (result < 0) {
        return result;
    }
    return gofer_node_get(super, dir, name, &object.attr, object.fid, ret);
}

/* The listing when there is one or it is time for one; NULL: ask for the name. */
static struct gofer_names *listing_for_lookup(struct gofer_node *dir)
{
    struct gofer_names *names = gofer_names_cached(dir);
    if (names != NULL || dir->unlistable || dir->walks++ < walks_worth_a_listing(dir)) {
        return names;
    }
    int result = gofer_names_fetch(dir, GOFER_NAMES_MAX, &names);
    if (result < 0) {
        dir->unlistable = true; /* too large, or not readable: names can still be asked */
        return NULL;
    }
    gofer_names_keep(dir, names);
    dir->walks = 0;
    return names;
}

static int gofer_fs_lookup(struct inode *inode, const char *name, struct inode **ret_child)
{
    struct gofer_node *dir = gofer_node_of(inode);
    struct gofer_super *super = gofer_super_of(dir);
    struct gofer_node *child = NULL;
    struct gofer_names *names = super->exclusive ? listing_for_lookup(dir) : NULL;
    int result;
    if (names != NULL) {
        const struct gofer_name *entry = gofer_names_find(names, name);
        result =
            entry == NULL ? -ENOENT : gofer_node_get(super, dir, name, &entry->attr, 0, &child);
        gofer_names_unref(names);
    } else {
        result = lookup_by_walk(dir, name, &child);
    }
    if (result == 0) {
        *ret_child = &child->inode;
    }
    return result;
}

static bool gofer_fs_revalidate(struct inode *inode, const char *name, struct inode *child)
{
    struct gofer_node *dir = gofer_node_of(inode);
    struct gofer_super *super = gofer_super_of(dir);
    struct gofer_object object;
    uint64_t fid;
    if (super->exclusive) {
        return true;
    }
    if (child == NULL) {
        return false;
    }
    struct gofer_node *node = gofer_node_of(child);
    bool one_name = S_ISDIR(child->mode) || inode_load(child->nlink) == 1;
    if (one_name && clock_monotonic_ns() < atomic_load(&node->valid_until)) {
        return true;
    }
    if (gofer_node_fid(dir, &fid) < 0 || gofer_walk(super->client, fid, name, &object) < 0) {
        return false;
    }
    bool same = gofer_key_equal(node, &object.attr);
    if (same) {
        gofer_node_update(node, &object.attr);
    }
    gofer_release(super->client, object.fid);
    return same;
}

static int gofer_fs_getattr(struct inode *inode, struct inode_attr *ret_attr)
{
    struct gofer_node *node = gofer_node_of(inode);
    int result = gofer_node_refresh(node);
    if (result == -ESTALE) {
        result = 0; /* removed on the host: what was known last, as for an open file */
    }
    if (result < 0) {
        return result;
    }
    inode_attr_cached(inode, ret_attr);
    if (node->blksize != 0) {
        ret_attr->blksize = node->blksize;
    }
    return 0;
}

/*
 * A refusal that is known here is still asked of the gofer, which writes the audit line with the
 * rule: opening a file, or a change of nothing. Returns error, whatever the gofer says.
 */
static int refuse(struct gofer_node *node, bool write, int error)
{
    struct gofer_client *client = gofer_super_of(node)->client;
    uint64_t fid;
    if (gofer_node_fid(node, &fid) != 0) {
        return error;
    }
    if (S_ISREG(inode_load(node->inode.mode))) {
        int fd = -1;
        uint32_t open_result;
        ignore_result(gofer_open(client, fid, write ? O_WRONLY : O_RDONLY, &fd, &open_result));
        if (fd >= 0) {
            close(fd);
        }
    } else {
        struct gofer_change nothing = {.set = 0};
        struct gofer_attr attr;
        ignore_result(gofer_setattr(client, fid, &nothing, &attr));
    }
    return error;
}

/* What policy and mount mode refuse; the gofer would refuse it again. */
static int gofer_fs_permission(struct inode *inode, int mask)
{
    struct gofer_node *node = gofer_node_of(inode);
    switch (node->key.access) {
    case GOFER_ACCESS_HIDE:
    case GOFER_ACCESS_DENY:
        return refuse(node, (mask & 2) != 0, -EACCES);
    case GOFER_ACCESS_READ:
    case GOFER_ACCESS_COW:
        /* Linux: sb_permission: devices, fifos and sockets can be written on a read-only mount. */
        if ((mask & 2) != 0 &&
            (S_ISREG(inode_load(inode->mode)) || S_ISDIR(inode_load(inode->mode)) ||
             S_ISLNK(inode_load(inode->mode)))) {
            return refuse(node, true, -EROFS);
        }
        return 0;
    default:
        return 0;
    }
}

static int gofer_fs_readlink(struct inode *inode, struct text *target)
{
    struct gofer_node *node = gofer_node_of(inode);
    uint64_t fid;
    mutex_lock_nested(&inode->lock);
    int result = S_ISLNK(inode_load(inode->mode)) ? 0 : -EINVAL;
    if (result == 0 && node->target == NULL) {
        char buffer[GOFER_TARGET_MAX + 1];
        result = gofer_node_fid(node, &fid);
        if (result == 0) {
            result = gofer_readlink(gofer_super_of(node)->client, fid, buffer, sizeof(buffer));
        }
        if (result == 0) {
            node->target = strdup(buffer);
            result = node->target != NULL ? 0 : -ENOMEM;
        }
    }
    if (result == 0) {
        text_puts(target, node->target);
        result = target->failed ? -ENOMEM : 0;
    }
    mutex_unlock(&inode->lock);
    return result;
}

const struct inode_ops gofer_fs_inode_ops = {
    .readlink = gofer_fs_readlink,
    .getattr = gofer_fs_getattr,
    .setattr = gofer_fs_setattr,
    .open = gofer_fs_open,
    .getxattr = gofer_fs_getxattr,
    .setxattr = gofer_fs_setxattr,
    .listxattr = gofer_fs_listxattr,
    .removexattr = gofer_fs_removexattr,
    .permission = gofer_fs_permission,
    .free = gofer_node_free,
};

const struct inode_ops gofer_fs_dir_ops = {
    .lookup = gofer_fs_lookup,
    .create = gofer_fs_create,
    .symlink = gofer_fs_symlink,
    .link = gofer_fs_link,
    .unlink = gofer_fs_unlink,
    .rmdir = gofer_fs_rmdir,
    .rename = gofer_fs_rename,
    .getattr = gofer_fs_getattr,
    .setattr = gofer_fs_setattr,
    .open = gofer_fs_open,
    .getxattr = gofer_fs_getxattr,
    .setxattr = gofer_fs_setxattr,
    .listxattr = gofer_fs_listxattr,
    .removexattr = gofer_fs_removexattr,
    .permission = gofer_fs_permission,
    .revalidate = gofer_fs_revalidate,
    .free = gofer_node_free,
};

static struct gofer_super *super_of(struct super *super)
{
    return container_of(super, struct gofer_super, super);
}

static int gofer_fs_statfs(struct super *super, struct statfs *ret)
{
    struct gofer_statfs_reply reply;
    uint64_t fid;
    int result = super->root != NULL ? gofer_node_fid(gofer_node_of(super->root), &fid) : -EIO;
    if (result == 0) {
        result = gofer_statfs(super_of(super)->client, fid, &reply);
    }
    if (result < 0) {
        return result;
    }
    ret->f_bsize = (long)reply.bsize;
    ret->f_blocks = reply.blocks;
    ret->f_bfree = reply.bfree;
    ret->f_bavail = reply.bavail;
    ret->f_files = reply.files;
    ret->f_ffree = reply.ffree;
    ret->f_namelen = (long)reply.namelen;
    ret->f_frsize = (long)reply.frsize;
    return 0;
}

static void gofer_fs_super_free(struct super *base)
{
    struct gofer_super *super = super_of(base);
    mutex_fini(&super->walk_lock);
    mutex_fini(&super->table_lock);
    free(super);
}

static void gofer_fs_write_refused(struct inode *inode)
{
    ignore_result(refuse(gofer_node_of(inode), true, -EROFS));
}

static const struct super_ops gofer_fs_super_ops = {
    .statfs = gofer_fs_statfs,
    .free = gofer_fs_super_free,
    .write_refused = gofer_fs_write_refused,
};

static void init_options(struct gofer_super *super, const struct gofer_fs_options *options)
{
    if (options != NULL) {
        super->options = *options;
    }
    if (super->options.max_idle_fds == 0) {
        super->options.max_idle_fds = DEFAULT_IDLE_FDS;
    }
}

int gofer_fs_new(struct gofer_client *client, uint32_t mount_index,
                 const struct gofer_fs_options *options, struct super **ret_super,
                 bool *ret_read_only)
{
    struct gofer_super *super = calloc(1, sizeof(*super));
    auto_free struct gofer_mount *mount = calloc(1, sizeof(*mount));
    int result =
        super != NULL && mount != NULL ? gofer_attach(client, mount_index, mount) : -ENOMEM;
    if (result < 0) {
        free(super);
        return result;
    }
    struct gofer_node *root;
    /* The type that gofer file systems of other sandboxes show too: v9fs. */
    super_init(&super->super, &gofer_fs_super_ops, "9p", 0x01021997);
    super->client = client;
    init_options(super, options);
    super->exclusive = (mount->flags & GOFER_MOUNT_EXCLUSIVE) != 0;
    super->super.cache_forever = super->exclusive;
    super->root_dev_id = mount->attr.dev_id;
    mutex_init(&super->walk_lock, RANK_OBJECT);
    mutex_init(&super->table_lock, RANK_ACCOUNT);
    TAILQ_INIT(&super->listed);
    TAILQ_INIT(&super->idle);
    result = gofer_node_get(super, NULL, NULL, &mount->attr, mount->fid, &root);
    if (result < 0) {
        super_unref(&super->super);
        return result;
    }
    super->super.root = &root->inode;
    *ret_super = &super->super;
    if (ret_read_only != NULL) {
        *ret_read_only = mount->mode == GOFER_ACCESS_READ || mount->mode == GOFER_ACCESS_COW;
    }
    return 0;
}
