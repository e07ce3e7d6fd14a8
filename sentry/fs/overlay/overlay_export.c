/*
 * overlay_export.c: writes changes into a host directory.
 *
 * Every host path is walked from the given descriptor one component at a time, without following
 * links, and every object is made new (O_EXCL): nothing outside or existing is touched whatever the
 * guest chose as names. Directories get their permissions when they are complete.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/text.h"
#include "sentry/fs/overlay/walk.h"
#include "sentry/mm/uio.h"

#define EXPORT_CHUNK 65536

struct exporter {
    struct overlay_visitor visitor;
    int dirfd;
    struct overlay_export_result *result;
    struct text deleted;
    char *parent; /* the path that parent_fd stands for; owned */
    int parent_fd;
    uint8_t *buffer;
};

/* Opens the directory path[0..length) beneath dirfd, making what is missing. */
static int open_directory(int dirfd, const char *path, size_t length)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t at = 0;
    while (fd >= 0 && at < length) {
        char name[256];
        const char *slash = memchr(path + at, '/', length - at);
        size_t count = slash != NULL ? (size_t)(slash - (path + at)) : length - at;
        if (count == 0 || count >= sizeof(name)) {
            close(fd);
            return -EINVAL;
        }
        memcpy(name, path + at, count);
        name[count] = 0;
        int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        int next = openat(fd, name, flags);
        if (next < 0 && errno == ENOENT && mkdirat(fd, name, 0755) == 0) {
            next = openat(fd, name, flags);
        }
        int error = errno;
        close(fd);
        errno = error;
        fd = next;
        at += count + 1;
    }
    return fd >= 0 ? fd : -errno;
}

static int open_parent(struct exporter *exporter, const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash != NULL ? (size_t)(slash - path) : 0;
    const char *name = slash != NULL ? slash + 1 : path;
    if (name[0] == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return -EINVAL;
    }
    *ret_name = name;
    if (exporter->parent_fd >= 0 && strlen(exporter->parent) == length &&
        memcmp(exporter->parent, path, length) == 0) {
        return 0;
    }
    char *parent = strndup(path, length);
    int fd = parent != NULL ? open_directory(exporter->dirfd, path, length) : -ENOMEM;
    if (fd < 0) {
        free(parent);
        return fd;
    }
    if (exporter->parent_fd >= 0) {
        close(exporter->parent_fd);
    }
    free(exporter->parent);
    exporter->parent = parent;
    exporter->parent_fd = fd;
    return 0;
}

static int write_at(int fd, const uint8_t *data, size_t length, uint64_t offset)
{
    while (length > 0) {
        ssize_t count = pwrite(fd, data, length, (off_t)offset);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return count < 0 ? -errno : -EIO;
        }
        data += count;
        length -= (size_t)count;
        offset += (uint64_t)count;
    }
    return 0;
}

static bool all_zero(const uint8_t *data, size_t length)
{
    return data[0] == 0 && memcmp(data, data + 1, length - 1) == 0;
}

static int copy_out(struct exporter *exporter, struct overlay_inode *node, int fd)
{
    struct file *file;
    int result = layer_open(&node->inode, FILE_READ, &file);
    if (result < 0) {
        return result;
    }
    uint64_t offset = 0;
    for (;;) {
        struct uio uio;
        uio_init_kernel(&uio, exporter->buffer, EXPORT_CHUNK);
        ssize_t count = layer_read(file, &uio, offset, 0);
        if (count <= 0) {
            result = (int)count;
            break;
        }
        if (!all_zero(exporter->buffer, (size_t)count)) {
            result = write_at(fd, exporter->buffer, (size_t)count, offset);
            if (result < 0) {
                break;
            }
        }
        offset += (uint64_t)count;
    }
    file_unref(file);
    if (result == 0 && ftruncate(fd, (off_t)offset) < 0) {
        result = -errno;
    }
    if (result == 0) {
        exporter->result->bytes += offset;
    }
    return result;
}

/* Permissions and modification time; setuid and setgid never leave the sandbox. */
static int set_attributes(int fd, const struct inode_attr *attr)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, attr->mtime};
    if (futimens(fd, times) < 0 ||
        fchmod(fd, attr->mode & (S_ISDIR(attr->mode) ? 01777 : 0777)) < 0) {
        return -errno;
    }
    return 0;
}

static int export_file(struct exporter *exporter, struct overlay_inode *node, const char *name,
                       const struct inode_attr *attr)
{
    int fd = openat(exporter->parent_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    0600);
    if (fd < 0) {
        return -errno;
    }
    int result = copy_out(exporter, node, fd);
    if (result == 0) {
        result = set_attributes(fd, attr);
    }
    if (close(fd) < 0 && result == 0) {
        result = -errno;
    }
    return result;
}

static int export_symlink(struct exporter *exporter, struct overlay_inode *node, const char *name)
{
    auto_text struct text target = TEXT_INIT;
    int result = inode_readlink(&node->inode, &target);
    if (result == 0 && symlinkat(text_string(&target), exporter->parent_fd, name) < 0) {
        result = -errno;
    }
    return result;
}

static int export_directory(struct exporter *exporter, const char *name)
{
    struct stat status;
    if (mkdirat(exporter->parent_fd, name, 0700) == 0) {
        return 0;
    }
    /* Made before as the parent of something else. */
    if (errno == EEXIST && fstatat(exporter->parent_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(status.st_mode)) {
        return 0;
    }
    return -EEXIST;
}

static int export_visit(struct overlay_visitor *visitor, char kind, unsigned char type,
                        const char *path, struct overlay_inode *node)
{
    struct exporter *exporter = container_of(visitor, struct exporter, visitor);
    struct inode_attr attr;
    const char *name;
    if (kind == 'D') {
        text_append(&exporter->deleted, path, strlen(path) + 1);
        exporter->result->deleted++;
        return exporter->deleted.failed ? -ENOMEM : 0;
    }
    if ((type != DT_REG && type != DT_DIR && type != DT_LNK) ||
        strcmp(path, OVERLAY_EXPORT_MANIFEST) == 0) {
        exporter->result->skipped++;
        return 0;
    }
    int result = open_parent(exporter, path, &name);
    if (result == 0) {
        result = inode_getattr(&node->inode, &attr);
    }
    if (result < 0) {
        return result;
    }
    if (type == DT_DIR) {
        result = export_directory(exporter, name);
    } else if (type == DT_LNK) {
        result = export_symlink(exporter, node, name);
    } else {
        result = export_file(exporter, node, name, &attr);
    }
    if (result == 0) {
        exporter->result->written++;
    }
    return result;
}

static int export_leave(struct overlay_visitor *visitor, const char *path,
                        struct overlay_inode *node)
{
    struct exporter *exporter = container_of(visitor, struct exporter, visitor);
    struct inode_attr attr;
    if (strcmp(path, OVERLAY_EXPORT_MANIFEST) == 0) {
        return 0;
    }
    int result = inode_getattr(&node->inode, &attr);
    int fd = result == 0 ? open_directory(exporter->dirfd, path, strlen(path)) : result;
    if (fd < 0) {
        return fd;
    }
    result = set_attributes(fd, &attr);
    close(fd);
    return result;
}

static int write_manifest(struct exporter *exporter)
{
    int fd = openat(exporter->dirfd, OVERLAY_EXPORT_MANIFEST,
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) {
        return -errno;
    }
    int result = write_at(fd, (const uint8_t *)exporter->deleted.data, exporter->deleted.length, 0);
    if (close(fd) < 0 && result == 0) {
        result = -errno;
    }
    return result;
}

int overlay_export(struct super *super, int dirfd, struct overlay_export_result *ret)
{
    struct overlay_export_result counts = {0};
    struct exporter exporter = {.visitor = {.visit = export_visit, .leave = export_leave},
                                .dirfd = dirfd,
                                .result = &counts,
                                .parent_fd = -1,
                                .buffer = malloc(EXPORT_CHUNK)};
    int result = exporter.buffer != NULL ? overlay_walk(super, &exporter.visitor) : -ENOMEM;
    if (result == 0 && exporter.deleted.length > 0) {
        result = write_manifest(&exporter);
    }
    if (exporter.parent_fd >= 0) {
        close(exporter.parent_fd);
    }
    counts.skipped += exporter.visitor.too_long;
    free(exporter.parent);
    free(exporter.buffer);
    text_fini(&exporter.deleted);
    *ret = counts;
    return result;
}
