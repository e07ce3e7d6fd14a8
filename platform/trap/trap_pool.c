/*
 * trap_pool.c: clean address spaces made ahead of time. A program's start is a fork of the
 * template, a thread and its filter: a quarter of a millisecond that execve need not wait for.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "platform/host/memory.h"
#include "platform/trap/trap_internal.h"

#define POOL_MAX 8

struct trap_pool {
    struct platform *platform;
    struct mutex lock;
    struct address_space *ready[POOL_MAX];
    uint32_t count, size;
    atomic_uint wake; /* futex word: changes when there is something to do */
    atomic_bool stop;
    pthread_t thread;
};

/* False when the pool is full, or no space can be had now. */
static bool fill_one(struct trap_pool *pool)
{
    struct address_space *space;
    mutex_lock(&pool->lock);
    bool full = pool->count == pool->size;
    mutex_unlock(&pool->lock);
    if (full || trap_new_space(pool->platform, NULL, &space) != 0) {
        return false;
    }
    if (trap_thread_prepare(space) != 0) {
        trap_space_free(space);
        return false;
    }
    mutex_lock(&pool->lock);
    pool->ready[pool->count++] = space;
    mutex_unlock(&pool->lock);
    return true;
}

static void *run_pool(void *argument)
{
    struct trap_pool *pool = argument;
    for (;;) {
        uint32_t seen = atomic_load(&pool->wake);
        while (!atomic_load(&pool->stop) && fill_one(pool)) {
        }
        if (atomic_load(&pool->stop)) {
            return NULL;
        }
        ignore_result(host_futex_wait(&pool->wake, seen, 0));
    }
}

static void wake_pool(struct trap_pool *pool)
{
    atomic_fetch_add(&pool->wake, 1);
    host_futex_wake(&pool->wake, 1);
}

int trap_pool_new(struct platform *platform, unsigned int size, struct trap_pool **ret_pool)
{
    struct trap_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) {
        return -ENOMEM;
    }
    pool->platform = platform;
    pool->size = min_of(size, (unsigned int)POOL_MAX);
    mutex_init(&pool->lock, RANK_PLATFORM);
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = -pthread_create(&pool->thread, NULL, run_pool, pool);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        mutex_fini(&pool->lock);
        free(pool);
        return rc;
    }
    *ret_pool = pool;
    return 0;
}

void trap_pool_free(struct trap_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    atomic_store(&pool->stop, true);
    wake_pool(pool);
    pthread_join(pool->thread, NULL);
    while (pool->count > 0) {
        trap_space_free(pool->ready[--pool->count]);
    }
    mutex_fini(&pool->lock);
    free(pool);
}

struct address_space *trap_pool_take(struct trap_pool *pool)
{
    struct address_space *space = NULL;
    mutex_lock(&pool->lock);
    if (pool->count > 0) {
        space = pool->ready[--pool->count];
    }
    mutex_unlock(&pool->lock);
    wake_pool(pool);
    if (space != NULL && stub_is_dead(space->stub)) {
        trap_space_free(space);
        space = NULL;
    }
    return space;
}
