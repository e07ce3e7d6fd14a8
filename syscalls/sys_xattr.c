/*
 * sys_xattr.c: extended attributes. Source: Linux fs/xattr.c; setxattr(2), getxattr(2),
 * listxattr(2), removexattr(2).
 */
#include <fcntl.h>
#include <stdlib.h>

#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#define NAME_SIZE    256   /* XATTR_NAME_MAX + NUL */
#define VALUE_MAX    65536 /* XATTR_SIZE_MAX, XATTR_LIST_MAX */
#define FLAG_CREATE  1U
#define FLAG_REPLACE 2U

/* The object of a call: by path (following the last link or not) or by descriptor. */
enum target_kind { TARGET_PATH, TARGET_LINK, TARGET_FD };

struct target {
    struct path path;  /* references */
    struct file *file; /* reference */
};

static void target_fini(struct target *target)
{
    path_unref(&target->path);
    file_unref(target->file);
}
#define auto_target __attribute__((cleanup(target_fini)))

static int find_target(struct task *task, const struct syscall_args *args, enum target_kind kind,
                       struct target *target)
{
    if (kind != TARGET_FD) {
        return lookup_path(task, arg_u64(args, 0), kind == TARGET_PATH ? WALK_FOLLOW : 0,
                           &target->path);
    }
    target->file = arg_file(task, args, 0);
    if (!target->file) {
        return -EBADF;
    }
    if (!target->file->path.dentry) {
        return -EOPNOTSUPP; /* pipes, sockets and the like keep no attributes */
    }
    target->path = target->file->path;
    path_ref(&target->path);
    return 0;
}

static int copy_in_name(uint64_t addr, char name[NAME_SIZE])
{
    ssize_t length = mm_copy_in_string(current.mm, addr, name, NAME_SIZE);
    if (length == 0 || length == -ENAMETOOLONG) {
        return -ERANGE;
    }
    return length < 0 ? (int)length : 0;
}

static long set_attribute(struct task *task, const struct syscall_args *args, enum target_kind kind)
{
    auto_target struct target target = {0};
    char name[NAME_SIZE];
    uint64_t size = arg_u64(args, 3);
    unsigned flags = arg_uint(args, 4);
    int error = find_target(task, args, kind, &target);
    if (error < 0) {
        return error;
    }
    if ((flags & ~(FLAG_CREATE | FLAG_REPLACE)) != 0) {
        return -EINVAL;
    }
    error = copy_in_name(arg_u64(args, 1), name);
    if (error < 0) {
        return error;
    }
    if (size > VALUE_MAX) {
        return -E2BIG;
    }
    auto_free void *value = malloc(size + 1);
    if (!value) {
        return -ENOMEM;
    }
    error = mm_copy_in(current.mm, arg_u64(args, 2), value, size);
    return error < 0 ? error : vfs_setxattr(&target.path, name, value, size, (int)flags);
}

static long get_attribute(struct task *task, const struct syscall_args *args, enum target_kind kind)
{
    auto_target struct target target = {0};
    char name[NAME_SIZE];
    size_t size = (size_t)min_of(arg_u64(args, 3), (uint64_t)VALUE_MAX);
    int error = find_target(task, args, kind, &target);
    if (error == 0) {
        error = copy_in_name(arg_u64(args, 1), name);
    }
    if (error < 0) {
        return error;
    }
    auto_free void *value = malloc(size + 1);
    if (!value) {
        return -ENOMEM;
    }
    ssize_t length = vfs_getxattr(&target.path, name, value, size);
    if (length <= 0 || size == 0) {
        return length;
    }
    error = mm_copy_out(current.mm, arg_u64(args, 2), value, (size_t)length);
    return error < 0 ? error : length;
}

static long list_attributes(struct task *task, const struct syscall_args *args,
                            enum target_kind kind)
{
    auto_target struct target target = {0};
    size_t size = (size_t)min_of(arg_u64(args, 2), (uint64_t)VALUE_MAX);
    int error = find_target(task, args, kind, &target);
    if (error < 0) {
        return error;
    }
    auto_free char *list = malloc(size + 1);
    if (!list) {
        return -ENOMEM;
    }
    ssize_t length = vfs_listxattr(&target.path, list, size);
    if (length <= 0 || size == 0) {
        return length;
    }
    error = mm_copy_out(current.mm, arg_u64(args, 1), list, (size_t)length);
    return error < 0 ? error : length;
}

static long remove_attribute(struct task *task, const struct syscall_args *args,
                             enum target_kind kind)
{
    auto_target struct target target = {0};
    char name[NAME_SIZE];
    int error = find_target(task, args, kind, &target);
    if (error == 0) {
        error = copy_in_name(arg_u64(args, 1), name);
    }
    return error < 0 ? error : vfs_removexattr(&target.path, name);
}

long sys_setxattr(struct task *task, const struct syscall_args *args)
{
    return set_attribute(task, args, TARGET_PATH);
}

long sys_lsetxattr(struct task *task, const struct syscall_args *args)
{
    return set_attribute(task, args, TARGET_LINK);
}

long sys_fsetxattr(struct task *task, const struct syscall_args *args)
{
    return set_attribute(task, args, TARGET_FD);
}

long sys_getxattr(struct task *task, const struct syscall_args *args)
{
    return get_attribute(task, args, TARGET_PATH);
}

long sys_lgetxattr(struct task *task, const struct syscall_args *args)
{
    return get_attribute(task, args, TARGET_LINK);
}

long sys_fgetxattr(struct task *task, const struct syscall_args *args)
{
    return get_attribute(task, args, TARGET_FD);
}

long sys_listxattr(struct task *task, const struct syscall_args *args)
{
    return list_attributes(task, args, TARGET_PATH);
}

long sys_llistxattr(struct task *task, const struct syscall_args *args)
{
    return list_attributes(task, args, TARGET_LINK);
}

long sys_flistxattr(struct task *task, const struct syscall_args *args)
{
    return list_attributes(task, args, TARGET_FD);
}

long sys_removexattr(struct task *task, const struct syscall_args *args)
{
    return remove_attribute(task, args, TARGET_PATH);
}

long sys_lremovexattr(struct task *task, const struct syscall_args *args)
{
    return remove_attribute(task, args, TARGET_LINK);
}

long sys_fremovexattr(struct task *task, const struct syscall_args *args)
{
    return remove_attribute(task, args, TARGET_FD);
}
