/*
 * stub_area.c: areas of guest threads: one slot of shared pages each, mapped into the stub and the
 * sentry when a thread first uses the slot, and kept for the next one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/host/memory.h"
#include "platform/host/notify.h"
#include "platform/host/process.h"
#include "platform/host/socket.h"
#include "platform/stub/stub.h"
#include "platform/stub/stub_filter.h"

#define START_LIMIT_NS   30000000000ULL
#define LOOK_INTERVAL_NS 100000000ULL

static uint64_t area_addr(uint32_t slot)
{
    return STUB_AREAS + (uint64_t)slot * STUB_AREA_SIZE;
}

static uint64_t area_offset(uint32_t slot)
{
    return STUB_AREAS_OFFSET + (uint64_t)slot * STUB_AREA_SIZE;
}

/* Room in the table and in the memfd for twice as many areas. */
static int grow_table(struct stub *stub)
{
    if (stub->area_count == STUB_AREA_COUNT) {
        return -EAGAIN;
    }
    uint32_t count = stub->area_count == 0 ? 1 : 2 * stub->area_count;
    count = min_of(count, (uint32_t)STUB_AREA_COUNT);
    if (ftruncate(stub->pages, (off_t)area_offset(count)) != 0) {
        return -errno;
    }
    struct stub_area *areas = realloc(stub->areas, count * sizeof *areas);
    if (areas == NULL) {
        return -ENOMEM;
    }
    memset(areas + stub->area_count, 0, (count - stub->area_count) * sizeof *areas);
    stub->areas = areas;
    stub->area_count = count;
    return 0;
}

/* A free slot; *ret_fresh when the stub has not mapped it yet. */
static int take_slot_locked(struct stub *stub, uint32_t *ret_slot, bool *ret_fresh)
{
    uint32_t slot = 0;
    while (slot < stub->area_count && stub->areas[slot].busy) {
        slot++;
    }
    if (slot == stub->area_count) {
        int rc = grow_table(stub);
        if (rc != 0) {
            return rc;
        }
    }
    struct stub_area *area = &stub->areas[slot];
    *ret_fresh = area->mailbox == NULL;
    if (*ret_fresh && slot == 0) {
        /* The first view has it. */
        area->mailbox = (void *)((char *)stub->request + STUB_AREAS_OFFSET);
    } else if (*ret_fresh) {
        void *view = mmap(NULL, STUB_AREA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, stub->pages,
                          (off_t)area_offset(slot));
        if (view == MAP_FAILED) {
            return -errno;
        }
        area->mailbox = view;
    }
    area->busy = true;
    *ret_slot = slot;
    return 0;
}

static void prepare_mailbox(struct stub_mailbox *mailbox, uint32_t slot)
{
    memset(mailbox, 0, sizeof *mailbox);
    mailbox->altstack[0] = area_addr(slot) + STUB_AREA_STACK;
    mailbox->altstack[2] = STUB_STACK_SIZE;
    atomic_store(&mailbox->turn, STUB_TURN_GUEST);
}

static int start_thread_locked(struct stub *stub, uint32_t slot, bool fresh, int64_t *ret_result)
{
    const struct stub_op map = {.number = SYS_mmap,
                                .args = {area_addr(slot), STUB_AREA_SIZE, PROT_READ | PROT_WRITE,
                                         MAP_SHARED | MAP_FIXED, STUB_FD_PAGES, area_offset(slot)}};
    /* A forked process has shared pages of its own. */
    const struct stub_op no_fork = {.number = SYS_madvise,
                                    .args = {area_addr(slot), STUB_AREA_SIZE, MADV_DONTFORK}};
    const struct stub_op clone = {.number = SYS_clone,
                                  .args = {STUB_CLONE_THREAD, 0, 0, 0, area_addr(slot)},
                                  .child = STUB_CHILD_GUEST};
    const struct stub_op ops[] = {map, no_fork, clone};
    int64_t results[array_size(ops)];
    size_t skip = fresh ? 0 : 2;
    int rc = stub_call_locked(stub, ops + skip, array_size(ops) - skip, NULL, 0, results);
    if (rc != 0) {
        return rc;
    }
    if (fresh && (uint64_t)results[0] != area_addr(slot)) {
        return results[0] == -ENOMEM ? -ENOMEM : PLATFORM_DEAD;
    }
    *ret_result = results[array_size(ops) - skip - 1];
    return 0;
}

/* Waits for the first post of a new thread: it has its filter then. */
static int await_first_post(struct stub *stub, struct stub_mailbox *mailbox)
{
    uint64_t deadline = host_monotonic_ns() + START_LIMIT_NS;
    for (;;) {
        uint32_t turn = atomic_load(&mailbox->turn);
        if ((turn & STUB_TURN_SENTRY) != 0) {
            return 0;
        }
        if (stub_is_dead(stub) || host_monotonic_ns() > deadline) {
            return PLATFORM_DEAD;
        }
        if (turn == (STUB_TURN_GUEST | STUB_TURN_WAITER) ||
            atomic_compare_exchange_strong(&mailbox->turn, &turn,
                                           STUB_TURN_GUEST | STUB_TURN_WAITER)) {
            ignore_result(host_futex_wait((atomic_uint *)&mailbox->turn,
                                          STUB_TURN_GUEST | STUB_TURN_WAITER, LOOK_INTERVAL_NS));
        }
    }
}

/*
 * The new thread's filter gave the stub a listener: its lowest free descriptor, since no other
 * request is under way. It must not stay there, where it would be passed as something else.
 */
static int take_listener_locked(struct stub *stub, struct stub_mailbox *mailbox, int *ret_listener)
{
    int64_t results[2];
    int rc = await_first_post(stub, mailbox);
    if (rc != 0) {
        return rc;
    }
    const struct stub_op ops[] = {
        stub_op_send(stub),
        {.number = SYS_close, .args = {STUB_FD_FIRST}},
    };
    rc = stub_call_locked(stub, ops, array_size(ops), NULL, 0, results);
    if (rc != 0) {
        return rc;
    }
    int fd;
    rc = host_socket_receive_fd(stub->socket, &fd);
    if (rc == 0 && !host_notify_is_listener(fd)) {
        close(fd);
        rc = -EPROTO;
    }
    if (rc == 0) {
        *ret_listener = fd;
        return 0;
    }
    bool short_of_it = rc == -EMFILE || results[0] == -ENOMEM || results[0] == -ENOBUFS ||
                       results[0] == -ETOOMANYREFS;
    if (!short_of_it) {
        return PLATFORM_DEAD;
    }
    /* Nobody will hear of it: it leaves by itself, at an unknown time, so its area is lost. */
    mailbox->order = STUB_COMMAND_EXIT;
    atomic_store(&mailbox->turn, STUB_TURN_GUEST);
    return -EAGAIN;
}

static int new_thread(struct stub *stub, pid_t *ret_tid, uint32_t *ret_slot,
                      struct stub_mailbox **ret_mailbox, int *ret_listener)
{
    uint32_t slot = 0;
    bool fresh = false;
    int64_t result = 0;
    mutex_lock(&stub->service);
    int rc = take_slot_locked(stub, &slot, &fresh);
    if (rc != 0) {
        mutex_unlock(&stub->service);
        return rc;
    }
    struct stub_area *area = &stub->areas[slot];
    prepare_mailbox(area->mailbox, slot);
    rc = start_thread_locked(stub, slot, fresh, &result);
    if (rc == 0 && (result == -EAGAIN || result == -ENOMEM)) {
        rc = (int)result;
        area->busy = false;
    }
    *ret_mailbox = area->mailbox;
    if (rc == 0 && ret_listener != NULL) {
        rc = take_listener_locked(stub, area->mailbox, ret_listener);
    }
    mutex_unlock(&stub->service);
    if (rc == -EAGAIN || rc == -ENOMEM) {
        return rc;
    }
    if (rc != 0 || result <= 0 || result > INT32_MAX || result == stub->pid ||
        host_tgkill(stub->pid, (pid_t)result, 0) != 0) {
        if (rc == 0 && ret_listener != NULL) {
            close(*ret_listener);
        }
        stub_kill(stub);
        return PLATFORM_DEAD;
    }
    *ret_tid = (pid_t)result;
    *ret_slot = slot;
    return 0;
}

int stub_new_guest_thread(struct stub *stub, pid_t *ret_tid, uint32_t *ret_slot,
                          struct stub_mailbox **ret_mailbox)
{
    return new_thread(stub, ret_tid, ret_slot, ret_mailbox, NULL);
}

int stub_new_listened_thread(struct stub *stub, pid_t *ret_tid, uint32_t *ret_slot,
                             struct stub_mailbox **ret_mailbox, int *ret_listener)
{
    return new_thread(stub, ret_tid, ret_slot, ret_mailbox, ret_listener);
}

void stub_release_area(struct stub *stub, uint32_t slot)
{
    mutex_lock(&stub->service);
    stub->areas[slot].busy = false;
    mutex_unlock(&stub->service);
}
