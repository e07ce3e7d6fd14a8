/*
 * sys_directory.c: reading directories, and the working and root directory; mkdir and rmdir.
 * Sources: Linux fs/readdir.c, fs/d_path.c, fs/open.c; getdents(2), getcwd(2), chdir(2), chroot(2).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/base/text.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/inode.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#define DIRECTORY_BUFFER  65536 /* one call returns at most so much, whatever was asked for */
#define CAPABILITY_CHROOT 18

/* Collects entries in the layout of struct linux_dirent (old) or linux_dirent64. */
struct collector {
    struct dir_sink sink;
    unsigned char *buffer;
    size_t size, used;
    size_t last; /* offset of the last entry */
    bool old;
    bool too_small; /* an entry did not fit */
};

/* Both layouts: u64 ino, s64 off, u16 reclen; dirent64 then has the type and the name; the old one
 * the name, and the type in the last byte of the record. */
#define ENTRY_HEAD 18

static bool collect(struct dir_sink *sink, const char *name, size_t length, uint64_t ino,
                    unsigned char type, uint64_t next)
{
    struct collector *collector = container_of(sink, struct collector, sink);
    size_t record = (ENTRY_HEAD + length + 2 + 7) & ~(size_t)7;
    if (record > collector->size - collector->used) {
        collector->too_small = true;
        return false;
    }
    unsigned char *entry = collector->buffer + collector->used;
    uint16_t record_length = (uint16_t)record;
    memset(entry, 0, record);
    memcpy(entry, &ino, sizeof(ino));
    memcpy(entry + 8, &next, sizeof(next));
    memcpy(entry + 16, &record_length, sizeof(record_length));
    if (collector->old) {
        memcpy(entry + ENTRY_HEAD, name, length);
        entry[record - 1] = type;
    } else {
        entry[ENTRY_HEAD] = type;
        memcpy(entry + ENTRY_HEAD + 1, name, length);
    }
    collector->last = collector->used;
    collector->used += record;
    return true;
}

static long collect_entries(struct file *file, struct collector *collector, uint64_t addr)
{
    mutex_lock(&file->lock);
    uint64_t before = file->position;
    mutex_unlock(&file->lock);
    int error = file_readdir(file, &collector->sink);
    if (collector->used == 0) {
        return error < 0 ? error : (collector->too_small ? -EINVAL : 0);
    }
    if (mm_copy_out(current.mm, addr, collector->buffer, collector->used) < 0) {
        mutex_lock(&file->lock);
        file->position = before;
        mutex_unlock(&file->lock);
        return -EFAULT;
    }
    return (long)collector->used;
}

static long read_directory(struct task *task, const struct syscall_args *args, bool old)
{
    auto_file struct file *file = arg_file(task, args, 0);
    if (!file) {
        return -EBADF;
    }
    if (!S_ISDIR(file->inode->mode)) {
        return -ENOTDIR;
    }
    if ((inode_load(file->inode->flags) & INODE_DEAD) != 0) {
        return -ENOENT;
    }
    struct collector collector = {.sink.emit = collect, .old = old};
    collector.size = min_of((size_t)arg_uint(args, 2), (size_t)DIRECTORY_BUFFER);
    auto_free unsigned char *buffer = malloc(collector.size + 1);
    if (!buffer) {
        return -ENOMEM;
    }
    collector.buffer = buffer;
    return collect_entries(file, &collector, arg_u64(args, 1));
}

long sys_getdents(struct task *task, const struct syscall_args *args)
{
    return read_directory(task, args, true);
}

long sys_getdents64(struct task *task, const struct syscall_args *args)
{
    return read_directory(task, args, false);
}

long sys_getcwd(struct task *task, const struct syscall_args *args)
{
    auto_path struct path cwd = {0};
    auto_path struct path root = {0};
    auto_text struct text text = TEXT_INIT;
    fs_context_get_cwd(task->fs, &cwd);
    fs_context_get_root(task->fs, &root);
    if (dentry_is_deleted(cwd.dentry)) {
        return -ENOENT;
    }
    int error = path_text(&cwd, &root, false, &text);
    if (error < 0 || text.failed) {
        return error < 0 ? error : -ENOMEM;
    }
    size_t length = text.length + 1;
    if (length > PATH_MAX_LENGTH) {
        return -ENAMETOOLONG;
    }
    if (length > arg_u64(args, 1)) {
        return -ERANGE;
    }
    error = mm_copy_out(current.mm, arg_u64(args, 0), text_string(&text), length);
    return error < 0 ? error : (long)length;
}

long sys_chdir(struct task *task, const struct syscall_args *args)
{
    auto_path struct path found = {0};
    int error = lookup_path(task, arg_u64(args, 0), WALK_FOLLOW | WALK_DIRECTORY, &found);
    if (error == 0) {
        error = inode_permission(path_inode(&found), 1);
    }
    if (error < 0) {
        return error;
    }
    fs_context_set_cwd(task->fs, &found);
    return 0;
}

long sys_fchdir(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = arg_file_raw(task, args, 0);
    if (!file) {
        return -EBADF;
    }
    if (!S_ISDIR(file->inode->mode) || !file->path.dentry) {
        return -ENOTDIR;
    }
    int error = inode_permission(file->inode, 1);
    if (error < 0) {
        return error;
    }
    fs_context_set_cwd(task->fs, &file->path);
    return 0;
}

long sys_chroot(struct task *task, const struct syscall_args *args)
{
    auto_path struct path found = {0};
    int error = lookup_path(task, arg_u64(args, 0), WALK_FOLLOW | WALK_DIRECTORY, &found);
    if (error == 0) {
        error = inode_permission(path_inode(&found), 1);
    }
    if (error < 0) {
        return error;
    }
    if (!capable(CAPABILITY_CHROOT)) {
        return -EPERM;
    }
    fs_context_set_root(task->fs, &found);
    return 0;
}

static long make_directory(struct task *task, int dirfd, uint64_t path, unsigned mode)
{
    auto_lookup struct lookup lookup;
    int error = lookup_begin(task, dirfd, path, 0, &lookup);
    return error < 0 ? error : vfs_mkdir(lookup.start, lookup.text, mode & 07777);
}

long sys_mkdir(struct task *task, const struct syscall_args *args)
{
    return make_directory(task, AT_FDCWD, arg_u64(args, 0), arg_uint(args, 1));
}

long sys_mkdirat(struct task *task, const struct syscall_args *args)
{
    return make_directory(task, arg_int(args, 0), arg_u64(args, 1), arg_uint(args, 2));
}

long sys_rmdir(struct task *task, const struct syscall_args *args)
{
    auto_lookup struct lookup lookup;
    int error = lookup_begin(task, AT_FDCWD, arg_u64(args, 0), 0, &lookup);
    return error < 0 ? error : vfs_unlink(lookup.start, lookup.text, true);
}
