/*
 * wait_queue.h: who wants to hear of an event, and how a sentry thread sleeps.
 *
 * An object that can become ready owns a wait_queue. A waiter adds a wait_entry with the poll
 * events it wants; wait_queue_wake calls the entry's wake function under the queue's lock, so wake
 * must be short, may take only locks ranked above RANK_WAIT_QUEUE (or a nested wait queue), and may
 * not add or remove entries of the same queue.
 *
 * A sleeper is one sentry thread's sleeping place. Sleeping is always: sleeper_prepare, look at the
 * condition (with the entries added), sleeper_wait. Every wake between prepare and wait counts.
 */
#pragma once

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "platform/base/lock.h"
#include "platform/base/queue.h"

struct wait_entry;
typedef void (*wait_wake_fn)(struct wait_entry *entry, uint32_t events);

struct wait_queue {
    struct mutex lock;
    TAILQ_HEAD(wait_list, wait_entry) entries; /* under lock */
};

struct wait_entry {
    TAILQ_ENTRY(wait_entry) link;
    struct wait_queue *queue; /* NULL when not queued; written by the owner only */
    uint32_t events;          /* EPOLL* mask; EPOLLERR and EPOLLHUP are always included */
    bool exclusive;           /* wait_queue_wake stops after waking one exclusive entry … */
    bool declined;            /* … unless its wake op set this: nobody waits there */
    wait_wake_fn wake;
    void *owner;
};

void wait_queue_init(struct wait_queue *queue);
void wait_queue_fini(struct wait_queue *queue);
void wait_queue_add(struct wait_queue *queue, struct wait_entry *entry);
/* No wake of this entry runs or will run after it returns. Does nothing when not queued. */
void wait_queue_remove(struct wait_entry *entry);
/* Wakes the entries that want any of events. */
void wait_queue_wake(struct wait_queue *queue, uint32_t events);
bool wait_queue_empty(struct wait_queue *queue);

struct sleeper {
    atomic_uint word;
    void *owner; /* for sleeper_before_wake; NULL: not asked */
};

#define SLEEP_FOREVER UINT64_MAX

void sleeper_init(struct sleeper *sleeper);
void sleeper_prepare(struct sleeper *sleeper);
/* Until a wake or until the CLOCK_MONOTONIC time deadline_ns. True when woken. */
bool sleeper_wait(struct sleeper *sleeper, uint64_t deadline_ns);
void sleeper_wake(struct sleeper *sleeper);
/* Called before a sleeper that really sleeps is woken, if set; it stays asleep meanwhile. */
extern void (*sleeper_before_wake)(struct sleeper *sleeper);
/* A wait_wake_fn whose entry->owner is a struct sleeper. */
void wait_wake_sleeper(struct wait_entry *entry, uint32_t events);
