/*
 * sys_name.c: making, removing, renaming and reading names: link, unlink, rename, symlink,
 * readlink, mknod and their *at forms. Source: Linux fs/namei.c; the man pages of the calls.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "platform/base/text.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#define CAPABILITY_DAC_READ_SEARCH 2
#define CAPABILITY_MKNOD           27
#define RENAME_FLAGS               (RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)

static long link_at(struct task *task, int old_dirfd, uint64_t old_path, int new_dirfd,
                    uint64_t new_path, unsigned flags)
{
    auto_path struct path old = {0};
    auto_file struct file *old_file = NULL;
    if ((flags & ~(unsigned)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) != 0) {
        return -EINVAL;
    }
    unsigned at_flags = (flags & AT_SYMLINK_FOLLOW) != 0 ? 0 : AT_SYMLINK_NOFOLLOW;
    if ((flags & AT_EMPTY_PATH) != 0 && capable(CAPABILITY_DAC_READ_SEARCH)) {
        at_flags |= AT_EMPTY_PATH; /* Linux: without the capability "" gives ENOENT */
    }
    auto_lookup struct lookup new;
    int error = lookup_begin(task, new_dirfd, new_path, 0, &new);
    if (error == 0) {
        error = lookup_object(task, old_dirfd, old_path, at_flags, &old, &old_file);
    }
    if (error < 0) {
        return error;
    }
    if (old_file) {
        return -EXDEV; /* an anonymous file lives on a mount of its own */
    }
    return vfs_link(&old, new.start, new.text);
}

long sys_link(struct task *task, const struct syscall_args *args)
{
    return link_at(task, AT_FDCWD, arg_u64(args, 0), AT_FDCWD, arg_u64(args, 1), 0);
}

long sys_linkat(struct task *task, const struct syscall_args *args)
{
    return link_at(task, arg_int(args, 0), arg_u64(args, 1), arg_int(args, 2), arg_u64(args, 3),
                   arg_uint(args, 4));
}

static long unlink_at(struct task *task, int dirfd, uint64_t path, bool directory)
{
    auto_lookup struct lookup lookup;
    int error = lookup_begin(task, dirfd, path, 0, &lookup);
    return error < 0 ? error : vfs_unlink(lookup.start, lookup.text, directory);
}

long sys_unlink(struct task *task, const struct syscall_args *args)
{
    return unlink_at(task, AT_FDCWD, arg_u64(args, 0), false);
}

long sys_unlinkat(struct task *task, const struct syscall_args *args)
{
    int flags = arg_int(args, 2);
    if ((flags & ~AT_REMOVEDIR) != 0) {
        return -EINVAL;
    }
    return unlink_at(task, arg_int(args, 0), arg_u64(args, 1), (flags & AT_REMOVEDIR) != 0);
}

static long rename_checked(struct task *task, int old_dirfd, uint64_t old_path, int new_dirfd,
                           uint64_t new_path, unsigned flags)
{
    auto_lookup struct lookup old;
    int error = lookup_begin(task, old_dirfd, old_path, 0, &old);
    if (error < 0) {
        return error;
    }
    auto_lookup struct lookup new;
    error = lookup_begin(task, new_dirfd, new_path, 0, &new);
    return error < 0 ? error : vfs_rename(old.start, old.text, new.start, new.text, flags);
}

static long rename_at(struct task *task, int old_dirfd, uint64_t old_path, int new_dirfd,
                      uint64_t new_path, unsigned flags)
{
    if ((flags & ~RENAME_FLAGS) != 0 ||
        ((flags & RENAME_EXCHANGE) != 0 && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)) != 0)) {
        return -EINVAL;
    }
    if ((flags & RENAME_WHITEOUT) != 0 && !capable(CAPABILITY_MKNOD)) {
        return -EPERM;
    }
    return rename_checked(task, old_dirfd, old_path, new_dirfd, new_path, flags);
}

long sys_rename(struct task *task, const struct syscall_args *args)
{
    return rename_at(task, AT_FDCWD, arg_u64(args, 0), AT_FDCWD, arg_u64(args, 1), 0);
}

long sys_renameat(struct task *task, const struct syscall_args *args)
{
    return rename_at(task, arg_int(args, 0), arg_u64(args, 1), arg_int(args, 2), arg_u64(args, 3),
                     0);
}

long sys_renameat2(struct task *task, const struct syscall_args *args)
{
    return rename_at(task, arg_int(args, 0), arg_u64(args, 1), arg_int(args, 2), arg_u64(args, 3),
                     arg_uint(args, 4));
}

static long symlink_at(struct task *task, uint64_t target, int dirfd, uint64_t path)
{
    char text[PATH_MAX_LENGTH];
    int error = copy_in_path(target, text);
    if (error < 0) {
        return error;
    }
    if (text[0] == '\0') {
        return -ENOENT;
    }
    auto_lookup struct lookup lookup;
    error = lookup_begin(task, dirfd, path, 0, &lookup);
    return error < 0 ? error : vfs_symlink(text, lookup.start, lookup.text);
}

long sys_symlink(struct task *task, const struct syscall_args *args)
{
    return symlink_at(task, arg_u64(args, 0), AT_FDCWD, arg_u64(args, 1));
}

long sys_symlinkat(struct task *task, const struct syscall_args *args)
{
    return symlink_at(task, arg_u64(args, 0), arg_int(args, 1), arg_u64(args, 2));
}

/* What readlinkat names: an empty path stands for an O_PATH descriptor of a link. */
static long read_link(struct task *task, int dirfd, uint64_t path, uint64_t buffer, int size)
{
    auto_path struct path found = {0};
    auto_text struct text target = TEXT_INIT;
    if (size <= 0) {
        return -EINVAL;
    }
    auto_lookup struct lookup lookup;
    int error = lookup_begin(task, dirfd, path, LOOKUP_EMPTY, &lookup);
    if (error < 0) {
        return error;
    }
    bool empty = lookup.text[0] == '\0';
    if (lookup.file) {
        found = lookup.file->path;
        path_ref(&found);
    } else {
        error = empty ? -ENOENT : path_walk(lookup.start, lookup.text, 0, &found);
        if (error < 0) {
            return error;
        }
    }
    if (!found.dentry || !S_ISLNK(path_inode(&found)->mode)) {
        return empty ? -ENOENT : -EINVAL;
    }
    error = vfs_readlink(&found, &target);
    if (error < 0 || target.failed) {
        return error < 0 ? error : -ENOMEM;
    }
    size_t length = min_of(target.length, (size_t)size);
    error = mm_copy_out(current.mm, buffer, text_string(&target), length);
    return error < 0 ? error : (long)length;
}

long sys_readlink(struct task *task, const struct syscall_args *args)
{
    return read_link(task, AT_FDCWD, arg_u64(args, 0), arg_u64(args, 1), arg_int(args, 2));
}

long sys_readlinkat(struct task *task, const struct syscall_args *args)
{
    return read_link(task, arg_int(args, 0), arg_u64(args, 1), arg_u64(args, 2), arg_int(args, 3));
}

/* Linux: new_decode_dev. */
static uint64_t decode_device(uint32_t dev)
{
    return makedev((dev & 0xfff00) >> 8, (dev & 0xff) | ((dev >> 12) & 0xfff00));
}

static long make_node(struct task *task, int dirfd, uint64_t path, unsigned mode, uint32_t dev)
{
    switch (mode & S_IFMT) {
    case 0:
        mode |= S_IFREG;
        break;
    case S_IFREG:
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK:
        break;
    case S_IFDIR:
        return -EPERM;
    default:
        return -EINVAL;
    }
    bool device = S_ISCHR(mode) || S_ISBLK(mode);
    auto_lookup struct lookup lookup;
    int error = lookup_begin(task, dirfd, path, 0, &lookup);
    if (error < 0) {
        return error;
    }
    return vfs_mknod(lookup.start, lookup.text, mode & (S_IFMT | 07777),
                     device ? decode_device(dev) : 0);
}

long sys_mknod(struct task *task, const struct syscall_args *args)
{
    return make_node(task, AT_FDCWD, arg_u64(args, 0), arg_uint(args, 1) & 0xffff,
                     arg_uint(args, 2));
}

long sys_mknodat(struct task *task, const struct syscall_args *args)
{
    return make_node(task, arg_int(args, 0), arg_u64(args, 1), arg_uint(args, 2) & 0xffff,
                     arg_uint(args, 3));
}
