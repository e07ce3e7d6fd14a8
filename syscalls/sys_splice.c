/*
 * sys_splice.c: moving bytes between descriptors: splice, tee, vmsplice, sendfile, copy_file_range.
 * Source: Linux fs/splice.c, fs/read_write.c; the man pages of the calls.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "sentry/fs/anon/pipe.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"
#include "syscalls/blocking.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#define SPLICE_FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)
#define CHUNK        65536

/* One transfer between two files, at least one of them a pipe. */
struct transfer {
    struct file *in, *out;
    const uint64_t *in_pos, *out_pos; /* NULL: the file's own */
    size_t length;
    bool tee;
};

static ssize_t transfer_once(const struct transfer *transfer)
{
    bool in_pipe = file_is_pipe(transfer->in);
    bool out_pipe = file_is_pipe(transfer->out);
    if (transfer->tee) {
        return pipe_tee(transfer->in, transfer->out, transfer->length);
    }
    if (in_pipe && out_pipe) {
        return pipe_splice_to_pipe(transfer->in, transfer->out, transfer->length);
    }
    if (in_pipe) {
        return pipe_splice_to_file(transfer->in, transfer->out, transfer->out_pos,
                                   transfer->length);
    }
    return pipe_splice_from_file(transfer->out, transfer->in, transfer->in_pos, transfer->length);
}

static void add_entry(struct wait_entry *entry, struct file *file, uint32_t events,
                      struct task *task)
{
    struct wait_queue *queue = file_wait_queue(file);
    *entry =
        (struct wait_entry){.events = events, .wake = wait_wake_sleeper, .owner = &task->sleeper};
    if (queue) {
        wait_queue_add(queue, entry);
    }
}

/* Either side may be the one that is not ready, so both are watched. */
static ssize_t transfer_wait(struct task *task, const struct transfer *transfer)
{
    struct wait_entry entries[2];
    int error = 0;
    ssize_t count;
    task_sleep_prepare();
    add_entry(&entries[0], transfer->in, BLOCKING_IN, task);
    add_entry(&entries[1], transfer->out, BLOCKING_OUT, task);
    while ((count = transfer_once(transfer)) == -EAGAIN) {
        if (error < 0) {
            count = error;
            break;
        }
        error = task_sleep(SLEEP_FOREVER);
        task_sleep_prepare();
    }
    wait_queue_remove(&entries[0]);
    wait_queue_remove(&entries[1]);
    return count;
}

static ssize_t transfer_run(struct task *task, const struct transfer *transfer, unsigned flags)
{
    unsigned file_flags = atomic_load(&transfer->in->flags) | atomic_load(&transfer->out->flags);
    ssize_t count = transfer_once(transfer);
    if (count != -EAGAIN || (flags & SPLICE_F_NONBLOCK) != 0 || (file_flags & O_NONBLOCK) != 0) {
        return count;
    }
    return transfer_wait(task, transfer);
}

/* An offset argument of splice: refused for pipes and streams. */
static int copy_in_offset(struct file *file, uint64_t addr, uint64_t *offset, const uint64_t **ret)
{
    *ret = NULL;
    if (addr == 0) {
        return 0;
    }
    if (copy_in(addr, offset) < 0) {
        return -EFAULT;
    }
    if (file_is_stream(file) || (int64_t)*offset < 0) {
        return -EINVAL;
    }
    *ret = offset;
    return 0;
}

/* Linux: directories, and files of the kernel's own (epoll, eventfd, inotify …), which are of no
 * type, have no splice operations. */
static bool can_splice(const struct file *file)
{
    uint32_t mode = inode_load(file->inode->mode);
    return (mode & S_IFMT) != 0 && !S_ISDIR(mode);
}

static int check_splice(struct transfer *transfer)
{
    bool in_pipe = file_is_pipe(transfer->in);
    bool out_pipe = file_is_pipe(transfer->out);
    if ((transfer->in->mode & FILE_READ) == 0 || (transfer->out->mode & FILE_WRITE) == 0) {
        return -EBADF;
    }
    if (!in_pipe && !out_pipe) {
        return -EINVAL;
    }
    if (in_pipe && out_pipe && transfer->in->inode == transfer->out->inode) {
        return -EINVAL;
    }
    if (!can_splice(transfer->in) || !can_splice(transfer->out)) {
        return -EINVAL;
    }
    if (in_pipe && !out_pipe && (atomic_load(&transfer->out->flags) & O_APPEND) != 0) {
        return -EINVAL;
    }
    return 0;
}

static ssize_t splice_files(struct task *task, const struct syscall_args *args, struct file *in,
                            struct file *out)
{
    uint64_t in_offset;
    uint64_t out_offset;
    uint64_t in_addr = arg_u64(args, 1);
    uint64_t out_addr = arg_u64(args, 3);
    struct transfer transfer = {
        .in = in, .out = out, .length = (size_t)min_of(arg_u64(args, 4), UIO_MAX_LENGTH)};
    if ((file_is_pipe(in) && in_addr != 0) || (file_is_pipe(out) && out_addr != 0)) {
        return -ESPIPE;
    }
    int error = copy_in_offset(out, out_addr, &out_offset, &transfer.out_pos);
    if (error == 0) {
        error = copy_in_offset(in, in_addr, &in_offset, &transfer.in_pos);
    }
    if (error == 0) {
        error = check_splice(&transfer);
    }
    if (error < 0) {
        return error;
    }
    ssize_t count = transfer_run(task, &transfer, arg_uint(args, 5));
    if (count > 0 && transfer.in_pos) {
        in_offset += (uint64_t)count;
        error = copy_out(in_addr, &in_offset);
    }
    if (count > 0 && transfer.out_pos) {
        out_offset += (uint64_t)count;
        error = copy_out(out_addr, &out_offset);
    }
    return error < 0 ? error : count;
}

long sys_splice(struct task *task, const struct syscall_args *args)
{
    if (arg_u64(args, 4) == 0) {
        return 0;
    }
    if ((arg_uint(args, 5) & ~(unsigned)SPLICE_FLAGS) != 0) {
        return -EINVAL;
    }
    auto_file struct file *in = arg_file(task, args, 0);
    auto_file struct file *out = in ? arg_file(task, args, 2) : NULL;
    return out ? splice_files(task, args, in, out) : -EBADF;
}

long sys_tee(struct task *task, const struct syscall_args *args)
{
    unsigned flags = arg_uint(args, 3);
    if ((flags & ~(unsigned)SPLICE_FLAGS) != 0) {
        return -EINVAL;
    }
    if (arg_u64(args, 2) == 0) {
        return 0;
    }
    auto_file struct file *in = arg_file(task, args, 0);
    auto_file struct file *out = in ? arg_file(task, args, 1) : NULL;
    if (!out || (in->mode & FILE_READ) == 0 || (out->mode & FILE_WRITE) == 0) {
        return -EBADF;
    }
    if (!file_is_pipe(in) || !file_is_pipe(out) || in->inode == out->inode) {
        return -EINVAL;
    }
    struct transfer transfer = {.in = in,
                                .out = out,
                                .length = (size_t)min_of(arg_u64(args, 2), UIO_MAX_LENGTH),
                                .tee = true};
    return transfer_run(task, &transfer, flags);
}

/* Linux: user pages go into the pipe, or come out of it; what fits at once. */
static ssize_t vmsplice_once(struct file *file, struct uio *uio, unsigned flags)
{
    int nowait = (flags & SPLICE_F_NONBLOCK) != 0 ? RWF_NOWAIT : 0;
    if ((file->mode & FILE_WRITE) == 0) {
        return blocking_read(file, uio, NULL, nowait);
    }
    ssize_t count = file_write(file, uio, NULL, nowait);
    while (count == -EAGAIN && nowait == 0 && (atomic_load(&file->flags) & O_NONBLOCK) == 0) {
        int error = blocking_wait_file(file, BLOCKING_OUT, SLEEP_FOREVER);
        count = error < 0 ? error : file_write(file, uio, NULL, nowait);
    }
    return count;
}

long sys_vmsplice(struct task *task, const struct syscall_args *args)
{
    unsigned flags = arg_uint(args, 3);
    struct uio uio;
    if ((flags & ~(unsigned)SPLICE_FLAGS) != 0) {
        return -EINVAL;
    }
    auto_file struct file *file = arg_file(task, args, 0);
    if (!file || !file_is_pipe(file)) {
        return -EBADF;
    }
    int error = uio_init_guest_vector(&uio, current.mm, arg_u64(args, 1), arg_u64(args, 2));
    if (error < 0) {
        return error;
    }
    ssize_t count = uio.left == 0 ? 0 : vmsplice_once(file, &uio, flags);
    uio_fini(&uio);
    return count;
}

/* A copy through a sentry buffer: from in at *in_pos to out at *out_pos (NULL: its own position).
 * Positions advance by what was written. */
struct copy {
    struct file *in, *out;
    uint64_t in_pos;
    uint64_t *out_pos;
    uint64_t length;
};

static ssize_t copy_chunk(struct copy *copy, void *buffer, size_t length)
{
    struct uio uio;
    uio_init_kernel(&uio, buffer, length);
    ssize_t got = blocking_read(copy->in, &uio, &copy->in_pos, 0);
    if (got <= 0) {
        return got;
    }
    uio_init_kernel(&uio, buffer, (size_t)got);
    ssize_t put = blocking_write(copy->out, &uio, copy->out_pos, 0);
    if (put > 0) {
        copy->in_pos += (uint64_t)put;
        if (copy->out_pos) {
            *copy->out_pos += (uint64_t)put;
        }
    }
    return put;
}

static ssize_t copy_all(struct task *task, struct copy *copy)
{
    uint64_t total = 0;
    auto_free void *buffer = malloc(CHUNK);
    if (!buffer) {
        return -ENOMEM;
    }
    while (total < copy->length) {
        size_t want = (size_t)min_of(copy->length - total, (uint64_t)CHUNK);
        ssize_t moved = copy_chunk(copy, buffer, want);
        if (moved <= 0) {
            return total > 0 ? (ssize_t)total : moved;
        }
        total += (uint64_t)moved;
        if ((size_t)moved < want || task_signal_pending(task)) {
            break;
        }
    }
    return (ssize_t)total;
}

/* The starting position: the guest's word, or the file's own. */
static int copy_position(struct file *file, uint64_t addr, uint64_t *ret_pos)
{
    if (addr != 0) {
        return copy_in(addr, ret_pos);
    }
    if (file_is_stream(file)) {
        *ret_pos = 0; /* the checks that follow refuse it, each call in its own way */
        return 0;
    }
    int64_t pos = file_seek(file, 0, SEEK_CUR); /* also of files that keep it themselves */
    if (pos < 0) {
        return (int)pos;
    }
    *ret_pos = (uint64_t)pos;
    return 0;
}

static int store_position(struct file *file, uint64_t addr, uint64_t pos)
{
    if (addr != 0) {
        return copy_out(addr, &pos);
    }
    int64_t result = file_seek(file, (int64_t)pos, SEEK_SET);
    return result < 0 ? (int)result : 0;
}

static ssize_t send_file(struct task *task, struct file *out, struct file *in, uint64_t addr,
                         uint64_t count)
{
    struct copy copy = {.in = in, .out = out, .length = min_of(count, UIO_MAX_LENGTH)};
    int error = copy_position(in, addr, &copy.in_pos);
    if (error < 0) {
        return error;
    }
    if ((int64_t)copy.in_pos < 0 || (int64_t)count < 0 ||
        (atomic_load(&out->flags) & O_APPEND) != 0) {
        return -EINVAL;
    }
    ssize_t moved = copy_all(task, &copy);
    task_count_read(task, moved);
    task_count_write(task, moved);
    if (moved > 0 || addr != 0) { /* Linux: the guest's word is written in any case */
        error = store_position(in, addr, copy.in_pos);
    }
    return error < 0 ? error : moved;
}

long sys_sendfile(struct task *task, const struct syscall_args *args)
{
    uint64_t addr = arg_u64(args, 2);
    auto_file struct file *in = arg_file(task, args, 1);
    if (!in || (in->mode & FILE_READ) == 0) {
        return -EBADF;
    }
    if (addr != 0 && file_is_stream(in)) {
        return -ESPIPE;
    }
    auto_file struct file *out = arg_file(task, args, 0);
    if (!out || (out->mode & FILE_WRITE) == 0) {
        return -EBADF;
    }
    if (file_is_stream(in) || S_ISDIR(in->inode->mode)) {
        return -EINVAL;
    }
    return send_file(task, out, in, addr, arg_u64(args, 3));
}

/* Linux: generic_copy_file_checks. Shortens *length to what the input holds. */
static int check_copy_range(const struct copy *copy, uint64_t out_pos, uint64_t *length)
{
    uint64_t end;
    struct inode_attr attr;
    struct inode *in = copy->in->inode;
    struct inode *out = copy->out->inode;
    if (S_ISDIR(in->mode) || S_ISDIR(out->mode)) {
        return -EISDIR;
    }
    if (!S_ISREG(in->mode) || !S_ISREG(out->mode)) {
        return -EINVAL;
    }
    if ((copy->in->mode & FILE_READ) == 0 || (copy->out->mode & FILE_WRITE) == 0 ||
        (atomic_load(&copy->out->flags) & O_APPEND) != 0) {
        return -EBADF;
    }
    if ((int64_t)copy->in_pos < 0 || (int64_t)out_pos < 0) {
        return -EINVAL;
    }
    if (__builtin_add_overflow(copy->in_pos, *length, &end) ||
        __builtin_add_overflow(out_pos, *length, &end)) {
        return -EOVERFLOW;
    }
    int error = inode_getattr(in, &attr);
    if (error < 0) {
        return error;
    }
    *length = copy->in_pos >= attr.size ? 0 : min_of(*length, attr.size - copy->in_pos);
    if (in == out && out_pos + *length > copy->in_pos && out_pos < copy->in_pos + *length) {
        return -EINVAL;
    }
    return 0;
}

static ssize_t copy_range(struct task *task, const struct syscall_args *args, struct file *in,
                          struct file *out)
{
    uint64_t out_pos;
    struct copy copy = {.in = in, .out = out, .length = arg_u64(args, 4)};
    int error = copy_position(in, arg_u64(args, 1), &copy.in_pos);
    if (error == 0) {
        error = copy_position(out, arg_u64(args, 3), &out_pos);
    }
    if (error < 0) {
        return error;
    }
    if (arg_uint(args, 5) != 0) {
        return -EINVAL;
    }
    error = check_copy_range(&copy, out_pos, &copy.length);
    if (error < 0) {
        return error;
    }
    copy.length = min_of(copy.length, UIO_MAX_LENGTH);
    copy.out_pos = &out_pos;
    ssize_t moved = copy.length == 0 ? 0 : copy_all(task, &copy);
    task_count_read(task, moved);
    task_count_write(task, moved);
    if (moved > 0) {
        error = store_position(in, arg_u64(args, 1), copy.in_pos);
        if (error == 0) {
            error = store_position(out, arg_u64(args, 3), out_pos);
        }
    }
    return error < 0 ? error : moved;
}

long sys_copy_file_range(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *in = arg_file(task, args, 0);
    auto_file struct file *out = in ? arg_file(task, args, 2) : NULL;
    return out ? copy_range(task, args, in, out) : -EBADF;
}
