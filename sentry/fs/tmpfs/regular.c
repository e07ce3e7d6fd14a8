/* regular.c: open regular files of tmpfs, and the seals of memfds. Linux: mm/shmem.c, mm/memfd.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sentry/fs/tmpfs/tmpfs_inode.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/file.h"

#define SEAL_SEAL         0x01U
#define SEAL_SHRINK       0x02U
#define SEAL_GROW         0x04U
#define SEAL_WRITE        0x08U
#define SEAL_FUTURE_WRITE 0x10U
#define SEAL_EXEC         0x20U
#define SEAL_ALL          0x3fU

static unsigned seals_of(struct file *file)
{
    return atomic_load(&tmpfs_inode(file->inode)->seals);
}

int tmpfs_check_resize(struct tmpfs_inode *ti, uint64_t size)
{
    unsigned seals = atomic_load(&ti->seals);
    if ((size < ti->inode.size && (seals & SEAL_SHRINK) != 0) ||
        (size > ti->inode.size && (seals & SEAL_GROW) != 0)) {
        return -EPERM;
    }
    return 0;
}

static ssize_t regular_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)flags;
    return tmpfs_content_read(tmpfs_inode(file->inode), uio, offset);
}

static ssize_t regular_write(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)flags;
    unsigned seals = seals_of(file);
    if ((seals & (SEAL_WRITE | SEAL_FUTURE_WRITE)) != 0) {
        return -EPERM;
    }
    if ((seals & SEAL_GROW) != 0 && offset + uio->left > file->inode->size) {
        return -EPERM;
    }
    return tmpfs_content_write(tmpfs_inode(file->inode), uio, offset);
}

static int64_t regular_seek(struct file *file, int64_t offset, int whence)
{
    struct inode *inode = file->inode;
    int64_t base = 0, result;
    if (whence == SEEK_DATA || whence == SEEK_HOLE) {
        mutex_lock_nested(&inode->lock);
        result = tmpfs_content_seek(tmpfs_inode(inode), offset, whence);
        mutex_unlock(&inode->lock);
        return result;
    }
    if (whence == SEEK_CUR) {
        base = (int64_t)file->position;
    } else if (whence == SEEK_END) {
        base = (int64_t)inode_load(inode->size);
    }
    if (__builtin_add_overflow(base, offset, &result)) {
        return -EOVERFLOW;
    }
    return result < 0 ? -EINVAL : result;
}

static int regular_mmap(struct file *file, uint64_t offset, uint64_t length, int prot, int flags,
                        struct mm_source *ret_source)
{
    (void)length;
    struct inode *inode = file->inode;
    bool shared_write = (flags & MAP_TYPE) != MAP_PRIVATE && (prot & PROT_WRITE) != 0;
    if (shared_write && (seals_of(file) & (SEAL_WRITE | SEAL_FUTURE_WRITE)) != 0) {
        return -EPERM;
    }
    mutex_lock_nested(&inode->lock);
    int fd = tmpfs_content_fd(tmpfs_inode(inode));
    if (fd >= 0) {
        tmpfs_mapped_add(tmpfs_inode(inode));
    }
    mutex_unlock(&inode->lock);
    if (fd < 0) {
        return fd;
    }
    *ret_source = (struct mm_source){
        .fd = fd,
        .offset = offset,
        .never_write = (seals_of(file) & (SEAL_WRITE | SEAL_FUTURE_WRITE)) != 0,
    };
    return 0;
}

static int regular_sync(struct file *file, bool data_only)
{
    (void)file;
    (void)data_only;
    return 0;
}

static int regular_allocate(struct file *file, int mode, uint64_t offset, uint64_t length)
{
    unsigned seals = seals_of(file);
    /* Linux: shmem_fallocate knows these only. */
    if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) != 0) {
        return -EOPNOTSUPP;
    }
    if ((mode & FALLOC_FL_PUNCH_HOLE) != 0) {
        if ((seals & (SEAL_WRITE | SEAL_FUTURE_WRITE)) != 0) {
            return -EPERM;
        }
    } else if ((mode & FALLOC_FL_KEEP_SIZE) == 0 && (seals & SEAL_GROW) != 0 &&
               offset + length > file->inode->size) {
        return -EPERM;
    }
    return tmpfs_content_allocate(tmpfs_inode(file->inode), mode, offset, length);
}

static int regular_add_seals(struct file *file, unsigned seals)
{
    struct tmpfs_inode *ti = tmpfs_inode(file->inode);
    int error = 0;
    if ((file->mode & FILE_WRITE) == 0) {
        return -EPERM;
    }
    if ((seals & ~SEAL_ALL) != 0) {
        return -EINVAL;
    }
    mutex_lock_nested(&ti->inode.lock);
    unsigned old = atomic_load(&ti->seals);
    if ((old & SEAL_SEAL) != 0) {
        error = -EPERM;
    } else if ((seals & SEAL_WRITE) != 0 && (old & SEAL_WRITE) == 0 &&
               atomic_load(&ti->shared_writes) > 0) {
        error = -EBUSY;
    } else {
        /* Linux: F_SEAL_EXEC on an executable file means that it never changes again. */
        if ((seals & SEAL_EXEC) != 0 && (ti->inode.mode & 0111) != 0) {
            seals |= SEAL_SHRINK | SEAL_GROW | SEAL_WRITE | SEAL_FUTURE_WRITE;
        }
        atomic_store(&ti->seals, old | seals);
    }
    mutex_unlock(&ti->inode.lock);
    return error;
}

static int regular_get_seals(struct file *file)
{
    return (int)seals_of(file);
}

static void regular_shared_write(struct file *file, int delta)
{
    atomic_fetch_add(&tmpfs_inode(file->inode)->shared_writes, delta);
}

const struct file_ops tmpfs_regular_file_ops = {
    .read = regular_read,
    .write = regular_write,
    .seek = regular_seek,
    .mmap = regular_mmap,
    .sync = regular_sync,
    .allocate = regular_allocate,
    .add_seals = regular_add_seals,
    .get_seals = regular_get_seals,
    .shared_write = regular_shared_write,
};
