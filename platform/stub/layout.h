/*
 * layout.h: where everything in a stub lies, and the pages it shares with the sentry. Included by
 * the stub's assembly too, so the first half is preprocessor text only.
 *
 * All of it is below PLATFORM_GUEST_MIN, so "the address is a guest address" is all that it takes
 * to keep memory requests off the stub. The stub's code holds no secrets and the guest may jump
 * anywhere into it.
 */
#ifndef STUB_LAYOUT_H
#define STUB_LAYOUT_H

#define STUB_TEXT    0x10000
#define STUB_REQUEST 0x20000 /* one page, read-only in the stub */
#define STUB_REPLY   0x21000 /* one page, writable by the guest: hostile */
#define STUB_PAGE    0x1000

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
#define STUB_AT_END    0x10300

/* File descriptors of a stub. Passed descriptors get the lowest free numbers, from 1. */
#define STUB_FD_SOCKET 0
#define STUB_FD_FIRST  1

#define STUB_OPS_MAX     24
#define STUB_OP_SIZE     64
#define STUB_REQUEST_OPS 64
#define STUB_REPLY_DATA  1024

/* What the child of a clone in the list does; 0 for every other call. */
#define STUB_CHILD_NONE    0
#define STUB_CHILD_PROCESS 1
#define STUB_CHILD_THREAD  2

#ifndef __ASSEMBLER__
#include <stdatomic.h>
#include <stdint.h>

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
};

/* The reply page: nothing in it can be trusted. */
struct stub_reply {
    atomic_uint sequence;
    uint32_t unused[15];
    int64_t results[STUB_OPS_MAX];
    unsigned char unused_too[STUB_REPLY_DATA - 64 - 8 * STUB_OPS_MAX];
    unsigned char data[STUB_PAGE - STUB_REPLY_DATA];
};

_Static_assert(sizeof(struct stub_op) == STUB_OP_SIZE, "assembly uses this size");
_Static_assert(sizeof(struct stub_request) <= STUB_PAGE, "one page");
_Static_assert(sizeof(struct stub_reply) == STUB_PAGE, "one page");
#endif

#endif
