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
