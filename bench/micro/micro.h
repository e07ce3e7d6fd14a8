/*
 * micro.h: the frame of every micro benchmark.
 *
 * A program is a static guest program that prints one line, "NAME NANOSECONDS": the best of several
 * rounds, per operation. A round's size is found by doubling until it lasts long enough, so the
 * same program suits an operation of 1 ns and one of 10 ms. MICRO_MS sets the length of a round.
 */
#pragma once

#include <stdint.h>

/* Does n iterations and returns the nanoseconds they took, set-up of the round left out. */
typedef uint64_t micro_round(uint64_t n);

/* Monotonic clock in nanoseconds. */
uint64_t micro_now(void);

/* Measures and prints; one iteration is `operations` operations. Returns main()'s status. */
int micro_report(const char *name, micro_round *round, uint64_t operations);

/* Prints "micro: WHAT: error" and exits with 1. */
void micro_fail(const char *what) __attribute__((noreturn));

/* A file NAME of `size` bytes in the working directory; returns an open descriptor. */
int micro_make_file(const char *name, uint64_t size);
