/*
 * pipe.c: the ring of a pipe, and the file operations of its ends.
 *
 * All of the state is under pipe->lock; guest memory is copied under it (allowed below
 * RANK_SERVICE). Nothing sleeps: a full or empty pipe answers -EAGAIN or a short count. Memory is
 * allocated when bytes are written and freed when they were read, but for one spare page.
 */
#include "sentry/fs/anon/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/core/tunables.h"
#include "sentry/fs/anon/pipe_internal.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/inode.h"

#define PIPE_MAX_BYTES (1U << 20) /* /proc/sys/fs/pipe-max-size */

/* --- the ring --- */

struct pipe *pipe_alloc(void)
{
    struct pipe *pipe = calloc(1, sizeof(*pipe));
    if (!pipe) {
        return NULL;
    }
    refcount_init(&pipe->ref);
    mutex_init(&pipe->lock, RANK_PIPE);
    wait_queue_init(&pipe->queue);
    TAILQ_INIT(&pipe->chunks);
    pipe->capacity = PIPE_DEFAULT_SLOTS;
    return pipe;
}

struct pipe *pipe_ref(struct pipe *pipe)
{
    refcount_get(&pipe->ref);
    return pipe;
}

struct pipe *pipe_unref(struct pipe *pipe)
{
    if (pipe && refcount_put(&pipe->ref)) {
        struct pipe_chunk *chunk;
        while ((chunk = TAILQ_FIRST(&pipe->chunks))) {
            TAILQ_REMOVE(&pipe->chunks, chunk, link);
            free(chunk);
        }
        free(pipe->spare);
        wait_queue_fini(&pipe->queue);
        mutex_fini(&pipe->lock);
        free(pipe);
    }
    return NULL;
}

struct pipe_chunk *pipe_chunk_new_locked(struct pipe *pipe, uint32_t slots)
{
    struct pipe_chunk *chunk = pipe->spare;
    if (chunk && slots == 1) {
        pipe->spare = NULL;
    } else {
        chunk = malloc(sizeof(*chunk) + (size_t)slots * PIPE_PAGE);
        if (!chunk) {
            return NULL;
        }
    }
    chunk->slots = slots;
    chunk->offset = chunk->length = 0;
    chunk->packet = false;
    return chunk;
}

void pipe_chunk_free_locked(struct pipe *pipe, struct pipe_chunk *chunk)
{
    if (chunk->slots == 1 && !pipe->spare) {
        pipe->spare = chunk;
    } else {
        free(chunk);
    }
}

uint32_t pipe_chunk_used(const struct pipe_chunk *chunk)
{
    return chunk->slots - chunk->offset / PIPE_PAGE;
}

void pipe_consume_locked(struct pipe *pipe, uint32_t count)
{
    struct pipe_chunk *chunk = TAILQ_FIRST(&pipe->chunks);
    uint32_t before = pipe_chunk_used(chunk);
    chunk->offset += count;
    chunk->length -= count;
    if (chunk->length == 0 || chunk->packet) {
        TAILQ_REMOVE(&pipe->chunks, chunk, link);
        pipe->used -= before;
        pipe_chunk_free_locked(pipe, chunk);
    } else {
        pipe->used -= before - pipe_chunk_used(chunk);
    }
}

int pipe_broken(void)
{
    if (current_hooks.send_signal) {
        current_hooks.send_signal(SIGPIPE);
    }
    return -EPIPE;
}

/* --- read and write --- */

ssize_t pipe_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)offset;
    (void)flags;
    struct pipe *pipe = pipe_end_of(file)->pipe;
    ssize_t done = 0;
    if (uio->left == 0) {
        return 0;
    }
    mutex_lock(&pipe->lock);
    bool was_full = pipe->used >= pipe->capacity;
    struct pipe_chunk *chunk;
    while (uio->left > 0 && (chunk = TAILQ_FIRST(&pipe->chunks))) {
        bool packet = chunk->packet;
        uint32_t length = (uint32_t)min_of(uio->left, (uint64_t)chunk->length);
        ssize_t put = uio_put(uio, chunk->data + chunk->offset, length);
        if (put < 0) {
            done = done > 0 ? done : put;
            break;
        }
        done += put;
        if ((uint32_t)put < length) {
            /* A fault: what was not copied stays. */
            if (put > 0) {
                chunk->packet = false;
                pipe_consume_locked(pipe, (uint32_t)put);
                if (chunk == TAILQ_FIRST(&pipe->chunks)) {
                    chunk->packet = packet;
                }
            }
            break;
        }
        pipe_consume_locked(pipe, length);
        if (packet) {
            break;
        }
    }
    if (done == 0) {
        done = pipe->writers > 0 || pipe->detached > 0 ? -EAGAIN : 0;
    }
    bool wake = was_full && pipe->used < pipe->capacity;
    mutex_unlock(&pipe->lock);
    if (wake) {
        wait_queue_wake(&pipe->queue, EPOLLOUT | EPOLLWRNORM);
    }
    return done;
}

/* Linux: a write whose last partial page fits behind the last bytes goes there first. */
static ssize_t merge_locked(struct pipe *pipe, struct uio *uio)
{
    struct pipe_chunk *last = TAILQ_LAST(&pipe->chunks, pipe_chunk_list);
    uint32_t tail = (uint32_t)(uio->left % PIPE_PAGE);
    if (!last || last->packet || tail == 0) {
        return 0;
    }
    uint32_t end = last->offset + last->length;
    if (last->slots * PIPE_PAGE - end < tail) {
        return 0;
    }
    ssize_t got = uio_get(uio, last->data + end, tail);
    if (got > 0) {
        last->length += (uint32_t)got;
    }
    return got;
}

/* Appends one chunk. Returns the count, -EFAULT, -ENOMEM, or -EAGAIN when full. */
static ssize_t append_locked(struct pipe *pipe, struct uio *uio, bool packet)
{
    uint32_t room = pipe->used < pipe->capacity ? pipe->capacity - pipe->used : 0;
    uint64_t wanted = (uio->left + PIPE_PAGE - 1) / PIPE_PAGE;
    uint32_t slots = (uint32_t)min_of(wanted, (uint64_t)min_of(room, PIPE_MAX_CHUNK));
    if (slots == 0) {
        return -EAGAIN;
    }
    if (packet) {
        slots = 1;
    }
    struct pipe_chunk *chunk = pipe_chunk_new_locked(pipe, slots);
    if (!chunk) {
        return -ENOMEM;
    }
    ssize_t got = uio_get(uio, chunk->data, min_of(uio->left, (uint64_t)slots * PIPE_PAGE));
    if (got <= 0) {
        pipe_chunk_free_locked(pipe, chunk);
        return got;
    }
    chunk->length = (uint32_t)got;
    chunk->slots = (uint32_t)((got + PIPE_PAGE - 1) / PIPE_PAGE);
    chunk->packet = packet;
    pipe->used += chunk->slots;
    TAILQ_INSERT_TAIL(&pipe->chunks, chunk, link);
    return got;
}

ssize_t pipe_write(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)offset;
    (void)flags;
    struct pipe *pipe = pipe_end_of(file)->pipe;
    bool packet = (atomic_load(&file->flags) & O_DIRECT) != 0;
    ssize_t done = 0;
    ssize_t result = 0;
    if (uio->left == 0) {
        return 0;
    }
    mutex_lock(&pipe->lock);
    if (pipe->readers == 0) {
        mutex_unlock(&pipe->lock);
        return pipe_broken();
    }
    bool was_empty = TAILQ_EMPTY(&pipe->chunks);
    if (!packet) {
        result = merge_locked(pipe, uio);
        done = result > 0 ? result : 0;
    }
    while (result >= 0 && uio->left > 0) {
        result = append_locked(pipe, uio, packet);
        done += result > 0 ? result : 0;
    }
    bool wake = done > 0 && (was_empty || pipe->polled);
    mutex_unlock(&pipe->lock);
    if (wake) {
        wait_queue_wake(&pipe->queue, EPOLLIN | EPOLLRDNORM);
    }
    return done > 0 ? done : result;
}

/* --- the rest of a file --- */

uint32_t pipe_poll(struct file *file)
{
    struct pipe_end *end = pipe_end_of(file);
    struct pipe *pipe = end->pipe;
    uint32_t mask = 0;
    mutex_lock_nested(&pipe->lock);
    pipe->polled = true;
    if (file->mode & FILE_READ) {
        if (!TAILQ_EMPTY(&pipe->chunks)) {
            mask |= EPOLLIN | EPOLLRDNORM;
        }
        /* Linux: a reader that opened a FIFO before any writer sees no hang-up until one came. */
        if (pipe->writers == 0 && end->seen_writers != pipe->writer_opens) {
            mask |= EPOLLHUP;
        }
    }
    if (file->mode & FILE_WRITE) {
        if (pipe->used < pipe->capacity) {
            mask |= EPOLLOUT | EPOLLWRNORM;
        }
        if (pipe->readers == 0) {
            mask |= EPOLLERR;
        }
    }
    mutex_unlock(&pipe->lock);
    return mask;
}

struct wait_queue *pipe_wait_queue(struct file *file)
{
    return &pipe_end_of(file)->pipe->queue;
}

long pipe_ioctl(struct file *file, unsigned command, uint64_t argument)
{
    struct pipe *pipe = pipe_end_of(file)->pipe;
    struct pipe_chunk *chunk;
    int count = 0;
    if (command != FIONREAD) {
        return -ENOTTY;
    }
    mutex_lock(&pipe->lock);
    TAILQ_FOREACH (chunk, &pipe->chunks, link) {
        count += (int)chunk->length;
    }
    mutex_unlock(&pipe->lock);
    struct uio uio;
    uio_init_guest(&uio, current.mm, argument, sizeof(count));
    ssize_t put = uio_put(&uio, &count, sizeof(count));
    return put == sizeof(count) ? 0 : -EFAULT;
}

void pipe_release(struct file *file)
{
    struct pipe_end *end = pipe_end_of(file);
    struct pipe *pipe = end->pipe;
    mutex_lock(&pipe->lock);
    if (end->mode & FILE_READ) {
        pipe->readers--;
    }
    if (end->mode & FILE_WRITE) {
        pipe->writers--;
    }
    bool alone = pipe->readers == 0 || pipe->writers == 0;
    if (pipe->readers == 0 && pipe->writers == 0) {
        /* A FIFO forgets its contents when nobody has it open. */
        while (!TAILQ_EMPTY(&pipe->chunks)) {
            pipe_consume_locked(pipe, TAILQ_FIRST(&pipe->chunks)->length);
        }
    }
    mutex_unlock(&pipe->lock);
    if (alone) {
        wait_queue_wake(&pipe->queue,
                        EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM | EPOLLERR | EPOLLHUP);
    }
    pipe_unref(pipe);
    free(end);
}

const struct file_ops pipe_file_ops = {
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .wait_queue = pipe_wait_queue,
    .ioctl = pipe_ioctl,
    .release = pipe_release,
    .anon_name = "pipe",
};

/* peer: the other end, whose inode it shares; NULL for the first. */
static int end_new(struct pipe *pipe, struct file *peer, unsigned mode, unsigned flags,
                   struct file **ret_file)
{
    struct pipe_end *end = calloc(1, sizeof(*end));
    if (!end) {
        return -ENOMEM;
    }
    end->pipe = pipe;
    end->mode = mode;
    end->seen_writers = UINT64_MAX;
    int result =
        peer ? file_new(peer->inode, NULL, &pipe_file_ops, mode | FILE_STREAM, flags, end, ret_file)
             : file_new_anon(&pipe_file_ops, S_IFIFO | 0600, mode | FILE_STREAM, flags, end,
                             ret_file);
    if (result != 0) {
        free(end);
        return result;
    }
    pipe_ref(pipe);
    return 0;
}

int pipe_new(unsigned flags, struct file **ret_read, struct file **ret_write)
{
    struct pipe *pipe = pipe_alloc();
    if (!pipe) {
        return -ENOMEM;
    }
    struct file *reader;
    flags &= O_NONBLOCK | O_DIRECT;
    pipe->readers = pipe->writers = 1;
    pipe->reader_opens = pipe->writer_opens = 1;
    int result = end_new(pipe, NULL, FILE_READ, (flags & O_NONBLOCK) | O_RDONLY, &reader);
    if (result == 0) {
        pipe->anonymous = true;
        atomic_store(&reader->inode->bound, pipe_ref(pipe));
        result = end_new(pipe, reader, FILE_WRITE, flags | O_WRONLY, ret_write);
        if (result == 0) {
            *ret_read = reader;
        } else {
            file_unref(reader);
        }
    }
    pipe_unref(pipe);
    return result;
}

bool file_is_pipe(const struct file *file)
{
    return file->ops == &pipe_file_ops || file->ops == &fifo_file_ops;
}

int pipe_get_size(struct file *file)
{
    if (!file_is_pipe(file)) {
        return -EBADF;
    }
    struct pipe *pipe = pipe_end_of(file)->pipe;
    mutex_lock(&pipe->lock);
    int size = (int)(pipe->capacity * PIPE_PAGE);
    mutex_unlock(&pipe->lock);
    return size;
}

int pipe_set_size(struct file *file, uint64_t size)
{
    if (!file_is_pipe(file)) {
        return -EBADF;
    }
    if (size > (1U << 31)) {
        return -EINVAL;
    }
    uint32_t slots = 1;
    while ((uint64_t)slots * PIPE_PAGE < size) {
        slots *= 2;
    }
    struct pipe *pipe = pipe_end_of(file)->pipe;
    int result = (int)(slots * PIPE_PAGE);
    bool wake = false;
    mutex_lock(&pipe->lock);
    uint64_t bytes = slots * (uint64_t)PIPE_PAGE;
    bool limited = bytes > tunables.pipe_max_size && !capable(CAP_SYS_RESOURCE);
    if (slots > pipe->capacity && (limited || bytes > PIPE_MAX_BYTES)) {
        /* DIFFERS: root may go beyond pipe-max-size on Linux; here the bound protects the sentry.
         */
        result = -EPERM;
    } else if (pipe->used > slots) {
        result = -EBUSY;
    } else {
        wake = pipe->used >= pipe->capacity && slots > pipe->capacity;
        pipe->capacity = slots;
    }
    mutex_unlock(&pipe->lock);
    if (wake) {
        wait_queue_wake(&pipe->queue, EPOLLOUT | EPOLLWRNORM);
    }
    return result;
}
