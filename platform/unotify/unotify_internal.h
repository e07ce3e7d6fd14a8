/*
 * unotify_internal.h: types shared by the files of the unotify engine.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/base/compiler.h"
#include "platform/base/lock.h"
#include "platform/base/queue.h"
#include "platform/host/notify.h"
#include "platform/placement.h"
#include "platform/platform.h"
#include "platform/stub/stub.h"

struct platform {
    struct stub *template_stub;
    struct placement *placement;
    struct unotify_watch *watch;
};

#define UNOTIFY_IDLE_MAX 4

struct address_space {
    struct platform *platform;
    struct stub *stub;
    struct mutex lock; /* RANK_PLATFORM: of the two below */
    /* Parked guest threads that nobody uses. */
    struct platform_thread *idle[UNOTIFY_IDLE_MAX];
    uint32_t idle_count;
};

/* Bits of platform_thread.state. */
#define THREAD_IN_GUEST  1U /* between the start of thread_run and its event */
#define THREAD_INTERRUPT 2U /* thread_interrupt was called and not reported yet */

/* The signal that makes a guest thread leave guest code, or the call it waits in, and post. */
#define THREAD_INTERRUPT_SIGNAL SIGURG

/* Where a guest thread waits for us. */
enum unotify_parking {
    PARKED_NOWHERE, /* it runs */
    PARKED_IN_CALL, /* in a call of the guest's: its registers are in the CPU, unknown to us */
    PARKED_IN_POST, /* in its stub: all registers are in the mailbox, and it takes commands */
};

struct platform_thread {
    struct address_space *space;
    pid_t tid;
    uint32_t slot;
    struct stub_mailbox *mailbox; /* hostile memory: every field is read once */
    int listener;
    atomic_uint state;
    bool gone; /* nothing will arrive any more */
    /* Used by the sentry thread only. */
    enum unotify_parking parking;
    uint64_t id;                   /* of the notification to be answered */
    struct host_notification call; /* the last call of the guest's that arrived */
    bool owed;                     /* its answer did not reach the thread, which will ask again */
    uint64_t owed_result;
    struct arch_regs shown; /* what thread_run reported last */
    bool complete;          /* all of it is known; else only what a notification tells */
    struct arch_regs real;  /* all registers, when parked in a post */
    bool xstate_pending;    /* the area holds a state that the next resume loads */
    struct stub_thread_time time;
    struct placement_pair pair;
    /* Under the watch's lock. */
    TAILQ_ENTRY(platform_thread) link;
    uint64_t deadline_ns;
    bool watched;
};

/* unotify_thread.c */
int unotify_thread_new(struct address_space *space, struct platform_thread **ret_thread) must_check;
void unotify_thread_free(struct platform_thread *thread);
ssize_t unotify_thread_get_xstate(struct platform_thread *thread, void *buffer,
                                  size_t size) must_check;
int unotify_thread_set_xstate(struct platform_thread *thread, const void *buffer,
                              size_t size) must_check;
int unotify_thread_atomic(struct platform_thread *thread, guest_addr addr, enum platform_atomic op,
                          uint32_t expected, uint32_t desired, uint32_t *ret_old) must_check;
int unotify_thread_cpu_time(struct platform_thread *thread, uint64_t *ret_user_ns,
                            uint64_t *ret_system_ns) must_check;
int unotify_thread_set_affinity(struct platform_thread *thread, const void *mask,
                                size_t mask_size) must_check;

/* unotify_wait.c: what arrives at the listener. */
/* Waits until the thread is parked, in a call or in a post: 0, or PLATFORM_DEAD. A thread that
 * stays silent for limit_ns (0: for ever) is hostile and its process killed. */
int unotify_await(struct platform_thread *thread, uint64_t limit_ns) must_check;
/* Gives the turn to a thread parked in a post, whose mailbox is filled in. */
int unotify_give_turn(struct platform_thread *thread) must_check;
/* The guest's call returns result. False: the thread has to be told again (unotify_await does). */
bool unotify_answer(struct platform_thread *thread, uint64_t result);
/* Makes the parked thread one that is parked in a post, with its registers in real. */
int unotify_park(struct platform_thread *thread) must_check;
/* A command that a parked thread answers at once. */
int unotify_command(struct platform_thread *thread, uint32_t command) must_check;
/* Lets the parked thread end and waits until it has: true, its area is free again. */
bool unotify_end(struct platform_thread *thread);
void unotify_thread_interrupt(struct platform_thread *thread);

/* unotify_run.c */
int unotify_thread_run(struct platform_thread *thread, struct arch_regs *regs,
                       struct platform_event *ret_event) must_check;
int unotify_thread_complete(struct platform_thread *thread, struct arch_regs *regs) must_check;
/* The registers in the mailbox. */
void unotify_read_registers(struct platform_thread *thread, struct arch_regs *ret_regs);

/* unotify_watch.c: kills processes whose threads stay silent for limit_ns after an interrupt. */
int unotify_watch_new(uint64_t limit_ns, struct unotify_watch **ret_watch) must_check;
void unotify_watch_free(struct unotify_watch *watch);
/* The thread was interrupted in guest mode. Any thread. */
void unotify_watch_begin(struct unotify_watch *watch, struct platform_thread *thread);
/* It has left guest mode. */
void unotify_watch_end(struct unotify_watch *watch, struct platform_thread *thread);

/* unotify_probe.c */
int unotify_probe(char *reason, size_t reason_size) must_check;
