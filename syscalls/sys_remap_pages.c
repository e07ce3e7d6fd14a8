/* sys_remap_pages.c: remap_file_pages, which is mmap of what is mapped there already. Source: Linux
 * mm/mmap.c. */
#include <sys/mman.h>

#include "syscalls/syscall.h"

/* The shared mapping that covers all of [start, end): a reference to its backing, and what it may
 * do. */
static int find_mapping(struct mm *mm, uint64_t start, uint64_t end, struct area *ret_area)
{
    int result = -EINVAL;
    mm_lock(mm);
    struct area *area = mm_find_locked(mm, start);
    struct mm_backing *backing = area ? area->backing : NULL;
    if (area && (area->flags & AREA_SHARED) && backing && backing->ops->source) {
        *ret_area = *area;
        while (area && area->backing == backing && area->flags == ret_area->flags &&
               area->prot == ret_area->prot && area->end < end) {
            struct area *next = mm_next_locked(area);
            area = next && next->start == area->end ? next : NULL;
        }
        if (area && area->backing == backing && area->prot == ret_area->prot) {
            backing->ops->ref(backing);
            result = 0;
        }
    }
    mm_unlock(mm);
    return result;
}

long sys_remap_file_pages(struct task *task, const struct syscall_args *args)
{
    uint64_t start = args->arg[0] & PAGE_MASK;
    uint64_t length = args->arg[1] & PAGE_MASK;
    uint64_t page = args->arg[3];
    struct area area;
    if (args->arg[2] != 0 || start + length <= start ||
        page + length / PAGE_SIZE > INT64_MAX / PAGE_SIZE) {
        return -EINVAL;
    }
    int result = find_mapping(task->mm, start, start + length, &area);
    if (result != 0) {
        return result;
    }
    struct mm_map_request request = {
        .addr = start,
        .length = length,
        .prot = area.prot,
        .flags = MAP_SHARED | MAP_FIXED,
        .area_flags = area.flags & AREA_SHM,
        .backing = area.backing,
        .offset = page * PAGE_SIZE,
        .max_prot = area.max_prot,
    };
    result =
        area.backing->ops->source(area.backing, request.offset, length, area.prot, &request.source);
    if (result == 0) {
        result = mm_map(task->mm, &request, &start);
    }
    area.backing->ops->unref(area.backing);
    return result;
}
