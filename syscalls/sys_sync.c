/*
 * sys_sync.c: sync, fsync, syncfs, sync_file_range; advice and allocation: fadvise64, readahead,
 * fallocate. Source: Linux fs/sync.c, mm/fadvise.c, fs/open.c; the man pages of the calls.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>

#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/mount.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#define SUPERS_MAX 64

struct super_list {
    struct super *supers[SUPERS_MAX]; /* references */
    unsigned count;
};

static void collect_super(struct mount *mount, void *context)
{
    struct super_list *list = context;
    for (unsigned i = 0; i < list->count; i++) {
        if (list->supers[i] == mount->super) {
            return;
        }
    }
    if (list->count < SUPERS_MAX) {
        list->supers[list->count++] = super_ref(mount->super);
    }
}

long sys_sync(struct task *task, const struct syscall_args *args)
{
    struct super_list list = {.count = 0};
    (void)task;
    (void)args;
    mount_for_each(collect_super,
                   &list); /* the sync itself may call the gofer: not under the lock */
    for (unsigned i = 0; i < list.count; i++) {
        ignore_result(super_sync(list.supers[i]));
        super_unref(list.supers[i]);
    }
    return 0;
}

long sys_syncfs(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = arg_file(task, args, 0);
    return file ? super_sync(file->inode->super) : -EBADF;
}

long sys_fsync(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = arg_file(task, args, 0);
    return file ? file_sync(file, false) : -EBADF;
}

long sys_fdatasync(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = arg_file(task, args, 0);
    return file ? file_sync(file, true) : -EBADF;
}

long sys_sync_file_range(struct task *task, const struct syscall_args *args)
{
    int64_t offset = arg_s64(args, 1);
    int64_t length = arg_s64(args, 2);
    unsigned flags = arg_uint(args, 3);
    int64_t end;
    auto_file struct file *file = arg_file(task, args, 0);
    if (!file) {
        return -EBADF;
    }
    if ((flags & ~7U) != 0 || offset < 0 || length < 0 ||
        __builtin_add_overflow(offset, length, &end)) {
        return -EINVAL;
    }
    mode_t type = file->inode->mode & S_IFMT;
    if (type != S_IFREG && type != S_IFBLK && type != S_IFDIR && type != S_IFLNK) {
        return -ESPIPE;
    }
    if (flags == 0 || type != S_IFREG) {
        return 0;
    }
    int error = file_sync(file, true);
    return error == -EINVAL ? 0 : error; /* nothing behind it that could be written */
}

long sys_fadvise64(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = arg_file(task, args, 0);
    if (!file) {
        return -EBADF;
    }
    if (S_ISFIFO(file->inode->mode)) {
        return -ESPIPE;
    }
    if (arg_s64(args, 2) < 0 || arg_uint(args, 3) > POSIX_FADV_NOREUSE) {
        return -EINVAL;
    }
    return 0;
}

long sys_readahead(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = arg_file(task, args, 0);
    if (!file || (file->mode & FILE_READ) == 0) {
        return -EBADF;
    }
    return S_ISREG(file->inode->mode) || S_ISBLK(file->inode->mode) ? 0 : -EINVAL;
}

/* Linux: vfs_fallocate. */
static int check_allocate_mode(int mode)
{
    int known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE |
                FALLOC_FL_ZERO_RANGE | FALLOC_FL_INSERT_RANGE | FALLOC_FL_UNSHARE_RANGE;
    int action = mode & ~FALLOC_FL_KEEP_SIZE;
    if ((mode & ~known) != 0 || (action & (action - 1)) != 0) {
        return -EOPNOTSUPP;
    }
    if (action == FALLOC_FL_PUNCH_HOLE && (mode & FALLOC_FL_KEEP_SIZE) == 0) {
        return -EOPNOTSUPP;
    }
    bool moves = action == FALLOC_FL_COLLAPSE_RANGE || action == FALLOC_FL_INSERT_RANGE;
    return moves && (mode & FALLOC_FL_KEEP_SIZE) != 0 ? -EINVAL : 0;
}

static int check_allocate_file(const struct file *file)
{
    if ((file->mode & FILE_WRITE) == 0) {
        return -EBADF;
    }
    if (S_ISFIFO(file->inode->mode)) {
        return -ESPIPE;
    }
    if (S_ISDIR(file->inode->mode)) {
        return -EISDIR;
    }
    return S_ISREG(file->inode->mode) || S_ISBLK(file->inode->mode) ? 0 : -ENODEV;
}

long sys_fallocate(struct task *task, const struct syscall_args *args)
{
    int mode = arg_int(args, 1);
    int64_t offset = arg_s64(args, 2);
    int64_t length = arg_s64(args, 3);
    int64_t end;
    auto_file struct file *file = arg_file(task, args, 0);
    if (!file) {
        return -EBADF;
    }
    if (offset < 0 || length <= 0) {
        return -EINVAL;
    }
    int error = check_allocate_mode(mode);
    if (error == 0) {
        error = check_allocate_file(file);
    }
    if (error < 0) {
        return error;
    }
    if (__builtin_add_overflow(offset, length, &end) ||
        (uint64_t)end > file->inode->super->max_size) {
        return -EFBIG;
    }
    return file_allocate(file, mode, (uint64_t)offset, (uint64_t)length);
}
