/* uio.c: moving bytes between an implementation and the segments of a read or a write. */
#include "sentry/mm/uio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sentry/mm/mm.h"

#define BOUNCE_SIZE (64 * 1024)

void uio_init_guest(struct uio *uio, struct mm *mm, uint64_t addr, uint64_t length)
{
    length = min_of(length, (uint64_t)UIO_MAX_LENGTH);
    *uio = (struct uio){.mm = mm, .count = 1, .left = length};
    uio->single = (struct uio_segment){.addr = addr, .length = length};
    uio->segments = NULL;
}

void uio_init_kernel(struct uio *uio, void *buffer, size_t length)
{
    *uio = (struct uio){.count = 1, .left = length};
    uio->single = (struct uio_segment){.addr = (uint64_t)(uintptr_t)buffer, .length = length};
}

int uio_init_guest_vector(struct uio *uio, struct mm *mm, uint64_t iov, uint64_t count)
{
    *uio = (struct uio){.mm = mm};
    if (count > UIO_MAX_SEGMENTS) {
        return -EINVAL;
    }
    if (count == 0) {
        return 0;
    }
    struct uio_segment *segments = malloc(count * sizeof(*segments));
    if (!segments) {
        return -ENOMEM;
    }
    int result = mm_copy_in(mm, iov, segments, count * sizeof(*segments));
    uint64_t total = 0;
    for (uint64_t i = 0; result == 0 && i < count; i++) {
        if ((int64_t)segments[i].length < 0) {
            result = -EINVAL;
            break;
        }
        segments[i].length = min_of(segments[i].length, UIO_MAX_LENGTH - total);
        total += segments[i].length;
    }
    if (result != 0) {
        free(segments);
        return result;
    }
    uio->segments = uio->owned = segments;
    uio->count = (uint32_t)count;
    uio->left = total;
    return 0;
}

void uio_fini(struct uio *uio)
{
    free(uio->owned);
    uio->owned = NULL;
}

static struct uio_segment *segment_at(struct uio *uio, uint32_t index)
{
    return uio->segments ? &uio->segments[index] : &uio->single;
}

static ssize_t move_segment(struct uio *uio, uint64_t addr, void *data, size_t length, bool put)
{
    if (!uio->mm) {
        void *memory = (void *)(uintptr_t)addr;
        if (put) {
            memcpy(memory, data, length);
        } else {
            memcpy(data, memory, length);
        }
        return (ssize_t)length;
    }
    return put ? mm_copy_out_some(uio->mm, addr, data, length)
               : mm_copy_in_some(uio->mm, addr, data, length);
}

static ssize_t uio_move(struct uio *uio, void *data, size_t length, bool put)
{
    size_t done = 0;
    length = min_of((uint64_t)length, uio->left);
    while (done < length) {
        struct uio_segment *segment = segment_at(uio, uio->index);
        uint64_t room = segment->length - uio->offset;
        if (room == 0) {
            uio->index++;
            uio->offset = 0;
            continue;
        }
        size_t part = min_of(room, (uint64_t)(length - done));
        ssize_t moved =
            move_segment(uio, segment->addr + uio->offset, (char *)data + done, part, put);
        if (moved <= 0) {
            return done > 0 ? (ssize_t)done : -EFAULT;
        }
        uio->offset += (uint64_t)moved;
        uio->left -= (uint64_t)moved;
        done += (size_t)moved;
        if ((size_t)moved < part) {
            break;
        }
    }
    return (ssize_t)done;
}

ssize_t uio_put(struct uio *uio, const void *data, size_t length)
{
    return uio_move(uio, (void *)(uintptr_t)data, length, true);
}

ssize_t uio_get(struct uio *uio, void *data, size_t length)
{
    return uio_move(uio, data, length, false);
}

ssize_t uio_put_zero(struct uio *uio, size_t length)
{
    static const char zeroes[65536]; /* each piece is a host call when the user is a guest */
    size_t done = 0;
    while (done < length) {
        size_t part = min_of(length - done, sizeof(zeroes));
        ssize_t moved = uio_put(uio, zeroes, part);
        if (moved < 0) {
            return done > 0 ? (ssize_t)done : moved;
        }
        done += (size_t)moved;
        if ((size_t)moved < part) {
            break;
        }
    }
    return (ssize_t)done;
}

void uio_rewind(struct uio *uio, uint64_t count)
{
    uio->left += count;
    while (count > uio->offset) {
        count -= uio->offset;
        uio->index--;
        uio->offset = segment_at(uio, uio->index)->length;
    }
    uio->offset -= count;
}

void uio_truncate(struct uio *uio, uint64_t length)
{
    uio->left = min_of(uio->left, length);
}

/* A buffer of this thread, or a small one on the caller's stack when memory is short. */
static void *bounce_get(size_t want, size_t *ret_size, char *fallback, size_t fallback_size)
{
    if (want > fallback_size) {
        void *buffer = malloc(min_of(want, (size_t)BOUNCE_SIZE));
        if (buffer) {
            *ret_size = min_of(want, (size_t)BOUNCE_SIZE);
            return buffer;
        }
    }
    *ret_size = fallback_size;
    return fallback;
}

ssize_t uio_read_host(struct uio *uio, int fd, int64_t offset)
{
    char small[4096];
    size_t size;
    char *buffer = bounce_get(uio->left, &size, small, sizeof(small));
    ssize_t done = 0;
    while (uio->left > 0) {
        size_t part = min_of((uint64_t)size, uio->left);
        const struct iovec vector = {buffer, part};
        ssize_t got = preadv2(fd, &vector, 1, offset < 0 ? -1 : offset + done, 0);
        if (got <= 0) {
            if (got < 0 && done == 0) {
                done = -errno;
            }
            break;
        }
        ssize_t moved = uio_put(uio, buffer, (size_t)got);
        if (moved < 0) {
            done = done > 0 ? done : moved;
            break;
        }
        done += moved;
        if (moved < got || (size_t)got < part || offset < 0) {
            break;
        }
    }
    if (buffer != small) {
        free(buffer);
    }
    return done;
}

ssize_t uio_write_host(struct uio *uio, int fd, int64_t offset)
{
    char small[4096];
    size_t size;
    char *buffer = bounce_get(uio->left, &size, small, sizeof(small));
    ssize_t done = 0;
    while (uio->left > 0) {
        ssize_t got = uio_get(uio, buffer, min_of((uint64_t)size, uio->left));
        if (got <= 0) {
            done = done > 0 ? done : got;
            break;
        }
        ssize_t moved = offset < 0 ? write(fd, buffer, (size_t)got)
                                   : pwrite(fd, buffer, (size_t)got, offset + done);
        if (moved < 0) {
            int error = errno;
            uio_rewind(uio, (uint64_t)got);
            done = done > 0 ? done : -error;
            break;
        }
        done += moved;
        if (moved < got) {
            uio_rewind(uio, (uint64_t)(got - moved));
            break;
        }
    }
    if (buffer != small) {
        free(buffer);
    }
    return done;
}
