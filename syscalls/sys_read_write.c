/*
 * sys_read_write.c: read, write, their vector and positioned forms, lseek.
 * Sources: Linux fs/read_write.c; read(2), readv(2), lseek(2).
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "sentry/mm/uio.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"
#include "syscalls/blocking.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#define FLAG_HIPRI    0x01
#define FLAG_DSYNC    0x02
#define FLAG_SYNC     0x04
#define FLAG_NOWAIT   0x08
#define FLAG_APPEND   0x10
#define FLAG_NOAPPEND 0x20
#define FLAGS_KNOWN                                                                                \
    (FLAG_HIPRI | FLAG_DSYNC | FLAG_SYNC | FLAG_NOWAIT | FLAG_APPEND | FLAG_NOAPPEND)

/* Linux: vfs_read's checks before the buffer. */
static int check_readable(const struct file *file)
{
    if ((file->mode & FILE_READ) == 0) {
        return -EBADF;
    }
    return S_ISDIR(file->inode->mode) ? -EISDIR : 0;
}

static int check_writable(const struct file *file)
{
    return (file->mode & FILE_WRITE) != 0 ? 0 : -EBADF;
}

/* Linux: rw_verify_area: count is a ssize_t, and position + count must not overflow. */
static int check_area(uint64_t addr, uint64_t count, const uint64_t *pos)
{
    if (!user_range_ok(addr, count)) {
        return -EFAULT;
    }
    if ((int64_t)count < 0) {
        return -EINVAL;
    }
    return pos && (int64_t)(*pos + count) < 0 ? -EINVAL : 0;
}

/* Linux: an empty read of a pipe or a socket never waits. */
static bool is_null_transfer(const struct file *file, const struct uio *uio)
{
    return uio->left == 0 && (S_ISFIFO(file->inode->mode) || S_ISSOCK(file->inode->mode));
}

static ssize_t do_read(struct file *file, uint64_t addr, uint64_t count, const uint64_t *pos)
{
    int error = check_readable(file);
    if (error == 0) {
        error = check_area(addr, count, pos);
    }
    if (error < 0) {
        return error;
    }
    struct uio uio;
    uio_init_guest(&uio, current.mm, addr, count);
    ssize_t result = is_null_transfer(file, &uio) ? 0 : blocking_read(file, &uio, pos, 0);
    task_count_read(current_task(), result);
    return result;
}

static ssize_t do_write(struct file *file, uint64_t addr, uint64_t count, const uint64_t *pos)
{
    int error = check_writable(file);
    if (error == 0) {
        error = check_area(addr, count, NULL);
    }
    if (error < 0) {
        return error;
    }
    struct uio uio;
    uio_init_guest(&uio, current.mm, addr, count);
    ssize_t result = blocking_write(file, &uio, pos, 0);
    task_count_write(current_task(), result);
    return result;
}

long sys_read(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = arg_file(task, args, 0);
    return file ? do_read(file, arg_u64(args, 1), arg_u64(args, 2), NULL) : -EBADF;
}

long sys_write(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = arg_file(task, args, 0);
    return file ? do_write(file, arg_u64(args, 1), arg_u64(args, 2), NULL) : -EBADF;
}

/* The file of a positioned call, after the position was checked. */
static int positioned_file(struct task *task, const struct syscall_args *args, int64_t pos,
                           struct file **ret_file)
{
    if (pos < 0) {
        return -EINVAL;
    }
    *ret_file = arg_file(task, args, 0);
    if (!*ret_file) {
        return -EBADF;
    }
    return file_is_stream(*ret_file) ? -ESPIPE : 0;
}

long sys_pread64(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = NULL;
    uint64_t pos = arg_u64(args, 3);
    int error = positioned_file(task, args, (int64_t)pos, &file);
    return error < 0 ? error : do_read(file, arg_u64(args, 1), arg_u64(args, 2), &pos);
}

long sys_pwrite64(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = NULL;
    uint64_t pos = arg_u64(args, 3);
    int error = positioned_file(task, args, (int64_t)pos, &file);
    return error < 0 ? error : do_write(file, arg_u64(args, 1), arg_u64(args, 2), &pos);
}

/* Linux: kiocb_set_rw_flags. */
static int check_flags(const struct file *file, int flags)
{
    if ((flags & ~FLAGS_KNOWN) != 0) {
        return -EOPNOTSUPP;
    }
    if ((flags & FLAG_APPEND) != 0 && (flags & FLAG_NOAPPEND) != 0) {
        return -EINVAL;
    }
    /* Linux: FMODE_NOWAIT: not on directories and most devices */
    if ((flags & FLAG_NOWAIT) != 0 && S_ISDIR(file->inode->mode)) {
        return -EOPNOTSUPP;
    }
    return 0;
}

static ssize_t do_readv(struct file *file, const struct syscall_args *args, const uint64_t *pos,
                        int flags)
{
    int error = check_readable(file);
    if (error < 0) {
        return error;
    }
    struct uio uio;
    error = uio_init_guest_vector(&uio, current.mm, arg_u64(args, 1), arg_u64(args, 2));
    if (error < 0) {
        return error;
    }
    ssize_t count = 0;
    if (uio.left > 0) {
        error = check_flags(file, flags);
        count = error < 0 ? error : blocking_read(file, &uio, pos, flags);
    }
    task_count_read(current_task(), count);
    uio_fini(&uio);
    return count;
}

static ssize_t do_writev(struct file *file, const struct syscall_args *args, const uint64_t *pos,
                         int flags)
{
    int error = check_writable(file);
    if (error < 0) {
        return error;
    }
    struct uio uio;
    error = uio_init_guest_vector(&uio, current.mm, arg_u64(args, 1), arg_u64(args, 2));
    if (error < 0) {
        return error;
    }
    ssize_t count = 0;
    if (uio.left > 0) {
        error = check_flags(file, flags);
        count = error < 0 ? error : blocking_write(file, &uio, pos, flags);
    }
    task_count_write(current_task(), count);
    uio_fini(&uio);
    return count;
}

long sys_readv(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = arg_file(task, args, 0);
    return file ? do_readv(file, args, NULL, 0) : -EBADF;
}

long sys_writev(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = arg_file(task, args, 0);
    return file ? do_writev(file, args, NULL, 0) : -EBADF;
}

/* On 64-bit kernels the whole position is in pos_l. */
long sys_preadv(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = NULL;
    uint64_t pos = arg_u64(args, 3);
    int error = positioned_file(task, args, (int64_t)pos, &file);
    return error < 0 ? error : do_readv(file, args, &pos, 0);
}

long sys_pwritev(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = NULL;
    uint64_t pos = arg_u64(args, 3);
    int error = positioned_file(task, args, (int64_t)pos, &file);
    return error < 0 ? error : do_writev(file, args, &pos, 0);
}

long sys_preadv2(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = NULL;
    uint64_t pos = arg_u64(args, 3);
    if ((int64_t)pos == -1) {
        file = arg_file(task, args, 0);
        return file ? do_readv(file, args, NULL, arg_int(args, 5)) : -EBADF;
    }
    int error = positioned_file(task, args, (int64_t)pos, &file);
    return error < 0 ? error : do_readv(file, args, &pos, arg_int(args, 5));
}

long sys_pwritev2(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = NULL;
    uint64_t pos = arg_u64(args, 3);
    if ((int64_t)pos == -1) {
        file = arg_file(task, args, 0);
        return file ? do_writev(file, args, NULL, arg_int(args, 5)) : -EBADF;
    }
    int error = positioned_file(task, args, (int64_t)pos, &file);
    return error < 0 ? error : do_writev(file, args, &pos, arg_int(args, 5));
}

long sys_lseek(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = arg_file(task, args, 0);
    unsigned whence = arg_uint(args, 2);
    if (!file) {
        return -EBADF;
    }
    if (whence > SEEK_HOLE) {
        return -EINVAL;
    }
    return file_seek(file, arg_s64(args, 1), (int)whence);
}
