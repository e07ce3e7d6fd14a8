/*
 * blocking.c: waiting for files. File operations never sleep; these loops do, without any lock.
 *
 * Linux: a blocking read returns what there is; a blocking write to a pipe or stream goes on until
 * all is written, and a signal then gives the partial count.
 */
#include "syscalls/blocking.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "sentry/core/clock.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/uio.h"
#include "sentry/net/socket.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/file_lease.h"
#include "sentry/vfs/inode.h"

void blocking_begin(struct blocking_wait *wait, struct wait_queue *queue, uint32_t events,
                    uint64_t deadline_ns)
{
    wait->queue = queue;
    wait->deadline_ns = deadline_ns;
    wait->error = 0;
    wait->queued = false;
    wait->entry = (struct wait_entry){
        .events = events, .wake = wait_wake_sleeper, .owner = &current_task()->sleeper};
}

int blocking_next(struct blocking_wait *wait)
{
    if (wait->error < 0) {
        return wait->error;
    }
    if (!wait->queue) {
        return -EAGAIN;
    }
    if (!wait->queued) {
        task_sleep_prepare();
        wait_queue_add(wait->queue, &wait->entry);
        wait->queued = true;
        return 0;
    }
    wait->error = task_sleep(wait->deadline_ns);
    task_sleep_prepare();
    return 0;
}

void blocking_end(struct blocking_wait *wait)
{
    if (wait->queued) {
        wait_queue_remove(&wait->entry);
    }
}

int blocking_wait_file(struct file *file, uint32_t events, uint64_t deadline_ns)
{
    struct blocking_wait wait;
    int error = 0;
    events |= EPOLLERR | EPOLLHUP;
    blocking_begin(&wait, file_wait_queue(file), events, deadline_ns);
    while (error == 0 && (file_poll(file) & events) == 0) {
        error = blocking_next(&wait);
    }
    blocking_end(&wait);
    return error;
}

int blocking_wait_queue(struct wait_queue *queue, uint32_t events, bool (*ready)(void *context),
                        void *context, uint64_t deadline_ns)
{
    struct blocking_wait wait;
    int error = 0;
    blocking_begin(&wait, queue, events, deadline_ns);
    while (error == 0 && !ready(context)) {
        error = blocking_next(&wait);
    }
    blocking_end(&wait);
    return error;
}

int blocking_wait_lease(int (*operation)(void *context), void *context)
{
    int result = operation(context);
    if (result != LEASE_WAIT) {
        return result;
    }
    struct blocking_wait wait;
    blocking_begin(&wait, lease_wait_queue(), BLOCKING_ANY, SLEEP_FOREVER);
    while (result == LEASE_WAIT) {
        wait.deadline_ns = lease_deadline();
        int error = blocking_next(&wait);
        if (error < 0) {
            result = error;
            break;
        }
        wait.error = wait.error == -ETIMEDOUT ? 0 : wait.error; /* the lease has expired now */
        result = operation(context);
    }
    blocking_end(&wait);
    return result;
}

static bool may_block(struct file *file, int flags)
{
    return (atomic_load(&file->flags) & O_NONBLOCK) == 0 && (flags & RWF_NOWAIT) == 0;
}

uint64_t blocking_socket_deadline(struct file *file, bool sending)
{
    if (!S_ISSOCK(file->inode->mode)) {
        return SLEEP_FOREVER;
    }
    uint64_t timeout = socket_timeout(file, sending);
    return timeout == SLEEP_FOREVER ? timeout : ns_add(clock_monotonic_ns(), timeout);
}

int blocking_socket_error(int error, uint64_t deadline_ns)
{
    if (error == -ETIMEDOUT) {
        return -EAGAIN;
    }
    /* Linux: sock_intr_errno: a call with a timeout is never restarted */
    return error == -ERESTARTSYS && deadline_ns != SLEEP_FOREVER ? -EINTR : error;
}

ssize_t blocking_read(struct file *file, struct uio *uio, const uint64_t *pos, int flags)
{
    ssize_t count = file_read(file, uio, pos, flags);
    if (count != -EAGAIN || !may_block(file, flags)) {
        return count;
    }
    struct blocking_wait wait;
    uint64_t deadline = blocking_socket_deadline(file, false);
    blocking_begin(&wait, file_wait_queue(file), BLOCKING_IN, deadline);
    do {
        int error = blocking_next(&wait);
        if (error < 0) {
            count = blocking_socket_error(error, deadline);
            break;
        }
        count = file_read(file, uio, pos, flags);
    } while (count == -EAGAIN);
    blocking_end(&wait);
    return count;
}

/* Linux: these go on after a partial write; eventfd, regular files and the rest return it. */
static bool writes_all(const struct file *file)
{
    return S_ISFIFO(file->inode->mode) || S_ISSOCK(file->inode->mode) ||
           (S_ISCHR(file->inode->mode) && file_is_stream(file));
}

ssize_t blocking_write(struct file *file, struct uio *uio, const uint64_t *pos, int flags)
{
    ssize_t count = file_write(file, uio, pos, flags);
    bool go_on = count > 0 && uio->left > 0 && writes_all(file);
    if ((count != -EAGAIN && !go_on) || !may_block(file, flags)) {
        return count;
    }
    ssize_t total = go_on ? count : 0;
    struct blocking_wait wait;
    uint64_t deadline = blocking_socket_deadline(file, true);
    blocking_begin(&wait, file_wait_queue(file), BLOCKING_OUT, deadline);
    for (;;) {
        if (count == -EAGAIN) {
            int error = blocking_next(&wait);
            if (error < 0) {
                count = blocking_socket_error(error, deadline);
                break;
            }
        }
        count = file_write(file, uio, pos, flags);
        if (count > 0) {
            total += count;
        }
        if (count != -EAGAIN && (count <= 0 || uio->left == 0 || !writes_all(file))) {
            break;
        }
    }
    blocking_end(&wait);
    return total > 0 ? total : count;
}
