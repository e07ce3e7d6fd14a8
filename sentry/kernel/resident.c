/*
 * resident.c: see resident.h. The peak is the process's max_rss (K); areas are walked under the
 * address space's lock.
 */
#include "sentry/kernel/resident.h"

#include <sys/mman.h>

#include "sentry/core/clock.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"

#define CHUNK     4096         /* pages asked at once */
#define AREA_MAX  (8ULL << 30) /* looked at of one area */
#define STACK_MIN (128U * 1024)
#define RECENT_NS 10000000ULL

uint64_t resident_area_locked(struct mm *mm, const struct area *area)
{
    unsigned char pages[CHUNK];
    uint64_t end = area->start + min_of(area->end - area->start, AREA_MAX);
    uint64_t count = 0;
    if (area->prot == PROT_NONE || (area->flags & (AREA_VDSO | AREA_VVAR)) != 0) {
        return 0;
    }
    for (uint64_t at = area->start; at < end;) {
        uint64_t length = min_of(end - at, CHUNK * PAGE_SIZE);
        if (mm->platform->space_mincore(mm->space, at, length, pages) < 0) {
            break;
        }
        for (uint64_t i = 0; i < length / PAGE_SIZE; i++) {
            count += pages[i] & 1;
        }
        at += length;
    }
    return count * PAGE_SIZE;
}

static uint64_t measure(struct mm *mm)
{
    uint64_t total = 0;
    mm_lock(mm);
    for (struct area *area = mm_find_from_locked(mm, 0); area != NULL;
         area = mm_next_locked(area)) {
        uint64_t size = area->end - area->start;
        if (area->prot == PROT_NONE || (area->flags & (AREA_VDSO | AREA_VVAR)) != 0) {
            continue;
        }
        if ((area->flags & AREA_STACK) != 0 && mm->data_bytes <= RESIDENT_SMALL * 4) {
            total += min_of(size, (uint64_t)STACK_MIN); /* a small program: not worth a request */
        } else if (size <= RESIDENT_SMALL ||
                   (area->backing != NULL && (area->prot & PROT_WRITE) == 0)) {
            total += size;
        } else {
            total += resident_area_locked(mm, area);
        }
    }
    mm_unlock(mm);
    return total;
}

void resident_note(struct task *task)
{
    if (task->mm == NULL) {
        return;
    }
    uint64_t now = measure(task->mm);
    mutex_lock(&kernel_lock);
    struct process *process = task->process;
    process->max_rss = max_of(process->max_rss, now);
    process->max_rss_noted_ns = clock_monotonic_ns();
    mutex_unlock(&kernel_lock);
}

uint64_t resident_peak(struct task *task)
{
    uint64_t now = clock_monotonic_ns();
    mutex_lock(&kernel_lock);
    bool recent = task->process->max_rss_noted_ns + RECENT_NS > now;
    mutex_unlock(&kernel_lock);
    if (!recent) {
        resident_note(task);
    }
    mutex_lock(&kernel_lock);
    uint64_t peak = task->process->max_rss;
    mutex_unlock(&kernel_lock);
    return peak;
}
