/*
 * blocking.h: the one place where a system call waits for a file to become ready.
 */
#pragma once

#include <stdint.h>

#include "platform/base/compiler.h"
#include "sentry/core/wait_queue.h"

struct file;
struct uio;

/*
 * Waits until one of events is ready on file, a signal comes (-ERESTARTSYS) or the monotonic deadline
 * passes (-ETIMEDOUT). Returns 0 to try again.
 */
int blocking_wait_file(struct file *file, uint32_t events, uint64_t deadline_ns) must_check;
/* The same on any queue: waits until ready(context) is true. */
int blocking_wait_queue(struct wait_queue *queue, uint32_t events, bool (*ready)(void *context),
                        void *context, uint64_t deadline_ns) must_check;
/* read/write that wait unless O_NONBLOCK (or RWF_NOWAIT); partial results and EINTR rules as Linux. */
ssize_t blocking_read(struct file *file, struct uio *uio, const uint64_t *pos,
                      int flags) must_check;
ssize_t blocking_write(struct file *file, struct uio *uio, const uint64_t *pos,
                       int flags) must_check;
