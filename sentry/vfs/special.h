/*
 * special.h: how opening a FIFO or a device node reaches its implementation.
 *
 * The hooks are set once at boot by their owners (pipes, dev); while NULL, opening gives ENXIO. A
 * hook fills file->ops and file->private_data, may set FILE_STREAM in file->mode, and may fail. The
 * file's mode, flags, cred, path and inode are set before. On failure the hook leaves ops NULL.
 *
 * Opens that block: a FIFO whose other end is missing is opened at once, as far as it can be, and
 * its ops->open_wait answers -EAGAIN until the peer came. vfs_open returns such a file; the system
 * call layer then waits: while (file_open_wait(file) == -EAGAIN) sleep on file_wait_queue(file);
 * when a signal comes first it drops the file, and release undoes what the hook did. With
 * O_NONBLOCK the hook itself answers: success for readers, ENXIO for writers without a reader.
 * Source: fifo(7).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"

struct file;
struct inode;

typedef int (*vfs_open_fifo_fn)(struct inode *inode, struct file *file);
/* block: a block device, else a character device; rdev as makedev(3). */
typedef int (*vfs_open_device_fn)(struct inode *inode, uint64_t rdev, bool block,
                                  struct file *file);
/* The last name and the last open file of a fifo or socket inode are gone; frees inode->bound. */
typedef void (*vfs_free_bound_fn)(struct inode *inode, void *bound);

struct vfs_special_hooks {
    vfs_open_fifo_fn open_fifo;
    vfs_open_device_fn open_device;
    /* The last reference of a file with epoll_links is going: epoll forgets it. */
    void (*file_gone)(struct file *file);
    /* The last reference of a file that sends signals (O_ASYNC) is going. */
    void (*async_gone)(struct file *file);
    /* A descriptor of a file with dir_watched was closed in the table `owner`; NULL: the last
     * reference is going. */
    void (*dnotify_flush)(struct file *file, const void *owner);
    vfs_free_bound_fn free_bound; /* called from inode_fini when inode->bound is set */
};
extern struct vfs_special_hooks vfs_special;
