/*
 * sys_stat.c: stat, statx, statfs, ustat and the access family. Sources: Linux fs/stat.c,
 * fs/statfs.c, fs/open.c (do_faccessat); stat(2), statx(2), statfs(2), access(2).
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/mount.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#define STAT_FLAGS (AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE)

#define SECURE_NO_SETUID_FIXUP 4U

static long put_stat(struct inode *inode, uint64_t addr)
{
    struct inode_attr attr;
    int error = inode_getattr(inode, &attr);
    if (error < 0) {
        return error;
    }
    struct stat value;
    memset(&value, 0, sizeof(value));
    value.st_dev = attr.dev;
    value.st_ino = attr.ino;
    value.st_mode = attr.mode;
    value.st_nlink = attr.nlink;
    value.st_uid = attr.uid;
    value.st_gid = attr.gid;
    value.st_rdev = attr.rdev;
    value.st_size = (off_t)attr.size;
    value.st_blksize = attr.blksize;
    value.st_blocks = (blkcnt_t)attr.blocks;
    value.st_atim = attr.atime;
    value.st_mtim = attr.mtime;
    value.st_ctim = attr.ctime;
    return copy_out(addr, &value);
}

static long stat_at(struct task *task, int dirfd, uint64_t path, uint64_t addr, unsigned flags)
{
    auto_path struct path found = {0};
    auto_file struct file *file = NULL;
    int error = lookup_object(task, dirfd, path, flags, &found, &file);
    return error < 0 ? error : put_stat(lookup_inode(&found, file), addr);
}

long sys_stat(struct task *task, const struct syscall_args *args)
{
    return stat_at(task, AT_FDCWD, arg_u64(args, 0), arg_u64(args, 1), 0);
}

long sys_lstat(struct task *task, const struct syscall_args *args)
{
    return stat_at(task, AT_FDCWD, arg_u64(args, 0), arg_u64(args, 1), AT_SYMLINK_NOFOLLOW);
}

long sys_fstat(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = arg_file_raw(task, args, 0);
    return file ? put_stat(file->inode, arg_u64(args, 1)) : -EBADF;
}

long sys_newfstatat(struct task *task, const struct syscall_args *args)
{
    unsigned flags = arg_uint(args, 3);
    if ((flags & ~(unsigned)STAT_FLAGS) != 0) {
        return -EINVAL;
    }
    return stat_at(task, arg_int(args, 0), arg_u64(args, 1), arg_u64(args, 2), flags);
}

#define STATX_MNT_ID_UNIQUE_BIT 0x4000U /* newer than the C library's headers */

static void set_statx_time(struct statx_timestamp *to, const struct timespec *from)
{
    to->tv_sec = from->tv_sec;
    to->tv_nsec = (uint32_t)from->tv_nsec;
}

static long put_statx(struct inode *inode, const struct path *path, unsigned mask, uint64_t addr)
{
    struct inode_attr attr;
    struct statx value;
    int error = inode_getattr(inode, &attr);
    if (error < 0) {
        return error;
    }
    memset(&value, 0, sizeof(value));
    value.stx_mask = STATX_BASIC_STATS | STATX_BTIME;
    value.stx_blksize = attr.blksize;
    value.stx_nlink = attr.nlink;
    value.stx_uid = attr.uid;
    value.stx_gid = attr.gid;
    value.stx_mode = (uint16_t)attr.mode;
    value.stx_ino = attr.ino;
    value.stx_size = attr.size;
    value.stx_blocks = attr.blocks;
    set_statx_time(&value.stx_atime, &attr.atime);
    set_statx_time(&value.stx_btime, &attr.btime);
    set_statx_time(&value.stx_ctime, &attr.ctime);
    set_statx_time(&value.stx_mtime, &attr.mtime);
    value.stx_rdev_major = major(attr.rdev);
    value.stx_rdev_minor = minor(attr.rdev);
    value.stx_dev_major = major(attr.dev);
    value.stx_dev_minor = minor(attr.dev);
    value.stx_attributes_mask = STATX_ATTR_AUTOMOUNT | STATX_ATTR_MOUNT_ROOT;
    if (inode->super->has_flags) {
        const unsigned flags = inode_load(inode->flags);
        value.stx_attributes_mask |= STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_NODUMP;
        value.stx_attributes |= ((flags & INODE_IMMUTABLE) != 0 ? STATX_ATTR_IMMUTABLE : 0U) |
                                ((flags & INODE_APPEND_ONLY) != 0 ? STATX_ATTR_APPEND : 0U) |
                                ((flags & INODE_NO_DUMP) != 0 ? STATX_ATTR_NODUMP : 0U);
    }
    if (path && path->mount) {
        bool unique = (mask & STATX_MNT_ID_UNIQUE_BIT) != 0;
        value.stx_mask |= unique ? STATX_MNT_ID_UNIQUE_BIT : STATX_MNT_ID;
        value.stx_mnt_id = unique ? mount_unique_id(path->mount) : (uint64_t)path->mount->id;
        if (path->mount->root == path->dentry) {
            value.stx_attributes |= STATX_ATTR_MOUNT_ROOT;
        }
    }
    return copy_out(addr, &value);
}

long sys_statx(struct task *task, const struct syscall_args *args)
{
    unsigned flags = arg_uint(args, 2);
    if ((arg_uint(args, 3) & STATX__RESERVED) != 0 || (flags & ~(unsigned)STAT_FLAGS) != 0 ||
        (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE) {
        return -EINVAL;
    }
    auto_path struct path found = {0};
    auto_file struct file *file = NULL;
    int error = lookup_object(task, arg_int(args, 0), arg_u64(args, 1), flags, &found, &file);
    if (error < 0) {
        return error;
    }
    return put_statx(lookup_inode(&found, file), file ? NULL : &found, arg_uint(args, 3),
                     arg_u64(args, 4));
}

static long put_statfs(const struct inode *inode, const struct mount *mount, uint64_t addr)
{
    struct statfs value;
    memset(&value, 0, sizeof(value));
    int error = super_statfs(inode->super, &value);
    if (error < 0) {
        return error;
    }
    if (!mount && (S_ISFIFO(inode->mode) || S_ISSOCK(inode->mode))) {
        /* Linux keeps these on file systems of their own: pipefs and sockfs. */
        value.f_type = S_ISFIFO(inode->mode) ? 0x50495045 : 0x534f434b;
    }
    value.f_flags = 0x20; /* Linux: ST_VALID */
    if (mount) {
        /* ST_RDONLY, ST_NOSUID, ST_NODEV, ST_NOEXEC and ST_NOATIME have the values of MS_* */
        unsigned flags = atomic_load(&mount->flags);
        value.f_flags |= flags & (MOUNT_READ_ONLY | MOUNT_NO_SUID | MOUNT_NO_DEV | MOUNT_NO_EXEC |
                                  MOUNT_SYNC | MOUNT_MANDLOCK | MOUNT_NO_ATIME | MOUNT_NO_DIRATIME);
        value.f_flags |= (flags & MOUNT_NO_SYMFOLLOW) != 0 ? 8192 : 0; /* ST_NOSYMFOLLOW */
        value.f_flags |= (flags & MOUNT_RELATIME) != 0 ? 4096 : 0;
    }
    return copy_out(addr, &value);
}

long sys_statfs(struct task *task, const struct syscall_args *args)
{
    auto_path struct path found = {0};
    int error = lookup_path(task, arg_u64(args, 0), WALK_FOLLOW, &found);
    if (error < 0) {
        return error;
    }
    return put_statfs(path_inode(&found), found.mount, arg_u64(args, 1));
}

long sys_fstatfs(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = arg_file_raw(task, args, 0);
    if (!file) {
        return -EBADF;
    }
    return put_statfs(file->inode, file->path.mount, arg_u64(args, 1));
}

struct ustat_search {
    uint64_t dev;
    struct super *super; /* a reference, once found */
};

static void ustat_match(struct mount *mount, void *context)
{
    struct ustat_search *search = context;
    if (!search->super && mount->super->dev == search->dev) {
        search->super = super_ref(mount->super);
    }
}

long sys_ustat(struct task *task, const struct syscall_args *args)
{
    struct {
        int32_t f_tfree;
        uint64_t f_tinode;
        char f_fname[6], f_fpack[6];
    } value = {0};
    struct ustat_search search = {.dev = arg_uint(args, 0)};
    (void)task;
    mount_for_each(ustat_match, &search);
    if (!search.super) {
        return -EINVAL;
    }
    struct statfs info = {0};
    int error = super_statfs(search.super, &info);
    super_unref(search.super);
    if (error < 0) {
        return error;
    }
    value.f_tfree = (int32_t)info.f_bfree;
    value.f_tinode = info.f_ffree;
    return copy_out(arg_u64(args, 1), &value);
}

/* access(2) asks for the real ids. Linux: access_override_creds. *ret_cred is NULL when the present
 * credentials say the same. */
static int real_cred(const struct cred *cred, struct cred **ret_cred)
{
    bool fixup = (cred->securebits & SECURE_NO_SETUID_FIXUP) == 0;
    uint64_t effective = cred->cap_effective;
    if (fixup) {
        effective = cred->uid == 0 ? cred->cap_permitted : 0;
    }
    *ret_cred = NULL;
    if (cred->fsuid == cred->uid && cred->fsgid == cred->gid && effective == cred->cap_effective) {
        return 0;
    }
    struct cred *copy = cred_copy(cred);
    if (!copy) {
        return -ENOMEM;
    }
    copy->fsuid = cred->uid;
    copy->fsgid = cred->gid;
    copy->cap_effective = effective;
    *ret_cred = copy;
    return 0;
}

static long access_found(struct task *task, int dirfd, uint64_t path, int mask, unsigned flags)
{
    auto_path struct path found = {0};
    auto_file struct file *file = NULL;
    int error = lookup_object(task, dirfd, path, flags, &found, &file);
    if (error < 0) {
        return error;
    }
    return file ? inode_permission(file->inode, mask) : vfs_access(&found, mask);
}

static long access_at(struct task *task, int dirfd, uint64_t path, unsigned mask, unsigned flags)
{
    struct cred *override = NULL;
    if ((mask & ~7U) != 0 ||
        (flags & ~(unsigned)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) {
        return -EINVAL;
    }
    if ((flags & AT_EACCESS) == 0) {
        int error = real_cred(current.cred, &override);
        if (error < 0) {
            return error;
        }
    }
    const struct cred *saved = current.cred;
    current.cred = override ? override : saved;
    long result = access_found(task, dirfd, path, (int)mask, flags & ~(unsigned)AT_EACCESS);
    current.cred = saved;
    cred_unref(override);
    return result;
}

long sys_access(struct task *task, const struct syscall_args *args)
{
    return access_at(task, AT_FDCWD, arg_u64(args, 0), arg_uint(args, 1), 0);
}

long sys_faccessat(struct task *task, const struct syscall_args *args)
{
    return access_at(task, arg_int(args, 0), arg_u64(args, 1), arg_uint(args, 2), 0);
}

long sys_faccessat2(struct task *task, const struct syscall_args *args)
{
    return access_at(task, arg_int(args, 0), arg_u64(args, 1), arg_uint(args, 2),
                     arg_uint(args, 3));
}
