/* futex_internal.h: waiters and their hash, between the futex*.c files. */
#pragma once

#include "platform/base/lock.h"
#include "platform/base/queue.h"
#include "sentry/kernel/futex.h"
#include "sentry/kernel/task.h"

struct futex_key {
    uint64_t object, offset;
};

struct futex_pi_waiter;

/* On its caller's stack. Its bucket's lock guards `queued` and the key, which a requeue changes. */
struct futex_waiter {
    TAILQ_ENTRY(futex_waiter) link;
    struct futex_key key;
    struct futex_bucket *_Atomic bucket; /* changes under both buckets' locks */
    struct task *task;
    uint32_t bitset;
    bool queued;
    struct futex_pi_waiter *pi; /* FUTEX_WAIT_REQUEUE_PI: waits to be moved to pi_key; else NULL */
    struct futex_key pi_key;
};

struct futex_bucket {
    struct mutex lock;
    TAILQ_HEAD(, futex_waiter) waiters;
};

int futex_key_of(struct mm *mm, uint64_t addr, bool shared, bool write,
                 struct futex_key *key) must_check;
struct futex_bucket *futex_bucket_of(const struct futex_key *key);
bool futex_key_equal(const struct futex_key *a, const struct futex_key *b);
/* Queues the waiter if the word has the expected value. -EAGAIN, -EFAULT. */
int futex_enqueue(struct futex_waiter *waiter, uint64_t addr, uint32_t expected) must_check;
/* Out of its queue; the bucket is locked. */
void futex_take_out(struct futex_bucket *bucket, struct futex_waiter *waiter);
bool futex_is_queued(struct futex_waiter *waiter);
/* Takes the waiter out if it is still queued. True when it was (so it was not woken). */
bool futex_withdraw(struct futex_waiter *waiter);
/* The monotonic time to sleep until; a realtime deadline is looked at again each second. */
uint64_t futex_sleep_until(uint64_t deadline_ns, bool realtime);
bool futex_deadline_passed(uint64_t deadline_ns, bool realtime);

/* Do tasks wait for the lock with this key? */
bool futex_pi_is_locked(const struct futex_key *key);
/* The task ends (or execs): its locks go to their first waiters. */
void futex_pi_exit(struct task *task);
