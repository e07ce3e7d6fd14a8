/* eventfd.c: event counters. The count is under the file's own lock of RANK_OBJECT. */
#include "sentry/fs/anon/eventfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "platform/base/text.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/file.h"

struct eventfd {
    struct mutex lock;
    uint64_t count; /* under lock; at most UINT64_MAX - 1 */
    bool semaphore;
    struct wait_queue queue;
};

static ssize_t eventfd_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)offset;
    (void)flags;
    struct eventfd *event = file->private_data;
    if (uio->left < sizeof(uint64_t)) {
        return -EINVAL;
    }
    mutex_lock(&event->lock);
    if (event->count == 0) {
        mutex_unlock(&event->lock);
        return -EAGAIN;
    }
    uint64_t value = event->semaphore ? 1 : event->count;
    event->count -= value;
    mutex_unlock(&event->lock);
    wait_queue_wake(&event->queue, EPOLLOUT | EPOLLWRNORM);
    ssize_t put = uio_put(uio, &value, sizeof(value));
    return put == sizeof(value) ? put : -EFAULT;
}

static ssize_t eventfd_write(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)offset;
    (void)flags;
    struct eventfd *event = file->private_data;
    uint64_t value;
    if (uio->left < sizeof(value)) {
        return -EINVAL;
    }
    ssize_t got = uio_get(uio, &value, sizeof(value));
    if (got != sizeof(value)) {
        return -EFAULT;
    }
    if (value == UINT64_MAX) {
        return -EINVAL;
    }
    mutex_lock(&event->lock);
    if (UINT64_MAX - event->count <= value) {
        mutex_unlock(&event->lock);
        uio_rewind(uio, sizeof(value)); /* the caller waits and writes the same bytes again */
        return -EAGAIN;
    }
    event->count += value;
    mutex_unlock(&event->lock);
    wait_queue_wake(&event->queue, EPOLLIN | EPOLLRDNORM);
    return sizeof(value);
}

static uint32_t eventfd_poll(struct file *file)
{
    struct eventfd *event = file->private_data;
    uint32_t mask = 0;
    mutex_lock_nested(&event->lock);
    if (event->count > 0) {
        mask |= EPOLLIN;
    }
    if (event->count == UINT64_MAX) {
        mask |= EPOLLERR; /* only eventfd_signal gets there */
    }
    if (event->count < UINT64_MAX - 1) {
        mask |= EPOLLOUT;
    }
    mutex_unlock(&event->lock);
    return mask;
}

static struct wait_queue *eventfd_wait_queue(struct file *file)
{
    struct eventfd *event = file->private_data;
    return &event->queue;
}

static void eventfd_show_fdinfo(struct file *file, struct text *text)
{
    struct eventfd *event = file->private_data;
    mutex_lock(&event->lock);
    uint64_t count = event->count;
    mutex_unlock(&event->lock);
    text_printf(text, "eventfd-count: %16llx\neventfd-id: %llu\neventfd-semaphore: %d\n",
                (unsigned long long)count, (unsigned long long)file->id, event->semaphore);
}

static void eventfd_release(struct file *file)
{
    struct eventfd *event = file->private_data;
    wait_queue_fini(&event->queue);
    mutex_fini(&event->lock);
    free(event);
}

static const struct file_ops eventfd_file_ops = {
    .seek = file_seek_nothing,
    .read = eventfd_read,
    .write = eventfd_write,
    .poll = eventfd_poll,
    .wait_queue = eventfd_wait_queue,
    .release = eventfd_release,
    .show_fdinfo = eventfd_show_fdinfo,
    .anon_name = "[eventfd]",
};

int eventfd_new(uint64_t initial, bool semaphore, unsigned flags, struct file **ret_file)
{
    struct eventfd *event = calloc(1, sizeof(*event));
    if (!event) {
        return -ENOMEM;
    }
    mutex_init(&event->lock, RANK_OBJECT);
    wait_queue_init(&event->queue);
    event->count = initial;
    event->semaphore = semaphore;
    int result = file_new_anon(&eventfd_file_ops, 0600, FILE_READ | FILE_WRITE | FILE_STREAM,
                               (flags & O_NONBLOCK) | O_RDWR, event, ret_file);
    if (result != 0) {
        wait_queue_fini(&event->queue);
        mutex_fini(&event->lock);
        free(event);
    }
    return result;
}

void eventfd_signal(struct file *file)
{
    struct eventfd *event = file->private_data;
    mutex_lock(&event->lock);
    event->count += event->count < UINT64_MAX;
    bool full = event->count == UINT64_MAX;
    mutex_unlock(&event->lock);
    wait_queue_wake(&event->queue, EPOLLIN | EPOLLRDNORM | (full ? EPOLLERR : 0U));
}

bool file_is_eventfd(const struct file *file)
{
    return file->ops == &eventfd_file_ops;
}
