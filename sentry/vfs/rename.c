/*
 * rename.c: rename(2), renameat2(2).
 *
 * Locks: the file system's rename_lock when the directories differ (so that who is above whom does
 * not change) or when both objects are directories; then the directories, ancestor first or by
 * address; then child and target, directories before others, else by address. Everybody else locks
 * a parent and then one child, so no circle can close: one that did would need two renamers that
 * lock directories across the tree. Linux: fs/namei.c (do_renameat2, vfs_rename, lock_rename).
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "sentry/vfs/dentry.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/inotify_hooks.h"
#include "sentry/vfs/landlock.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/name_check.h"
#include "sentry/vfs/path.h"
#include "sentry/vfs/walk.h"

#define MAY_WRITE 2

struct rename_side {
    struct path parent;
    struct inode *dir;
    char name[NAME_MAX_LENGTH + 2];
    bool trailing;
    struct dentry *dentry;
    struct inode *inode; /* borrowed from dentry; NULL: no such name */
};

struct rename {
    struct rename_side from, to;
    unsigned flags;
    bool topology;     /* the file system's rename_lock is held */
    bool source_above; /* the source contains the target's directory */
    bool target_above; /* the target contains the source's directory */
};

static bool is_dir(const struct inode *inode)
{
    return inode && S_ISDIR(inode_load(inode->mode));
}

static void lock_directories(struct rename *r)
{
    struct inode *a = r->from.dir;
    struct inode *b = r->to.dir;
    r->topology = r->topology || a != b;
    if (r->topology) {
        mutex_lock(&a->super->rename_lock);
    }
    if (a == b) {
        mutex_lock(&a->lock);
    } else if (dentry_is_below(r->to.parent.dentry, r->from.parent.dentry)) {
        mutex_lock(&a->lock);
        mutex_lock_nested(&b->lock);
    } else if (dentry_is_below(r->from.parent.dentry, r->to.parent.dentry)) {
        mutex_lock(&b->lock);
        mutex_lock_nested(&a->lock);
    } else {
        mutex_lock_two(&a->lock, &b->lock);
    }
}

static void unlock_directories(struct rename *r)
{
    mutex_unlock_two(&r->from.dir->lock, &r->to.dir->lock);
    if (r->topology) {
        mutex_unlock(&r->from.dir->super->rename_lock);
    }
}

static void lock_objects(struct inode *a, struct inode *b)
{
    if (!b || a == b) {
        mutex_lock_nested(&a->lock);
    } else if (is_dir(a) == is_dir(b)) {
        mutex_lock_two(&a->lock, &b->lock);
    } else {
        mutex_lock_nested(is_dir(a) ? &a->lock : &b->lock);
        mutex_lock_nested(is_dir(a) ? &b->lock : &a->lock);
    }
}

static void unlock_objects(struct inode *a, struct inode *b)
{
    if (!b || a == b) {
        mutex_unlock(&a->lock);
    } else {
        mutex_unlock_two(&a->lock, &b->lock);
    }
}

/* The checks of do_renameat2 on the two names found. */
static int check_names(const struct rename *r)
{
    bool exchange = (r->flags & RENAME_EXCHANGE) != 0;
    if ((r->flags & RENAME_NOREPLACE) != 0 && r->to.inode) {
        return -EEXIST;
    }
    if (exchange) {
        if (!r->to.inode) {
            return -ENOENT;
        }
        if (!is_dir(r->to.inode) && r->to.trailing) {
            return -ENOTDIR;
        }
    }
    if (!is_dir(r->from.inode) && (r->from.trailing || (!exchange && r->to.trailing))) {
        return -ENOTDIR;
    }
    if (r->source_above) {
        return -EINVAL;
    }
    if (r->target_above) {
        return exchange ? -EINVAL : -ENOTEMPTY;
    }
    return 0;
}

static uint64_t remove_right(const struct inode *inode)
{
    return is_dir(inode) ? LANDLOCK_REMOVE_DIR : LANDLOCK_REMOVE_FILE;
}

static int check_landlock(const struct rename *r)
{
    const struct inode *target = r->to.inode;
    bool exchange = (r->flags & RENAME_EXCHANGE) != 0;
    uint64_t from = remove_right(r->from.inode);
    uint64_t to = landlock_make_right(inode_load(r->from.inode->mode));
    to |= target ? remove_right(target) : 0;
    from |= exchange ? landlock_make_right(inode_load(target->mode)) : 0;
    from |= (r->flags & RENAME_WHITEOUT) != 0 ? (uint64_t)LANDLOCK_MAKE_CHAR : 0;
    return landlock_check_refer(&r->from.parent, from, &r->to.parent, to, r->from.inode,
                                exchange ? r->to.inode : NULL);
}

/* The checks of vfs_rename; 1: the two names are one object, nothing to do. */
static int check_permissions(const struct rename *r)
{
    struct inode *source = r->from.inode;
    struct inode *target = r->to.inode;
    bool exchange = (r->flags & RENAME_EXCHANGE) != 0;
    bool moved = r->from.dir != r->to.dir;
    if (source == target) {
        return 1;
    }
    int error = name_may_delete(r->from.dir, source, is_dir(source));
    if (error == 0) {
        error = !target ? name_may_create(r->to.dir)
                        : name_may_delete(r->to.dir, target,
                                          exchange ? is_dir(target) : is_dir(source));
    }
    if (error == 0 && moved && is_dir(source)) {
        error = inode_permission(source, MAY_WRITE);
    }
    if (error == 0 && moved && exchange && is_dir(target)) {
        error = inode_permission(target, MAY_WRITE);
    }
    if (error != 0) {
        return error;
    }
    if (atomic_load(&r->from.dentry->mounted) > 0 || atomic_load(&r->to.dentry->mounted) > 0) {
        return -EBUSY;
    }
    uint32_t most = r->to.dir->super->max_links;
    if (most != 0 && moved && is_dir(source) && !is_dir(target) && r->to.dir->nlink >= most) {
        return -EMLINK;
    }
    return 0;
}

static int rename_objects(struct rename *r)
{
    struct dentry_move move;
    int error = dentry_move_prepare(&move, r->from.dentry, r->to.dentry);
    if (error != 0) {
        return error;
    }
    bool exchange = (r->flags & RENAME_EXCHANGE) != 0;
    struct inode *target = r->to.inode;
    lock_objects(r->from.inode, target);
    error = inode_rename(r->from.dir, r->from.name, r->from.inode, r->to.dir, r->to.name, target,
                         r->flags);
    if (error == 0 && target && !exchange && is_dir(target)) {
        inode_store(target->flags, target->flags | INODE_DEAD);
    }
    unlock_objects(r->from.inode, target);
    if (error == 0) {
        dentry_move(&move, r->from.dentry, r->to.dentry, exchange);
        if ((r->flags & RENAME_WHITEOUT) != 0) {
            dentry_invalidate(r->from.parent.dentry, r->from.name);
        }
    }
    dentry_move_fini(&move);
    return error;
}

/* Looks both names up; the directories are locked. */
static int find_names(struct rename *r)
{
    int error = dentry_lookup(r->from.parent.dentry, r->from.name, strlen(r->from.name), true,
                              &r->from.dentry);
    if (error == 0 && !atomic_load(&r->from.dentry->inode)) {
        error = -ENOENT; /* before the other name is looked at */
    }
    if (error == 0) {
        error =
            dentry_lookup(r->to.parent.dentry, r->to.name, strlen(r->to.name), true, &r->to.dentry);
    }
    if (error != 0) {
        return error;
    }
    r->from.inode = atomic_load(&r->from.dentry->inode);
    r->to.inode = atomic_load(&r->to.dentry->inode);
    if (r->from.dir != r->to.dir) {
        r->source_above = dentry_is_below(r->to.parent.dentry, r->from.dentry);
        r->target_above = dentry_is_below(r->from.parent.dentry, r->to.dentry);
    }
    return 0;
}

static void notify(const struct rename *r, struct inode *target)
{
    vfs_notify_rename(r->from.dir, r->from.name, r->to.dir, r->to.name, r->from.inode);
    if ((r->flags & RENAME_EXCHANGE) != 0) {
        vfs_notify_rename(r->to.dir, r->to.name, r->from.dir, r->from.name, target);
    } else if (target) {
        vfs_notify_inode(target, IN_ATTRIB, 0, NULL);
    }
}

static int rename_between(struct rename *r)
{
    struct inode *target = NULL;
    r->from.dir = path_inode(&r->from.parent);
    r->to.dir = path_inode(&r->to.parent);
    lock_directories(r);
    int error = find_names(r);
    if (error == 0 && !r->topology && is_dir(r->from.inode) && is_dir(r->to.inode)) {
        unlock_directories(r);
        r->from.dentry = dentry_unref(r->from.dentry);
        r->to.dentry = dentry_unref(r->to.dentry);
        r->topology = true;
        lock_directories(r);
        error = find_names(r);
    }
    if (error == 0) {
        error = check_names(r);
    }
    if (error == 0) {
        error = check_landlock(r);
    }
    if (error == 0) {
        error = check_permissions(r);
    }
    if (error == 0) {
        target = r->to.inode ? inode_ref(r->to.inode) : NULL;
        error = rename_objects(r);
    }
    unlock_directories(r);
    if (error == 0) {
        notify(r, target);
    }
    inode_unref(target);
    dentry_unref(r->from.dentry);
    dentry_unref(r->to.dentry);
    return error < 0 ? error : 0;
}

int vfs_rename(const struct path *old_start, const char *old_text, const struct path *new_start,
               const char *new_text, unsigned flags)
{
    const unsigned known = RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT;
    struct rename r = {.flags = flags};
    if ((flags & ~known) != 0 ||
        ((flags & RENAME_EXCHANGE) != 0 && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)) != 0)) {
        return -EINVAL;
    }
    int error = walk_parent(old_start, old_text, 0, &r.from.parent, r.from.name, &r.from.trailing);
    if (error != 0) {
        return error;
    }
    error = walk_parent(new_start, new_text, 0, &r.to.parent, r.to.name, &r.to.trailing);
    if (error == 0) {
        if (r.from.parent.mount != r.to.parent.mount) {
            error = -EXDEV;
        } else if (name_is_special(r.from.name)) {
            error = -EBUSY;
        } else if (name_is_special(r.to.name)) {
            error = (flags & RENAME_NOREPLACE) != 0 ? -EEXIST : -EBUSY;
        } else if (mount_is_read_only(r.from.parent.mount)) {
            error = super_refuse_write(path_inode(&r.from.parent));
        } else {
            error = rename_between(&r);
        }
    }
    path_unref(&r.from.parent);
    path_unref(&r.to.parent);
    return error;
}
