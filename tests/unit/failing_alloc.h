/*
 * failing_alloc.h: lets the Nth allocation fail. For tests called *_alloc_test.c, which are linked
 * with failing_alloc.c in the place of malloc, calloc, realloc and strdup. One thread at a time.
 */
#pragma once

#include <stdbool.h>

extern long alloc_countdown; /* allocations until one fails; negative: none fails */
extern bool alloc_failed;    /* one did; never cleared here */
