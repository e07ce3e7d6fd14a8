/*
 * sys_handle.c: name_to_handle_at, open_by_handle_at. Source: Linux fs/fhandle.c.
 *
 * DIFFERS: a handle is an inode number, found again among the cached names only: a file that nobody
 * used for long may be stale.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>

#include "sentry/core/cred.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/mount.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#define HANDLE_MAX          128 /* MAX_HANDLE_SZ */
#define HANDLE_TYPE         0x53
#define HANDLE_UNIQUE_MOUNT 0x001U /* AT_HANDLE_MNT_ID_UNIQUE */
#define HANDLE_CONNECTABLE  0x002U
#define HANDLE_FID          0x200U

struct handle_header {
    uint32_t bytes;
    int32_t type;
};

struct handle_body {
    uint64_t ino, device;
};

/* May a file be found again by its number? Not where names are made up as they are asked for. */
static bool can_export(const struct super *super)
{
    return !super->no_new_names;
}

static int put_mount_id(const struct path *path, unsigned flags, uint64_t addr)
{
    if ((flags & HANDLE_UNIQUE_MOUNT) != 0) {
        uint64_t id = mount_unique_id(path->mount);
        return copy_out(addr, &id);
    }
    int32_t id = path->mount->id;
    return copy_out(addr, &id);
}

long sys_name_to_handle_at(struct task *task, const struct syscall_args *args)
{
    const unsigned known =
        AT_SYMLINK_FOLLOW | AT_EMPTY_PATH | HANDLE_FID | HANDLE_CONNECTABLE | HANDLE_UNIQUE_MOUNT;
    unsigned flags = arg_uint(args, 4);
    auto_path struct path path = {0};
    auto_file struct file *anonymous = NULL;
    struct handle_header header;
    if ((flags & ~known) != 0 ||
        ((flags & HANDLE_CONNECTABLE) != 0 && (flags & (HANDLE_FID | AT_EMPTY_PATH)) != 0)) {
        return -EINVAL;
    }
    unsigned at = (flags & AT_SYMLINK_FOLLOW) != 0 ? 0 : AT_SYMLINK_NOFOLLOW;
    at |= flags & (unsigned)AT_EMPTY_PATH;
    int error = lookup_object(task, arg_int(args, 0), arg_u64(args, 1), at, &path, &anonymous);
    if (error < 0) {
        return error;
    }
    if (!path.mount || (!can_export(path.mount->super) && (flags & HANDLE_FID) == 0)) {
        return -EOPNOTSUPP;
    }
    if (copy_in(arg_u64(args, 2), &header) < 0) {
        return -EFAULT;
    }
    if (header.bytes > HANDLE_MAX) {
        return -EINVAL;
    }
    const struct handle_body body = {path_inode(&path)->ino, path.mount->super->dev};
    bool fits = header.bytes >= sizeof(body);
    header = (struct handle_header){sizeof(body), HANDLE_TYPE};
    if (put_mount_id(&path, flags, arg_u64(args, 3)) < 0 ||
        copy_out(arg_u64(args, 2), &header) < 0 ||
        (fits && copy_out(arg_u64(args, 2) + sizeof(header), &body) < 0)) {
        return -EFAULT;
    }
    return fits ? 0 : -EOVERFLOW;
}

/* The mount that a descriptor, or the working directory, is on. */
static int mount_of(struct task *task, int fd, struct path *ret)
{
    bool close_on_exec;
    if (fd == AT_FDCWD) {
        fs_context_get_cwd(task->fs, ret);
        return 0;
    }
    auto_file struct file *file = fd_get(task->fds, fd, &close_on_exec);
    if (!file) {
        return -EBADF;
    }
    if (!file->path.mount) {
        return -ESTALE;
    }
    *ret = file->path;
    path_ref(ret);
    return 0;
}

long sys_open_by_handle_at(struct task *task, const struct syscall_args *args)
{
    uint64_t addr = arg_u64(args, 1);
    auto_path struct path at = {0}, found = {0};
    struct handle_header header;
    struct handle_body body = {0};
    struct file *file;
    if (copy_in(addr, &header) < 0) {
        return -EFAULT;
    }
    if (header.bytes == 0 || header.bytes > HANDLE_MAX) {
        return -EINVAL;
    }
    int error = mount_of(task, arg_int(args, 0), &at);
    if (error < 0 && error != -ESTALE) {
        return error;
    }
    if (!capable(CAP_DAC_READ_SEARCH)) {
        return -EPERM;
    }
    if (mm_copy_in(current.mm, addr + sizeof(header), &body,
                   min_of((size_t)header.bytes, sizeof(body))) < 0) {
        return -EFAULT;
    }
    if (error < 0 || header.bytes != sizeof(body) || header.type != HANDLE_TYPE ||
        body.device != at.mount->super->dev) {
        return -ESTALE;
    }
    found.dentry = dentry_find_inode(at.mount->super, body.ino);
    if (!found.dentry) {
        return -ESTALE;
    }
    found.mount = mount_ref(at.mount);
    error = vfs_open_path(&found, arg_uint(args, 2) & ~(unsigned)O_NOFOLLOW, &file);
    return error < 0 ? error : install_file(task, file, (arg_uint(args, 2) & O_CLOEXEC) != 0);
}
