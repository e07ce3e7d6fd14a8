/*
 * futex.h: futexes. Source: futex(2), Linux kernel/futex. Keys: (object, offset) for shared words,
 * (address space, address) for private ones. The guest's word is read under the bucket's lock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"

struct task;
struct mm;

#define FUTEX_ANY 0xffffffffU

/* Sleeps while *addr == expected. 0 woken; -EAGAIN, -EFAULT, -EINVAL, -ETIMEDOUT, -ERESTARTSYS. */
int futex_wait(struct task *task, uint64_t addr, bool shared, uint32_t expected, uint32_t bitset,
               uint64_t deadline_ns, bool realtime) must_check;
/* Returns how many were woken. */
int futex_wake(struct mm *mm, uint64_t addr, bool shared, int count, uint32_t bitset) must_check;
/* Wakes wake_count at addr, moves up to requeue_count to addr2. expected NULL: no comparison.
 * Returns woken + moved. */
int futex_requeue(struct task *task, uint64_t addr, uint64_t addr2, bool shared, int wake_count,
                  int requeue_count, const uint32_t *expected) must_check;
/* FUTEX_WAKE_OP with the encoded operation. */
int futex_wake_op(struct task *task, uint64_t addr, uint64_t addr2, bool shared, int count,
                  int count2, uint32_t operation) must_check;

/* One of several words to wait for (futex_waitv). */
struct futex_word {
    uint64_t addr;
    uint32_t expected;
    bool shared;
};
#define FUTEX_WORDS_MAX 128
/* Sleeps while all have their expected values; the index of one that was woken. */
int futex_wait_many(struct task *task, const struct futex_word *words, unsigned count,
                    uint64_t deadline_ns, bool realtime) must_check;

/*
 * Locks with priority inheritance (futex_pi.c). The word holds the owner's tid; the kernel hands
 * the lock to the first waiter. DIFFERS: no priority is inherited, because guests have none.
 */
int futex_lock_pi(struct task *task, uint64_t addr, bool shared, bool try_only,
                  uint64_t deadline_ns, bool realtime) must_check;
int futex_unlock_pi(struct task *task, uint64_t addr, bool shared) must_check;
/* Waits at addr to be moved to the lock at addr2; returns with the lock held. */
int futex_wait_requeue_pi(struct task *task, uint64_t addr, uint64_t addr2, bool shared,
                          uint32_t expected, uint64_t deadline_ns, bool realtime) must_check;
int futex_cmp_requeue_pi(struct task *task, uint64_t addr, uint64_t addr2, bool shared,
                         int wake_count, int requeue_count, uint32_t expected) must_check;
