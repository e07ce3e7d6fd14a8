/*
 * mqueue_queue.c: what happens in one queue: messages, waiting, notification. Who brings or takes a
 * message hands over to the first that waits. Linux: ipc/mqueue.c (do_mq_timedsend, __do_notify).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/text.h"
#include "sentry/core/clock.h"
#include "sentry/core/current.h"
#include "sentry/fs/mqueue/mqueue_inode.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/uio.h"
#include "sentry/net/socket.h"
#include "sentry/vfs/file.h"

#define WOKEN   1 /* last byte of a cookie: Linux NOTIFY_WOKENUP, NOTIFY_REMOVED */
#define REMOVED 2

struct mqueue_message *mqueue_message_new(unsigned priority, size_t length)
{
    int64_t bytes = (int64_t)(sizeof(struct mqueue_message) + length);
    if (kernel_charge(bytes) != 0) {
        return NULL;
    }
    struct mqueue_message *message = malloc((size_t)bytes);
    if (!message) {
        ignore_result(kernel_charge(-bytes));
        return NULL;
    }
    message->priority = priority;
    message->length = length;
    return message;
}

void mqueue_message_free(struct mqueue_message *message)
{
    if (message) {
        ignore_result(kernel_charge(-(int64_t)(sizeof(*message) + message->length)));
        free(message);
    }
}

char *mqueue_message_text(struct mqueue_message *message)
{
    return message->text;
}

size_t mqueue_message_length(const struct mqueue_message *message)
{
    return message->length;
}

unsigned mqueue_message_priority(const struct mqueue_message *message)
{
    return message->priority;
}

void mqueue_queue_init(struct mqueue_inode *queue)
{
    mutex_init(&queue->lock, RANK_OBJECT);
    TAILQ_INIT(&queue->messages);
    TAILQ_INIT(&queue->senders);
    TAILQ_INIT(&queue->receivers);
    wait_queue_init(&queue->queue);
}

/* Takes the registration out; the caller drops what *ret refers to, without locks. */
static void unregister_locked(struct mqueue_inode *queue, struct process **ret_process,
                              struct mqueue_notification *ret)
{
    *ret_process = queue->notified;
    *ret = queue->notification;
    queue->notified = NULL;
    queue->notification.socket = NULL;
}

/* Tells whoever was registered. Without locks. */
static void notify(struct process *process, struct mqueue_notification *notification, int event)
{
    if (!process) {
        return;
    }
    if (notification->how == SIGEV_THREAD) {
        notification->cookie[MQUEUE_COOKIE_LENGTH - 1] = (unsigned char)event;
        ignore_result(netlink_deliver(notification->socket, notification->cookie,
                                      sizeof(notification->cookie)));
        file_unref(notification->socket);
    } else if (notification->how == SIGEV_SIGNAL && event == WOKEN && notification->signo != 0) {
        siginfo_t info;
        memset(&info, 0, sizeof(info));
        info.si_signo = notification->signo;
        info.si_code = SI_MESGQ;
        info.si_value.sival_ptr = (void *)(uintptr_t)notification->value;
        info.si_pid = current.tgid;
        info.si_uid = current.cred->uid;
        ignore_result(signal_send_process(process, notification->signo, &info));
    }
    process_unref(process);
}

void mqueue_queue_fini(struct mqueue_inode *queue)
{
    struct mqueue_message *message;
    struct mqueue_message *next;
    TAILQ_FOREACH_SAFE (message, &queue->messages, link, next) {
        mqueue_message_free(message);
    }
    file_unref(queue->notification.socket);
    process_unref(queue->notified);
    wait_queue_fini(&queue->queue);
    mutex_fini(&queue->lock);
}

static void put_locked(struct mqueue_inode *queue, struct mqueue_message *message)
{
    struct mqueue_message *after = TAILQ_LAST(&queue->messages, mqueue_message_list);
    while (after && after->priority < message->priority) {
        after = TAILQ_PREV(after, mqueue_message_list, link);
    }
    if (after) {
        TAILQ_INSERT_AFTER(&queue->messages, after, message, link);
    } else {
        TAILQ_INSERT_HEAD(&queue->messages, message, link);
    }
    queue->count++;
    queue->bytes += message->length;
}

static void finish(struct mqueue_waiters *waiters, struct mqueue_waiter *waiter)
{
    TAILQ_REMOVE(waiters, waiter, link);
    waiter->done = true;
    sleeper_wake(&waiter->task->sleeper);
}

/* The monotonic time to sleep until; the realtime clock may be set, so it is looked at each second.
 */
static uint64_t sleep_until(uint64_t deadline_ns)
{
    if (deadline_ns == SLEEP_FOREVER) {
        return SLEEP_FOREVER;
    }
    uint64_t now = clock_ns(CLOCK_REALTIME);
    uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
    return clock_monotonic_ns() + min_of(left, NSEC_PER_SEC);
}

/* Sleeps until the waiter, which is in the list, is done. */
static int wait_for(struct mqueue_inode *queue, struct mqueue_waiters *waiters,
                    struct mqueue_waiter *waiter, uint64_t deadline_ns)
{
    for (;;) {
        int result = task_sleep(sleep_until(deadline_ns));
        task_sleep_prepare();
        mutex_lock(&queue->lock);
        bool done = waiter->done;
        bool late = deadline_ns != SLEEP_FOREVER && clock_ns(CLOCK_REALTIME) >= deadline_ns;
        bool ends = !done && (result == -ERESTARTSYS || late);
        if (ends) {
            TAILQ_REMOVE(waiters, waiter, link);
        }
        mutex_unlock(&queue->lock);
        if (done) {
            return 0;
        }
        if (ends) {
            return result == -ERESTARTSYS ? -ERESTARTSYS : -ETIMEDOUT;
        }
    }
}

int mqueue_check(struct file *file, bool writing, size_t *ret_size)
{
    if (file->ops != &mqueue_file_ops || !(file->mode & (writing ? FILE_WRITE : FILE_READ))) {
        return -EBADF;
    }
    *ret_size = mqueue_of(file->inode)->size;
    return 0;
}

int mqueue_send(struct file *file, struct mqueue_message *message, uint64_t deadline_ns)
{
    struct mqueue_inode *queue = mqueue_of(file->inode);
    struct mqueue_waiter waiter = {.task = current_task(), .message = message};
    struct mqueue_notification notification = {0};
    struct process *process = NULL;
    int result = 0;
    task_sleep_prepare();
    mutex_lock(&queue->lock);
    struct mqueue_waiter *receiver = TAILQ_FIRST(&queue->receivers);
    bool full = queue->count >= queue->most;
    if (receiver && !full) {
        receiver->message = message;
        finish(&queue->receivers, receiver);
    } else if (!full) {
        put_locked(queue, message);
        if (queue->count == 1 && queue->notified) {
            unregister_locked(queue, &process, &notification);
        }
    } else if (atomic_load(&file->flags) & O_NONBLOCK) {
        result = -EAGAIN;
    } else {
        TAILQ_INSERT_TAIL(&queue->senders, &waiter, link);
    }
    mutex_unlock(&queue->lock);
    if (full && result == 0) {
        return wait_for(queue, &queue->senders, &waiter, deadline_ns);
    }
    if (result == 0) {
        notify(process, &notification, WOKEN);
        wait_queue_wake(&queue->queue, EPOLLIN | EPOLLRDNORM);
    }
    return result;
}

int mqueue_receive(struct file *file, uint64_t deadline_ns, struct mqueue_message **ret_message)
{
    struct mqueue_inode *queue = mqueue_of(file->inode);
    struct mqueue_waiter waiter = {.task = current_task()};
    task_sleep_prepare();
    mutex_lock(&queue->lock);
    struct mqueue_message *message = TAILQ_FIRST(&queue->messages);
    if (message) {
        TAILQ_REMOVE(&queue->messages, message, link);
        queue->count--;
        queue->bytes -= message->length;
        struct mqueue_waiter *sender = TAILQ_FIRST(&queue->senders);
        if (sender) {
            put_locked(queue, sender->message);
            finish(&queue->senders, sender);
        }
        mutex_unlock(&queue->lock);
        wait_queue_wake(&queue->queue, EPOLLOUT | EPOLLWRNORM);
        *ret_message = message;
        return 0;
    }
    bool nonblock = atomic_load(&file->flags) & O_NONBLOCK;
    if (!nonblock) {
        TAILQ_INSERT_TAIL(&queue->receivers, &waiter, link);
    }
    mutex_unlock(&queue->lock);
    int result = nonblock ? -EAGAIN : wait_for(queue, &queue->receivers, &waiter, deadline_ns);
    if (result == 0) {
        *ret_message = waiter.message;
    }
    return result;
}

int mqueue_notify(struct file *file, struct mqueue_notification *notification)
{
    struct process *process = NULL;
    struct mqueue_notification old = {0};
    struct file *socket = notification ? notification->socket : NULL;
    int result = 0;
    if (file->ops != &mqueue_file_ops) {
        file_unref(socket);
        return -EBADF;
    }
    struct mqueue_inode *queue = mqueue_of(file->inode);
    mutex_lock(&queue->lock);
    if (!notification) {
        if (queue->notified == current_task()->process) {
            unregister_locked(queue, &process, &old);
        }
    } else if (queue->notified) {
        result = -EBUSY;
    } else {
        queue->notified = process_ref(current_task()->process);
        queue->notification = *notification;
        socket = NULL;
    }
    mutex_unlock(&queue->lock);
    notify(process, &old, REMOVED);
    file_unref(socket);
    return result;
}

int mqueue_get_attr(struct file *file, struct mq_attr *ret_attr)
{
    if (file->ops != &mqueue_file_ops) {
        return -EBADF;
    }
    struct mqueue_inode *queue = mqueue_of(file->inode);
    memset(ret_attr, 0, sizeof(*ret_attr));
    mutex_lock(&queue->lock);
    ret_attr->mq_flags = atomic_load(&file->flags) & O_NONBLOCK;
    ret_attr->mq_maxmsg = (long)queue->most;
    ret_attr->mq_msgsize = (long)queue->size;
    ret_attr->mq_curmsgs = (long)queue->count;
    mutex_unlock(&queue->lock);
    return 0;
}

int mqueue_set_attr(struct file *file, const struct mq_attr *attr)
{
    if (file->ops != &mqueue_file_ops) {
        return -EBADF;
    }
    if (attr->mq_flags & O_NONBLOCK) {
        atomic_fetch_or(&file->flags, O_NONBLOCK);
    } else {
        atomic_fetch_and(&file->flags, ~(unsigned)O_NONBLOCK);
    }
    return 0;
}

/* --- as a file --- */

static ssize_t mqueue_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    struct mqueue_inode *queue = mqueue_of(file->inode);
    auto_text struct text text = TEXT_INIT;
    (void)flags;
    mutex_lock(&queue->lock);
    bool told = queue->notified != NULL;
    text_printf(&text, "QSIZE:%-10llu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n",
                (unsigned long long)queue->bytes, told ? queue->notification.how : 0,
                told && queue->notification.how == SIGEV_SIGNAL ? queue->notification.signo : 0,
                told ? queue->notified->tgid : 0);
    mutex_unlock(&queue->lock);
    if (text.failed || offset >= text.length) {
        return text.failed ? -ENOMEM : 0;
    }
    return uio_put(uio, text.data + offset, min_of(uio->left, (uint64_t)(text.length - offset)));
}

static uint32_t mqueue_poll(struct file *file)
{
    struct mqueue_inode *queue = mqueue_of(file->inode);
    mutex_lock_nested(&queue->lock);
    uint32_t events = queue->count > 0 ? EPOLLIN | EPOLLRDNORM : 0;
    events |= queue->count < queue->most ? EPOLLOUT | EPOLLWRNORM : 0;
    mutex_unlock(&queue->lock);
    return events;
}

static struct wait_queue *mqueue_wait_queue(struct file *file)
{
    return &mqueue_of(file->inode)->queue;
}

/* Linux: whoever is registered and closes any descriptor of the queue is so no more. */
static void mqueue_flush(struct file *file)
{
    struct mqueue_inode *queue = mqueue_of(file->inode);
    struct process *process = NULL;
    struct mqueue_notification old = {0};
    mutex_lock(&queue->lock);
    if (queue->notified && current.task && queue->notified == current_task()->process) {
        unregister_locked(queue, &process, &old);
    }
    mutex_unlock(&queue->lock);
    notify(process, &old, REMOVED);
}

const struct file_ops mqueue_file_ops = {
    .read = mqueue_read,
    .poll = mqueue_poll,
    .wait_queue = mqueue_wait_queue,
    .flush = mqueue_flush,
};
