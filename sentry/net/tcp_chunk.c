/*
 * tcp_chunk.c: the pieces that streams' queues are made of. Full-size ones are kept for reuse, so
 * that a stream does not take memory from the host and give it back for every write. pool_lock is
 * innermost: nothing is taken under it.
 */
#include <stdlib.h>

#include "sentry/net/tcp.h"

#define POOL_MAX  32U /* while connections are there */
#define POOL_IDLE 2U

static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static struct tcp_chunk_list pool = STAILQ_HEAD_INITIALIZER(pool);
static uint32_t pool_count;

static struct tcp_chunk *pool_take(uint32_t more_than)
{
    struct tcp_chunk *chunk = NULL;
    pthread_mutex_lock(&pool_lock);
    if (pool_count > more_than) {
        chunk = STAILQ_FIRST(&pool);
        STAILQ_REMOVE_HEAD(&pool, link);
        pool_count--;
    }
    pthread_mutex_unlock(&pool_lock);
    return chunk;
}

static bool pool_put(struct tcp_chunk *chunk)
{
    pthread_mutex_lock(&pool_lock);
    bool room = pool_count < POOL_MAX;
    if (room) {
        STAILQ_INSERT_HEAD(&pool, chunk, link);
        pool_count++;
    }
    pthread_mutex_unlock(&pool_lock);
    return room;
}

struct tcp_chunk *tcp_chunk_new(uint32_t capacity)
{
    bool large = capacity > TCP_CHUNK_MAX / 2;
    struct tcp_chunk *chunk = large ? pool_take(0) : NULL;
    if (!chunk) {
        uint32_t size = large ? TCP_CHUNK_MAX : capacity;
        chunk = malloc(sizeof(*chunk) + size);
        if (!chunk) {
            return NULL;
        }
        chunk->capacity = size;
    }
    chunk->start = chunk->end = 0;
    atomic_fetch_add(&inet_memory, chunk->capacity);
    return chunk;
}

void tcp_chunk_free(struct tcp_chunk *chunk)
{
    if (!chunk) {
        return;
    }
    atomic_fetch_sub(&inet_memory, chunk->capacity);
    if (chunk->capacity != TCP_CHUNK_MAX || !pool_put(chunk)) {
        free(chunk);
    }
}

void tcp_chunks_trim(void)
{
    struct tcp_chunk *chunk;
    while ((chunk = pool_take(POOL_IDLE))) {
        free(chunk);
    }
}
