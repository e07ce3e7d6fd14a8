/*
 * unotify_wait.c: each guest thread has a listener of its own, at which arrive the calls of the
 * guest and, as one more notified call, the waits for its turn of the stub's own code (a post).
 *
 * A signal takes a notification back at any time before its answer; the thread then goes through
 * the stub's handler and asks again or posts. An answer that came too late is owed.
 */
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "platform/host/process.h"
#include "platform/unotify/unotify_internal.h"

#define COMMAND_LIMIT_NS 20000000000ULL
#define LOST_WAIT_MS     50
#define ROUNDS           10000 /* notifications in a row that mean nothing */
#define AFTER_WAIT       (STUB_AT_GUEST_WAIT + 2)

/* Nobody will ask any more. A process that dies loses its threads one by one. */
static int lost(struct platform_thread *thread)
{
    thread->gone = true;
    for (int i = 0; i < LOST_WAIT_MS && !stub_is_dead(thread->space->stub); i++) {
        const struct timespec pause = {.tv_nsec = 1000000};
        nanosleep(&pause, NULL);
    }
    stub_kill(thread->space->stub);
    return PLATFORM_DEAD;
}

static int hostile(struct platform_thread *thread)
{
    thread->gone = true;
    stub_kill(thread->space->stub);
    return PLATFORM_DEAD;
}

/* The next notification: 0, -EPIPE when the thread has ended, -ETIMEDOUT. */
static int receive(struct platform_thread *thread, uint64_t limit_ns,
                   struct host_notification *ret_notification)
{
    int limit_ms = limit_ns == 0 ? -1 : (int)(limit_ns / 1000000);
    return host_notify_receive(thread->listener, limit_ms, ret_notification);
}

static bool is_same_call(const struct host_notification *a, const struct host_notification *b)
{
    return a->number == b->number && a->arch == b->arch && a->ip == b->ip &&
           memcmp(a->args, b->args, sizeof a->args) == 0;
}

/* Looks at a notification. True: the thread is parked now. */
static bool is_parked_by(struct platform_thread *thread,
                         const struct host_notification *notification)
{
    thread->id = notification->id;
    if (notification->arch == AUDIT_ARCH_X86_64 && notification->ip == AFTER_WAIT) {
        if ((atomic_load(&thread->mailbox->turn) & STUB_TURN_SENTRY) != 0) {
            thread->parking = PARKED_IN_POST;
            return true;
        }
        /* It has its turn already, and asks again after a signal. */
        ignore_result(host_notify_answer(thread->listener, notification->id, 0));
        return false;
    }
    if (thread->owed && is_same_call(notification, &thread->call)) {
        thread->owed =
            host_notify_answer(thread->listener, notification->id, thread->owed_result) != 0;
        return false;
    }
    thread->owed = false;
    thread->call = *notification;
    thread->parking = PARKED_IN_CALL;
    return true;
}

int unotify_await(struct platform_thread *thread, uint64_t limit_ns)
{
    for (int rounds = 0; rounds < ROUNDS; rounds++) {
        struct host_notification notification;
        int rc = receive(thread, limit_ns, &notification);
        if (rc == -EPIPE) {
            return lost(thread);
        }
        if (rc != 0) {
            break;
        }
        if (is_parked_by(thread, &notification)) {
            return 0;
        }
    }
    return hostile(thread);
}

int unotify_give_turn(struct platform_thread *thread)
{
    if (thread->gone) {
        return PLATFORM_DEAD;
    }
    thread->parking = PARKED_NOWHERE;
    atomic_store(&thread->mailbox->turn, STUB_TURN_GUEST);
    /* One that a signal woke asks again: see is_parked_by. */
    ignore_result(host_notify_answer(thread->listener, thread->id, 0));
    return 0;
}

bool unotify_answer(struct platform_thread *thread, uint64_t result)
{
    thread->parking = PARKED_NOWHERE;
    thread->owed = host_notify_answer(thread->listener, thread->id, result) != 0;
    thread->owed_result = result;
    return !thread->owed;
}

int unotify_park(struct platform_thread *thread)
{
    const struct host_notification call = thread->call;
    if (thread->gone) {
        return PLATFORM_DEAD;
    }
    for (int rounds = 0; thread->parking == PARKED_IN_CALL; rounds++) {
        if (rounds == ROUNDS || !is_same_call(&thread->call, &call)) {
            return hostile(thread);
        }
        int rc = host_tgkill(thread->space->stub->pid, thread->tid, THREAD_INTERRUPT_SIGNAL);
        if (rc != 0) {
            return lost(thread);
        }
        rc = unotify_await(thread, COMMAND_LIMIT_NS);
        if (rc != 0) {
            return rc;
        }
        if (thread->parking == PARKED_IN_POST) {
            /* The handler found it in front of its call. */
            unotify_read_registers(thread, &thread->real);
            thread->real.rip = call.ip;
            thread->real.rax = thread->shown.rax;
            thread->real.orig_rax = thread->shown.orig_rax;
        }
    }
    return 0;
}

int unotify_command(struct platform_thread *thread, uint32_t command)
{
    int rc = unotify_park(thread);
    if (rc == 0) {
        thread->mailbox->order = command;
        rc = unotify_give_turn(thread);
    }
    if (rc == 0) {
        rc = unotify_await(thread, COMMAND_LIMIT_NS);
    }
    if (rc == 0 && thread->parking != PARKED_IN_POST) {
        rc = hostile(thread);
    }
    return rc;
}

bool unotify_end(struct platform_thread *thread)
{
    if (unotify_park(thread) != 0) {
        return false;
    }
    thread->mailbox->order = STUB_COMMAND_EXIT;
    int rc = unotify_give_turn(thread);
    for (int rounds = 0; rc == 0 && rounds < ROUNDS; rounds++) {
        struct host_notification notification;
        rc = receive(thread, COMMAND_LIMIT_NS, &notification);
        if (rc == -EPIPE) {
            return true;
        }
        if (rc == 0 && is_parked_by(thread, &notification)) {
            break;
        }
    }
    ignore_result(hostile(thread));
    return false;
}

void unotify_thread_interrupt(struct platform_thread *thread)
{
    unsigned int old = atomic_fetch_or(&thread->state, THREAD_INTERRUPT);
    /* Outside guest mode the flag is enough: the next run sees it before it starts. */
    if ((old & (THREAD_IN_GUEST | THREAD_INTERRUPT)) == THREAD_IN_GUEST) {
        ignore_result(host_tgkill(thread->space->stub->pid, thread->tid, THREAD_INTERRUPT_SIGNAL));
        unotify_watch_begin(thread->space->platform->watch, thread);
    }
}
