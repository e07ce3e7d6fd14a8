/*
 * inotify_hooks.c: the lists of watches and the calls that reach them. While nobody watches
 * anything, a notification costs one load.
 */
#include "sentry/vfs/inotify_hooks.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/inotify.h>

#include "sentry/vfs/dentry.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/path.h"

#ifndef IN_EXCL_UNLINK
#define IN_EXCL_UNLINK 0x04000000
#endif

#define ALL_EVENTS (IN_ALL_EVENTS | IN_UNMOUNT | VFS_NOTIFY_RENAME)

struct inotify_watches {
    struct mutex lock;                /* RANK_OBJECT */
    TAILQ_HEAD(, inotify_watch) list; /* under lock */
};

static atomic_uint watch_count; /* of all inodes */
static atomic_uint next_cookie = 1;

static struct inotify_watches *get_list(struct inode *inode)
{
    struct inotify_watches *watches = atomic_load(&inode->watches);
    if (watches) {
        return watches;
    }
    struct inotify_watches *fresh = calloc(1, sizeof(*fresh));
    if (!fresh) {
        return NULL;
    }
    mutex_init(&fresh->lock, RANK_OBJECT);
    TAILQ_INIT(&fresh->list);
    if (atomic_compare_exchange_strong(&inode->watches, &watches, fresh)) {
        return fresh;
    }
    mutex_fini(&fresh->lock);
    free(fresh);
    return watches;
}

int inode_watch_add(struct inode *inode, struct inotify_watch *watch)
{
    struct inotify_watches *watches = get_list(inode);
    if (!watches) {
        return -ENOMEM;
    }
    watch->inode = inode;
    mutex_lock_nested(&watches->lock);
    TAILQ_INSERT_TAIL(&watches->list, watch, link);
    mutex_unlock(&watches->lock);
    atomic_fetch_add(&watch_count, 1);
    return 0;
}

void inode_watch_remove(struct inotify_watch *watch)
{
    if (!watch->inode) {
        return;
    }
    struct inotify_watches *watches = atomic_load(&watch->inode->watches);
    mutex_lock_nested(&watches->lock);
    TAILQ_REMOVE(&watches->list, watch, link);
    watch->inode = NULL;
    mutex_unlock(&watches->lock);
    atomic_fetch_sub(&watch_count, 1);
}

void inode_watch_set(struct inotify_watch *watch, uint32_t mask)
{
    struct inotify_watches *watches = atomic_load(&watch->inode->watches);
    mutex_lock_nested(&watches->lock);
    watch->mask = mask;
    mutex_unlock(&watches->lock);
}

void inode_watch_for_each(struct inode *inode,
                          bool (*fn)(struct inotify_watch *watch, void *context), void *context)
{
    struct inotify_watches *watches = atomic_load(&inode->watches);
    struct inotify_watch *watch;
    if (!watches) {
        return;
    }
    mutex_lock_nested(&watches->lock);
    TAILQ_FOREACH (watch, &watches->list, link) {
        if (!fn(watch, context)) {
            break;
        }
    }
    mutex_unlock(&watches->lock);
}

static void notify(struct inode *inode, uint32_t mask, uint32_t cookie, const char *name,
                   bool unlinked)
{
    struct inotify_watches *watches = atomic_load(&inode->watches);
    struct inotify_watch *watch;
    if (!watches) {
        return;
    }
    mutex_lock_nested(&watches->lock);
    TAILQ_FOREACH (watch, &watches->list, link) {
        bool wanted = ((watch->mask | IN_DELETE_SELF | IN_UNMOUNT) & mask & ALL_EVENTS) != 0;
        if (wanted && !(unlinked && watch->exclude_unlinked)) {
            watch->notify(watch, mask, cookie, name);
        }
    }
    mutex_unlock(&watches->lock);
}

void vfs_notify_inode(struct inode *inode, uint32_t mask, uint32_t cookie, const char *name)
{
    if (atomic_load_explicit(&watch_count, memory_order_relaxed) != 0) {
        notify(inode, mask, cookie, name, false);
    }
}

void vfs_notify_dentry(struct dentry *dentry, uint32_t mask)
{
    if (atomic_load_explicit(&watch_count, memory_order_relaxed) == 0) {
        return;
    }
    struct inode *inode = atomic_load(&dentry->inode);
    if (!inode) {
        return;
    }
    if (S_ISDIR(inode_load(inode->mode))) {
        mask |= IN_ISDIR;
    }
    struct dentry *parent = dentry_get_parent(dentry);
    struct inode *dir = atomic_load(&parent->inode);
    if (parent != dentry && dir && atomic_load(&dir->watches)) {
        char name[NAME_MAX_LENGTH + 1];
        dentry_copy_name(dentry, name);
        notify(dir, mask, 0, name, dentry_is_deleted(dentry));
    }
    dentry_unref(parent);
    notify(inode, mask, 0, NULL, false);
}

void vfs_notify_path(const struct path *path, uint32_t mask)
{
    if (path->dentry) {
        vfs_notify_dentry(path->dentry, mask);
    }
}

void vfs_notify_file(struct file *file, uint32_t mask)
{
    if (atomic_load_explicit(&watch_count, memory_order_relaxed) != 0 &&
        (file->mode & FILE_PATH) == 0) {
        vfs_notify_path(&file->path, mask);
    }
}

void vfs_notify_name(struct inode *dir, const char *name, struct inode *child, uint32_t mask)
{
    if (child && S_ISDIR(inode_load(child->mode))) {
        mask |= IN_ISDIR;
    }
    vfs_notify_inode(dir, mask, 0, name);
}

void vfs_notify_rename(struct inode *old_dir, const char *old_name, struct inode *new_dir,
                       const char *new_name, struct inode *child)
{
    if (atomic_load_explicit(&watch_count, memory_order_relaxed) == 0) {
        return;
    }
    uint32_t cookie = atomic_fetch_add(&next_cookie, 1);
    uint32_t directory = S_ISDIR(inode_load(child->mode)) ? IN_ISDIR : 0;
    if (old_dir == new_dir) {
        notify(old_dir, VFS_NOTIFY_RENAME | directory, cookie, old_name, false);
    }
    notify(old_dir, IN_MOVED_FROM | directory, cookie, old_name, false);
    notify(new_dir, IN_MOVED_TO | directory, cookie, new_name, false);
    notify(child, IN_MOVE_SELF, 0, NULL, false); /* Linux: without IN_ISDIR */
}

void inode_watches_free(struct inode *inode)
{
    struct inotify_watches *watches = atomic_exchange(&inode->watches, NULL);
    if (watches) {
        mutex_fini(&watches->lock);
        free(watches);
    }
}
