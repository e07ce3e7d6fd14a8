/*
 * area.c: the table of areas: ordered, disjoint, merged where neighbours are alike. Totals
 * (total_bytes, data_bytes, locked_bytes) follow every insertion and removal.
 */
#include "sentry/mm/area.h"
#include "sentry/core/tunables.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

static int area_compare(struct area *a, struct area *b)
{
    return a->start < b->start ? -1 : a->start > b->start;
}

RB_GENERATE(area_tree, area, node, area_compare)

struct area *area_new(uint64_t start, uint64_t end)
{
    struct area *area = calloc(1, sizeof(*area));
    if (area) {
        area->start = start;
        area->end = end;
        area->max_prot = PROT_READ | PROT_WRITE | PROT_EXEC;
    }
    return area;
}

static bool counts_shared_write(const struct area *area)
{
    return area->backing && (area->flags & AREA_SHARED) && (area->max_prot & PROT_WRITE) &&
           area->backing->ops->shared_write;
}

void area_take_backing(struct area *area, struct mm_backing *backing)
{
    area->backing = backing;
    if (backing) {
        backing->ops->ref(backing);
        if (backing->ops->mapped) {
            backing->ops->mapped(backing, 1);
        }
    }
}

void area_free(struct area *area)
{
    if (area->backing) {
        if (area->backing->ops->mapped) {
            area->backing->ops->mapped(area->backing, -1);
        }
        area->backing->ops->unref(area->backing);
    }
    free(area);
}

/* Linux: is_data_mapping: private writable memory that is not a stack. */
static bool is_data(const struct area *area)
{
    return (area->prot & PROT_WRITE) && !(area->flags & (AREA_SHARED | AREA_STACK));
}

static void account(struct mm *mm, const struct area *area, int sign)
{
    mm_forget_plain(mm);
    uint64_t bytes = area->end - area->start;
    uint64_t delta = sign > 0 ? bytes : -bytes;
    mm->total_bytes += delta;
    if (is_data(area)) {
        mm->data_bytes += delta;
    }
    if (area->flags & AREA_LOCKED) {
        mm->locked_bytes += delta;
    }
    if (mm->total_bytes > mm->peak_bytes) {
        mm->peak_bytes = mm->total_bytes;
    }
    mm->area_count += (uint32_t)sign;
}

void area_remove(struct mm *mm, struct area *area)
{
    RB_REMOVE(area_tree, &mm->areas, area);
    account(mm, area, -1);
    if (counts_shared_write(area)) {
        area->backing->ops->shared_write(area->backing, -1);
    }
}

static void insert_plain(struct mm *mm, struct area *area)
{
    RB_INSERT(area_tree, &mm->areas, area);
    account(mm, area, 1);
    if (counts_shared_write(area)) {
        area->backing->ops->shared_write(area->backing, 1);
    }
}

static bool can_merge(const struct area *left, const struct area *right)
{
    return left->end == right->start && left->prot == right->prot &&
           left->max_prot == right->max_prot && left->flags == right->flags &&
           left->backing == right->backing && !(left->flags & (AREA_VDSO | AREA_VVAR | AREA_SHM)) &&
           (!left->backing || left->offset + (left->end - left->start) == right->offset);
}

void area_merge(struct mm *mm, struct area *area)
{
    struct area *previous = RB_PREV(area_tree, &mm->areas, area);
    if (previous && can_merge(previous, area)) {
        area_remove(mm, area);
        area_remove(mm, previous);
        previous->end = area->end;
        insert_plain(mm, previous);
        area_free(area);
        area = previous;
    }
    struct area *next = RB_NEXT(area_tree, &mm->areas, area);
    if (next && can_merge(area, next)) {
        area_remove(mm, next);
        area_remove(mm, area);
        area->end = next->end;
        insert_plain(mm, area);
        area_free(next);
    }
}

void area_insert(struct mm *mm, struct area *area)
{
    insert_plain(mm, area);
    area_merge(mm, area);
}

struct area *mm_find_from_locked(struct mm *mm, uint64_t addr)
{
    struct area *best = NULL;
    struct area *area = RB_ROOT(&mm->areas);
    while (area) {
        if (area->end > addr) {
            best = area;
            area = RB_LEFT(area, node);
        } else {
            area = RB_RIGHT(area, node);
        }
    }
    return best;
}

struct area *mm_find_locked(struct mm *mm, uint64_t addr)
{
    struct area *area = mm_find_from_locked(mm, addr);
    return area && area->start <= addr ? area : NULL;
}

struct area *mm_next_locked(struct area *area)
{
    return RB_NEXT(area_tree, NULL, area);
}

int area_split_at(struct mm *mm, uint64_t addr)
{
    struct area *area = mm_find_locked(mm, addr);
    if (!area || area->start == addr) {
        return 0;
    }
    if (mm->area_count >= tunables.max_map_count) {
        return -ENOMEM;
    }
    struct area *right = malloc(sizeof(*right));
    if (!right) {
        return -ENOMEM;
    }
    area_remove(mm, area);
    *right = *area;
    area_take_backing(right, area->backing);
    right->start = addr;
    right->offset = area->backing ? area->offset + (addr - area->start) : 0;
    area->end = addr;
    insert_plain(mm, area);
    insert_plain(mm, right);
    return 0;
}

void area_erase_range(struct mm *mm, uint64_t start, uint64_t end)
{
    struct area *area = mm_find_from_locked(mm, start);
    while (area && area->start < end) {
        struct area *next = mm_next_locked(area);
        area_remove(mm, area);
        area->next_garbage = mm->garbage;
        mm->garbage = area;
        area = next;
    }
}

bool area_range_free(struct mm *mm, uint64_t start, uint64_t end)
{
    struct area *area = mm_find_from_locked(mm, start);
    return !area || area->start >= end;
}

bool area_range_sealed(struct mm *mm, uint64_t start, uint64_t end)
{
    struct area *area = mm_find_from_locked(mm, start);
    for (; area && area->start < end; area = mm_next_locked(area)) {
        if (area->flags & AREA_SEALED) {
            return true;
        }
    }
    return false;
}

bool area_range_mapped(struct mm *mm, uint64_t start, uint64_t end)
{
    struct area *area = mm_find_locked(mm, start);
    while (area && area->end < end) {
        struct area *next = mm_next_locked(area);
        if (!next || next->start != area->end) {
            return false;
        }
        area = next;
    }
    return area != NULL;
}

uint64_t area_find_gap(struct mm *mm, uint64_t length, uint64_t hint)
{
    if (length == 0 || length > PLATFORM_GUEST_MAX - PLATFORM_GUEST_MIN) {
        return 0;
    }
    if (hint >= PLATFORM_GUEST_MIN && hint <= PLATFORM_GUEST_MAX - length &&
        area_range_free(mm, hint, hint + length)) {
        return hint;
    }
    uint64_t top = mm->mmap_base;
    struct area *area = mm_find_from_locked(mm, top - 1);
    if (!area || area->start >= top) {
        area = area ? RB_PREV(area_tree, &mm->areas, area) : RB_MAX(area_tree, &mm->areas);
    }
    for (; area; area = RB_PREV(area_tree, &mm->areas, area)) {
        if (area->end < top && top - area->end >= length) {
            return top - length;
        }
        top = min_of(top, area->start);
    }
    if (top >= length && top - length >= PLATFORM_GUEST_MIN) {
        return top - length;
    }
    /* Linux falls back to a bottom-up search above the base. */
    uint64_t bottom = mm->mmap_base;
    area = mm_find_from_locked(mm, bottom);
    for (; area; area = mm_next_locked(area)) {
        if (area->start > bottom && area->start - bottom >= length) {
            return bottom;
        }
        bottom = max_of(bottom, area->end);
    }
    return PLATFORM_GUEST_MAX - bottom >= length ? bottom : 0;
}

NO_THREAD_SAFETY_ANALYSIS void mm_lock(struct mm *mm)
{
    mutex_lock(&mm->lock);
}

NO_THREAD_SAFETY_ANALYSIS void mm_unlock(struct mm *mm)
{
    struct area *garbage = mm->garbage;
    mm->garbage = NULL;
    mutex_unlock(&mm->lock);
    while (garbage) {
        struct area *next = garbage->next_garbage;
        area_free(garbage);
        garbage = next;
    }
}
