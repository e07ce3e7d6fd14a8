/*
 * sys_file_attr.c: the attributes of chattr(1) by ioctl and by file_getattr, file_setattr. Source:
 * Linux fs/file_attr.c.
 */
#include <fcntl.h>
#include <linux/fs.h>

#include "sentry/core/current.h"
#include "sentry/vfs/inode_flags.h"
#include "syscalls/file_attr.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#define ATTR_SIZE_VER0 24

/* struct file_attr of the ABI, newer than the headers. */
struct file_attributes {
    uint64_t xflags;
    uint32_t extent_size, extent_count, project, cow_extent_size;
};

/* Every FS_XFLAG_* but the one that is told only. */
#define XFLAGS_KNOWN                                                                               \
    (FS_XFLAG_REALTIME | FS_XFLAG_PREALLOC | FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND |                \
     FS_XFLAG_SYNC | FS_XFLAG_NOATIME | FS_XFLAG_NODUMP | FS_XFLAG_RTINHERIT |                     \
     FS_XFLAG_PROJINHERIT | FS_XFLAG_NOSYMLINKS | FS_XFLAG_EXTSIZE | FS_XFLAG_EXTSZINHERIT |       \
     FS_XFLAG_NODEFRAG | FS_XFLAG_FILESTREAM | FS_XFLAG_DAX | FS_XFLAG_COWEXTSIZE |                \
     FS_XFLAG_HASATTR)

/* ENOTTY is what an ioctl says where a call says EOPNOTSUPP: there are no attributes at all. */
static long get_by_ioctl(struct file *file, unsigned command, uint64_t addr)
{
    unsigned flags;
    int error = inode_get_fs_flags(file->inode, &flags);
    if (error < 0) {
        return error == -EOPNOTSUPP ? -ENOTTY : error;
    }
    if (command == FS_IOC_GETFLAGS) {
        return copy_out(addr, &flags);
    }
    const struct fsxattr attr = {.fsx_xflags = inode_flags_to_xflags(flags)};
    return copy_out(addr, &attr);
}

static long set_by_ioctl(struct file *file, unsigned command, uint64_t addr)
{
    unsigned flags;
    struct fsxattr attr;
    if (inode_get_fs_flags(file->inode, &flags) < 0) {
        return -ENOTTY;
    }
    if (command == FS_IOC_SETFLAGS) {
        return copy_in(addr, &flags) < 0 ? -EFAULT : inode_set_fs_flags(&file->path, flags);
    }
    if (copy_in(addr, &attr) < 0) {
        return -EFAULT;
    }
    if (attr.fsx_extsize != 0 || attr.fsx_projid != 0 || attr.fsx_cowextsize != 0) {
        return -EOPNOTSUPP;
    }
    int error = inode_flags_from_xflags(attr.fsx_xflags, &flags);
    return error < 0 ? error : inode_set_fs_flags(&file->path, flags);
}

long file_attr_ioctl(struct file *file, unsigned command, uint64_t addr)
{
    bool get = command == FS_IOC_GETFLAGS || command == FS_IOC_FSGETXATTR;
    if (!file->path.dentry) {
        return -ENOTTY;
    }
    return get ? get_by_ioctl(file, command, addr) : set_by_ioctl(file, command, addr);
}

static int check_arguments(const struct syscall_args *args)
{
    unsigned at = arg_uint(args, 4);
    uint64_t size = arg_u64(args, 3);
    if ((at & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) {
        return -EINVAL;
    }
    return size > 4096 ? -E2BIG : size < ATTR_SIZE_VER0 ? -EINVAL : 0;
}

long sys_file_getattr(struct task *task, const struct syscall_args *args)
{
    auto_path struct path path = {0};
    auto_file struct file *file = NULL;
    unsigned flags = 0;
    int error = check_arguments(args);
    if (error == 0) {
        error = lookup_object(task, arg_int(args, 0), arg_u64(args, 1), arg_uint(args, 4), &path,
                              &file);
    }
    if (error == 0) {
        error = inode_get_fs_flags(lookup_inode(&path, file), &flags);
    }
    if (error < 0) {
        return error;
    }
    const struct file_attributes attr = {.xflags = inode_flags_to_xflags(flags)};
    uint64_t size = arg_u64(args, 3), addr = arg_u64(args, 2);
    for (uint64_t at = sizeof(attr); at < size; at++) { /* Linux: what is not known is zero */
        if (mm_copy_out(current.mm, addr + at, "", 1) < 0) {
            return -EFAULT;
        }
    }
    return copy_out(addr, &attr);
}

long sys_file_setattr(struct task *task, const struct syscall_args *args)
{
    auto_path struct path path = {0};
    auto_file struct file *file = NULL;
    struct file_attributes attr;
    unsigned flags = 0;
    int error = check_arguments(args);
    if (error == 0) {
        error = copy_in_struct(arg_u64(args, 2), arg_u64(args, 3), &attr, sizeof(attr));
    }
    if (error == 0 && (attr.xflags & ~(uint64_t)XFLAGS_KNOWN) != 0) {
        error = -EINVAL;
    }
    if (error == 0) {
        error = lookup_object(task, arg_int(args, 0), arg_u64(args, 1), arg_uint(args, 4), &path,
                              &file);
    }
    if (error < 0) {
        return error;
    }
    if (!path.dentry || attr.extent_size != 0 || attr.project != 0 || attr.cow_extent_size != 0) {
        return -EOPNOTSUPP;
    }
    error = inode_flags_from_xflags((uint32_t)attr.xflags & ~FS_XFLAG_HASATTR, &flags);
    return error < 0 ? error : inode_set_fs_flags(&path, flags);
}
