/*
 * unotify_thread.c: creation and end of guest threads, and their state beyond general registers.
 *
 * All functions are called by the thread's own sentry thread while the guest thread is parked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/unotify/unotify_internal.h"

#define START_LIMIT_NS 30000000000ULL
#define MXCSR_OFFSET   24

/* A new host thread, parked. */
static int start_thread(struct address_space *space, struct platform_thread **ret_thread)
{
    struct platform_thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL) {
        return -ENOMEM;
    }
    int rc = stub_new_listened_thread(space->stub, &thread->tid, &thread->slot, &thread->mailbox,
                                      &thread->listener);
    if (rc != 0) {
        free(thread);
        return rc;
    }
    thread->space = space;
    host_notify_wake_here(thread->listener);
    rc = unotify_await(thread, START_LIMIT_NS);
    if (rc == 0 && thread->parking != PARKED_IN_POST) {
        stub_kill(space->stub);
        rc = PLATFORM_DEAD;
    }
    if (rc != 0) {
        close(thread->listener);
        free(thread);
        return rc;
    }
    *ret_thread = thread;
    return 0;
}

/* A parked thread that had another user before; NULL when there is none. */
static struct platform_thread *take_idle(struct address_space *space)
{
    struct platform_thread *thread = NULL;
    mutex_lock(&space->lock);
    if (space->idle_count != 0) {
        thread = space->idle[--space->idle_count];
    }
    mutex_unlock(&space->lock);
    return thread;
}

/* Makes it as good as new: nothing of it remains but where it is parked. */
static void reuse_thread(struct platform_thread *thread)
{
    const uint32_t mxcsr = 0x1f80;
    *thread = (struct platform_thread){
        .space = thread->space,
        .tid = thread->tid,
        .slot = thread->slot,
        .mailbox = thread->mailbox,
        .listener = thread->listener,
        .parking = thread->parking,
        .id = thread->id,
        .call = thread->call,
        .xstate_pending = true,
    };
    thread->mailbox->keep_xstate = STUB_KEEP_NOTHING;
    /* XSTATE_BV zero: every component gets its initial value. */
    char *area = (char *)thread->mailbox + STUB_AREA_XSTATE;
    memset(area, 0, arch_xstate_size());
    memcpy(area + MXCSR_OFFSET, &mxcsr, sizeof mxcsr);
}

int unotify_thread_new(struct address_space *space, struct platform_thread **ret_thread)
{
    struct platform_thread *thread = take_idle(space);
    if (thread != NULL) {
        reuse_thread(thread);
    } else {
        int rc = start_thread(space, &thread);
        if (rc != 0) {
            return rc;
        }
    }
    /* The first registers are the caller's. */
    thread->complete = true;
    placement_add(space->platform->placement, &thread->pair, thread->tid);
    *ret_thread = thread;
    return 0;
}

static bool keep_idle(struct platform_thread *thread)
{
    struct address_space *space = thread->space;
    mutex_lock(&space->lock);
    bool kept = space->idle_count < UNOTIFY_IDLE_MAX;
    if (kept) {
        space->idle[space->idle_count++] = thread;
    }
    mutex_unlock(&space->lock);
    return kept;
}

/* The host thread stays parked for the next user, or ends with its process. */
void unotify_thread_free(struct platform_thread *thread)
{
    if (thread == NULL) {
        return;
    }
    placement_remove(thread->space->platform->placement, &thread->pair);
    if (!thread->gone && keep_idle(thread)) {
        return;
    }
    if (!thread->gone && unotify_end(thread)) {
        stub_release_area(thread->space->stub, thread->slot);
    }
    close(thread->listener);
    free(thread);
}

ssize_t unotify_thread_get_xstate(struct platform_thread *thread, void *buffer, size_t size)
{
    size_t whole = arch_xstate_size();
    if (size < whole) {
        return -EINVAL;
    }
    if (!thread->xstate_pending) {
        int rc = unotify_park(thread);
        if (rc == 0 && *(volatile uint32_t *)&thread->mailbox->keep_xstate != STUB_KEPT_XSTATE) {
            rc = unotify_command(thread, STUB_COMMAND_SAVE_XSTATE);
        }
        if (rc != 0) {
            return rc;
        }
    }
    memcpy(buffer, (char *)thread->mailbox + STUB_AREA_XSTATE, whole);
    return (ssize_t)whole;
}

int unotify_thread_set_xstate(struct platform_thread *thread, const void *buffer, size_t size)
{
    size_t whole = arch_xstate_size();
    if (size > whole || size < ARCH_XSTATE_MIN_SIZE || !arch_xstate_is_valid(buffer)) {
        return -EINVAL;
    }
    char *area = (char *)thread->mailbox + STUB_AREA_XSTATE;
    thread->mailbox->keep_xstate = STUB_KEEP_NOTHING;
    memcpy(area, buffer, size);
    memset(area + size, 0, whole - size);
    thread->xstate_pending = true;
    return 0;
}

int unotify_thread_atomic(struct platform_thread *thread, guest_addr addr, enum platform_atomic op,
                          uint32_t expected, uint32_t desired, uint32_t *ret_old)
{
    if (addr % sizeof(uint32_t) != 0 || stub_clip_copy(addr, sizeof(uint32_t)) == 0) {
        return -EFAULT;
    }
    if (op == PLATFORM_ATOMIC_LOAD) {
        uint32_t value;
        ssize_t count = stub_copy_in(thread->space->stub, addr, &value, sizeof value);
        if (count != sizeof value) {
            return count == PLATFORM_DEAD ? PLATFORM_DEAD : -EFAULT;
        }
        *ret_old = value;
        return 0;
    }
    struct stub_mailbox *mailbox = thread->mailbox;
    int rc = unotify_park(thread);
    if (rc != 0) {
        return rc;
    }
    mailbox->args[0] = addr;
    mailbox->args[1] = expected;
    mailbox->args[2] = desired;
    rc = unotify_command(thread, STUB_COMMAND_CMPXCHG);
    if (rc != 0) {
        return rc;
    }
    *ret_old = (uint32_t) * (volatile uint64_t *)&mailbox->args[1];
    return *(volatile int32_t *)&mailbox->result == 0 ? 0 : -EFAULT;
}

int unotify_thread_cpu_time(struct platform_thread *thread, uint64_t *ret_user_ns,
                            uint64_t *ret_system_ns)
{
    return stub_time_read(thread->space->stub, &thread->time, ret_user_ns, ret_system_ns);
}

int unotify_thread_set_affinity(struct platform_thread *thread, const void *mask, size_t mask_size)
{
    return placement_restrict(thread->space->platform->placement, &thread->pair, mask, mask_size);
}
