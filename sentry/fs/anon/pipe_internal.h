/*
 * pipe_internal.h: the ring, shared by pipe.c (read, write, poll), pipe_fifo.c (named pipes) and
 * pipe_splice.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "platform/base/lock.h"
#include "platform/base/queue.h"
#include "platform/base/refcount.h"
#include "sentry/core/wait_queue.h"
#include "sentry/vfs/file.h"

#define PIPE_PAGE          4096U
#define PIPE_DEFAULT_SLOTS 16U
#define PIPE_MAX_CHUNK     16U /* slots of one chunk: bounds one allocation to 64 KiB */

/* Bytes in memory of `slots` pages. Pages wholly consumed no longer count as used. */
struct pipe_chunk {
    TAILQ_ENTRY(pipe_chunk) link;
    uint32_t slots;
    uint32_t offset, length; /* in data */
    bool packet;             /* one read takes it whole; never merged */
    unsigned char data[];
};

TAILQ_HEAD(pipe_chunk_list, pipe_chunk);

struct pipe {
    struct refcount ref; /* files, and the fifo inode while it is bound */
    struct mutex lock;   /* RANK_PIPE */
    struct wait_queue queue;

    /* under lock */
    struct pipe_chunk_list chunks;
    struct pipe_chunk *spare; /* one free single-page chunk */
    uint32_t capacity;        /* slots */
    uint32_t used;            /* slots, with those reserved by a splice in progress */
    uint32_t detached;        /* splices that hold chunks taken off the ring */
    uint32_t readers, writers;
    uint64_t reader_opens, writer_opens; /* fifo: opens so far */
    bool anonymous; /* made by pipe(2): opening it again through /proc never waits */
    bool polled;    /* somebody polls: each write wakes, for edge-triggered epoll */
};

struct pipe *pipe_alloc(void) must_check;
struct pipe *pipe_ref(struct pipe *pipe);
struct pipe *pipe_unref(struct pipe *pipe);

/* A chunk of so many pages; NULL: no memory. Takes the spare when it fits. */
struct pipe_chunk *pipe_chunk_new_locked(struct pipe *pipe, uint32_t slots) must_check;
void pipe_chunk_free_locked(struct pipe *pipe, struct pipe_chunk *chunk);
uint32_t pipe_chunk_used(const struct pipe_chunk *chunk);
/* Consumes count bytes of the first chunk and frees it when it is empty (or a packet). */
void pipe_consume_locked(struct pipe *pipe, uint32_t count);

/* SIGPIPE to the caller, and -EPIPE. */
int pipe_broken(void) must_check;

/* What one file holds of the pipe: file->private_data. */
struct pipe_end {
    struct pipe *pipe;
    unsigned mode;                       /* FILE_READ | FILE_WRITE as counted; 0: not counted yet */
    uint64_t seen_writers;               /* fifo: writer_opens at open; no HUP before it changes */
    uint64_t wait_readers, wait_writers; /* open_wait: counts when the open began */
};

static inline struct pipe_end *pipe_end_of(struct file *file)
{
    return file->private_data;
}

extern const struct file_ops pipe_file_ops, fifo_file_ops;

ssize_t pipe_read(struct file *file, struct uio *uio, uint64_t offset, int flags) must_check;
ssize_t pipe_write(struct file *file, struct uio *uio, uint64_t offset, int flags) must_check;
uint32_t pipe_poll(struct file *file);
struct wait_queue *pipe_wait_queue(struct file *file);
long pipe_ioctl(struct file *file, unsigned command, uint64_t argument) must_check;
void pipe_release(struct file *file);
