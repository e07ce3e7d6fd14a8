/*
 * epoll.c: interest sets and ready lists.
 *
 * Locks: nest_lock (adding an epoll to an epoll) → ep->lock (items; held while items are polled, so
 * nested sets nest it by depth) → links_lock (the items of one file) and, below everything,
 * ep->ready_lock, which ranks as a wait queue because the wake-up of a watched file's queue takes
 * it.
 *
 * An item is removed under ep->lock: first its wait entry, then its link in the file. A file that
 * goes waits for that in file_released, so items never point to freed files.
 */
#include "sentry/fs/anon/epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "platform/base/queue.h"
#include "platform/base/refcount.h"
#include "platform/base/text.h"
#include "platform/base/tree.h"
#include "sentry/core/cred.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/special.h"

#define EPOLL_MAX_NESTS    4
#define EPOLL_PRIVATE_BITS (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)
#define EPOLL_EXCLUSIVE_OK                                                                         \
    (EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM | EPOLLERR | EPOLLHUP | EPOLLWAKEUP |          \
     EPOLLET | EPOLLEXCLUSIVE)

struct epoll_item {
    RB_ENTRY(epoll_item) node;          /* under ep->lock */
    LIST_ENTRY(epoll_item) file_link;   /* under links_lock */
    TAILQ_ENTRY(epoll_item) ready_link; /* under ep->ready_lock */
    struct epoll *ep;
    struct file *file; /* not a reference; see above */
    int fd;
    struct wait_entry entry;
    /* under ep->ready_lock for the waker; changed under ep->lock too */
    uint32_t events;
    bool ready;    /* on ep->ready */
    uint64_t data; /* under ep->lock */
};

RB_HEAD(epoll_tree, epoll_item);
TAILQ_HEAD(epoll_ready_list, epoll_item);

struct epoll_links {
    LIST_HEAD(, epoll_item) items; /* under links_lock */
};

struct epoll {
    struct refcount ref;
    struct file *file; /* itself, not a reference */
    struct mutex lock; /* RANK_EPOLL */
    struct epoll_tree items;
    struct mutex ready_lock; /* RANK_WAIT_QUEUE */
    struct epoll_ready_list ready;
    struct wait_queue queue;
};

static struct mutex nest_lock;  /* RANK_FILE: no file position is locked around epoll_ctl */
static struct mutex links_lock; /* RANK_OBJECT */

static int item_compare(struct epoll_item *a, struct epoll_item *b)
{
    if (a->file->id != b->file->id) {
        return a->file->id < b->file->id ? -1 : 1;
    }
    return a->fd < b->fd ? -1 : a->fd > b->fd;
}

RB_GENERATE_INTERNAL(epoll_tree, epoll_item, node, item_compare, maybe_unused static)

static const struct file_ops epoll_file_ops;

bool file_is_epoll(const struct file *file)
{
    return file->ops == &epoll_file_ops;
}

static void epoll_put(struct epoll *ep)
{
    if (refcount_put(&ep->ref)) {
        wait_queue_fini(&ep->queue);
        mutex_fini(&ep->ready_lock);
        mutex_fini(&ep->lock);
        free(ep);
    }
}

/* --- the ready list --- */

/* wait_wake_fn: something may have become ready in a watched file. Its queue's lock is held. */
static void item_wake(struct wait_entry *entry, uint32_t events)
{
    struct epoll_item *item = entry->owner;
    struct epoll *ep = item->ep;
    bool wake = false;
    mutex_lock_nested(&ep->ready_lock);
    if ((item->events & ~EPOLL_PRIVATE_BITS) != 0 && (events & item->events) != 0) {
        if (!item->ready) {
            item->ready = true;
            TAILQ_INSERT_TAIL(&ep->ready, item, ready_link);
        }
        wake = true;
    }
    mutex_unlock(&ep->ready_lock);
    /* Linux: ep_poll_callback: an instance that nobody waits on does not use up the event. */
    entry->declined = !wake || wait_queue_empty(&ep->queue);
    if (wake) {
        wait_queue_wake(&ep->queue, EPOLLIN | EPOLLRDNORM);
    }
}

static void ready_add(struct epoll *ep, struct epoll_item *item)
{
    mutex_lock_nested(&ep->ready_lock);
    if (!item->ready) {
        item->ready = true;
        TAILQ_INSERT_TAIL(&ep->ready, item, ready_link);
    }
    mutex_unlock(&ep->ready_lock);
}

static void ready_remove(struct epoll *ep, struct epoll_item *item)
{
    mutex_lock_nested(&ep->ready_lock);
    if (item->ready) {
        TAILQ_REMOVE(&ep->ready, item, ready_link);
        item->ready = false;
    }
    mutex_unlock(&ep->ready_lock);
}

static uint32_t item_poll_locked(struct epoll_item *item)
{
    return file_poll(item->file) & item->events;
}

int epoll_collect(struct file *file, struct epoll_event *events, int max)
{
    if (!file_is_epoll(file) || max <= 0) {
        return -EINVAL;
    }
    struct epoll *ep = file->private_data;
    struct epoll_ready_list candidates = TAILQ_HEAD_INITIALIZER(candidates);
    struct epoll_item *item;
    int count = 0;
    mutex_lock(&ep->lock);
    /* Only what is ready now is looked at; what becomes ready meanwhile waits for the next call.
     * Candidates keep ready = true, so that wakers leave their link alone. */
    mutex_lock_nested(&ep->ready_lock);
    TAILQ_CONCAT(&candidates, &ep->ready, ready_link);
    mutex_unlock(&ep->ready_lock);
    while (count < max && (item = TAILQ_FIRST(&candidates))) {
        mutex_lock_nested(&ep->ready_lock);
        TAILQ_REMOVE(&candidates, item, ready_link);
        item->ready = false;
        mutex_unlock(&ep->ready_lock);
        uint32_t bits = item_poll_locked(item);
        if (bits == 0) {
            continue;
        }
        events[count].events = bits;
        events[count].data.u64 = item->data;
        count++;
        if (item->events & EPOLLONESHOT) {
            mutex_lock_nested(&ep->ready_lock);
            item->events &= EPOLL_PRIVATE_BITS;
            mutex_unlock(&ep->ready_lock);
        } else if (!(item->events & EPOLLET)) {
            ready_add(ep, item);
        }
    }
    mutex_lock_nested(&ep->ready_lock);
    TAILQ_CONCAT(&candidates, &ep->ready, ready_link); /* the rest goes in front */
    TAILQ_CONCAT(&ep->ready, &candidates, ready_link);
    bool more = !TAILQ_EMPTY(&ep->ready);
    mutex_unlock(&ep->ready_lock);
    mutex_unlock(&ep->lock);
    if (more && count > 0) {
        wait_queue_wake(&ep->queue, EPOLLIN | EPOLLRDNORM);
    }
    return count > 0 ? count : -EAGAIN;
}

/* Ready when any item truly is; those that are not leave the list, as on Linux. */
static uint32_t epoll_file_poll(struct file *file)
{
    struct epoll *ep = file->private_data;
    struct epoll_item *item;
    uint32_t result = 0;
    mutex_lock_nested(&ep->lock);
    for (;;) {
        mutex_lock_nested(&ep->ready_lock);
        item = TAILQ_FIRST(&ep->ready);
        if (item) {
            TAILQ_REMOVE(&ep->ready, item, ready_link);
            item->ready = false;
        }
        mutex_unlock(&ep->ready_lock);
        if (!item) {
            break;
        }
        if (item_poll_locked(item) != 0) {
            mutex_lock_nested(&ep->ready_lock);
            if (!item->ready) {
                item->ready = true;
                TAILQ_INSERT_HEAD(&ep->ready, item, ready_link);
            }
            mutex_unlock(&ep->ready_lock);
            result = EPOLLIN | EPOLLRDNORM;
            break;
        }
    }
    mutex_unlock(&ep->lock);
    return result;
}

/* --- items --- */

static struct epoll_links *links_of(struct file *file)
{
    struct epoll_links *links = atomic_load(&file->epoll_links);
    if (!links) {
        struct epoll_links *fresh = calloc(1, sizeof(*fresh));
        if (!fresh) {
            return NULL;
        }
        LIST_INIT(&fresh->items);
        if (atomic_compare_exchange_strong(&file->epoll_links, &links, fresh)) {
            return fresh;
        }
        free(fresh);
    }
    return links;
}

static struct epoll_item *item_find_locked(struct epoll *ep, struct file *file, int fd)
{
    struct epoll_item key = {.file = file, .fd = fd};
    return RB_FIND(epoll_tree, &ep->items, &key);
}

static void item_remove_locked(struct epoll *ep, struct epoll_item *item)
{
    wait_queue_remove(&item->entry);
    ready_remove(ep, item);
    RB_REMOVE(epoll_tree, &ep->items, item);
    mutex_lock(&links_lock);
    LIST_REMOVE(item, file_link);
    mutex_unlock(&links_lock);
    free(item);
}

/* Polls a new or changed item and puts it on the ready list. Returns true when waiters must know.
 */
static bool item_check_locked(struct epoll *ep, struct epoll_item *item)
{
    if (item_poll_locked(item) == 0) {
        return false;
    }
    ready_add(ep, item);
    return true;
}

static int item_add_locked(struct epoll *ep, struct file *target, int fd,
                           const struct epoll_event *event)
{
    struct epoll_links *links = links_of(target);
    struct epoll_item *item = calloc(1, sizeof(*item));
    if (!links || !item) {
        free(item);
        return -ENOMEM;
    }
    item->ep = ep;
    item->file = target;
    item->fd = fd;
    item->events = event->events;
    item->data = event->data.u64;
    item->entry.owner = item;
    item->entry.wake = item_wake;
    item->entry.events = ~0U; /* filtered by item->events */
    item->entry.exclusive = (event->events & EPOLLEXCLUSIVE) != 0;
    RB_INSERT(epoll_tree, &ep->items, item);
    mutex_lock(&links_lock);
    LIST_INSERT_HEAD(&links->items, item, file_link);
    mutex_unlock(&links_lock);
    wait_queue_add(file_wait_queue(target), &item->entry);
    return item_check_locked(ep, item);
}

static int item_modify_locked(struct epoll *ep, struct epoll_item *item,
                              const struct epoll_event *event)
{
    if (item->events & EPOLLEXCLUSIVE) {
        return -EINVAL;
    }
    mutex_lock_nested(&ep->ready_lock);
    item->events = event->events;
    mutex_unlock(&ep->ready_lock);
    item->data = event->data.u64;
    return item_check_locked(ep, item);
}

/* --- nesting --- */

/* Levels of epolls below ep (0: none); -ELOOP when from is met or they are too many. */
static int depth_below(struct epoll *ep, const struct epoll *from, int level)
{
    struct epoll_item *item;
    int deepest = 0;
    if (ep == from || level > EPOLL_MAX_NESTS) {
        return -ELOOP;
    }
    mutex_lock_nested(&ep->lock);
    RB_FOREACH (item, epoll_tree, &ep->items) {
        if (!file_is_epoll(item->file)) {
            continue;
        }
        int depth = depth_below(item->file->private_data, from, level + 1);
        if (depth < 0) {
            deepest = depth;
            break;
        }
        deepest = max_of(deepest, depth + 1);
    }
    mutex_unlock(&ep->lock);
    return deepest;
}

/* Levels of epolls that watch ep. links_lock held; the recursion is bounded by the nesting limit.
 */
static int height_above_locked(struct file *file, int level)
{
    struct epoll_links *links = atomic_load(&file->epoll_links);
    struct epoll_item *item;
    int highest = 0;
    if (!links || level > EPOLL_MAX_NESTS) {
        return 0;
    }
    LIST_FOREACH (item, &links->items, file_link) {
        highest = max_of(highest, height_above_locked(item->ep->file, level + 1) + 1);
    }
    return highest;
}

/* Linux: ep_loop_check. nest_lock held. */
static int nest_check(struct epoll *ep, struct file *target)
{
    int below = depth_below(target->private_data, ep, 0);
    if (below < 0) {
        return below;
    }
    mutex_lock(&links_lock);
    int above = height_above_locked(ep->file, 0);
    mutex_unlock(&links_lock);
    return below + 1 + above > EPOLL_MAX_NESTS ? -ELOOP : 0;
}

/* --- epoll_ctl --- */

static int event_check(int op, bool nested, struct epoll_event *event)
{
    if ((event->events & EPOLLWAKEUP) && !capable(CAP_BLOCK_SUSPEND)) {
        event->events &= ~(uint32_t)EPOLLWAKEUP;
    }
    if (event->events & EPOLLEXCLUSIVE) {
        if (op == EPOLL_CTL_MOD || nested || (event->events & ~EPOLL_EXCLUSIVE_OK)) {
            return -EINVAL;
        }
    }
    event->events |= EPOLLERR | EPOLLHUP;
    return 0;
}

static int control_locked(struct epoll *ep, int op, int fd, struct file *target,
                          const struct epoll_event *event)
{
    struct epoll_item *item = item_find_locked(ep, target, fd);
    switch (op) {
    case EPOLL_CTL_ADD:
        return item ? -EEXIST : item_add_locked(ep, target, fd, event);
    case EPOLL_CTL_MOD:
        return item ? item_modify_locked(ep, item, event) : -ENOENT;
    case EPOLL_CTL_DEL:
        if (!item) {
            return -ENOENT;
        }
        item_remove_locked(ep, item);
        return 0;
    default:
        return -EINVAL;
    }
}

int epoll_control(struct file *file, int op, int fd, struct file *target,
                  const struct epoll_event *event)
{
    struct epoll_event copy = {0};
    if (!file_wait_queue(target)) {
        return -EPERM;
    }
    if (file == target || !file_is_epoll(file)) {
        return -EINVAL;
    }
    struct epoll *ep = file->private_data;
    bool nested = file_is_epoll(target);
    int result = 0;
    if (op != EPOLL_CTL_DEL) {
        copy = *event;
        result = event_check(op, nested, &copy);
        if (result != 0) {
            return result;
        }
    }
    bool nesting = op == EPOLL_CTL_ADD && nested;
    if (nesting) {
        mutex_lock(&nest_lock);
        result = nest_check(ep, target);
    }
    if (result == 0) {
        mutex_lock(&ep->lock);
        result = control_locked(ep, op, fd, target, &copy);
        mutex_unlock(&ep->lock);
    }
    if (nesting) {
        mutex_unlock(&nest_lock);
    }
    if (result == 1) {
        wait_queue_wake(&ep->queue, EPOLLIN | EPOLLRDNORM);
        result = 0;
    }
    return result;
}

/* --- life --- */

static void file_released(struct file *file)
{
    struct epoll_links *links = atomic_load(&file->epoll_links);
    struct epoll_item *item;
    for (;;) {
        mutex_lock(&links_lock);
        item = LIST_FIRST(&links->items);
        struct epoll *ep = item ? item->ep : NULL;
        if (ep) {
            refcount_get(&ep->ref);
        }
        mutex_unlock(&links_lock);
        if (!ep) {
            break;
        }
        mutex_lock(&ep->lock);
        /* The item may have gone meanwhile: look again among this file's items, by (ep, fd). */
        mutex_lock(&links_lock);
        LIST_FOREACH (item, &links->items, file_link) {
            if (item->ep == ep) {
                break;
            }
        }
        mutex_unlock(&links_lock);
        if (item) {
            item_remove_locked(ep, item);
        }
        mutex_unlock(&ep->lock);
        epoll_put(ep);
    }
    atomic_store(&file->epoll_links, NULL);
    free(links);
}

static void epoll_release(struct file *file)
{
    struct epoll *ep = file->private_data;
    struct epoll_item *item;
    mutex_lock(&ep->lock);
    while ((item = RB_MIN(epoll_tree, &ep->items))) {
        item_remove_locked(ep, item);
    }
    mutex_unlock(&ep->lock);
    epoll_put(ep);
}

static struct wait_queue *epoll_wait_queue(struct file *file)
{
    struct epoll *ep = file->private_data;
    return &ep->queue;
}

static void epoll_show_fdinfo(struct file *file, struct text *text)
{
    struct epoll *ep = file->private_data;
    struct epoll_item *item;
    mutex_lock(&ep->lock);
    RB_FOREACH (item, epoll_tree, &ep->items) {
        struct inode *inode = item->file->inode;
        text_printf(text, "tfd: %8d events: %8x data: %16llx  pos:%lli ino:%llx sdev:%llx\n",
                    item->fd, item->events, (unsigned long long)item->data,
                    (long long)item->file->position, (unsigned long long)inode->ino,
                    (unsigned long long)(inode->super ? inode->super->dev : 0));
    }
    mutex_unlock(&ep->lock);
}

static const struct file_ops epoll_file_ops = {
    .seek = file_seek_nothing,
    .poll = epoll_file_poll,
    .wait_queue = epoll_wait_queue,
    .release = epoll_release,
    .show_fdinfo = epoll_show_fdinfo,
    .anon_name = "[eventpoll]",
};

void epoll_init(void)
{
    mutex_init(&nest_lock, RANK_FILE);
    mutex_init(&links_lock, RANK_OBJECT);
    vfs_special.file_gone = file_released;
}

int epoll_new(struct file **ret_file)
{
    struct epoll *ep = calloc(1, sizeof(*ep));
    if (!ep) {
        return -ENOMEM;
    }
    refcount_init(&ep->ref);
    mutex_init(&ep->lock, RANK_EPOLL);
    mutex_init(&ep->ready_lock, RANK_WAIT_QUEUE);
    RB_INIT(&ep->items);
    TAILQ_INIT(&ep->ready);
    wait_queue_init(&ep->queue);
    int result = file_new_anon(&epoll_file_ops, 0600, FILE_READ | FILE_WRITE | FILE_STREAM, O_RDWR,
                               ep, ret_file);
    if (result != 0) {
        epoll_put(ep);
        return result;
    }
    ep->file = *ret_file;
    return 0;
}
