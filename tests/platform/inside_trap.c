/*
 * inside_trap.c: what the tests of attacks must know of the trap engine's threads.
 */
#include "tests/platform/inside.h"

#include "platform/trap/trap_internal.h"

uint32_t trap_thread_slot(struct platform_thread *thread)
{
    return thread->slot;
}

pid_t trap_thread_tid(struct platform_thread *thread)
{
    return thread->tid;
}

uint32_t trap_thread_traps(struct platform_thread *thread)
{
    return thread->traps;
}

struct stub *trap_space_stub(struct address_space *space)
{
    return space->stub;
}
