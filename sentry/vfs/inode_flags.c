/* inode_flags.c: see inode_flags.h. */
#include "sentry/vfs/inode_flags.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include "sentry/core/clock.h"
#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/path.h"

static const struct {
    unsigned inode, fs;
    uint32_t xflag;
} names[] = {
    {INODE_IMMUTABLE, FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE},
    {INODE_APPEND_ONLY, FS_APPEND_FL, FS_XFLAG_APPEND},
    {INODE_NO_DUMP, FS_NODUMP_FL, FS_XFLAG_NODUMP},
    {INODE_NO_ATIME, FS_NOATIME_FL, FS_XFLAG_NOATIME},
};

static bool has_flags(const struct inode *inode)
{
    uint32_t mode = inode_load(inode->mode);
    return inode->super->has_flags && (S_ISREG(mode) || S_ISDIR(mode));
}

int inode_get_fs_flags(struct inode *inode, unsigned *ret_flags)
{
    unsigned flags = 0, have = inode_load(inode->flags);
    if (!has_flags(inode)) {
        return -EOPNOTSUPP;
    }
    for (size_t i = 0; i < array_size(names); i++) {
        flags |= (have & names[i].inode) != 0 ? names[i].fs : 0;
    }
    *ret_flags = flags;
    return 0;
}

int inode_set_fs_flags(const struct path *path, unsigned flags)
{
    struct inode *inode = path_inode(path);
    unsigned wanted = 0, known = 0, ours = 0;
    if (mount_is_read_only(path->mount)) {
        return super_refuse_write(inode);
    }
    if (current.cred->fsuid != inode_load(inode->uid) && !capable(CAP_FOWNER)) {
        return -EPERM;
    }
    for (size_t i = 0; i < array_size(names); i++) {
        known |= names[i].fs;
        ours |= names[i].inode;
        wanted |= (flags & names[i].fs) != 0 ? names[i].inode : 0;
    }
    if (!has_flags(inode) || (flags & ~known) != 0) {
        return -EOPNOTSUPP;
    }
    mutex_lock(&inode->lock);
    unsigned old = inode_load(inode->flags);
    int error = 0;
    if (((old ^ wanted) & (INODE_IMMUTABLE | INODE_APPEND_ONLY)) != 0 &&
        !capable(CAP_LINUX_IMMUTABLE)) {
        error = -EPERM;
    } else {
        inode_store(inode->flags, (old & ~ours) | wanted);
        inode_touch_locked(inode, INODE_SET_CTIME);
    }
    mutex_unlock(&inode->lock);
    return error;
}

uint32_t inode_flags_to_xflags(unsigned flags)
{
    uint32_t xflags = 0;
    for (size_t i = 0; i < array_size(names); i++) {
        xflags |= (flags & names[i].fs) != 0 ? names[i].xflag : 0;
    }
    return xflags;
}

int inode_flags_from_xflags(uint32_t xflags, unsigned *ret_flags)
{
    unsigned flags = 0;
    uint32_t known = 0;
    for (size_t i = 0; i < array_size(names); i++) {
        known |= names[i].xflag;
        flags |= (xflags & names[i].xflag) != 0 ? names[i].fs : 0;
    }
    *ret_flags = flags;
    return (xflags & ~known) != 0 ? -EOPNOTSUPP : 0;
}
