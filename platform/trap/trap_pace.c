/*
 * trap_pace.c: when a sentry thread spins for its guest thread's next call, and when it sleeps.
 *
 * A pair starts on one CPU. After QUICK_CALLS calls in a row that came and were answered quickly,
 * the sentry thread moves to a CPU that nobody uses and spins there; so does the guest thread on
 * its own while it waits for the answer. The first call that does not come in time ends that. A
 * split that caught too few calls to pay for the two moves is not tried again for a while.
 */
#include <time.h>

#include "platform/trap/trap_internal.h"

#define QUICK_CALLS  6
#define SLOW_CALLS   2
#define PAUSE_MIN_US 1000
#define PAUSE_MAX_US 60000
#define PREEMPTED_US 100

/*
 * All else is in proportion to what it costs to move to another CPU and back, which differs by ten
 * times between a machine and a virtual one. It is measured with each move; until then it is a
 * guess.
 */
#define MOVES_GUESS_US 60
#define MOVES_MIN_US   10
#define MOVES_MAX_US   240

static uint64_t us(uint64_t count)
{
    return count * trap_ticks_per_us();
}

struct costs {
    uint64_t quick;      /* a call is quick when it comes and is answered within */
    uint64_t guest_spin; /* how long the guest side spins for its answer */
    uint64_t budget_max; /* how long the sentry side spins for a call, at most */
    uint32_t paying;     /* so many calls have to be caught; each saves some 1.5 us */
};

static struct costs costs_of(const struct platform *platform)
{
    uint64_t moves = atomic_load_explicit(&platform->moves, memory_order_relaxed);
    return (struct costs){.quick = moves * 5 / 12,
                          .guest_spin = moves * 2 / 3,
                          .budget_max = moves * 4 / 3,
                          .paying = (uint32_t)(2 * moves / us(3))};
}

/* One move took so long: half of the sum. What other work delayed counts no more than MOVES_MAX_US.
 */
static void learn(struct platform *platform, uint64_t took)
{
    uint64_t old = atomic_load_explicit(&platform->moves, memory_order_relaxed);
    uint64_t moves = min_of(max_of(2 * took, us(MOVES_MIN_US)), us(MOVES_MAX_US));
    atomic_store_explicit(&platform->moves, (7 * old + moves) / 8, memory_order_relaxed);
}

void trap_pace_start(struct platform *platform)
{
    atomic_store(&platform->moves, us(MOVES_GUESS_US));
}

void trap_pace_init(struct trap_pace *pace, const struct platform *platform)
{
    *pace =
        (struct trap_pace){.pause = us(PAUSE_MIN_US), .budget = costs_of(platform).budget_max / 2};
}

static void unsplit(struct platform_thread *thread)
{
    struct trap_pace *pace = &thread->pace;
    struct platform *platform = thread->space->platform;
    const bool paid = pace->hits >= costs_of(platform).paying;
    uint64_t start = __builtin_ia32_rdtsc();
    placement_unsplit(platform->placement, &thread->pair);
    uint64_t now = __builtin_ia32_rdtsc();
    learn(platform, now - start);
    pace->split = false;
    pace->quick = 0;
    pace->slow = 0;
    pace->pause = paid ? us(PAUSE_MIN_US) : min_of(2 * pace->pause, us(PAUSE_MAX_US));
    pace->not_before = paid ? 0 : now + pace->pause;
}

void trap_pace_before(struct platform_thread *thread)
{
    struct trap_pace *pace = &thread->pace;
    struct platform *platform = thread->space->platform;
    struct placement *placement = platform->placement;
    const struct costs costs = costs_of(platform);
    uint64_t now = __builtin_ia32_rdtsc();
    if (now - pace->posted > costs.quick) {
        pace->quick = 0;
    }
    if (pace->split && (pace->slow >= SLOW_CALLS || placement_crowded(placement, &thread->pair))) {
        unsplit(thread);
    } else if (!pace->split && pace->quick >= QUICK_CALLS && now >= pace->not_before) {
        pace->split = placement_split(placement, &thread->pair);
        if (pace->split) {
            learn(platform, __builtin_ia32_rdtsc() - now);
        }
        pace->hits = 0;
        pace->slow = 0;
        pace->quick = 0;
        pace->budget = costs.budget_max / 2;
    }
    uint32_t spin = pace->split ? (uint32_t)costs.guest_spin : 0;
    if (spin != pace->guest_spin) {
        pace->guest_spin = spin;
        thread->mailbox->spin = spin;
    }
}

bool trap_pace_spin(struct platform_thread *thread)
{
    struct trap_pace *pace = &thread->pace;
    struct platform *platform = thread->space->platform;
    uint64_t start = __builtin_ia32_rdtsc();
    uint64_t last = start;
    uint64_t now = start;
    while (now - start < pace->budget) {
        for (int i = 0; i < 16; i++) {
            if ((atomic_load_explicit(&thread->mailbox->turn, memory_order_acquire) &
                 STUB_TURN_SENTRY) != 0) {
                pace->hits++;
                pace->budget = min_of(2 * pace->budget, costs_of(platform).budget_max);
                return true;
            }
            __builtin_ia32_pause();
        }
        last = now;
        now = __builtin_ia32_rdtsc();
        /* Somebody else has work for this CPU. */
        if (now - last > us(PREEMPTED_US) ||
            placement_crowded(platform->placement, &thread->pair)) {
            break;
        }
    }
    unsplit(thread);
    return false;
}

void trap_pace_after(struct platform_thread *thread, uint64_t given, bool asleep)
{
    struct trap_pace *pace = &thread->pace;
    uint64_t now = __builtin_ia32_rdtsc();
    pace->posted = now;
    pace->quick = now - given <= costs_of(thread->space->platform).quick ? pace->quick + 1 : 0;
    pace->slow = asleep ? pace->slow + 1 : 0;
}

uint64_t trap_ticks_per_us(void)
{
    static atomic_ullong cached;
    uint64_t value = atomic_load_explicit(&cached, memory_order_relaxed);
    if (value != 0) {
        return value;
    }
    struct timespec first;
    struct timespec then;
    uint64_t start = __builtin_ia32_rdtsc();
    clock_gettime(CLOCK_MONOTONIC, &first);
    uint64_t elapsed;
    do {
        clock_gettime(CLOCK_MONOTONIC, &then);
        elapsed = (uint64_t)(then.tv_sec - first.tv_sec) * 1000000000 + (uint64_t)then.tv_nsec -
                  (uint64_t)first.tv_nsec;
    } while (elapsed < 20000);
    value = max_of((__builtin_ia32_rdtsc() - start) * 1000 / elapsed, 1ULL);
    atomic_store_explicit(&cached, value, memory_order_relaxed);
    return value;
}
