/*
 * trap_handoff.c: the turn goes back and forth between a guest thread and its sentry thread through
 * one word of the mailbox. Who waits sets a bit in it before it sleeps, so the other side makes no
 * host call when nobody sleeps.
 *
 * The word lies in hostile memory: a guest can write anything there at any time. It can so make its
 * sentry thread go on too early (with whatever the mailbox holds: the guest's own loss), or keep it
 * looking at the word, which is bounded by TURN_ROUNDS.
 */
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "platform/host/memory.h"
#include "platform/host/process.h"
#include "platform/trap/trap_internal.h"

#define TURN_ROUNDS      10000 /* changes of the word without a post */
#define COMMAND_LIMIT_NS 20000000000ULL
#define LOOK_INTERVAL_NS 1000000000ULL /* is the guest thread still there? */
#define LOST_WAIT_MS     50

void trap_thread_lost(struct platform_thread *thread)
{
    atomic_store(&thread->dead, true);
    /* Its sentry thread, if it sleeps, finds another value and then the flag. */
    atomic_store(&thread->mailbox->turn, STUB_TURN_SENTRY);
    host_futex_wake((atomic_uint *)&thread->mailbox->turn, 2);
}

bool trap_give_turn(struct platform_thread *thread)
{
    _Atomic uint32_t *turn = &thread->mailbox->turn;
    if ((atomic_exchange(turn, STUB_TURN_GUEST) & STUB_TURN_WAITER) == 0) {
        return false;
    }
    host_futex_wake((atomic_uint *)turn, 1);
    return true;
}

/* Nobody will post any more. A process that dies loses its threads one by one. */
static int lost(struct platform_thread *thread)
{
    for (int i = 0; i < LOST_WAIT_MS && !stub_is_dead(thread->space->stub); i++) {
        const struct timespec pause = {.tv_nsec = 1000000};
        nanosleep(&pause, NULL);
    }
    stub_kill(thread->space->stub);
    return PLATFORM_DEAD;
}

/*
 * How long to sleep, in ns; 0: the guest thread was silent for too long. Never without limit: a
 * guest can make a wake-up from trap_thread_interrupt go astray, or end its own thread.
 */
static uint64_t next_sleep(struct platform_thread *thread, uint64_t limit, uint64_t *deadline)
{
    /* An interrupted thread answers soon, or is hostile. */
    if (limit == 0 && (atomic_load(&thread->state) & (THREAD_INTERRUPT | THREAD_STOP)) != 0) {
        limit = thread->space->platform->silence_limit_ns;
    }
    if (limit == 0) {
        return LOOK_INTERVAL_NS;
    }
    uint64_t now = host_monotonic_ns();
    if (*deadline == 0) {
        *deadline = now + limit;
    }
    return now < *deadline ? min_of(*deadline - now, LOOK_INTERVAL_NS) : 0;
}

int trap_await_post(struct platform_thread *thread, uint64_t limit_ns)
{
    _Atomic uint32_t *turn = &thread->mailbox->turn;
    uint64_t deadline = 0;
    if (thread->pace.split && trap_pace_spin(thread)) {
        return atomic_load(&thread->dead) ? lost(thread) : 0;
    }
    for (unsigned int rounds = 0;;) {
        uint32_t value = atomic_load_explicit(turn, memory_order_acquire);
        if (atomic_load(&thread->dead)) {
            return lost(thread);
        }
        if ((value & STUB_TURN_SENTRY) != 0) {
            return 0;
        }
        if (++rounds > TURN_ROUNDS) {
            break;
        }
        if (value != (STUB_TURN_GUEST | STUB_TURN_WAITER) &&
            !atomic_compare_exchange_strong(turn, &value, STUB_TURN_GUEST | STUB_TURN_WAITER)) {
            continue;
        }
        uint64_t sleep_ns = next_sleep(thread, limit_ns, &deadline);
        if (sleep_ns == 0) {
            break;
        }
        if (host_futex_wait((atomic_uint *)turn, STUB_TURN_GUEST | STUB_TURN_WAITER, sleep_ns) ==
            -ETIMEDOUT) {
            rounds--;
            if (host_tgkill(thread->space->stub->pid, thread->tid, 0) == -ESRCH) {
                return lost(thread);
            }
        }
    }
    stub_kill(thread->space->stub);
    return PLATFORM_DEAD;
}

int trap_command(struct platform_thread *thread, uint32_t command)
{
    if (atomic_load(&thread->dead)) {
        return PLATFORM_DEAD;
    }
    thread->mailbox->order = command;
    trap_give_turn(thread);
    return trap_await_post(thread, COMMAND_LIMIT_NS);
}

void trap_thread_kick(struct platform_thread *thread)
{
    if (host_tgkill(thread->space->stub->pid, thread->tid, THREAD_INTERRUPT_SIGNAL) == -ESRCH) {
        trap_thread_lost(thread);
        return;
    }
    /* The sentry thread must now wait with a limit. */
    host_futex_wake((atomic_uint *)&thread->mailbox->turn, 1);
}

void trap_thread_interrupt(struct platform_thread *thread)
{
    unsigned int old = atomic_fetch_or(&thread->state, THREAD_INTERRUPT);
    /* Outside guest mode the flag is enough: the next run sees it before it starts. */
    if ((old & (THREAD_IN_GUEST | THREAD_INTERRUPT)) != THREAD_IN_GUEST) {
        return;
    }
    trap_thread_kick(thread);
}
