/*
 * host_stream.c: guest files on inherited host fds.
 *
 * Readiness is asked of the host (poll, RWF_NOWAIT, MSG_DONTWAIT). A host epoll set with
 * EPOLLONESHOT entries is armed only while a guest thread could be waiting; its thread turns events
 * into wake-ups of the stream's wait queue, after which the guest's wait loop asks the host again.
 * streams_lock guards the list of streams and the start of the poller.
 */
#include "sentry/fs/dev/host_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sentry/core/current.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"

#define STREAM_CHUNK 65536
#define POLL_BITS    (EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM)
#define POLLER_STACK (64 * 1024)

struct host_stream {
    struct inode inode;
    unsigned access; /* FILE_READ | FILE_WRITE as the host fd has them; fixed */
    int fd;
    bool no_wait; /* RWF_NOWAIT works; under the C11 rules of a lone flag: racy but monotonic */
    struct wait_queue queue;
    struct host_stream *next; /* under streams_lock */
    uint64_t host_dev, host_ino;
};

static pthread_mutex_t streams_lock = PTHREAD_MUTEX_INITIALIZER;
static struct host_stream *streams;
static struct super streams_super;
static bool super_ready;
static int poller_fd = -1; /* made with the first stream */
static bool poller_runs;

static atomic_ullong bytes_written;
static uint64_t byte_limit;
static void (*limit_exceeded)(void);
static atomic_bool limit_reported;

/* --- output limit --- */

void host_stream_set_limit(uint64_t limit, void (*exceeded)(void))
{
    byte_limit = limit;
    limit_exceeded = exceeded;
}

uint64_t host_stream_written(void)
{
    return atomic_load(&bytes_written);
}

int host_stream_account(uint64_t count)
{
    uint64_t total = atomic_fetch_add(&bytes_written, count) + count;
    if (byte_limit == 0 || total <= byte_limit) {
        return 0;
    }
    if (!atomic_exchange(&limit_reported, true) && limit_exceeded) {
        limit_exceeded();
    }
    return -EIO;
}

/* Bytes that may still be written; the one that crosses the limit is let through and reported. */
static bool over_limit(void)
{
    return byte_limit != 0 && atomic_load(&bytes_written) > byte_limit;
}

/* --- the poller --- */

/* Wakes the stream unless it was freed since the host's event was fetched. */
static void poller_wake(const struct host_stream *stream, uint32_t events)
{
    pthread_mutex_lock(&streams_lock);
    for (struct host_stream *s = streams; s; s = s->next) {
        if (s == stream) {
            wait_queue_wake(&s->queue, events);
            break;
        }
    }
    pthread_mutex_unlock(&streams_lock);
}

static void *poller_thread(void *unused)
{
    (void)unused;
    for (;;) {
        struct epoll_event events[8];
        int count = epoll_wait(poller_fd, events, array_size(events), -1);
        for (int i = 0; i < count; i++) {
            uint32_t bits = events[i].events;
            if (bits & EPOLLIN) {
                bits |= EPOLLRDNORM;
            }
            if (bits & EPOLLOUT) {
                bits |= EPOLLWRNORM;
            }
            poller_wake(events[i].data.ptr, bits);
        }
        if (count < 0 && errno != EINTR) {
            return NULL;
        }
    }
}

static int poller_open(void)
{
    int result = 0;
    pthread_mutex_lock(&streams_lock);
    if (poller_fd < 0) {
        poller_fd = epoll_create1(EPOLL_CLOEXEC);
        result = poller_fd < 0 ? -errno : 0;
    }
    pthread_mutex_unlock(&streams_lock);
    return result;
}

static int poller_start_locked(void)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, thread_stack_size(POLLER_STACK));
    pthread_t thread;
    int result = pthread_create(&thread, &attributes, poller_thread, NULL);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    poller_runs = result == 0;
    return -result;
}

/* Asks the poller for one wake-up when any of events comes. */
static void stream_arm(struct host_stream *stream, uint32_t events)
{
    struct epoll_event event = {.events = events | EPOLLONESHOT, .data.ptr = stream};
    pthread_mutex_lock(&streams_lock);
    int result = poller_runs ? 0 : poller_start_locked();
    pthread_mutex_unlock(&streams_lock);
    if (result == 0 && epoll_ctl(poller_fd, EPOLL_CTL_MOD, stream->fd, &event) != 0) {
        result = errno == ENOENT ? epoll_ctl(poller_fd, EPOLL_CTL_ADD, stream->fd, &event) : -1;
    }
    if (result != 0) {
        /* Cannot be watched: waiters retry instead of sleeping for ever. */
        wait_queue_wake(&stream->queue, POLL_BITS);
    }
}

static uint32_t host_poll(int fd, short events)
{
    struct pollfd request = {.fd = fd, .events = events};
    int result;
    do {
        result = poll(&request, 1, 0);
    } while (result < 0 && errno == EINTR);
    return result > 0 ? (uint32_t)request.revents : 0;
}

/* --- reading and writing --- */

static struct host_stream *stream_of(struct file *file)
{
    return container_of(file->inode, struct host_stream, inode);
}

/* One non-blocking read of the host fd. */
static ssize_t read_some(struct host_stream *stream, void *buffer, size_t length)
{
    struct iovec vector = {buffer, length};
    ssize_t count;
    if (S_ISSOCK(stream->inode.mode)) {
        struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
        count = recvmsg(stream->fd, &message, MSG_DONTWAIT);
        return count < 0 ? -errno : count;
    }
    if (stream->no_wait) {
        count = preadv2(stream->fd, &vector, 1, -1, RWF_NOWAIT);
        if (count >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)) {
            return count < 0 ? -errno : count;
        }
        stream->no_wait = false;
    }
    if (host_poll(stream->fd, POLLIN) == 0) {
        return -EAGAIN;
    }
    count = preadv2(stream->fd, &vector, 1, -1, 0);
    return count < 0 ? -errno : count;
}

static ssize_t write_some(struct host_stream *stream, const void *buffer, size_t length)
{
    struct iovec vector = {(void *)buffer, length};
    ssize_t count;
    if (S_ISSOCK(stream->inode.mode)) {
        struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
        count = sendmsg(stream->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        return count < 0 ? -errno : count;
    }
    if (stream->no_wait) {
        count = pwritev2(stream->fd, &vector, 1, -1, RWF_NOWAIT);
        if (count >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)) {
            return count < 0 ? -errno : count;
        }
        stream->no_wait = false;
    }
    /* A pipe that polls writable has room for PIPE_BUF bytes. */
    if (host_poll(stream->fd, POLLOUT) == 0) {
        return -EAGAIN;
    }
    if (S_ISFIFO(stream->inode.mode)) {
        length = min_of(length, (size_t)4096);
    }
    count = write(stream->fd, buffer, length);
    return count < 0 ? -errno : count;
}

static ssize_t stream_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)offset;
    (void)flags;
    struct host_stream *stream = stream_of(file);
    if (uio->left == 0) {
        return 0;
    }
    size_t length = min_of(uio->left, (uint64_t)STREAM_CHUNK);
    auto_free char *buffer = malloc(length);
    if (!buffer) {
        return -ENOMEM;
    }
    ssize_t count;
    do {
        count = read_some(stream, buffer, length);
    } while (count == -EINTR);
    if (count == -EAGAIN) {
        stream_arm(stream, EPOLLIN);
        return -EAGAIN;
    }
    if (count <= 0) {
        return count;
    }
    if (!wait_queue_empty(&stream->queue)) {
        stream_arm(stream, EPOLLIN); /* an edge-triggered epoll expects the next edge */
    }
    return uio_put(uio, buffer, (size_t)count);
}

static ssize_t write_result(ssize_t done, ssize_t error)
{
    if (done > 0) {
        return done;
    }
    if (error == -EPIPE && current_hooks.send_signal) {
        current_hooks.send_signal(SIGPIPE);
    }
    return error;
}

static ssize_t stream_write(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)offset;
    (void)flags;
    struct host_stream *stream = stream_of(file);
    ssize_t done = 0;
    if (over_limit()) {
        return -EIO;
    }
    auto_free char *buffer = malloc(min_of(uio->left + 1, (uint64_t)STREAM_CHUNK));
    if (!buffer) {
        return -ENOMEM;
    }
    while (uio->left > 0) {
        ssize_t length = uio_get(uio, buffer, min_of(uio->left, (uint64_t)STREAM_CHUNK));
        if (length < 0) {
            return write_result(done, length);
        }
        ssize_t sent = 0;
        while (sent < length) {
            ssize_t count = write_some(stream, buffer + sent, (size_t)(length - sent));
            if (count == -EINTR) {
                continue;
            }
            if (count < 0) {
                uio_rewind(uio, (uint64_t)(length - sent));
                if (count == -EAGAIN) {
                    stream_arm(stream, EPOLLOUT);
                }
                return write_result(done, count);
            }
            sent += count;
            done += count;
            if (host_stream_account((uint64_t)count) != 0) {
                return done;
            }
        }
    }
    return done;
}

static uint32_t stream_poll(struct file *file)
{
    struct host_stream *stream = stream_of(file);
    short wanted = (short)(((file->mode & FILE_READ) ? POLLIN | POLLRDNORM | POLLPRI : 0) |
                           ((file->mode & FILE_WRITE) ? POLLOUT | POLLWRNORM : 0));
    uint32_t ready = host_poll(stream->fd, (short)(wanted | POLLRDHUP));
    uint32_t missing = 0;
    if ((file->mode & FILE_READ) && !(ready & POLLIN)) {
        missing |= EPOLLIN;
    }
    if ((file->mode & FILE_WRITE) && !(ready & POLLOUT)) {
        missing |= EPOLLOUT;
    }
    if (missing && !(ready & (POLLHUP | POLLERR)) && !wait_queue_empty(&stream->queue)) {
        stream_arm(stream, missing);
    }
    return ready;
}

static struct wait_queue *stream_wait_queue(struct file *file)
{
    return &stream_of(file)->queue;
}

/* FIONREAD is the only harmless query that programs make of a stream. */
static long stream_ioctl(struct file *file, unsigned command, uint64_t argument)
{
    int count = 0;
    if (command != FIONREAD) {
        return -ENOTTY;
    }
    if (ioctl(stream_of(file)->fd, FIONREAD, &count) != 0) {
        return -errno;
    }
    struct uio uio;
    uio_init_guest(&uio, current.mm, argument, sizeof(count));
    ssize_t put = uio_put(&uio, &count, sizeof(count));
    return put == sizeof(count) ? 0 : -EFAULT;
}

/* --- regular files: no readiness, the host's position --- */

static ssize_t regular_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)flags;
    int64_t where = offset == FILE_OFFSET_OWN ? -1 : (int64_t)offset;
    return uio_read_host(uio, stream_of(file)->fd, where);
}

static ssize_t regular_write(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)flags;
    int64_t where = offset == FILE_OFFSET_OWN ? -1 : (int64_t)offset;
    if (over_limit()) {
        return -EIO;
    }
    ssize_t count = uio_write_host(uio, stream_of(file)->fd, where);
    if (count > 0) {
        ignore_result(host_stream_account((uint64_t)count));
    }
    return count;
}

static int64_t regular_seek(struct file *file, int64_t offset, int whence)
{
    off_t position = lseek(stream_of(file)->fd, offset, whence);
    return position < 0 ? -errno : position;
}

static int regular_mmap(struct file *file, uint64_t offset, uint64_t length, int prot, int flags,
                        struct mm_source *ret_source)
{
    (void)length;
    (void)prot;
    (void)flags;
    *ret_source = (struct mm_source){.fd = stream_of(file)->fd, .offset = offset};
    return 0;
}

static int regular_sync(struct file *file, bool data_only)
{
    int fd = stream_of(file)->fd;
    return (data_only ? fdatasync(fd) : fsync(fd)) == 0 ? 0 : -errno;
}

static const struct file_ops stream_file_ops = {
    .read = stream_read,
    .write = stream_write,
    .poll = stream_poll,
    .wait_queue = stream_wait_queue,
    .ioctl = stream_ioctl,
    .anon_name = "pipe",
};

static const struct file_ops socket_file_ops = {
    .read = stream_read,
    .write = stream_write,
    .poll = stream_poll,
    .wait_queue = stream_wait_queue,
    .ioctl = stream_ioctl,
    .anon_name = "socket",
};

static const struct file_ops device_file_ops = {
    .read = stream_read,
    .write = stream_write,
    .poll = stream_poll,
    .wait_queue = stream_wait_queue,
    .ioctl = stream_ioctl,
    .anon_name = "/dev/stdio",
};

static const struct file_ops regular_file_ops = {
    .read = regular_read,
    .write = regular_write,
    .seek = regular_seek,
    .mmap = regular_mmap,
    .sync = regular_sync,
    .ioctl = stream_ioctl,
    .anon_name = "/dev/stdio",
};

/* --- inodes --- */

static int stream_getattr(struct inode *inode, struct inode_attr *ret_attr)
{
    struct host_stream *stream = container_of(inode, struct host_stream, inode);
    struct stat st;
    if (fstat(stream->fd, &st) != 0) {
        return -errno;
    }
    *ret_attr = (struct inode_attr){
        .dev = streams_super.dev,
        .ino = inode->ino,
        .mode = st.st_mode,
        .nlink = (uint32_t)st.st_nlink,
        .uid = inode->uid,
        .gid = inode->gid,
        .rdev = st.st_rdev,
        .size = (uint64_t)st.st_size,
        .blocks = (uint64_t)st.st_blocks,
        .blksize = (uint32_t)st.st_blksize,
        .atime = st.st_atim,
        .mtime = st.st_mtim,
        .ctime = st.st_ctim,
        .btime = st.st_ctim,
    };
    return 0;
}

static int stream_setattr(struct inode *inode, const struct inode_attr *attr, unsigned set)
{
    struct host_stream *stream = container_of(inode, struct host_stream, inode);
    if ((set & INODE_SET_SIZE) && S_ISREG(inode->mode)) {
        if (ftruncate(stream->fd, (off_t)attr->size) != 0) {
            return -errno;
        }
        set &= ~(unsigned)INODE_SET_SIZE;
    }
    /* The host's owner, mode and times are not the guest's to change. */
    return (set & (INODE_SET_MODE | INODE_SET_UID | INODE_SET_GID)) ? -EPERM : 0;
}

static void stream_free(struct inode *inode)
{
    struct host_stream *stream = container_of(inode, struct host_stream, inode);
    pthread_mutex_lock(&streams_lock);
    for (struct host_stream **link = &streams; *link; link = &(*link)->next) {
        if (*link == stream) {
            *link = stream->next;
            break;
        }
    }
    if (poller_fd >= 0) {
        ignore_result(epoll_ctl(poller_fd, EPOLL_CTL_DEL, stream->fd, NULL));
    }
    pthread_mutex_unlock(&streams_lock);
    close(stream->fd);
    inode_fini(inode);
    wait_queue_fini(&stream->queue);
    free(stream);
}

static bool is_regular(uint32_t mode)
{
    return S_ISREG(mode) || S_ISBLK(mode);
}

static const struct file_ops *ops_of(uint32_t mode)
{
    if (is_regular(mode)) {
        return &regular_file_ops;
    }
    if (S_ISSOCK(mode)) {
        return &socket_file_ops;
    }
    return S_ISCHR(mode) ? &device_file_ops : &stream_file_ops;
}

/* Opening /dev/stdout or /proc/self/fd/N: another guest file on the same host fd. DIFFERS: a
 * regular file keeps one position for all of them and is not truncated. */
static int stream_open(struct inode *inode, struct file *file)
{
    struct host_stream *stream = container_of(inode, struct host_stream, inode);
    unsigned wanted = file->mode & (FILE_READ | FILE_WRITE);
    if ((wanted & ~stream->access) != 0) {
        return -EACCES;
    }
    file->mode |= (unsigned)(is_regular(inode->mode) ? FILE_OWN_POSITION : FILE_STREAM);
    file->ops = ops_of(inode->mode);
    return 0;
}

static const struct inode_ops stream_inode_ops = {
    .open = stream_open,
    .getattr = stream_getattr,
    .setattr = stream_setattr,
    .free = stream_free,
};

static int stream_statfs(struct super *super, struct statfs *ret)
{
    *ret = (struct statfs){.f_type = (long)super->magic, .f_bsize = 4096, .f_namelen = 255};
    return 0;
}

static const struct super_ops stream_super_ops = {.statfs = stream_statfs};

/* The number of an earlier stream on the same host object, or a new one. */
static uint64_t number_locked(const struct stat *st)
{
    for (struct host_stream *s = streams; s; s = s->next) {
        if (s->host_dev == st->st_dev && s->host_ino == st->st_ino) {
            return s->inode.ino;
        }
    }
    return atomic_fetch_add(&streams_super.next_ino, 1);
}

int host_stream_new(int host_fd, struct file **ret_file)
{
    struct stat st;
    int host_flags = fcntl(host_fd, F_GETFL);
    if (host_flags < 0 || fstat(host_fd, &st) != 0) {
        return -errno;
    }
    int result = poller_open();
    if (result != 0) {
        return result;
    }
    struct host_stream *stream = calloc(1, sizeof(*stream));
    if (!stream) {
        return -ENOMEM;
    }
    stream->fd = -1;
    stream->no_wait = S_ISFIFO(st.st_mode);
    stream->host_dev = st.st_dev;
    stream->host_ino = st.st_ino;
    wait_queue_init(&stream->queue);
    pthread_mutex_lock(&streams_lock);
    if (!super_ready) {
        super_init(&streams_super, &stream_super_ops, "hoststream", 0x50495045);
        super_ready = true;
    }
    inode_init(&stream->inode, &streams_super, &stream_inode_ops, number_locked(&st), st.st_mode);
    stream->inode.rdev = st.st_rdev;
    stream->next = streams;
    streams = stream;
    pthread_mutex_unlock(&streams_lock);

    int access = host_flags & O_ACCMODE;
    unsigned mode = access == O_RDONLY   ? FILE_READ
                    : access == O_WRONLY ? FILE_WRITE
                                         : FILE_READ | FILE_WRITE;
    bool regular = is_regular(st.st_mode);
    stream->access = mode;
    mode |= FILE_NO_WRITE_COUNT | (unsigned)(regular ? FILE_OWN_POSITION : FILE_STREAM);
    unsigned flags = (unsigned)host_flags & (O_ACCMODE | (unsigned)(regular ? O_APPEND : 0));
    result = file_new(&stream->inode, NULL, ops_of(st.st_mode), mode, flags, NULL, ret_file);
    if (result == 0) {
        stream->fd = host_fd;
    }
    inode_unref(&stream->inode);
    return result;
}
