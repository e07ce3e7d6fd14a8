/*
 * xattr.c: who may read and write which extended attribute. Linux: fs/xattr.c (xattr_permission),
 * xattr(7).
 */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/inode_flags.h"
#include "sentry/vfs/inotify_hooks.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/path.h"

#define XATTR_NAME_LENGTH 255
#define XATTR_SIZE        65536
#define MAY_WRITE         2
#define MAY_READ          4

static bool has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static int check(const struct path *path, const char *name, int mask)
{
    struct inode *inode = path_inode(path);
    bool write = mask == MAY_WRITE;
    if (!inode) {
        return -ENOENT;
    }
    if (name[0] == '\0' || strlen(name) > XATTR_NAME_LENGTH) {
        return -ERANGE;
    }
    if (write && mount_is_read_only(path->mount)) {
        return super_refuse_write(inode);
    }
    if (write && inode_is_fixed(inode)) {
        return -EPERM;
    }
    if (has_prefix(name, "security.")) {
        int needed = strcmp(name, "security.capability") == 0 ? CAP_SETFCAP : CAP_SYS_ADMIN;
        return write && !capable(needed) ? -EPERM : 0;
    }
    if (has_prefix(name, "trusted.")) {
        return capable(CAP_SYS_ADMIN) ? 0 : write ? -EPERM : -ENODATA;
    }
    if (!has_prefix(name, "user.")) {
        return -EOPNOTSUPP;
    }
    if (name[strlen("user.")] == '\0') {
        return -EINVAL;
    }
    uint32_t mode = inode_load(inode->mode);
    if (!S_ISREG(mode) && !S_ISDIR(mode)) {
        return write ? -EPERM : -ENODATA;
    }
    if (write && S_ISDIR(mode) && (mode & S_ISVTX) != 0 &&
        current.cred->fsuid != inode_load(inode->uid) && !capable(CAP_FOWNER)) {
        return -EPERM;
    }
    return inode_permission(inode, mask);
}

ssize_t vfs_getxattr(const struct path *path, const char *name, void *value, size_t size)
{
    int error = check(path, name, MAY_READ);
    if (error != 0) {
        return error;
    }
    struct inode *inode = path_inode(path);
    mutex_lock_nested(&inode->lock);
    ssize_t length = inode_getxattr(inode, name, value, size);
    mutex_unlock(&inode->lock);
    return length > 0 && size > 0 && (size_t)length > size ? -ERANGE : length;
}

int vfs_setxattr(const struct path *path, const char *name, const void *value, size_t size,
                 int flags)
{
    if ((flags & ~3) != 0 || flags == 3) { /* XATTR_CREATE, XATTR_REPLACE */
        return -EINVAL;
    }
    if (size > XATTR_SIZE) {
        return -E2BIG;
    }
    int error = check(path, name, MAY_WRITE);
    if (error != 0) {
        return error;
    }
    struct inode *inode = path_inode(path);
    mutex_lock_nested(&inode->lock);
    error = inode_setxattr(inode, name, value, size, flags);
    if (error == 0) {
        inode_touch_locked(inode, INODE_SET_CTIME);
    }
    mutex_unlock(&inode->lock);
    if (error == 0) {
        vfs_notify_path(path, IN_ATTRIB);
    }
    return error;
}

ssize_t vfs_listxattr(const struct path *path, char *list, size_t size)
{
    struct inode *inode = path_inode(path);
    if (!inode) {
        return -ENOENT;
    }
    mutex_lock_nested(&inode->lock);
    ssize_t length = inode_listxattr(inode, list, size);
    mutex_unlock(&inode->lock);
    return length > 0 && size > 0 && (size_t)length > size ? -ERANGE : length;
}

int vfs_removexattr(const struct path *path, const char *name)
{
    int error = check(path, name, MAY_WRITE);
    if (error != 0) {
        return error;
    }
    struct inode *inode = path_inode(path);
    mutex_lock_nested(&inode->lock);
    error = inode_removexattr(inode, name);
    if (error == 0) {
        inode_touch_locked(inode, INODE_SET_CTIME);
    }
    mutex_unlock(&inode->lock);
    if (error == 0) {
        vfs_notify_path(path, IN_ATTRIB);
    }
    return error;
}
