/*
 * sys_attribute.c: mode, owner, times and size of objects, and the umask. Sources: Linux fs/open.c,
 * fs/utimes.c; chmod(2), chown(2), utimensat(2), truncate(2).
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <utime.h>

#include "sentry/core/clock.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/inode.h"
#include "syscalls/blocking.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

/* An anonymous file (pipe, socket …) has no path: its inode is changed directly. */
static long set_anonymous(struct file *file, struct inode_attr *attr, unsigned set)
{
    return inode_setattr(file->inode, attr, set);
}

static long chmod_file(struct file *file, unsigned mode)
{
    struct inode_attr attr = {.mode = mode & 07777};
    return file->path.dentry ? vfs_chmod(&file->path, mode & 07777)
                             : set_anonymous(file, &attr, INODE_SET_MODE);
}

static long chmod_at(struct task *task, int dirfd, uint64_t path, unsigned mode, unsigned flags)
{
    auto_path struct path found = {0};
    auto_file struct file *file = NULL;
    if ((flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) {
        return -EINVAL;
    }
    int error = lookup_object(task, dirfd, path, flags, &found, &file);
    if (error < 0) {
        return error;
    }
    return file ? chmod_file(file, mode) : vfs_chmod(&found, mode & 07777);
}

long sys_chmod(struct task *task, const struct syscall_args *args)
{
    return chmod_at(task, AT_FDCWD, arg_u64(args, 0), arg_uint(args, 1), 0);
}

long sys_fchmod(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = arg_file(task, args, 0);
    return file ? chmod_file(file, arg_uint(args, 1)) : -EBADF;
}

long sys_fchmodat(struct task *task, const struct syscall_args *args)
{
    return chmod_at(task, arg_int(args, 0), arg_u64(args, 1), arg_uint(args, 2), 0);
}

long sys_fchmodat2(struct task *task, const struct syscall_args *args)
{
    return chmod_at(task, arg_int(args, 0), arg_u64(args, 1), arg_uint(args, 2), arg_uint(args, 3));
}

static long chown_file(struct file *file, unsigned uid, unsigned gid)
{
    struct inode_attr attr = {.uid = uid, .gid = gid};
    unsigned set = (uid != UINT32_MAX ? INODE_SET_UID : 0U) |
                   (gid != UINT32_MAX ? INODE_SET_GID : 0U) | INODE_SET_KILL_PRIVS;
    return file->path.dentry ? vfs_chown(&file->path, uid, gid) : set_anonymous(file, &attr, set);
}

static long chown_at(struct task *task, int dirfd, uint64_t path, unsigned uid, unsigned gid,
                     unsigned flags)
{
    auto_path struct path found = {0};
    auto_file struct file *file = NULL;
    if ((flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) {
        return -EINVAL;
    }
    int error = lookup_object(task, dirfd, path, flags, &found, &file);
    if (error < 0) {
        return error;
    }
    return file ? chown_file(file, uid, gid) : vfs_chown(&found, uid, gid);
}

long sys_chown(struct task *task, const struct syscall_args *args)
{
    return chown_at(task, AT_FDCWD, arg_u64(args, 0), arg_uint(args, 1), arg_uint(args, 2), 0);
}

long sys_lchown(struct task *task, const struct syscall_args *args)
{
    return chown_at(task, AT_FDCWD, arg_u64(args, 0), arg_uint(args, 1), arg_uint(args, 2),
                    AT_SYMLINK_NOFOLLOW);
}

long sys_fchown(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = arg_file(task, args, 0);
    return file ? chown_file(file, arg_uint(args, 1), arg_uint(args, 2)) : -EBADF;
}

long sys_fchownat(struct task *task, const struct syscall_args *args)
{
    return chown_at(task, arg_int(args, 0), arg_u64(args, 1), arg_uint(args, 2), arg_uint(args, 3),
                    arg_uint(args, 4));
}

/* Times to set: NULL means now. tv_nsec may be UTIME_NOW or UTIME_OMIT. Linux: vfs_utimes. */
static unsigned times_to_attr(const struct timespec *times, struct inode_attr *ret_attr)
{
    struct timespec now = clock_realtime();
    unsigned set = INODE_SET_ATIME | INODE_SET_MTIME;
    ret_attr->atime = now;
    ret_attr->mtime = now;
    if (!times || (times[0].tv_nsec == UTIME_NOW && times[1].tv_nsec == UTIME_NOW)) {
        return set | INODE_SET_TOUCH;
    }
    if (times[0].tv_nsec == UTIME_OMIT) {
        set &= ~(unsigned)INODE_SET_ATIME;
    } else if (times[0].tv_nsec != UTIME_NOW) {
        ret_attr->atime = times[0];
    }
    if (times[1].tv_nsec == UTIME_OMIT) {
        set &= ~(unsigned)INODE_SET_MTIME;
    } else if (times[1].tv_nsec != UTIME_NOW) {
        ret_attr->mtime = times[1];
    }
    return set;
}

static bool is_valid_time(const struct timespec *time)
{
    return time->tv_nsec == UTIME_NOW || time->tv_nsec == UTIME_OMIT ||
           (uint64_t)time->tv_nsec < NSEC_PER_SEC;
}

static long utime_file(struct file *file, const struct timespec *times)
{
    struct inode_attr attr = {0};
    unsigned set = times_to_attr(times, &attr);
    return file->path.dentry ? vfs_setattr(&file->path, &attr, set)
                             : set_anonymous(file, &attr, set);
}

/* Linux: do_utimes. times NULL: now. path 0 with a descriptor stands for the descriptor. */
static long utime_at(struct task *task, int dirfd, uint64_t path, const struct timespec *times,
                     unsigned flags)
{
    auto_path struct path found = {0};
    auto_file struct file *file = NULL;
    struct inode_attr attr = {0};
    if (times && (!is_valid_time(&times[0]) || !is_valid_time(&times[1]))) {
        return -EINVAL;
    }
    if (path == 0 && dirfd != AT_FDCWD) {
        if (flags != 0) {
            return -EINVAL;
        }
        file = fd_get_io(task->fds, dirfd);
        return file ? utime_file(file, times) : -EBADF;
    }
    if ((flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) {
        return -EINVAL;
    }
    if (path == 0) {
        return -EFAULT;
    }
    int error = lookup_object(task, dirfd, path, flags, &found, &file);
    if (error < 0) {
        return error;
    }
    if (file) {
        return utime_file(file, times);
    }
    unsigned set = times_to_attr(times, &attr);
    return vfs_setattr(&found, &attr, set);
}

/* struct timeval[2], of utimes and futimesat. */
static long utime_timeval(struct task *task, int dirfd, uint64_t path, uint64_t addr)
{
    struct timeval values[2];
    struct timespec times[2];
    if (addr == 0) {
        return utime_at(task, dirfd, path, NULL, 0);
    }
    if (copy_in(addr, &values) < 0) {
        return -EFAULT;
    }
    for (int i = 0; i < 2; i++) {
        if (values[i].tv_usec < 0 || values[i].tv_usec >= 1000000) {
            return -EINVAL;
        }
        times[i] = (struct timespec){values[i].tv_sec, values[i].tv_usec * 1000};
    }
    return utime_at(task, dirfd, path, times, 0);
}

long sys_utime(struct task *task, const struct syscall_args *args)
{
    struct utimbuf values;
    uint64_t addr = arg_u64(args, 1);
    if (addr == 0) {
        return utime_at(task, AT_FDCWD, arg_u64(args, 0), NULL, 0);
    }
    if (copy_in(addr, &values) < 0) {
        return -EFAULT;
    }
    struct timespec times[2] = {{values.actime, 0}, {values.modtime, 0}};
    return utime_at(task, AT_FDCWD, arg_u64(args, 0), times, 0);
}

long sys_utimes(struct task *task, const struct syscall_args *args)
{
    return utime_timeval(task, AT_FDCWD, arg_u64(args, 0), arg_u64(args, 1));
}

long sys_futimesat(struct task *task, const struct syscall_args *args)
{
    return utime_timeval(task, arg_int(args, 0), arg_u64(args, 1), arg_u64(args, 2));
}

long sys_utimensat(struct task *task, const struct syscall_args *args)
{
    struct timespec times[2];
    uint64_t addr = arg_u64(args, 2);
    if (addr == 0) {
        return utime_at(task, arg_int(args, 0), arg_u64(args, 1), NULL, arg_uint(args, 3));
    }
    if (copy_in(addr, &times) < 0) {
        return -EFAULT;
    }
    if (times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT) {
        return 0; /* Linux: nothing to do, and nothing else is looked at */
    }
    return utime_at(task, arg_int(args, 0), arg_u64(args, 1), times, arg_uint(args, 3));
}

struct truncate_attempt {
    const struct path *path;
    uint64_t size;
};

static int try_truncate(void *context)
{
    const struct truncate_attempt *attempt = context;
    return vfs_truncate(attempt->path, attempt->size);
}

long sys_truncate(struct task *task, const struct syscall_args *args)
{
    auto_path struct path found = {0};
    if (arg_s64(args, 1) < 0) {
        return -EINVAL;
    }
    int error = lookup_path(task, arg_u64(args, 0), WALK_FOLLOW, &found);
    if (error < 0) {
        return error;
    }
    struct truncate_attempt attempt = {.path = &found, .size = arg_u64(args, 1)};
    return blocking_wait_lease(try_truncate, &attempt);
}

long sys_ftruncate(struct task *task, const struct syscall_args *args)
{
    if (arg_s64(args, 1) < 0) {
        return -EINVAL;
    }
    auto_file struct file *file = arg_file(task, args, 0);
    if (!file) {
        return -EBADF;
    }
    if (!S_ISREG(file->inode->mode) || (file->mode & FILE_WRITE) == 0) {
        return -EINVAL;
    }
    return file_truncate(file, arg_u64(args, 1));
}

long sys_umask(struct task *task, const struct syscall_args *args)
{
    return fs_context_set_umask(task->fs, arg_uint(args, 0) & 0777);
}
