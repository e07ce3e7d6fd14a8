/*
 * overlay_copy.c: how an inode gets attributes and data of its own.
 *
 * Attributes come first and cost nothing; data is copied at the first write, truncation or shared
 * writable mapping. Blocks of zeroes become holes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/overlay/internal.h"
#include "sentry/mm/uio.h"

#define COPY_CHUNK 65536

int overlay_load_attr(struct overlay_inode *node)
{
    struct inode *inode = &node->inode;
    mutex_assert_held(&inode->lock);
    if (atomic_load(&node->owned)) {
        return 0;
    }
    struct inode_attr attr;
    int result = inode_getattr(node->lower, &attr);
    if (result < 0) {
        return result;
    }
    inode_store(inode->mode, (inode->mode & S_IFMT) | (attr.mode & 07777));
    inode_store(inode->uid, attr.uid);
    inode_store(inode->gid, attr.gid);
    inode_store(inode->nlink, attr.nlink);
    inode_store(inode->size, attr.size);
    inode->blocks = attr.blocks;
    inode->atime = attr.atime;
    inode->mtime = attr.mtime;
    inode->ctime = attr.ctime;
    inode->btime = attr.btime;
    if (attr.nlink > 1 && !overlay_is_dir(node)) {
        overlay_keep_orphan(node);
    }
    atomic_store(&node->owned, true);
    return 0;
}

int overlay_own(struct overlay_inode *node)
{
    int result = overlay_pin(node);
    return result < 0 ? result : overlay_load_attr(node);
}

void overlay_update_size(struct overlay_inode *node)
{
    struct inode *data = atomic_load(&node->data);
    inode_store(node->inode.size, inode_load(data->size));
    node->inode.blocks = inode_load(data->blocks);
}

int overlay_new_data(struct overlay_super *super, struct inode **ret_data)
{
    struct inode *root = super->upper->root;
    mutex_lock_nested(&root->lock);
    int result = inode_tmpfile(root, S_IFREG | 0600, ret_data);
    mutex_unlock(&root->lock);
    return result;
}

static bool is_zero(const uint8_t *bytes, size_t length)
{
    return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

static int write_all(struct file *to, uint8_t *buffer, size_t length, uint64_t offset)
{
    struct uio uio;
    uio_init_kernel(&uio, buffer, length);
    while (uio.left > 0) {
        ssize_t count = layer_write(to, &uio, offset, 0);
        if (count <= 0) {
            return count < 0 ? (int)count : -EIO;
        }
        offset += (uint64_t)count;
    }
    return 0;
}

static int copy_bytes(struct file *from, struct file *to, uint64_t length, uint64_t *ret_copied)
{
    auto_free uint8_t *buffer = malloc(COPY_CHUNK);
    if (buffer == NULL) {
        return -ENOMEM;
    }
    uint64_t offset = 0;
    while (offset < length) {
        struct uio uio;
        uio_init_kernel(&uio, buffer, min_of(length - offset, (uint64_t)COPY_CHUNK));
        ssize_t count = layer_read(from, &uio, offset, 0);
        if (count < 0) {
            return (int)count;
        }
        if (count == 0) {
            break; /* shorter than its attributes said */
        }
        if (!is_zero(buffer, (size_t)count)) {
            int result = write_all(to, buffer, (size_t)count, offset);
            if (result < 0) {
                return result;
            }
        }
        offset += (uint64_t)count;
    }
    *ret_copied = offset;
    return 0;
}

static int copy_lower(struct overlay_inode *node, struct inode *data, uint64_t length)
{
    struct file *from = NULL;
    struct file *to = NULL;
    uint64_t copied = 0;
    int result = layer_open(node->lower, FILE_READ, &from);
    if (result == 0) {
        result = layer_open(data, FILE_READ | FILE_WRITE, &to);
    }
    if (result == 0) {
        result = copy_bytes(from, to, length, &copied);
    }
    if (result == 0 && inode_load(data->size) != copied) {
        result = layer_set_size(data, copied); /* a hole at the end */
    }
    if (from != NULL) {
        file_unref(from);
    }
    if (to != NULL) {
        file_unref(to);
    }
    return result;
}

int overlay_copy_data(struct overlay_inode *node, uint64_t length)
{
    int result = overlay_own(node);
    if (result < 0 || atomic_load(&node->data) != NULL) {
        return result;
    }
    struct inode *data;
    result = overlay_new_data(overlay_super_of(node), &data);
    if (result < 0) {
        return result;
    }
    if (node->lower != NULL && length > 0 && node->inode.size > 0) {
        result = copy_lower(node, data, min_of(length, node->inode.size));
    }
    if (result < 0) {
        inode_unref(data);
        return result;
    }
    atomic_store(&node->data, data);
    overlay_update_size(node);
    return 0;
}
