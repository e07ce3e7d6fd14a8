/*
 * mm_plain.c: which guest memory is certainly private, anonymous and writable, known without taking
 * the area table's lock. Copies of results to such memory need no check by the host at once: see
 * copy_out_later in platform.h.
 */
#include <sys/mman.h>

#include "sentry/mm/area.h"
#include "sentry/mm/mm.h"

void mm_forget_plain(struct mm *mm)
{
    struct mm_plain *plain = &mm->plain;
    atomic_fetch_add(&plain->sequence, 1);
    for (size_t i = 0; i < MM_PLAIN_RANGES; i++) {
        atomic_store_explicit(&plain->end[i], 0, memory_order_relaxed);
    }
    atomic_fetch_add(&plain->sequence, 1);
}

bool mm_is_plain(struct mm *mm, uint64_t addr, size_t length)
{
    struct mm_plain *plain = &mm->plain;
    unsigned int sequence = atomic_load_explicit(&plain->sequence, memory_order_acquire);
    bool found = false;
    for (size_t i = 0; i < MM_PLAIN_RANGES && !found; i++) {
        uint64_t start = atomic_load_explicit(&plain->start[i], memory_order_relaxed);
        uint64_t end = atomic_load_explicit(&plain->end[i], memory_order_relaxed);
        found = addr >= start && addr < end && length <= end - addr;
    }
    atomic_thread_fence(memory_order_acquire);
    if (!found) {
        atomic_store_explicit(&plain->wanted, addr, memory_order_relaxed);
        return false;
    }
    return sequence % 2 == 0 &&
           atomic_load_explicit(&plain->sequence, memory_order_relaxed) == sequence;
}

void mm_learn_plain(struct mm *mm)
{
    struct mm_plain *plain = &mm->plain;
    uint64_t addr = atomic_exchange(&plain->wanted, 0);
    mm_lock(mm);
    struct area *area = mm_find_locked(mm, addr);
    if (area != NULL && area->backing == NULL && (area->prot & PROT_WRITE) != 0 &&
        (area->flags & (AREA_SHARED | AREA_VDSO | AREA_VVAR | AREA_SHM)) == 0) {
        unsigned int slot = atomic_fetch_add(&plain->next, 1) % MM_PLAIN_RANGES;
        atomic_fetch_add(&plain->sequence, 1);
        atomic_store_explicit(&plain->start[slot], area->start, memory_order_relaxed);
        atomic_store_explicit(&plain->end[slot], area->end, memory_order_relaxed);
        atomic_fetch_add(&plain->sequence, 1);
    }
    mm_unlock(mm);
}
