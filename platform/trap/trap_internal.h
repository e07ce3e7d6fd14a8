/*
 * trap_internal.h: types shared by the files of the trap engine.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/base/compiler.h"
#include "platform/base/lock.h"
#include "platform/base/queue.h"
#include "platform/placement.h"
#include "platform/platform.h"
#include "platform/stub/stub.h"

TAILQ_HEAD(space_list, address_space);
TAILQ_HEAD(thread_list, platform_thread);

struct platform {
    struct stub *template_stub;
    struct placement *placement;
    struct trap_monitor *monitor;
    struct trap_pool *pool;
    struct patch_cache *texts;
    /* How long an interrupted guest thread may stay silent before it is taken for hostile. */
    uint64_t silence_limit_ns;
    atomic_ullong moves; /* see trap_pace.c; TSC ticks */
};

/* A parked guest thread that nobody uses. */
struct trap_idle {
    pid_t tid;
    uint32_t slot;
    struct stub_mailbox *mailbox;
};
#define TRAP_IDLE_MAX 4

struct address_space {
    struct platform *platform;
    struct stub *stub;
    struct mutex change; /* RANK_SPACE: serialises changes of mappings and of text */
    struct trap_text *text;
    uint64_t id;              /* of the monitor's event; constant */
    atomic_uint stop_pending; /* threads in guest mode that trap_stop_begin waits for */
    /* Under the monitor's lock. */
    TAILQ_ENTRY(address_space) link;
    struct thread_list threads;
    bool stopping;
    unsigned int stop_depth; /* under change: of trap_stop_begin */
    struct trap_idle idle[TRAP_IDLE_MAX];
    uint32_t idle_count;
};

/* Bits of platform_thread.state. */
#define THREAD_IN_GUEST  1U /* between the start of thread_run and its event */
#define THREAD_INTERRUPT 2U /* thread_interrupt was called and not reported yet */
#define THREAD_STOP      4U /* the text of the space changes: stay out of guest mode */

/* The signal that makes a running guest thread post STUB_EVENT_INTERRUPTED. */
#define THREAD_INTERRUPT_SIGNAL SIGURG

/*
 * How a sentry thread waits for its guest thread. Together on one CPU each hand-off costs two
 * context switches; on two CPUs, both spinning, a tenth of that, but a CPU is kept busy and a
 * sleeper there is dear to wake. All times in TSC ticks. Used by the sentry thread only.
 */
struct trap_pace {
    bool split;
    uint32_t quick;             /* calls in a row that a spinning sentry thread would have caught */
    uint32_t hits;              /* calls caught since the split */
    uint32_t slow;              /* answers in a row for which the guest thread had gone to sleep */
    uint64_t posted;            /* when the last post was seen */
    uint64_t budget;            /* how long to spin */
    uint32_t guest_spin;        /* what the mailbox says */
    uint64_t pause, not_before; /* no split before; doubles with each split that did not pay */
};

/* Copies that travel with the turn. Used by the sentry thread only. */
struct trap_copies {
    uint32_t in_count, out_count, out_used;
    bool out_allowed;
    struct stub_copy in[STUB_COPIES_IN], out[STUB_COPIES_OUT];
};

/* A remembered answer of trap_text_locate. */
struct trap_place {
    guest_addr raw, shown;
    unsigned int generation;
};

/* Calls that trap until somebody looks at their text; in vain doubles it, up to the maximum. Odd
 * numbers, so that sites that take turns all have theirs. */
#define TRAP_PROMOTE_AFTER 127U
#define TRAP_PROMOTE_MAX   ((1U << 20) - 1)

struct platform_thread {
    struct address_space *space;
    TAILQ_ENTRY(platform_thread) link; /* under the monitor's lock */
    pid_t tid;
    uint32_t slot;
    struct stub_mailbox *mailbox; /* hostile memory: every field is read once */
    atomic_uint state;
    atomic_bool dead;    /* nobody will post any more; only ever becomes true */
    bool xstate_pending; /* the area holds a state that the next resume loads */
    bool gs_taken;       /* the guest has a gs base of its own */
    /* The instruction address as the stub posted it and as it was reported. */
    guest_addr posted_rip, shown_rip;
    unsigned int posted_generation; /* of the text, then */
    /* The same of the last resume. */
    guest_addr resumed_rip, resumed_shown;
    struct trap_place places[64];
    struct platform_answers answers; /* as the mailbox has them */
    uint32_t traps;                  /* calls that came by signal */
    uint32_t promoted;               /* traps when a text was looked at, and how many later again */
    uint32_t promote_after;
    bool promote; /* they are so many that their text is to be looked at */
    struct stub_thread_time time;
    struct placement_pair pair;
    struct trap_pace pace;
    struct trap_copies copies;
};

/* trap_thread.c */
int trap_thread_new(struct address_space *space, struct platform_thread **ret_thread) must_check;
/* Starts a thread for later. */
int trap_thread_prepare(struct address_space *space) must_check;
void trap_thread_free(struct platform_thread *thread);
ssize_t trap_thread_get_xstate(struct platform_thread *thread, void *buffer,
                               size_t size) must_check;
int trap_thread_set_xstate(struct platform_thread *thread, const void *buffer,
                           size_t size) must_check;
int trap_thread_atomic(struct platform_thread *thread, guest_addr addr, enum platform_atomic op,
                       uint32_t expected, uint32_t desired, uint32_t *ret_old) must_check;
int trap_thread_cpu_time(struct platform_thread *thread, uint64_t *ret_user_ns,
                         uint64_t *ret_system_ns) must_check;
int trap_thread_set_affinity(struct platform_thread *thread, const void *mask,
                             size_t mask_size) must_check;

/* trap_run.c */
int trap_thread_run(struct platform_thread *thread, struct arch_regs *regs,
                    struct platform_event *ret_event) must_check;

void trap_thread_answer(struct platform_thread *thread, const struct platform_answers *answers);

/* trap_pace.c */
/* Ticks of the TSC in a microsecond, measured once in 20 us. */
uint64_t trap_ticks_per_us(void);
void trap_pace_init(struct trap_pace *pace, const struct platform *platform);
void trap_pace_start(struct platform *platform);
/* Before the turn is given: decides where to wait and how long the guest side may spin. */
void trap_pace_before(struct platform_thread *thread);
/* Spins as the pace allows. True when the guest side has posted. */
bool trap_pace_spin(struct platform_thread *thread);
/* After a post: what was learnt. `given` is when the turn was given, `asleep` whether the guest
 * thread had to be woken for it. */
void trap_pace_after(struct platform_thread *thread, uint64_t given, bool asleep);

/* trap_copy.c: see struct platform_ops. begin: a call was posted; end: the turn goes
 * back, with so many copies in the mailbox. */
void trap_copy_begin(struct platform_thread *thread, uint64_t number);
uint32_t trap_copy_end(struct platform_thread *thread);
/* Writes out what the stub was to copy later, if the caller answers a call of this space. */
void trap_copy_flush(struct address_space *space);
ssize_t trap_copy_in(struct address_space *space, guest_addr addr, void *buffer,
                     size_t length) must_check;
ssize_t trap_copy_in_string(struct address_space *space, guest_addr addr, char *buffer,
                            size_t size) must_check;
ssize_t trap_copy_out(struct address_space *space, guest_addr addr, const void *buffer,
                      size_t length) must_check;
bool trap_copy_out_later(struct address_space *space, guest_addr addr, const void *buffer,
                         size_t length) must_check;

/* trap_text.c: rewritten text. Those that change something are called with space->change held. */
int trap_text_init(struct platform *platform) must_check;
void trap_text_fini(struct platform *platform);
/* The space's table, empty or a copy of the parent's. */
int trap_text_new(struct address_space *space, struct address_space *parent) must_check;
void trap_text_free(struct address_space *space);
/* As stub_map, with text rewritten. */
int trap_text_map(struct address_space *space, guest_addr addr, uint64_t length, int prot,
                  int flags, int fd, uint64_t offset) must_check;
/* The range is about to be unmapped. */
int trap_text_clear(struct address_space *space, guest_addr addr, uint64_t length) must_check;
/* Puts original bytes back, and leaves the range alone from now on. */
int trap_text_restore(struct address_space *space, guest_addr addr, uint64_t length) must_check;
/* The same for the whole space, for ever. */
int trap_text_restore_all(struct address_space *space) must_check;
/* madvise(MADV_DONTNEED): restored text keeps its original bytes. */
int trap_text_drop(struct address_space *space, guest_addr addr, uint64_t length) must_check;
/* The protection is about to change. */
int trap_text_protect(struct address_space *space, guest_addr addr, uint64_t length,
                      int prot) must_check;
/* buffer was read from addr: puts original bytes into it. Needs no lock, like all that follow. */
void trap_text_show(struct address_space *space, guest_addr addr, void *buffer, size_t length);
/* An instruction address in terms of the file's text, and the other way round. */
guest_addr trap_text_locate(struct address_space *space, guest_addr rip);
guest_addr trap_text_enter(struct address_space *space, guest_addr rip);
/* Changes with the table: what was located before may lie elsewhere now. */
unsigned int trap_text_generation(struct address_space *space);
/* Files are mapped as they are from now on. */
bool trap_text_is_off(struct address_space *space);
/* trap_text_locate with a memory: for every call. */
guest_addr trap_text_locate_call(struct platform_thread *thread, guest_addr rip);
/* trap_promote.c. Calls of this number at rip have trapped often: rewrites the text, or the site if
 * the text has been rewritten without it. Negative errno when that cannot be. */
int trap_text_promote(struct address_space *space, guest_addr rip, uint64_t number) must_check;

/*
 * trap_stop.c: instructions that a thread may be at are changed only while no thread of the space
 * is in guest mode. begin waits until none is; space->change is held until after end. They nest.
 */
void trap_stop_begin(struct address_space *space);
void trap_stop_end(struct address_space *space);
/* A thread that was to stop has left guest mode. */
void trap_stop_reached(struct address_space *space);

/* trap_handoff.c: the turn. */
void trap_thread_interrupt(struct platform_thread *thread);
/* Sends the signal that ends the thread's stay in guest mode. */
void trap_thread_kick(struct platform_thread *thread);
/* Gives the turn to the guest side, whose mailbox is filled in. True when it had to be woken. */
bool trap_give_turn(struct platform_thread *thread);
/* Waits until the guest side posts: 0, or PLATFORM_DEAD. With limit_ns other than 0 a guest thread
 * that stays silent for so long is taken for hostile and its process killed. */
int trap_await_post(struct platform_thread *thread, uint64_t limit_ns) must_check;
/* A command that a parked thread answers at once. */
int trap_command(struct platform_thread *thread, uint32_t command) must_check;
/* Makes the thread's own sentry thread return PLATFORM_DEAD. Any thread. */
void trap_thread_lost(struct platform_thread *thread);

/* trap_monitor.c: notices the end of stub processes, which can post nothing any more. */
int trap_monitor_new(struct trap_monitor **ret_monitor) must_check;
void trap_monitor_free(struct trap_monitor *monitor);
int trap_monitor_add_space(struct trap_monitor *monitor, struct address_space *space) must_check;
void trap_monitor_remove_space(struct trap_monitor *monitor, struct address_space *space);
void trap_monitor_add_thread(struct trap_monitor *monitor, struct platform_thread *thread);
/* Sets or clears THREAD_STOP of all threads of the space, present and future; the former also
 * interrupts those in guest mode and counts them in stop_pending. */
void trap_monitor_stop_threads(struct trap_monitor *monitor, struct address_space *space,
                               bool stop);
/* With keep, the parked thread is kept for the next user if there is room: then true. */
bool trap_monitor_remove_thread(struct trap_monitor *monitor, struct platform_thread *thread,
                                bool keep);
/* Takes a thread that was kept. */
bool trap_monitor_take_idle(struct trap_monitor *monitor, struct address_space *space,
                            struct trap_idle *ret_idle);

/* trap.c */
int trap_new_space(struct platform *platform, struct address_space *parent,
                   struct address_space **ret_space) must_check;
void trap_space_free(struct address_space *space);

/* trap_pool.c: clean spaces, each with a parked thread, made ahead of time by a thread of its own:
 * what execve needs. take gives NULL when there is none. */
int trap_pool_new(struct platform *platform, unsigned int size,
                  struct trap_pool **ret_pool) must_check;
void trap_pool_free(struct trap_pool *pool);
struct address_space *trap_pool_take(struct trap_pool *pool);

/* trap_probe.c */
int trap_probe(char *reason, size_t reason_size) must_check;
