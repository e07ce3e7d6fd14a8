/*
 * pipe_fifo.c: named pipes, and pipes opened again through /proc/PID/fd. inode->bound holds a
 * reference to the pipe, made at the first open or by pipe_new.
 *
 * Open never sleeps: it counts the end in at once, and open_wait tells when the other end has come.
 * Source: fifo(7), Linux fs/pipe.c fifo_open.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "sentry/fs/anon/pipe.h"
#include "sentry/fs/anon/pipe_internal.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/special.h"

static struct pipe *fifo_pipe(struct inode *inode)
{
    void *bound = atomic_load(&inode->bound);
    if (bound) {
        return bound;
    }
    struct pipe *pipe = pipe_alloc();
    if (!pipe) {
        return NULL;
    }
    void *expected = NULL;
    if (!atomic_compare_exchange_strong(&inode->bound, &expected, pipe)) {
        pipe_unref(pipe);
        return expected;
    }
    return pipe;
}

static int fifo_open(struct inode *inode, struct file *file)
{
    bool read = (file->mode & FILE_READ) != 0;
    bool write = (file->mode & FILE_WRITE) != 0;
    struct pipe *pipe = fifo_pipe(inode);
    struct pipe_end *end = calloc(1, sizeof(*end));
    if (!pipe || !end) {
        free(end);
        return -ENOMEM;
    }
    end->pipe = pipe;
    end->mode = file->mode & (FILE_READ | FILE_WRITE);
    mutex_lock(&pipe->lock);
    if (write && !read && pipe->readers == 0 && !pipe->anonymous &&
        (atomic_load(&file->flags) & O_NONBLOCK)) {
        mutex_unlock(&pipe->lock);
        free(end);
        return -ENXIO;
    }
    end->wait_writers = pipe->writer_opens;
    end->wait_readers = pipe->reader_opens;
    if (read) {
        pipe->readers++;
        pipe->reader_opens++;
    }
    if (write) {
        pipe->writers++;
        pipe->writer_opens++;
    }
    end->seen_writers = pipe->writers == 0 && !pipe->anonymous ? pipe->writer_opens : UINT64_MAX;
    mutex_unlock(&pipe->lock);
    pipe_ref(pipe);
    file->mode |= FILE_STREAM;
    file->private_data = end;
    file->ops = &fifo_file_ops;
    wait_queue_wake(&pipe->queue, EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM);
    return 0;
}

static int fifo_open_wait(struct file *file)
{
    struct pipe_end *end = pipe_end_of(file);
    struct pipe *pipe = end->pipe;
    bool ready = true;
    if (pipe->anonymous) { /* Linux: fifo_open: is_pipe */
        return 0;
    }
    if (atomic_load(&file->flags) & O_NONBLOCK) {
        return 0;
    }
    mutex_lock(&pipe->lock);
    if (end->mode == FILE_READ) {
        ready = pipe->writers > 0 || pipe->writer_opens != end->wait_writers;
        if (ready) {
            end->seen_writers = UINT64_MAX;
        }
    } else if (end->mode == FILE_WRITE) {
        ready = pipe->readers > 0 || pipe->reader_opens != end->wait_readers;
    }
    mutex_unlock(&pipe->lock);
    return ready ? 0 : -EAGAIN;
}

static void fifo_free_bound(struct inode *inode, void *bound)
{
    if (S_ISFIFO(inode->mode)) {
        pipe_unref(bound);
    }
}

const struct file_ops fifo_file_ops = {
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .wait_queue = pipe_wait_queue,
    .ioctl = pipe_ioctl,
    .open_wait = fifo_open_wait,
    .release = pipe_release,
    .anon_name = "pipe",
};

void pipe_init(void)
{
    vfs_special.open_fifo = fifo_open;
    vfs_special.free_bound = fifo_free_bound;
}
