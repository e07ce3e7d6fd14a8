/*
 * patch_plan.h: choosing, for each site of a text, the shape and the bytes it uses.
 */
#pragma once

#include "platform/patch/patch_internal.h"

struct patch_hole {
    uint32_t start, end;
    uint32_t cursor; /* [cursor, end) is free */
    bool proven;     /* patch_text_unused was asked */
};

struct patch_plan {
    struct patch_text text;
    const struct patch_image *base; /* whose edits stay, or NULL */
    uint32_t *hole_at;              /* by end / 16: 0 not looked at, 1 none, else index + 2 */
    struct patch_hole *holes;
    size_t hole_count, hole_room;
    struct patch_hole tail;
    size_t pool_next[4]; /* first hole that may have room for a part, by kind of part */
    size_t page_site, page_next, everywhere_next; /* where to look for more padding */
    size_t proofs;                                /* that padding is unused, so far */
    struct patch_site *sites;
    size_t site_count;
};

/* text, length, tail as patch_build. -ENOMEM. */
int patch_plan_init(struct patch_plan *plan, const struct patch_image *base, const uint8_t *bytes,
                    size_t length, size_t tail) must_check;
void patch_plan_fini(struct patch_plan *plan);

/*
 * Fills in shape, hop and trampoline of plan->sites (offset is set, sorted); sites that fit no
 * shape are taken out. number: -1, or what the one site was called with. -ENOMEM.
 */
int patch_plan_sites(struct patch_plan *plan, int64_t number) must_check;

/*
 * The instructions that a forward patch at offset moves: [offset + 2, *ret_end). Returns the size
 * of their copy with the jump back, 0 when they cannot be moved.
 */
size_t patch_forward_measure(const struct patch_text *text, size_t offset, size_t *ret_end);

/* Writes that copy as it must stand at `to`. bytes are the originals from offset + 2 on. */
void patch_forward_copy(const uint8_t *bytes, size_t from, size_t end, size_t to, uint8_t *out);

/*
 * Between an original instruction at `from` + *original and its copy at *copy (offsets from the
 * first): steps over one instruction. False at the end of the originals.
 */
bool patch_forward_step(const uint8_t *bytes, size_t count, size_t *original, size_t *copy);
