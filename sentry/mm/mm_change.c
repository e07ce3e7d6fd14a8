/*
 * mm_change.c: mprotect, madvise, msync, mlock, mincore: changes to what is mapped already.
 */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/mman.h>

#include "sentry/core/cred.h"
#include "sentry/mm/area.h"
#include "sentry/mm/mm.h"

#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* Start and end of a page range argument: start must be aligned; the length is rounded up. */
static int check_range(uint64_t addr, uint64_t length, uint64_t *ret_end)
{
    if (addr & ~PAGE_MASK) {
        return -EINVAL;
    }
    uint64_t rounded = page_round_up(length);
    if (rounded < length || addr + rounded < addr) {
        return -EINVAL;
    }
    *ret_end = addr + rounded;
    return 0;
}

static int protect_locked(struct mm *mm, uint64_t start, uint64_t end, int prot)
{
    struct area *area = mm_find_from_locked(mm, start);
    if (!area || area->start > start) {
        return -ENOMEM;
    }
    if (area_range_sealed(mm, start, end)) {
        return -EPERM;
    }
    uint64_t at = start;
    while (at < end) {
        area = mm_find_locked(mm, at);
        if (!area) {
            return -ENOMEM;
        }
        if (prot & ~area->max_prot) {
            return -EACCES;
        }
        uint64_t stop = min_of(area->end, end);
        if (area->prot != prot) {
            if ((prot & PROT_WRITE) && !(area->prot & PROT_WRITE) && !(area->flags & AREA_SHARED) &&
                (stop - at > mm->limit_data || mm->data_bytes > mm->limit_data - (stop - at))) {
                return -ENOMEM;
            }
            int result = area_split_at(mm, at);
            if (result == 0) {
                result = area_split_at(mm, stop);
            }
            if (result == 0) {
                result = mm->platform->space_protect(mm->space, at, stop - at, prot);
            }
            if (result != 0) {
                return result;
            }
            area = mm_find_locked(mm, at);
            area_remove(mm, area);
            area->prot = prot;
            area_insert(mm, area);
        }
        at = stop;
    }
    return 0;
}

int mm_protect(struct mm *mm, uint64_t addr, uint64_t length, int prot)
{
    uint64_t end;
    if (addr & ~PAGE_MASK) {
        return -EINVAL;
    }
    if (length == 0) {
        return 0;
    }
    if (check_range(addr, length, &end) != 0 || end > PLATFORM_GUEST_MAX) {
        return -ENOMEM;
    }
    mm_lock(mm);
    int result = protect_locked(mm, addr, end, prot);
    mm_unlock(mm);
    return result;
}

static bool advice_known(int advice)
{
    switch (advice) {
    case MADV_NORMAL:
    case MADV_RANDOM:
    case MADV_SEQUENTIAL:
    case MADV_WILLNEED:
    case MADV_DONTNEED:
    case MADV_FREE:
    case MADV_REMOVE:
    case MADV_DONTFORK:
    case MADV_DOFORK:
    case MADV_MERGEABLE:
    case MADV_UNMERGEABLE:
    case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE:
    case MADV_DONTDUMP:
    case MADV_DODUMP:
    case MADV_WIPEONFORK:
    case MADV_KEEPONFORK:
    case MADV_COLD:
    case MADV_PAGEOUT:
    case MADV_POPULATE_READ:
    case MADV_POPULATE_WRITE:
    case MADV_COLLAPSE:
        return true;
    default:
        return false;
    }
}

static int set_area_flags(struct mm *mm, struct area *area, uint64_t start, uint64_t end,
                          unsigned set, unsigned clear)
{
    int result = area_split_at(mm, start);
    if (result == 0) {
        result = area_split_at(mm, end);
    }
    if (result != 0) {
        return result;
    }
    area = mm_find_locked(mm, start);
    area_remove(mm, area);
    area->flags = (area->flags | set) & ~clear;
    area_insert(mm, area);
    return 0;
}

/* Linux: can_modify_vma_madv: advice that drops what a reader may not write anyway. */
static bool seal_forbids(const struct area *area, int advice)
{
    bool discards = advice == MADV_FREE || advice == MADV_DONTNEED || advice == MADV_DONTFORK ||
                    advice == MADV_REMOVE || advice == MADV_WIPEONFORK;
    return (area->flags & AREA_SEALED) && discards && !area->backing && !(area->prot & PROT_WRITE);
}

int mm_seal(struct mm *mm, uint64_t addr, uint64_t length)
{
    uint64_t end;
    int result = check_range(addr, length, &end);
    if (result != 0 || end == addr) {
        return result;
    }
    mm_lock(mm);
    if (!area_range_mapped(mm, addr, end)) {
        result = -ENOMEM;
    }
    for (uint64_t at = addr; at < end && result == 0;) {
        struct area *area = mm_find_locked(mm, at);
        uint64_t stop = min_of(area->end, end);
        result = set_area_flags(mm, area, at, stop, AREA_SEALED, 0);
        at = stop;
    }
    mm_unlock(mm);
    return result;
}

static int advise_area(struct mm *mm, struct area *area, uint64_t start, uint64_t end, int advice)
{
    if (seal_forbids(area, advice)) {
        return -EPERM;
    }
    switch (advice) {
    case MADV_DONTFORK:
        return set_area_flags(mm, area, start, end, AREA_DONTFORK, 0);
    case MADV_DOFORK:
        return set_area_flags(mm, area, start, end, 0, AREA_DONTFORK);
    case MADV_DONTDUMP:
        return set_area_flags(mm, area, start, end, AREA_DONTDUMP, 0);
    case MADV_DODUMP:
        return set_area_flags(mm, area, start, end, 0, AREA_DONTDUMP);
    case MADV_WIPEONFORK:
        if (area->backing || (area->flags & AREA_SHARED)) {
            return -EINVAL;
        }
        return set_area_flags(mm, area, start, end, AREA_WIPEONFORK, 0);
    case MADV_KEEPONFORK:
        return set_area_flags(mm, area, start, end, 0, AREA_WIPEONFORK);
    case MADV_FREE:
        if (area->backing) {
            return -EINVAL;
        }
        break;
    case MADV_DONTNEED:
    case MADV_COLD:
    case MADV_PAGEOUT:
        if (area->flags & AREA_LOCKED) {
            return -EINVAL;
        }
        break;
    case MADV_REMOVE:
        if (area->flags & AREA_LOCKED) {
            return -EINVAL;
        }
        if (!(area->flags & AREA_SHARED) || !(area->prot & PROT_WRITE)) {
            return !(area->flags & AREA_SHARED) ? -EINVAL : -EACCES;
        }
        break;
    case MADV_MERGEABLE: /* as a kernel without CONFIG_KSM: merging would be a side channel */
    case MADV_UNMERGEABLE:
        return -EINVAL;
    default:
        break;
    }
    /* The rest is the host's to carry out on the stub's memory. */
    return mm->platform->space_advise(mm->space, start, end - start, advice);
}

int mm_advise(struct mm *mm, uint64_t addr, uint64_t length, int advice)
{
    uint64_t end;
    if (!advice_known(advice)) {
        return -EINVAL;
    }
    int result = check_range(addr, length, &end);
    if (result != 0 || end == addr) {
        return result;
    }
    bool hole = false;
    mm_lock(mm);
    uint64_t at = addr;
    while (at < end && result == 0) {
        struct area *area = mm_find_from_locked(mm, at);
        if (!area || area->start >= end) {
            hole = true;
            break;
        }
        if (area->start > at) {
            hole = true;
            at = area->start;
        }
        uint64_t stop = min_of(area->end, end);
        result = advise_area(mm, area, at, stop, advice);
        at = stop;
    }
    mm_unlock(mm);
    return result != 0 ? result : hole ? -ENOMEM : 0;
}

int mm_sync(struct mm *mm, uint64_t addr, uint64_t length, int flags)
{
    uint64_t end;
    if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) ||
        ((flags & MS_ASYNC) && (flags & MS_SYNC)) || (addr & ~PAGE_MASK)) {
        return -EINVAL;
    }
    if (check_range(addr, length, &end) != 0) {
        return -ENOMEM;
    }
    int result = 0;
    uint64_t at = addr;
    while (at < end && (result == 0 || result == -ENOMEM)) {
        struct mm_backing *backing = NULL;
        mm_lock(mm);
        struct area *area = mm_find_from_locked(mm, at);
        if (!area || area->start > at) {
            result = -ENOMEM;
        }
        if (!area || area->start >= end) {
            mm_unlock(mm);
            break;
        }
        if ((flags & MS_INVALIDATE) && (area->flags & AREA_LOCKED)) {
            result = -EBUSY;
        }
        if ((flags & MS_SYNC) && (area->flags & AREA_SHARED) && area->backing &&
            area->backing->ops->sync) {
            backing = area->backing;
            backing->ops->ref(backing);
        }
        at = area->end;
        mm_unlock(mm);
        if (backing) {
            int sync_result = backing->ops->sync(backing);
            result = sync_result != 0 ? sync_result : result;
            backing->ops->unref(backing);
        }
    }
    return result;
}

/* Linux: can_do_mlock: RLIMIT_MEMLOCK does not bind the privileged. */
static uint64_t lock_limit(const struct mm *mm)
{
    return capable(CAP_IPC_LOCK) ? UINT64_MAX : mm->limit_memlock;
}

void mm_populate(struct mm *mm, uint64_t addr, uint64_t length)
{
    uint64_t end, start = addr & PAGE_MASK;
    if (check_range(start, length + (addr - start), &end) != 0) {
        return;
    }
    mm_lock(mm);
    while (start < end) {
        struct area *area = mm_find_from_locked(mm, start);
        if (!area || area->start >= end) {
            break;
        }
        uint64_t from = max_of(area->start, start);
        start = min_of(area->end, end);
        bool write = (area->prot & PROT_WRITE) != 0 &&
                     (!(area->flags & AREA_SHARED) || !(area->prot & PROT_READ));
        if (area->prot != PROT_NONE && !(area->flags & (AREA_VVAR | AREA_VDSO))) {
            ignore_result(mm->platform->space_advise(
                mm->space, from, start - from, write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ));
        }
    }
    mm_unlock(mm);
}

#define POLICY_SHIFT 16

int mm_set_policy(struct mm *mm, uint64_t addr, uint64_t length, unsigned mode)
{
    uint64_t end;
    unsigned bits = mode << POLICY_SHIFT & AREA_POLICY;
    int result = check_range(addr, length, &end);
    mm_lock(mm);
    if (result == 0 && !area_range_mapped(mm, addr, end)) {
        result = -EFAULT;
    }
    while (result == 0 && addr < end) {
        struct area *area = mm_find_locked(mm, addr);
        uint64_t stop = min_of(area->end, end);
        result = set_area_flags(mm, area, addr, stop, bits, AREA_POLICY & ~bits);
        addr = stop;
    }
    mm_unlock(mm);
    return result;
}

int mm_get_policy(struct mm *mm, uint64_t addr, unsigned *ret_mode)
{
    mm_lock(mm);
    const struct area *area = mm_find_locked(mm, addr);
    if (area) {
        *ret_mode = (area->flags & AREA_POLICY) >> POLICY_SHIFT;
    }
    mm_unlock(mm);
    return area ? 0 : -EFAULT;
}

int mm_lock_range(struct mm *mm, uint64_t addr, uint64_t length, bool lock)
{
    uint64_t end;
    uint64_t start = addr & PAGE_MASK;
    int result = check_range(start, length + (addr - start), &end);
    if (result != 0 || start == end) {
        return result;
    }
    mm_lock(mm);
    uint64_t limit = lock_limit(mm);
    if (lock && limit == 0) {
        result = -EPERM;
    } else if (lock && (end - start > limit || mm->locked_bytes > limit - (end - start))) {
        result = -ENOMEM;
    } else if (!area_range_mapped(mm, start, end)) {
        result = -ENOMEM;
    }
    for (uint64_t at = start; at < end && result == 0;) {
        struct area *area = mm_find_locked(mm, at);
        uint64_t stop = min_of(area->end, end);
        result =
            set_area_flags(mm, area, at, stop, lock ? AREA_LOCKED : 0U, lock ? 0U : AREA_LOCKED);
        at = stop;
    }
    mm_unlock(mm);
    return result;
}

int mm_lock_all(struct mm *mm, int flags, bool lock)
{
    int result = 0;
    mm_lock(mm);
    uint64_t limit = lock_limit(mm);
    if (lock && (flags & MCL_CURRENT) && mm->total_bytes > limit) {
        result = limit == 0 ? -EPERM : -ENOMEM;
    }
    struct area *area;
    RB_FOREACH (area, area_tree, &mm->areas) {
        if (result == 0 && (!lock || (flags & MCL_CURRENT))) {
            uint64_t bytes = area->end - area->start;
            if (lock && !(area->flags & AREA_LOCKED)) {
                area->flags |= AREA_LOCKED;
                mm->locked_bytes += bytes;
            } else if (!lock && (area->flags & AREA_LOCKED)) {
                area->flags &= ~(unsigned)AREA_LOCKED;
                mm->locked_bytes -= bytes;
            }
        }
    }
    mm_unlock(mm);
    return result;
}

int mm_mincore(struct mm *mm, uint64_t addr, uint64_t length, unsigned char *ret_vec)
{
    uint64_t end;
    if (check_range(addr, length, &end) != 0 || (addr & ~PAGE_MASK)) {
        return addr & ~PAGE_MASK ? -EINVAL : -ENOMEM;
    }
    if (addr == end) {
        return 0;
    }
    mm_lock(mm);
    int result = area_range_mapped(mm, addr, end)
                     ? mm->platform->space_mincore(mm->space, addr, end - addr, ret_vec)
                     : -ENOMEM;
    mm_unlock(mm);
    return result;
}
