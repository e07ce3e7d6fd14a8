/*
 * platform.h: how guest code runs and how its calls reach the sentry.
 *
 * An *address space* is the memory of one stub process: guest memory is native host memory. A
 * *platform thread* is one host thread of that stub which runs guest code; the sentry pairs it with
 * one of its own threads. Guest processes that share memory (vfork, CLONE_VM) are further platform
 * threads of one address space: the host's thread groups need not match the guest's.
 *
 * Every engine implements struct platform_ops and passes tests/platform. Errors are negative errno.
 * Everything that comes back from a stub is hostile and is checked by the engine before it is
 * returned (an address space may lie about its own memory, never about anything else).
 *
 * PLATFORM_DEAD (-ESRCH) from any function means that the stub is gone. space_fault_of_guest tells
 * whether its own guest did that (it attacked the stub, say): then only the guest processes of that
 * space end. Otherwise it was killed from outside, or the host ran out of memory: the sandbox
 * cannot go on and ends with a clear error.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/arch/registers.h"
#include "platform/base/compiler.h"

#define PLATFORM_DEAD (-ESRCH)

typedef uint64_t guest_addr;

/* Guest mappings lie in [PLATFORM_GUEST_MIN, PLATFORM_GUEST_MAX). Below lives the stub, above its
 * threads' areas. */
#define PLATFORM_GUEST_MIN 0x200000ULL
#define PLATFORM_GUEST_MAX 0x7fffe0000000ULL

struct host_call_set; /* platform/host/bpf_reach.h */
struct platform;
struct address_space;
struct platform_thread;

enum platform_event_kind {
    PLATFORM_EVENT_SYSCALL,     /* regs hold the call: rax number, rip after the instruction; for
                                   all else see thread_complete */
    PLATFORM_EVENT_FAULT,       /* a synchronous signal; see fault */
    PLATFORM_EVENT_INTERRUPTED, /* thread_interrupt() was called; may also be spurious */
};

/* A synchronous fault as Linux would describe it in siginfo_t and in the signal frame. */
struct platform_fault {
    int signo; /* SIGSEGV SIGBUS SIGFPE SIGILL SIGTRAP */
    int code;  /* si_code */
    uint64_t addr;
    uint64_t trapno, err,
        cr2; /* gregs REG_TRAPNO REG_ERR REG_CR2; 0 where the engine cannot know */
};

struct platform_event {
    enum platform_event_kind kind;
    struct platform_fault fault;
};

/* Calls whose results the sentry knows before they are made: see thread_answer. */
enum platform_answer {
    PLATFORM_ANSWER_NONE,
    PLATFORM_ANSWER_GETPID,
    PLATFORM_ANSWER_GETTID,
    PLATFORM_ANSWER_GETUID,
    PLATFORM_ANSWER_GETEUID,
    PLATFORM_ANSWER_GETGID,
    PLATFORM_ANSWER_GETEGID,
    PLATFORM_ANSWER_SCHED_YIELD, /* 0, after the guest thread gave up its CPU */
    PLATFORM_ANSWER_COUNT,
};

struct platform_answers {
    bool known; /* false: the sentry wants to see every call */
    uint32_t result[PLATFORM_ANSWER_COUNT];
};

/* Operation of thread_atomic on a 32-bit guest word; returns the old value. */
enum platform_atomic { PLATFORM_ATOMIC_LOAD, PLATFORM_ATOMIC_CMPXCHG };

struct platform_config {
    int stub_image_fd; /* sealed memfd with the stub's ELF image; borrowed; -1: the built-in one */
    unsigned int ready_spaces; /* clean spaces to keep ready, if the engine can; at most 8 */
    /* How long an interrupted guest thread may stay silent before its process is killed; 0: as the
     * engine thinks fit. For tests. */
    unsigned int silence_limit_ms;
};

struct vdso_info {
    guest_addr vvar; /* start of the vvar pages, directly below the vDSO */
    guest_addr vdso; /* 0 when the host has none */
    uint64_t vvar_size, vdso_size;
};

struct platform_ops {
    const char *name;
    bool traces;  /* it needs ptrace after init */
    bool listens; /* it needs the ioctls of seccomp listeners */

    /* Which host calls guest threads can make, or the other threads of their process. NULL: guest
     * threads are stopped before any. */
    int (*host_calls)(struct host_call_set *ret_set, bool guest) must_check;
    /* Can this engine work here? 0, or negative errno and one line in reason. Leaves nothing. */
    int (*probe)(char *reason, size_t reason_size) must_check;
    /* Starts the engine. Called once, before the sentry locks itself in. */
    int (*init)(const struct platform_config *config, struct platform **ret_platform) must_check;
    void (*fini)(struct platform *platform);

    /* A clean address space: nothing mapped but the vDSO. */
    int (*space_new)(struct platform *platform, struct address_space **ret_space) must_check;
    /* Copy-on-write copy of parent; its threads are not copied. The caller holds the parent's area
     * table locked. Other threads of the parent may go on running. */
    int (*space_fork)(struct address_space *parent, struct address_space **ret_space) must_check;
    /* Ends the stub; every platform thread of it must have been freed. */
    void (*space_free)(struct address_space *space);
    /* After PLATFORM_DEAD: is the guest itself to blame? */
    bool (*space_fault_of_guest)(struct address_space *space);
    /* Where the vDSO lies in a clean address space. */
    void (*space_vdso)(struct address_space *space, struct vdso_info *ret_info);

    /*
     * Memory. addr and length are page-aligned and within the guest range; prot and flags are host
     * values: flags are MAP_PRIVATE or MAP_SHARED, MAP_ANONYMOUS, MAP_NORESERVE; MAP_FIXED is
     * implied. fd is a host file (borrowed), -1 for anonymous memory. Any thread may call these.
     */
    int (*space_map)(struct address_space *space, guest_addr addr, uint64_t length, int prot,
                     int flags, int fd, uint64_t offset) must_check;
    int (*space_unmap)(struct address_space *space, guest_addr addr, uint64_t length) must_check;
    int (*space_protect)(struct address_space *space, guest_addr addr, uint64_t length,
                         int prot) must_check;
    /* Moves or resizes a mapping to the given new address (MREMAP_FIXED is implied when it moves).
     * flags: 0 or MREMAP_DONTUNMAP. */
    int (*space_remap)(struct address_space *space, guest_addr old_addr, uint64_t old_length,
                       guest_addr new_addr, uint64_t new_length, int flags) must_check;
    int (*space_advise)(struct address_space *space, guest_addr addr, uint64_t length,
                        int advice) must_check;
    /* Page residency as mincore(2): one byte per page into ret_vec. */
    int (*space_mincore)(struct address_space *space, guest_addr addr, uint64_t length,
                         unsigned char *ret_vec) must_check;

    /*
     * Copies between guest memory and the caller's buffer. Return the count of bytes copied, which
     * is short when a fault came after some bytes, or -EFAULT when the first byte faulted.
     * copy_out honours page protection; copy_out_force writes through read-only private pages as
     * ptrace(2) POKE and /proc/pid/mem do. prot is the protection of the pages, all of which have
     * the same.
     */
    ssize_t (*copy_in)(struct address_space *space, guest_addr addr, void *buffer,
                       size_t length) must_check;
    ssize_t (*copy_out)(struct address_space *space, guest_addr addr, const void *buffer,
                        size_t length) must_check;
    ssize_t (*copy_out_force)(struct address_space *space, guest_addr addr, const void *buffer,
                              size_t length, int prot) must_check;

    /*
     * Cheaper copies for a sentry thread that is answering a call of this space; NULL where the
     * engine has none. copy_in_string gives the length of the NUL-terminated string, which it wrote
     * to the buffer, or -EAGAIN when it cannot tell. copy_out_later copies when the guest resumes,
     * if it returns true; the caller knows that all of it is private writable memory.
     */
    ssize_t (*copy_in_string)(struct address_space *space, guest_addr addr, char *buffer,
                              size_t size) must_check;
    bool (*copy_out_later)(struct address_space *space, guest_addr addr, const void *buffer,
                           size_t length) must_check;

    /*
     * Threads. thread_new is called by the sentry thread that will run it, and all functions below
     * but thread_interrupt are called by that same thread only.
     */
    int (*thread_new)(struct address_space *space, struct platform_thread **ret_thread) must_check;
    void (*thread_free)(struct platform_thread *thread);
    /* Runs guest code with *regs until an event; *regs holds the registers then. */
    int (*thread_run)(struct platform_thread *thread, struct arch_regs *regs,
                      struct platform_event *ret_event) must_check;
    /* These calls need not be reported by thread_run any more. NULL where the engine reports all.
     * Until it is called the first time, every call is reported. */
    void (*thread_answer)(struct platform_thread *thread, const struct platform_answers *answers);
    /*
     * After PLATFORM_EVENT_SYSCALL only the number (eax), the arguments, rip and rcx are sure to be
     * what the guest has; this gives the others their values. Needed before one of them is read or
     * changed. What the caller has changed in *regs since then stays. NULL where thread_run gives
     * all.
     */
    int (*thread_complete)(struct platform_thread *thread, struct arch_regs *regs) must_check;
    /* Makes the present or the next thread_run return PLATFORM_EVENT_INTERRUPTED. Any thread. */
    void (*thread_interrupt)(struct platform_thread *thread);
    /* Extended (FPU, vector) state in XSAVE format. get returns its size; buffers hold
     * arch_xstate_size() bytes. set validates and returns -EINVAL for a state the CPU refuses. */
    ssize_t (*thread_get_xstate)(struct platform_thread *thread, void *buffer,
                                 size_t size) must_check;
    int (*thread_set_xstate)(struct platform_thread *thread, const void *buffer,
                             size_t size) must_check;
    /* One atomic operation on an aligned 32-bit guest word; -EFAULT when it cannot be accessed. */
    int (*thread_atomic)(struct platform_thread *thread, guest_addr addr, enum platform_atomic op,
                         uint32_t expected, uint32_t desired, uint32_t *ret_old) must_check;
    /* CPU time used by the guest thread: user and system nanoseconds of the host thread. */
    int (*thread_cpu_time)(struct platform_thread *thread, uint64_t *ret_user_ns,
                           uint64_t *ret_system_ns) must_check;
    /*
     * Hints for where threads run; NULL where the engine has no use for them. rest: the caller is
     * about to sleep until another guest thread does something, or was woken. bring: the caller is
     * about to wake the sentry thread of this thread, which rests; it stays valid meanwhile.
     */
    void (*thread_rest)(struct platform_thread *thread, bool begins);
    void (*thread_bring)(struct platform_thread *thread);
    /* Asks the host to run the thread on these CPUs (host mask of mask_size bytes). */
    int (*thread_set_affinity)(struct platform_thread *thread, const void *mask,
                               size_t mask_size) must_check;
};

/* Engines by name; "auto" gives the best that works here. NULL when unknown. */
const struct platform_ops *platform_find(const char *name);
/* The i-th engine, NULL past the end: for --help, doctor and tests. */
const struct platform_ops *platform_get(size_t index);
