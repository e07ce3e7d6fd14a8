/*
 * timer.h: callbacks at a CLOCK_MONOTONIC or CLOCK_REALTIME time, run by one sentry thread that
 * sleeps until the earliest and costs nothing while none is armed.
 *
 * The callback runs without the timer lock held. A realtime timer also fires when the host's clock
 * is stepped over it (checked at least every second while one is armed).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "platform/base/compiler.h"
#include "platform/base/tree.h"

struct timer;
typedef void (*timer_fn)(struct timer *timer);

struct timer {
    RB_ENTRY(timer) node;
    uint64_t deadline_ns; /* under the timer lock */
    clockid_t clock;      /* CLOCK_MONOTONIC or CLOCK_REALTIME */
    bool armed;
    timer_fn fire;
};

/* Starts the timer thread; at boot, before confinement. */
int timer_start(void) must_check;
void timer_init(struct timer *timer, timer_fn fire);
/* (Re-)arms. A deadline in the past fires at once (from the timer thread). */
void timer_arm(struct timer *timer, clockid_t clock, uint64_t deadline_ns);
/* After it returns the callback neither runs nor will run. Never call it from the callback, nor
 * with a lock held that the callback takes. */
void timer_cancel(struct timer *timer);
/* Disarms without waiting for a running callback; allowed under any lock ranked below RANK_TIMER.
 */
void timer_disarm(struct timer *timer);
