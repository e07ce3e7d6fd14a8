/*
 * patch_internal.h: what the files of platform/patch share: recognising sites and unused bytes in
 * a text, and the image's parts.
 */
#pragma once

#include "platform/base/refcount.h"
#include "platform/patch/patch.h"
#include "platform/patch/patch_decode.h"

#define PATCH_JUMP_SHORT 2  /* jmp rel8 */
#define PATCH_JUMP_NEAR  5  /* jmp rel32 */
#define PATCH_TRAMPOLINE 14 /* lea rel32(%rip), %rcx; jmp *abs32 */
#define PATCH_LEA        7
#define PATCH_EXIT       7
#define PATCH_SIGRETURN  15 /* rt_sigreturn: unwinders compare the bytes of its site */
#define PATCH_HOLE_MAX   64 /* longer padding is left alone */

/* Bytes to be searched: only [0, code) can hold instructions. */
struct patch_text {
    const uint8_t *bytes;
    size_t code;
    size_t length;
};

/* The next `0f 05` at or behind from, or text->code. */
size_t patch_text_next_pair(const struct patch_text *text, size_t from);

/*
 * Is offset the start of an instruction? Decides by decoding from many places before it: runs of
 * instructions fall into step within a few of them.
 */
bool patch_text_is_boundary(const struct patch_text *text, size_t offset);

/* Do the bytes around the pair at offset look like what compilers make of a system call? */
bool patch_text_has_signature(const struct patch_text *text, size_t offset);

/* Is `mov $imm32, %eax` (five bytes, imm < 512) the instruction before the syscall at offset? */
bool patch_text_has_move(const struct patch_text *text, size_t offset, uint32_t *ret_number);

/*
 * What looks like padding that ends at end (a multiple of 16) begins here; end when there is none.
 * A quick look at the bytes alone.
 */
size_t patch_text_padding(const struct patch_text *text, size_t end);

/*
 * Where in [start, end) of such padding bytes begin that nothing executes, since what stands before
 * them never goes on there and nothing branches there; end when there are fewer than five.
 */
size_t patch_text_unused(const struct patch_text *text, size_t start, size_t end);

/*
 * Does a direct branch nearby go to a place in [start, end)? Branches within it are not seen.
 */
bool patch_text_branch_into(const struct patch_text *text, size_t start, size_t end);

struct patch_image {
    struct refcount refs;
    struct patch_config config;
    size_t length; /* of the text it was built from */
    size_t tail;
    int fd;

    struct patch_site *sites; /* by offset */
    size_t site_count;
    struct patch_edit *edits; /* those of a site stand together, in writing order */
    uint32_t *order;          /* indices of the edits by offset */
    size_t edit_count;
    uint8_t *store;
    size_t store_length;
};
