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

#define QUICK_CALLS 6
#define PAYING_HITS 40
#define SLOW_CALLS  2

/* Moving to another CPU and back costs some 60 us; waking a sleeper on another CPU 40. */
#define QUICK_US      25
#define GUEST_SPIN_US 40
#define BUDGET_MIN_US 10
#define BUDGET_MAX_US 80
#define PAUSE_MIN_US  1000
#define PAUSE_MAX_US  60000
#define PREEMPTED_US  100

static uint64_t us(uint64_t count)
{
    return count * trap_ticks_per_us();
}

void trap_pace_init(struct trap_pace *pace)
{
    *pace = (struct trap_pace){.pause = us(PAUSE_MIN_US), .budget = us(BUDGET_MAX_US) / 2};
}

static void unsplit(struct platform_thread *thread)
{
    struct trap_pace *pace = &thread->pace;
    placement_unsplit(thread->space->platform->placement, &thread->pair);
    pace->split = false;
    pace->quick = 0;
    pace->slow = 0;
    pace->pause =
        pace->hits >= PAYING_HITS ? us(PAUSE_MIN_US) : min_of(2 * pace->pause, us(PAUSE_MAX_US));
    pace->not_before = pace->hits >= PAYING_HITS ? 0 : __builtin_ia32_rdtsc() + pace->pause;
}

void trap_pace_before(struct platform_thread *thread)
{
    struct trap_pace *pace = &thread->pace;
    struct placement *placement = thread->space->platform->placement;
    uint64_t now = __builtin_ia32_rdtsc();
    if (now - pace->posted > us(QUICK_US)) {
        pace->quick = 0;
    }
    if (pace->split && (pace->slow >= SLOW_CALLS || placement_crowded(placement, &thread->pair))) {
        unsplit(thread);
    } else if (!pace->split && pace->quick >= QUICK_CALLS && now >= pace->not_before) {
        pace->split = placement_split(placement, &thread->pair);
        pace->hits = 0;
        pace->slow = 0;
        pace->quick = 0;
        pace->budget = us(BUDGET_MAX_US) / 2;
    }
    uint32_t spin = pace->split ? (uint32_t)us(GUEST_SPIN_US) : 0;
    if (spin != pace->guest_spin) {
        pace->guest_spin = spin;
        thread->mailbox->spin = spin;
    }
}

bool trap_pace_spin(struct platform_thread *thread)
{
    struct trap_pace *pace = &thread->pace;
    struct placement *placement = thread->space->platform->placement;
    uint64_t start = __builtin_ia32_rdtsc();
    uint64_t last = start;
    uint64_t now = start;
    while (now - start < pace->budget) {
        for (int i = 0; i < 16; i++) {
            if ((atomic_load_explicit(&thread->mailbox->turn, memory_order_acquire) &
                 STUB_TURN_SENTRY) != 0) {
                pace->hits++;
                pace->budget = min_of(2 * pace->budget, us(BUDGET_MAX_US));
                return true;
            }
            __builtin_ia32_pause();
        }
        last = now;
        now = __builtin_ia32_rdtsc();
        /* Somebody else has work for this CPU. */
        if (now - last > us(PREEMPTED_US) || placement_crowded(placement, &thread->pair)) {
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
    pace->quick = now - given <= us(QUICK_US) ? pace->quick + 1 : 0;
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
