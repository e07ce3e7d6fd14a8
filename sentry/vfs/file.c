/*
 * file.c: open file descriptions; the only file that calls struct file_ops. Reads, writes,
 * positions and limits are here; the smaller operations are in file_misc.c. Linux: fs/read_write.c,
 * fs/file_table.c.
 */
#include "sentry/vfs/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/inotify.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/file_lease.h"
#include "sentry/vfs/file_lock.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/landlock.h"
#include "sentry/vfs/inotify_hooks.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/special.h"

static atomic_ullong next_file_id = 1;

static bool counts_writers(const struct inode *inode, unsigned mode)
{
    return (mode & (FILE_WRITE | FILE_NO_WRITE_COUNT)) == FILE_WRITE && S_ISREG(inode->mode);
}

static bool counts_readers(const struct inode *inode, unsigned mode)
{
    return (mode & (FILE_WRITE | FILE_READ)) == FILE_READ && S_ISREG(inode->mode);
}

int file_new(struct inode *inode, const struct path *path, const struct file_ops *ops,
             unsigned mode, unsigned flags, void *private_data, struct file **ret_file)
{
    struct file *file = calloc(1, sizeof(*file));
    if (!file) {
        return -ENOMEM;
    }
    int error = 0;
    if (counts_writers(inode, mode)) {
        error = inode_get_write(inode);
    } else if ((mode & FILE_EXEC) != 0) {
        error = inode_deny_write(inode);
    }
    if (error != 0) {
        free(file);
        return error;
    }
    if (counts_readers(inode, mode)) {
        atomic_fetch_add(&inode->read_openers, 1);
    }
    refcount_init(&file->ref);
    file->ops = ops;
    file->backing.ops = &file_backing_ops;
    if (path) {
        file->path = *path;
        path_ref(path);
        if (path->mount && (mode & FILE_WRITE) != 0 && S_ISREG(inode->mode)) {
            atomic_fetch_add(&path->mount->writers, 1);
        }
    }
    file->inode = inode_ref(inode);
    file->cred = cred_ref(current.cred);
    file->mode = mode;
    atomic_init(&file->flags, flags);
    file->private_data = private_data;
    mutex_init(&file->lock, RANK_FILE);
    file->id = atomic_fetch_add(&next_file_id, 1);
    atomic_init(&file->epoll_links, NULL);
    atomic_init(&file->async_watch, NULL);
    atomic_init(&file->dir_watched, false);
    *ret_file = file;
    return 0;
}

struct file *file_ref(struct file *file)
{
    refcount_get(&file->ref);
    return file;
}

static void file_free(struct file *file)
{
    if (atomic_load(&file->epoll_links) && vfs_special.file_gone) {
        vfs_special.file_gone(file);
    }
    if (atomic_load(&file->async_watch)) {
        vfs_special.async_gone(file);
    }
    if (atomic_load(&file->dir_watched)) {
        vfs_special.dnotify_flush(file, NULL);
    }
    file_locks_release_file(file);
    lease_release_file(file);
    if ((file->mode & FILE_OPENED) != 0) {
        vfs_notify_file(file, (file->mode & FILE_WRITE) != 0 ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
    }
    if (file->ops && file->ops->release) {
        file->ops->release(file);
    }
    if (counts_readers(file->inode, file->mode)) {
        atomic_fetch_sub(&file->inode->read_openers, 1);
    }
    if (counts_writers(file->inode, file->mode)) {
        inode_put_write(file->inode);
    } else if ((file->mode & FILE_EXEC) != 0) {
        inode_allow_write(file->inode);
    }
    if (file->path.mount && (file->mode & FILE_WRITE) != 0 && S_ISREG(file->inode->mode)) {
        atomic_fetch_sub(&file->path.mount->writers, 1);
    }
    path_unref(&file->path);
    inode_unref(file->inode);
    cred_unref(file->cred);
    mutex_fini(&file->lock);
    free(file);
}

struct file *file_unref(struct file *file)
{
    if (file && refcount_put(&file->ref)) {
        file_free(file);
    }
    return NULL;
}

void file_flush(struct file *file, const void *owner)
{
    if ((file->mode & FILE_PATH) != 0) {
        return;
    }
    if (file->ops->flush) {
        file->ops->flush(file);
    }
    if (owner) {
        file_locks_release_posix(file, owner);
        if (atomic_load(&file->dir_watched)) {
            vfs_special.dnotify_flush(file, owner);
        }
    }
}

static void after_read(struct file *file, ssize_t count)
{
    if (count < 0) {
        return;
    }
    const unsigned no_atime = MOUNT_NO_ATIME | MOUNT_READ_ONLY;
    struct mount *mount = file->path.mount;
    unsigned flags = mount ? atomic_load_explicit(&mount->flags, memory_order_relaxed) : no_atime;
    if ((flags & no_atime) == 0 &&
        (atomic_load_explicit(&file->flags, memory_order_relaxed) & O_NOATIME) == 0) {
        inode_accessed(file->inode, (flags & MOUNT_STRICT_ATIME) != 0);
    }
    if (count > 0) { /* Linux: a read at the end counts for the time only */
        vfs_notify_file(file, IN_ACCESS);
    }
}

static int check_readable(struct file *file, const uint64_t *pos)
{
    if ((file->mode & FILE_READ) == 0) {
        return -EBADF;
    }
    if (S_ISDIR(file->inode->mode)) {
        return -EISDIR;
    }
    if (!file->ops->read) {
        return -EINVAL;
    }
    if (pos && file_is_stream(file)) {
        return -ESPIPE;
    }
    return pos && *pos > INT64_MAX ? -EINVAL : 0;
}

ssize_t file_read(struct file *file, struct uio *uio, const uint64_t *pos, int flags)
{
    int error = check_readable(file, pos);
    if (error != 0) {
        return error;
    }
    ssize_t count;
    if (file_is_stream(file)) {
        count = file->ops->read(file, uio, 0, flags);
        if (count > 0) {
            vfs_notify_file(file, IN_ACCESS);
        }
        return count;
    }
    if (uio->left == 0) {
        return 0;
    }
    if (pos) {
        count = file->ops->read(file, uio, *pos, flags);
    } else if ((file->mode & FILE_OWN_POSITION) != 0) {
        count = file->ops->read(file, uio, FILE_OFFSET_OWN, flags);
    } else {
        mutex_lock(&file->lock);
        count = file->ops->read(file, uio, file->position, flags);
        if (count > 0) {
            file->position += (uint64_t)count;
        }
        mutex_unlock(&file->lock);
    }
    after_read(file, count);
    return count;
}

/* Cuts a write to what RLIMIT_FSIZE and the file system's largest size allow. */
static int limit_write(struct file *file, struct uio *uio, uint64_t offset)
{
    uint64_t limit = current.file_limit;
    uint64_t largest = file->inode->super->max_size;
    if (offset >= limit) {
        if (current_hooks.send_signal) {
            current_hooks.send_signal(SIGXFSZ);
        }
        return -EFBIG;
    }
    if (offset >= largest) {
        return -EFBIG;
    }
    uint64_t room = min_of(limit, largest) - offset;
    if (uio->left > room) {
        uio_truncate(uio, room);
    }
    return 0;
}

/* A regular file's write; *position is the offset, and then the offset after it. */
static ssize_t write_regular(struct file *file, struct uio *uio, uint64_t *position, int flags)
{
    struct inode *inode = file->inode;
    bool append = (atomic_load(&file->flags) & O_APPEND) != 0;
#ifdef RWF_NOAPPEND
    append = append && (flags & RWF_NOAPPEND) == 0;
#endif
    append = append || (flags & RWF_APPEND) != 0;
    mutex_lock_nested(&inode->lock);
    uint64_t offset = append ? inode->size : *position;
    ssize_t count = limit_write(file, uio, offset);
    if (count == 0) {
        count = inode_remove_privs(inode);
    }
    if (count == 0) {
        count = file->ops->write(file, uio, offset, flags);
    }
    if (count > 0) {
        inode_touch_locked(inode, INODE_SET_MTIME | INODE_SET_CTIME);
        *position = offset + (uint64_t)count;
    }
    mutex_unlock(&inode->lock);
    return count;
}

static ssize_t write_at(struct file *file, struct uio *uio, uint64_t *position, int flags)
{
    if (S_ISREG(file->inode->mode)) {
        return write_regular(file, uio, position, flags);
    }
    ssize_t count = file->ops->write(file, uio, *position, flags);
    if (count > 0) {
        *position += (uint64_t)count;
    }
    return count;
}

static int check_writable(struct file *file, const uint64_t *pos)
{
    if ((file->mode & FILE_WRITE) == 0) {
        return -EBADF;
    }
    if (!file->ops->write) {
        return -EINVAL;
    }
    if (pos && file_is_stream(file)) {
        return -ESPIPE;
    }
    return pos && *pos > INT64_MAX ? -EINVAL : 0;
}

ssize_t file_write(struct file *file, struct uio *uio, const uint64_t *pos, int flags)
{
    int error = check_writable(file, pos);
    if (error != 0) {
        return error;
    }
    ssize_t count;
    if (file_is_stream(file)) {
        count = file->ops->write(file, uio, 0, flags);
    } else if (uio->left == 0) {
        return 0;
    } else if ((file->mode & FILE_OWN_POSITION) != 0) {
        count = file->ops->write(file, uio, pos ? *pos : FILE_OFFSET_OWN, flags);
    } else if (pos) {
        uint64_t position = *pos;
        count = write_at(file, uio, &position, flags);
    } else {
        mutex_lock(&file->lock);
        uint64_t position = file->position;
        count = write_at(file, uio, &position, flags);
        file->position = position;
        mutex_unlock(&file->lock);
    }
    if (count > 0) {
        vfs_notify_file(file, IN_MODIFY);
        bool sync = (atomic_load(&file->flags) & O_DSYNC) != 0 || (flags & (RWF_DSYNC | RWF_SYNC));
        if (sync && file->ops->sync && S_ISREG(file->inode->mode)) {
            error = file->ops->sync(file, (flags & RWF_SYNC) == 0);
            return error != 0 ? error : count;
        }
    }
    return count;
}

int file_readdir(struct file *file, struct dir_sink *sink)
{
    struct inode *inode = file->inode;
    if ((file->mode & FILE_PATH) != 0) {
        return -EBADF;
    }
    if (!file->ops->readdir) {
        return -ENOTDIR;
    }
    mutex_lock(&file->lock);
    mutex_lock_nested(&inode->lock);
    int error = -ENOENT;
    if ((inode->flags & INODE_DEAD) == 0) {
        uint64_t position = file->position;
        error = file->ops->readdir(file, sink, &position);
        file->position = position;
    }
    mutex_unlock(&inode->lock);
    mutex_unlock(&file->lock);
    if (error == 0) {
        after_read(file, 1);
    }
    return error;
}

/* lseek of a regular file or a directory of size bytes (Linux: generic_file_llseek). */
static int64_t seek_by_size(int64_t position, int64_t offset, int whence, uint64_t size)
{
    int64_t base = 0;
    switch (whence) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        base = position;
        break;
    case SEEK_END:
        base = (int64_t)size;
        break;
    case SEEK_DATA:
        return offset < 0 || (uint64_t)offset >= size ? -ENXIO : offset;
    case SEEK_HOLE:
        return offset < 0 || (uint64_t)offset >= size ? -ENXIO : (int64_t)size;
    default:
        return -EINVAL;
    }
    int64_t result;
    if (__builtin_add_overflow(base, offset, &result)) {
        return -EOVERFLOW;
    }
    return result < 0 ? -EINVAL : result;
}

int64_t file_seek_by_size(struct file *file, int64_t offset, int whence)
{
    uint64_t size = inode_load(file->inode->size);
    if (whence == SEEK_END && file->inode->ops->getattr) {
        struct inode_attr attr;
        int error = inode_getattr(file->inode, &attr);
        size = error == 0 ? attr.size : size;
    }
    return seek_by_size((int64_t)file->position, offset, whence, size);
}

int64_t file_seek(struct file *file, int64_t offset, int whence)
{
    if ((file->mode & FILE_PATH) != 0) {
        return -EBADF;
    }
    if (file_is_stream(file) && !file->ops->seek) {
        return -ESPIPE;
    }
    if (whence < SEEK_SET || whence > SEEK_HOLE) {
        return -EINVAL;
    }
    mutex_lock(&file->lock);
    int64_t result = file->ops->seek ? file->ops->seek(file, offset, whence)
                                     : file_seek_by_size(file, offset, whence);
    if (result >= 0) {
        file->position = (uint64_t)result;
    }
    mutex_unlock(&file->lock);
    return result;
}

uint32_t file_poll(struct file *file)
{
    if (!file->ops->poll) {
        return EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM;
    }
    return file->ops->poll(file);
}

struct wait_queue *file_wait_queue(struct file *file)
{
    return file->ops->wait_queue ? file->ops->wait_queue(file) : NULL;
}

int file_open_wait(struct file *file)
{
    return file->ops->open_wait ? file->ops->open_wait(file) : 0;
}

long file_ioctl(struct file *file, unsigned command, uint64_t argument)
{
    if ((file->mode & FILE_PATH) != 0) {
        return -EBADF;
    }
    int error = landlock_check_ioctl(file, command);
    if (error != 0) {
        return error;
    }
    return file->ops->ioctl ? file->ops->ioctl(file, command, argument) : -ENOTTY;
}

int file_mmap(struct file *file, uint64_t offset, uint64_t length, int prot, int flags,
              struct mm_source *ret_source)
{
    struct mount *mount = file->path.mount;
    if ((prot & 4) != 0 && mount && (atomic_load(&mount->flags) & MOUNT_NO_EXEC) != 0) {
        return -EPERM;
    }
    if (!file->ops->mmap) {
        return -ENODEV;
    }
    int error = file->ops->mmap(file, offset, length, prot, flags, ret_source);
    if (error == 0) {
        after_read(file, 1);
    }
    return error;
}

int file_sync(struct file *file, bool data_only)
{
    if ((file->mode & FILE_PATH) != 0) {
        return -EBADF;
    }
    return file->ops->sync ? file->ops->sync(file, data_only) : -EINVAL;
}

static int check_allocate(struct file *file, int mode, uint64_t offset, uint64_t length)
{
    const int known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE |
                      FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE | FALLOC_FL_UNSHARE_RANGE;
    if (offset > INT64_MAX || length == 0 || length > INT64_MAX) {
        return -EINVAL;
    }
    int kind = mode & ~FALLOC_FL_KEEP_SIZE;
    bool several = (kind & (kind - 1)) != 0;
    if ((mode & ~known) != 0 || several || mode == FALLOC_FL_PUNCH_HOLE) {
        return -EOPNOTSUPP;
    }
    if ((mode & FALLOC_FL_KEEP_SIZE) != 0 &&
        (kind == FALLOC_FL_COLLAPSE_RANGE || kind == FALLOC_FL_INSERT_RANGE)) {
        return -EOPNOTSUPP;
    }
    if ((file->mode & FILE_WRITE) == 0) {
        return -EBADF;
    }
    if (S_ISFIFO(file->inode->mode)) {
        return -ESPIPE;
    }
    if (S_ISDIR(file->inode->mode)) {
        return -EISDIR;
    }
    if (!S_ISREG(file->inode->mode)) {
        return -ENODEV;
    }
    return offset + length > file->inode->super->max_size ? -EFBIG : 0;
}

int file_allocate(struct file *file, int mode, uint64_t offset, uint64_t length)
{
    struct inode *inode = file->inode;
    int error = check_allocate(file, mode, offset, length);
    if (error != 0) {
        return error;
    }
    if (!file->ops->allocate) {
        return -EOPNOTSUPP;
    }
    mutex_lock_nested(&inode->lock);
    if ((mode & FALLOC_FL_KEEP_SIZE) == 0 && offset + length > inode->size &&
        offset + length > current.file_limit) {
        if (current_hooks.send_signal) {
            current_hooks.send_signal(SIGXFSZ);
        }
        error = -EFBIG;
    }
    if (error == 0) {
        error = inode_remove_privs(inode);
    }
    if (error == 0) {
        error = file->ops->allocate(file, mode, offset, length);
    }
    if (error == 0) {
        inode_touch_locked(inode, INODE_SET_MTIME | INODE_SET_CTIME);
    }
    mutex_unlock(&inode->lock);
    if (error == 0) {
        vfs_notify_file(file, IN_MODIFY);
    }
    return error;
}

int file_set_flags(struct file *file, unsigned flags)
{
    const unsigned mask = O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK;
    unsigned old = atomic_load(&file->flags);
    if ((file->mode & FILE_PATH) != 0) {
        return -EBADF;
    }
    if ((flags & O_NOATIME) != 0 && (old & O_NOATIME) == 0 &&
        current.cred->fsuid != inode_load(file->inode->uid) && !capable(3 /* CAP_FOWNER */)) {
        return -EPERM;
    }
    if (file->ops->set_flags) {
        int error = file->ops->set_flags(file, flags);
        if (error != 0) {
            return error;
        }
    }
    mutex_lock(&file->lock);
    old = atomic_load(&file->flags);
    atomic_store(&file->flags, (old & ~mask) | (flags & mask));
    mutex_unlock(&file->lock);
    return 0;
}

int file_add_seals(struct file *file, unsigned seals)
{
    return file->ops->add_seals ? file->ops->add_seals(file, seals) : -EINVAL;
}

int file_get_seals(struct file *file)
{
    return file->ops->get_seals ? file->ops->get_seals(file) : -EINVAL;
}

void file_show_fdinfo(struct file *file, struct text *text)
{
    file_locks_show(file, text);
    if (file->ops && file->ops->show_fdinfo) {
        file->ops->show_fdinfo(file, text);
    }
}

static struct file *backing_file(struct mm_backing *backing)
{
    return container_of(backing, struct file, backing);
}

static void backing_ref(struct mm_backing *backing)
{
    file_ref(backing_file(backing));
}

static void backing_unref(struct mm_backing *backing)
{
    file_unref(backing_file(backing));
}

static void backing_describe(struct mm_backing *backing, struct text *path, uint64_t *ret_dev,
                             uint64_t *ret_ino)
{
    struct file *file = backing_file(backing);
    if (path) {
        ignore_result(file_describe(file, path));
    }
    *ret_dev = file->inode->super->dev;
    *ret_ino = file->inode->ino;
}

static void backing_shared_write(struct mm_backing *backing, int delta)
{
    struct file *file = backing_file(backing);
    if (file->ops->shared_write) {
        file->ops->shared_write(file, delta);
    }
}

static int backing_sync(struct mm_backing *backing)
{
    struct file *file = backing_file(backing);
    return file->ops->sync ? file->ops->sync(file, false) : 0;
}

static int backing_source(struct mm_backing *backing, uint64_t offset, uint64_t length, int prot,
                          struct mm_source *ret_source)
{
    struct file *file = container_of(backing, struct file, backing);
    return file_mmap(file, offset, length, prot, MAP_SHARED, ret_source);
}

const struct mm_backing_ops file_backing_ops = {
    .source = backing_source,
    .ref = backing_ref,
    .unref = backing_unref,
    .describe = backing_describe,
    .shared_write = backing_shared_write,
    .sync = backing_sync,
};
