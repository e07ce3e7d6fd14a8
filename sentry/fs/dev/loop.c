/*
 * loop.c: see loop.h. A device without a file has size 0. Its lock (RANK_OBJECT) is held only for
 * looking at or changing the binding, never over an operation on the file below.
 */
#include "sentry/fs/dev/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/hdreg.h>
#include <linux/loop.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/fd_table.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"

#define SECTOR 512

struct loop_device {
    struct mutex lock;    /* RANK_OBJECT; all below is under it */
    struct file *backing; /* reference; NULL: not bound */
    uint64_t capacity;    /* bytes, of whole sectors */
    struct loop_info64 info;
    unsigned openers, block_size, readahead;
    bool read_only;
    bool ending; /* detached, but the last close is still to come */
};

static struct loop_device devices[LOOP_COUNT];

void loop_init(void)
{
    for (unsigned i = 0; i < LOOP_COUNT; i++) {
        mutex_init(&devices[i].lock, RANK_OBJECT);
        devices[i].block_size = SECTOR;
        devices[i].readahead = 256;
    }
}

/* The file below with a reference, and where in it the device lies; NULL: not bound. */
static struct file *get_backing(struct loop_device *device, uint64_t *ret_capacity,
                                uint64_t *ret_offset)
{
    mutex_lock(&device->lock);
    bool bound = device->backing && !device->ending;
    struct file *backing = bound ? file_ref(device->backing) : NULL;
    *ret_capacity = device->capacity;
    *ret_offset = device->info.lo_offset;
    mutex_unlock(&device->lock);
    return backing;
}

static uint64_t file_size_of(struct file *file)
{
    struct inode_attr attr;
    return inode_getattr(file->inode, &attr) == 0 ? attr.size : 0;
}

/* How many bytes the device has over a file of that size. */
static uint64_t capacity_for(const struct loop_info64 *info, uint64_t size)
{
    uint64_t left = size > info->lo_offset ? size - info->lo_offset : 0;
    if (info->lo_sizelimit != 0) {
        left = min_of(left, (uint64_t)info->lo_sizelimit);
    }
    return left & ~(uint64_t)(SECTOR - 1);
}

static ssize_t loop_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    uint64_t capacity, start;
    (void)flags;
    struct file *backing = get_backing(file->private_data, &capacity, &start);
    if (!backing || offset >= capacity) {
        file_unref(backing);
        return 0;
    }
    uint64_t position = start + offset;
    uio_truncate(uio, min_of(uio->left, capacity - offset));
    ssize_t count = file_read(backing, uio, &position, 0);
    file_unref(backing);
    return count;
}

static ssize_t loop_write(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    struct loop_device *device = file->private_data;
    uint64_t capacity, start;
    (void)flags;
    struct file *backing = get_backing(device, &capacity, &start);
    if (!backing || offset >= capacity || device->read_only) {
        file_unref(backing);
        return backing && device->read_only ? -EPERM : -ENOSPC;
    }
    uint64_t position = start + offset;
    uio_truncate(uio, min_of(uio->left, capacity - offset));
    ssize_t count = file_write(backing, uio, &position, 0);
    file_unref(backing);
    return count;
}

static int64_t loop_seek(struct file *file, int64_t offset, int whence)
{
    uint64_t capacity, start;
    struct file *backing = get_backing(file->private_data, &capacity, &start);
    file_unref(backing);
    int64_t base = whence == SEEK_SET   ? 0
                   : whence == SEEK_CUR ? (int64_t)file->position
                   : whence == SEEK_END ? (int64_t)capacity
                                        : -1;
    if (base < 0 || offset > INT64_MAX - base || offset + base < 0 ||
        offset + base > (int64_t)capacity) {
        return -EINVAL;
    }
    file->position = (uint64_t)(base + offset);
    return base + offset;
}

static int loop_sync(struct file *file, bool data_only)
{
    uint64_t capacity, start;
    struct file *backing = get_backing(file->private_data, &capacity, &start);
    int error = backing ? file_sync(backing, data_only) : 0;
    file_unref(backing);
    return error == -EINVAL ? 0 : error;
}

/* --- binding --- */

/* The regular file of a descriptor, as the caller opened it. */
static int file_of(int fd, struct file **ret)
{
    struct file *file = fd_get_io(current_task()->fds, fd);
    if (!file) {
        return -EBADF;
    }
    if (!S_ISREG(file->inode->mode) || (file->mode & FILE_READ) == 0) {
        file_unref(file);
        return -EINVAL;
    }
    *ret = file;
    return 0;
}

static int bind_file(struct loop_device *device, const struct file *opened, int fd,
                     const struct loop_info64 *info, unsigned block_size)
{
    struct file *file;
    int error = file_of(fd, &file);
    if (error != 0) {
        return error;
    }
    uint64_t size = file_size_of(file);
    mutex_lock(&device->lock);
    if (device->backing) {
        mutex_unlock(&device->lock);
        file_unref(file);
        return -EBUSY;
    }
    device->backing = file;
    device->info = *info;
    device->block_size = block_size;
    device->read_only = (file->mode & FILE_WRITE) == 0 || (opened->mode & FILE_WRITE) == 0 ||
                        (info->lo_flags & LO_FLAGS_READ_ONLY) != 0;
    if (device->read_only) {
        device->info.lo_flags |= LO_FLAGS_READ_ONLY;
    }
    device->capacity = capacity_for(info, size);
    mutex_unlock(&device->lock);
    return 0;
}

/* Drops the binding; the caller gives back what is returned. The device is locked. */
static struct file *unbind_locked(struct loop_device *device)
{
    struct file *backing = device->backing;
    device->backing = NULL;
    device->capacity = 0;
    memset(&device->info, 0, sizeof(device->info));
    device->block_size = SECTOR;
    device->read_only = false;
    device->ending = false;
    return backing;
}

/* Linux: the last close unbinds; when nobody else has the device, nobody sees it any more until
 * then. */
static int loop_clear(struct loop_device *device)
{
    mutex_lock(&device->lock);
    int error = device->backing && !device->ending ? 0 : -ENXIO;
    if (error == 0) {
        device->info.lo_flags |= LO_FLAGS_AUTOCLEAR;
        device->ending = device->openers == 1;
    }
    mutex_unlock(&device->lock);
    return error;
}

static int set_status(struct loop_device *device, const struct loop_info64 *info)
{
    const uint32_t settable = LO_FLAGS_AUTOCLEAR | LO_FLAGS_PARTSCAN;
    uint64_t capacity, start;
    struct file *backing = get_backing(device, &capacity, &start);
    if (!backing) {
        return -ENXIO;
    }
    if (info->lo_encrypt_type != 0 || info->lo_encrypt_key_size > LO_KEY_SIZE) {
        file_unref(backing);
        return -EINVAL;
    }
    uint64_t size = file_size_of(backing);
    mutex_lock(&device->lock);
    uint32_t flags = device->info.lo_flags;
    device->info = *info;
    device->info.lo_flags = (flags & ~settable) | (info->lo_flags & settable);
    device->info.lo_file_name[LO_NAME_SIZE - 1] = '\0';
    device->capacity = capacity_for(info, size);
    mutex_unlock(&device->lock);
    file_unref(backing);
    return 0;
}

static int get_status(struct loop_device *device, struct loop_info64 *ret)
{
    struct inode_attr attr;
    uint64_t capacity, start;
    struct file *backing = get_backing(device, &capacity, &start);
    if (!backing) {
        return -ENXIO;
    }
    int error = inode_getattr(backing->inode, &attr);
    file_unref(backing);
    if (error != 0) {
        return error;
    }
    mutex_lock(&device->lock);
    *ret = device->info;
    mutex_unlock(&device->lock);
    ret->lo_number = (uint32_t)(device - devices);
    ret->lo_device = attr.dev;
    ret->lo_inode = attr.ino;
    ret->lo_rdevice = 0;
    ret->lo_encrypt_key_size = 0;
    return 0;
}

static void info_from_old(const struct loop_info *old, struct loop_info64 *ret)
{
    *ret = (struct loop_info64){.lo_offset = (uint64_t)(int64_t)old->lo_offset,
                                .lo_encrypt_type = (uint32_t)old->lo_encrypt_type,
                                .lo_encrypt_key_size = (uint32_t)old->lo_encrypt_key_size,
                                .lo_flags = (uint32_t)old->lo_flags};
    memcpy(ret->lo_file_name, old->lo_name, LO_NAME_SIZE);
}

static void info_to_old(const struct loop_info64 *info, struct loop_info *ret)
{
    *ret = (struct loop_info){.lo_number = (int)info->lo_number,
                              .lo_device = (__kernel_old_dev_t)info->lo_device,
                              .lo_inode = info->lo_inode,
                              .lo_offset = (int)info->lo_offset,
                              .lo_flags = (int)info->lo_flags};
    memcpy(ret->lo_name, info->lo_file_name, LO_NAME_SIZE);
}

static bool good_block_size(uint64_t size)
{
    return size >= SECTOR && size <= 4096 && (size & (size - 1)) == 0;
}

#define get_user(addr, object) (mm_copy_in(current.mm, (addr), (object), sizeof(*(object))))
#define put_user(addr, object) (mm_copy_out(current.mm, (addr), (object), sizeof(*(object))))

static long configure(struct loop_device *device, struct file *file, uint64_t argument)
{
    struct loop_config config;
    const uint32_t allowed =
        LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR | LO_FLAGS_PARTSCAN | LO_FLAGS_DIRECT_IO;
    if (get_user(argument, &config) < 0) {
        return -EFAULT;
    }
    unsigned block_size = config.block_size != 0 ? config.block_size : SECTOR;
    if (!good_block_size(block_size) || (config.info.lo_flags & ~allowed) != 0 ||
        config.info.lo_encrypt_type != 0) {
        return -EINVAL;
    }
    config.info.lo_file_name[LO_NAME_SIZE - 1] = '\0';
    return bind_file(device, file, (int)config.fd, &config.info, block_size);
}

static long change_file(struct loop_device *device, int fd)
{
    struct file *file;
    int error = file_of(fd, &file);
    if (error != 0) {
        return error;
    }
    uint64_t size = file_size_of(file);
    mutex_lock(&device->lock);
    struct file *old = device->backing;
    if (!old || device->ending) {
        error = -ENXIO;
    } else if (!device->read_only || capacity_for(&device->info, size) != device->capacity) {
        error = -EINVAL;
    } else {
        device->backing = file;
    }
    mutex_unlock(&device->lock);
    file_unref(error == 0 ? old : file);
    return error;
}

/* LOOP_SET_CAPACITY, LOOP_SET_BLOCK_SIZE, LOOP_SET_DIRECT_IO: of a bound device. */
static long change_binding(struct loop_device *device, unsigned command, uint64_t argument)
{
    uint64_t capacity, start;
    struct file *backing = get_backing(device, &capacity, &start);
    if (!backing) {
        return -ENXIO;
    }
    uint64_t size = file_size_of(backing);
    file_unref(backing);
    long error = 0;
    mutex_lock(&device->lock);
    if (command == LOOP_SET_CAPACITY) {
        device->capacity = capacity_for(&device->info, size);
    } else if (command == LOOP_SET_BLOCK_SIZE) {
        error = good_block_size(argument) ? 0 : -EINVAL;
        device->block_size = error == 0 ? (unsigned)argument : device->block_size;
    } else if (argument != 0 && device->info.lo_offset % SECTOR != 0) {
        error = -EINVAL;
    } else if (argument != 0) {
        device->info.lo_flags |= LO_FLAGS_DIRECT_IO;
    } else {
        device->info.lo_flags &= ~(uint32_t)LO_FLAGS_DIRECT_IO;
    }
    mutex_unlock(&device->lock);
    return error;
}

static long binding_ioctl(struct loop_device *device, struct file *file, unsigned command,
                          uint64_t argument)
{
    struct loop_info64 info = {0};
    struct loop_info old;
    long error;
    switch (command) {
    case LOOP_SET_FD:
        return bind_file(device, file, (int)argument, &info, SECTOR);
    case LOOP_CONFIGURE:
        return configure(device, file, argument);
    case LOOP_CHANGE_FD:
        return change_file(device, (int)argument);
    case LOOP_CLR_FD:
        return loop_clear(device);
    case LOOP_SET_STATUS:
        if (get_user(argument, &old) < 0) {
            return -EFAULT;
        }
        info_from_old(&old, &info);
        return set_status(device, &info);
    case LOOP_SET_STATUS64:
        return get_user(argument, &info) < 0 ? -EFAULT : set_status(device, &info);
    case LOOP_GET_STATUS:
        error = get_status(device, &info);
        info_to_old(&info, &old);
        return error < 0 ? error : put_user(argument, &old);
    case LOOP_GET_STATUS64:
        error = get_status(device, &info);
        return error < 0 ? error : put_user(argument, &info);
    default:
        return change_binding(device, command, argument);
    }
}

/* BLKDISCARD and BLKZEROOUT: bytes of the file below become zeroes. */
static long zero_range(struct loop_device *device, const struct file *file, uint64_t argument,
                       bool discard)
{
    uint64_t range[2], capacity, start;
    if ((file->mode & FILE_WRITE) == 0) {
        return -EBADF;
    }
    if (get_user(argument, &range) < 0) {
        return -EFAULT;
    }
    struct file *backing = get_backing(device, &capacity, &start);
    long error = -EINVAL;
    if (backing && (range[0] | range[1]) % SECTOR == 0 && range[1] != 0 && range[0] <= capacity &&
        range[1] <= capacity - range[0]) {
        int mode = FALLOC_FL_KEEP_SIZE | (discard ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
        error = file_allocate(backing, mode, start + range[0], range[1]);
        if (error == -EOPNOTSUPP && !discard) {
            error = file_allocate(backing, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
                                  start + range[0], range[1]);
        }
    }
    file_unref(backing);
    return error;
}

static long put_number(uint64_t argument, uint64_t value, size_t size)
{
    return mm_copy_out(current.mm, argument, &value, size);
}

static long block_ioctl(struct loop_device *device, struct file *file, unsigned command,
                        uint64_t argument)
{
    uint64_t capacity, start;
    int value;
    struct file *backing = get_backing(device, &capacity, &start);
    file_unref(backing);
    switch (command) {
    case BLKGETSIZE64:
        return put_number(argument, capacity, 8);
    case BLKGETSIZE:
        return put_number(argument, capacity / SECTOR, 8);
    case BLKSSZGET:
    case BLKPBSZGET:
    case BLKIOMIN:
        return put_number(argument, device->block_size, 4);
    case BLKBSZGET:
        return put_number(argument, 4096, 4);
    case BLKIOOPT:
    case BLKALIGNOFF:
    case BLKDISCARDZEROES:
        return put_number(argument, 0, 4);
    case BLKROTATIONAL:
        return put_number(argument, 0, 2);
    case BLKSECTGET:
        return put_number(argument, 2560, 2);
    case BLKROGET:
        return put_number(argument, device->read_only, 4);
    case BLKRAGET:
    case BLKFRAGET:
        return put_number(argument, device->readahead, 8);
    case BLKRASET:
    case BLKFRASET:
    case BLKROSET:
        if (!capable(CAP_SYS_ADMIN)) {
            return -EACCES;
        }
        if (command != BLKROSET) {
            device->readahead = (unsigned)argument;
            return 0;
        }
        if (get_user(argument, &value) < 0) {
            return -EFAULT;
        }
        device->read_only = value != 0;
        return 0;
    case BLKFLSBUF:
        return capable(CAP_SYS_ADMIN) ? loop_sync(file, false) : -EACCES;
    case BLKDISCARD:
    case BLKZEROOUT:
        return zero_range(device, file, argument, command == BLKDISCARD);
    case BLKRRPART:
        return capable(CAP_SYS_ADMIN) ? -EINVAL : -EACCES;
    default:
        return -ENOTTY;
    }
}

static long loop_ioctl(struct file *file, unsigned command, uint64_t argument)
{
    struct loop_device *device = file->private_data;
    switch (command) {
    case LOOP_SET_FD:
    case LOOP_CLR_FD:
    case LOOP_SET_STATUS:
    case LOOP_GET_STATUS:
    case LOOP_SET_STATUS64:
    case LOOP_GET_STATUS64:
    case LOOP_CHANGE_FD:
    case LOOP_SET_CAPACITY:
    case LOOP_SET_DIRECT_IO:
    case LOOP_SET_BLOCK_SIZE:
    case LOOP_CONFIGURE:
        return binding_ioctl(device, file, command, argument);
    default:
        return block_ioctl(device, file, command, argument);
    }
}

static void loop_release(struct file *file)
{
    struct loop_device *device = file->private_data;
    struct file *backing = NULL;
    mutex_lock(&device->lock);
    device->openers--;
    if (device->openers == 0 && (device->info.lo_flags & LO_FLAGS_AUTOCLEAR) != 0) {
        backing = unbind_locked(device);
    }
    mutex_unlock(&device->lock);
    file_unref(backing);
}

static const struct file_ops loop_file_ops = {
    .read = loop_read,
    .write = loop_write,
    .seek = loop_seek,
    .sync = loop_sync,
    .ioctl = loop_ioctl,
    .release = loop_release,
};

int loop_open(struct file *file, unsigned minor)
{
    if (minor >= LOOP_COUNT) {
        return -ENXIO;
    }
    struct loop_device *device = &devices[minor];
    mutex_lock(&device->lock);
    device->openers++;
    mutex_unlock(&device->lock);
    file->private_data = device;
    file->ops = &loop_file_ops;
    return 0;
}

struct loop_status loop_get_status(unsigned minor)
{
    struct loop_device *device = &devices[minor % LOOP_COUNT];
    mutex_lock(&device->lock);
    const uint32_t flags = device->info.lo_flags;
    const struct loop_status status = {.capacity = device->capacity,
                                       .offset = device->info.lo_offset,
                                       .size_limit = device->info.lo_sizelimit,
                                       .block_size = device->block_size,
                                       .bound = device->backing && !device->ending,
                                       .read_only = device->read_only,
                                       .auto_clear = (flags & LO_FLAGS_AUTOCLEAR) != 0,
                                       .scans = (flags & LO_FLAGS_PARTSCAN) != 0,
                                       .direct = (flags & LO_FLAGS_DIRECT_IO) != 0};
    mutex_unlock(&device->lock);
    return status;
}

void loop_show_file(unsigned minor, struct text *text)
{
    uint64_t capacity, start;
    struct file *backing = get_backing(&devices[minor % LOOP_COUNT], &capacity, &start);
    if (backing) {
        ignore_result(file_describe(backing, text));
        file_unref(backing);
    }
}

/* --- /dev/loop-control --- */

static long control_ioctl(struct file *file, unsigned command, uint64_t argument)
{
    (void)file;
    switch (command) {
    case LOOP_CTL_GET_FREE:
        for (unsigned i = 0; i < LOOP_COUNT; i++) {
            mutex_lock(&devices[i].lock);
            bool free_one = !devices[i].backing;
            mutex_unlock(&devices[i].lock);
            if (free_one) {
                return (long)i;
            }
        }
        return -ENOSPC; /* DIFFERS: Linux makes a further device */
    case LOOP_CTL_ADD:
        return argument < LOOP_COUNT ? -EEXIST : -EPERM;
    case LOOP_CTL_REMOVE:
        return argument < LOOP_COUNT ? -EBUSY : -ENODEV;
    default:
        return -ENOSYS;
    }
}

static const struct file_ops control_file_ops = {
    .ioctl = control_ioctl,
    .seek = file_seek_nothing,
};

int loop_open_control(struct file *file)
{
    file->ops = &control_file_ops;
    return 0;
}
