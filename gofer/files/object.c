/*
 * object.c: what the answers share: attributes, walks, and opening objects for real.
 *
 * Only regular files and directories are ever opened for real. A regular file is opened by its name
 * beneath its parent's descriptor (O_NOFOLLOW, O_NONBLOCK) and then compared with the node's
 * identity before anything is done with it; when its name is gone, through our own /proc/self/fd
 * entry, which cannot lead elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "gofer/files/session.h"

/* File systems whose files are interfaces of the host kernel. */
static bool is_kernel_fs(long type)
{
    static const uint32_t types[] = {
        PROC_SUPER_MAGIC,
        SYSFS_MAGIC,
        DEBUGFS_MAGIC,
        TRACEFS_MAGIC,
        SECURITYFS_MAGIC,
        SELINUX_MAGIC,
        SMACK_MAGIC,
        CGROUP_SUPER_MAGIC,
        CGROUP2_SUPER_MAGIC,
        BPF_FS_MAGIC,
        PSTOREFS_MAGIC,
        EFIVARFS_MAGIC,
        DEVPTS_SUPER_MAGIC,
        NSFS_MAGIC,
        BINFMTFS_MAGIC,
        0x62656570 /* configfs */,
        0x65735543 /* fusectl */,
        0x19800202 /* mqueue */,
        0x187 /* autofs */,
        0x6c6f6f70 /* binderfs */,
        0x958458f6 /* hugetlbfs */,
        0x7461636f /* dlmfs, ocfs2 */,
        0x5346414f /* AFS, whose magic names */,
    };
    for (size_t i = 0; i < array_size(types); i++) {
        if ((uint32_t)type == types[i]) {
            return true;
        }
    }
    return false;
}

static int device_is_kernel(int dir_fd, const char *name, bool *ret_kernel)
{
    struct statfs statfs;
    int fd = dir_fd;
    if (*name) {
        int error = node_lookup_open(dir_fd, name, O_PATH, 0, &fd);
        if (error) {
            return error;
        }
    }
    int result = fstatfs(fd, &statfs) ? -errno : 0;
    if (fd != dir_fd) {
        close(fd);
    }
    if (!result) {
        *ret_kernel = is_kernel_fs(statfs.f_type);
    }
    return result;
}

int object_device(struct session *session, uint64_t dev, int dir_fd, const char *name,
                  uint32_t *ret_id)
{
    for (size_t i = 0; i < session->device_count; i++) {
        if (session->devices[i].dev == dev) {
            *ret_id = (uint32_t)i;
            return 0;
        }
    }
    if (session->device_count >= SESSION_DEVICES_MAX) {
        return -EOVERFLOW;
    }
    bool kernel_fs;
    int error = device_is_kernel(dir_fd, name, &kernel_fs);
    if (error) {
        return error;
    }
    struct session_device *devices =
        realloc(session->devices, (session->device_count + 1) * sizeof(devices[0]));
    if (!devices) {
        return -ENOMEM;
    }
    session->devices = devices;
    devices[session->device_count] = (struct session_device){.dev = dev, .kernel_fs = kernel_fs};
    *ret_id = (uint32_t)session->device_count++;
    return 0;
}

static struct gofer_time time_of(const struct statx_timestamp *time)
{
    return (struct gofer_time){.seconds = time->tv_sec, .nanoseconds = time->tv_nsec};
}

int object_attr(struct session *session, const struct statx *stat, int dir_fd, const char *name,
                const struct node_verdict *verdict, struct gofer_attr *ret_attr)
{
    uint32_t device;
    uint64_t dev = makedev(stat->stx_dev_major, stat->stx_dev_minor);
    int error = object_device(session, dev, dir_fd, name, &device);
    if (error) {
        return error;
    }
    *ret_attr = (struct gofer_attr){
        .ino = stat->stx_ino,
        .rdev = makedev(stat->stx_rdev_major, stat->stx_rdev_minor),
        .size = stat->stx_size,
        .blocks = stat->stx_blocks,
        .atime = time_of(&stat->stx_atime),
        .mtime = time_of(&stat->stx_mtime),
        .ctime = time_of(&stat->stx_ctime),
        .dev_id = device,
        .mode = stat->stx_mode,
        .nlink = stat->stx_nlink,
        .uid = stat->stx_uid,
        .gid = stat->stx_gid,
        .blksize = stat->stx_blksize,
        .access = verdict->access == GOFER_ACCESS_HIDE ? GOFER_ACCESS_DENY : verdict->access,
    };
    if (verdict->passage || session->devices[device].kernel_fs) {
        ret_attr->access = verdict->passage ? GOFER_ACCESS_READ : GOFER_ACCESS_DENY;
    }
    if (stat->stx_mask & STATX_BTIME) {
        ret_attr->btime = time_of(&stat->stx_btime);
    }
    return 0;
}

int object_attr_now(struct session *session, struct node *node, struct gofer_attr *ret_attr)
{
    struct node_verdict verdict;
    struct statx stat;
    int error = access_node(session, node, &verdict);
    if (!error) {
        error = nodes_stat(&session->nodes, node, &stat);
    }
    if (error) {
        return error;
    }
    /* The device of a known node is known: no descriptor is needed. */
    return object_attr(session, &stat, -1, "", &verdict, ret_attr);
}

int object_get(struct session *session, uint64_t fid, struct node **ret_node)
{
    struct node *node = nodes_get(&session->nodes, fid);
    if (!node) {
        return -EBADF;
    }
    *ret_node = node;
    return 0;
}

int object_get_dir(struct session *session, uint64_t fid, struct node **ret_node, int *ret_fd)
{
    struct node *node;
    int error = object_get(session, fid, &node);
    if (error) {
        return error;
    }
    if (node->type != S_IFDIR) {
        return -ENOTDIR;
    }
    error = access_require(session, node, ACCESS_USE);
    if (!error) {
        error = nodes_open(&session->nodes, node, ret_fd);
    }
    if (!error) {
        nodes_hold(&session->nodes, node);
        *ret_node = node;
    }
    return error;
}

void object_name(char *ret_name, const uint8_t *bytes, size_t length)
{
    memcpy(ret_name, bytes, length);
    ret_name[length] = '\0';
}

int object_walk(struct session *session, struct node *dir, const char *name, struct node **ret_node,
                struct gofer_attr *ret_attr)
{
    int dir_fd;
    struct node_verdict verdict;
    struct statx stat;
    if (dir->type != S_IFDIR) {
        return -ENOTDIR;
    }
    int error = access_require(session, dir, ACCESS_USE);
    if (!error) {
        error = nodes_open(&session->nodes, dir, &dir_fd);
    }
    if (!error) {
        error = node_lookup_stat(dir_fd, name, &stat);
    }
    if (!error) {
        error = access_name(session, dir, name, stat.stx_mode & S_IFMT, &verdict, NULL);
    }
    if (!error) {
        error = access_check(session, dir, name, &verdict, ACCESS_SEE);
    }
    if (!error) {
        error = object_attr(session, &stat, dir_fd, name, &verdict, ret_attr);
    }
    if (error) {
        return error;
    }
    return nodes_child(&session->nodes, dir, name, strlen(name), &stat, ret_node);
}

/* ---- real opens ---- */

static int open_by_name(struct session *session, struct node *node, int flags, int *ret_fd)
{
    int parent_fd;
    int fd;
    int error = nodes_open(&session->nodes, node->parent, &parent_fd);
    if (error) {
        return error;
    }
    uint64_t how = (uint64_t)(unsigned)flags | O_NONBLOCK | O_NOCTTY;
    error = node_lookup_open(parent_fd, node->key->name, how, 0, &fd);
    if (error) {
        return error == -ENOENT || error == -ELOOP ? -ESTALE : error;
    }
    struct statx stat;
    error = node_fd_stat(fd, &stat);
    if (!error && !node_is(node, &stat)) {
        error = -ESTALE;
    }
    if (error) {
        close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

static int open_by_proc(struct session *session, struct node *node, int flags, int *ret_fd)
{
    char number[16];
    if (session->proc_fd < 0 || node->fd < 0) {
        return -ESTALE;
    }
    snprintf(number, sizeof(number), "%d", node->fd);
    int fd = openat(session->proc_fd, number, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? -ESTALE : -errno;
    }
    *ret_fd = fd;
    return 0;
}

int object_open_real(struct session *session, struct node *node, int flags, int *ret_fd)
{
    if (node->type == S_IFDIR) {
        int fd;
        int error = nodes_open(&session->nodes, node, &fd);
        return error ? error : node_lookup_open(fd, ".", O_RDONLY | O_DIRECTORY, 0, ret_fd);
    }
    if (node->type != S_IFREG) {
        return node->type == S_IFLNK ? -ELOOP : -ENXIO;
    }
    if (node->key && node->attached) {
        return open_by_name(session, node, flags, ret_fd);
    }
    return open_by_proc(session, node, flags, ret_fd);
}

int object_open_any(struct session *session, struct node *node, int *ret_fd)
{
    int error = object_open_real(session, node, O_RDONLY, ret_fd);
    if (error == -EACCES && node->type == S_IFREG && session->any_writable) {
        error = object_open_real(session, node, O_WRONLY, ret_fd);
    }
    return error;
}

static void file_keep(struct session *session, struct node *node, bool writable, int fd)
{
    struct session_file *file = &session->files[session->next_file++ % SESSION_FILES];
    if (file->fid) {
        close(file->fd);
    }
    *file = (struct session_file){.fid = node->id, .writable = writable, .fd = fd};
}

int object_open_cached(struct session *session, struct node *node, bool writable, int *ret_fd)
{
    if (node->type != S_IFREG) {
        return node->type == S_IFDIR ? -EISDIR : -EINVAL;
    }
    for (size_t i = 0; i < SESSION_FILES; i++) {
        struct session_file *file = &session->files[i];
        if (file->fid == node->id && file->writable == writable) {
            *ret_fd = file->fd;
            return 0;
        }
    }
    int fd;
    int error = object_open_real(session, node, writable ? O_WRONLY : O_RDONLY, &fd);
    if (error) {
        return error;
    }
    file_keep(session, node, writable, fd);
    *ret_fd = fd;
    return 0;
}

void object_keep(struct session *session, struct node *node, int fd)
{
    file_keep(session, node, true, fd);
}

void object_forget(struct session *session, struct node *node)
{
    for (size_t i = 0; i < SESSION_FILES; i++) {
        if (session->files[i].fid == node->id) {
            close(session->files[i].fd);
            session->files[i].fid = 0;
        }
    }
    for (size_t i = 0; i < SESSION_STREAMS; i++) {
        if (session->streams[i].fid == node->id) {
            close(session->streams[i].fd);
            session->streams[i].fid = 0;
        }
    }
}

int object_resize(struct session *session, struct node *node, int fd, uint64_t size)
{
    struct node_verdict verdict;
    struct statx stat;
    if (size > INT64_MAX) {
        return -EINVAL;
    }
    int error = access_node(session, node, &verdict);
    if (!error) {
        error = node_fd_stat(fd, &stat);
    }
    if (error) {
        return error;
    }
    uint64_t growth = size > stat.stx_size ? size - stat.stx_size : 0;
    error = quota_take_bytes(session, verdict.quotas, growth);
    if (error) {
        return error;
    }
    if (ftruncate(fd, (off_t)size)) {
        error = -errno;
        quota_give_bytes(session, verdict.quotas, growth);
        return error;
    }
    if (size < stat.stx_size) {
        quota_give_bytes(session, verdict.quotas, stat.stx_size - size);
    }
    return 0;
}

static int open_refusal(const struct node *node)
{
    switch (node->type) {
    case S_IFREG:
        return 0;
    case S_IFDIR:
        return -EISDIR;
    case S_IFLNK:
        return -ELOOP;
    default:
        return -ENXIO;
    }
}

/* Under a byte quota: the client reads by descriptor and writes by message. */
static int open_counted(struct session *session, struct node *node, int flags,
                        struct answer *answer, uint32_t *ret_result)
{
    int fd;
    int error = object_open_cached(session, node, true, &fd);
    if (!error && (flags & O_TRUNC)) {
        error = object_resize(session, node, fd, 0);
    }
    if (error) {
        return error;
    }
    if ((flags & O_ACCMODE) == O_RDWR &&
        object_open_real(session, node, O_RDONLY | (flags & O_NOATIME), &fd) == 0) {
        answer->fd = fd;
    }
    *ret_result = GOFER_OPEN_WRITE_MESSAGE;
    return 0;
}

int object_open(struct session *session, struct node *node, uint32_t flags, struct answer *answer,
                uint32_t *ret_result)
{
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
    if ((flags & ~SESSION_OPEN_FLAGS) || (flags & O_ACCMODE) == O_ACCMODE) {
        return -EINVAL;
    }
    struct node_verdict verdict;
    int error = access_node(session, node, &verdict);
    if (!error) {
        error = access_check(session, node, NULL, &verdict, writes ? ACCESS_WRITE : ACCESS_USE);
    }
    if (!error) {
        error = open_refusal(node);
    }
    if (error) {
        return error;
    }
    if (writes && quota_limits_bytes(session, verdict.quotas)) {
        return open_counted(session, node, (int)flags, answer, ret_result);
    }
    int fd;
    error = object_open_real(session, node, (int)(flags & ~(uint32_t)O_TRUNC), &fd);
    if (!error && (flags & O_TRUNC)) {
        int write_fd = fd;
        if ((flags & O_ACCMODE) == O_RDONLY) {
            error = object_open_cached(session, node, true, &write_fd);
        }
        if (!error) {
            error = object_resize(session, node, write_fd, 0);
        }
        if (error) {
            close(fd);
        }
    }
    if (error) {
        return error;
    }
    answer->fd = fd;
    *ret_result = GOFER_OPEN_FD;
    return 0;
}
