/*
 * lock.c: ranked mutexes. In debug builds each thread keeps the stack of mutexes it holds.
 */
#include "platform/base/lock.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef STOCKADE_DEBUG_LOCKS
#define HELD_MAX 16

struct held_locks {
    struct mutex *stack[HELD_MAX];
    int count;
};

static _Thread_local struct held_locks held;

static _Noreturn void lock_die(const char *what, const struct mutex *mutex)
{
    fprintf(stderr, "stockade: lock error: %s (rank %d, holding", what,
            mutex ? (int)mutex->rank : -1);
    for (int i = 0; i < held.count; i++) {
        fprintf(stderr, " %d", (int)held.stack[i]->rank);
    }
    fprintf(stderr, ")\n");
    abort();
}

static void held_push(struct mutex *mutex, bool nested)
{
    for (int i = 0; i < held.count; i++) {
        if (held.stack[i] == mutex) {
            lock_die("taken twice", mutex);
        }
        if (held.stack[i]->rank > mutex->rank || (held.stack[i]->rank == mutex->rank && !nested)) {
            lock_die("rank inversion", mutex);
        }
    }
    if (held.count == HELD_MAX) {
        lock_die("too many locks held", mutex);
    }
    held.stack[held.count++] = mutex;
}

static void held_pop(struct mutex *mutex)
{
    for (int i = held.count - 1; i >= 0; i--) {
        if (held.stack[i] == mutex) {
            for (int j = i; j + 1 < held.count; j++) {
                held.stack[j] = held.stack[j + 1];
            }
            held.count--;
            return;
        }
    }
    lock_die("released but not held", mutex);
}

void mutex_assert_held(struct mutex *mutex)
{
    for (int i = 0; i < held.count; i++) {
        if (held.stack[i] == mutex) {
            return;
        }
    }
    lock_die("must be held", mutex);
}

void lock_assert_none_held(const char *where)
{
    if (held.count != 0) {
        lock_die(where, held.stack[0]);
    }
}
#else
static void held_push(struct mutex *mutex, bool nested)
{
    (void)mutex;
    (void)nested;
}

static void held_pop(struct mutex *mutex)
{
    (void)mutex;
}

void mutex_assert_held(struct mutex *mutex)
{
    (void)mutex;
}

void lock_assert_none_held(const char *where)
{
    (void)where;
}
#endif

void mutex_init(struct mutex *mutex, enum lock_rank rank)
{
    if (pthread_mutex_init(&mutex->host, NULL) != 0) {
        abort();
    }
    mutex->rank = rank;
}

void mutex_fini(struct mutex *mutex)
{
    if (pthread_mutex_destroy(&mutex->host) != 0) {
        abort();
    }
}

NO_THREAD_SAFETY_ANALYSIS void mutex_lock(struct mutex *mutex)
{
    held_push(mutex, false);
    if (pthread_mutex_lock(&mutex->host) != 0) {
        abort();
    }
}

NO_THREAD_SAFETY_ANALYSIS void mutex_lock_nested(struct mutex *mutex)
{
    held_push(mutex, true);
    if (pthread_mutex_lock(&mutex->host) != 0) {
        abort();
    }
}

NO_THREAD_SAFETY_ANALYSIS void mutex_unlock(struct mutex *mutex)
{
    held_pop(mutex);
    if (pthread_mutex_unlock(&mutex->host) != 0) {
        abort();
    }
}

void mutex_lock_two(struct mutex *a, struct mutex *b)
{
    if (a == b) {
        mutex_lock_nested(a);
    } else if ((uintptr_t)a < (uintptr_t)b) {
        mutex_lock_nested(a);
        mutex_lock_nested(b);
    } else {
        mutex_lock_nested(b);
        mutex_lock_nested(a);
    }
}

void mutex_unlock_two(struct mutex *a, struct mutex *b)
{
    mutex_unlock(a);
    if (a != b) {
        mutex_unlock(b);
    }
}
