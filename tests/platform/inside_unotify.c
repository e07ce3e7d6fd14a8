/*
 * inside_unotify.c: what the tests of attacks must know of the unotify engine's threads.
 */
#include "tests/platform/inside.h"

#include "platform/unotify/unotify_internal.h"

uint32_t unotify_thread_slot(struct platform_thread *thread)
{
    return thread->slot;
}

pid_t unotify_thread_tid(struct platform_thread *thread)
{
    return thread->tid;
}

struct stub *unotify_space_stub(struct address_space *space)
{
    return space->stub;
}
