/* xattr.c: extended attributes in memory, a list per inode, bounded in bytes. */
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "sentry/core/cred.h"
#include "sentry/fs/tmpfs/tmpfs_inode.h"

static struct tmpfs_xattr *find(struct tmpfs_inode *ti, const char *name)
{
    struct tmpfs_xattr *xattr;
    TAILQ_FOREACH (xattr, &ti->xattrs, link) {
        if (strcmp(xattr->name, name) == 0) {
            return xattr;
        }
    }
    return NULL;
}

static size_t cost(const struct tmpfs_xattr *xattr)
{
    return sizeof(*xattr) + strlen(xattr->name) + 1 + xattr->size;
}

static void drop(struct tmpfs_inode *ti, struct tmpfs_xattr *xattr)
{
    ti->xattr_bytes -= cost(xattr);
    TAILQ_REMOVE(&ti->xattrs, xattr, link);
    free(xattr);
}

ssize_t tmpfs_getxattr(struct inode *inode, const char *name, void *value, size_t size)
{
    struct tmpfs_xattr *xattr = find(tmpfs_inode(inode), name);
    if (!xattr) {
        return -ENODATA;
    }
    if (size > 0) {
        memcpy(value, xattr->value, min_of(size, xattr->size));
    }
    return (ssize_t)xattr->size;
}

int tmpfs_setxattr(struct inode *inode, const char *name, const void *value, size_t size, int flags)
{
    struct tmpfs_inode *ti = tmpfs_inode(inode);
    struct tmpfs_xattr *old = find(ti, name);
    if (old && (flags & XATTR_CREATE) != 0) {
        return -EEXIST;
    }
    if (!old && (flags & XATTR_REPLACE) != 0) {
        return -ENODATA;
    }
    size_t name_size = strlen(name) + 1;
    struct tmpfs_xattr *xattr = malloc(sizeof(*xattr) + name_size + size);
    if (!xattr) {
        return -ENOMEM;
    }
    memcpy(xattr->name, name, name_size);
    xattr->value = xattr->name + name_size;
    xattr->size = size;
    if (size > 0) {
        memcpy(xattr->value, value, size);
    }
    size_t others = ti->xattr_bytes - (old ? cost(old) : 0);
    if (others + cost(xattr) > TMPFS_XATTR_MAX) {
        free(xattr);
        return -ENOSPC;
    }
    if (old) {
        drop(ti, old);
    }
    ti->xattr_bytes += cost(xattr);
    TAILQ_INSERT_HEAD(&ti->xattrs, xattr, link);
    return 0;
}

ssize_t tmpfs_listxattr(struct inode *inode, char *list, size_t size)
{
    struct tmpfs_xattr *xattr;
    size_t total = 0;
    TAILQ_FOREACH (xattr, &tmpfs_inode(inode)->xattrs, link) {
        size_t length = strlen(xattr->name) + 1;
        if (strncmp(xattr->name, "trusted.", 8) == 0 && !capable(CAP_SYS_ADMIN)) {
            continue;
        }
        if (total + length <= size) {
            memcpy(list + total, xattr->name, length);
        }
        total += length;
    }
    return (ssize_t)total;
}

int tmpfs_removexattr(struct inode *inode, const char *name)
{
    struct tmpfs_xattr *xattr = find(tmpfs_inode(inode), name);
    if (!xattr) {
        return -ENODATA;
    }
    drop(tmpfs_inode(inode), xattr);
    return 0;
}

void tmpfs_xattrs_free(struct tmpfs_inode *ti)
{
    struct tmpfs_xattr *xattr;
    while ((xattr = TAILQ_FIRST(&ti->xattrs)) != NULL) {
        TAILQ_REMOVE(&ti->xattrs, xattr, link);
        free(xattr);
    }
}
