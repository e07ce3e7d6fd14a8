/*
 * uio.h: the other end of a read or a write: guest memory or a kernel buffer, in segments.
 *
 * File implementations move bytes with uio_put (read: towards the user) and uio_get (write: from
 * the user). Both return the count moved, which is short only when a fault came after some bytes,
 * or -EFAULT when none could be moved. uio->left is what remains.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "platform/base/compiler.h"

struct mm;

#define UIO_MAX_SEGMENTS 1024          /* Linux: UIO_MAXIOV */
#define UIO_MAX_LENGTH   0x7ffff000ULL /* Linux: MAX_RW_COUNT */

struct uio_segment {
    uint64_t addr; /* guest address, or sentry pointer when uio->kernel */
    uint64_t length;
};

struct uio {
    struct mm *mm; /* borrowed; NULL: segments are sentry memory */
    struct uio_segment *segments;
    uint32_t count, index;
    uint64_t offset;           /* within segments[index] */
    uint64_t left;             /* bytes still to move */
    struct uio_segment single; /* storage when count is 1 */
    struct uio_segment *owned; /* freed by uio_fini */
};

/* One guest buffer. Lengths above UIO_MAX_LENGTH are cut to it, as Linux does. */
void uio_init_guest(struct uio *uio, struct mm *mm, uint64_t addr, uint64_t length);
/* Guest struct iovec array of count entries. -EINVAL, -EFAULT, -ENOMEM as readv(2). */
int uio_init_guest_vector(struct uio *uio, struct mm *mm, uint64_t iov, uint64_t count) must_check;
void uio_init_kernel(struct uio *uio, void *buffer, size_t length);
void uio_fini(struct uio *uio);

ssize_t uio_put(struct uio *uio, const void *data, size_t length) must_check;
ssize_t uio_get(struct uio *uio, void *data, size_t length) must_check;
/* Puts zeroes. */
ssize_t uio_put_zero(struct uio *uio, size_t length) must_check;
/* Goes back by count bytes that were moved. */
void uio_rewind(struct uio *uio, uint64_t count);
/* Limits what may still be moved to length bytes. */
void uio_truncate(struct uio *uio, uint64_t length);

/*
 * pread/pwrite on a host fd through a bounce buffer. offset -1: the fd's own position is not used;
 * read(2)/write(2) instead (standard streams, sockets). Return the count or negative errno.
 */
ssize_t uio_read_host(struct uio *uio, int fd, int64_t offset) must_check;
ssize_t uio_write_host(struct uio *uio, int fd, int64_t offset) must_check;
