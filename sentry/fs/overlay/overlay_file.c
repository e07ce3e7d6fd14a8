/*
 * overlay_file.c: open files. Each has up to two files of the layers behind it, opened when first
 * needed: the lower one until the data was copied, the data's from then on.
 *
 * Linux (since 4.19): a file opened for reading before the copy reads the new data after it; what
 * it mapped before stays. DIFFERS: opening for writing does not copy yet; the first write,
 * truncation or shared mapping does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sentry/fs/overlay/internal.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/special.h"

struct overlay_file {
    _Atomic(struct file *) lower; /* reference */
    _Atomic(struct file *) data;  /* reference */
};

/* The file of the present layer, borrowed from the overlay file. */
static int real_file(struct file *file, struct file **ret_real)
{
    struct overlay_inode *node = overlay_of(file->inode);
    struct overlay_file *own = file->private_data;
    struct inode *data = atomic_load(&node->data);
    _Atomic(struct file *) *slot = data != NULL ? &own->data : &own->lower;
    struct file *real = atomic_load(slot);
    if (real == NULL) {
        struct file *fresh;
        int result = layer_open(data != NULL ? data : node->lower,
                                data != NULL ? FILE_READ | FILE_WRITE : FILE_READ, &fresh);
        if (result < 0) {
            return result;
        }
        if (atomic_compare_exchange_strong(slot, &real, fresh)) {
            real = fresh;
        } else {
            file_unref(fresh);
        }
    }
    *ret_real = real;
    return 0;
}

static ssize_t overlay_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    struct file *real;
    int result = real_file(file, &real);
    return result < 0 ? result : layer_read(real, uio, offset, flags);
}

static ssize_t overlay_write(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    struct overlay_inode *node = overlay_of(file->inode);
    struct file *real;
    int result = overlay_copy_data(node, UINT64_MAX);
    if (result == 0) {
        result = real_file(file, &real);
    }
    if (result < 0) {
        return result;
    }
    ssize_t count = layer_write(real, uio, offset, flags);
    if (count > 0) {
        overlay_update_size(node);
        inode_touch_locked(file->inode, INODE_SET_MTIME | INODE_SET_CTIME);
    }
    return count;
}

static int overlay_mmap(struct file *file, uint64_t offset, uint64_t length, int prot, int flags,
                        struct mm_source *ret_source)
{
    struct overlay_inode *node = overlay_of(file->inode);
    bool writer = (file->mode & FILE_WRITE) != 0 && (flags & MAP_TYPE) != MAP_PRIVATE;
    int result = 0;
    /* Somebody may write: from here on everybody must map the same object. */
    if (atomic_load(&node->data) == NULL &&
        (writer || atomic_load(&file->inode->write_openers) > 0)) {
        mutex_lock(&file->inode->lock);
        result = overlay_copy_data(node, UINT64_MAX);
        mutex_unlock(&file->inode->lock);
    }
    struct file *real = NULL;
    if (result == 0) {
        result = real_file(file, &real);
    }
    if (result < 0) {
        return result;
    }
    if (real->ops->mmap == NULL) {
        return -ENODEV;
    }
    return real->ops->mmap(real, offset, length, prot, flags, ret_source);
}

/* Linux: ovl_llseek: holes are those of the layer. */
static int64_t overlay_seek(struct file *file, int64_t offset, int whence)
{
    struct file *real;
    if (whence == SEEK_DATA || whence == SEEK_HOLE) {
        int result = real_file(file, &real);
        if (result < 0) {
            return result;
        }
        if (real->ops->seek != NULL) {
            return real->ops->seek(real, offset, whence);
        }
    }
    return file_seek_by_size(file, offset, whence);
}

static int overlay_sync(struct file *file, bool data_only)
{
    (void)file;
    (void)data_only;
    return 0; /* changes are in memory */
}

static int overlay_allocate(struct file *file, int mode, uint64_t offset, uint64_t length)
{
    struct overlay_inode *node = overlay_of(file->inode);
    struct file *real;
    int result = overlay_copy_data(node, UINT64_MAX);
    if (result == 0) {
        result = real_file(file, &real);
    }
    if (result < 0) {
        return result;
    }
    if (real->ops->allocate == NULL) {
        return -EOPNOTSUPP;
    }
    mutex_lock_nested(&real->inode->lock);
    result = real->ops->allocate(real, mode, offset, length);
    mutex_unlock(&real->inode->lock);
    overlay_update_size(node);
    if (result == 0) {
        inode_touch_locked(file->inode, INODE_SET_MTIME | INODE_SET_CTIME);
    }
    return result;
}

static void overlay_release(struct file *file)
{
    struct overlay_file *own = file->private_data;
    struct file *lower = atomic_load(&own->lower);
    struct file *data = atomic_load(&own->data);
    if (lower != NULL) {
        file_unref(lower);
    }
    if (data != NULL) {
        file_unref(data);
    }
    free(own);
}

static const struct file_ops overlay_file_ops = {
    .read = overlay_read,
    .write = overlay_write,
    .mmap = overlay_mmap,
    .seek = overlay_seek,
    .sync = overlay_sync,
    .allocate = overlay_allocate,
    .release = overlay_release,
};

int overlay_open(struct inode *inode, struct file *file)
{
    struct overlay_inode *node = overlay_of(inode);
    if (S_ISDIR(inode_load(inode->mode))) {
        file->ops = &overlay_dir_file_ops;
        file->private_data = NULL;
        return 0;
    }
    uint32_t mode = inode_load(inode->mode);
    if (S_ISCHR(mode) || S_ISBLK(mode)) {
        return vfs_special.open_device
                   ? vfs_special.open_device(inode, inode->rdev, S_ISBLK(mode), file)
                   : -ENXIO;
    }
    if (!S_ISREG(mode)) {
        return -ENXIO;
    }
    struct overlay_file *own = calloc(1, sizeof(*own));
    if (own == NULL) {
        return -ENOMEM;
    }
    file->private_data = own;
    struct file *real;
    int result = 0;
    /* What the lower file system refuses is refused at open; a file to be truncated is not read. */
    if (atomic_load(&node->data) == NULL && (atomic_load(&file->flags) & O_TRUNC) == 0) {
        result = real_file(file, &real);
    }
    if (result < 0) {
        free(own);
        file->private_data = NULL;
        return result;
    }
    struct inode_attr attr;
    if (!inode->super->cache_forever) {
        ignore_result(inode_getattr(inode, &attr)); /* seeking and appending use the cached size */
    }
    file->ops = &overlay_file_ops;
    return 0;
}
