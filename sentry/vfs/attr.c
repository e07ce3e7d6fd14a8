/* attr.c: access, truncate, chmod, chown, utimes and readlink on resolved objects. Linux:
 * fs/open.c. */
#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "sentry/vfs/file.h"
#include "sentry/vfs/file_lease.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/landlock.h"
#include "sentry/vfs/inotify_hooks.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/path.h"

int vfs_readlink(const struct path *path, struct text *target)
{
    struct inode *inode = path_inode(path);
    if (!inode) {
        return -ENOENT;
    }
    if (!S_ISLNK(inode_load(inode->mode))) {
        return -EINVAL;
    }
    int error = inode_readlink(inode, target);
    if (error == 0 && !mount_is_read_only(path->mount)) {
        inode_accessed(inode, false);
    }
    return error;
}

int vfs_access(const struct path *path, int mask)
{
    struct inode *inode = path_inode(path);
    if (!inode) {
        return -ENOENT;
    }
    uint32_t mode = inode_load(inode->mode);
    unsigned flags = path->mount ? atomic_load(&path->mount->flags) : 0;
    if ((mask & 1) != 0 && S_ISREG(mode) && (flags & MOUNT_NO_EXEC) != 0) {
        return -EACCES;
    }
    int error = inode_permission(inode, mask);
    if (error == 0 && (mask & 2) != 0 && (S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode)) &&
        mount_is_read_only(path->mount)) {
        error = -EROFS;
    }
    return error;
}

/* Shared by truncate and ftruncate: privileges go, the size changes. */
static int set_size(struct inode *inode, uint64_t size)
{
    struct inode_attr attr = {.size = size};
    mutex_lock_nested(&inode->lock);
    int error = inode_remove_privs(inode);
    mutex_unlock(&inode->lock);
    return error != 0 ? error : inode_setattr(inode, &attr, INODE_SET_SIZE);
}

int vfs_truncate(const struct path *path, uint64_t size)
{
    struct inode *inode = path_inode(path);
    if (!inode) {
        return -ENOENT;
    }
    if (size > INT64_MAX) {
        return -EINVAL;
    }
    uint32_t mode = inode_load(inode->mode);
    if (!S_ISREG(mode)) {
        return S_ISDIR(mode) ? -EISDIR : -EINVAL;
    }
    if (mount_is_read_only(path->mount)) {
        return super_refuse_write(inode);
    }
    int error = inode_permission(inode, 2);
    if (error == 0) {
        error = landlock_check(path, LANDLOCK_TRUNCATE);
    }
    if (error == 0) {
        error = lease_break(inode, true, false);
    }
    if (error == 0) {
        error = inode_get_write(inode);
    }
    if (error != 0) {
        return error;
    }
    error = set_size(inode, size);
    inode_put_write(inode);
    if (error == 0) {
        vfs_notify_path(path, IN_MODIFY);
    }
    return error;
}

int file_truncate(struct file *file, uint64_t size)
{
    if ((file->mode & FILE_PATH) != 0) {
        return -EBADF;
    }
    if (size > INT64_MAX || !S_ISREG(inode_load(file->inode->mode)) ||
        (file->mode & FILE_WRITE) == 0) {
        return -EINVAL;
    }
    if ((file->mode & FILE_NO_TRUNCATE) != 0) {
        return -EACCES;
    }
    int error = set_size(file->inode, size);
    if (error == 0) {
        vfs_notify_file(file, IN_MODIFY);
    }
    return error;
}

int vfs_setattr(const struct path *path, struct inode_attr *attr, unsigned set)
{
    struct inode *inode = path_inode(path);
    if (!inode) {
        return -ENOENT;
    }
    if (mount_is_read_only(path->mount)) {
        return super_refuse_write(inode);
    }
    int error = inode_setattr(inode, attr, set);
    if (error == 0) {
        const unsigned both = INODE_SET_ATIME | INODE_SET_MTIME;
        uint32_t mask = 0;
        if ((set & (INODE_SET_MODE | INODE_SET_UID | INODE_SET_GID)) != 0 || (set & both) == both ||
            set == INODE_SET_KILL_PRIVS) {
            mask = IN_ATTRIB;
        } else if ((set & both) != 0) {
            mask = (set & INODE_SET_ATIME) != 0 ? IN_ACCESS : IN_MODIFY;
        }
        vfs_notify_path(path, mask);
    }
    return error;
}

int vfs_chmod(const struct path *path, uint32_t mode)
{
    struct inode *inode = path_inode(path);
    if (inode && S_ISLNK(inode_load(inode->mode))) {
        return -EOPNOTSUPP;
    }
    struct inode_attr attr = {.mode = mode & 07777};
    return vfs_setattr(path, &attr, INODE_SET_MODE);
}

int vfs_chown(const struct path *path, uint32_t uid, uint32_t gid)
{
    struct inode_attr attr = {.uid = uid, .gid = gid};
    unsigned set = INODE_SET_KILL_PRIVS;
    set |= uid != UINT32_MAX ? INODE_SET_UID : 0;
    set |= gid != UINT32_MAX ? INODE_SET_GID : 0;
    return vfs_setattr(path, &attr, set);
}
