/*
 * resident.h: how much of a process's memory is there, for ru_maxrss and VmHWM.
 *
 * The host knows what is resident, and asking it costs a request for every 16 MB. So areas of
 * RESIDENT_SMALL bytes and less count in full, and the peak is looked at only when it can fall or
 * is asked for: a large unmapping, exec, exit, getrusage. Linux: mm's hiwater_rss, which is exact.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RESIDENT_SMALL (256U * 1024)
#define RESIDENT_LARGE (32U << 20) /* an unmapping worth a look */

struct area;
struct mm;
struct task;

/* Resident bytes of one area, by mincore. The address space is locked. */
uint64_t resident_area_locked(struct mm *mm, const struct area *area);
/* Raises the peak of the calling task's process to what is there now. No lock is held. */
void resident_note(struct task *task);
/* The peak in bytes, noted before when that is not very recent. */
uint64_t resident_peak(struct task *task);
