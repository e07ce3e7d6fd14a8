/*
 * blocking.h: the one place where a system call waits for a file to become ready.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/base/compiler.h"
#include "sentry/core/wait_queue.h"

struct file;
struct uio;

#define BLOCKING_IN                                                                                \
    (EPOLLIN | EPOLLRDNORM | EPOLLRDBAND | EPOLLPRI | EPOLLRDHUP | EPOLLERR | EPOLLHUP)
#define BLOCKING_OUT (EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND | EPOLLERR | EPOLLHUP)
#define BLOCKING_ANY (BLOCKING_IN | BLOCKING_OUT)

/*
 * The loop around an operation that answers -EAGAIN:
 *
 *     blocking_begin(&wait, queue, events, deadline);
 *     while ((result = operation()) == -EAGAIN && may_block) {
 *         int error = blocking_next(&wait);
 *         if (error < 0) { result = error; break; }
 *     }
 *     blocking_end(&wait);
 *
 * The operation runs again after the wait entry was queued (nothing is missed, whatever poll
 * says) and once more after a signal or the deadline (what came together with it is not lost).
 */
struct blocking_wait {
    struct wait_queue *queue;
    struct wait_entry entry;
    uint64_t deadline_ns;
    int error; /* what ended the wait: told after the last attempt */
    bool queued;
};

/* queue NULL: never becomes ready, so blocking_next gives -EAGAIN. */
void blocking_begin(struct blocking_wait *wait, struct wait_queue *queue, uint32_t events,
                    uint64_t deadline_ns);
/* 0: try again. -ERESTARTSYS: a signal. -ETIMEDOUT: the deadline (CLOCK_MONOTONIC). */
int blocking_next(struct blocking_wait *wait) must_check;
void blocking_end(struct blocking_wait *wait);

/*
 * Waits until one of events is ready on file, a signal comes (-ERESTARTSYS) or the monotonic
 * deadline passes (-ETIMEDOUT). Returns 0 to try again.
 */
int blocking_wait_file(struct file *file, uint32_t events, uint64_t deadline_ns) must_check;
/* The same on any queue: waits until ready(context) is true. */
int blocking_wait_queue(struct wait_queue *queue, uint32_t events, bool (*ready)(void *context),
                        void *context, uint64_t deadline_ns) must_check;
/* When SO_RCVTIMEO or SO_SNDTIMEO (sending) of a socket ends a wait that starts now. SLEEP_FOREVER
 * for other files and sockets without a timeout. */
uint64_t blocking_socket_deadline(struct file *file, bool sending);
/* What a wait that ended with error means for a call on a socket: -EAGAIN after a timeout; -EINTR
 * instead of a restart when a timeout was set. */
int blocking_socket_error(int error, uint64_t deadline_ns);
/* read/write that wait unless O_NONBLOCK (or RWF_NOWAIT); partial results and EINTR rules as Linux.
 */
ssize_t blocking_read(struct file *file, struct uio *uio, const uint64_t *pos,
                      int flags) must_check;
ssize_t blocking_write(struct file *file, struct uio *uio, const uint64_t *pos,
                       int flags) must_check;

/* Repeats operation(context) while it answers LEASE_WAIT (sentry/vfs/file_lease.h) and no signal
 * comes (-ERESTARTSYS). */
int blocking_wait_lease(int (*operation)(void *context), void *context) must_check;
