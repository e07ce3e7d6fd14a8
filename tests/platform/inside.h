/*
 * inside.h: a look into the engines whose stubs have areas for their guest threads: which area,
 * which host thread, which stub. Every engine has types of its own by the same names.
 */
#pragma once

#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "platform/stub/stub.h"
#include "tests/platform/harness.h"

uint32_t trap_thread_slot(struct platform_thread *thread);
pid_t trap_thread_tid(struct platform_thread *thread);
/* How many of its calls came by signal. */
uint32_t trap_thread_traps(struct platform_thread *thread);
struct stub *trap_space_stub(struct address_space *space);
uint32_t unotify_thread_slot(struct platform_thread *thread);
pid_t unotify_thread_tid(struct platform_thread *thread);
struct stub *unotify_space_stub(struct address_space *space);

static inline bool is_trap(void)
{
    return strcmp(engine->name, "trap") == 0;
}

static inline bool has_areas(void)
{
    return is_trap() || strcmp(engine->name, "unotify") == 0;
}

static inline uint32_t thread_slot(struct platform_thread *thread)
{
    return is_trap() ? trap_thread_slot(thread) : unotify_thread_slot(thread);
}

static inline pid_t thread_tid(struct platform_thread *thread)
{
    return is_trap() ? trap_thread_tid(thread) : unotify_thread_tid(thread);
}

static inline struct stub *space_stub(struct address_space *space)
{
    return is_trap() ? trap_space_stub(space) : unotify_space_stub(space);
}
