/* area.h: the area table's inner operations; used by sentry/mm only. Locked throughout. */
#pragma once

#include "sentry/mm/mm.h"

RB_PROTOTYPE(area_tree, area, node, area_compare)

struct area *area_new(uint64_t start, uint64_t end) must_check;
void area_free(struct area *area); /* drops the backing */
/* Gives the area, which is new, a reference of its own to the backing (NULL: nothing). */
void area_take_backing(struct area *area, struct mm_backing *backing);
/* Inserts and merges with equal neighbours; accounts. The area is consumed. */
void area_insert(struct mm *mm, struct area *area);
void area_remove(struct mm *mm, struct area *area); /* unlinks and accounts; does not free */
/* Makes addr a boundary. -ENOMEM. */
int area_split_at(struct mm *mm, uint64_t addr) must_check;
/* Merges area with its neighbours where they are equal and adjacent. */
void area_merge(struct mm *mm, struct area *area);
/* Removes the table entries of a range (boundaries split before); mm_unlock frees them. */
void area_erase_range(struct mm *mm, uint64_t start, uint64_t end);
/* A free range of length below the search base; 0 when there is none. */
uint64_t area_find_gap(struct mm *mm, uint64_t length, uint64_t hint);
bool area_range_free(struct mm *mm, uint64_t start, uint64_t end);
/* Is any page of the range sealed? */
bool area_range_sealed(struct mm *mm, uint64_t start, uint64_t end);
/* True when every page of the range is mapped. */
bool area_range_mapped(struct mm *mm, uint64_t start, uint64_t end);
/* The area table changes: nothing is known to be plain memory any more. */
void mm_forget_plain(struct mm *mm);
/* Is all of the range known to be private, anonymous and writable? Takes no lock. */
bool mm_is_plain(struct mm *mm, uint64_t addr, size_t length);
