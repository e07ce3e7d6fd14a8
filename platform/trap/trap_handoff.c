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

#include "platform/host/memory.h"
#include "platform/host/process.h"
#include "platform/trap/trap_internal.h"

#define TURN_ROUNDS      10000 /* changes of the word without a post */
#define COMMAND_LIMIT_NS 20000000000ULL
/* How long an interrupted guest thread may stay silent. Its signal handler needs microseconds; on a
 * crowded host it may have to wait for a CPU. */
#define INTERRUPT_LIMIT_NS 20000000000ULL

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

int trap_await_post(struct platform_thread *thread, uint64_t limit_ns)
{
    _Atomic uint32_t *turn = &thread->mailbox->turn;
    if (thread->pace.split && trap_pace_spin(thread)) {
        return atomic_load(&thread->dead) ? PLATFORM_DEAD : 0;
    }
    for (unsigned int rounds = 0;;) {
        uint32_t value = atomic_load_explicit(turn, memory_order_acquire);
        if ((value & STUB_TURN_SENTRY) != 0) {
            return atomic_load(&thread->dead) ? PLATFORM_DEAD : 0;
        }
        if (atomic_load(&thread->dead)) {
            return PLATFORM_DEAD;
        }
        if (++rounds > TURN_ROUNDS) {
            break;
        }
        if (value != (STUB_TURN_GUEST | STUB_TURN_WAITER) &&
            !atomic_compare_exchange_strong(turn, &value, STUB_TURN_GUEST | STUB_TURN_WAITER)) {
            continue;
        }
        /* An interrupted thread answers soon, or is hostile. */
        bool interrupted = (atomic_load(&thread->state) & THREAD_INTERRUPT) != 0;
        uint64_t limit = limit_ns == 0 && interrupted ? INTERRUPT_LIMIT_NS : limit_ns;
        if (host_futex_wait((atomic_uint *)turn, STUB_TURN_GUEST | STUB_TURN_WAITER, limit) ==
            -ETIMEDOUT) {
            break;
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

void trap_thread_interrupt(struct platform_thread *thread)
{
    unsigned int old = atomic_fetch_or(&thread->state, THREAD_INTERRUPT);
    /* Outside guest mode the flag is enough: the next run sees it before it starts. */
    if ((old & (THREAD_IN_GUEST | THREAD_INTERRUPT)) != THREAD_IN_GUEST) {
        return;
    }
    if (host_tgkill(thread->space->stub->pid, thread->tid, THREAD_INTERRUPT_SIGNAL) == -ESRCH) {
        trap_thread_lost(thread);
        return;
    }
    /* The sentry thread must now wait with a limit. */
    host_futex_wake((atomic_uint *)&thread->mailbox->turn, 1);
}
