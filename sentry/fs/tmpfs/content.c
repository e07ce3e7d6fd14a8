/*
 * content.c: the bytes of a regular file: a heap buffer while small and not mapped, then a host
 * memfd. The only file of tmpfs that calls the host.
 *
 * Charging: a heap buffer counts its pages. For a memfd written without holes the allocated pages
 * are known ([0, dense_end)); once it has holes the host is asked after each change. Pages that a
 * guest's mapping makes are charged at the next change or stat; mapped.c finds them before. When no
 * memfd can be had (descriptor limits) the heap buffer simply grows, and only mmap fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/fs/tmpfs/tmpfs_inode.h"
#include "sentry/mm/uio.h"

#define PAGE      TMPFS_PAGE
#define HEAP_LAST (1ULL << 30) /* of a heap buffer when memfds are exhausted */

static uint64_t page_up(uint64_t n)
{
    return (n + PAGE - 1) & ~(PAGE - 1);
}

void tmpfs_content_init(struct tmpfs_content *content)
{
    atomic_init(&content->fd, -1);
}

void tmpfs_content_fini(struct tmpfs_inode *ti)
{
    struct tmpfs_content *c = &ti->content;
    int fd = atomic_load(&c->fd);
    tmpfs_mapped_remove(ti);
    if (fd >= 0) {
        close(fd);
    }
    free(c->data);
    tmpfs_uncharge(ti->inode.super, c->pages);
}

static void set_size(struct tmpfs_inode *ti, uint64_t size)
{
    inode_store(ti->inode.size, size);
}

/* Changes the number of charged pages. */
static int set_pages(struct tmpfs_inode *ti, uint64_t pages)
{
    struct tmpfs_content *c = &ti->content;
    int error = tmpfs_charge(ti->inode.super, (int64_t)(pages - c->pages));
    if (error == 0) {
        c->pages = pages;
        inode_store(ti->inode.blocks, pages * (PAGE / 512));
    }
    return error;
}

/* Charges exactly what the memfd has; beyond the limit too, because the host has it already. */
static void recount(struct tmpfs_inode *ti, int fd)
{
    struct tmpfs_content *c = &ti->content;
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return;
    }
    uint64_t pages = (uint64_t)st.st_blocks * 512 / PAGE;
    if (set_pages(ti, pages) != 0) {
        inode_store(ti->inode.blocks, c->pages * (PAGE / 512));
    }
}

void tmpfs_content_recount(struct tmpfs_inode *ti)
{
    int fd = atomic_load(&ti->content.fd);
    if (fd >= 0 && (ti->content.sparse || atomic_load(&ti->shared_writes) > 0)) {
        recount(ti, fd);
    }
}

/* Makes room for length bytes in the heap buffer. */
static int heap_reserve(struct tmpfs_content *c, uint64_t length)
{
    if (length <= c->capacity) {
        return 0;
    }
    size_t capacity = c->capacity ? c->capacity : 64;
    while (capacity < length) {
        capacity *= 2;
    }
    char *data = realloc(c->data, capacity);
    if (!data) {
        return -ENOMEM;
    }
    c->data = data;
    c->capacity = capacity;
    return 0;
}

/* Zeroes from length up to end and makes end the length. */
static int heap_extend(struct tmpfs_inode *ti, uint64_t end)
{
    struct tmpfs_content *c = &ti->content;
    if (end <= c->length) {
        return 0;
    }
    int error = heap_reserve(c, end);
    if (error == 0) {
        error = set_pages(ti, page_up(end) / PAGE);
    }
    if (error == 0) {
        memset(c->data + c->length, 0, end - c->length);
        c->length = end;
    }
    return error;
}

static int write_all(int fd, const char *data, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t n = pwrite(fd, data + done, length - done, (off_t)done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        done += (size_t)n;
    }
    return 0;
}

/* Moves the content to a memfd. */
static int convert(struct tmpfs_inode *ti)
{
    struct tmpfs_content *c = &ti->content;
    int fd = memfd_create("stockade", MFD_CLOEXEC);
    if (fd < 0) {
        return errno == EMFILE ? -ENFILE : -errno;
    }
    int error = 0;
    if (ftruncate(fd, (off_t)ti->inode.size) != 0) {
        error = -errno;
    }
    if (error == 0) {
        error = write_all(fd, c->data, min_of((uint64_t)c->length, ti->inode.size));
    }
    if (error != 0) {
        close(fd);
        return error;
    }
    c->dense_end = page_up(c->length);
    c->sparse = false;
    free(c->data);
    c->data = NULL;
    c->length = c->capacity = 0;
    atomic_store_explicit(&c->fd, fd, memory_order_release);
    return 0;
}

int tmpfs_content_fd(struct tmpfs_inode *ti)
{
    int fd = atomic_load(&ti->content.fd);
    if (fd >= 0) {
        return fd;
    }
    int error = convert(ti);
    return error != 0 ? error : atomic_load(&ti->content.fd);
}

/* A memfd for contents up to end bytes, or -1: the heap will do. */
static int wants_fd(struct tmpfs_inode *ti, uint64_t end)
{
    int fd = atomic_load(&ti->content.fd);
    if (fd >= 0 || end <= TMPFS_HEAP_MAX) {
        return fd;
    }
    int error = convert(ti);
    if (error == 0) {
        return atomic_load(&ti->content.fd);
    }
    return error == -ENFILE && end <= HEAP_LAST ? -1 : error;
}

static ssize_t heap_read(struct tmpfs_content *c, struct uio *uio, uint64_t offset)
{
    uint64_t count = uio->left;
    ssize_t done = 0;
    if (offset < c->length) {
        size_t part = min_of(count, c->length - offset);
        done = uio_put(uio, c->data + offset, part);
        if (done < (ssize_t)part) {
            return done;
        }
    }
    if ((uint64_t)done < count) {
        ssize_t zeroes = uio_put_zero(uio, count - (uint64_t)done);
        if (zeroes < 0) {
            return done > 0 ? done : zeroes;
        }
        done += zeroes;
    }
    return done;
}

ssize_t tmpfs_content_read(struct tmpfs_inode *ti, struct uio *uio, uint64_t offset)
{
    struct tmpfs_content *c = &ti->content;
    int fd = atomic_load_explicit(&c->fd, memory_order_acquire);
    if (fd < 0) {
        mutex_lock_nested(&ti->inode.lock);
        fd = atomic_load(&c->fd);
        if (fd < 0) {
            ssize_t count = 0;
            if (offset < ti->inode.size) {
                uio_truncate(uio, ti->inode.size - offset);
                count = heap_read(c, uio, offset);
            }
            mutex_unlock(&ti->inode.lock);
            return count;
        }
        mutex_unlock(&ti->inode.lock);
    }
    uint64_t size = inode_load(ti->inode.size);
    if (offset >= size) {
        return 0;
    }
    uio_truncate(uio, size - offset);
    return uio_read_host(uio, fd, (int64_t)offset);
}

/* Is every page of [offset, end) allocated already? */
static bool is_dense(int fd, uint64_t offset, uint64_t end)
{
    off_t hole = lseek(fd, (off_t)(offset & ~(PAGE - 1)), SEEK_HOLE);
    return hole >= 0 && (uint64_t)hole >= end;
}

/*
 * Charges the pages a write of [offset, offset + *length) may add, cutting *length to what there is
 * room for.
 */
static int charge_write(struct tmpfs_inode *ti, int fd, uint64_t offset, uint64_t *length)
{
    struct tmpfs_content *c = &ti->content;
    uint64_t end = offset + *length;
    uint64_t first = offset & ~(PAGE - 1);
    if (!c->sparse && first <= c->dense_end) {
        first = c->dense_end;
    }
    if (page_up(end) <= first || (c->sparse && is_dense(fd, offset, end))) {
        return 0;
    }
    uint64_t pages = (page_up(end) - first) / PAGE;
    int error = set_pages(ti, c->pages + pages);
    if (error != -ENOSPC) {
        return error;
    }
    uint64_t left = tmpfs_pages_left(ti->inode.super);
    if (left >= pages) {
        left = 0; /* the sandbox's limit, not this file system's */
    }
    uint64_t reach = first + left * PAGE;
    if (reach <= offset) {
        return -ENOSPC;
    }
    *length = reach - offset;
    return set_pages(ti, c->pages + left);
}

static ssize_t fd_write(struct tmpfs_inode *ti, struct uio *uio, int fd, uint64_t offset)
{
    struct tmpfs_content *c = &ti->content;
    uint64_t length = uio->left;
    int error = charge_write(ti, fd, offset, &length);
    if (error != 0) {
        return error;
    }
    uio_truncate(uio, length);
    if (!c->sparse && (offset & ~(PAGE - 1)) > c->dense_end) {
        c->sparse = true;
    }
    ssize_t count = uio_write_host(uio, fd, (int64_t)offset);
    uint64_t end = offset + (count > 0 ? (uint64_t)count : 0);
    if (end > ti->inode.size && count > 0) {
        set_size(ti, end);
    }
    if (!c->sparse) {
        c->dense_end = max_of(c->dense_end, count > 0 ? page_up(end) : 0);
    }
    if (c->sparse || count < (ssize_t)length) {
        c->sparse = true;
        recount(ti, fd);
    }
    return count;
}

static ssize_t heap_write(struct tmpfs_inode *ti, struct uio *uio, uint64_t offset)
{
    struct tmpfs_content *c = &ti->content;
    uint64_t end = offset + uio->left;
    int error = heap_reserve(c, end);
    if (error == 0) {
        error = heap_extend(ti, min_of(offset, end));
    }
    if (error == 0 && end > c->length) {
        error = set_pages(ti, page_up(end) / PAGE);
        if (error == -ENOSPC && tmpfs_pages_left(ti->inode.super) > 0) {
            uint64_t room = (c->pages + tmpfs_pages_left(ti->inode.super)) * PAGE;
            room = min_of(room, end);
            if (room > offset) {
                uio_truncate(uio, room - offset);
                error = set_pages(ti, page_up(room) / PAGE);
            }
        } else if (error == -ENOSPC && c->pages * PAGE > offset) {
            uio_truncate(uio, c->pages * PAGE - offset);
            error = 0;
        }
    }
    if (error != 0) {
        return error;
    }
    ssize_t count = uio_get(uio, c->data + offset, uio->left);
    if (count > 0) {
        c->length = max_of(c->length, offset + (size_t)count);
        if (c->length > ti->inode.size) {
            set_size(ti, c->length);
        }
    }
    return count;
}

ssize_t tmpfs_content_write(struct tmpfs_inode *ti, struct uio *uio, uint64_t offset)
{
    /* So does one that a write leaves between the old end and itself. */
    bool gap = uio->left > 0 && page_up(ti->content.length) + PAGE <= offset;
    int fd = gap ? tmpfs_content_fd(ti) : wants_fd(ti, offset + uio->left);
    if (gap && fd == -ENFILE && offset + uio->left <= HEAP_LAST) {
        fd = -1;
    }
    if (fd < -1) {
        return fd;
    }
    return fd >= 0 ? fd_write(ti, uio, fd, offset) : heap_write(ti, uio, offset);
}

int tmpfs_content_resize(struct tmpfs_inode *ti, uint64_t size)
{
    struct tmpfs_content *c = &ti->content;
    int fd = atomic_load(&c->fd);
    if (fd < 0) {
        if (size < c->length) {
            c->length = size;
            ignore_result(set_pages(ti, page_up(size) / PAGE));
            if (size == 0) {
                free(c->data);
                c->data = NULL;
                c->capacity = 0;
            }
        }
        set_size(ti, size);
        return 0;
    }
    bool shrinks = size < ti->inode.size;
    if (shrinks) {
        set_size(ti, size); /* readers stop first */
    }
    if (ftruncate(fd, (off_t)size) != 0) {
        return -errno;
    }
    set_size(ti, size);
    if (shrinks) {
        c->dense_end = min_of(c->dense_end, page_up(size));
        recount(ti, fd);
    }
    return 0;
}

static int heap_allocate(struct tmpfs_inode *ti, int mode, uint64_t offset, uint64_t end)
{
    struct tmpfs_content *c = &ti->content;
    if ((mode & FALLOC_FL_PUNCH_HOLE) != 0) {
        uint64_t stop = min_of(end, (uint64_t)c->length);
        if (offset < stop) {
            memset(c->data + offset, 0, stop - offset);
        }
        if (end >= c->length && offset < c->length) {
            c->length = offset;
            ignore_result(set_pages(ti, page_up(offset) / PAGE));
        }
        return 0;
    }
    uint64_t most = (mode & FALLOC_FL_KEEP_SIZE) != 0 ? min_of(end, ti->inode.size) : end;
    int error = heap_extend(ti, most);
    if (error == 0 && end > ti->inode.size && (mode & FALLOC_FL_KEEP_SIZE) == 0) {
        set_size(ti, end);
    }
    return error;
}

int tmpfs_content_allocate(struct tmpfs_inode *ti, int mode, uint64_t offset, uint64_t length)
{
    uint64_t end = offset + length;
    bool punch = (mode & FALLOC_FL_PUNCH_HOLE) != 0;
    /* A hole of whole pages is to be seen by SEEK_HOLE and st_blocks: that takes a memfd. */
    bool whole = punch && page_up(offset) + PAGE <= end && page_up(offset) < ti->content.length;
    int fd = whole   ? tmpfs_content_fd(ti)
             : punch ? atomic_load(&ti->content.fd)
                     : wants_fd(ti, end);
    if (fd < -1) {
        return fd;
    }
    if (fd < 0) {
        return heap_allocate(ti, mode, offset, end);
    }
    int64_t reserved = 0; /* against the sandbox's limit, before the host gives the memory */
    if (!punch && !is_dense(fd, offset, end)) {
        uint64_t pages = (page_up(end) - (offset & ~(PAGE - 1))) / PAGE;
        if (pages > tmpfs_pages_left(ti->inode.super) || pages > INT64_MAX / PAGE) {
            return -ENOSPC;
        }
        reserved = (int64_t)(pages * PAGE);
        int charged = tmpfs_account.charge ? tmpfs_account.charge(reserved) : 0;
        if (charged != 0) {
            return charged;
        }
    }
    ti->content.sparse = true;
    int error = fallocate(fd, mode, (off_t)offset, (off_t)length) != 0 ? -errno : 0;
    if (reserved != 0 && tmpfs_account.charge) {
        ignore_result(tmpfs_account.charge(-reserved)); /* recount charges what it became */
    }
    if (error == 0 && !punch && (mode & FALLOC_FL_KEEP_SIZE) == 0 && end > ti->inode.size) {
        set_size(ti, end);
    }
    recount(ti, fd);
    return error;
}

int64_t tmpfs_content_seek(struct tmpfs_inode *ti, int64_t offset, int whence)
{
    int fd = atomic_load(&ti->content.fd);
    uint64_t size = ti->inode.size;
    if (offset < 0 || (uint64_t)offset >= size) {
        return -ENXIO;
    }
    if (fd >= 0) {
        off_t found = lseek(fd, (off_t)offset, whence);
        return found < 0 ? -errno : found;
    }
    uint64_t data_end = min_of(page_up(ti->content.length), size);
    if ((uint64_t)offset < data_end) {
        return whence == SEEK_DATA ? offset : (int64_t)data_end;
    }
    return whence == SEEK_DATA ? -ENXIO : offset;
}
