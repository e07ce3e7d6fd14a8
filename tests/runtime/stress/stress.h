/*
 * stress.h: what the stress guests share: a random generator per thread, the time to run, and a
 * clear failure. Each takes the seconds to run and a seed as arguments and prints one line at the
 * end.
 */
#pragma once

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct stress_random {
    uint64_t state;
};

static inline uint64_t stress_next(struct stress_random *random)
{
    uint64_t x = random->state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    random->state = x;
    return x * 0x2545f4914f6cdd1dULL >> 16;
}

static inline unsigned stress_below(struct stress_random *random, unsigned limit)
{
    return (unsigned)(stress_next(random) % limit);
}

static inline void stress_seed(struct stress_random *random, uint64_t seed)
{
    random->state = (seed + 1) * 0x9e3779b97f4a7c15ULL | 1;
    (void)stress_next(random);
}

static inline double stress_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#define stress_fail(...)                                                                           \
    do {                                                                                           \
        int stress_error = errno;                                                                  \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                            \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fprintf(stderr, " (errno %d)\n", stress_error);                                            \
        _exit(1);                                                                                  \
    } while (0)
