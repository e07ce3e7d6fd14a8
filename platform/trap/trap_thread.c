/*
 * trap_thread.c: creation and end of guest threads, and their state beyond general registers.
 *
 * All functions but the interrupt are called by the thread's own sentry thread while the guest
 * thread is parked in its stub.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "platform/base/log.h"
#include "platform/host/process.h"
#include "platform/trap/trap_internal.h"

#define START_LIMIT_NS 30000000000ULL
#define MXCSR_OFFSET   24

static struct platform_thread *alloc_thread(struct address_space *space)
{
    struct platform_thread *thread = calloc(1, sizeof *thread);
    if (thread != NULL) {
        thread->space = space;
        atomic_init(&thread->state, 0);
        atomic_init(&thread->dead, false);
        thread->promote_after = TRAP_PROMOTE_AFTER;
        trap_pace_init(&thread->pace, space->platform);
    }
    return thread;
}

/* A new host thread, parked. */
static int start_thread(struct platform_thread *thread)
{
    struct address_space *space = thread->space;
    int rc = stub_new_guest_thread(space->stub, &thread->tid, &thread->slot, &thread->mailbox);
    if (rc != 0) {
        return rc;
    }
    trap_monitor_add_thread(space->platform->monitor, thread);
    rc = trap_await_post(thread, START_LIMIT_NS);
    if (rc != 0) {
        ignore_result(trap_monitor_remove_thread(space->platform->monitor, thread, false));
    }
    return rc;
}

/* Makes a parked thread that had another user before as good as new. */
static void reuse_thread(struct platform_thread *thread, const struct trap_idle *idle)
{
    const uint32_t mxcsr = 0x1f80;
    struct stub_mailbox *mailbox = idle->mailbox;
    thread->tid = idle->tid;
    thread->slot = idle->slot;
    thread->mailbox = mailbox;
    mailbox->gs_taken = 0;
    mailbox->spin = 0;
    memset(mailbox->answers, 0, sizeof mailbox->answers);
    /* XSTATE_BV zero: every component gets its initial value. */
    char *area = (char *)mailbox + STUB_AREA_XSTATE;
    memset(area, 0, arch_xstate_size());
    memcpy(area + MXCSR_OFFSET, &mxcsr, sizeof mxcsr);
    thread->xstate_pending = true;
    trap_monitor_add_thread(thread->space->platform->monitor, thread);
}

int trap_thread_new(struct address_space *space, struct platform_thread **ret_thread)
{
    struct trap_idle idle;
    struct platform_thread *thread = alloc_thread(space);
    if (thread == NULL) {
        return -ENOMEM;
    }
    if (trap_monitor_take_idle(space->platform->monitor, space, &idle)) {
        reuse_thread(thread, &idle);
    } else {
        int rc = start_thread(thread);
        if (rc != 0) {
            free(thread);
            return rc;
        }
    }
    placement_add(space->platform->placement, &thread->pair, thread->tid);
    *ret_thread = thread;
    return 0;
}

int trap_thread_prepare(struct address_space *space)
{
    struct platform_thread *thread = alloc_thread(space);
    if (thread == NULL) {
        return -ENOMEM;
    }
    int rc = start_thread(thread);
    if (rc == 0) {
        ignore_result(trap_monitor_remove_thread(space->platform->monitor, thread, true));
    }
    free(thread);
    return rc;
}

/* The host thread stays parked for the next user, or ends with its process. */
void trap_thread_free(struct platform_thread *thread)
{
    if (thread == NULL) {
        return;
    }
    struct address_space *space = thread->space;
    trap_copy_flush(space);
    ignore_result(trap_copy_end(thread));
    placement_remove(space->platform->placement, &thread->pair);
    bool parked = !atomic_load(&thread->dead);
    if (!trap_monitor_remove_thread(space->platform->monitor, thread, parked) && parked) {
        trap_monitor_add_thread(space->platform->monitor, thread);
        bool left = trap_command(thread, STUB_COMMAND_EXIT) == 0;
        ignore_result(trap_monitor_remove_thread(space->platform->monitor, thread, false));
        if (left) {
            stub_release_area(space->stub, thread->slot);
        }
    }
    free(thread);
}

ssize_t trap_thread_get_xstate(struct platform_thread *thread, void *buffer, size_t size)
{
    size_t whole = arch_xstate_size();
    if (size < whole) {
        return -EINVAL;
    }
    if (!thread->xstate_pending) {
        int rc = trap_command(thread, STUB_COMMAND_SAVE_XSTATE);
        if (rc != 0) {
            return rc;
        }
    }
    memcpy(buffer, (char *)thread->mailbox + STUB_AREA_XSTATE, whole);
    return (ssize_t)whole;
}

int trap_thread_set_xstate(struct platform_thread *thread, const void *buffer, size_t size)
{
    size_t whole = arch_xstate_size();
    if (size > whole || size < ARCH_XSTATE_MIN_SIZE || !arch_xstate_is_valid(buffer)) {
        return -EINVAL;
    }
    char *area = (char *)thread->mailbox + STUB_AREA_XSTATE;
    memcpy(area, buffer, size);
    memset(area + size, 0, whole - size);
    thread->xstate_pending = true;
    return 0;
}

int trap_thread_atomic(struct platform_thread *thread, guest_addr addr, enum platform_atomic op,
                       uint32_t expected, uint32_t desired, uint32_t *ret_old)
{
    if (addr % sizeof(uint32_t) != 0 || stub_clip_copy(addr, sizeof(uint32_t)) == 0) {
        return -EFAULT;
    }
    trap_copy_flush(thread->space);
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
    mailbox->args[0] = addr;
    mailbox->args[1] = expected;
    mailbox->args[2] = desired;
    int rc = trap_command(thread, STUB_COMMAND_CMPXCHG);
    if (rc != 0) {
        return rc;
    }
    *ret_old = (uint32_t) * (volatile uint64_t *)&mailbox->args[1];
    return *(volatile int32_t *)&mailbox->result == 0 ? 0 : -EFAULT;
}

int trap_thread_cpu_time(struct platform_thread *thread, uint64_t *ret_user_ns,
                         uint64_t *ret_system_ns)
{
    return stub_time_read(thread->space->stub, &thread->time, ret_user_ns, ret_system_ns);
}

int trap_thread_set_affinity(struct platform_thread *thread, const void *mask, size_t mask_size)
{
    return placement_restrict(thread->space->platform->placement, &thread->pair, mask, mask_size);
}
