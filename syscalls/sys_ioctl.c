/*
 * sys_ioctl.c: the commands every descriptor knows; the rest goes to the file. Source: Linux
 * fs/ioctl.c (do_vfs_ioctl).
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "sentry/fs/anon/async_io.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"
#include "syscalls/file_attr.h"
#include "syscalls/file_owner.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

static long set_flag(struct file *file, int fd, unsigned flag, uint64_t addr)
{
    int on;
    if (copy_in(addr, &on) < 0) {
        return -EFAULT;
    }
    unsigned flags = atomic_load(&file->flags);
    unsigned wanted = on != 0 ? flags | flag : flags & ~flag;
    if (wanted == flags) {
        return 0;
    }
    int error = file_set_flags(file, wanted);
    return error == 0 && flag == O_ASYNC ? async_io_set(file, fd, on != 0) : error;
}

static long get_size(struct file *file, uint64_t addr)
{
    struct inode_attr attr;
    mode_t type = file->inode->mode & S_IFMT;
    if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK) {
        return -ENOTTY;
    }
    int error = inode_getattr(file->inode, &attr);
    return error < 0 ? error : copy_out(addr, &attr.size);
}

static long get_block_size(struct file *file, uint64_t addr)
{
    struct inode_attr attr;
    int error = inode_getattr(file->inode, &attr);
    if (error < 0) {
        return error;
    }
    int size = (int)attr.blksize;
    return copy_out(addr, &size);
}

/* FIONREAD of a regular file: what lies after the position. */
static long get_readable(struct file *file, uint64_t addr)
{
    struct inode_attr attr;
    int error = inode_getattr(file->inode, &attr);
    if (error < 0) {
        return error;
    }
    mutex_lock(&file->lock);
    int left = (int)(attr.size - file->position);
    mutex_unlock(&file->lock);
    return copy_out(addr, &left);
}

/* Linux: sock_ioctl: sockets have ioctls for what fcntl does. */
static long socket_owner(struct file *file, unsigned command, uint64_t addr)
{
    int who;
    if (command == FIOGETOWN || command == SIOCGPGRP) {
        who = file_owner_get(file);
        return copy_out(addr, &who);
    }
    return copy_in(addr, &who) < 0 ? -EFAULT : file_owner_set(file, who);
}

long sys_ioctl(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = arg_file(task, args, 0);
    unsigned command = arg_uint(args, 1);
    uint64_t argument = arg_u64(args, 2);
    if (!file) {
        return -EBADF;
    }
    switch (command) {
    case FIOCLEX:
    case FIONCLEX:
        return fd_set_close_on_exec(task->fds, arg_int(args, 0), command == FIOCLEX);
    case FIONBIO:
        return set_flag(file, arg_int(args, 0), O_NONBLOCK, argument);
    case FIOASYNC:
        return set_flag(file, arg_int(args, 0), O_ASYNC, argument);
    case FIOQSIZE:
        return get_size(file, argument);
    case FIGETBSZ:
        return get_block_size(file, argument);
    case FS_IOC_GETFLAGS:
    case FS_IOC_SETFLAGS:
    case FS_IOC_FSGETXATTR:
    case FS_IOC_FSSETXATTR:
        if (S_ISREG(file->inode->mode) || S_ISDIR(file->inode->mode)) {
            return file_attr_ioctl(file, command, argument);
        }
        break;
    case FICLONE:
    case FICLONERANGE:
    case FIDEDUPERANGE:
        return -EOPNOTSUPP;
    case FIONREAD:
        if (S_ISREG(file->inode->mode)) {
            return get_readable(file, argument);
        }
        break;
    case FIOSETOWN:
    case SIOCSPGRP:
    case FIOGETOWN:
    case SIOCGPGRP:
        if (S_ISSOCK(file->inode->mode)) {
            return socket_owner(file, command, argument);
        }
        break;
    default:
        break;
    }
    return file_ioctl(file, command, argument);
}
