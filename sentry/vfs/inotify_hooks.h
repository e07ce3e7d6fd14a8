/*
 * inotify_hooks.h: where the VFS tells watchers what happened to an inode.
 *
 * A watch is embedded by its owner (the inotify file). The list of an inode has its own lock
 * (RANK_OBJECT); notify runs under it, so it may take further locks of RANK_OBJECT only with
 * mutex_lock_nested, must not sleep, and may not add or remove watches. The owner calls
 * inode_watch_add and inode_watch_remove without holding its own lock. After inode_watch_remove
 * returns, notify of this watch neither runs nor will run. Source: inotify(7).
 *
 * A watch does not keep its inode alive by itself: the owner holds a reference for as long as the
 * watch is added (as Linux does); IN_DELETE_SELF comes when the last name and the last open file
 * are gone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "platform/base/queue.h"

struct dentry;
struct file;
struct inode;
struct path;

/* A name changed within the directory; beside IN_MOVED_FROM and IN_MOVED_TO. Never given to guests.
 */
#define VFS_NOTIFY_RENAME 0x10000000U

struct inotify_watch {
    TAILQ_ENTRY(inotify_watch) link; /* in the inode's list */
    struct inode *inode; /* set by inode_watch_add; borrowed from the owner's reference */
    uint32_t mask;       /* IN_* events wanted; the owner changes it with inode_watch_set */
    /* mask: the events that happened (at least one is wanted), IN_ISDIR added; name: of the child
     * concerned, or NULL. IN_DELETE_SELF and IN_UNMOUNT come whether wanted or not: the watch is
     * over (IN_IGNORED). */
    void (*notify)(struct inotify_watch *watch, uint32_t mask, uint32_t cookie, const char *name);
    bool exclude_unlinked; /* IN_EXCL_UNLINK */
};

/* -ENOMEM. watch->mask and notify are set by the caller. */
int inode_watch_add(struct inode *inode, struct inotify_watch *watch) must_check;
void inode_watch_remove(struct inotify_watch *watch); /* does nothing when not added */
void inode_watch_set(struct inotify_watch *watch, uint32_t mask);
/* Calls fn for every watch of the inode, under its lock: to find a watch of the same owner. */
void inode_watch_for_each(struct inode *inode,
                          bool (*fn)(struct inotify_watch *watch, void *context), void *context);

/* Tells the watches of inode itself. */
void vfs_notify_inode(struct inode *inode, uint32_t mask, uint32_t cookie, const char *name);
/* Tells the watches of the object and, with its name, those of the directory it stands in. */
void vfs_notify_dentry(struct dentry *dentry, uint32_t mask);
void vfs_notify_path(const struct path *path, uint32_t mask);
/* As vfs_notify_path for a file with a name; nothing for anonymous files. */
void vfs_notify_file(struct file *file, uint32_t mask);
/* A name appeared in, or went from, dir (IN_CREATE, IN_DELETE); child gives IN_ISDIR. */
void vfs_notify_name(struct inode *dir, const char *name, struct inode *child, uint32_t mask);
void vfs_notify_rename(struct inode *old_dir, const char *old_name, struct inode *new_dir,
                       const char *new_name, struct inode *child);
/* Frees the list of an inode that goes. */
void inode_watches_free(struct inode *inode);
