/* clock.h: host clocks in nanoseconds. */
#pragma once

#include <stdint.h>
#include <time.h>

#include "platform/base/compiler.h"

#define NSEC_PER_SEC 1000000000ULL

static inline uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/* CLOCK_MONOTONIC: the time base of every deadline in the sentry. */
static inline uint64_t clock_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* CLOCK_REALTIME as a timespec: file timestamps. */
static inline struct timespec clock_realtime(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now;
}

/* a + b, UINT64_MAX on overflow (SLEEP_FOREVER). */
static inline uint64_t ns_add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}
