/*
 * sys_mount_list.c: statmount, listmount. Source: Linux fs/namespace.c, include/uapi/linux/mount.h.
 */
#include <linux/capability.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "platform/base/text.h"
#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/mount.h"
#include "syscalls/lookup.h"
#include "syscalls/mount_attributes.h"
#include "syscalls/syscall.h"

#define REQUEST_SIZE_VER0 24
#define LIST_ROOT         UINT64_MAX
#define LIST_REVERSE      1U
#define LIST_MAX          1000000

enum statmount_mask {
    STATMOUNT_SB_BASIC = 1,
    STATMOUNT_MNT_BASIC = 2,
    STATMOUNT_PROPAGATE_FROM = 4,
    STATMOUNT_MNT_ROOT = 8,
    STATMOUNT_MNT_POINT = 16,
    STATMOUNT_FS_TYPE = 32,
    STATMOUNT_MNT_NS_ID = 64,
    STATMOUNT_MNT_OPTS = 128,
    STATMOUNT_SB_SOURCE = 512,
};
#define STATMOUNT_STRINGS                                                                          \
    (STATMOUNT_MNT_ROOT | STATMOUNT_MNT_POINT | STATMOUNT_FS_TYPE | STATMOUNT_MNT_OPTS |           \
     STATMOUNT_SB_SOURCE)

struct mount_request {
    uint32_t size, namespace_fd;
    uint64_t mount_id, parameter, namespace_id;
};

/* struct statmount of the ABI; the strings follow it. */
struct mount_status {
    uint32_t size, mnt_opts;
    uint64_t mask;
    uint32_t sb_dev_major, sb_dev_minor;
    uint64_t sb_magic;
    uint32_t sb_flags, fs_type;
    uint64_t mnt_id, mnt_parent_id;
    uint32_t mnt_id_old, mnt_parent_id_old;
    uint64_t mnt_attr, mnt_propagation, mnt_peer_group, mnt_master, propagate_from;
    uint32_t mnt_root, mnt_point;
    uint64_t mnt_ns_id;
    uint32_t fs_subtype, sb_source;
    uint64_t spare[48];
};
_Static_assert(sizeof(struct mount_status) == 512, "as the ABI has it");

static int copy_in_request(uint64_t addr, struct mount_request *ret)
{
    uint32_t size;
    if (copy_in(addr, &size) < 0) {
        return -EFAULT;
    }
    if (size < REQUEST_SIZE_VER0) {
        return -EINVAL;
    }
    int error = copy_in_struct(addr, size, ret, sizeof(*ret));
    if (error == 0 && (ret->namespace_fd != 0 || ret->namespace_id != 0)) {
        error = -EINVAL; /* one namespace, and no descriptors of any */
    }
    return error;
}

/* Is the mount in what the caller's root shows? */
static bool is_reachable(struct mount *mount)
{
    static const char unreachable[] = "(unreachable)";
    auto_text struct text text = TEXT_INIT;
    auto_path struct path root = {0};
    const struct path path = {mount, mount->root};
    fs_context_get_root(current.fs, &root);
    return path_text(&path, &root, false, &text) == 0 &&
           strncmp(text_string(&text), unreachable, sizeof(unreachable) - 1) != 0;
}

/* Starts a string: its offset goes to *ret_offset. */
static void begin_string(struct text *strings, uint32_t *ret_offset)
{
    *ret_offset = (uint32_t)strings->length;
}

static void end_string(struct text *strings)
{
    text_append(strings, "", 1);
}

static void put_root(struct mount *mount, struct text *strings)
{
    static const char unreachable[] = "(unreachable)";
    auto_text struct text text = TEXT_INIT;
    const struct path path = {NULL, mount->root};
    if (path_text(&path, NULL, false, &text) == 0) {
        const char *name = text_string(&text);
        if (strncmp(name, unreachable, sizeof(unreachable) - 1) == 0) {
            name += sizeof(unreachable) - 1;
        }
        text_puts(strings, name[0] != '\0' ? name : "/");
    }
}

static void put_point(struct mount *mount, struct text *strings)
{
    auto_path struct path root = {0};
    const struct path path = {mount, mount->root};
    fs_context_get_root(current.fs, &root);
    ignore_result(path_text(&path, &root, false, strings));
}

static void fill_strings(struct mount *mount, uint64_t mask, struct mount_status *status,
                         struct text *strings)
{
    if ((mask & STATMOUNT_FS_TYPE) != 0) {
        begin_string(strings, &status->fs_type);
        text_puts(strings, mount->super->type);
        end_string(strings);
    }
    if ((mask & STATMOUNT_MNT_ROOT) != 0) {
        begin_string(strings, &status->mnt_root);
        put_root(mount, strings);
        end_string(strings);
    }
    if ((mask & STATMOUNT_MNT_POINT) != 0) {
        begin_string(strings, &status->mnt_point);
        put_point(mount, strings);
        end_string(strings);
    }
    if ((mask & STATMOUNT_MNT_OPTS) != 0) {
        auto_text struct text options = TEXT_INIT;
        super_show_options(mount->super, &options);
        begin_string(strings, &status->mnt_opts);
        text_puts(strings, options.length > 0 ? text_string(&options) + 1 : "");
        end_string(strings);
    }
    if ((mask & STATMOUNT_SB_SOURCE) != 0) {
        begin_string(strings, &status->sb_source);
        text_puts(strings, mount->source);
        end_string(strings);
    }
}

static void fill_numbers(struct mount *mount, uint64_t mask, struct mount_status *status)
{
    const struct super *super = mount->super;
    unsigned flags = atomic_load(&mount->flags);
    if ((mask & STATMOUNT_SB_BASIC) != 0) {
        status->sb_dev_major = major(super->dev);
        status->sb_dev_minor = minor(super->dev);
        status->sb_magic = super->magic;
        status->sb_flags = flags & (MOUNT_READ_ONLY | MOUNT_SYNC | MOUNT_DIR_SYNC | MOUNT_LAZYTIME);
    }
    if ((mask & STATMOUNT_MNT_NS_ID) != 0) {
        status->mnt_ns_id = fs_context_namespace(current.fs);
    }
    if ((mask & STATMOUNT_MNT_BASIC) != 0) {
        const struct mount *parent = mount->parent ? mount->parent : mount;
        status->mnt_id = mount_unique_id(mount);
        status->mnt_parent_id = mount_unique_id(parent);
        status->mnt_id_old = (uint32_t)mount->id;
        status->mnt_parent_id_old = (uint32_t)parent->id;
        status->mnt_attr = mount_attributes_of(flags);
        status->mnt_propagation = mount->unbindable ? MS_UNBINDABLE : MS_PRIVATE;
    }
}

long sys_statmount(struct task *task, const struct syscall_args *args)
{
    struct mount_request request;
    struct mount_status status = {0};
    auto_text struct text strings = TEXT_INIT;
    const uint64_t known = STATMOUNT_MNT_NS_ID | STATMOUNT_SB_BASIC | STATMOUNT_MNT_BASIC |
                           STATMOUNT_PROPAGATE_FROM | STATMOUNT_STRINGS;
    (void)task;
    if (arg_uint(args, 3) != 0) {
        return -EINVAL;
    }
    int error = copy_in_request(arg_u64(args, 0), &request);
    if (error < 0) {
        return error;
    }
    struct mount *mount = mount_find_id(request.mount_id);
    if (!mount) {
        return -ENOENT;
    }
    if (!is_reachable(mount) && !capable(CAP_SYS_ADMIN)) {
        mount_unref(mount);
        return -EPERM;
    }
    fill_numbers(mount, request.parameter, &status);
    fill_strings(mount, request.parameter, &status, &strings);
    mount_unref(mount);
    if (strings.failed) {
        return -ENOMEM;
    }
    status.mask = request.parameter & known;
    status.size = (uint32_t)(sizeof(status) + strings.length);
    uint64_t size = arg_u64(args, 2), addr = arg_u64(args, 1);
    if (strings.length > 0 && size < status.size) {
        return -EOVERFLOW;
    }
    error = mm_copy_out(current.mm, addr, &status, min_of(size, (uint64_t)sizeof(status)));
    if (error == 0 && strings.length > 0) {
        error = mm_copy_out(current.mm, addr + sizeof(status), strings.data, strings.length);
    }
    return error;
}

struct id_list {
    struct path below;
    bool itself;
    uint64_t *ids;
    size_t count, capacity;
    bool failed;
};

static void collect(struct mount *mount, void *opaque)
{
    struct id_list *list = opaque;
    const struct mount *above = mount;
    const struct dentry *point = mount->root;
    while (above && above != list->below.mount) {
        point = above->point;
        above = above->parent;
    }
    /* Linux: is_path_reachable; the mount itself when all that the caller sees is asked for. */
    if (!above || (mount == above && !list->itself) ||
        !dentry_is_below((struct dentry *)(uintptr_t)point, list->below.dentry)) {
        return;
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity * 2 + 64;
        uint64_t *ids = realloc(list->ids, capacity * sizeof(*ids));
        if (!ids) {
            list->failed = true;
            return;
        }
        list->ids = ids;
        list->capacity = capacity;
    }
    list->ids[list->count++] = mount_unique_id(mount);
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* The numbers after `last`, in order, as many as wanted. */
static long put_ids(struct id_list *list, uint64_t last, bool reverse, uint64_t addr,
                    uint64_t wanted)
{
    size_t put = 0;
    if (list->count > 0) {
        qsort(list->ids, list->count, sizeof(*list->ids), compare_ids);
    }
    for (size_t i = 0; i < list->count && put < wanted; i++) {
        uint64_t id = list->ids[reverse ? list->count - 1 - i : i];
        if (last != 0 && (reverse ? id >= last : id <= last)) {
            continue;
        }
        if (copy_out(addr + put * sizeof(id), &id) < 0) {
            return -EFAULT;
        }
        put++;
    }
    return (long)put;
}

long sys_listmount(struct task *task, const struct syscall_args *args)
{
    struct mount_request request;
    uint64_t wanted = arg_u64(args, 2);
    unsigned flags = arg_uint(args, 3);
    auto_path struct path root = {0};
    (void)task;
    if ((flags & ~LIST_REVERSE) != 0) {
        return -EINVAL;
    }
    if (wanted > LIST_MAX) {
        return -EOVERFLOW;
    }
    if (!user_range_ok(arg_u64(args, 1), wanted * 8)) {
        return -EFAULT;
    }
    int error = copy_in_request(arg_u64(args, 0), &request);
    if (error < 0) {
        return error;
    }
    if (request.parameter != 0 && request.parameter < 1ULL << 31) {
        return -EINVAL; /* the numbers of old */
    }
    if (request.mount_id == 0 || (request.mount_id != LIST_ROOT && request.mount_id < 1ULL << 31)) {
        return -EINVAL;
    }
    fs_context_get_root(current.fs, &root);
    struct mount *below =
        request.mount_id == LIST_ROOT ? mount_ref(root.mount) : mount_find_id(request.mount_id);
    if (!below) {
        return -ENOENT;
    }
    if (!is_reachable(below) && !capable(CAP_SYS_ADMIN)) {
        mount_unref(below);
        return -EPERM;
    }
    struct id_list list = {.below = {below, below->root}};
    if (request.mount_id == LIST_ROOT) {
        list.below.dentry = root.dentry;
        list.itself = true;
    }
    mount_for_each(collect, &list);
    long result = list.failed ? -ENOMEM
                              : put_ids(&list, request.parameter, (flags & LIST_REVERSE) != 0,
                                        arg_u64(args, 1), wanted);
    free(list.ids);
    mount_unref(below);
    return result;
}
