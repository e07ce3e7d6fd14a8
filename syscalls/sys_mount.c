/*
 * sys_mount.c: mount, umount2. Source: mount(2), umount(2), Linux fs/namespace.c (path_mount,
 * can_umount, do_remount, do_loopback, do_move_mount_old).
 *
 * DIFFERS: mounts are private to each other (no propagation), and a file system's own flags (ro,
 * sync) are those of each of its mounts.
 */
#include <linux/capability.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/filesystem.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/landlock.h"
#include "sentry/vfs/mount.h"
#include "syscalls/lookup.h"
#include "syscalls/mount_options.h"
#include "syscalls/syscall.h"

#define MS_NOUSER_FLAG  (1U << 31)
#define MAGIC           0xC0ED0000U
#define MAGIC_MASK      0xffff0000U
#define PROPAGATION     (MS_UNBINDABLE | MS_PRIVATE | MS_SLAVE | MS_SHARED)
#define UMOUNT_FORCE    1
#define UMOUNT_DETACH   2
#define UMOUNT_EXPIRE   4
#define UMOUNT_NOFOLLOW 8

/* The flags of the mount that mount(2)'s say. */
static unsigned mount_flags(unsigned flags)
{
    unsigned kept = flags & (MOUNT_OWN_FLAGS | MOUNT_SUPER_FLAGS) & ~(unsigned)MOUNT_ATIME_FLAGS;
    if ((flags & MS_NOATIME) != 0) {
        kept |= MOUNT_NO_ATIME;
    } else {
        kept |= (flags & MS_STRICTATIME) != 0 ? MOUNT_STRICT_ATIME : MOUNT_RELATIME;
    }
    return kept | (flags & MS_NODIRATIME);
}

static int new_mount(const char *source, const char *type_name, unsigned flags,
                     const struct mount_options *options, const struct path *point)
{
    const struct filesystem_type *type = filesystem_find(type_name);
    struct super *super;
    if (!type) {
        return -ENODEV;
    }
    int error = type->mount(options->text, &super);
    if (error != 0) {
        return error;
    }
    unsigned all = (mount_flags(flags) | options->set_flags) & ~options->clear_flags;
    error = mount_add(super, source, all, point);
    if (error != 0) {
        super_drop(super);
    }
    return error;
}

/* MS_REMOUNT without atime flags keeps those the mount has. */
static unsigned remount_flags(const struct mount *mount, unsigned flags)
{
    const unsigned atime = MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME;
    unsigned now = atomic_load(&mount->flags);
    unsigned result = mount_flags(flags);
    if ((flags & atime) == 0) {
        result = (result & ~(unsigned)MOUNT_ATIME_FLAGS) | (now & MOUNT_ATIME_FLAGS);
    }
    return result;
}

static int remount(const struct path *path, unsigned flags, const struct mount_options *options)
{
    struct mount *mount = path->mount;
    if (path->dentry != mount->root) {
        return -EINVAL;
    }
    unsigned result = remount_flags(mount, flags);
    if ((flags & MS_BIND) != 0) {
        result = (result & ~MOUNT_SUPER_FLAGS) | (atomic_load(&mount->flags) & MOUNT_SUPER_FLAGS);
        return mount_remount(path, result);
    }
    const struct filesystem_type *type = filesystem_find(mount->super->type);
    if (options->text[0] != '\0' && !mount->flags_locked && type && type->reconfigure) {
        int error = type->reconfigure(mount->super, options->text);
        if (error != 0) {
            return error;
        }
    }
    return mount_remount(path, (result | options->set_flags) & ~options->clear_flags);
}

static int change_propagation(const struct path *path, unsigned flags)
{
    unsigned kind = flags & PROPAGATION;
    if ((flags & ~(MS_REC | MS_SILENT | PROPAGATION)) != 0 || (kind & (kind - 1)) != 0) {
        return -EINVAL;
    }
    /* A slave of nobody is private. */
    return (kind & MS_SHARED) != 0
               ? -EINVAL
               : mount_set_unbindable(path, (flags & MS_REC) != 0, (kind & MS_UNBINDABLE) != 0);
}

static int bind_or_move(struct task *task, uint64_t source, unsigned flags,
                        const struct path *point)
{
    auto_path struct path from = {0};
    (void)task;
    if (source == 0) {
        return -EINVAL;
    }
    int error = lookup_path(task, source, WALK_FOLLOW, &from);
    if (error < 0) {
        return error;
    }
    if ((flags & MS_MOVE) != 0) {
        return mount_move(&from, point, false);
    }
    return mount_bind(&from, atomic_load(&from.mount->flags), (flags & MS_REC) != 0, point);
}

/* A string argument that may be absent; ret is "" then. */
static int copy_in_name(uint64_t addr, char ret[PATH_MAX_LENGTH])
{
    ret[0] = '\0';
    int error = addr != 0 ? copy_in_path(addr, ret) : 0;
    return error == -ENAMETOOLONG ? -EINVAL : error; /* Linux: strndup_user */
}

/* Linux: copy_mount_options: one page, of which what cannot be read is zero. */
static int copy_in_data(uint64_t addr, char data[MOUNT_DATA_MAX])
{
    memset(data, 0, MOUNT_DATA_MAX);
    if (addr == 0 || mm_copy_in(current.mm, addr, data, MOUNT_DATA_MAX - 1) == 0) {
        return 0;
    }
    size_t first = (size_t)(4096 - (addr & 4095));
    return mm_copy_in(current.mm, addr, data, min_of(first, (size_t)MOUNT_DATA_MAX - 1));
}

struct mount_texts {
    char type[PATH_MAX_LENGTH], source[PATH_MAX_LENGTH], data[MOUNT_DATA_MAX];
    struct mount_options options;
};

static long do_mount(struct task *task, const struct syscall_args *args, struct mount_texts *texts)
{
    auto_path struct path point = {0};
    unsigned flags = arg_uint(args, 3);
    int error = copy_in_name(arg_u64(args, 2), texts->type);
    if (error == 0) {
        error = copy_in_name(arg_u64(args, 0), texts->source);
    }
    if (error == 0) {
        error = copy_in_data(arg_u64(args, 4), texts->data);
    }
    if (error == 0) {
        error = lookup_path(task, arg_u64(args, 1), WALK_FOLLOW, &point);
    }
    if (error < 0) {
        return error;
    }
    if (!capable(CAP_SYS_ADMIN) || landlock_check_mounts() != 0) {
        return -EPERM;
    }
    if ((flags & MAGIC_MASK) == MAGIC) {
        flags &= ~MAGIC_MASK;
    }
    if ((flags & MS_NOUSER_FLAG) != 0) {
        return -EINVAL;
    }
    if ((flags & MS_REMOUNT) == 0 && (flags & MS_BIND) != 0) {
        return bind_or_move(task, arg_u64(args, 0), flags, &point);
    }
    if ((flags & MS_REMOUNT) == 0 && (flags & PROPAGATION) != 0) {
        return change_propagation(&point, flags);
    }
    if ((flags & MS_REMOUNT) == 0 && (flags & MS_MOVE) != 0) {
        return bind_or_move(task, arg_u64(args, 0), flags, &point);
    }
    error = mount_options_split(texts->data, &texts->options);
    if (error != 0) {
        return error;
    }
    if ((flags & MS_REMOUNT) != 0) {
        return remount(&point, flags, &texts->options);
    }
    const char *source = arg_u64(args, 0) != 0 ? texts->source : "none";
    return arg_u64(args, 2) == 0 ? -EINVAL
                                 : new_mount(source, texts->type, flags, &texts->options, &point);
}

long sys_mount(struct task *task, const struct syscall_args *args)
{
    struct mount_texts *texts = calloc(1, sizeof(*texts));
    if (!texts) {
        return -ENOMEM;
    }
    long result = do_mount(task, args, texts);
    free(texts);
    return result;
}

long sys_umount2(struct task *task, const struct syscall_args *args)
{
    unsigned flags = arg_uint(args, 1);
    auto_path struct path path = {0};
    if ((flags & ~(unsigned)(UMOUNT_FORCE | UMOUNT_DETACH | UMOUNT_EXPIRE | UMOUNT_NOFOLLOW)) !=
        0) {
        return -EINVAL;
    }
    unsigned walk = (flags & UMOUNT_NOFOLLOW) != 0 ? 0 : WALK_FOLLOW;
    int error = lookup_path(task, arg_u64(args, 0), walk, &path);
    if (error < 0) {
        return error;
    }
    if (!capable(CAP_SYS_ADMIN) || landlock_check_mounts() != 0) {
        return -EPERM;
    }
    if ((flags & UMOUNT_EXPIRE) != 0 && (flags & (UMOUNT_FORCE | UMOUNT_DETACH)) != 0) {
        return -EINVAL;
    }
    return mount_remove(&path, (flags & UMOUNT_DETACH) != 0   ? MOUNT_REMOVE_DETACH
                               : (flags & UMOUNT_EXPIRE) != 0 ? MOUNT_REMOVE_EXPIRE
                                                              : MOUNT_REMOVE_IDLE);
}

long sys_sysfs(struct task *task, const struct syscall_args *args)
{
    enum { INDEX_OF_NAME = 1, NAME_OF_INDEX, COUNT };
    char name[PATH_MAX_LENGTH];
    size_t count = 0;
    (void)task;
    while (filesystem_at(count)) {
        count++;
    }
    if (arg_int(args, 0) == COUNT) {
        return (long)count;
    }
    if (arg_int(args, 0) == NAME_OF_INDEX) {
        const struct filesystem_type *type = filesystem_at(arg_uint(args, 1));
        return type ? mm_copy_out(current.mm, arg_u64(args, 2), type->name, strlen(type->name) + 1)
                    : -EINVAL;
    }
    if (arg_int(args, 0) != INDEX_OF_NAME) {
        return -EINVAL;
    }
    int error = copy_in_path(arg_u64(args, 1), name);
    for (size_t i = 0; i < count && error == 0; i++) {
        if (strcmp(filesystem_at(i)->name, name) == 0) {
            return (long)i;
        }
    }
    return error < 0 && error != -ENAMETOOLONG ? error : -EINVAL;
}
