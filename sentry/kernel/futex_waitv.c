/* futex_waitv.c: waiting for several futexes at once. Linux: kernel/futex/waitwake.c. */
#include <errno.h>
#include <stdlib.h>

#include "sentry/kernel/futex_internal.h"

/* Takes out the first `count` waiters. The highest index of those that were woken, or -1. */
static int withdraw_many(struct futex_waiter *waiters, unsigned count)
{
    int woken = -1;
    for (unsigned i = 0; i < count; i++) {
        if (!futex_withdraw(&waiters[i])) {
            woken = (int)i;
        }
    }
    return woken;
}

static bool any_woken(struct futex_waiter *waiters, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!futex_is_queued(&waiters[i])) {
            return true;
        }
    }
    return false;
}

/* Queues all, or none: then an error, or the index of one that was woken meanwhile. */
static int enqueue_many(struct futex_waiter *waiters, const struct futex_word *words,
                        unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        int result = futex_enqueue(&waiters[i], words[i].addr, words[i].expected);
        if (result != 0) {
            int woken = withdraw_many(waiters, i);
            return woken >= 0 ? woken : result;
        }
    }
    return -EINPROGRESS;
}

int futex_wait_many(struct task *task, const struct futex_word *words, unsigned count,
                    uint64_t deadline_ns, bool realtime)
{
    auto_free struct futex_waiter *waiters = calloc(count, sizeof(*waiters));
    if (!waiters) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < count; i++) {
        waiters[i].task = task;
        waiters[i].bitset = FUTEX_ANY;
        int result = futex_key_of(task->mm, words[i].addr, words[i].shared, false, &waiters[i].key);
        if (result != 0) {
            return result;
        }
    }
    task_sleep_prepare();
    int result = enqueue_many(waiters, words, count);
    if (result != -EINPROGRESS) {
        return result;
    }
    for (;;) {
        result = task_sleep(futex_sleep_until(deadline_ns, realtime));
        task_sleep_prepare();
        bool late = futex_deadline_passed(deadline_ns, realtime);
        if (any_woken(waiters, count) || result == -ERESTARTSYS || late) {
            int woken = withdraw_many(waiters, count);
            return woken >= 0 ? woken : result == -ERESTARTSYS ? -ERESTARTSYS : -ETIMEDOUT;
        }
    }
}
