/*
 * dnotify.c: see dnotify.h.
 *
 * A watch belongs to an open file and a descriptor table, and goes when that table closes any
 * descriptor of the file. dnotify_lock guards the list and is taken outside an inode's list of
 * watches; the signal is sent under the latter, so what it reads of a watch is atomic.
 */
#include "sentry/fs/anon/dnotify.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "sentry/core/current.h"
#include "sentry/fs/anon/async_io.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/inotify_hooks.h"
#include "sentry/vfs/special.h"

#define MAX_WATCHES 65536 /* of the sandbox */

struct dnotify {
    struct inotify_watch watch;
    TAILQ_ENTRY(dnotify) link; /* under dnotify_lock */
    struct file *file;         /* borrowed: its last reference takes the watch along */
    struct inode *inode;       /* reference */
    const void *owner;
    atomic_int fd;
    atomic_uint wanted; /* DN_*; 0: a single shot that is spent */
};

static struct mutex dnotify_lock = {.host = PTHREAD_MUTEX_INITIALIZER, .rank = RANK_OBJECT};
static TAILQ_HEAD(, dnotify) all = TAILQ_HEAD_INITIALIZER(all); /* under dnotify_lock */
static unsigned all_count;                                      /* under dnotify_lock */

static const struct {
    unsigned asked;
    uint32_t event;
} events[] = {
    {DN_ACCESS, IN_ACCESS},
    {DN_MODIFY, IN_MODIFY},
    {DN_ATTRIB, IN_ATTRIB},
    {DN_CREATE, IN_CREATE | IN_MOVED_TO},
    {DN_DELETE, IN_DELETE | IN_MOVED_FROM},
    {DN_RENAME, VFS_NOTIFY_RENAME},
};

static uint32_t events_of(unsigned wanted)
{
    uint32_t mask = 0;
    for (size_t i = 0; i < array_size(events); i++) {
        mask |= (wanted & events[i].asked) != 0 ? events[i].event : 0;
    }
    return mask;
}

/* inotify_watch.notify: the inode's list lock is held. */
static void tell(struct inotify_watch *watch, uint32_t mask, uint32_t cookie, const char *name)
{
    struct dnotify *dnotify = container_of(watch, struct dnotify, watch);
    unsigned wanted = atomic_load(&dnotify->wanted);
    (void)cookie;
    (void)name;
    if ((events_of(wanted) & mask) == 0) {
        return;
    }
    if ((wanted & DN_MULTISHOT) == 0 &&
        !atomic_compare_exchange_strong(&dnotify->wanted, &wanted, 0)) {
        return; /* somebody else's event spent it */
    }
    async_io_send(dnotify->file, atomic_load(&dnotify->fd), POLL_MSG,
                  EPOLLIN | EPOLLRDNORM | EPOLLMSG);
}

static void flush(struct file *file, const void *owner)
{
    TAILQ_HEAD(, dnotify) gone = TAILQ_HEAD_INITIALIZER(gone);
    struct dnotify *dnotify, *next;
    mutex_lock(&dnotify_lock);
    TAILQ_FOREACH_SAFE (dnotify, &all, link, next) {
        if (dnotify->file == file && (!owner || dnotify->owner == owner)) {
            TAILQ_REMOVE(&all, dnotify, link);
            all_count--;
            inode_watch_remove(&dnotify->watch);
            TAILQ_INSERT_TAIL(&gone, dnotify, link);
        }
    }
    mutex_unlock(&dnotify_lock);
    TAILQ_FOREACH_SAFE (dnotify, &gone, link, next) {
        inode_unref(dnotify->inode);
        free(dnotify);
    }
}

/* Linux: attach_dn; the owner is the caller unless F_SETOWN named one. */
static void own(struct file *file)
{
    mutex_lock(&file->lock);
    if (__atomic_load_n(&file->owner_id, __ATOMIC_RELAXED) == 0) {
        __atomic_store_n(&file->owner_type, F_OWNER_PID, __ATOMIC_RELAXED);
        __atomic_store_n(&file->owner_id, current.tgid, __ATOMIC_RELAXED);
    }
    mutex_unlock(&file->lock);
}

static int add_locked(struct file *file, const void *owner, int fd, unsigned mask)
{
    struct dnotify *dnotify;
    if (all_count >= MAX_WATCHES) {
        return -ENOSPC;
    }
    dnotify = calloc(1, sizeof(*dnotify));
    if (!dnotify) {
        return -ENOMEM;
    }
    dnotify->file = file;
    dnotify->owner = owner;
    atomic_init(&dnotify->fd, fd);
    atomic_init(&dnotify->wanted, mask);
    dnotify->watch.mask = events_of(mask);
    dnotify->watch.notify = tell;
    int error = inode_watch_add(file->inode, &dnotify->watch);
    if (error < 0) {
        free(dnotify);
        return error;
    }
    dnotify->inode = inode_ref(file->inode);
    vfs_special.dnotify_flush = flush;
    atomic_store(&file->dir_watched, true);
    TAILQ_INSERT_TAIL(&all, dnotify, link);
    all_count++;
    return 0;
}

int dnotify_set(struct file *file, const void *owner, int fd, unsigned mask)
{
    struct dnotify *dnotify;
    int error = 0;
    if ((mask & ~(unsigned)DN_MULTISHOT) == 0) {
        flush(file, owner);
        return 0;
    }
    if (!S_ISDIR(inode_load(file->inode->mode))) {
        return -ENOTDIR;
    }
    own(file);
    mutex_lock(&dnotify_lock);
    TAILQ_FOREACH (dnotify, &all, link) {
        if (dnotify->file == file && dnotify->owner == owner) {
            break;
        }
    }
    if (dnotify) {
        unsigned wanted = atomic_fetch_or(&dnotify->wanted, mask) | mask;
        atomic_store(&dnotify->fd, fd);
        inode_watch_set(&dnotify->watch, events_of(wanted));
    } else {
        error = add_locked(file, owner, fd, mask);
    }
    mutex_unlock(&dnotify_lock);
    return error;
}
