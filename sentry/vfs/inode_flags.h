/*
 * inode_flags.h: the attributes of chattr(1): immutable, append-only, no dump, no atime. File
 * systems whose super has `has_flags` keep them (in struct inode). Source: ioctl_iflags(2), Linux
 * fs/file_attr.c, mm/shmem.c.
 */
#pragma once

#include <stdint.h>

#include "platform/base/compiler.h"
#include "sentry/vfs/inode.h"

struct path;

/* FS_*_FL. -EOPNOTSUPP: the file system or the kind of file has none. */
int inode_get_fs_flags(struct inode *inode, unsigned *ret_flags) must_check;
/* -EROFS, -EPERM, -EOPNOTSUPP (also: a flag that is not known). */
int inode_set_fs_flags(const struct path *path, unsigned flags) must_check;
/* The same flags as FS_XFLAG_*, and back: -EOPNOTSUPP for those that have no FS_*_FL here. */
uint32_t inode_flags_to_xflags(unsigned flags);
int inode_flags_from_xflags(uint32_t xflags, unsigned *ret_flags) must_check;

/* Linux: IS_IMMUTABLE, IS_APPEND. */
static inline bool inode_is_immutable(const struct inode *inode)
{
    return (inode_load(inode->flags) & INODE_IMMUTABLE) != 0;
}
static inline bool inode_is_append_only(const struct inode *inode)
{
    return (inode_load(inode->flags) & INODE_APPEND_ONLY) != 0;
}
static inline bool inode_is_fixed(const struct inode *inode)
{
    return (inode_load(inode->flags) & (INODE_IMMUTABLE | INODE_APPEND_ONLY)) != 0;
}
