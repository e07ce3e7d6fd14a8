/*
 * inode_calls.c: the one place that calls the name, link and xattr operations of file systems, and
 * says what a missing operation means.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>

#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"

int inode_lookup(struct inode *dir, const char *name, struct inode **ret_child)
{
    return dir->ops->lookup ? dir->ops->lookup(dir, name, ret_child) : -ENOTDIR;
}

int inode_create(struct inode *dir, const char *name, uint32_t mode, uint64_t rdev,
                 struct inode **ret_child)
{
    return dir->ops->create ? dir->ops->create(dir, name, mode, rdev, ret_child) : -EPERM;
}

int inode_symlink(struct inode *dir, const char *name, const char *target, struct inode **ret_child)
{
    return dir->ops->symlink ? dir->ops->symlink(dir, name, target, ret_child) : -EPERM;
}

int inode_link(struct inode *dir, const char *name, struct inode *target)
{
    return dir->ops->link ? dir->ops->link(dir, name, target) : -EPERM;
}

int inode_unlink(struct inode *dir, const char *name, struct inode *child)
{
    return dir->ops->unlink ? dir->ops->unlink(dir, name, child) : -EPERM;
}

int inode_rmdir(struct inode *dir, const char *name, struct inode *child)
{
    return dir->ops->rmdir ? dir->ops->rmdir(dir, name, child) : -EPERM;
}

int inode_rename(struct inode *old_dir, const char *old_name, struct inode *child,
                 struct inode *new_dir, const char *new_name, struct inode *target, unsigned flags)
{
    if (!old_dir->ops->rename) {
        return -EPERM;
    }
    return old_dir->ops->rename(old_dir, old_name, child, new_dir, new_name, target, flags);
}

int inode_tmpfile(struct inode *dir, uint32_t mode, struct inode **ret_child)
{
    return dir->ops->tmpfile ? dir->ops->tmpfile(dir, mode, ret_child) : -EOPNOTSUPP;
}

int inode_readlink(struct inode *inode, struct text *target)
{
    return inode->ops->readlink ? inode->ops->readlink(inode, target) : -EINVAL;
}

int inode_follow(struct inode *inode, struct path *ret_path)
{
    return inode->ops->follow(inode, ret_path);
}

int inode_open(struct inode *inode, struct file *file)
{
    if (inode->ops->open) {
        return inode->ops->open(inode, file);
    }
    file->ops = inode->file_ops;
    return file->ops ? 0 : -ENXIO;
}

bool inode_revalidate(struct inode *dir, const char *name, struct inode *child)
{
    return !dir->ops->revalidate || dir->ops->revalidate(dir, name, child);
}

ssize_t inode_getxattr(struct inode *inode, const char *name, void *value, size_t size)
{
    return inode->ops->getxattr ? inode->ops->getxattr(inode, name, value, size) : -EOPNOTSUPP;
}

int inode_setxattr(struct inode *inode, const char *name, const void *value, size_t size, int flags)
{
    if (!inode->ops->setxattr) {
        return -EOPNOTSUPP;
    }
    return inode->ops->setxattr(inode, name, value, size, flags);
}

ssize_t inode_listxattr(struct inode *inode, char *list, size_t size)
{
    /* Linux: listing on a file system without attributes is empty, not an error. */
    return inode->ops->listxattr ? inode->ops->listxattr(inode, list, size) : 0;
}

int inode_removexattr(struct inode *inode, const char *name)
{
    return inode->ops->removexattr ? inode->ops->removexattr(inode, name) : -EOPNOTSUPP;
}
