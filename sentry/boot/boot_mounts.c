/* boot_mounts.c: the guest's file tree, from the launcher's list. Runs as guest root with umask 0.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gofer/client/client.h"
#include "platform/base/text.h"
#include "platform/placement.h"
#include "sentry/boot/control.h"
#include "sentry/boot/internal.h"
#include "sentry/core/current.h"
#include "sentry/fs/dev/device.h"
#include "sentry/fs/dev/tty.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include "sentry/fs/mqueue/mqueue.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/fs/proc/proc.h"
#if __has_include("sentry/fs/sys/sys.h")
#include "sentry/fs/sys/sys.h"
#define HAVE_SYS 1
#endif
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/kernel/kernel.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/name_ops.h"

#define COW_MAX 64

static struct gofer_client *client;
static pid_t gofer_pid;
static int gofer_cpu = -1;

/* The overlays whose changes are reported; filled at boot only. */
static struct {
    struct super *super;
    const char *path;
} cow_mounts[COW_MAX];
static size_t cow_count;

static atomic_llong tmpfs_bytes;
static uint64_t tmpfs_limit;

static int charge_tmpfs(int64_t bytes)
{
    int64_t now = atomic_fetch_add(&tmpfs_bytes, bytes) + bytes;
    if (bytes > 0 && tmpfs_limit != SENTRY_NO_LIMIT && now > 0 && (uint64_t)now > tmpfs_limit) {
        atomic_fetch_sub(&tmpfs_bytes, bytes);
        boot_limit_hit("tmpfs", "the in-memory file systems are full", false);
        return -ENOSPC;
    }
    atomic_store(&kernel.tmpfs_bytes, now > 0 ? (uint64_t)now : 0);
    return 0;
}

/* Linux gives SIGBUS when a page cannot be had; here it is had, and found out. */
void boot_check_tmpfs(void)
{
    bool over = false;
    int64_t total = atomic_load(&tmpfs_bytes) + (int64_t)tmpfs_uncharged(&over);
    if (over || (tmpfs_limit != SENTRY_NO_LIMIT && total > 0 && (uint64_t)total > tmpfs_limit)) {
        boot_limit_hit("tmpfs", "mapped files grew beyond the in-memory file systems' limit", true);
    }
}

static struct super *devices; /* the first /dev; for good */

struct super *boot_devices(void)
{
    return devices;
}

static int new_tmpfs(uint64_t size, const struct sentry_mount *mount, struct super **ret_super)
{
    struct tmpfs_options options = {.max_bytes = size == SENTRY_NO_LIMIT ? 0 : size,
                                    .mode = mount->dir_mode,
                                    .uid = mount->uid,
                                    .gid = mount->gid};
    return tmpfs_new(&options, ret_super);
}

static int new_gofer(const struct sentry_config *config, const struct sentry_mount *mount,
                     bool *ret_read_only, struct super **ret_super)
{
    struct gofer_fs_options options = {.host_uid = config->uid,
                                       .guest_uid = config->uid,
                                       .host_gid = config->gid,
                                       .guest_gid = config->gid};
    struct super *lower = NULL;
    int result = gofer_fs_new(client, mount->gofer_index, &options, &lower, ret_read_only);
    if (result != 0 || mount->mode != SENTRY_MODE_COW) {
        *ret_super = lower;
        return result;
    }
    struct super *upper = NULL;
    struct tmpfs_options upper_options = {0};
    result = tmpfs_new(&upper_options, &upper);
    if (result == 0) {
        result = overlay_new(lower, upper, NULL, ret_super);
    }
    if (result == 0 && cow_count < COW_MAX) {
        cow_mounts[cow_count].super = *ret_super;
        cow_mounts[cow_count++].path = mount->path;
    }
    *ret_read_only = false;
    return result;
}

static int make_super(const struct sentry_config *config, const struct sentry_mount *mount,
                      unsigned *flags, struct super **ret_super)
{
    bool read_only = mount->mode == SENTRY_MODE_READ_ONLY;
    int result;
    switch (mount->kind) {
    case SENTRY_MOUNT_GOFER: {
        bool never_written = false;
        result = new_gofer(config, mount, &never_written, ret_super);
        *flags = (read_only ? MOUNT_READ_ONLY : 0U) | MOUNT_RELATIME;
        if (mount->mode != SENTRY_MODE_COW) {
            *flags |= MOUNT_NO_DEV; /* nodes that the guest makes in memory are devices of ours */
        }
        return result;
    }
    case SENTRY_MOUNT_TMPFS:
        *flags = (read_only ? MOUNT_READ_ONLY : 0U) | MOUNT_RELATIME;
        return new_tmpfs(mount->size, mount, ret_super);
    case SENTRY_MOUNT_FILE: {
        struct tmpfs_options options = {.mode = mount->dir_mode,
                                        .uid = mount->uid,
                                        .gid = mount->gid,
                                        .contents = mount->target};
        *flags = MOUNT_NO_SUID | MOUNT_NO_DEV | MOUNT_NO_EXEC | MOUNT_RELATIME;
        return tmpfs_new(&options, ret_super);
    }
    case SENTRY_MOUNT_DEV:
        *flags = MOUNT_NO_SUID | MOUNT_RELATIME;
        result = new_tmpfs(SENTRY_NO_LIMIT, mount, ret_super);
        if (result == 0 && devices == NULL) {
            devices = super_ref(*ret_super);
        }
        return result;
    case SENTRY_MOUNT_PROC:
        *flags = MOUNT_NO_SUID | MOUNT_NO_DEV | MOUNT_NO_EXEC | MOUNT_RELATIME;
        return proc_new(ret_super);
    case SENTRY_MOUNT_SYS:
        *flags = MOUNT_READ_ONLY | MOUNT_NO_SUID | MOUNT_NO_DEV | MOUNT_NO_EXEC | MOUNT_RELATIME;
#ifdef HAVE_SYS
        return sys_new(ret_super);
#else
        return new_tmpfs(0, mount, ret_super);
#endif
    case SENTRY_MOUNT_DEVPTS:
        *flags = MOUNT_NO_SUID | MOUNT_NO_EXEC | MOUNT_RELATIME;
        return devpts_new(ret_super);
    case SENTRY_MOUNT_MQUEUE:
        *flags = MOUNT_NO_SUID | MOUNT_NO_DEV | MOUNT_NO_EXEC | MOUNT_RELATIME;
        return mqueue_new(ret_super);
    default:
        return -EINVAL;
    }
}

/* Is the mount's source a directory? A gofer mount may be a single file. */
static bool super_is_directory(const struct super *super)
{
    return S_ISDIR(super->root->mode);
}

static const char *source_name(const struct sentry_mount *mount)
{
    switch (mount->kind) {
    case SENTRY_MOUNT_GOFER:
        return mount->target ? mount->target : "host";
    case SENTRY_MOUNT_PROC:
        return "proc";
    case SENTRY_MOUNT_SYS:
        return "sysfs";
    case SENTRY_MOUNT_DEVPTS:
        return "devpts";
    case SENTRY_MOUNT_MQUEUE:
        return "mqueue";
    default:
        return "tmpfs";
    }
}

static int make_directory(const struct sentry_mount *mount)
{
    int result = mount_make_point(mount->path, true);
    struct path path;
    if (result == 0) {
        result = path_walk(NULL, mount->path, WALK_FOLLOW, &path);
    }
    if (result != 0) {
        return result;
    }
    struct inode_attr attr = {.mode = mount->dir_mode, .uid = mount->uid, .gid = mount->gid};
    result = inode_setattr_unchecked(path_inode(&path), &attr,
                                     INODE_SET_MODE | INODE_SET_UID | INODE_SET_GID);
    path_unref(&path);
    return result;
}

static int make_symlink(const struct sentry_mount *mount)
{
    char parent[PATH_MAX_LENGTH];
    snprintf(parent, sizeof(parent), "%s", mount->path);
    char *slash = strrchr(parent, '/');
    if (slash && slash != parent) {
        *slash = '\0';
        int result = mount_make_point(parent, true);
        if (result != 0) {
            return result;
        }
    }
    int result = vfs_symlink(mount->target, NULL, mount->path);
    return result == -EEXIST ? 0 : result;
}

static int mount_first(struct super *super, const struct sentry_mount *mount, unsigned flags)
{
    struct path root;
    int result = mount_root(super, source_name(mount), flags, &root);
    if (result != 0) {
        return result;
    }
    struct fs_context *fs = fs_context_new(&root, &root, 0);
    path_unref(&root);
    current.fs = fs;
    return fs ? 0 : -ENOMEM;
}

static int mount_one(const struct sentry_config *config, size_t index)
{
    const struct sentry_mount *mount = &config->mounts[index];
    if (mount->kind == SENTRY_MOUNT_DIRECTORY) {
        return make_directory(mount);
    }
    if (mount->kind == SENTRY_MOUNT_SYMLINK) {
        return make_symlink(mount);
    }
    unsigned flags = 0;
    struct super *super = NULL;
    int result = make_super(config, mount, &flags, &super);
    if (result != 0) {
        return result;
    }
    if (index == 0) {
        return mount_first(super, mount, flags);
    }
    struct path point;
    if (mount->kind == SENTRY_MOUNT_FILE) {
        result = path_walk(NULL, mount->path, WALK_FOLLOW, &point);
        if (result != 0 || !S_ISREG(path_inode(&point)->mode)) {
            if (result == 0) {
                path_unref(&point);
            }
            super_unref(super);
            return 0;
        }
        result = mount_add(super, source_name(mount), flags, &point);
        path_unref(&point);
        return result;
    }
    result = mount_make_point(mount->path, super_is_directory(super));
    if (result == 0) {
        result = path_walk(NULL, mount->path, WALK_FOLLOW, &point);
    }
    if (result != 0) {
        super_unref(super);
        return result;
    }
    result = mount_add(super, source_name(mount), flags, &point);
    path_unref(&point);
    if (result == 0 && mount->kind == SENTRY_MOUNT_DEV) {
        result = device_populate();
    }
    return result;
}

/* The gofer works while the caller waits, so both share a CPU: waking it on another one costs ten
 * times as much. Under the client's lock. */
static void bring_gofer_near(void)
{
    placement_follow(gofer_pid, &gofer_cpu);
}

int boot_mounts(const struct sentry_config *config, char *text, size_t text_size)
{
    tmpfs_limit = config->limits.tmpfs;
    tmpfs_account.charge = charge_tmpfs;
    kernel_charge = charge_tmpfs;
    if (config->gofer_fd >= 0) {
        int result = gofer_client_new(config->gofer_fd, &client);
        if (result != 0) {
            snprintf(text, text_size, "cannot talk to the gofer: %s", strerror(-result));
            return result;
        }
        if (config->gofer_pid > 0) {
            gofer_pid = config->gofer_pid;
            gofer_client_on_send(client, bring_gofer_near);
        }
    }
    for (size_t i = 0; i < config->mount_count; i++) {
        int result = mount_one(config, i);
        if (result != 0) {
            snprintf(text, text_size, "cannot set up %s: %s", config->mounts[i].path,
                     strerror(-result));
            return result;
        }
    }
    mount_lock_all();
    return boot_filesystems();
}

bool boot_gofer_lost(void)
{
    return client && gofer_client_broken(client);
}

bool boot_has_changes(void)
{
    return cow_count > 0;
}

struct change_context {
    const struct sentry_config *config;
    struct super *super;
    const char *mount_path;
};

static const char *change_name(char kind)
{
    return kind == 'A' ? "added" : kind == 'D' ? "deleted" : "modified";
}

/* A read-only descriptor with the contents of a changed regular file, or -1. */
static int open_contents(const struct change_context *context, const char *guest_path)
{
    struct open_request request = {.flags = O_RDONLY | O_NOFOLLOW};
    struct file *file = NULL;
    struct mm_source source;
    int fd = -1;
    if (!context->config->change_contents || vfs_open(NULL, guest_path, &request, &file) != 0) {
        return -1;
    }
    if (S_ISREG(file->inode->mode) &&
        file_mmap(file, 0, 4096, PROT_READ, MAP_PRIVATE, &source) == 0 && source.fd >= 0) {
        fd = fcntl(source.fd, F_DUPFD_CLOEXEC, 0);
        if (fd >= 0 && lseek(fd, 0, SEEK_SET) != 0) {
            close(fd);
            fd = -1;
        }
    }
    file_unref(file);
    return fd;
}

static int send_change(const struct overlay_change *change, void *opaque)
{
    const struct change_context *context = opaque;
    struct control_message message = {.type = CONTROL_CHANGE};
    char path[PATH_MAX_LENGTH * 2];
    snprintf(message.name, sizeof(message.name), "%s", change_name(change->kind));
    int length =
        snprintf(path, sizeof(path) / 2, "%s/%s",
                 strcmp(context->mount_path, "/") == 0 ? "" : context->mount_path, change->path);
    if (length <= 0 || (size_t)length >= sizeof(path) / 2) {
        return 0;
    }
    size_t text_length = (size_t)length;
    int fd = -1;
    struct path object;
    if (change->kind != 'D' && path_walk(NULL, path, 0, &object) == 0) {
        struct inode_attr attr;
        if (inode_getattr(path_inode(&object), &attr) == 0) {
            message.change = (struct control_change){.mode = attr.mode,
                                                     .uid = attr.uid,
                                                     .gid = attr.gid,
                                                     .mtime_sec = attr.mtime.tv_sec,
                                                     .mtime_nsec = (uint32_t)attr.mtime.tv_nsec,
                                                     .size = attr.size};
        }
        auto_text struct text target = TEXT_INIT;
        if (S_ISLNK(message.change.mode) && vfs_readlink(&object, &target) == 0 &&
            target.length < PATH_MAX_LENGTH) {
            path[text_length++] = '\0';
            memcpy(path + text_length, text_string(&target), target.length);
            text_length += target.length;
        }
        path_unref(&object);
        if (S_ISREG(message.change.mode)) {
            fd = open_contents(context, path);
        }
    }
    int result = control_send(context->config->control_fd, &message, path, text_length, fd);
    if (fd >= 0) {
        close(fd);
    }
    return result;
}

void boot_send_changes(const struct sentry_config *config)
{
    for (size_t i = 0; i < cow_count; i++) {
        struct change_context context = {
            .config = config, .super = cow_mounts[i].super, .mount_path = cow_mounts[i].path};
        ignore_result(overlay_for_each_change(cow_mounts[i].super, send_change, &context));
    }
}
