/*
 * inode.c: inodes: lifetime, permissions, attributes. The operations of file systems are called
 * from here and from inode_calls.c only. Linux: fs/inode.c, fs/attr.c, fs/namei.c
 * (generic_permission).
 */
#include "sentry/vfs/inode.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>

#include "sentry/core/clock.h"
#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/vfs/file_lock.h"
#include "sentry/vfs/inotify_hooks.h"
#include "sentry/vfs/special.h"
#include "sentry/vfs/inode_flags.h"

#define DAY 86400

struct vfs_special_hooks vfs_special;

void inode_init(struct inode *inode, struct super *super, const struct inode_ops *ops, uint64_t ino,
                uint32_t mode)
{
    struct timespec now = clock_realtime();
    refcount_init(&inode->ref);
    inode->ops = ops;
    inode->file_ops = NULL;
    inode->super = super_ref(super);
    mutex_init(&inode->lock, RANK_INODE);
    inode->ino = ino;
    inode->rdev = 0;
    inode->mode = mode;
    inode->uid = current.cred->fsuid;
    inode->gid = current.cred->fsgid;
    inode->nlink = 1;
    inode->size = 0;
    inode->blocks = 0;
    inode->atime = inode->mtime = inode->ctime = inode->btime = now;
    inode->flags = 0;
    atomic_init(&inode->atime_valid_until, 0);
    atomic_init(&inode->read_openers, 0);
    atomic_init(&inode->write_openers, 0);
    atomic_init(&inode->locks, NULL);
    atomic_init(&inode->watches, NULL);
    atomic_init(&inode->bound, NULL);
}

void inode_init_owner(struct inode *inode, const struct inode *dir)
{
    if ((dir->mode & S_ISGID) != 0) {
        inode->gid = dir->gid;
        if (S_ISDIR(inode->mode)) {
            inode->mode |= S_ISGID;
        }
    }
}

void inode_fini(struct inode *inode)
{
    void *bound = atomic_exchange(&inode->bound, NULL);
    if (bound && vfs_special.free_bound) {
        vfs_special.free_bound(inode, bound);
    }
    file_locks_free(inode);
    inode_watches_free(inode);
    mutex_fini(&inode->lock);
    inode->super = super_unref(inode->super);
}

struct inode *inode_ref(struct inode *inode)
{
    refcount_get(&inode->ref);
    return inode;
}

struct inode *inode_unref(struct inode *inode)
{
    if (inode && refcount_put(&inode->ref)) {
        inode->ops->free(inode);
    }
    return NULL;
}

void inode_attr_cached(struct inode *inode, struct inode_attr *ret_attr)
{
    mutex_lock_nested(&inode->lock);
    *ret_attr = (struct inode_attr){
        .dev = inode->super->dev,
        .ino = inode->ino,
        .mode = inode->mode,
        .nlink = inode->nlink,
        .uid = inode->uid,
        .gid = inode->gid,
        .rdev = inode->rdev,
        .size = inode->size,
        .blocks = inode->blocks,
        .blksize = 4096,
        .atime = inode->atime,
        .mtime = inode->mtime,
        .ctime = inode->ctime,
        .btime = inode->btime,
    };
    mutex_unlock(&inode->lock);
}

int inode_getattr(struct inode *inode, struct inode_attr *ret_attr)
{
    if (inode->ops->getattr) {
        return inode->ops->getattr(inode, ret_attr);
    }
    inode_attr_cached(inode, ret_attr);
    return 0;
}

int inode_permission(struct inode *inode, int mask)
{
    if ((mask & 2) != 0 && inode_is_immutable(inode)) {
        return -EPERM;
    }
    int error = cred_permission(current.cred, inode_load(inode->mode), inode_load(inode->uid),
                                inode_load(inode->gid), mask);
    if (error == 0 && inode->ops->permission) {
        error = inode->ops->permission(inode, mask);
    }
    return error;
}

static bool is_owner_or_capable(const struct inode *inode)
{
    return current.cred->fsuid == inode->uid || capable(CAP_FOWNER);
}

/* Linux: setattr_prepare and inode_newsize_ok. */
static int check_setattr(struct inode *inode, struct inode_attr *attr, unsigned set)
{
    const struct cred *cred = current.cred;
    const unsigned others = INODE_SET_MODE | INODE_SET_UID | INODE_SET_GID;
    bool given = (set & (INODE_SET_ATIME | INODE_SET_MTIME)) != 0 && (set & INODE_SET_TOUCH) == 0;
    if (inode_is_fixed(inode) && ((set & others) != 0 || given)) {
        return -EPERM; /* Linux: may_setattr */
    }
    if ((inode_is_immutable(inode) && (set & INODE_SET_TOUCH) != 0) ||
        (inode_is_fixed(inode) && (set & INODE_SET_SIZE) != 0)) {
        return -EPERM;
    }
    if ((set & INODE_SET_SIZE) != 0 && attr->size > inode->size) {
        if (attr->size > current.file_limit) {
            if (current_hooks.send_signal) {
                current_hooks.send_signal(SIGXFSZ);
            }
            return -EFBIG;
        }
        if (attr->size > inode->super->max_size) {
            return -EFBIG;
        }
    }
    if ((set & INODE_SET_UID) != 0 && !(cred->fsuid == inode->uid && attr->uid == inode->uid) &&
        !cred_capable(cred, CAP_CHOWN)) {
        return -EPERM;
    }
    if ((set & INODE_SET_GID) != 0 &&
        !(cred->fsuid == inode->uid &&
          (attr->gid == inode->gid || cred_in_group(cred, attr->gid))) &&
        !cred_capable(cred, CAP_CHOWN)) {
        return -EPERM;
    }
    if ((set & INODE_SET_MODE) != 0) {
        if (!is_owner_or_capable(inode)) {
            return -EPERM;
        }
        uint32_t gid = (set & INODE_SET_GID) != 0 ? attr->gid : inode->gid;
        if (!cred_in_group(cred, gid) && !cred_capable(cred, CAP_FSETID)) {
            attr->mode &= ~(uint32_t)S_ISGID;
        }
    }
    if ((set & (INODE_SET_ATIME | INODE_SET_MTIME)) != 0 && !is_owner_or_capable(inode)) {
        if ((set & INODE_SET_TOUCH) == 0) {
            return -EPERM;
        }
        return inode_permission(inode, 2);
    }
    return 0;
}

/* chown: the new mode without what must not survive (Linux: setattr_should_drop_suidgid). */
static void kill_privs(struct inode *inode, struct inode_attr *attr, unsigned *set)
{
    uint32_t mode = (*set & INODE_SET_MODE) != 0 ? attr->mode : inode->mode;
    uint32_t kept = mode;
    if (S_ISDIR(inode->mode)) {
        return;
    }
    kept &= ~(uint32_t)S_ISUID;
    if ((mode & S_IXGRP) != 0 ||
        (!cred_in_group(current.cred, inode->gid) && !capable(CAP_FSETID))) {
        kept &= ~(uint32_t)S_ISGID;
    }
    if (kept != mode) {
        attr->mode = kept;
        *set |= INODE_SET_MODE;
    }
}

static int setattr_locked(struct inode *inode, struct inode_attr *attr, unsigned set)
{
    struct timespec now = clock_realtime();
    if (!inode->ops->setattr) {
        return -EPERM;
    }
    if ((set & INODE_SET_KILL_PRIVS) != 0) {
        kill_privs(inode, attr, &set);
    }
    if ((set & INODE_SET_TOUCH) != 0) {
        attr->atime = attr->mtime = now;
    }
    if ((set & INODE_SET_SIZE) != 0 && (set & INODE_SET_MTIME) == 0) {
        attr->mtime = now;
        set |= INODE_SET_MTIME;
    }
    if ((set & INODE_SET_CTIME) == 0) {
        attr->ctime = now;
        set |= INODE_SET_CTIME;
    }
    attr->mode = (attr->mode & 07777) | (inode->mode & S_IFMT);
    int error = inode->ops->setattr(inode, attr, set);
    atomic_store_explicit(&inode->atime_valid_until, 0, memory_order_relaxed);
    return error;
}

int inode_setattr(struct inode *inode, struct inode_attr *attr, unsigned set)
{
    mutex_lock_nested(&inode->lock);
    int error = check_setattr(inode, attr, set);
    if (error == 0) {
        error = setattr_locked(inode, attr, set);
    }
    mutex_unlock(&inode->lock);
    return error;
}

int inode_setattr_unchecked(struct inode *inode, struct inode_attr *attr, unsigned set)
{
    mutex_lock_nested(&inode->lock);
    int error = setattr_locked(inode, attr, set);
    mutex_unlock(&inode->lock);
    return error;
}

int inode_remove_privs(struct inode *inode)
{
    uint32_t mode = inode->mode;
    uint32_t kept = mode & ~(uint32_t)S_ISUID;
    if ((mode & S_IXGRP) != 0 || !cred_in_group(current.cred, inode->gid)) {
        kept &= ~(uint32_t)S_ISGID;
    }
    if (!S_ISREG(mode) || kept == mode || capable(CAP_FSETID)) {
        return 0;
    }
    struct inode_attr attr = {.mode = kept};
    return setattr_locked(inode, &attr, INODE_SET_MODE);
}

void inode_apply_locked(struct inode *inode, const struct inode_attr *attr, unsigned set)
{
    if ((set & INODE_SET_MODE) != 0) {
        inode_store(inode->mode, (inode->mode & S_IFMT) | (attr->mode & 07777));
    }
    if ((set & INODE_SET_UID) != 0) {
        inode_store(inode->uid, attr->uid);
    }
    if ((set & INODE_SET_GID) != 0) {
        inode_store(inode->gid, attr->gid);
    }
    if ((set & INODE_SET_ATIME) != 0) {
        inode->atime = attr->atime;
    }
    if ((set & INODE_SET_MTIME) != 0) {
        inode->mtime = attr->mtime;
    }
    inode->ctime = (set & INODE_SET_CTIME) != 0 ? attr->ctime : clock_realtime();
}

void inode_touch_locked(struct inode *inode, unsigned set)
{
    struct timespec now = clock_realtime();
    if ((set & INODE_SET_ATIME) != 0) {
        const struct timespec *a = &inode->atime;
        const struct timespec *m = &inode->mtime;
        const struct timespec *c = &inode->ctime;
        bool older = a->tv_sec < m->tv_sec ||
                     (a->tv_sec == m->tv_sec && a->tv_nsec <= m->tv_nsec) ||
                     a->tv_sec < c->tv_sec || (a->tv_sec == c->tv_sec && a->tv_nsec <= c->tv_nsec);
        if (older || now.tv_sec - a->tv_sec >= DAY) {
            inode->atime = now;
        }
        atomic_store_explicit(&inode->atime_valid_until, inode->atime.tv_sec + DAY,
                              memory_order_relaxed);
    }
    if ((set & (INODE_SET_MTIME | INODE_SET_CTIME)) != 0) {
        if ((set & INODE_SET_MTIME) != 0) {
            inode->mtime = now;
        }
        inode->ctime = now;
        atomic_store_explicit(&inode->atime_valid_until, 0, memory_order_relaxed);
    }
}

void inode_accessed(struct inode *inode, bool strict)
{
    if (!strict &&
        atomic_load_explicit(&inode->atime_valid_until, memory_order_relaxed) > time(NULL)) {
        return;
    }
    mutex_lock_nested(&inode->lock);
    if (strict) {
        inode->atime = clock_realtime();
    } else {
        inode_touch_locked(inode, INODE_SET_ATIME);
    }
    mutex_unlock(&inode->lock);
}

void inode_set_nlink_locked(struct inode *inode, uint32_t nlink)
{
    inode_store(inode->nlink, nlink);
}

int inode_get_write(struct inode *inode)
{
    int count = atomic_load(&inode->write_openers);
    do {
        if (count < 0) {
            return -ETXTBSY;
        }
    } while (!atomic_compare_exchange_weak(&inode->write_openers, &count, count + 1));
    return 0;
}

void inode_put_write(struct inode *inode)
{
    atomic_fetch_sub(&inode->write_openers, 1);
}

int inode_deny_write(struct inode *inode)
{
    int count = atomic_load(&inode->write_openers);
    do {
        if (count > 0) {
            return -ETXTBSY;
        }
    } while (!atomic_compare_exchange_weak(&inode->write_openers, &count, count - 1));
    return 0;
}

void inode_allow_write(struct inode *inode)
{
    atomic_fetch_add(&inode->write_openers, 1);
}
