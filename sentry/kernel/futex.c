/*
 * futex.c: the hash of waiters. A waiter is on its caller's stack; its bucket's lock guards
 * `queued` and its key, which a requeue changes.
 */
#include "sentry/kernel/futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <time.h>

#include "sentry/core/clock.h"
#include "sentry/kernel/futex_internal.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/process.h"
#include "sentry/mm/mm.h"

#define BUCKET_COUNT      256
#define ROBUST_LIST_LIMIT 2048

static struct futex_bucket buckets[BUCKET_COUNT];

__attribute__((constructor)) static void futex_init(void)
{
    for (int i = 0; i < BUCKET_COUNT; i++) {
        mutex_init(&buckets[i].lock, RANK_FUTEX);
        TAILQ_INIT(&buckets[i].waiters);
    }
}

int futex_key_of(struct mm *mm, uint64_t addr, bool shared, bool write, struct futex_key *key)
{
    if (addr & 3) {
        return -EINVAL;
    }
    if (addr < PLATFORM_GUEST_MIN || addr >= PLATFORM_GUEST_MAX) {
        return -EFAULT;
    }
    if (!shared) {
        *key = (struct futex_key){.object = mm->id | 1ULL << 63, .offset = addr};
        return 0;
    }
    return mm_futex_key(mm, addr, write, &key->object, &key->offset);
}

struct futex_bucket *futex_bucket_of(const struct futex_key *key)
{
    uint64_t hash = (key->object * 0x9e3779b97f4a7c15ULL) ^ (key->offset * 0xc2b2ae3d27d4eb4fULL);
    return &buckets[(hash >> 32) % BUCKET_COUNT];
}

bool futex_key_equal(const struct futex_key *a, const struct futex_key *b)
{
    return a->object == b->object && a->offset == b->offset;
}

void futex_take_out(struct futex_bucket *bucket, struct futex_waiter *waiter)
{
    TAILQ_REMOVE(&bucket->waiters, waiter, link);
    waiter->queued = false;
}

static void waiter_wake(struct futex_bucket *bucket, struct futex_waiter *waiter)
{
    futex_take_out(bucket, waiter);
    sleeper_wake(&waiter->task->sleeper);
}

/* Takes the waiter out if it is still queued. True when it was (so it was not woken). */
bool futex_withdraw(struct futex_waiter *waiter)
{
    for (;;) {
        struct futex_bucket *bucket = atomic_load(&waiter->bucket);
        mutex_lock(&bucket->lock);
        if (bucket == atomic_load(&waiter->bucket)) {
            bool was = waiter->queued;
            if (was) {
                TAILQ_REMOVE(&bucket->waiters, waiter, link);
                waiter->queued = false;
            }
            mutex_unlock(&bucket->lock);
            return was;
        }
        mutex_unlock(&bucket->lock);
    }
}

bool futex_is_queued(struct futex_waiter *waiter)
{
    for (;;) {
        struct futex_bucket *bucket = atomic_load(&waiter->bucket);
        mutex_lock(&bucket->lock);
        if (bucket == atomic_load(&waiter->bucket)) {
            bool queued = waiter->queued;
            mutex_unlock(&bucket->lock);
            return queued;
        }
        mutex_unlock(&bucket->lock);
    }
}

/* The monotonic time to sleep until; a realtime deadline is looked at again each second. */
uint64_t futex_sleep_until(uint64_t deadline_ns, bool realtime)
{
    if (deadline_ns == SLEEP_FOREVER || !realtime) {
        return deadline_ns;
    }
    uint64_t now = clock_ns(CLOCK_REALTIME);
    uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
    return clock_monotonic_ns() + min_of(left, NSEC_PER_SEC);
}

bool futex_deadline_passed(uint64_t deadline_ns, bool realtime)
{
    return deadline_ns != SLEEP_FOREVER &&
           clock_ns(realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC) >= deadline_ns;
}

int futex_enqueue(struct futex_waiter *waiter, uint64_t addr, uint32_t expected)
{
    struct futex_bucket *bucket = futex_bucket_of(&waiter->key);
    atomic_init(&waiter->bucket, bucket);
    mutex_lock(&bucket->lock);
    uint32_t value;
    int result = mm_copy_in(waiter->task->mm, addr, &value, sizeof(value));
    if (result == 0 && value != expected) {
        result = -EAGAIN;
    }
    if (result == 0) {
        waiter->queued = true;
        TAILQ_INSERT_TAIL(&bucket->waiters, waiter, link);
    }
    mutex_unlock(&bucket->lock);
    return result;
}

int futex_wait(struct task *task, uint64_t addr, bool shared, uint32_t expected, uint32_t bitset,
               uint64_t deadline_ns, bool realtime)
{
    if (bitset == 0) {
        return -EINVAL;
    }
    struct futex_waiter waiter = {.task = task, .bitset = bitset};
    int result = futex_key_of(task->mm, addr, shared, false, &waiter.key);
    if (result != 0) {
        return result;
    }
    task_sleep_prepare();
    result = futex_enqueue(&waiter, addr, expected);
    if (result != 0) {
        return result;
    }
    for (;;) {
        result = task_sleep(futex_sleep_until(deadline_ns, realtime));
        if (!futex_is_queued(&waiter)) {
            return 0;
        }
        if (result == -ERESTARTSYS) {
            break;
        }
        if (futex_deadline_passed(deadline_ns, realtime)) {
            result = -ETIMEDOUT;
            break;
        }
        task_sleep_prepare();
        if (!futex_is_queued(&waiter)) {
            return 0;
        }
    }
    return futex_withdraw(&waiter) ? result : 0;
}

int futex_wake(struct mm *mm, uint64_t addr, bool shared, int count, uint32_t bitset)
{
    struct futex_key key;
    if (bitset == 0) {
        return -EINVAL;
    }
    int result = futex_key_of(mm, addr, shared, false, &key);
    if (result != 0) {
        return result;
    }
    uint32_t word;
    if (shared && mm_copy_in(mm, addr, &word, sizeof(word)) != 0) {
        return -EFAULT; /* Linux: the page of a shared word is looked up: it may be truncated */
    }
    if (futex_pi_is_locked(&key)) {
        return -EINVAL;
    }
    struct futex_bucket *bucket = futex_bucket_of(&key);
    int woken = 0;
    struct futex_waiter *waiter;
    struct futex_waiter *next;
    mutex_lock(&bucket->lock);
    TAILQ_FOREACH_SAFE (waiter, &bucket->waiters, link, next) {
        if (futex_key_equal(&waiter->key, &key) && waiter->pi) {
            woken = -EINVAL; /* it waits to be moved to a lock with priority inheritance */
            break;
        }
        if (futex_key_equal(&waiter->key, &key) && (waiter->bitset & bitset)) {
            waiter_wake(bucket, waiter);
            if (++woken >= count) {
                break; /* Linux: a count of 0 or less still wakes one */
            }
        }
    }
    mutex_unlock(&bucket->lock);
    return woken;
}

int futex_requeue(struct task *task, uint64_t addr, uint64_t addr2, bool shared, int wake_count,
                  int requeue_count, const uint32_t *expected)
{
    struct futex_key key;
    struct futex_key key2;
    if (wake_count < 0 || requeue_count < 0) {
        return -EINVAL;
    }
    int result = futex_key_of(task->mm, addr, shared, false, &key);
    if (result == 0) {
        result = futex_key_of(task->mm, addr2, shared, false, &key2);
    }
    if (result != 0) {
        return result;
    }
    struct futex_bucket *bucket = futex_bucket_of(&key);
    struct futex_bucket *bucket2 = futex_bucket_of(&key2);
    int woken = 0;
    int moved = 0;
    mutex_lock_two(&bucket->lock, &bucket2->lock);
    uint32_t value;
    if (expected) {
        result = mm_copy_in(task->mm, addr, &value, sizeof(value));
        if (result == 0 && value != *expected) {
            result = -EAGAIN;
        }
    }
    struct futex_waiter *waiter;
    struct futex_waiter *next;
    TAILQ_FOREACH_SAFE (waiter, &bucket->waiters, link, next) {
        if (result != 0 || (woken >= wake_count && moved >= requeue_count)) {
            break;
        }
        if (!futex_key_equal(&waiter->key, &key)) {
            continue;
        }
        if (waiter->pi) {
            result = -EINVAL;
            break;
        }
        if (woken < wake_count) {
            waiter_wake(bucket, waiter);
            woken++;
        } else if (!futex_key_equal(&key, &key2)) {
            TAILQ_REMOVE(&bucket->waiters, waiter, link);
            waiter->key = key2;
            atomic_store(&waiter->bucket, bucket2);
            TAILQ_INSERT_TAIL(&bucket2->waiters, waiter, link);
            moved++;
        } else {
            moved++;
        }
    }
    mutex_unlock_two(&bucket->lock, &bucket2->lock);
    if (result != 0) {
        return result;
    }
    return woken + moved;
}

static int sign_extend_12(uint32_t value)
{
    return (int)(value << 20) >> 20;
}

/* Applies the operation atomically to the guest word; *ret_match is the comparison's outcome. */
static int apply_operation(struct task *task, uint64_t addr, uint32_t encoded, bool *ret_match)
{
    int operation = encoded >> 28 & 7;
    int comparison = encoded >> 24 & 15;
    int argument = sign_extend_12(encoded >> 12 & 0xfff);
    int compare_to = sign_extend_12(encoded & 0xfff);
    if (encoded & (uint32_t)FUTEX_OP_OPARG_SHIFT << 28) {
        argument = (int)(1U << (argument & 31));
    }
    if (operation > FUTEX_OP_XOR || comparison > FUTEX_OP_CMP_GE) {
        return -ENOSYS;
    }
    const struct platform_ops *ops = kernel.platform_ops;
    uint32_t old;
    int result = ops->thread_atomic(task->platform_thread, addr, PLATFORM_ATOMIC_LOAD, 0, 0, &old);
    for (int tries = 0; result == 0; tries++) {
        uint32_t operand = (uint32_t)argument;
        uint32_t values[] = {operand, old + operand, old | operand, old & ~operand, old ^ operand};
        uint32_t seen;
        result = ops->thread_atomic(task->platform_thread, addr, PLATFORM_ATOMIC_CMPXCHG, old,
                                    values[operation], &seen);
        if (result == 0 && seen == old) {
            break;
        }
        if (tries > 1000) {
            return -EAGAIN;
        }
        old = seen;
    }
    if (result != 0) {
        return result;
    }
    int value = (int)old;
    bool matches[] = {value == compare_to, value != compare_to,
                      value<compare_to, value <= compare_to, value> compare_to,
                      value >= compare_to};
    *ret_match = matches[comparison];
    return 0;
}

int futex_wake_op(struct task *task, uint64_t addr, uint64_t addr2, bool shared, int count,
                  int count2, uint32_t operation)
{
    struct futex_key key;
    int result = futex_key_of(task->mm, addr, shared, false, &key);
    if (result == 0) {
        result = futex_key_of(task->mm, addr2, shared, true, &key);
    }
    bool match = false;
    if (result == 0) {
        result = apply_operation(task, addr2, operation, &match);
    }
    if (result != 0) {
        return result;
    }
    int woken = futex_wake(task->mm, addr, shared, count, FUTEX_ANY);
    if (woken >= 0 && match) {
        int more = futex_wake(task->mm, addr2, shared, count2, FUTEX_ANY);
        woken = more < 0 ? more : woken + more;
    }
    return woken;
}

/* One robust mutex of a dying thread: marks it and wakes a waiter (Linux: handle_futex_death). */
static int robust_death(struct task *task, uint64_t addr, bool pi, bool pending)
{
    const struct platform_ops *ops = kernel.platform_ops;
    uint32_t value;
    if (addr & 3) {
        return -EINVAL;
    }
    int result =
        ops->thread_atomic(task->platform_thread, addr, PLATFORM_ATOMIC_LOAD, 0, 0, &value);
    for (int tries = 0; result == 0 && tries < 1000; tries++) {
        if (pending && !pi && value == 0) {
            ignore_result(futex_wake(task->mm, addr, true, 1, FUTEX_ANY));
            return 0;
        }
        if ((value & FUTEX_TID_MASK) != (uint32_t)task->tid) {
            return 0;
        }
        uint32_t seen;
        result = ops->thread_atomic(task->platform_thread, addr, PLATFORM_ATOMIC_CMPXCHG, value,
                                    (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &seen);
        if (result == 0 && seen == value) {
            if (!pi && (value & FUTEX_WAITERS)) { /* futex_pi_exit hands over */
                ignore_result(futex_wake(task->mm, addr, true, 1, FUTEX_ANY));
            }
            return 0;
        }
        value = seen;
    }
    return result;
}

static void walk_robust_list(struct task *task)
{
    struct {
        uint64_t next;
        int64_t futex_offset;
        uint64_t pending;
    } head;
    uint64_t list = task->robust_list;
    task->robust_list = 0;
    if (list == 0 || mm_copy_in(task->mm, list, &head, sizeof(head)) != 0) {
        return;
    }
    uint64_t entry = head.next & ~1ULL; /* bit 0: a lock with priority inheritance */
    bool pi = head.next & 1;
    uint64_t pending = head.pending & ~1ULL;
    for (int i = 0; i < ROBUST_LIST_LIMIT && entry != list; i++) {
        uint64_t next;
        int got_next = mm_copy_in(task->mm, entry, &next, sizeof(next));
        if (entry != pending &&
            robust_death(task, entry + (uint64_t)head.futex_offset, pi, false) != 0) {
            return;
        }
        if (got_next != 0) {
            return;
        }
        entry = next & ~1ULL;
        pi = next & 1;
    }
    if (pending != 0) {
        ignore_result(
            robust_death(task, pending + (uint64_t)head.futex_offset, head.pending & 1, true));
    }
}

void futex_task_exit(struct task *task)
{
    walk_robust_list(task);
    futex_pi_exit(task);
    uint64_t addr = task->clear_child_tid;
    task->clear_child_tid = 0;
    if (addr != 0) {
        /* Linux: mm_release: only when others may look at the word. */
        uint32_t zero = 0;
        if (mm_copy_out(task->mm, addr, &zero, sizeof(zero)) == 0) {
            ignore_result(futex_wake(task->mm, addr, true, 1, FUTEX_ANY));
        }
    }
}
