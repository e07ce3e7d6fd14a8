/* memory_devices.c: the devices without state. */
#include "sentry/fs/dev/memory_devices.h"

#include <errno.h>
#include <linux/random.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "sentry/core/current.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/file.h"

static ssize_t null_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)file;
    (void)uio;
    (void)offset;
    (void)flags;
    return 0;
}

/* Linux: the bytes are never looked at, so a bad address is no error. */
static ssize_t null_write(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)file;
    (void)offset;
    (void)flags;
    ssize_t count = (ssize_t)uio->left;
    uio_truncate(uio, 0);
    return count;
}

static int64_t null_seek(struct file *file, int64_t offset, int whence)
{
    (void)file;
    (void)offset;
    (void)whence;
    return 0;
}

static ssize_t zero_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)file;
    (void)offset;
    (void)flags;
    return uio->left == 0 ? 0 : uio_put_zero(uio, uio->left);
}

/* DIFFERS: a shared mapping of /dev/zero is refused; Linux gives shared anonymous memory. */
static int zero_mmap(struct file *file, uint64_t offset, uint64_t length, int prot, int flags,
                     struct mm_source *ret_source)
{
    (void)file;
    (void)offset;
    (void)length;
    (void)prot;
    (void)flags;
    *ret_source = (struct mm_source){.fd = -1, .anonymous = true};
    return 0;
}

static ssize_t full_write(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)file;
    (void)uio;
    (void)offset;
    (void)flags;
    return -ENOSPC;
}

static ssize_t random_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)file;
    (void)offset;
    (void)flags;
    ssize_t done = 0;
    while (uio->left > 0) {
        char buffer[4096];
        ssize_t count = getrandom(buffer, min_of(uio->left, (uint64_t)sizeof(buffer)), 0);
        if (count < 0) {
            if (errno == EINTR) {
                continue;
            }
            return done > 0 ? done : -errno;
        }
        ssize_t put = uio_put(uio, buffer, (size_t)count);
        if (put < 0) {
            return done > 0 ? done : put;
        }
        done += put;
        if (put < count) {
            break;
        }
    }
    return done;
}

static ssize_t random_write(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    return null_write(file, uio, offset, flags);
}

static long random_ioctl(struct file *file, unsigned command, uint64_t argument)
{
    (void)file;
    if (command != RNDGETENTCNT) {
        return -ENOTTY;
    }
    int bits = 256;
    struct uio uio;
    uio_init_guest(&uio, current.mm, argument, sizeof(bits));
    ssize_t put = uio_put(&uio, &bits, sizeof(bits));
    return put == sizeof(bits) ? 0 : -EFAULT;
}

const struct file_ops null_file_ops = {.read = null_read, .write = null_write, .seek = null_seek};
const struct file_ops zero_file_ops = {
    .read = zero_read, .write = null_write, .seek = null_seek, .mmap = zero_mmap};
const struct file_ops full_file_ops = {.read = zero_read, .write = full_write, .seek = null_seek};
const struct file_ops random_file_ops = {
    .read = random_read, .write = random_write, .seek = null_seek, .ioctl = random_ioctl};
