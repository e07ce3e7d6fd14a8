/* wait_queue.c: wait queues and sleeping. The sleeper's word: 0 armed, 1 woken, 2 sleeping. */
#include "sentry/core/wait_queue.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void wait_queue_init(struct wait_queue *queue)
{
    mutex_init(&queue->lock, RANK_WAIT_QUEUE);
    TAILQ_INIT(&queue->entries);
}

void wait_queue_fini(struct wait_queue *queue)
{
    mutex_fini(&queue->lock);
}

void wait_queue_add(struct wait_queue *queue, struct wait_entry *entry)
{
    mutex_lock_nested(&queue->lock);
    entry->queue = queue;
    if (entry->exclusive) {
        TAILQ_INSERT_TAIL(&queue->entries, entry, link);
    } else {
        TAILQ_INSERT_HEAD(&queue->entries, entry, link);
    }
    mutex_unlock(&queue->lock);
}

void wait_queue_remove(struct wait_entry *entry)
{
    struct wait_queue *queue = entry->queue;
    if (!queue) {
        return;
    }
    mutex_lock_nested(&queue->lock);
    TAILQ_REMOVE(&queue->entries, entry, link);
    entry->queue = NULL;
    mutex_unlock(&queue->lock);
}

void wait_queue_wake(struct wait_queue *queue, uint32_t events)
{
    struct wait_entry *entry;
    mutex_lock_nested(&queue->lock);
    TAILQ_FOREACH (entry, &queue->entries, link) {
        if ((events & (entry->events | EPOLLERR | EPOLLHUP)) != 0) {
            entry->declined = false;
            entry->wake(entry, events);
            if (entry->exclusive && !entry->declined) {
                break;
            }
        }
    }
    mutex_unlock(&queue->lock);
}

bool wait_queue_empty(struct wait_queue *queue)
{
    mutex_lock_nested(&queue->lock);
    bool empty = TAILQ_EMPTY(&queue->entries);
    mutex_unlock(&queue->lock);
    return empty;
}

void sleeper_init(struct sleeper *sleeper)
{
    atomic_init(&sleeper->word, 0);
    sleeper->owner = NULL;
}

void sleeper_prepare(struct sleeper *sleeper)
{
    atomic_store(&sleeper->word, 0);
}

bool sleeper_wait(struct sleeper *sleeper, uint64_t deadline_ns)
{
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000U),
                                .tv_nsec = (long)(deadline_ns % 1000000000U)};
    for (;;) {
        unsigned expected = 0;
        if (!atomic_compare_exchange_strong(&sleeper->word, &expected, 2) && expected == 1) {
            return true;
        }
        long result =
            syscall(SYS_futex, &sleeper->word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 2,
                    deadline_ns == SLEEP_FOREVER ? NULL : &deadline, NULL, FUTEX_BITSET_MATCH_ANY);
        if (result != 0 && errno == ETIMEDOUT) {
            return atomic_exchange(&sleeper->word, 0) == 1;
        }
    }
}

void (*sleeper_before_wake)(struct sleeper *sleeper);

void sleeper_wake(struct sleeper *sleeper)
{
    if (sleeper->owner && sleeper_before_wake && atomic_load(&sleeper->word) == 2) {
        sleeper_before_wake(sleeper);
    }
    if (atomic_exchange(&sleeper->word, 1) == 2) {
        syscall(SYS_futex, &sleeper->word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
    }
}

void wait_wake_sleeper(struct wait_entry *entry, uint32_t events)
{
    (void)events;
    sleeper_wake(entry->owner);
}
