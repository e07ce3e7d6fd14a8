/*
 * overlay_xattr.c: extended attributes: lower's until the first change, then a list of our own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "sentry/fs/overlay/internal.h"

#define XATTR_TOTAL_MAX  (128 * 1024) /* names and values of one inode */
#define XATTR_VALUE_MAX  65536
#define XATTR_ENTRY_COST 64

static struct overlay_xattr *xattr_find(struct overlay_inode *node, const char *name)
{
    struct overlay_xattr *xattr;
    LIST_FOREACH (xattr, &node->xattrs, link) {
        if (strcmp(xattr->name, name) == 0) {
            return xattr;
        }
    }
    return NULL;
}

static void xattr_drop(struct overlay_inode *node, struct overlay_xattr *xattr)
{
    node->xattr_bytes -= strlen(xattr->name) + xattr->size + XATTR_ENTRY_COST;
    LIST_REMOVE(xattr, link);
    free(xattr->value);
    free(xattr);
}

void overlay_xattrs_free(struct overlay_inode *node)
{
    while (!LIST_EMPTY(&node->xattrs)) {
        xattr_drop(node, LIST_FIRST(&node->xattrs));
    }
}

static int xattr_put(struct overlay_inode *node, const char *name, const void *value, size_t size)
{
    size_t name_size = strlen(name) + 1;
    struct overlay_xattr *old = xattr_find(node, name);
    size_t bytes = node->xattr_bytes + name_size - 1 + size + XATTR_ENTRY_COST;
    if (size > XATTR_VALUE_MAX || bytes > XATTR_TOTAL_MAX) {
        return -ENOSPC;
    }
    struct overlay_xattr *xattr = malloc(sizeof(*xattr) + name_size);
    uint8_t *copy = malloc(size + 1);
    if (xattr == NULL || copy == NULL) {
        free(xattr);
        free(copy);
        return -ENOMEM;
    }
    memcpy(xattr->name, name, name_size);
    if (size > 0) {
        memcpy(copy, value, size);
    }
    xattr->value = copy;
    xattr->size = size;
    LIST_INSERT_HEAD(&node->xattrs, xattr, link);
    node->xattr_bytes = bytes;
    if (old != NULL) {
        xattr_drop(node, old);
    }
    return 0;
}

static ssize_t lower_get(struct inode *lower, const char *name, void *value, size_t size)
{
    mutex_lock_nested(&lower->lock);
    ssize_t result = inode_getxattr(lower, name, value, size);
    mutex_unlock(&lower->lock);
    return result;
}

static ssize_t lower_list(struct inode *lower, char *list, size_t size)
{
    mutex_lock_nested(&lower->lock);
    ssize_t result = inode_listxattr(lower, list, size);
    mutex_unlock(&lower->lock);
    return result;
}

static int load_from(struct overlay_inode *node, char *list, uint8_t *value)
{
    ssize_t length = lower_list(node->lower, list, XATTR_VALUE_MAX);
    if (length == -EOPNOTSUPP) {
        return 0;
    }
    if (length < 0) {
        return (int)length;
    }
    if (length > XATTR_VALUE_MAX) {
        return -ERANGE;
    }
    for (ssize_t at = 0; at < length;
         at += (ssize_t)strnlen(list + at, (size_t)(length - at)) + 1) {
        if (memchr(list + at, 0, (size_t)(length - at)) == NULL) {
            return -EIO;
        }
        ssize_t size = lower_get(node->lower, list + at, value, XATTR_VALUE_MAX);
        if (size < 0 || size > XATTR_VALUE_MAX) {
            continue; /* gone or not readable: it has no copy */
        }
        int result = xattr_put(node, list + at, value, (size_t)size);
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

static int xattrs_load(struct overlay_inode *node)
{
    int result = overlay_own(node);
    if (result < 0 || node->xattrs_loaded) {
        return result;
    }
    auto_free char *list = malloc(XATTR_VALUE_MAX);
    auto_free uint8_t *value = malloc(XATTR_VALUE_MAX);
    if (list == NULL || value == NULL) {
        return -ENOMEM;
    }
    result = load_from(node, list, value);
    if (result < 0) {
        overlay_xattrs_free(node);
        return result;
    }
    node->xattrs_loaded = true;
    return 0;
}

ssize_t overlay_getxattr(struct inode *inode, const char *name, void *value, size_t size)
{
    struct overlay_inode *node = overlay_of(inode);
    if (!node->xattrs_loaded) {
        return lower_get(node->lower, name, value, size);
    }
    struct overlay_xattr *xattr = xattr_find(node, name);
    if (xattr == NULL) {
        return -ENODATA;
    }
    if (size != 0) {
        if (xattr->size > size) {
            return -ERANGE;
        }
        memcpy(value, xattr->value, xattr->size);
    }
    return (ssize_t)xattr->size;
}

int overlay_setxattr(struct inode *inode, const char *name, const void *value, size_t size,
                     int flags)
{
    struct overlay_inode *node = overlay_of(inode);
    int result = xattrs_load(node);
    if (result < 0) {
        return result;
    }
    struct overlay_xattr *xattr = xattr_find(node, name);
    if (xattr != NULL && (flags & XATTR_CREATE) != 0) {
        return -EEXIST;
    }
    if (xattr == NULL && (flags & XATTR_REPLACE) != 0) {
        return -ENODATA;
    }
    result = xattr_put(node, name, value, size);
    if (result == 0) {
        inode_touch_locked(inode, INODE_SET_CTIME);
    }
    return result;
}

ssize_t overlay_listxattr(struct inode *inode, char *list, size_t size)
{
    struct overlay_inode *node = overlay_of(inode);
    if (!node->xattrs_loaded) {
        return lower_list(node->lower, list, size);
    }
    size_t length = 0;
    struct overlay_xattr *xattr;
    LIST_FOREACH (xattr, &node->xattrs, link) {
        size_t name_size = strlen(xattr->name) + 1;
        if (size != 0) {
            if (length + name_size > size) {
                return -ERANGE;
            }
            memcpy(list + length, xattr->name, name_size);
        }
        length += name_size;
    }
    return (ssize_t)length;
}

int overlay_removexattr(struct inode *inode, const char *name)
{
    struct overlay_inode *node = overlay_of(inode);
    int result = xattrs_load(node);
    if (result < 0) {
        return result;
    }
    struct overlay_xattr *xattr = xattr_find(node, name);
    if (xattr == NULL) {
        return -ENODATA;
    }
    xattr_drop(node, xattr);
    inode_touch_locked(inode, INODE_SET_CTIME);
    return 0;
}
