/*
 * overlay_layer.c: operations on the inodes and files of the layers, called with an overlay inode
 * locked (or none): the layer's lock is taken nested. The only place of the overlay that calls
 * another file system's file operations.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>

#include "sentry/fs/overlay/internal.h"

int layer_lookup(struct inode *dir, const char *name, struct inode **ret_child)
{
    mutex_lock_nested(&dir->lock);
    int result = inode_lookup(dir, name, ret_child);
    mutex_unlock(&dir->lock);
    return result;
}

int layer_open(struct inode *inode, unsigned mode, struct file **ret_file)
{
    unsigned flags = (mode & FILE_WRITE) != 0 ? O_RDWR : O_RDONLY;
    struct file *file;
    int result =
        file_new(inode, NULL, NULL, mode | FILE_NO_WRITE_COUNT | FILE_NO_ATIME, flags, NULL, &file);
    if (result < 0) {
        return result;
    }
    result = inode_open(inode, file);
    if (result < 0) {
        file_unref(file);
        return result;
    }
    *ret_file = file;
    return 0;
}

ssize_t layer_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    if (file->ops->read == NULL) {
        return -EINVAL;
    }
    return file->ops->read(file, uio, offset, flags);
}

ssize_t layer_write(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    if (file->ops->write == NULL) {
        return -EINVAL;
    }
    mutex_lock_nested(&file->inode->lock);
    ssize_t result = file->ops->write(file, uio, offset, flags);
    mutex_unlock(&file->inode->lock);
    return result;
}

int layer_set_size(struct inode *inode, uint64_t size)
{
    struct inode_attr attr = {.size = size};
    if (inode->ops->setattr == NULL) {
        return -EPERM;
    }
    mutex_lock_nested(&inode->lock);
    int result = inode->ops->setattr(inode, &attr, INODE_SET_SIZE);
    mutex_unlock(&inode->lock);
    return result;
}

int layer_readdir(struct file *file, struct dir_sink *sink, uint64_t *pos)
{
    if (file->ops->readdir == NULL) {
        return -ENOTDIR;
    }
    mutex_lock_nested(&file->inode->lock);
    int result = file->ops->readdir(file, sink, pos);
    mutex_unlock(&file->inode->lock);
    return result;
}
