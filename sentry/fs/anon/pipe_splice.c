/*
 * pipe_splice.c: moving bytes between pipes and files through kernel memory, for splice and tee.
 *
 * The other file is read or written without the pipe's lock (its locks rank lower): slots are
 * reserved, or chunks taken off the ring, before; what could not be written goes back to the front.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/anon/pipe.h"
#include "sentry/fs/anon/pipe_internal.h"
#include "sentry/mm/uio.h"

static void wake_readers(struct pipe *pipe)
{
    wait_queue_wake(&pipe->queue, EPOLLIN | EPOLLRDNORM);
}

static void wake_writers(struct pipe *pipe)
{
    wait_queue_wake(&pipe->queue, EPOLLOUT | EPOLLWRNORM);
}

/* One chunk from the file. Returns the count, 0 at end, or negative errno. */
static ssize_t fill_chunk(struct pipe *pipe, struct file *from, const uint64_t *pos, size_t length)
{
    mutex_lock(&pipe->lock);
    if (pipe->readers == 0) {
        mutex_unlock(&pipe->lock);
        return pipe_broken();
    }
    uint32_t room = pipe->used < pipe->capacity ? pipe->capacity - pipe->used : 0;
    uint64_t wanted = ((uint64_t)length + PIPE_PAGE - 1) / PIPE_PAGE;
    uint32_t slots = (uint32_t)min_of(wanted, (uint64_t)min_of(room, PIPE_MAX_CHUNK));
    if (slots == 0) {
        mutex_unlock(&pipe->lock);
        return -EAGAIN;
    }
    struct pipe_chunk *chunk = pipe_chunk_new_locked(pipe, slots);
    if (!chunk) {
        mutex_unlock(&pipe->lock);
        return -ENOMEM;
    }
    pipe->used += slots;
    mutex_unlock(&pipe->lock);

    struct uio uio;
    uio_init_kernel(&uio, chunk->data, min_of(length, (size_t)slots * PIPE_PAGE));
    ssize_t count = file_read(from, &uio, pos, 0);

    mutex_lock(&pipe->lock);
    pipe->used -= slots;
    if (count > 0) {
        chunk->length = (uint32_t)count;
        chunk->slots = (uint32_t)((count + PIPE_PAGE - 1) / PIPE_PAGE);
        pipe->used += chunk->slots;
        TAILQ_INSERT_TAIL(&pipe->chunks, chunk, link);
    } else {
        pipe_chunk_free_locked(pipe, chunk);
    }
    mutex_unlock(&pipe->lock);
    if (count > 0) {
        wake_readers(pipe);
    } else {
        wake_writers(pipe); /* somebody may have found the reserved slots missing */
    }
    return count;
}

ssize_t pipe_splice_from_file(struct file *pipe_file, struct file *from, const uint64_t *pos,
                              size_t length)
{
    struct pipe *pipe = pipe_end_of(pipe_file)->pipe;
    uint64_t position = pos ? *pos : 0;
    size_t done = 0;
    while (done < length) {
        ssize_t count = fill_chunk(pipe, from, pos ? &position : NULL, length - done);
        if (count <= 0) {
            return done > 0 ? (ssize_t)done : count;
        }
        done += (size_t)count;
        position += (size_t)count;
        if (file_is_stream(from)) {
            break;
        }
    }
    return (ssize_t)done;
}

/* Takes the first chunk off the ring (or says why not); its slots stay counted. */
static int detach(struct pipe *pipe, struct pipe_chunk **ret_chunk)
{
    int result = 0;
    mutex_lock(&pipe->lock);
    struct pipe_chunk *chunk = TAILQ_FIRST(&pipe->chunks);
    if (chunk) {
        TAILQ_REMOVE(&pipe->chunks, chunk, link);
        pipe->detached++;
        *ret_chunk = chunk;
        result = 1;
    } else if (pipe->writers > 0 || pipe->detached > 0) {
        result = -EAGAIN;
    }
    mutex_unlock(&pipe->lock);
    return result;
}

static void reattach(struct pipe *pipe, struct pipe_chunk *chunk, uint32_t consumed)
{
    mutex_lock(&pipe->lock);
    pipe->detached--;
    TAILQ_INSERT_HEAD(&pipe->chunks, chunk, link);
    if (consumed > 0) {
        bool packet = chunk->packet;
        chunk->packet = false;
        bool rest = consumed < chunk->length;
        pipe_consume_locked(pipe, consumed);
        if (rest) {
            chunk->packet = packet;
        }
    }
    bool closed = pipe->writers == 0;
    mutex_unlock(&pipe->lock);
    wake_writers(pipe);
    if (closed) {
        wait_queue_wake(&pipe->queue, EPOLLIN | EPOLLRDNORM | EPOLLHUP);
    }
}

ssize_t pipe_splice_to_file(struct file *pipe_file, struct file *to, const uint64_t *pos,
                            size_t length)
{
    struct pipe *pipe = pipe_end_of(pipe_file)->pipe;
    uint64_t position = pos ? *pos : 0;
    size_t done = 0;
    while (done < length) {
        struct pipe_chunk *chunk;
        int result = detach(pipe, &chunk);
        if (result <= 0) {
            return done > 0 ? (ssize_t)done : result;
        }
        size_t part = min_of(length - done, (size_t)chunk->length);
        struct uio uio;
        uio_init_kernel(&uio, chunk->data + chunk->offset, part);
        ssize_t count = file_write(to, &uio, pos ? &position : NULL, 0);
        reattach(pipe, chunk, count > 0 ? (uint32_t)count : 0);
        if (count <= 0) {
            return done > 0 ? (ssize_t)done : count;
        }
        done += (size_t)count;
        position += (size_t)count;
        if ((size_t)count < part) {
            break;
        }
    }
    return (ssize_t)done;
}

/* Copies up to length bytes of chunk to the end of pipe. Returns the count or -EAGAIN, -ENOMEM. */
static ssize_t copy_chunk_locked(const struct pipe_chunk *chunk, struct pipe *to, size_t length)
{
    uint32_t part = (uint32_t)min_of(length, (size_t)chunk->length);
    uint32_t room = to->used < to->capacity ? to->capacity - to->used : 0;
    part = min_of(part, room * PIPE_PAGE);
    if (part == 0) {
        return -EAGAIN;
    }
    uint32_t slots = (part + PIPE_PAGE - 1) / PIPE_PAGE;
    struct pipe_chunk *copy = pipe_chunk_new_locked(to, slots);
    if (!copy) {
        return -ENOMEM;
    }
    memcpy(copy->data, chunk->data + chunk->offset, part);
    copy->length = part;
    copy->packet = chunk->packet;
    to->used += slots;
    TAILQ_INSERT_TAIL(&to->chunks, copy, link);
    return part;
}

static ssize_t pipe_to_pipe(struct file *from_file, struct file *to_file, size_t length,
                            bool consume)
{
    struct pipe *from = pipe_end_of(from_file)->pipe;
    struct pipe *to = pipe_end_of(to_file)->pipe;
    if (from == to) {
        return -EINVAL;
    }
    size_t done = 0;
    ssize_t result = 0;
    mutex_lock_two(&from->lock, &to->lock);
    if (to->readers == 0) {
        mutex_unlock_two(&from->lock, &to->lock);
        return length > 0 ? pipe_broken() : 0;
    }
    struct pipe_chunk *chunk = TAILQ_FIRST(&from->chunks);
    if (!chunk && (from->writers > 0 || from->detached > 0)) {
        result = -EAGAIN;
    }
    while (chunk && done < length) {
        struct pipe_chunk *next = TAILQ_NEXT(chunk, link);
        uint32_t before = chunk->length;
        result = copy_chunk_locked(chunk, to, length - done);
        if (result < 0) {
            break;
        }
        done += (size_t)result;
        if (consume) {
            pipe_consume_locked(from, (uint32_t)result);
        }
        if ((uint32_t)result < before) {
            break;
        }
        chunk = next;
    }
    mutex_unlock_two(&from->lock, &to->lock);
    if (done > 0) {
        wake_readers(to);
        if (consume) {
            wake_writers(from);
        }
    }
    return done > 0 ? (ssize_t)done : result;
}

ssize_t pipe_splice_to_pipe(struct file *from, struct file *to, size_t length)
{
    return pipe_to_pipe(from, to, length, true);
}

ssize_t pipe_tee(struct file *from, struct file *to, size_t length)
{
    return pipe_to_pipe(from, to, length, false);
}
