/*
 * proc_mem.c: /proc/PID/mem. Positions are guest addresses; writes go through read-only private
 * pages, as in Linux (FOLL_FORCE). Linux: fs/proc/base.c mem_rw.
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/fs/proc/internal.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/uio.h"

#define MEM_CHUNK 65536

static ssize_t mem_move(struct file *file, struct uio *uio, uint64_t offset, bool write)
{
    struct mm *mm;
    auto_free uint8_t *buffer = malloc(MEM_CHUNK);
    if (buffer == NULL) {
        return -ENOMEM;
    }
    int result = proc_get_guarded_mm(proc_node_of(file->inode), &mm);
    if (result < 0 || mm == NULL) {
        return result;
    }
    ssize_t total = 0;
    ssize_t count = 0;
    while (uio->left > 0) {
        size_t length = min_of(uio->left, (uint64_t)MEM_CHUNK);
        uint64_t addr = offset + (uint64_t)total;
        if (write) {
            count = uio_get(uio, buffer, length);
            if (count > 0) {
                count = mm_copy_out_force(mm, addr, buffer, (size_t)count);
            }
        } else {
            count = mm->platform->copy_in(mm->space, addr, buffer, length);
            if (count > 0) {
                count = uio_put(uio, buffer, (size_t)count);
            }
        }
        if (count <= 0) {
            break;
        }
        total += count;
        if ((size_t)count < length) {
            break;
        }
    }
    mm_unref(mm);
    /* Linux: EIO for an address that is not mapped. */
    return total > 0 ? total : count < 0 ? -EIO : count;
}

static ssize_t mem_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)flags;
    return mem_move(file, uio, offset, false);
}

static ssize_t mem_write(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)flags;
    return mem_move(file, uio, offset, true);
}

static int64_t mem_seek(struct file *file, int64_t offset, int whence)
{
    if (whence == 1) {
        return (int64_t)file->position + offset;
    }
    return whence == 0 ? offset : -EINVAL;
}

const struct file_ops proc_mem_ops = {.read = mem_read, .write = mem_write, .seek = mem_seek};
