/*
 * mm_map.c: mmap, munmap, brk. The host is asked first, then the table is changed; where the host
 * has done part of a request that then fails, the table is made to say what the host has.
 */
#include <errno.h>
#include <sys/mman.h>

#include "sentry/mm/area.h"
#include "sentry/mm/mm.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

uint64_t mm_overcommit_limit = UINT64_MAX;

static int choose_address(struct mm *mm, const struct mm_map_request *request, uint64_t length,
                          uint64_t *ret_addr)
{
    uint64_t addr = request->addr;
    if (request->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
        if (addr & ~PAGE_MASK) {
            return -EINVAL;
        }
        if (length > PLATFORM_GUEST_MAX || addr > PLATFORM_GUEST_MAX - length) {
            return -ENOMEM;
        }
        if (addr < PLATFORM_GUEST_MIN) {
            return -EPERM; /* Linux: below mmap_min_addr without CAP_SYS_RAWIO */
        }
        if ((request->flags & MAP_FIXED_NOREPLACE) && !area_range_free(mm, addr, addr + length)) {
            return -EEXIST;
        }
        *ret_addr = addr;
        return 0;
    }
    if ((request->flags & MAP_32BIT) && !(addr && addr + length <= 1ULL << 31)) {
        uint64_t base = mm->mmap_base;
        mm->mmap_base = 1ULL << 31;
        addr = area_find_gap(mm, length, 0);
        mm->mmap_base = base;
        if (addr == 0 || addr + length > 1ULL << 31) {
            return -ENOMEM;
        }
        *ret_addr = addr;
        return 0;
    }
    addr = area_find_gap(mm, length, addr & PAGE_MASK);
    if (addr == 0) {
        return -ENOMEM;
    }
    *ret_addr = addr;
    return 0;
}

/* RLIMIT_AS, RLIMIT_DATA, and RLIMIT_MEMLOCK for MAP_LOCKED. */
static int check_limits(struct mm *mm, const struct mm_map_request *request, uint64_t length)
{
    if (length > mm->limit_as || mm->total_bytes > mm->limit_as - length) {
        return -ENOMEM;
    }
    bool data = (request->prot & PROT_WRITE) && !(request->flags & MAP_SHARED) &&
                !(request->area_flags & AREA_STACK);
    if (data && (length > mm->limit_data || mm->data_bytes > mm->limit_data - length)) {
        return -ENOMEM;
    }
    if (data && !(request->flags & MAP_NORESERVE) && length > mm_overcommit_limit) {
        return -ENOMEM;
    }
    if ((request->flags & MAP_LOCKED) &&
        (length > mm->limit_memlock || mm->locked_bytes > mm->limit_memlock - length)) {
        return -EAGAIN;
    }
    return 0;
}

static unsigned area_flags_of(const struct mm_map_request *request)
{
    unsigned flags = request->area_flags;
    flags |= request->flags & MAP_SHARED ? AREA_SHARED : 0U;
    flags |= request->flags & MAP_NORESERVE ? AREA_NORESERVE : 0U;
    flags |= request->flags & MAP_LOCKED ? AREA_LOCKED : 0U;
    flags |= request->flags & MAP_GROWSDOWN ? AREA_GROWSDOWN : 0U;
    return flags;
}

static int map_on_host(struct mm *mm, const struct area *area, const struct mm_source *source)
{
    int flags = area->flags & AREA_SHARED ? MAP_SHARED : MAP_PRIVATE;
    int fd = source->fd;
    uint64_t offset = source->offset;
    if (fd < 0) {
        flags = MAP_PRIVATE | MAP_ANONYMOUS;
        offset = 0;
    }
    return mm->platform->space_map(mm->space, area->start, area->end - area->start, area->prot,
                                   flags | MAP_NORESERVE, fd, offset);
}

/* Removes [start, end) from the table, boundaries split. */
static int clear_table(struct mm *mm, uint64_t start, uint64_t end)
{
    int result = area_split_at(mm, start);
    if (result == 0) {
        result = area_split_at(mm, end);
    }
    if (result == 0) {
        area_erase_range(mm, start, end);
    }
    return result;
}

static int map_locked(struct mm *mm, const struct mm_map_request *request, struct area *area)
{
    if (area_range_sealed(mm, area->start, area->end)) {
        return -EPERM;
    }
    int result = area_split_at(mm, area->start);
    if (result == 0) {
        result = area_split_at(mm, area->end);
    }
    if (result != 0) {
        return result;
    }
    struct mm_source source = request->source;
    if (!request->backing) {
        source.fd = -1;
    } else if (source.anonymous) {
        source.fd = -1;
    }
    result = map_on_host(mm, area, &source);
    if (result != 0) {
        return result;
    }
    area_erase_range(mm, area->start, area->end);
    area_insert(mm, area);
    return 0;
}

int mm_map(struct mm *mm, const struct mm_map_request *request, uint64_t *ret_addr)
{
    uint64_t length = page_round_up(request->length);
    if (request->length == 0) {
        return -EINVAL;
    }
    if (length == 0 || length > PLATFORM_GUEST_MAX) {
        return -ENOMEM;
    }
    struct mm_map_request local = *request;
    struct mm_backing *shared = NULL;
    if (!request->backing && (request->flags & MAP_SHARED)) {
        int result = shared_memory_new(length, "/dev/zero (deleted)", &shared);
        if (result != 0) {
            return result;
        }
        local.backing = shared;
        local.offset = 0;
        local.source = (struct mm_source){.fd = shared_memory_fd(shared)};
        if (local.max_prot == 0) { /* else: /dev/zero, as it was opened */
            local.max_prot = PROT_READ | PROT_WRITE | PROT_EXEC;
        }
    }
    struct area *area = area_new(0, 0);
    int result = area ? 0 : -ENOMEM;
    mm_lock(mm);
    uint64_t addr = 0;
    if (result == 0) {
        result = choose_address(mm, &local, length, &addr);
    }
    if (result == 0) {
        result = check_limits(mm, &local, length);
    }
    if (result == 0) {
        area->start = addr;
        area->end = addr + length;
        area->prot = local.prot;
        area->flags = area_flags_of(&local);
        if (local.backing) {
            area_take_backing(area, local.backing);
            area->offset = local.offset;
            area->max_prot = local.max_prot;
        }
        result = map_locked(mm, &local, area);
        if (result == 0) {
            area = NULL;
            *ret_addr = addr;
        }
    }
    mm_unlock(mm);
    if (area) {
        area_free(area);
    }
    if (shared) {
        shared->ops->unref(shared);
    }
    return result;
}

int mm_unmap(struct mm *mm, uint64_t addr, uint64_t length)
{
    if ((addr & ~PAGE_MASK) || length == 0 || length > PLATFORM_GUEST_MAX ||
        addr > PLATFORM_GUEST_MAX - length) {
        return -EINVAL;
    }
    length = page_round_up(length);
    uint64_t end = addr + length;
    addr = max_of(addr, (uint64_t)PLATFORM_GUEST_MIN);
    if (addr >= end) {
        return 0;
    }
    mm_lock(mm);
    int result = area_range_sealed(mm, addr, end) ? -EPERM : 0;
    if (result == 0 && !area_range_free(mm, addr, end)) {
        result = mm->platform->space_unmap(mm->space, addr, end - addr);
        if (result == 0) {
            result = clear_table(mm, addr, end);
        }
    }
    mm_unlock(mm);
    return result;
}

/* The next piece of the segment attached at addr: the same backing, still where it was mapped. */
static struct area *attached_piece(struct mm *mm, uint64_t from, uint64_t addr,
                                   const struct mm_backing *backing)
{
    struct area *area = mm_find_from_locked(mm, from);
    for (; area; area = mm_next_locked(area)) {
        if ((area->flags & AREA_SHM) && area->start >= addr && area->start - addr == area->offset &&
            (!backing || area->backing == backing)) {
            return area;
        }
    }
    return NULL;
}

int mm_detach(struct mm *mm, uint64_t addr)
{
    mm_lock(mm);
    struct area *area = attached_piece(mm, addr, addr, NULL);
    struct mm_backing *backing = area ? area->backing : NULL;
    int result = area ? 0 : -EINVAL;
    while (area && result == 0) {
        uint64_t start = area->start;
        uint64_t end = area->end;
        result = area->flags & AREA_SEALED
                     ? -EPERM
                     : mm->platform->space_unmap(mm->space, start, end - start);
        if (result == 0) {
            result = clear_table(mm, start, end);
        }
        area = attached_piece(mm, end, addr, backing);
    }
    mm_unlock(mm); /* the backing's references go here at the earliest */
    return result;
}

static int brk_grow(struct mm *mm, uint64_t from, uint64_t to)
{
    struct mm_map_request request = {
        .prot = PROT_READ | PROT_WRITE, .flags = MAP_PRIVATE, .area_flags = AREA_HEAP};
    if (!area_range_free(mm, from, to + PAGE_SIZE) || to > PLATFORM_GUEST_MAX) {
        return -ENOMEM; /* a guard page stays free behind the heap, as in Linux */
    }
    int result = check_limits(mm, &request, to - from);
    if (result != 0) {
        return result;
    }
    struct area *area = area_new(from, to);
    if (!area) {
        return -ENOMEM;
    }
    area->prot = request.prot;
    area->flags = AREA_HEAP;
    struct mm_source none = {.fd = -1};
    result = map_on_host(mm, area, &none);
    if (result != 0) {
        area_free(area);
        return result;
    }
    area_insert(mm, area);
    return 0;
}

uint64_t mm_brk(struct mm *mm, uint64_t addr)
{
    mm_lock(mm);
    if (addr >= mm->brk_start && addr < PLATFORM_GUEST_MAX &&
        addr - mm->brk_start <= mm->limit_data) {
        uint64_t old_end = page_round_up(mm->brk);
        uint64_t new_end = page_round_up(addr);
        int result = 0;
        if (new_end > old_end) {
            result = brk_grow(mm, old_end, new_end);
        } else if (new_end < old_end && area_range_sealed(mm, new_end, old_end)) {
            result = -EPERM;
        } else if (new_end < old_end) {
            result = mm->platform->space_unmap(mm->space, new_end, old_end - new_end);
            if (result == 0) {
                result = clear_table(mm, new_end, old_end);
            }
        }
        if (result == 0) {
            mm->brk = addr;
        }
    }
    uint64_t brk = mm->brk;
    mm_unlock(mm);
    return brk;
}

#define STACK_LIMIT_MAX (1ULL << 30)
#define STACK_SLACK     (64ULL << 10)

static void grow_stack(struct mm *mm, const struct area *stack, uint64_t start)
{
    if (!area_range_free(mm, start - PAGE_SIZE, stack->start)) {
        return; /* something is in the way, as it may be in Linux */
    }
    struct area *more = area_new(start, stack->start);
    if (!more) {
        return;
    }
    more->prot = stack->prot;
    more->flags = stack->flags;
    struct mm_source none = {.fd = -1};
    if (map_on_host(mm, more, &none) != 0) {
        area_free(more);
        return;
    }
    area_insert(mm, more);
}

void mm_set_stack_limit(struct mm *mm, uint64_t limit, uint64_t sp)
{
    mm_lock(mm);
    mm->limit_stack = limit;
    struct area *stack = mm_find_locked(mm, mm->start_stack);
    if (stack && (stack->flags & AREA_STACK)) {
        uint64_t size = min_of(page_round_up(min_of(limit, STACK_LIMIT_MAX)), stack->end);
        uint64_t start = max_of(stack->end - size, (uint64_t)PLATFORM_GUEST_MIN + PAGE_SIZE);
        if (start > stack->start) {
            bool on_stack = sp >= stack->start && sp < stack->end;
            uint64_t used = on_stack ? (sp - min_of(sp, STACK_SLACK)) & PAGE_MASK : stack->end;
            uint64_t end = min_of(start, used);
            if (end > stack->start &&
                mm->platform->space_unmap(mm->space, stack->start, end - stack->start) == 0) {
                ignore_result(clear_table(mm, stack->start, end));
            }
        } else if (start < stack->start) {
            grow_stack(mm, stack, start);
        }
    }
    mm_unlock(mm);
}
