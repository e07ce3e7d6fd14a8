/*
 * tmpfs.c: the file system object, its limits, and the life of its inodes.
 *
 * A directory entry holds its inode; freeing a tree is a loop, not a recursion, because a guest may
 * nest directories as deep as its inode limit.
 */
#include "sentry/fs/tmpfs/tmpfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>

#include "platform/base/text.h"
#include "sentry/fs/tmpfs/tmpfs_inode.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/file.h"

#define TMPFS_MAGIC_NUMBER 0x01021994

struct tmpfs_account tmpfs_account;

/* Adds delta to a counter unless it would pass most (0: no limit). */
static bool counter_add(atomic_ullong *counter, uint64_t delta, uint64_t most)
{
    unsigned long long old = atomic_load(counter);
    do {
        if (most != 0 && (delta > most || old > most - delta)) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(counter, &old, old + delta));
    return true;
}

int tmpfs_charge(struct super *super, int64_t pages)
{
    struct tmpfs_super *ts = tmpfs_super(super);
    if (pages <= 0) {
        tmpfs_uncharge(super, (uint64_t)-pages);
        return 0;
    }
    if (!counter_add(&ts->pages, (uint64_t)pages, ts->max_pages)) {
        return -ENOSPC;
    }
    if (tmpfs_account.charge) {
        int error = tmpfs_account.charge(pages * (int64_t)TMPFS_PAGE);
        if (error != 0) {
            atomic_fetch_sub(&ts->pages, (uint64_t)pages);
            return error;
        }
    }
    return 0;
}

void tmpfs_uncharge(struct super *super, uint64_t pages)
{
    if (pages != 0) {
        atomic_fetch_sub(&tmpfs_super(super)->pages, pages);
        if (tmpfs_account.charge) {
            ignore_result(tmpfs_account.charge(-(int64_t)(pages * TMPFS_PAGE)));
        }
    }
}

uint64_t tmpfs_pages_left(struct super *super)
{
    struct tmpfs_super *ts = tmpfs_super(super);
    uint64_t used = atomic_load(&ts->pages);
    return ts->max_pages == 0 ? UINT64_MAX >> 12 : used < ts->max_pages ? ts->max_pages - used : 0;
}

int tmpfs_inode_new(struct super *super, const struct inode *dir, uint32_t mode, uint64_t rdev,
                    struct tmpfs_inode **ret)
{
    struct tmpfs_super *ts = tmpfs_super(super);
    if (!counter_add(&ts->inodes, 1, ts->max_inodes)) {
        return -ENOSPC;
    }
    struct tmpfs_inode *ti = calloc(1, sizeof(*ti));
    if (!ti) {
        atomic_fetch_sub(&ts->inodes, 1);
        return -ENOMEM;
    }
    const struct inode_ops *ops = S_ISREG(mode)   ? &tmpfs_regular_ops
                                  : S_ISDIR(mode) ? &tmpfs_directory_ops
                                  : S_ISLNK(mode) ? &tmpfs_symlink_ops
                                                  : &tmpfs_special_ops;
    inode_init(&ti->inode, super, ops, super_next_ino(super), mode);
    ti->inode.rdev = S_ISCHR(mode) || S_ISBLK(mode) ? rdev : 0;
    if (dir) {
        inode_init_owner(&ti->inode, dir);
    }
    TAILQ_INIT(&ti->xattrs);
    atomic_init(&ti->seals, 1 /* F_SEAL_SEAL */);
    if (S_ISREG(mode)) {
        ti->inode.file_ops = &tmpfs_regular_file_ops;
        tmpfs_content_init(&ti->content);
    } else if (S_ISDIR(mode)) {
        ti->inode.file_ops = &tmpfs_directory_file_ops;
        ti->inode.nlink = 2;
        ti->inode.size = 2 * TMPFS_DIRENT;
        tmpfs_directory_init(&ti->dir);
    }
    *ret = ti;
    return 0;
}

static void destroy(struct tmpfs_inode *ti)
{
    struct tmpfs_super *ts = tmpfs_super(ti->inode.super);
    if (S_ISREG(ti->inode.mode)) {
        tmpfs_content_fini(ti);
    } else if (S_ISDIR(ti->inode.mode)) {
        tmpfs_directory_fini(&ti->dir);
    } else if (S_ISLNK(ti->inode.mode)) {
        free(ti->target);
    }
    tmpfs_xattrs_free(ti);
    atomic_fetch_sub(&ts->inodes, 1);
    inode_fini(&ti->inode);
    free(ti);
}

void tmpfs_inode_free(struct inode *inode)
{
    static _Thread_local struct tmpfs_inode *doomed;
    static _Thread_local bool freeing;
    struct tmpfs_inode *ti = tmpfs_inode(inode);
    ti->doomed_next = doomed;
    doomed = ti;
    if (freeing) {
        return;
    }
    freeing = true;
    while (doomed) {
        ti = doomed;
        doomed = ti->doomed_next;
        destroy(ti);
    }
    freeing = false;
}

int tmpfs_setattr(struct inode *inode, const struct inode_attr *attr, unsigned set)
{
    if ((set & INODE_SET_SIZE) != 0) {
        if (!S_ISREG(inode->mode)) {
            return -EINVAL;
        }
        int error = tmpfs_check_resize(tmpfs_inode(inode), attr->size);
        if (error == 0) {
            error = tmpfs_content_resize(tmpfs_inode(inode), attr->size);
        }
        if (error != 0) {
            return error;
        }
    }
    if ((set & INODE_SET_MODE) != 0 && S_ISREG(inode->mode) &&
        (atomic_load(&tmpfs_inode(inode)->seals) & 0x20 /* F_SEAL_EXEC */) != 0 &&
        ((inode->mode ^ attr->mode) & 0111) != 0) {
        return -EPERM;
    }
    inode_apply_locked(inode, attr, set);
    return 0;
}

static int symlink_readlink(struct inode *inode, struct text *target)
{
    text_puts(target, tmpfs_inode(inode)->target);
    return target->failed ? -ENOMEM : 0;
}

const struct inode_ops tmpfs_symlink_ops = {
    .readlink = symlink_readlink,
    .setattr = tmpfs_setattr,
    .getxattr = tmpfs_getxattr,
    .setxattr = tmpfs_setxattr,
    .listxattr = tmpfs_listxattr,
    .removexattr = tmpfs_removexattr,
    .free = tmpfs_inode_free,
};

const struct inode_ops tmpfs_special_ops = {
    .setattr = tmpfs_setattr,
    .getxattr = tmpfs_getxattr,
    .setxattr = tmpfs_setxattr,
    .listxattr = tmpfs_listxattr,
    .removexattr = tmpfs_removexattr,
    .free = tmpfs_inode_free,
};

static int regular_getattr(struct inode *inode, struct inode_attr *ret_attr)
{
    mutex_lock_nested(&inode->lock);
    tmpfs_content_recount(tmpfs_inode(inode));
    mutex_unlock(&inode->lock);
    inode_attr_cached(inode, ret_attr);
    return 0;
}

const struct inode_ops tmpfs_regular_ops = {
    .getattr = regular_getattr,
    .setattr = tmpfs_setattr,
    .getxattr = tmpfs_getxattr,
    .setxattr = tmpfs_setxattr,
    .listxattr = tmpfs_listxattr,
    .removexattr = tmpfs_removexattr,
    .free = tmpfs_inode_free,
};

static int tmpfs_statfs(struct super *super, struct statfs *ret)
{
    struct tmpfs_super *ts = tmpfs_super(super);
    uint64_t pages = atomic_load(&ts->pages), inodes = atomic_load(&ts->inodes);
    ret->f_bsize = (long)TMPFS_PAGE;
    if (ts->max_pages != 0) {
        ret->f_blocks = ts->max_pages;
        ret->f_bfree = ret->f_bavail = pages < ts->max_pages ? ts->max_pages - pages : 0;
    }
    if (ts->max_inodes != 0) {
        ret->f_files = ts->max_inodes;
        ret->f_ffree = inodes < ts->max_inodes ? ts->max_inodes - inodes : 0;
    }
    return 0;
}

static void tmpfs_show_options(struct super *super, struct text *text)
{
    struct tmpfs_super *ts = tmpfs_super(super);
    if (ts->max_pages != 0) {
        text_printf(text, ",size=%lluk", (unsigned long long)ts->max_pages * 4);
    }
    if (ts->max_inodes != 0) {
        text_printf(text, ",nr_inodes=%llu", (unsigned long long)ts->max_inodes);
    }
}

static void tmpfs_super_free(struct super *super)
{
    free(tmpfs_super(super));
}

static const struct super_ops tmpfs_super_ops = {
    .statfs = tmpfs_statfs,
    .show_options = tmpfs_show_options,
    .free = tmpfs_super_free,
};

static int fill(struct tmpfs_inode *ti, const char *text)
{
    struct uio uio;
    size_t length = strlen(text);
    uio_init_kernel(&uio, (void *)(uintptr_t)text, length);
    mutex_lock(&ti->inode.lock);
    ssize_t count = tmpfs_content_write(ti, &uio, 0);
    mutex_unlock(&ti->inode.lock);
    return count < 0 ? (int)count : (size_t)count == length ? 0 : -ENOSPC;
}

int tmpfs_new(const struct tmpfs_options *options, struct super **ret)
{
    struct tmpfs_super *ts = calloc(1, sizeof(*ts));
    if (!ts) {
        return -ENOMEM;
    }
    super_init(&ts->super, &tmpfs_super_ops, options->type ? options->type : "tmpfs",
               TMPFS_MAGIC_NUMBER);
    ts->super.cache_forever = true;
    ts->super.has_flags = options->type == NULL;
    ts->max_pages = (options->max_bytes + TMPFS_PAGE - 1) / TMPFS_PAGE;
    ts->max_inodes = options->max_inodes;
    uint32_t mode = options->mode != 0 ? options->mode & 07777U : 01777;
    struct tmpfs_inode *root;
    uint32_t type = options->contents ? S_IFREG : S_IFDIR;
    int error = tmpfs_inode_new(&ts->super, NULL, type | mode, 0, &root);
    if (error != 0) {
        super_unref(&ts->super);
        return error;
    }
    root->inode.uid = options->uid;
    root->inode.gid = options->gid;
    ts->super.root = &root->inode;
    if (options->contents) {
        error = fill(root, options->contents);
        if (error != 0) {
            super_drop(&ts->super);
            return error;
        }
    }
    *ret = &ts->super;
    return 0;
}

/* The file system of memfds: never mounted, lives for ever. */
static struct super *memfd_super;
static struct mutex memfd_lock = {.host = PTHREAD_MUTEX_INITIALIZER, .rank = RANK_OBJECT};

static int get_memfd_super(struct super **ret)
{
    const struct tmpfs_options options = {0};
    int error = 0;
    mutex_lock(&memfd_lock);
    if (!memfd_super) {
        error = tmpfs_new(&options, &memfd_super);
    }
    *ret = memfd_super;
    mutex_unlock(&memfd_lock);
    return error;
}

int tmpfs_new_memfd(const char *name, unsigned flags, struct file **ret_file)
{
    struct super *super;
    struct tmpfs_inode *ti;
    int error = get_memfd_super(&super);
    bool no_exec = (flags & TMPFS_MEMFD_NOEXEC_SEAL) != 0;
    if (error == 0) {
        error = tmpfs_inode_new(super, NULL, S_IFREG | (no_exec ? 0666 : 0777), 0, &ti);
    }
    if (error != 0) {
        return error;
    }
    ti->inode.nlink = 0;
    if (no_exec) {
        atomic_store(&ti->seals, 0x20U);
    } else if ((flags & TMPFS_MEMFD_ALLOW_SEALING) != 0) {
        atomic_store(&ti->seals, 0U);
    }
    char label[300];
    snprintf(label, sizeof(label), "/memfd:%.255s", name);
    struct path path = {NULL, dentry_new_disconnected(label, &ti->inode)};
    error = -ENOMEM;
    if (path.dentry) {
        error = file_new(&ti->inode, &path, &tmpfs_regular_file_ops, FILE_READ | FILE_WRITE, O_RDWR,
                         NULL, ret_file);
    }
    path_unref(&path);
    inode_unref(&ti->inode);
    return error;
}
