/*
 * stub.h: a stub process and its service thread.
 *
 * A stub's first thread is its service thread: it never runs guest code and executes lists of host
 * calls that the sentry writes into a request page. Every other thread of it belongs to an engine.
 * All stubs are children of the thread that called stub_start_template and die with it.
 *
 * The service lock (RANK_SERVICE) serialises requests; the other fields are constant, except dead,
 * which only ever becomes true.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/base/compiler.h"
#include "platform/base/lock.h"
#include "platform/platform.h"
#include "platform/stub/layout.h"

/* A guest thread's area as the sentry sees it. */
struct stub_area {
    struct stub_mailbox *mailbox;
    bool busy;
};

/* A guest thread's part of its stub's CPU time. */
struct stub_thread_time {
    atomic_ullong guest_time;    /* spent in guest mode; in the engine's unit */
    uint64_t user_ns, system_ns; /* last reported: they never decrease */
};

struct stub {
    pid_t pid; /* from the kernel's credentials on the stub's first message */
    int socket;
    struct stub_request *request; /* the sentry's writable view; the reply page follows it */
    struct stub_reply *reply;
    struct vdso_info vdso;
    int pages; /* the memfd with all shared pages */
    struct mutex service;
    uint32_t sequence;        /* under service */
    atomic_ullong guest_time; /* of all its guest threads; in the engine's unit */
    struct stub_area *areas;  /* under service: by slot; a NULL view has never been used */
    uint32_t area_count;
    int service_cpu; /* under service; where the service thread is pinned, -1 at first */
    atomic_bool dead;
    atomic_bool broken; /* by a breach of the protocol: stub_kill was called */
    bool reaped;        /* under service */
    int status;         /* as wait(2) gave it; under service */
};

/*
 * Starts the first stub from the image (borrowed memfd), empties its address space and installs
 * its system-call filter. foreign_action is the seccomp verdict for calls made outside of the
 * stub's own code; with SECCOMP_RET_TRAP (stub_new_guest_thread) and SECCOMP_RET_USER_NOTIF
 * (stub_new_listened_thread) the stub handles its signals itself. Must run on a thread that lives
 * as long as the sandbox.
 */
int stub_start_template(int image_fd, uint32_t foreign_action, struct stub **ret_stub) must_check;
/* A copy-on-write copy of parent's address space with a service thread of its own. */
int stub_fork(struct stub *parent, struct stub **ret_stub) must_check;
/* Kills and reaps the process. All of its traced threads must have been reaped. NULL is fine. */
void stub_free(struct stub *stub);
/* A parked host thread in the stub, all signals blocked. The id is checked to belong to it. */
int stub_new_thread(struct stub *stub, pid_t *ret_tid) must_check;
/*
 * A host thread that serves its mailbox (see layout.h) and will post STUB_EVENT_READY. The mailbox
 * is hostile memory. It stays mapped until the stub is freed; stub_release_area gives the slot to
 * the next thread, once the host thread uses it no more.
 */
int stub_new_guest_thread(struct stub *stub, pid_t *ret_tid, uint32_t *ret_slot,
                          struct stub_mailbox **ret_mailbox) must_check;
void stub_release_area(struct stub *stub, uint32_t slot);
/*
 * The same, for a template with SECCOMP_RET_USER_NOTIF. The calls of the thread, its waits for its
 * turn included, arrive at the listener, which is the caller's to close; it hangs up when the
 * thread ends.
 */
int stub_new_listened_thread(struct stub *stub, pid_t *ret_tid, uint32_t *ret_slot,
                             struct stub_mailbox **ret_mailbox, int *ret_listener) must_check;

/* The thread was in guest mode for so long. */
void stub_time_add(struct stub *stub, struct stub_thread_time *time, uint64_t spent);
/*
 * The host tells the CPU time of another process, not that of its threads (Linux: pid_for_clock()),
 * and the guest could forge what its own threads measure. So the exact total of the stub is shared
 * among its threads by the time each spent in guest mode. Called by the thread's own sentry thread.
 */
int stub_time_read(struct stub *stub, struct stub_thread_time *time, uint64_t *ret_user_ns,
                   uint64_t *ret_system_ns) must_check;
bool stub_is_dead(struct stub *stub);
/* Marks the stub dead and kills the process: it broke the protocol. */
void stub_kill(struct stub *stub);
/* Of a dead stub: did it break the protocol, or end by a signal that only its own code raises? Its
 * threads must not be traced. */
bool stub_is_self_inflicted(struct stub *stub);

/*
 * Runs the list of host calls in the service thread and returns 0, or PLATFORM_DEAD. Results are
 * as the stub wrote them: results[i] is a raw system-call result that proves nothing. fds
 * (borrowed) are passed first and take descriptors STUB_FD_FIRST…; the list must receive and close
 * them.
 */
int stub_call_locked(struct stub *stub, const struct stub_op *ops, size_t count, const int *fds,
                     size_t fd_count, int64_t *ret_results) must_check REQUIRES(stub->service);
/* The operation that receives the fds passed along. Its message header is in the reply page. */
struct stub_op stub_op_receive(struct stub *stub, size_t fd_count);
/* The operation that sends descriptor STUB_FD_FIRST to the sentry. Its header is there, too. */
struct stub_op stub_op_send(struct stub *stub);

/* Memory operations: see struct platform_ops. */
int stub_map(struct stub *stub, guest_addr addr, uint64_t length, int prot, int flags, int fd,
             uint64_t offset) must_check;
int stub_unmap(struct stub *stub, guest_addr addr, uint64_t length) must_check;
int stub_protect(struct stub *stub, guest_addr addr, uint64_t length, int prot) must_check;
int stub_remap(struct stub *stub, guest_addr old_addr, uint64_t old_length, guest_addr new_addr,
               uint64_t new_length, int flags) must_check;
int stub_advise(struct stub *stub, guest_addr addr, uint64_t length, int advice) must_check;
int stub_mincore(struct stub *stub, guest_addr addr, uint64_t length,
                 unsigned char *ret_vec) must_check;
ssize_t stub_copy_in(struct stub *stub, guest_addr addr, void *buffer, size_t length) must_check;
ssize_t stub_copy_out(struct stub *stub, guest_addr addr, const void *buffer,
                      size_t length) must_check;
ssize_t stub_copy_out_force(struct stub *stub, guest_addr addr, const void *buffer, size_t length,
                            int prot) must_check;
/* The part of [addr, addr + length) that is guest memory; 0 when it starts outside. */
size_t stub_clip_copy(guest_addr addr, size_t length);
