/*
 * file.h: an open file description, and the operations of a file type.
 *
 * File operations never sleep for a guest event: they return -EAGAIN, and the caller waits on
 * wait_queue() for the wanted poll events and calls again (syscalls/blocking). Operations are
 * called only from file.c. They may block on host I/O.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/base/compiler.h"
#include "platform/base/lock.h"
#include "platform/base/refcount.h"
#include "sentry/core/wait_queue.h"
#include "sentry/mm/backing.h"
#include "sentry/vfs/path.h"

struct cred;
struct async_watch;
struct epoll_links;
struct file;
struct inode;
struct text;
struct uio;

/* Receives directory entries. Returns false when it is full: the entry was not taken. next is the
 * position after this entry. */
struct dir_sink {
    bool (*emit)(struct dir_sink *sink, const char *name, size_t length, uint64_t ino,
                 unsigned char type /* DT_* */, uint64_t next);
};

struct file_ops {
    /* Moves up to uio->left bytes from offset. Returns the count, 0 at end, -EAGAIN when there is
     * nothing yet. For streams offset is 0 and without meaning. flags: RWF_*. NULL: EINVAL. */
    ssize_t (*read)(struct file *file, struct uio *uio, uint64_t offset, int flags) must_check;
    /* Writes at offset. RLIMIT_FSIZE and O_APPEND are handled by the caller (file->inode's lock is
     * held for regular files). */
    ssize_t (*write)(struct file *file, struct uio *uio, uint64_t offset, int flags) must_check;
    /* Emits entries from position *pos on and advances *pos; "." and ".." included. The directory's
     * inode is locked. NULL: ENOTDIR. */
    int (*readdir)(struct file *file, struct dir_sink *sink, uint64_t *pos) must_check;
    /* New position. NULL: as a regular file by inode size; file->stream: ESPIPE. SEEK_DATA and
     * SEEK_HOLE included. */
    int64_t (*seek)(struct file *file, int64_t offset, int whence) must_check;
    /* Present EPOLL* readiness. NULL: always EPOLLIN|EPOLLOUT|EPOLLRDNORM|EPOLLWRNORM. */
    uint32_t (*poll)(struct file *file);
    /* The queue woken when poll's answer may have changed; lives as long as the file. NULL: never
     * changes (epoll: EPERM). */
    struct wait_queue *(*wait_queue)(struct file *file);
    /* ioctl on the calling task's memory (current.mm). NULL or -ENOTTY: not known. */
    long (*ioctl)(struct file *file, unsigned command, uint64_t argument) must_check;
    /* What to map for [offset, offset+length); prot and flags as mmap(2), already checked against
     * the open mode. NULL: ENODEV. */
    int (*mmap)(struct file *file, uint64_t offset, uint64_t length, int prot, int flags,
                struct mm_source *ret_source) must_check;
    int (*sync)(struct file *file, bool data_only) must_check; /* NULL: EINVAL */
    /* fallocate(2); arguments are checked, the inode is locked. */
    int (*allocate)(struct file *file, int mode, uint64_t offset,
                    uint64_t length) must_check; /* NULL: EOPNOTSUPP */
    /* Is the open complete? 0, or -EAGAIN: wait on the file's wait queue for any event and ask
     * again (a FIFO without a peer; see special.h). NULL: always complete. */
    int (*open_wait)(struct file *file) must_check;
    /* fcntl F_ADD_SEALS and F_GET_SEALS (returns the seals). NULL: EINVAL. */
    int (*add_seals)(struct file *file, unsigned seals) must_check;
    int (*get_seals)(struct file *file) must_check;
    /* A shared writable mapping appeared (1) or went (-1). May be NULL. */
    void (*shared_write)(struct file *file, int delta);
    /* One descriptor of the file was closed (close, exec, exit). May be NULL. */
    void (*flush)(struct file *file);
    /* The last reference is gone; frees private_data. May be NULL. */
    void (*release)(struct file *file);
    /* F_SETFL changed the flags (O_NONBLOCK, O_ASYNC …). May be NULL. */
    int (*set_flags)(struct file *file, unsigned flags) must_check;
    /* Extra lines of /proc/pid/fdinfo/N. May be NULL. */
    void (*show_fdinfo)(struct file *file, struct text *text);
    const char
        *anon_name; /* for /proc/pid/fd of files without a path: "pipe", "socket", "[eventfd]" */
};

/* file->mode bits. */
enum file_mode {
    FILE_READ = 1,
    FILE_WRITE = 2,
    FILE_PATH = 4,            /* O_PATH: only a name */
    FILE_STREAM = 8,          /* no position: lseek gives ESPIPE */
    FILE_EXEC = 16,           /* opened for execution: denies writers */
    FILE_NO_WRITE_COUNT = 32, /* not counted in inode->write_openers */
    FILE_CREATED = 1 << 16,   /* this open made the file (F_CREATED_QUERY) */
    FILE_OPENED = 64,         /* set by open.c: close tells inotify */
    FILE_NO_ATIME = 128,
    FILE_OWN_POSITION = 256, /* the implementation keeps the position (a host fd's): read and write
                                at the position get FILE_OFFSET_OWN; O_APPEND is its own affair */
    FILE_NO_TRUNCATE = 512,  /* the opener's Landlock rules */
    FILE_NO_IOCTL = 1024,
};

#define FILE_OFFSET_OWN UINT64_MAX

struct file {
    struct refcount ref;
    const struct file_ops *ops;
    struct mm_backing backing;
    struct path path;        /* references; dentry NULL for anonymous files */
    struct inode *inode;     /* a reference; never NULL */
    const struct cred *cred; /* the opener's; a reference */
    unsigned mode;           /* FILE_*; fixed after open */
    atomic_uint flags;       /* O_APPEND, O_NONBLOCK, … as F_GETFL shows */
    void *private_data;      /* the implementation's */

    struct mutex lock; /* RANK_FILE: changes of position */
    _Atomic uint64_t position;

    /* fcntl F_SETOWN, F_SETSIG: under lock */
    int32_t owner_type, owner_id;
    int owner_signal;
    uint64_t id; /* unique in the sandbox: lock owner, epoll key, kcmp */
    _Atomic(struct epoll_links *) epoll_links; /* epoll instances that watch the file */
    _Atomic(struct async_watch *) async_watch; /* O_ASYNC: sends signals */
    atomic_bool dir_watched;                   /* F_NOTIFY was used: flush tells dnotify */
};

extern const struct mm_backing_ops file_backing_ops;

/* An open file on inode with given ops; takes nothing, references path and inode itself. path may
 * be NULL. -ETXTBSY: FILE_WRITE on a file that is executed, FILE_EXEC on one open for writing. */
int file_new(struct inode *inode, const struct path *path, const struct file_ops *ops,
             unsigned mode, unsigned flags, void *private_data, struct file **ret_file) must_check;
/* An anonymous file (pipe end, eventfd, socket …) on an anonymous inode of the given type bits. */
int file_new_anon(const struct file_ops *ops, uint32_t inode_mode, unsigned mode, unsigned flags,
                  void *private_data, struct file **ret_file) must_check;
struct file *file_ref(struct file *file);
struct file *file_unref(struct file *file);

/* read and write at the file's position (NULL pos) or at *pos, which is not advanced. */
ssize_t file_read(struct file *file, struct uio *uio, const uint64_t *pos, int flags) must_check;
ssize_t file_write(struct file *file, struct uio *uio, const uint64_t *pos, int flags) must_check;
int file_readdir(struct file *file, struct dir_sink *sink) must_check;
int64_t file_seek(struct file *file, int64_t offset, int whence) must_check;
/* What happens without a seek op; for ops that treat some values of whence only. Locked. */
int64_t file_seek_by_size(struct file *file, int64_t offset, int whence) must_check;
uint32_t file_poll(struct file *file);
struct wait_queue *file_wait_queue(struct file *file); /* NULL: never changes */
long file_ioctl(struct file *file, unsigned command, uint64_t argument) must_check;
int file_mmap(struct file *file, uint64_t offset, uint64_t length, int prot, int flags,
              struct mm_source *ret_source) must_check;
int file_sync(struct file *file, bool data_only) must_check;
int file_allocate(struct file *file, int mode, uint64_t offset, uint64_t length) must_check;
int file_truncate(struct file *file, uint64_t size) must_check;
/* One descriptor was closed: the op, and the POSIX locks of owner (the descriptor table) go. */
void file_flush(struct file *file, const void *owner);
int file_open_wait(struct file *file) must_check;
int file_add_seals(struct file *file, unsigned seals) must_check;
int file_get_seals(struct file *file) must_check;
void file_show_fdinfo(struct file *file, struct text *text);
int file_set_flags(struct file *file, unsigned flags) must_check;
/* Has no position: pipes, sockets, terminals … */
static inline bool file_is_stream(const struct file *file)
{
    return (file->mode & FILE_STREAM) != 0;
}
/* A seek op that changes nothing and answers the position (Linux: noop_llseek): eventfd and its
 * like. */
int64_t file_seek_nothing(struct file *file, int64_t offset, int whence) must_check;
/* The path as the calling task sees it, " (deleted)" appended where Linux does; or "pipe:[ino]". */
int file_describe(struct file *file, struct text *text) must_check;
