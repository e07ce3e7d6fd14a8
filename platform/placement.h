/*
 * placement.h: on which CPU a pair of sentry thread and guest thread runs.
 *
 * The two hand over to each other at every guest call, and waking a sleeper on another CPU costs
 * ten times what it costs on the same one; so both are pinned to one CPU. A pair goes to the CPU
 * with the fewest pairs in guest mode. While some CPU has several and another has too few, a
 * balancer thread looks every few milliseconds and moves one; otherwise it sleeps.
 *
 * A pair may be *split*: its sentry thread spins for the next call on a CPU where no pair is in
 * guest mode. It gives the CPU back as soon as a pair wants it.
 *
 * With one CPU all of this does nothing.
 */
#pragma once

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/base/compiler.h"
#include "platform/base/queue.h"

struct placement;

struct placement_pair {
    TAILQ_ENTRY(placement_pair) link; /* this and allowed: under the placement's lock */
    cpu_set_t allowed;
    pid_t sentry_tid, guest_tid;
    atomic_int cpu;     /* where the pair is pinned */
    atomic_int counted; /* the CPU whose count of running pairs it is in; -1 outside guest mode */
    atomic_int split;   /* the CPU where the sentry thread spins; -1 when it shares the guest's */
    uint64_t moved_at;  /* monotonic ns of the last move by itself */
    /* How long the pair typically works between two sleeps; ns. */
    uint64_t woken_at;
    atomic_uint burst_ns;
};

/* Starts the balancer when there is more than one CPU. */
int placement_new(struct placement **ret_placement) must_check;
void placement_free(struct placement *placement);

/* The calling thread and guest_tid become a pair. */
void placement_add(struct placement *placement, struct placement_pair *pair, pid_t guest_tid);
/* Called by the pair's sentry thread, which may then run anywhere again. */
void placement_remove(struct placement *placement, struct placement_pair *pair);
/* Guest mode begins and ends. Never blocks; cheap. */
void placement_enter(struct placement *placement, struct placement_pair *pair);
void placement_leave(struct placement *placement, struct placement_pair *pair);
/* Moves the pair's sentry thread, the caller, to a CPU of its own. False when none is free. */
bool placement_split(struct placement *placement, struct placement_pair *pair);
/* Moves it back to its guest thread's CPU. */
void placement_unsplit(struct placement *placement, struct placement_pair *pair);
/* Does somebody else want the CPU on which the split pair's sentry thread spins? */
bool placement_crowded(struct placement *placement, struct placement_pair *pair);
/* The pair's sentry thread, the caller, is about to sleep for something that guests do, or was just
 * woken. */
void placement_rest(struct placement_pair *pair, bool begins);
/*
 * The caller, a pair's sentry thread, is about to wake this pair's, which rests. Two that work in
 * short turns are handing over to each other: then the sleeper comes to the caller's CPU.
 */
void placement_bring(struct placement *placement, struct placement_pair *pair);
/* Restricts the pair to these host CPUs. -EINVAL when none of them is ours. */
int placement_restrict(struct placement *placement, struct placement_pair *pair, const void *mask,
                       size_t mask_size) must_check;
/* Pins a helper thread to the caller's CPU unless it is there already (*cpu). */
void placement_follow(pid_t tid, int *cpu);
