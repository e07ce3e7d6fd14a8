/*
 * mm.c: life of an address space, fork, and copies to and from guest memory.
 */
#include "sentry/mm/mm.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "sentry/mm/area.h"

static atomic_ullong next_mm_id = 1;

/* Below the highest address: a random gap of up to 16 GB above the mappings (Linux: mmap_base). */
static uint64_t random_mmap_base(const struct vdso_info *vdso)
{
    uint64_t random = 0;
    ignore_result(getrandom(&random, sizeof(random), 0));
    uint64_t top = PLATFORM_GUEST_MAX - (1ULL << 30);
    if (vdso->vvar != 0 && vdso->vvar < top && vdso->vvar > (1ULL << 46)) {
        top = vdso->vvar - (256ULL << 20);
    }
    return (top - random % (16ULL << 30)) & PAGE_MASK;
}

static int add_vdso_areas(struct mm *mm)
{
    if (mm->vdso.vdso == 0) {
        return 0;
    }
    struct area *vvar = area_new(mm->vdso.vvar, mm->vdso.vvar + mm->vdso.vvar_size);
    struct area *vdso = area_new(mm->vdso.vdso, mm->vdso.vdso + mm->vdso.vdso_size);
    if (!vvar || !vdso) {
        free(vvar);
        free(vdso);
        return -ENOMEM;
    }
    vvar->prot = PROT_READ;
    vvar->max_prot = PROT_READ;
    vvar->flags = AREA_VVAR | AREA_DONTDUMP;
    vdso->prot = PROT_READ | PROT_EXEC;
    vdso->flags = AREA_VDSO;
    if (vvar->start < vvar->end) {
        area_insert(mm, vvar);
    } else {
        free(vvar);
    }
    area_insert(mm, vdso);
    return 0;
}

static struct mm *mm_alloc(const struct platform_ops *ops)
{
    struct mm *mm = calloc(1, sizeof(*mm));
    if (!mm) {
        return NULL;
    }
    refcount_init(&mm->ref);
    mm->platform = ops;
    mutex_init(&mm->lock, RANK_MM);
    RB_INIT(&mm->areas);
    mm->limit_as = mm->limit_data = mm->limit_memlock = UINT64_MAX;
    mm->limit_stack = 8 << 20;
    mm->dumpable = 1;
    mm->id = atomic_fetch_add(&next_mm_id, 1);
    return mm;
}

int mm_new(const struct platform_ops *ops, struct platform *platform, struct mm **ret_mm)
{
    struct mm *mm = mm_alloc(ops);
    if (!mm) {
        return -ENOMEM;
    }
    int result = ops->space_new(platform, &mm->space);
    if (result != 0) {
        mm->space = NULL;
        mm_unref(mm);
        return result;
    }
    ops->space_vdso(mm->space, &mm->vdso);
    mm->mmap_base = random_mmap_base(&mm->vdso);
    mm_lock(mm);
    result = add_vdso_areas(mm);
    mm_unlock(mm);
    if (result != 0) {
        mm_unref(mm);
        return result;
    }
    *ret_mm = mm;
    return 0;
}

struct mm *mm_ref(struct mm *mm)
{
    refcount_get(&mm->ref);
    return mm;
}

struct mm *mm_unref(struct mm *mm)
{
    if (!mm || !refcount_put(&mm->ref)) {
        return NULL;
    }
    if (mm->space) {
        mm->platform->space_free(mm->space);
    }
    mm_lock(mm);
    area_erase_range(mm, 0, UINT64_MAX);
    mm_unlock(mm);
    if (mm->exe) {
        mm->exe->ops->unref(mm->exe);
    }
    mutex_fini(&mm->lock);
    free(mm);
    return NULL;
}

/* Copies the table; applies MADV_DONTFORK and MADV_WIPEONFORK in the child's stub. */
static int fork_areas(struct mm *parent, struct mm *child)
{
    struct area *area;
    RB_FOREACH (area, area_tree, &parent->areas) {
        uint64_t length = area->end - area->start;
        if (area->flags & AREA_DONTFORK) {
            int result = child->platform->space_unmap(child->space, area->start, length);
            if (result != 0) {
                return result;
            }
            continue;
        }
        if (area->flags & AREA_WIPEONFORK) {
            int result =
                child->platform->space_map(child->space, area->start, length, area->prot,
                                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (result != 0) {
                return result;
            }
        }
        struct area *copy = malloc(sizeof(*copy));
        if (!copy) {
            return -ENOMEM;
        }
        *copy = *area;
        copy->flags &= ~(unsigned)AREA_LOCKED; /* Linux: locks are not inherited */
        area_take_backing(copy, area->backing);
        area_insert(child, copy);
    }
    return 0;
}

int mm_fork(struct mm *parent, struct mm **ret_mm)
{
    struct mm *child = mm_alloc(parent->platform);
    if (!child) {
        return -ENOMEM;
    }
    mm_lock(parent);
    int result = parent->platform->space_fork(parent->space, &child->space);
    if (result == 0) {
        mutex_lock_nested(&child->lock);
        child->mmap_base = parent->mmap_base;
        child->brk_start = parent->brk_start;
        child->brk = parent->brk;
        child->start_code = parent->start_code;
        child->end_code = parent->end_code;
        child->start_data = parent->start_data;
        child->end_data = parent->end_data;
        child->start_stack = parent->start_stack;
        child->arg_start = parent->arg_start;
        child->arg_end = parent->arg_end;
        child->env_start = parent->env_start;
        child->env_end = parent->env_end;
        child->limit_as = parent->limit_as;
        child->limit_data = parent->limit_data;
        child->limit_memlock = parent->limit_memlock;
        child->limit_stack = parent->limit_stack;
        child->dumpable = parent->dumpable;
        child->membarrier = parent->membarrier;
        child->vdso = parent->vdso;
        memcpy(child->auxv, parent->auxv, sizeof(child->auxv));
        child->auxv_count = parent->auxv_count;
        if (parent->exe) {
            parent->exe->ops->ref(parent->exe);
            child->exe = parent->exe;
        }
        result = fork_areas(parent, child);
        mm_unlock(child);
    } else {
        child->space = NULL;
    }
    mm_unlock(parent);
    if (result != 0) {
        mm_unref(child);
        return result;
    }
    *ret_mm = child;
    return 0;
}

/* The part of [addr, addr+length) below the end of guest memory; 0 when addr is beyond it. */
static size_t clamp_range(uint64_t addr, size_t length)
{
    if (addr < PLATFORM_GUEST_MIN || addr >= PLATFORM_GUEST_MAX) {
        return 0;
    }
    return min_of((uint64_t)length, PLATFORM_GUEST_MAX - addr);
}

ssize_t mm_copy_in_some(struct mm *mm, uint64_t addr, void *buffer, size_t length)
{
    if (length == 0) {
        return 0;
    }
    size_t part = clamp_range(addr, length);
    return part == 0 ? -EFAULT : mm->platform->copy_in(mm->space, addr, buffer, part);
}

ssize_t mm_copy_out_some(struct mm *mm, uint64_t addr, const void *buffer, size_t length)
{
    if (length == 0) {
        return 0;
    }
    size_t part = clamp_range(addr, length);
    if (part == 0) {
        return -EFAULT;
    }
    if (part <= PAGE_SIZE * 4 && mm->platform->copy_out_later != NULL &&
        mm_is_plain(mm, addr, part) &&
        mm->platform->copy_out_later(mm->space, addr, buffer, part)) {
        return (ssize_t)part;
    }
    return mm->platform->copy_out(mm->space, addr, buffer, part);
}

ssize_t mm_copy_out_force(struct mm *mm, uint64_t addr, const void *buffer, size_t length)
{
    size_t done = 0;
    ssize_t count = 0;
    mm_lock(mm);
    while (done < length) {
        struct area *area = mm_find_locked(mm, addr + done);
        if (area == NULL) {
            count = -EFAULT;
            break;
        }
        size_t part = min_of(length - done, (size_t)(area->end - (addr + done)));
        count = mm->platform->copy_out_force(mm->space, addr + done, (const char *)buffer + done,
                                             part, area->prot);
        if (count <= 0) {
            break;
        }
        done += (size_t)count;
    }
    mm_unlock(mm);
    return done > 0 ? (ssize_t)done : count;
}

int mm_copy_in(struct mm *mm, uint64_t addr, void *buffer, size_t length)
{
    ssize_t done = mm_copy_in_some(mm, addr, buffer, length);
    if (done < 0) {
        return (int)done;
    }
    return (size_t)done == length ? 0 : -EFAULT;
}

int mm_copy_out(struct mm *mm, uint64_t addr, const void *buffer, size_t length)
{
    ssize_t done = mm_copy_out_some(mm, addr, buffer, length);
    if (done < 0) {
        return (int)done;
    }
    return (size_t)done == length ? 0 : -EFAULT;
}

ssize_t mm_copy_in_string(struct mm *mm, uint64_t addr, char *buffer, size_t size)
{
    size_t done = 0;
    if (mm->platform->copy_in_string != NULL && clamp_range(addr, 1) != 0) {
        ssize_t length = mm->platform->copy_in_string(mm->space, addr, buffer, size);
        if (length != -EAGAIN) {
            return length;
        }
    }
    while (done < size) {
        /* Most strings are short: a small first chunk, then up to the page end. */
        uint64_t at = addr + done;
        size_t chunk = min_of((size_t)(PAGE_SIZE - at % PAGE_SIZE), size - done);
        chunk = min_of(chunk, done == 0 ? (size_t)256 : (size_t)4096);
        ssize_t got = mm_copy_in_some(mm, at, buffer + done, chunk);
        if (got < 0) {
            return got;
        }
        char *nul = memchr(buffer + done, '\0', (size_t)got);
        if (nul) {
            return nul - buffer;
        }
        if ((size_t)got < chunk) {
            return -EFAULT;
        }
        done += chunk;
    }
    return -ENAMETOOLONG;
}

int mm_futex_key(struct mm *mm, uint64_t addr, bool write, uint64_t *ret_object,
                 uint64_t *ret_offset)
{
    int result = -EFAULT;
    mm_lock(mm);
    struct area *area = mm_find_locked(mm, addr);
    if (area && (area->prot & (write ? PROT_WRITE : PROT_READ))) {
        result = 0;
        if (area->flags & AREA_SHARED && area->backing) {
            uint64_t dev = 0;
            uint64_t ino = 0;
            area->backing->ops->describe(area->backing, NULL, &dev, &ino);
            *ret_object = (ino ^ dev << 40) & ~(1ULL << 63);
            *ret_offset = area->offset + (addr - area->start);
        } else {
            *ret_object = mm->id | 1ULL << 63;
            *ret_offset = addr;
        }
    }
    mm_unlock(mm);
    return result;
}
