/*
 * device.h: character devices by number, and the contents of /dev.
 *
 * A device node anywhere in the tree opens through device_open (vfs_special.open_device). To add a
 * device: one row in the table of device.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"

struct file;
struct inode;

/* Registers device_open with the VFS. At boot. */
void device_init(void);
/* ENXIO: no such device. */
int device_open(struct inode *inode, uint64_t rdev, bool block, struct file *file) must_check;
/* Makes the nodes, links and directories of /dev in whatever writable file system is mounted there.
 * Called at boot as root with umask 0; names that exist are left alone. */
int device_populate(void) must_check;
