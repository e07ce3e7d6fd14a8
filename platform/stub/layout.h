/*
 * layout.h: where everything in a stub lies, and the pages it shares with the sentry. Included by
 * the stub's assembly too, so the first half is preprocessor text only.
 *
 * Code and request pages are below PLATFORM_GUEST_MIN, so "the address is not below it" is all that
 * it takes to keep memory requests off them. The areas of guest threads lie above
 * PLATFORM_GUEST_MAX. The stub's code holds no secrets and the guest may jump anywhere into it.
 */
#ifndef STUB_LAYOUT_H
#define STUB_LAYOUT_H

#define STUB_GUEST_MIN 0x200000 /* PLATFORM_GUEST_MIN */
#define STUB_TEXT      0x10000
#define STUB_REQUEST   0x20000 /* one page, read-only in the stub */
#define STUB_REPLY     0x21000 /* one page, writable by the guest: hostile */
#define STUB_PAGE      0x1000

/* Instruction addresses in the stub; STUB_IP_x is the address after the system call there. */
#define STUB_AT_START  0x10000 /* set-up of a new process: several calls up to STUB_AT_LOOP */
#define STUB_AT_LOOP   0x10120
#define STUB_AT_WAIT   0x10160
#define STUB_AT_LIST   0x101e0
#define STUB_AT_WAKE   0x10240
#define STUB_AT_PARK   0x10280
#define STUB_AT_EXIT   0x102a0
#define STUB_AT_DIE    0x102c0
#define STUB_AT_ATOMIC 0x102e0
/* Guest threads of the trap and unotify engines. */
#define STUB_AT_GUEST_START 0x10300 /* set-up of the thread up to STUB_AT_GUEST_READY */
#define STUB_AT_GUEST_READY 0x10380
#define STUB_AT_GUEST_WAIT  0x103c0
#define STUB_AT_GUEST_WAKE  0x103e0
#define STUB_AT_GUEST_EXIT  0x10420
#define STUB_AT_SIGNAL      0x10440
#define STUB_AT_RESTORER    0x10460
#define STUB_AT_ENTRY       0x10480 /* rewritten call sites arrive here, by way of the slot below */
#define STUB_AT_GUEST_YIELD 0x10600
#define STUB_AT_RESUME      0x10620 /* from here to STUB_AT_RESUME_END lie the ways back */
#define STUB_AT_RESUME_END  0x10800
#define STUB_ENTRY_SLOT     0x10828 /* constant: the address of the entry; below 2 GB */
#define STUB_TEXT_MAX       0x8000

/* File descriptors of a stub. Passed descriptors get the lowest free numbers, from 1. */
#define STUB_FD_SOCKET 0
#define STUB_FD_FIRST  1
#define STUB_FD_PAGES  3 /* the memfd with all shared pages; guest threads can make no use of it */

#define STUB_OPS_MAX        24
#define STUB_OP_SIZE        64
#define STUB_REQUEST_OPS    64
#define STUB_REPLY_DATA     1024
#define STUB_REQUEST_FILTER 2048 /* in the request page: the guest threads' own filter */
#define STUB_FILTER_MAX     64   /* instructions of it */
#define STUB_REQUEST_FLAGS  2576 /* in the request page: how that filter is installed */

/*
 * Areas: what such a guest thread shares with the sentry, one slot each, in a range above all guest
 * memory. Mailbox, extended state, copy window, and the alternate signal stack.
 * All of it is writable by every thread of the process: hostile.
 */
#define STUB_AREAS        0x7fffe0000000
#define STUB_AREAS_OFFSET 0x10000 /* of slot 0 in the memfd */
#define STUB_AREA_SIZE    0x20000
#define STUB_AREA_COUNT   4000
#define STUB_AREA_XSTATE  0x1000
#define STUB_XSTATE_MAX   0x3000
#define STUB_AREA_WINDOW  0x4000 /* copies: first those into the sentry, then those out of it */
#define STUB_WINDOW_IN    0x4000
#define STUB_WINDOW_OUT   0x4000
#define STUB_AREA_STACK   0x10000
#define STUB_STACK_SIZE   0x10000

/* Offsets in struct stub_mailbox, for assembly. */
#define MAILBOX_RAX         8
#define MAILBOX_RDI         16
#define MAILBOX_RSI         24
#define MAILBOX_RDX         32
#define MAILBOX_R10         40
#define MAILBOX_R8          48
#define MAILBOX_RIP         56
#define MAILBOX_R9          64
#define MAILBOX_RSP         72
#define MAILBOX_RBX         80
#define MAILBOX_RBP         88
#define MAILBOX_R12         96
#define MAILBOX_R13         104
#define MAILBOX_R14         112
#define MAILBOX_R15         120
#define MAILBOX_EFLAGS      128
#define MAILBOX_RCX         136
#define MAILBOX_INTERRUPTED 168
#define MAILBOX_ALTSTACK    192
#define MAILBOX_ANSWERS     256

/* Calls above are never answered in the stub. */
#define STUB_ANSWERED_CALLS 187

/* What the child of a clone in the list does; 0 for every other call. */
#define STUB_CHILD_NONE    0
#define STUB_CHILD_PROCESS 1
#define STUB_CHILD_THREAD  2 /* parks: a thread for another engine to seize */
#define STUB_CHILD_GUEST   3 /* a guest thread that has an area: args[4] */

/* Who may go on: the value of stub_mailbox.turn. Whoever takes the turn away from a side that set
 * STUB_TURN_WAITER must wake it. */
#define STUB_TURN_GUEST  0
#define STUB_TURN_SENTRY 1
#define STUB_TURN_WAITER 2 /* the side whose turn it is not sleeps */

#ifndef __ASSEMBLER__
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/arch/registers.h"
#include "platform/platform.h"

#define STUB_ANSWER_KNOWN (1ULL << 32)

struct stub_op {
    uint64_t number;
    uint64_t args[6];
    uint64_t child;
};

/*
 * The request page. sequence is even when a request is posted; the sentry makes it odd first, then
 * writes the list, then makes it even: a service thread that loaded part of another list sees the
 * change before its system call and ends the process. So a guest that forges a reply can only kill
 * itself, never have a list executed in part.
 */
struct stub_request {
    atomic_uint sequence;
    uint32_t count;
    uint32_t parent_pid; /* the sentry: a new process ends when this is not its parent */
    uint32_t unused[13];
    struct stub_op ops[STUB_OPS_MAX];
    unsigned char unused_too[STUB_REQUEST_FILTER - 64 - STUB_OP_SIZE * STUB_OPS_MAX];
    uint64_t filter_length; /* struct sock_fprog */
    uint64_t filter_address;
    uint64_t filter[STUB_FILTER_MAX]; /* struct sock_filter */
    uint64_t filter_flags;            /* of seccomp(2) */
};

/* The reply page: nothing in it can be trusted. */
struct stub_reply {
    atomic_uint sequence;
    uint32_t unused[15];
    int64_t results[STUB_OPS_MAX];
    unsigned char unused_too[STUB_REPLY_DATA - 64 - 8 * STUB_OPS_MAX];
    unsigned char data[STUB_PAGE - STUB_REPLY_DATA];
};

/* stub_mailbox.order when the sentry has the turn: why the guest thread stopped. */
enum stub_event {
    STUB_EVENT_READY, /* a new thread, or a command was carried out */
    STUB_EVENT_SYSCALL,
    STUB_EVENT_FAULT,
    STUB_EVENT_INTERRUPTED,
};

/* May a post of a signal store the extended state into the area, and did it? */
enum stub_keep { STUB_KEEP_NOTHING, STUB_KEEP_XSTATE, STUB_KEPT_XSTATE };

/* stub_mailbox.order when the guest side has the turn: a command, and for RESUME flags and the
 * number of copies. */
enum stub_command {
    STUB_COMMAND_RESUME,      /* run guest code with the registers */
    STUB_COMMAND_SAVE_XSTATE, /* store the extended state into the area */
    STUB_COMMAND_CMPXCHG,     /* on the guest word at args[0]: args[1] expected, args[2] desired */
    STUB_COMMAND_EXIT,
};
#define STUB_ORDER_COMMAND       0xffU
#define STUB_RESUME_XSTATE       0x100U /* load the extended state from the area first */
#define STUB_RESUME_FULL         0x200U /* rcx and r11 are not what a call leaves, or TF is set */
#define STUB_RESUME_COPIES_SHIFT 16

/* Guest memory and its copy in the window, whose offset is counted from the window's start. */
struct stub_copy {
    uint64_t addr;
    uint32_t length, offset;
};
#define STUB_COPIES_IN  2
#define STUB_COPIES_OUT 8

/*
 * The first page of an area. A call that needs no more moves only the first cache line between the
 * two CPUs: both sides leave a line alone that would get the values it has.
 */
struct stub_mailbox {
    _Atomic uint32_t turn;
    uint32_t order;
    uint64_t rax, rdi, rsi, rdx, r10, r8, rip;

    uint64_t r9, rsp, rbx, rbp, r12, r13, r14, r15;

    uint64_t eflags, rcx, r11, fs_base, gs_base; /* rcx and r11: not for calls with arch 0 */
    _Atomic uint32_t
        interrupted;      /* set by the signal handler in the stub, cleared with each post */
    uint32_t spin;        /* how long the guest side may spin for its turn, in TSC ticks */
    uint32_t gs_taken;    /* the guest has a gs base of its own: it is loaded and stored */
    uint32_t call_arch;   /* of a call that came by signal; 0: it came from a rewritten site */
    uint32_t keep_xstate; /* enum stub_keep */
    uint32_t unused;

    uint64_t altstack[3]; /* stack_t */
    uint64_t unused_too[5];

    /* By enum platform_answer: the results of calls that the stub answers itself, with
     * STUB_ANSWER_KNOWN; 0: it has to ask, as for PLATFORM_ANSWER_NONE. */
    uint64_t answers[PLATFORM_ANSWER_COUNT];

    /* What the stub copied before it posted a system call; length 0: nothing. */
    struct stub_copy in[STUB_COPIES_IN];
    /* STUB_EVENT_FAULT */
    int32_t signo, code;
    uint64_t addr, trapno, err, cr2;
    /* CMPXCHG */
    int32_t result; /* 0 or -EFAULT */
    uint64_t args[3];
    /* What the stub copies before it resumes the guest. One that faults turns the call's result
     * into -EFAULT. */
    struct stub_copy out[STUB_COPIES_OUT];
};

_Static_assert(sizeof(struct stub_op) == STUB_OP_SIZE, "assembly uses this size");
_Static_assert(sizeof(struct stub_request) <= STUB_PAGE, "one page");
_Static_assert(offsetof(struct stub_request, filter_length) == STUB_REQUEST_FILTER, "as assembled");
_Static_assert(offsetof(struct stub_request, filter_flags) == STUB_REQUEST_FLAGS, "as assembled");
_Static_assert(sizeof(struct stub_mailbox) <= STUB_PAGE, "one page");
_Static_assert(offsetof(struct stub_mailbox, interrupted) == MAILBOX_INTERRUPTED, "as assembled");
_Static_assert(offsetof(struct stub_mailbox, altstack) == MAILBOX_ALTSTACK, "as assembled");
_Static_assert(offsetof(struct stub_mailbox, answers) == MAILBOX_ANSWERS, "as assembled");
_Static_assert(offsetof(struct stub_mailbox, r9) == MAILBOX_R9, "as assembled");
_Static_assert(offsetof(struct stub_mailbox, r15) == MAILBOX_R15, "as assembled");
_Static_assert(offsetof(struct stub_mailbox, rcx) == MAILBOX_RCX, "as assembled");
_Static_assert(sizeof(struct stub_reply) == STUB_PAGE, "one page");
#endif

#endif
