/* aio.c: see aio.h. The list's lock and a context's are never held together. */
#include "sentry/kernel/aio.h"

#include <errno.h>
#include <stdlib.h>

#include "sentry/vfs/file.h"

static TAILQ_HEAD(aio_contexts, aio_context) contexts = TAILQ_HEAD_INITIALIZER(contexts);
static struct mutex contexts_lock = {.host = PTHREAD_MUTEX_INITIALIZER, .rank = RANK_OBJECT};
static uint64_t reserved;         /* under contexts_lock */
static atomic_uint context_count; /* so that exec and exit need not look */

uint64_t aio_reserved(void)
{
    mutex_lock(&contexts_lock);
    uint64_t result = reserved;
    mutex_unlock(&contexts_lock);
    return result;
}

int aio_context_new(const struct process *process, uint64_t id, uint32_t capacity)
{
    if (capacity > AIO_MAX_REQUESTS) {
        return -EAGAIN;
    }
    struct aio_context *context = calloc(1, sizeof(*context));
    struct aio_event *events = calloc(capacity, sizeof(*events));
    if (!context || !events) {
        free(context);
        free(events);
        return -ENOMEM;
    }
    refcount_init(&context->ref);
    context->process = process;
    context->id = id;
    context->capacity = capacity;
    context->events = events;
    mutex_init(&context->lock, RANK_OBJECT);
    wait_queue_init(&context->queue);
    TAILQ_INIT(&context->polls);
    mutex_lock(&contexts_lock);
    bool room = capacity <= AIO_MAX_REQUESTS - reserved;
    if (room) {
        reserved += capacity;
        TAILQ_INSERT_TAIL(&contexts, context, link);
        atomic_fetch_add(&context_count, 1);
    }
    mutex_unlock(&contexts_lock);
    if (!room) {
        aio_context_unref(context);
        return -EAGAIN;
    }
    return 0;
}

struct aio_context *aio_context_find(const struct process *process, uint64_t id)
{
    struct aio_context *context;
    mutex_lock(&contexts_lock);
    TAILQ_FOREACH (context, &contexts, link) {
        if (context->process == process && context->id == id) {
            refcount_get(&context->ref);
            break;
        }
    }
    mutex_unlock(&contexts_lock);
    return context;
}

void aio_poll_free(struct aio_poll *poll)
{
    if (poll) {
        file_unref(poll->file);
        file_unref(poll->notify);
        free(poll);
    }
}

struct aio_context *aio_context_unref(struct aio_context *context)
{
    if (context && refcount_put(&context->ref)) {
        struct aio_poll *poll;
        while ((poll = TAILQ_FIRST(&context->polls)) != NULL) {
            TAILQ_REMOVE(&context->polls, poll, link);
            aio_poll_free(poll);
        }
        wait_queue_fini(&context->queue);
        mutex_fini(&context->lock);
        free(context->events);
        free(context);
    }
    return NULL;
}

bool aio_context_destroy(struct aio_context *context)
{
    mutex_lock(&contexts_lock);
    bool mine = context->process != NULL;
    if (mine) {
        context->process = NULL;
        TAILQ_REMOVE(&contexts, context, link);
        reserved -= context->capacity;
        atomic_fetch_sub(&context_count, 1);
    }
    mutex_unlock(&contexts_lock);
    if (mine) {
        mutex_lock(&context->lock);
        context->dead = true;
        mutex_unlock(&context->lock);
        wait_queue_wake(&context->queue, EPOLLIN);
        aio_context_unref(context); /* the list's */
    }
    return mine;
}

void aio_drop_process(const struct process *process)
{
    struct aio_context *context;
    while (atomic_load(&context_count) != 0) {
        mutex_lock(&contexts_lock);
        TAILQ_FOREACH (context, &contexts, link) {
            if (context->process == process) {
                refcount_get(&context->ref);
                break;
            }
        }
        mutex_unlock(&contexts_lock);
        if (!context) {
            return;
        }
        aio_context_destroy(context);
        aio_context_unref(context);
    }
}

bool aio_has_room(struct aio_context *context)
{
    mutex_lock(&context->lock);
    bool room = !context->dead && context->count + context->pending < context->capacity;
    mutex_unlock(&context->lock);
    return room;
}

void aio_complete(struct aio_context *context, const struct aio_event *event)
{
    mutex_lock(&context->lock);
    if (context->count < context->capacity) {
        context->events[(context->head + context->count) % context->capacity] = *event;
        context->count++;
    }
    mutex_unlock(&context->lock);
    wait_queue_wake(&context->queue, EPOLLIN);
}

bool aio_take(struct aio_context *context, struct aio_event *ret_event)
{
    mutex_lock(&context->lock);
    bool some = context->count > 0;
    if (some) {
        *ret_event = context->events[context->head];
        context->head = (context->head + 1) % context->capacity;
        context->count--;
    }
    mutex_unlock(&context->lock);
    return some;
}

void aio_add_poll(struct aio_context *context, struct aio_poll *poll)
{
    mutex_lock(&context->lock);
    TAILQ_INSERT_TAIL(&context->polls, poll, link);
    context->pending++;
    mutex_unlock(&context->lock);
    wait_queue_wake(&context->queue, EPOLLIN); /* who waits has one more file to wait for */
}

struct aio_poll *aio_take_poll(struct aio_context *context, uint64_t object, uint32_t *ret_ready)
{
    struct aio_poll *poll, *found = NULL;
    mutex_lock(&context->lock);
    uint32_t left = context->pending;
    while (left-- > 0 && !found && (poll = TAILQ_FIRST(&context->polls)) != NULL) {
        /* A file is asked without the lock: meanwhile the poll is out of the list. */
        TAILQ_REMOVE(&context->polls, poll, link);
        if (object != 0) {
            *ret_ready = 0;
            found = poll->object == object ? poll : NULL;
        } else {
            mutex_unlock(&context->lock);
            *ret_ready = file_poll(poll->file) & poll->events;
            found = *ret_ready != 0 ? poll : NULL;
            mutex_lock(&context->lock);
        }
        if (!found) {
            TAILQ_INSERT_TAIL(&context->polls, poll, link);
        }
    }
    if (found) {
        context->pending--;
    }
    mutex_unlock(&context->lock);
    return found;
}
