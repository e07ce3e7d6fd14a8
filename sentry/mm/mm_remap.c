/* mm_remap.c: mremap(2). Linux: mm/mremap.c. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "sentry/mm/area.h"
#include "sentry/mm/mm.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

struct remap {
    uint64_t old_addr, old_length, new_length, new_addr;
    int flags;
};

static int check_request(struct remap *remap)
{
    int flags = remap->flags;
    if (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) {
        return -EINVAL;
    }
    if ((flags & MREMAP_FIXED) && !(flags & MREMAP_MAYMOVE)) {
        return -EINVAL;
    }
    if ((flags & MREMAP_DONTUNMAP) &&
        (!(flags & MREMAP_MAYMOVE) || remap->old_length != remap->new_length)) {
        return -EINVAL;
    }
    if ((remap->old_addr & ~PAGE_MASK) || remap->new_length == 0) {
        return -EINVAL;
    }
    remap->old_length = page_round_up(remap->old_length);
    remap->new_length = page_round_up(remap->new_length);
    if (remap->new_length == 0 || remap->new_length > PLATFORM_GUEST_MAX ||
        remap->old_addr + remap->old_length < remap->old_addr) {
        return -EINVAL;
    }
    if (flags & MREMAP_FIXED) {
        if ((remap->new_addr & ~PAGE_MASK) ||
            remap->new_addr > PLATFORM_GUEST_MAX - remap->new_length ||
            (remap->old_addr + remap->old_length > remap->new_addr &&
             remap->new_addr + remap->new_length > remap->old_addr)) {
            return -EINVAL;
        }
        if (remap->new_addr < PLATFORM_GUEST_MIN) {
            return -EPERM;
        }
    }
    return 0;
}

/* Shrinks in place: the tail goes away. */
static int shrink(struct mm *mm, uint64_t start, uint64_t end)
{
    int result = mm->platform->space_unmap(mm->space, start, end - start);
    if (result == 0) {
        result = area_split_at(mm, start);
    }
    if (result == 0) {
        result = area_split_at(mm, end);
    }
    if (result == 0) {
        area_erase_range(mm, start, end);
    }
    return result;
}

static int check_growth(struct mm *mm, const struct area *area, uint64_t extra)
{
    if (extra > mm->limit_as || mm->total_bytes > mm->limit_as - extra) {
        return -ENOMEM;
    }
    if ((area->prot & PROT_WRITE) && !(area->flags & (AREA_SHARED | AREA_STACK)) &&
        (extra > mm->limit_data || mm->data_bytes > mm->limit_data - extra)) {
        return -ENOMEM;
    }
    if ((area->flags & AREA_LOCKED) &&
        (extra > mm->limit_memlock || mm->locked_bytes > mm->limit_memlock - extra)) {
        return -EAGAIN;
    }
    return 0;
}

/* Moves [old_addr, +old_length) to new_addr with new_length; both boundaries are split. */
static int move_area(struct mm *mm, const struct remap *remap, uint64_t new_addr)
{
    bool keep = (remap->flags & MREMAP_DONTUNMAP) || remap->old_length == 0;
    struct area *area = mm_find_locked(mm, remap->old_addr);
    struct area *copy = malloc(sizeof(*copy));
    if (!copy) {
        return -ENOMEM;
    }
    int result = area_split_at(mm, new_addr);
    if (result == 0) {
        result = area_split_at(mm, new_addr + remap->new_length);
    }
    if (result == 0) {
        result = mm->platform->space_remap(mm->space, remap->old_addr, remap->old_length, new_addr,
                                           remap->new_length,
                                           remap->flags & MREMAP_DONTUNMAP ? MREMAP_DONTUNMAP : 0);
    }
    if (result != 0) {
        free(copy);
        return result;
    }
    area = mm_find_locked(mm, remap->old_addr);
    *copy = *area;
    area_take_backing(copy, area->backing);
    copy->offset += copy->backing ? remap->old_addr - area->start : 0;
    if (!keep) {
        area_erase_range(mm, remap->old_addr, remap->old_addr + remap->old_length);
    }
    area_erase_range(mm, new_addr, new_addr + remap->new_length);
    copy->start = new_addr;
    copy->end = new_addr + remap->new_length;
    area_insert(mm, copy);
    return 0;
}

static int grow_in_place(struct mm *mm, const struct remap *remap)
{
    uint64_t old_end = remap->old_addr + remap->old_length;
    uint64_t new_end = remap->old_addr + remap->new_length;
    struct area *area = mm_find_locked(mm, remap->old_addr);
    if (new_end > PLATFORM_GUEST_MAX || area->end != old_end ||
        !area_range_free(mm, old_end, new_end)) {
        return -ENOSPC;
    }
    /* Host and table merge areas differently, so the host may refuse what the table calls one. */
    int result = mm->platform->space_remap(mm->space, remap->old_addr, remap->old_length,
                                           remap->old_addr, remap->new_length, 0);
    if (result != 0) {
        return result == -EFAULT || result == -ENOMEM ? -ENOSPC : result;
    }
    area_remove(mm, area);
    area->end = new_end;
    area_insert(mm, area);
    return 0;
}

static int remap_locked(struct mm *mm, struct remap *remap, uint64_t *ret_addr)
{
    struct area *area = mm_find_locked(mm, remap->old_addr);
    if (!area) {
        return -EFAULT;
    }
    uint64_t old_end = remap->old_addr + remap->old_length;
    if (area_range_sealed(mm, remap->old_addr, max_of(old_end, remap->old_addr + 1)) ||
        ((remap->flags & MREMAP_FIXED) &&
         area_range_sealed(mm, remap->new_addr, remap->new_addr + remap->new_length))) {
        return -EPERM;
    }
    if (remap->old_length == 0 && !(area->flags & AREA_SHARED)) {
        return -EINVAL; /* Linux: duplicating works for shared mappings only */
    }
    bool must_move = (remap->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) || remap->old_length == 0;
    if (!must_move && remap->new_length <= remap->old_length) {
        *ret_addr = remap->old_addr;
        return remap->new_length == remap->old_length
                   ? 0
                   : shrink(mm, remap->old_addr + remap->new_length, old_end);
    }
    if (old_end > area->end) {
        return -EFAULT;
    }
    if (remap->new_length > remap->old_length) {
        int result = check_growth(mm, area, remap->new_length - remap->old_length);
        if (result != 0) {
            return result;
        }
    }
    if (!must_move) {
        int result = grow_in_place(mm, remap);
        if (result != -ENOSPC) {
            *ret_addr = remap->old_addr;
            return result;
        }
        if (!(remap->flags & MREMAP_MAYMOVE)) {
            return -ENOMEM;
        }
    }
    uint64_t new_addr = remap->new_addr;
    if (!(remap->flags & MREMAP_FIXED)) {
        new_addr = area_find_gap(mm, remap->new_length,
                                 remap->flags & MREMAP_DONTUNMAP ? remap->new_addr & PAGE_MASK : 0);
        if (new_addr == 0) {
            return -ENOMEM;
        }
    } else if (remap->new_length < remap->old_length) {
        int result = shrink(mm, remap->old_addr + remap->new_length, old_end);
        if (result != 0) {
            return result;
        }
        remap->old_length = remap->new_length;
    }
    int result = area_split_at(mm, remap->old_addr);
    if (result == 0 && remap->old_length > 0) {
        result = area_split_at(mm, remap->old_addr + remap->old_length);
    }
    if (result == 0) {
        result = move_area(mm, remap, new_addr);
    }
    *ret_addr = new_addr;
    return result;
}

int mm_remap(struct mm *mm, uint64_t old_addr, uint64_t old_length, uint64_t new_length, int flags,
             uint64_t new_addr, uint64_t *ret_addr)
{
    struct remap remap = {.old_addr = old_addr,
                          .old_length = old_length,
                          .new_length = new_length,
                          .new_addr = new_addr,
                          .flags = flags};
    int result = check_request(&remap);
    if (result != 0) {
        return result;
    }
    uint64_t addr = 0;
    mm_lock(mm);
    result = remap_locked(mm, &remap, &addr);
    mm_unlock(mm);
    if (result == 0) {
        *ret_addr = addr;
    }
    return result;
}
