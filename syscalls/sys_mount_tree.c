/*
 * sys_mount_tree.c: open_tree, open_tree_attr, move_mount, mount_setattr. Source: Linux
 * fs/namespace.c.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>

#include "sentry/core/cred.h"
#include "sentry/vfs/landlock.h"
#include "sentry/vfs/mount.h"
#include "syscalls/lookup.h"
#include "syscalls/mount_attributes.h"
#include "syscalls/syscall.h"

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#define MOVE_BENEATH   0x200U
#define MOVE_SET_GROUP 0x100U
#define MOVE_FLAGS     0x377U
#define SETATTR_FLAGS                                                                              \
    ((unsigned)(AT_EMPTY_PATH | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT))
#define PROPAGATE_UNBINDABLE (1U << 17)
#define PROPAGATE_PRIVATE    (1U << 18)
#define PROPAGATE_SLAVE      (1U << 19)
#define ATTR_SIZE_VER0       32

struct attribute_request {
    bool any;
    unsigned set, clear, propagation;
};

/* struct mount_attr: what to change. */
static int copy_in_attributes(uint64_t addr, uint64_t size, struct attribute_request *ret)
{
    struct mount_attr attr;
    unsigned set = 0, clear = 0;
    if (size < ATTR_SIZE_VER0) {
        return -EINVAL;
    }
    int error = copy_in_struct(addr, size, &attr, sizeof(attr));
    if (error < 0) {
        return error;
    }
    *ret = (struct attribute_request){.propagation = (unsigned)attr.propagation};
    ret->any = attr.attr_set != 0 || attr.attr_clr != 0 || attr.propagation != 0;
    uint64_t atime_set = attr.attr_set & MOUNT_ATTR__ATIME;
    uint64_t atime_clear = attr.attr_clr & MOUNT_ATTR__ATIME;
    /* A new kind of atime names the old ones as cleared, all of them. */
    if ((atime_clear != 0 && atime_clear != MOUNT_ATTR__ATIME) ||
        (atime_set != 0 && atime_clear == 0) || attr.propagation > UINT32_MAX ||
        mount_attributes_to_flags(attr.attr_set, &set) < 0 ||
        mount_attributes_to_flags(attr.attr_clr & ~(uint64_t)MOUNT_ATTR__ATIME, &clear) < 0) {
        return -EINVAL;
    }
    unsigned kind = ret->propagation;
    if (kind != 0 && kind != PROPAGATE_PRIVATE && kind != PROPAGATE_SLAVE &&
        kind != PROPAGATE_UNBINDABLE) {
        return -EINVAL;
    }
    const unsigned atime = MOUNT_NO_ATIME | MOUNT_RELATIME | MOUNT_STRICT_ATIME;
    ret->set = atime_clear != 0 ? set : set & ~atime;
    ret->clear = atime_clear != 0 ? clear | atime : clear & ~atime;
    return 0;
}

static int apply_attributes(const struct path *path, bool recursive,
                            const struct attribute_request *request)
{
    int error = mount_change_flags(path, recursive, request->set, request->clear);
    if (error == 0 && request->propagation != 0) {
        error = mount_set_unbindable(path, recursive, request->propagation == PROPAGATE_UNBINDABLE);
    }
    return error;
}

long sys_mount_setattr(struct task *task, const struct syscall_args *args)
{
    unsigned flags = arg_uint(args, 2);
    struct attribute_request request;
    auto_path struct path path = {0};
    auto_file struct file *anonymous = NULL;
    if ((flags & ~SETATTR_FLAGS) != 0) {
        return -EINVAL;
    }
    if (arg_u64(args, 4) > 4096) {
        return -E2BIG;
    }
    if (arg_u64(args, 4) < ATTR_SIZE_VER0) {
        return -EINVAL;
    }
    if (!capable(CAP_SYS_ADMIN) || landlock_check_mounts() != 0) {
        return -EPERM;
    }
    int error = copy_in_attributes(arg_u64(args, 3), arg_u64(args, 4), &request);
    if (error < 0 || !request.any) {
        return error;
    }
    error = lookup_object(task, arg_int(args, 0), arg_u64(args, 1), flags, &path, &anonymous);
    if (error < 0) {
        return error;
    }
    return path.mount ? apply_attributes(&path, (flags & AT_RECURSIVE) != 0, &request) : -EINVAL;
}

static long open_tree(struct task *task, const struct syscall_args *args,
                      const struct attribute_request *request)
{
    const unsigned known = SETATTR_FLAGS | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    unsigned flags = arg_uint(args, 2);
    auto_path struct path path = {0}, tree = {0};
    auto_file struct file *anonymous = NULL;
    struct file *result;
    bool clone = (flags & OPEN_TREE_CLONE) != 0, recursive = (flags & AT_RECURSIVE) != 0;
    if ((flags & ~known) != 0 || (recursive && !clone)) {
        return -EINVAL;
    }
    if (clone && !capable(CAP_SYS_ADMIN)) {
        return -EPERM;
    }
    unsigned at = flags & (unsigned)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
    int error = lookup_object(task, arg_int(args, 0), arg_u64(args, 1), at, &path, &anonymous);
    if (error == 0 && !path.mount) {
        error = -EINVAL;
    }
    if (error == 0 && clone) {
        error = mount_clone_detached(&path, recursive, &tree);
    } else if (error == 0) {
        tree = path;
        path = (struct path){0};
    }
    if (error == 0 && request) {
        error = apply_attributes(&tree, recursive, request);
    }
    if (error == 0) {
        error = vfs_open_path(&tree, O_PATH, &result);
    }
    return error < 0 ? error : install_file(task, result, (flags & OPEN_TREE_CLOEXEC) != 0);
}

long sys_open_tree(struct task *task, const struct syscall_args *args)
{
    return open_tree(task, args, NULL);
}

long sys_open_tree_attr(struct task *task, const struct syscall_args *args)
{
    struct attribute_request request;
    if (arg_u64(args, 3) == 0) {
        return arg_u64(args, 4) != 0 ? -EINVAL : open_tree(task, args, NULL);
    }
    int error = copy_in_attributes(arg_u64(args, 3), arg_u64(args, 4), &request);
    if (error < 0) {
        return error;
    }
    return open_tree(task, args, request.any ? &request : NULL);
}

long sys_move_mount(struct task *task, const struct syscall_args *args)
{
    unsigned flags = arg_uint(args, 4);
    auto_path struct path from = {0}, to = {0};
    auto_file struct file *from_file = NULL, *to_file = NULL;
    if (!capable(CAP_SYS_ADMIN) || landlock_check_mounts() != 0) {
        return -EPERM;
    }
    if ((flags & ~MOVE_FLAGS) != 0 ||
        (flags & (MOVE_BENEATH | MOVE_SET_GROUP)) == (MOVE_BENEATH | MOVE_SET_GROUP)) {
        return -EINVAL;
    }
    unsigned from_at = (flags & MOVE_MOUNT_F_SYMLINKS) != 0 ? 0 : AT_SYMLINK_NOFOLLOW;
    unsigned to_at = (flags & MOVE_MOUNT_T_SYMLINKS) != 0 ? 0 : AT_SYMLINK_NOFOLLOW;
    from_at |= (flags & MOVE_MOUNT_F_EMPTY_PATH) != 0 ? AT_EMPTY_PATH : 0;
    to_at |= (flags & MOVE_MOUNT_T_EMPTY_PATH) != 0 ? AT_EMPTY_PATH : 0;
    int error = lookup_object(task, arg_int(args, 2), arg_u64(args, 3), to_at, &to, &to_file);
    if (error == 0) {
        error = lookup_object(task, arg_int(args, 0), arg_u64(args, 1), from_at, &from, &from_file);
    }
    if (error < 0) {
        return error;
    }
    if (!from.mount || !to.mount || (flags & MOVE_SET_GROUP) != 0) {
        return -EINVAL; /* no peer groups */
    }
    return mount_move(&from, &to, (flags & MOVE_BENEATH) != 0);
}
