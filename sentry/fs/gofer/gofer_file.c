/*
 * gofer_file.c: open host files and directories. Data moves through the donated descriptor without
 * a message; files under a byte quota are written by message.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sentry/fs/gofer/internal.h"
#include "sentry/mm/uio.h"

static struct gofer_host_fd *fd_of(struct file *file)
{
    return file->private_data;
}

/* Size and times as the host has them now; other programs may write the file, too. */
static void update_from_fd(struct gofer_node *node, int fd)
{
    struct stat status;
    if (fd >= 0 && syscall(SYS_fstat, fd, &status) == 0) {
        inode_store(node->inode.size, (uint64_t)status.st_size);
        node->inode.blocks = (uint64_t)status.st_blocks;
        node->inode.mtime = status.st_mtim;
        node->inode.ctime = status.st_ctim;
    }
}

static ssize_t read_by_message(struct gofer_node *node, struct uio *uio, uint64_t offset)
{
    uint64_t fid;
    size_t size = min_of(uio->left, (uint64_t)GOFER_DATA_MAX);
    auto_free uint8_t *buffer = malloc(size);
    if (buffer == NULL) {
        return -ENOMEM;
    }
    int result = gofer_node_fid(node, &fid);
    if (result < 0) {
        return result;
    }
    ssize_t count = gofer_read(gofer_super_of(node)->client, fid, buffer, size, offset);
    return count <= 0 ? count : uio_put(uio, buffer, (size_t)count);
}

static ssize_t gofer_file_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    struct gofer_host_fd *host_fd = fd_of(file);
    (void)flags;
    if (host_fd->fd < 0) {
        return read_by_message(gofer_node_of(file->inode), uio, offset);
    }
    return uio_read_host(uio, host_fd->fd, (int64_t)offset);
}

static ssize_t write_by_message(struct file *file, struct uio *uio, uint64_t offset)
{
    struct gofer_node *node = gofer_node_of(file->inode);
    auto_free uint8_t *buffer = malloc(GOFER_DATA_MAX);
    uint64_t fid;
    ssize_t total = 0;
    if (buffer == NULL) {
        return -ENOMEM;
    }
    int result = gofer_node_fid(node, &fid);
    bool append = (atomic_load(&file->flags) & O_APPEND) != 0;
    while (result == 0 && uio->left > 0) {
        uint64_t size;
        ssize_t got = uio_get(uio, buffer, min_of(uio->left, (uint64_t)GOFER_DATA_MAX));
        if (got <= 0) {
            result = (int)got;
            break;
        }
        ssize_t count = gofer_write(gofer_super_of(node)->client, fid, buffer, (size_t)got, offset,
                                    append ? GOFER_WRITE_APPEND : 0, &size);
        if (count < 0) {
            uio_rewind(uio, (uint64_t)got);
            result = (int)count;
            break;
        }
        inode_store(file->inode->size, size);
        total += count;
        offset += (uint64_t)count;
        if (count < got) {
            uio_rewind(uio, (uint64_t)(got - count));
            break;
        }
    }
    return total > 0 ? total : result;
}

static ssize_t gofer_file_write(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    struct gofer_node *node = gofer_node_of(file->inode);
    struct gofer_host_fd *host_fd = fd_of(file);
    ssize_t count;
    (void)flags;
    if (host_fd->by_message) {
        count = write_by_message(file, uio, offset);
    } else {
        if ((atomic_load(&file->flags) & O_APPEND) != 0) {
            update_from_fd(node, host_fd->fd); /* the end may have moved outside */
            offset = file->inode->size;
        }
        count = uio_write_host(uio, host_fd->fd, (int64_t)offset);
        if (count > 0) {
            update_from_fd(node, host_fd->fd);
        }
    }
    if (count > 0) {
        gofer_node_expire(node);
    }
    return count;
}

static int gofer_file_mmap(struct file *file, uint64_t offset, uint64_t length, int prot, int flags,
                           struct mm_source *ret_source)
{
    struct gofer_host_fd *host_fd = fd_of(file);
    bool shared = (flags & MAP_TYPE) != MAP_PRIVATE;
    (void)length;
    if (host_fd->fd < 0 || (shared && (prot & PROT_WRITE) != 0 && !host_fd->writable)) {
        return -ENODEV;
    }
    if (shared && (file->mode & FILE_WRITE) != 0) {
        gofer_node_expire(gofer_node_of(file->inode)); /* times change behind our back */
    }
    *ret_source = (struct mm_source){.fd = host_fd->fd, .offset = offset};
    return 0;
}

static int gofer_file_sync(struct file *file, bool data_only)
{
    struct gofer_node *node = gofer_node_of(file->inode);
    uint64_t fid;
    int result = gofer_node_fid(node, &fid);
    return result < 0 ? result : gofer_fsync(gofer_super_of(node)->client, fid, data_only);
}

static int gofer_file_allocate(struct file *file, int mode, uint64_t offset, uint64_t length)
{
    struct gofer_node *node = gofer_node_of(file->inode);
    struct gofer_attr attr;
    uint64_t fid;
    int result = gofer_node_fid(node, &fid);
    if (result == 0) {
        result = gofer_allocate(gofer_super_of(node)->client, fid, (uint32_t)mode, offset, length,
                                &attr);
    }
    if (result == 0) {
        gofer_node_update_locked(node, &attr);
    }
    return result;
}

static void gofer_file_release(struct file *file)
{
    if (file->private_data != NULL) {
        gofer_fd_put(fd_of(file));
    }
}

static const struct file_ops gofer_file_ops = {
    .read = gofer_file_read,
    .write = gofer_file_write,
    .mmap = gofer_file_mmap,
    .sync = gofer_file_sync,
    .allocate = gofer_file_allocate,
    .release = gofer_file_release,
};

int gofer_fs_open(struct inode *inode, struct file *file)
{
    struct gofer_node *node = gofer_node_of(inode);
    if (S_ISDIR(inode_load(inode->mode))) {
        file->ops = &gofer_fs_dir_file_ops;
        file->private_data = NULL;
        return 0;
    }
    if (!S_ISREG(inode_load(inode->mode))) {
        return -ENXIO;
    }
    struct gofer_host_fd *host_fd;
    int result = gofer_fd_get(node, (file->mode & FILE_WRITE) != 0, &host_fd);
    if (result < 0) {
        return result;
    }
    file->private_data = host_fd;
    file->ops = &gofer_file_ops;
    return 0;
}

/* The listing of an open directory: the cached one, or one taken when reading starts. */
static int dir_names(struct gofer_node *dir, struct gofer_names **ret)
{
    bool cached = gofer_super_of(dir)->exclusive;
    struct gofer_names *names = cached ? gofer_names_cached(dir) : NULL;
    if (names != NULL) {
        *ret = names;
        return 0;
    }
    int result = gofer_names_fetch(dir, 0, &names);
    if (result < 0) {
        return result;
    }
    if (cached && names->count <= GOFER_NAMES_MAX) {
        gofer_names_keep(dir, names);
    }
    *ret = names;
    return 0;
}

static int gofer_dir_readdir(struct file *file, struct dir_sink *sink, uint64_t *pos)
{
    struct gofer_node *dir = gofer_node_of(file->inode);
    struct gofer_super *super = gofer_super_of(dir);
    struct gofer_names *names = file->private_data;
    if (*pos == 0 || names == NULL) {
        struct gofer_names *fresh;
        int result = dir_names(dir, &fresh);
        if (result < 0) {
            return result;
        }
        gofer_names_unref(names);
        file->private_data = names = fresh;
    }
    if (*pos == 0) {
        if (!sink->emit(sink, ".", 1, dir->inode.ino, DT_DIR, 1)) {
            return 0;
        }
        *pos = 1;
    }
    if (*pos == 1) {
        if (!sink->emit(sink, "..", 2, gofer_node_parent_ino(dir), DT_DIR, 2)) {
            return 0;
        }
        *pos = 2;
    }
    while (*pos - 2 < names->count) {
        const struct gofer_name *name = &names->entries[*pos - 2];
        if (!sink->emit(sink, names->text + name->name, name->length, gofer_ino(super, &name->attr),
                        (unsigned char)IFTODT(name->attr.mode), *pos + 1)) {
            return 0;
        }
        (*pos)++;
    }
    return 0;
}

static void gofer_dir_release(struct file *file)
{
    gofer_names_unref(file->private_data);
}

const struct file_ops gofer_fs_dir_file_ops = {
    .readdir = gofer_dir_readdir,
    .sync = gofer_file_sync,
    .release = gofer_dir_release,
};
