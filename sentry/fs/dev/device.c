/*
 * device.c: the table of devices, and /dev. Numbers: Linux admin-guide/devices.txt.
 */
#include "sentry/fs/dev/device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sentry/fs/dev/loop.h"
#include "sentry/fs/dev/memory_devices.h"
#include "sentry/fs/dev/tty.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/path.h"
#include "sentry/vfs/special.h"

struct device {
    unsigned major, minor;
    const struct file_ops *ops; /* used when open is NULL */
    int (*open)(struct file *file) must_check;
    bool stream;
    const char *name; /* in /dev; NULL: no node there */
    uint32_t mode;
};

static const struct device devices[] = {
    {1, 3, &null_file_ops, NULL, false, "null", 0666},
    {1, 5, &zero_file_ops, NULL, false, "zero", 0666},
    {1, 7, &full_file_ops, NULL, false, "full", 0666},
    {1, 8, &random_file_ops, NULL, false, "random", 0666},
    {1, 9, &random_file_ops, NULL, false, "urandom", 0666},
    {5, 0, NULL, tty_open_current, true, "tty", 0666},
    {5, 1, NULL, tty_open_console, true, "console", 0600},
    {5, 2, NULL, pty_open_master, true, NULL, 0666},
    {10, LOOP_CONTROL_MINOR, NULL, loop_open_control, false, "loop-control", 0660},
};

static const char *const links[][2] = {
    {"/dev/fd", "/proc/self/fd"},       {"/dev/stdin", "/proc/self/fd/0"},
    {"/dev/stdout", "/proc/self/fd/1"}, {"/dev/stderr", "/proc/self/fd/2"},
    {"/dev/ptmx", "pts/ptmx"},
};

int device_open(struct inode *inode, uint64_t rdev, bool block, struct file *file)
{
    (void)inode;
    if (block) {
        return major(rdev) == LOOP_MAJOR_NUMBER ? loop_open(file, minor(rdev)) : -ENXIO;
    }
    for (size_t i = 0; i < array_size(devices); i++) {
        const struct device *device = &devices[i];
        if (device->major != major(rdev) || device->minor != minor(rdev)) {
            continue;
        }
        if (device->stream) {
            file->mode |= FILE_STREAM;
        }
        if (device->open) {
            return device->open(file);
        }
        file->ops = device->ops;
        return 0;
    }
    if (major(rdev) == PTY_SLAVE_MAJOR) {
        file->mode |= FILE_STREAM;
        return pty_open_slave(file, minor(rdev));
    }
    return -ENXIO;
}

void device_init(void)
{
    vfs_special.open_device = device_open;
    loop_init();
}

int device_populate(void)
{
    int result;
    for (size_t i = 0; i < array_size(devices); i++) {
        const struct device *device = &devices[i];
        char path[64];
        if (!device->name) {
            continue;
        }
        snprintf(path, sizeof(path), "/dev/%s", device->name);
        result =
            vfs_mknod(NULL, path, S_IFCHR | device->mode, makedev(device->major, device->minor));
        if (result != 0 && result != -EEXIST) {
            return result;
        }
    }
    for (unsigned i = 0; i < LOOP_COUNT; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/dev/loop%u", i);
        result = vfs_mknod(NULL, path, S_IFBLK | 0660, makedev(LOOP_MAJOR_NUMBER, i));
        if (result != 0 && result != -EEXIST) {
            return result;
        }
    }
    for (size_t i = 0; i < array_size(links); i++) {
        result = vfs_symlink(links[i][1], NULL, links[i][0]);
        if (result != 0 && result != -EEXIST) {
            return result;
        }
    }
    result = vfs_mkdir(NULL, "/dev/pts", 0755);
    if (result != 0 && result != -EEXIST) {
        return result;
    }
    result = vfs_mkdir(NULL, "/dev/shm", 01777);
    return result == -EEXIST ? 0 : result;
}
