/*
 * inotify.c: notification queues.
 *
 * update_lock serialises adding and removing watches; lock (RANK_OBJECT, nested inside the inode's
 * list lock when an event comes) guards the queue and the marks. A mark whose inode went, or that
 * was IN_ONESHOT, is only marked dead by the event, because watches may not be removed there; the
 * next call frees it.
 */
#include "sentry/fs/anon/inotify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

#include "platform/base/queue.h"
#include "platform/base/text.h"
#include "platform/base/tree.h"
#include "sentry/core/current.h"
#include "sentry/core/tunables.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/inotify_hooks.h"
#include "sentry/vfs/path.h"

#define VALID_BITS                                                                                 \
    (IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR | IN_DONT_FOLLOW |       \
     IN_EXCL_UNLINK | IN_MASK_ADD | IN_MASK_CREATE | IN_ISDIR | IN_ONESHOT)

struct inotify_queued {
    TAILQ_ENTRY(inotify_queued) link;
    int wd;
    uint32_t mask, cookie;
    uint32_t name_length; /* 0: no name */
    char name[];
};

struct inotify_mark {
    struct inotify_watch watch;
    RB_ENTRY(inotify_mark) node; /* under lock */
    struct inotify *owner;
    struct inode *inode; /* reference */
    int wd;
    struct inotify_mark *next_dead; /* of one sweep */
    /* under lock */
    uint32_t wanted; /* events and IN_ONESHOT, as asked for */
    bool dead;
};

RB_HEAD(inotify_marks, inotify_mark);

struct inotify {
    struct mutex update_lock; /* RANK_FILE: no file position is locked around it */
    struct mutex lock;        /* RANK_OBJECT */
    struct wait_queue queue;
    /* under lock */
    TAILQ_HEAD(inotify_events, inotify_queued) events;
    uint32_t queued;
    struct inotify_marks marks;
    int next_wd;
    bool has_dead;
};

static atomic_uint instances, watches;

static int mark_compare(struct inotify_mark *a, struct inotify_mark *b)
{
    return a->wd < b->wd ? -1 : a->wd > b->wd;
}

RB_GENERATE_INTERNAL(inotify_marks, inotify_mark, node, mark_compare, maybe_unused static)

static const struct file_ops inotify_file_ops;

/* --- the queue --- */

static size_t event_size(const struct inotify_queued *event)
{
    size_t unit = sizeof(struct inotify_event);
    size_t name = event->name_length > 0 ? event->name_length + 1 : 0;
    return unit + (name + unit - 1) / unit * unit;
}

static bool same_as_last_locked(struct inotify *inotify, int wd, uint32_t mask, const char *name)
{
    const struct inotify_queued *last = TAILQ_LAST(&inotify->events, inotify_events);
    if (!last || last->wd != wd || last->mask != mask || (mask & IN_IGNORED)) {
        return false;
    }
    size_t length = name ? strlen(name) : 0;
    return last->name_length == length && (length == 0 || memcmp(last->name, name, length) == 0);
}

static void queue_locked(struct inotify *inotify, int wd, uint32_t mask, uint32_t cookie,
                         const char *name)
{
    if (same_as_last_locked(inotify, wd, mask, name)) {
        return;
    }
    bool overflow = inotify->queued >= tunables.inotify_max_events;
    if (overflow) {
        if (same_as_last_locked(inotify, -1, IN_Q_OVERFLOW, NULL)) {
            return;
        }
        wd = -1;
        mask = IN_Q_OVERFLOW;
        cookie = 0;
        name = NULL;
    }
    size_t length = name ? strlen(name) : 0;
    struct inotify_queued *event = malloc(sizeof(*event) + length + 1);
    if (!event) {
        return; /* Linux loses the event too, and says so by an overflow when it can */
    }
    event->wd = wd;
    event->mask = mask;
    event->cookie = cookie;
    event->name_length = (uint32_t)length;
    if (length > 0) {
        memcpy(event->name, name, length);
    }
    event->name[length] = 0;
    TAILQ_INSERT_TAIL(&inotify->events, event, link);
    inotify->queued++;
}

/* inotify_watch.notify: the inode's list lock is held. */
static void mark_notify(struct inotify_watch *watch, uint32_t mask, uint32_t cookie,
                        const char *name)
{
    struct inotify_mark *mark = container_of(watch, struct inotify_mark, watch);
    struct inotify *inotify = mark->owner;
    bool queued = false;
    mutex_lock_nested(&inotify->lock);
    if (!mark->dead) {
        uint32_t events = mask & (mark->wanted | IN_UNMOUNT) & (IN_ALL_EVENTS | IN_UNMOUNT);
        bool last = (mask & (IN_DELETE_SELF | IN_UNMOUNT)) != 0;
        if (events != 0) {
            queue_locked(inotify, mark->wd, events | (mask & IN_ISDIR), cookie, name);
            queued = true;
            last = last || (mark->wanted & IN_ONESHOT);
        }
        if (last) {
            queue_locked(inotify, mark->wd, IN_IGNORED, 0, NULL);
            mark->dead = inotify->has_dead = true;
            queued = true;
        }
    }
    mutex_unlock(&inotify->lock);
    if (queued) {
        wait_queue_wake(&inotify->queue, EPOLLIN | EPOLLRDNORM);
    }
}

/* --- marks --- */

/* Takes the mark apart; it is off the tree. */
static void mark_free(struct inotify_mark *mark)
{
    inode_watch_remove(&mark->watch);
    inode_unref(mark->inode);
    atomic_fetch_sub(&watches, 1);
    free(mark);
}

/* Frees the dead marks. Under update_lock they leave the inode, so that inotify_add finds none. */
static void sweep_dead(struct inotify *inotify)
{
    struct inotify_mark *mark, *next, *dead = NULL;
    mutex_lock(&inotify->lock);
    bool has_dead = inotify->has_dead;
    mutex_unlock(&inotify->lock);
    if (!has_dead) {
        return;
    }
    mutex_lock(&inotify->update_lock);
    mutex_lock(&inotify->lock);
    RB_FOREACH_SAFE (mark, inotify_marks, &inotify->marks, next) {
        if (mark->dead) {
            RB_REMOVE(inotify_marks, &inotify->marks, mark);
            mark->next_dead = dead;
            dead = mark;
        }
    }
    inotify->has_dead = false;
    mutex_unlock(&inotify->lock);
    for (mark = dead; mark; mark = mark->next_dead) {
        inode_watch_remove(&mark->watch);
    }
    mutex_unlock(&inotify->update_lock);
    for (mark = dead; mark; mark = next) {
        next = mark->next_dead;
        mark_free(mark);
    }
}

struct find_context {
    struct inotify *inotify;
    struct inotify_mark *found;
};

static bool find_mine(struct inotify_watch *watch, void *argument)
{
    struct find_context *context = argument;
    if (watch->notify == mark_notify) {
        struct inotify_mark *mark = container_of(watch, struct inotify_mark, watch);
        if (mark->owner == context->inotify && !mark->dead) {
            context->found = mark;
            return false;
        }
    }
    return true;
}

static uint32_t watched_events(uint32_t wanted)
{
    return (wanted & IN_ALL_EVENTS) | IN_DELETE_SELF | IN_UNMOUNT;
}

static int mark_update(struct inotify *inotify, struct inotify_mark *mark, uint32_t mask)
{
    if (mask & IN_MASK_CREATE) {
        return -EEXIST;
    }
    mutex_lock(&inotify->lock);
    uint32_t bits = mask & (IN_ALL_EVENTS | IN_ONESHOT);
    mark->wanted = (mask & IN_MASK_ADD) ? mark->wanted | bits : bits;
    uint32_t events = watched_events(mark->wanted);
    mutex_unlock(&inotify->lock);
    inode_watch_set(&mark->watch, events);
    return mark->wd;
}

static int mark_new(struct inotify *inotify, struct inode *inode, uint32_t mask)
{
    if (atomic_fetch_add(&watches, 1) >= tunables.inotify_max_watches) {
        atomic_fetch_sub(&watches, 1);
        return -ENOSPC;
    }
    struct inotify_mark *mark = calloc(1, sizeof(*mark));
    if (!mark) {
        atomic_fetch_sub(&watches, 1);
        return -ENOMEM;
    }
    mark->owner = inotify;
    mark->inode = inode_ref(inode);
    mark->wanted = mask & (IN_ALL_EVENTS | IN_ONESHOT);
    mark->watch.mask = watched_events(mark->wanted);
    mark->watch.notify = mark_notify;
    mark->watch.exclude_unlinked = (mask & IN_EXCL_UNLINK) != 0;
    mutex_lock(&inotify->lock);
    /* Linux: descriptors are given in a cycle, the lowest unused after the last. */
    do {
        inotify->next_wd = inotify->next_wd == INT32_MAX ? 1 : inotify->next_wd + 1;
        mark->wd = inotify->next_wd;
    } while (RB_INSERT(inotify_marks, &inotify->marks, mark) != NULL);
    mutex_unlock(&inotify->lock);
    int wd = mark->wd;
    int result = inode_watch_add(inode, &mark->watch);
    if (result != 0) {
        mutex_lock(&inotify->lock);
        RB_REMOVE(inotify_marks, &inotify->marks, mark);
        mutex_unlock(&inotify->lock);
        inode_unref(mark->inode);
        atomic_fetch_sub(&watches, 1);
        free(mark);
        return result;
    }
    return wd;
}

int inotify_add(struct file *file, const struct path *path, uint32_t mask)
{
    if (!(mask & VALID_BITS) || (mask & ~(uint32_t)VALID_BITS) ||
        (mask & (IN_MASK_ADD | IN_MASK_CREATE)) == (IN_MASK_ADD | IN_MASK_CREATE) ||
        file->ops != &inotify_file_ops) {
        return -EINVAL;
    }
    struct inotify *inotify = file->private_data;
    struct inode *inode = path_inode(path);
    int result = inode_permission(inode, 4);
    if (result != 0) {
        return result;
    }
    struct find_context context = {.inotify = inotify};
    sweep_dead(inotify);
    mutex_lock(&inotify->update_lock);
    inode_watch_for_each(inode, find_mine, &context);
    result =
        context.found ? mark_update(inotify, context.found, mask) : mark_new(inotify, inode, mask);
    mutex_unlock(&inotify->update_lock);
    return result;
}

int inotify_remove(struct file *file, int wd)
{
    if (file->ops != &inotify_file_ops) {
        return -EINVAL;
    }
    struct inotify *inotify = file->private_data;
    struct inotify_mark key = {.wd = wd};
    sweep_dead(inotify);
    mutex_lock(&inotify->update_lock);
    mutex_lock(&inotify->lock);
    struct inotify_mark *mark = RB_FIND(inotify_marks, &inotify->marks, &key);
    if (mark && mark->dead) {
        mark = NULL; /* the next sweep frees it */
    }
    if (mark) {
        RB_REMOVE(inotify_marks, &inotify->marks, mark);
        mark->dead = true;
        queue_locked(inotify, wd, IN_IGNORED, 0, NULL);
    }
    mutex_unlock(&inotify->lock);
    mutex_unlock(&inotify->update_lock);
    if (!mark) {
        return -EINVAL;
    }
    mark_free(mark);
    wait_queue_wake(&inotify->queue, EPOLLIN | EPOLLRDNORM);
    return 0;
}

/* --- file operations --- */

static ssize_t put_event(struct uio *uio, const struct inotify_queued *event)
{
    char buffer[sizeof(struct inotify_event) + NAME_MAX_LENGTH + 1 + sizeof(struct inotify_event)] =
        {0};
    size_t size = event_size(event);
    struct inotify_event header = {
        .wd = event->wd,
        .mask = event->mask,
        .cookie = event->cookie,
        .len = (uint32_t)(size - sizeof(header)),
    };
    memcpy(buffer, &header, sizeof(header));
    memcpy(buffer + sizeof(header), event->name,
           min_of((size_t)event->name_length, (size_t)NAME_MAX_LENGTH));
    ssize_t put = uio_put(uio, buffer, size);
    return put == (ssize_t)size ? put : -EFAULT;
}

static ssize_t inotify_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)offset;
    (void)flags;
    struct inotify *inotify = file->private_data;
    ssize_t done = 0;
    sweep_dead(inotify);
    for (;;) {
        mutex_lock(&inotify->lock);
        struct inotify_queued *event = TAILQ_FIRST(&inotify->events);
        ssize_t result = 0;
        if (!event) {
            result = -EAGAIN;
        } else if (event_size(event) > uio->left) {
            result = -EINVAL;
        } else {
            TAILQ_REMOVE(&inotify->events, event, link);
            inotify->queued--;
        }
        mutex_unlock(&inotify->lock);
        if (result == 0) {
            result = put_event(uio, event);
            free(event);
        }
        if (result < 0) {
            return done > 0 && result != -EFAULT ? done : result;
        }
        done += result;
    }
}

static uint32_t inotify_poll(struct file *file)
{
    struct inotify *inotify = file->private_data;
    mutex_lock_nested(&inotify->lock);
    bool ready = inotify->queued > 0;
    mutex_unlock(&inotify->lock);
    return ready ? EPOLLIN | EPOLLRDNORM : 0;
}

static struct wait_queue *inotify_wait_queue(struct file *file)
{
    struct inotify *inotify = file->private_data;
    return &inotify->queue;
}

static long inotify_ioctl(struct file *file, unsigned command, uint64_t argument)
{
    struct inotify *inotify = file->private_data;
    struct inotify_queued *event;
    int count = 0;
    if (command != FIONREAD) {
        return -ENOTTY;
    }
    mutex_lock(&inotify->lock);
    TAILQ_FOREACH (event, &inotify->events, link) {
        count += (int)event_size(event);
    }
    mutex_unlock(&inotify->lock);
    struct uio uio;
    uio_init_guest(&uio, current.mm, argument, sizeof(count));
    ssize_t put = uio_put(&uio, &count, sizeof(count));
    return put == sizeof(count) ? 0 : -EFAULT;
}

static void inotify_free(struct inotify *inotify)
{
    struct inotify_mark *mark;
    struct inotify_queued *event;
    while ((mark = RB_MIN(inotify_marks, &inotify->marks))) {
        mutex_lock(&inotify->lock);
        mark->dead = true;
        RB_REMOVE(inotify_marks, &inotify->marks, mark);
        mutex_unlock(&inotify->lock);
        mark_free(mark);
    }
    while ((event = TAILQ_FIRST(&inotify->events))) {
        TAILQ_REMOVE(&inotify->events, event, link);
        free(event);
    }
    wait_queue_fini(&inotify->queue);
    mutex_fini(&inotify->lock);
    mutex_fini(&inotify->update_lock);
    free(inotify);
    atomic_fetch_sub(&instances, 1);
}

static void inotify_release(struct file *file)
{
    inotify_free(file->private_data);
}

static void inotify_show_fdinfo(struct file *file, struct text *text)
{
    struct inotify *inotify = file->private_data;
    struct inotify_mark *mark;
    mutex_lock(&inotify->lock);
    RB_FOREACH (mark, inotify_marks, &inotify->marks) {
        text_printf(text, "inotify wd:%x ino:%llx sdev:%llx mask:%x ignored_mask:0\n",
                    (unsigned)mark->wd, (unsigned long long)mark->inode->ino,
                    (unsigned long long)mark->inode->super->dev,
                    (mark->wanted & (IN_ALL_EVENTS | IN_ONESHOT)) |
                        (mark->watch.exclude_unlinked ? IN_EXCL_UNLINK : 0U));
    }
    mutex_unlock(&inotify->lock);
}

static const struct file_ops inotify_file_ops = {
    .seek = file_seek_nothing,
    .read = inotify_read,
    .poll = inotify_poll,
    .wait_queue = inotify_wait_queue,
    .ioctl = inotify_ioctl,
    .release = inotify_release,
    .show_fdinfo = inotify_show_fdinfo,
    .anon_name = "inotify",
};

int inotify_new(unsigned flags, struct file **ret_file)
{
    if (atomic_fetch_add(&instances, 1) >= tunables.inotify_max_instances) {
        atomic_fetch_sub(&instances, 1);
        return -EMFILE;
    }
    struct inotify *inotify = calloc(1, sizeof(*inotify));
    if (!inotify) {
        atomic_fetch_sub(&instances, 1);
        return -ENOMEM;
    }
    mutex_init(&inotify->update_lock, RANK_FILE);
    mutex_init(&inotify->lock, RANK_OBJECT);
    wait_queue_init(&inotify->queue);
    TAILQ_INIT(&inotify->events);
    RB_INIT(&inotify->marks);
    int result = file_new_anon(&inotify_file_ops, 0600, FILE_READ | FILE_STREAM,
                               (flags & O_NONBLOCK) | O_RDONLY, inotify, ret_file);
    if (result != 0) {
        inotify_free(inotify);
    }
    return result;
}
