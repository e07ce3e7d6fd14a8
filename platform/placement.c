/*
 * placement.c: pinning and balancing of pairs. The lock guards the list of pairs and their masks;
 * the counts are atomic and only approximate.
 */
#include "platform/placement.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "platform/base/lock.h"
#include "platform/host/memory.h"
#include "platform/host/process.h"

#define BALANCE_INTERVAL_NS   4000000
#define BALANCE_IDLE_ROUNDS   8
#define SELF_MOVE_INTERVAL_NS 2000000
#define SHORT_BURST_NS        60000 /* about what waking a sleeper on another CPU costs */
#define BURST_MAX_NS          1000000

TAILQ_HEAD(pair_list, placement_pair);

struct placement {
    struct mutex lock;
    struct pair_list pairs;
    cpu_set_t cpus;                   /* ours, constant */
    int cpu_count;                    /* below 2: nothing to choose */
    int cpu_limit;                    /* above the highest of them */
    atomic_int running[CPU_SETSIZE];  /* pairs in guest mode */
    atomic_int spinning[CPU_SETSIZE]; /* sentry threads of split pairs: 0 or 1 */
    atomic_uint balancer;             /* futex word */
    pthread_t thread;
};

/* The calling sentry thread's pair. */
static _Thread_local struct placement_pair *own_pair;

enum balancer_state { BALANCER_ASLEEP, BALANCER_AWAKE, BALANCER_STOP };

static void pin(pid_t tid, int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    ignore_result(host_set_affinity(tid, &set, sizeof set));
}

/* The allowed CPU with the fewest running pairs; `preferred` wins ties. */
static int choose_cpu(struct placement *placement, const cpu_set_t *allowed, int preferred)
{
    int best = -1;
    int best_count = 0;
    for (int cpu = 0; cpu < placement->cpu_limit; cpu++) {
        if (!CPU_ISSET(cpu, allowed)) {
            continue;
        }
        int count = atomic_load_explicit(&placement->running[cpu], memory_order_relaxed);
        if (best < 0 || count < best_count || (count == best_count && cpu == preferred)) {
            best = cpu;
            best_count = count;
        }
    }
    return best;
}

static void move_pair_locked(struct placement *placement, struct placement_pair *pair, int cpu)
{
    if (atomic_exchange(&pair->cpu, cpu) == cpu) {
        return;
    }
    int old = atomic_load(&pair->counted);
    if (old >= 0 && old != cpu && atomic_compare_exchange_strong(&pair->counted, &old, cpu)) {
        atomic_fetch_add(&placement->running[cpu], 1);
        atomic_fetch_sub(&placement->running[old], 1);
    }
    pin(pair->guest_tid, cpu);
    if (atomic_load(&pair->split) < 0) {
        pin(pair->sentry_tid, cpu);
    }
}

/* Moves one pair from the fullest to the emptiest CPU when they differ by two or more. Returns
 * whether any CPU has more than one running pair. */
static bool balance_locked(struct placement *placement)
{
    int fullest = -1;
    int most = 0;
    for (int cpu = 0; cpu < placement->cpu_limit; cpu++) {
        int count = CPU_ISSET(cpu, &placement->cpus) ? atomic_load(&placement->running[cpu]) : 0;
        if (count > most) {
            fullest = cpu;
            most = count;
        }
    }
    if (most < 2) {
        return false;
    }
    struct placement_pair *pair;
    TAILQ_FOREACH (pair, &placement->pairs, link) {
        if (atomic_load(&pair->counted) != fullest) {
            continue;
        }
        int cpu = choose_cpu(placement, &pair->allowed, fullest);
        if (cpu >= 0 && atomic_load(&placement->running[cpu]) <= most - 2) {
            move_pair_locked(placement, pair, cpu);
            break;
        }
    }
    return true;
}

static bool balance(struct placement *placement)
{
    mutex_lock(&placement->lock);
    bool busy = balance_locked(placement);
    mutex_unlock(&placement->lock);
    return busy;
}

static void *run_balancer(void *argument)
{
    struct placement *placement = argument;
    int idle_rounds = 0;
    for (;;) {
        unsigned int state = atomic_load(&placement->balancer);
        if (state == BALANCER_STOP) {
            return NULL;
        }
        if (state == BALANCER_ASLEEP) {
            ignore_result(host_futex_wait(&placement->balancer, BALANCER_ASLEEP, 0));
            continue;
        }
        ignore_result(host_futex_wait(&placement->balancer, BALANCER_AWAKE, BALANCE_INTERVAL_NS));
        idle_rounds = balance(placement) ? 0 : idle_rounds + 1;
        if (idle_rounds >= BALANCE_IDLE_ROUNDS) {
            idle_rounds = 0;
            unsigned int awake = BALANCER_AWAKE;
            if (atomic_compare_exchange_strong(&placement->balancer, &awake, BALANCER_ASLEEP) &&
                balance(placement)) {
                unsigned int asleep = BALANCER_ASLEEP;
                ignore_result(
                    atomic_compare_exchange_strong(&placement->balancer, &asleep, BALANCER_AWAKE));
            }
        }
    }
}

int placement_new(struct placement **ret_placement)
{
    struct placement *placement = calloc(1, sizeof *placement);
    if (placement == NULL) {
        return -ENOMEM;
    }
    /* Linux: EINVAL when the host has more CPUs than the mask has bits; then the host places. */
    int rc = host_get_affinity(0, &placement->cpus, sizeof placement->cpus);
    if (rc != 0 && rc != -EINVAL) {
        free(placement);
        return rc;
    }
    for (int cpu = 0; rc == 0 && cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &placement->cpus)) {
            placement->cpu_count++;
            placement->cpu_limit = cpu + 1;
        }
    }
    TAILQ_INIT(&placement->pairs);
    mutex_init(&placement->lock, RANK_PLATFORM);
    if (placement->cpu_count > 1) {
        /* The balancer takes none of the process's signals. */
        sigset_t all;
        sigset_t old;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        rc = pthread_create(&placement->thread, NULL, run_balancer, placement);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (rc != 0) {
            mutex_fini(&placement->lock);
            free(placement);
            return -rc;
        }
    }
    *ret_placement = placement;
    return 0;
}

void placement_free(struct placement *placement)
{
    if (placement == NULL) {
        return;
    }
    if (placement->cpu_count > 1) {
        atomic_store(&placement->balancer, BALANCER_STOP);
        host_futex_wake(&placement->balancer, 1);
        pthread_join(placement->thread, NULL);
    }
    mutex_fini(&placement->lock);
    free(placement);
}

void placement_add(struct placement *placement, struct placement_pair *pair, pid_t guest_tid)
{
    pair->sentry_tid = host_gettid();
    pair->guest_tid = guest_tid;
    pair->allowed = placement->cpus;
    pair->moved_at = 0;
    atomic_init(&pair->cpu, -1);
    atomic_init(&pair->counted, -1);
    atomic_init(&pair->split, -1);
    atomic_init(&pair->burst_ns, BURST_MAX_NS);
    pair->woken_at = 0;
    own_pair = pair;
    mutex_lock(&placement->lock);
    TAILQ_INSERT_TAIL(&placement->pairs, pair, link);
    if (placement->cpu_count > 1) {
        move_pair_locked(placement, pair, choose_cpu(placement, &pair->allowed, sched_getcpu()));
    }
    mutex_unlock(&placement->lock);
}

void placement_remove(struct placement *placement, struct placement_pair *pair)
{
    placement_leave(placement, pair);
    if (own_pair == pair) {
        own_pair = NULL;
    }
    int cpu = atomic_exchange(&pair->split, -1);
    if (cpu >= 0) {
        atomic_store(&placement->spinning[cpu], 0);
    }
    mutex_lock(&placement->lock);
    TAILQ_REMOVE(&placement->pairs, pair, link);
    mutex_unlock(&placement->lock);
    if (placement->cpu_count > 1) {
        ignore_result(host_set_affinity(0, &placement->cpus, sizeof placement->cpus));
    }
}

static bool works_in_short_turns(const struct placement_pair *pair)
{
    return atomic_load_explicit(&pair->burst_ns, memory_order_relaxed) < SHORT_BURST_NS;
}

void placement_rest(struct placement_pair *pair, bool begins)
{
    uint64_t now = host_monotonic_ns();
    if (!begins) {
        pair->woken_at = now;
        return;
    }
    uint64_t burst = pair->woken_at != 0 ? now - pair->woken_at : BURST_MAX_NS;
    uint64_t old = atomic_load_explicit(&pair->burst_ns, memory_order_relaxed);
    burst = min_of(burst, (uint64_t)BURST_MAX_NS);
    atomic_store_explicit(&pair->burst_ns, (unsigned int)((3 * old + burst) / 4),
                          memory_order_relaxed);
}

void placement_bring(struct placement *placement, struct placement_pair *pair)
{
    struct placement_pair *own = own_pair;
    if (placement->cpu_count < 2 || own == NULL || own == pair || !works_in_short_turns(own) ||
        !works_in_short_turns(pair)) {
        return;
    }
    int cpu = atomic_load(&own->cpu);
    if (cpu == atomic_load(&pair->cpu) || !CPU_ISSET(cpu, &pair->allowed) ||
        atomic_load(&pair->counted) >= 0) {
        return;
    }
    mutex_lock(&placement->lock);
    move_pair_locked(placement, pair, cpu);
    mutex_unlock(&placement->lock);
}

/* Several pairs want this CPU: go elsewhere at once when a CPU is free, but not over and over. */
static void enter_crowded(struct placement *placement, struct placement_pair *pair)
{
    unsigned int asleep = BALANCER_ASLEEP;
    uint64_t now = host_monotonic_ns();
    if (now - pair->moved_at >= SELF_MOVE_INTERVAL_NS && !works_in_short_turns(pair)) {
        pair->moved_at = now;
        mutex_lock(&placement->lock);
        int old = atomic_load(&pair->cpu);
        int cpu = choose_cpu(placement, &pair->allowed, old);
        if (cpu >= 0 && atomic_load(&placement->running[cpu]) == 0) {
            move_pair_locked(placement, pair, cpu);
        }
        mutex_unlock(&placement->lock);
    }
    if (atomic_compare_exchange_strong(&placement->balancer, &asleep, BALANCER_AWAKE)) {
        host_futex_wake(&placement->balancer, 1);
    }
}

void placement_enter(struct placement *placement, struct placement_pair *pair)
{
    if (placement->cpu_count < 2) {
        return;
    }
    int cpu = atomic_load(&pair->cpu);
    atomic_store(&pair->counted, cpu);
    if (atomic_fetch_add(&placement->running[cpu], 1) >= 1) {
        enter_crowded(placement, pair);
    }
}

void placement_leave(struct placement *placement, struct placement_pair *pair)
{
    int cpu = atomic_exchange(&pair->counted, -1);
    if (cpu >= 0) {
        atomic_fetch_sub(&placement->running[cpu], 1);
    }
}

bool placement_split(struct placement *placement, struct placement_pair *pair)
{
    int own = atomic_load(&pair->cpu);
    for (int cpu = 0; placement->cpu_count > 1 && cpu < placement->cpu_limit; cpu++) {
        int none = 0;
        if (cpu == own || !CPU_ISSET(cpu, &pair->allowed) ||
            atomic_load_explicit(&placement->running[cpu], memory_order_relaxed) != 0 ||
            !atomic_compare_exchange_strong(&placement->spinning[cpu], &none, 1)) {
            continue;
        }
        atomic_store(&pair->split, cpu);
        pin(pair->sentry_tid, cpu);
        return true;
    }
    return false;
}

void placement_unsplit(struct placement *placement, struct placement_pair *pair)
{
    int cpu = atomic_exchange(&pair->split, -1);
    if (cpu >= 0) {
        atomic_store(&placement->spinning[cpu], 0);
        pin(pair->sentry_tid, atomic_load(&pair->cpu));
    }
}

bool placement_crowded(struct placement *placement, struct placement_pair *pair)
{
    int cpu = atomic_load_explicit(&pair->split, memory_order_relaxed);
    return cpu < 0 || atomic_load_explicit(&placement->running[cpu], memory_order_relaxed) != 0;
}

int placement_restrict(struct placement *placement, struct placement_pair *pair, const void *mask,
                       size_t mask_size)
{
    cpu_set_t allowed;
    if (placement->cpu_count == 0) {
        return host_set_affinity(pair->guest_tid, mask, mask_size);
    }
    CPU_ZERO(&allowed);
    memcpy(&allowed, mask, min_of(mask_size, sizeof allowed));
    CPU_AND(&allowed, &allowed, &placement->cpus);
    if (CPU_COUNT(&allowed) == 0) {
        return -EINVAL;
    }
    mutex_lock(&placement->lock);
    pair->allowed = allowed;
    int cpu = atomic_load(&pair->cpu);
    if (placement->cpu_count > 1 && !CPU_ISSET(cpu, &allowed)) {
        move_pair_locked(placement, pair, choose_cpu(placement, &allowed, cpu));
    }
    mutex_unlock(&placement->lock);
    return 0;
}

void placement_follow(pid_t tid, int *cpu)
{
    int current = sched_getcpu();
    if (current >= 0 && current != *cpu) {
        *cpu = current;
        pin(tid, current);
    }
}
