/*
 * futex_pi.c: locks whose word holds the owner's tid. pi_lock guards everything here, and is taken
 * inside a futex bucket's lock. A state exists while tasks wait for the lock of its key, or one
 * that inherited it from a dead owner has not yet written its tid. Linux:
 * kernel/futex/{pi,requeue}.c.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <time.h>

#include "sentry/core/clock.h"
#include "sentry/kernel/futex_internal.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/mm.h"

#define QUEUED    1 /* the waiter waits now */
#define TRY_AGAIN 2 /* the word changed under us, or its owner is just ending */
#define TRIES_MAX 1000
#define CHAIN_MAX 1024 /* Linux: max_lock_depth */

struct futex_pi_state {
    TAILQ_ENTRY(futex_pi_state) link;
    struct futex_key key;
    struct task *owner; /* reference */
    TAILQ_HEAD(, futex_pi_waiter) waiters;
    bool settling; /* the owner has still to write its tid */
};

struct futex_pi_waiter {
    TAILQ_ENTRY(futex_pi_waiter) link;
    struct task *task;
    struct futex_pi_state *state; /* while it waits or settles */
    bool granted;
    bool settles; /* the former owner died: write the word */
};

static struct mutex pi_lock = {.host = PTHREAD_MUTEX_INITIALIZER, .rank = RANK_FUTEX};
static TAILQ_HEAD(, futex_pi_state) states = TAILQ_HEAD_INITIALIZER(states);
static atomic_uint state_count; /* written under pi_lock */

static struct futex_pi_state *find_state(const struct futex_key *key)
{
    struct futex_pi_state *state;
    TAILQ_FOREACH (state, &states, link) {
        if (futex_key_equal(&state->key, key)) {
            return state;
        }
    }
    return NULL;
}

bool futex_pi_is_locked(const struct futex_key *key)
{
    if (atomic_load(&state_count) == 0) {
        return false;
    }
    mutex_lock_nested(&pi_lock);
    bool found = find_state(key) != NULL;
    mutex_unlock(&pi_lock);
    return found;
}

static struct futex_pi_state *state_new(const struct futex_key *key, struct task *owner)
{
    struct futex_pi_state *state = calloc(1, sizeof(*state));
    if (state) {
        state->key = *key;
        state->owner = task_ref(owner);
        TAILQ_INIT(&state->waiters);
        TAILQ_INSERT_TAIL(&states, state, link);
        atomic_fetch_add(&state_count, 1);
    }
    return state;
}

static void state_drop_unused(struct futex_pi_state *state)
{
    if (TAILQ_EMPTY(&state->waiters) && !state->settling) {
        TAILQ_REMOVE(&states, state, link);
        atomic_fetch_sub(&state_count, 1);
        task_unref(state->owner);
        free(state);
    }
}

static void set_owner(struct futex_pi_state *state, struct task *owner)
{
    task_ref(owner);
    task_unref(state->owner);
    state->owner = owner;
}

static int load(struct task *task, uint64_t addr, uint32_t *ret_value)
{
    return kernel.platform_ops->thread_atomic(task->platform_thread, addr, PLATFORM_ATOMIC_LOAD, 0,
                                              0, ret_value);
}

/* 0, TRY_AGAIN (the word was another one), or an error. */
static int exchange(struct task *task, uint64_t addr, uint32_t value, uint32_t wanted)
{
    uint32_t seen = 0;
    int result = kernel.platform_ops->thread_atomic(task->platform_thread, addr,
                                                    PLATFORM_ATOMIC_CMPXCHG, value, wanted, &seen);
    return result != 0 ? result : seen == value ? 0 : TRY_AGAIN;
}

/* Would waiting for owner close a ring? */
static bool is_deadlock(const struct task *task, const struct task *owner)
{
    for (int depth = 0; owner && depth < CHAIN_MAX; depth++) {
        if (owner == task) {
            return true;
        }
        const struct task *next = NULL;
        const struct futex_pi_state *state;
        TAILQ_FOREACH (state, &states, link) {
            const struct futex_pi_waiter *waiter;
            TAILQ_FOREACH (waiter, &state->waiters, link) {
                next = waiter->task == owner ? state->owner : next;
            }
        }
        owner = next;
    }
    return false;
}

/* The state of the lock that the task with this tid holds. Linux: attach_to_pi_owner. */
static int make_state(struct task *task, uint64_t addr, const struct futex_key *key, uint32_t value,
                      struct futex_pi_state **ret_state)
{
    struct task *owner = task_find((int)(value & FUTEX_TID_MASK));
    if (!owner || owner->futex_exited) {
        uint32_t now;
        task_unref(owner);
        int result = load(task, addr, &now);
        return result != 0 ? result : now != value ? TRY_AGAIN : -ESRCH;
    }
    *ret_state = state_new(key, owner);
    task_unref(owner);
    return *ret_state ? 0 : -ENOMEM;
}

struct lock_attempt {
    struct task *caller; /* whose memory and thread are used */
    uint64_t addr;
    struct futex_key key;
    bool try_only;
    bool set_waiters; /* others are to follow */
};

/* Takes the lock for waiter->task, or queues the waiter. 0, QUEUED, TRY_AGAIN or an error. Linux:
 * futex_lock_pi_atomic. */
static int attempt_locked(const struct lock_attempt *attempt, struct futex_pi_waiter *waiter)
{
    struct task *caller = attempt->caller;
    uint32_t value;
    int result = load(caller, attempt->addr, &value);
    if (result != 0) {
        return result;
    }
    if ((value & FUTEX_TID_MASK) == (uint32_t)waiter->task->tid) {
        return -EDEADLK;
    }
    struct futex_pi_state *state = find_state(&attempt->key);
    if (!state && (value & FUTEX_TID_MASK) == 0) {
        uint32_t wanted = (value & FUTEX_OWNER_DIED) | (uint32_t)waiter->task->tid |
                          (attempt->set_waiters ? FUTEX_WAITERS : 0U);
        result = exchange(caller, attempt->addr, value, wanted);
        waiter->granted = result == 0;
        return result;
    }
    if (state && !state->settling && (value & FUTEX_TID_MASK) != (uint32_t)state->owner->tid) {
        return -EINVAL; /* user space changed it */
    }
    if (!(value & FUTEX_WAITERS)) {
        result = exchange(caller, attempt->addr, value, value | FUTEX_WAITERS);
        if (result != 0) {
            return result;
        }
        value |= FUTEX_WAITERS;
    }
    if (!state) {
        result = make_state(caller, attempt->addr, &attempt->key, value, &state);
        if (result != 0) {
            return result;
        }
    }
    if (attempt->try_only || is_deadlock(waiter->task, state->owner)) {
        state_drop_unused(state);
        return attempt->try_only ? -EAGAIN : -EDEADLK;
    }
    waiter->state = state;
    TAILQ_INSERT_TAIL(&state->waiters, waiter, link);
    return QUEUED;
}

static int attempt_often_locked(const struct lock_attempt *attempt, struct futex_pi_waiter *waiter)
{
    int result = TRY_AGAIN;
    for (int tries = 0; tries < TRIES_MAX && result == TRY_AGAIN; tries++) {
        result = attempt_locked(attempt, waiter);
    }
    return result == TRY_AGAIN ? -EAGAIN : result;
}

/* The former owner died: the word is to say who holds the lock now. */
static int settle_locked(struct futex_pi_waiter *waiter, uint64_t addr)
{
    struct task *task = waiter->task;
    struct futex_pi_state *state = waiter->state;
    uint32_t value;
    int result = TRY_AGAIN;
    for (int tries = 0; tries < TRIES_MAX && result == TRY_AGAIN; tries++) {
        result = load(task, addr, &value);
        if (result == 0) {
            result =
                exchange(task, addr, value, (uint32_t)task->tid | FUTEX_WAITERS | FUTEX_OWNER_DIED);
        }
    }
    waiter->settles = false;
    state->settling = false;
    state_drop_unused(state);
    return result == TRY_AGAIN ? -EAGAIN : result;
}

/* Sleeps until the lock is the waiter's. -ERESTARTSYS: a signal. */
static int wait_for_lock(struct futex_pi_waiter *waiter, uint64_t addr, uint64_t deadline_ns,
                         bool realtime)
{
    for (;;) {
        int result = task_sleep(futex_sleep_until(deadline_ns, realtime));
        task_sleep_prepare();
        bool late = futex_deadline_passed(deadline_ns, realtime);
        mutex_lock(&pi_lock);
        bool over = waiter->granted || result == -ERESTARTSYS || late;
        if (waiter->granted) {
            result = waiter->settles ? settle_locked(waiter, addr) : 0;
        } else if (over) {
            TAILQ_REMOVE(&waiter->state->waiters, waiter, link);
            state_drop_unused(waiter->state);
            result = result == -ERESTARTSYS ? result : -ETIMEDOUT;
        }
        mutex_unlock(&pi_lock);
        if (over) {
            return result;
        }
    }
}

int futex_lock_pi(struct task *task, uint64_t addr, bool shared, bool try_only,
                  uint64_t deadline_ns, bool realtime)
{
    struct futex_pi_waiter waiter = {.task = task};
    struct lock_attempt attempt = {.caller = task, .addr = addr, .try_only = try_only};
    int result = futex_key_of(task->mm, addr, shared, true, &attempt.key);
    if (result != 0) {
        return result;
    }
    task_sleep_prepare();
    mutex_lock(&pi_lock);
    result = attempt_often_locked(&attempt, &waiter);
    mutex_unlock(&pi_lock);
    if (result != QUEUED) {
        return result;
    }
    result = wait_for_lock(&waiter, addr, deadline_ns, realtime);
    return result == -ERESTARTSYS ? -ERESTARTNOINTR : result;
}

/* The state's first waiter gets the lock. */
static void grant_locked(struct futex_pi_state *state, bool owner_died)
{
    struct futex_pi_waiter *waiter = TAILQ_FIRST(&state->waiters);
    TAILQ_REMOVE(&state->waiters, waiter, link);
    set_owner(state, waiter->task);
    waiter->granted = true;
    waiter->settles = owner_died;
    state->settling = owner_died;
    sleeper_wake(&waiter->task->sleeper);
    state_drop_unused(state);
}

static int unlock_locked(struct task *task, uint64_t addr, const struct futex_key *key)
{
    uint32_t value;
    int result = load(task, addr, &value);
    if (result != 0) {
        return result;
    }
    if ((value & FUTEX_TID_MASK) != (uint32_t)task->tid) {
        return -EPERM;
    }
    struct futex_pi_state *state = find_state(key);
    const struct futex_pi_waiter *first = state ? TAILQ_FIRST(&state->waiters) : NULL;
    if (!first) {
        return exchange(task, addr, value, 0);
    }
    if (state->owner != task) {
        return -EINVAL;
    }
    result = exchange(task, addr, value, FUTEX_WAITERS | (uint32_t)first->task->tid);
    if (result == 0) {
        grant_locked(state, false);
    }
    return result;
}

int futex_unlock_pi(struct task *task, uint64_t addr, bool shared)
{
    struct futex_key key;
    int result = futex_key_of(task->mm, addr, shared, true, &key);
    if (result != 0) {
        return result;
    }
    result = TRY_AGAIN;
    for (int tries = 0; tries < TRIES_MAX && result == TRY_AGAIN; tries++) {
        mutex_lock(&pi_lock);
        result = unlock_locked(task, addr, &key);
        mutex_unlock(&pi_lock);
    }
    return result == TRY_AGAIN ? -EAGAIN : result;
}

void futex_pi_exit(struct task *task)
{
    struct futex_pi_state *state;
    struct futex_pi_state *next;
    mutex_lock(&pi_lock);
    task->futex_exited = task->exiting;
    TAILQ_FOREACH_SAFE (state, &states, link, next) {
        if (state->owner == task && !TAILQ_EMPTY(&state->waiters)) {
            grant_locked(state, true);
        }
    }
    mutex_unlock(&pi_lock);
}

int futex_wait_requeue_pi(struct task *task, uint64_t addr, uint64_t addr2, bool shared,
                          uint32_t expected, uint64_t deadline_ns, bool realtime)
{
    struct futex_pi_waiter pi = {.task = task};
    struct futex_waiter waiter = {.task = task, .bitset = FUTEX_ANY, .pi = &pi};
    if (addr == addr2) {
        return -EINVAL;
    }
    int result = futex_key_of(task->mm, addr, shared, false, &waiter.key);
    if (result == 0) {
        result = futex_key_of(task->mm, addr2, shared, true, &waiter.pi_key);
    }
    if (result == 0 && futex_key_equal(&waiter.key, &waiter.pi_key)) {
        result = -EINVAL;
    }
    if (result != 0) {
        return result;
    }
    task_sleep_prepare();
    result = futex_enqueue(&waiter, addr, expected);
    while (result == 0 && futex_is_queued(&waiter)) {
        int slept = task_sleep(futex_sleep_until(deadline_ns, realtime));
        task_sleep_prepare();
        bool late = futex_deadline_passed(deadline_ns, realtime);
        if ((slept == -ERESTARTSYS || late) && futex_withdraw(&waiter)) {
            result = slept == -ERESTARTSYS ? -ERESTARTNOINTR : -ETIMEDOUT;
        }
    }
    if (result != 0) {
        return result;
    }
    mutex_lock(&pi_lock);
    bool granted = pi.granted && !pi.settles;
    mutex_unlock(&pi_lock);
    if (granted) {
        return 0;
    }
    result = wait_for_lock(&pi, addr2, deadline_ns, realtime);
    return result == -ERESTARTSYS ? -EAGAIN : result; /* Linux: it may have slept for the lock */
}

/* Moves waiters to the lock; the bucket and pi_lock are held. */
static int requeue_locked(struct futex_bucket *bucket, const struct futex_key *key,
                          struct lock_attempt *attempt, int requeue_count)
{
    int moved = 0;
    int result = 0;
    struct futex_waiter *waiter;
    struct futex_waiter *next;
    TAILQ_FOREACH_SAFE (waiter, &bucket->waiters, link, next) {
        if (!futex_key_equal(&waiter->key, key)) {
            continue;
        }
        if (moved > requeue_count) {
            break;
        }
        if (!waiter->pi || !futex_key_equal(&waiter->pi_key, &attempt->key)) {
            result = -EINVAL;
            break;
        }
        attempt->set_waiters = requeue_count > 0;
        result = attempt_often_locked(attempt, waiter->pi);
        if (result < 0) {
            break;
        }
        futex_take_out(bucket, waiter);
        sleeper_wake(&waiter->task->sleeper); /* it has the lock, or waits for that now */
        moved++;
        result = 0;
    }
    return moved > 0 ? moved : result;
}

int futex_cmp_requeue_pi(struct task *task, uint64_t addr, uint64_t addr2, bool shared,
                         int wake_count, int requeue_count, uint32_t expected)
{
    struct futex_key key;
    struct lock_attempt attempt = {.caller = task, .addr = addr2};
    if (addr == addr2 || wake_count != 1 || requeue_count < 0) {
        return -EINVAL;
    }
    int result = futex_key_of(task->mm, addr, shared, false, &key);
    if (result == 0) {
        result = futex_key_of(task->mm, addr2, shared, true, &attempt.key);
    }
    if (result == 0 && futex_key_equal(&key, &attempt.key)) {
        result = -EINVAL;
    }
    if (result != 0) {
        return result;
    }
    struct futex_bucket *bucket = futex_bucket_of(&key);
    mutex_lock(&bucket->lock);
    uint32_t value;
    result = mm_copy_in(task->mm, addr, &value, sizeof(value));
    if (result == 0 && value != expected) {
        result = -EAGAIN;
    }
    if (result == 0) {
        mutex_lock_nested(&pi_lock);
        result = requeue_locked(bucket, &key, &attempt, requeue_count);
        mutex_unlock(&pi_lock);
    }
    mutex_unlock(&bucket->lock);
    return result;
}
