/*
 * trap_stop.c: changes of instructions that a thread of the space may be at: some bytes of a text
 * become others, and a thread in the middle of what was there would go astray.
 *
 * A thread in guest mode is interrupted and its place told in terms of the file's text before it
 * leaves guest mode; on its next way in it waits for space->change. One that does not answer is
 * hostile and its process killed (trap_await_post), which ends the wait as well.
 */
#include "platform/host/memory.h"
#include "platform/trap/trap_internal.h"

void trap_stop_begin(struct address_space *space)
{
    if (space->stop_depth++ != 0) {
        return;
    }
    trap_monitor_stop_threads(space->platform->monitor, space, true);
    for (;;) {
        unsigned int pending = atomic_load(&space->stop_pending);
        if (pending == 0) {
            return;
        }
        ignore_result(host_futex_wait(&space->stop_pending, pending, 0));
    }
}

void trap_stop_end(struct address_space *space)
{
    if (--space->stop_depth == 0) {
        trap_monitor_stop_threads(space->platform->monitor, space, false);
    }
}

void trap_stop_reached(struct address_space *space)
{
    atomic_fetch_sub(&space->stop_pending, 1);
    host_futex_wake(&space->stop_pending, 1);
}
