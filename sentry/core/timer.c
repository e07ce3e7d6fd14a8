/*
 * timer.c: the timer thread. Two trees ordered by deadline, one per clock; timer_lock guards both
 * trees, every timer's fields, and `running`.
 */
#include "sentry/core/timer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>

#include "platform/base/lock.h"
#include "sentry/core/clock.h"

static int timer_compare(struct timer *a, struct timer *b)
{
    if (a->deadline_ns != b->deadline_ns) {
        return a->deadline_ns < b->deadline_ns ? -1 : 1;
    }
    return (uintptr_t)a < (uintptr_t)b ? -1 : (uintptr_t)a > (uintptr_t)b;
}

RB_HEAD(timer_tree, timer);
RB_GENERATE_INTERNAL(timer_tree, timer, node, timer_compare, maybe_unused static)

static struct timer_tree monotonic_timers = RB_INITIALIZER(&monotonic_timers);
static struct timer_tree realtime_timers = RB_INITIALIZER(&realtime_timers);
static pthread_mutex_t timer_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t timer_changed; /* CLOCK_MONOTONIC */
static pthread_cond_t timer_idle = PTHREAD_COND_INITIALIZER;
static struct timer *running;

static struct timer_tree *tree_of(struct timer *timer)
{
    return timer->clock == CLOCK_REALTIME ? &realtime_timers : &monotonic_timers;
}

/* Runs one due timer; false when none is due. The lock is dropped during the callback. */
static bool run_due(struct timer_tree *tree, uint64_t now)
{
    struct timer *timer = RB_MIN(timer_tree, tree);
    if (!timer || timer->deadline_ns > now) {
        return false;
    }
    RB_REMOVE(timer_tree, tree, timer);
    timer->armed = false;
    running = timer;
    pthread_mutex_unlock(&timer_lock);
    timer->fire(timer);
    pthread_mutex_lock(&timer_lock);
    running = NULL;
    pthread_cond_broadcast(&timer_idle);
    return true;
}

static uint64_t next_deadline(void)
{
    uint64_t next = UINT64_MAX;
    struct timer *first = RB_MIN(timer_tree, &monotonic_timers);
    if (first) {
        next = first->deadline_ns;
    }
    first = RB_MIN(timer_tree, &realtime_timers);
    if (first) {
        uint64_t now = clock_ns(CLOCK_REALTIME);
        uint64_t left = first->deadline_ns > now ? first->deadline_ns - now : 0;
        next = min_of(next, clock_monotonic_ns() + min_of(left, NSEC_PER_SEC));
    }
    return next;
}

static void *timer_thread(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&timer_lock);
    for (;;) {
        while (run_due(&monotonic_timers, clock_monotonic_ns()) ||
               run_due(&realtime_timers, clock_ns(CLOCK_REALTIME))) {
        }
        uint64_t next = next_deadline();
        if (next == UINT64_MAX) {
            pthread_cond_wait(&timer_changed, &timer_lock);
        } else {
            struct timespec until = {.tv_sec = (time_t)(next / NSEC_PER_SEC),
                                     .tv_nsec = (long)(next % NSEC_PER_SEC)};
            pthread_cond_timedwait(&timer_changed, &timer_lock, &until);
        }
    }
    return NULL;
}

int timer_start(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&timer_changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_attr_t thread_attributes;
    pthread_attr_init(&thread_attributes);
    pthread_attr_setdetachstate(&thread_attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&thread_attributes, thread_stack_size(128 * 1024));
    pthread_t thread;
    int result = pthread_create(&thread, &thread_attributes, timer_thread, NULL);
    pthread_attr_destroy(&thread_attributes);
    return -result;
}

void timer_init(struct timer *timer, timer_fn fire)
{
    *timer = (struct timer){.fire = fire};
}

void timer_arm(struct timer *timer, clockid_t clock, uint64_t deadline_ns)
{
    pthread_mutex_lock(&timer_lock);
    if (timer->armed) {
        RB_REMOVE(timer_tree, tree_of(timer), timer);
    }
    timer->clock = clock;
    timer->deadline_ns = deadline_ns;
    timer->armed = true;
    RB_INSERT(timer_tree, tree_of(timer), timer);
    if (RB_MIN(timer_tree, tree_of(timer)) == timer) {
        pthread_cond_signal(&timer_changed);
    }
    pthread_mutex_unlock(&timer_lock);
}

void timer_disarm(struct timer *timer)
{
    pthread_mutex_lock(&timer_lock);
    if (timer->armed) {
        RB_REMOVE(timer_tree, tree_of(timer), timer);
        timer->armed = false;
    }
    pthread_mutex_unlock(&timer_lock);
}

void timer_cancel(struct timer *timer)
{
    pthread_mutex_lock(&timer_lock);
    while (timer->armed || running == timer) {
        if (timer->armed) {
            RB_REMOVE(timer_tree, tree_of(timer), timer);
            timer->armed = false;
        }
        if (running == timer) {
            pthread_cond_wait(&timer_idle, &timer_lock);
        }
    }
    pthread_mutex_unlock(&timer_lock);
}
