/*
 * refcount.h: shared lifetime. Misuse (0 to 1, below 0, overflow) traps: it is our own mistake.
 *
 * Convention: x_ref(x) takes and returns a reference; x_unref(x) drops it, accepts NULL and
 * returns NULL.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

struct refcount {
    atomic_int count;
};

static inline void refcount_init(struct refcount *ref)
{
    atomic_init(&ref->count, 1);
}

static inline void refcount_get(struct refcount *ref)
{
    int old = atomic_fetch_add_explicit(&ref->count, 1, memory_order_relaxed);
    if (old <= 0 || old > 0x3fffffff) {
        __builtin_trap();
    }
}

/* Takes a reference unless the count has already reached zero. For look-ups in weak tables. */
static inline bool refcount_get_unless_zero(struct refcount *ref)
{
    int old = atomic_load_explicit(&ref->count, memory_order_relaxed);
    while (old > 0) {
        if (atomic_compare_exchange_weak_explicit(&ref->count, &old, old + 1, memory_order_acquire,
                                                  memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

/* Returns true when this was the last reference: the caller then frees the object. */
static inline bool refcount_put(struct refcount *ref)
{
    int old = atomic_fetch_sub_explicit(&ref->count, 1, memory_order_acq_rel);
    if (old <= 0) {
        __builtin_trap();
    }
    return old == 1;
}
