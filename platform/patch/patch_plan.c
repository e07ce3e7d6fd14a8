/*
 * patch_plan.c: shares out unused bytes among sites. First every site looks for room for a near
 * jump within reach of a short one; sites without take the other shapes; then trampolines are
 * placed: in the same padding if it is large, in the text's tail, in any other padding.
 *
 * Invariant: holes never overlap (each is a maximal run of padding), and [cursor, end) of a hole
 * belongs to nobody.
 */
#include "platform/patch/patch_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HOLE_UNKNOWN, HOLE_NONE, HOLE_FIRST };

/* Bounds of the work that any text can cause, far above what real ones need. */
enum { PROOFS_MAX = 32768, SEARCH_MAX = 16 << 20 };

enum { POOL_EXIT, POOL_SPLIT, POOL_PLAIN, POOL_LONG };

#define NONE UINT32_MAX

/* Takes what the base image uses out of a hole. */
static void respect_base(const struct patch_plan *plan, struct patch_hole *hole)
{
    uint64_t offset;
    size_t length;
    uint64_t from = hole->start;
    while (plan->base && patch_image_next_edit(plan->base, from, &offset, &length) &&
           offset < hole->end) {
        from = offset + length;
        hole->cursor = (uint32_t)from;
    }
}

int patch_plan_init(struct patch_plan *plan, const struct patch_image *base, const uint8_t *bytes,
                    size_t length, size_t tail)
{
    size_t code = length - tail;
    size_t from = (code + 15) & ~(size_t)15;
    *plan =
        (struct patch_plan){.text = {.bytes = bytes, .code = code, .length = length}, .base = base};
    plan->hole_at = calloc(code / 16 + 1, sizeof(*plan->hole_at));
    if (!plan->hole_at) {
        return -ENOMEM;
    }
    size_t to = from;
    while (to < length && bytes[to] == 0) {
        to++;
    }
    if (from < length) {
        plan->tail = (struct patch_hole){(uint32_t)from, (uint32_t)to, (uint32_t)from, true};
        respect_base(plan, &plan->tail);
    }
    return 0;
}

void patch_plan_fini(struct patch_plan *plan)
{
    free(plan->hole_at);
    free(plan->holes);
    free(plan->sites);
}

/*
 * *ret_hole is NULL when no padding of a jump's size ends at end, a multiple of 16. The pointer is
 * good until the next call.
 */
static int find_hole(struct patch_plan *plan, size_t end, struct patch_hole **ret_hole)
{
    *ret_hole = NULL;
    if (end == 0 || end > plan->text.code) {
        return 0;
    }
    uint8_t last = plan->text.bytes[end - 1];
    if (last != 0x00 && last != 0x90 && last != 0xcc) {
        return 0; /* no padding instruction ends so */
    }
    uint32_t *slot = &plan->hole_at[end / 16];
    if (*slot == HOLE_UNKNOWN) {
        size_t start = patch_text_padding(&plan->text, end);
        if (end - start < PATCH_JUMP_NEAR) {
            *slot = HOLE_NONE;
            return 0;
        }
        if (plan->hole_count == plan->hole_room) {
            size_t room = plan->hole_room ? 2 * plan->hole_room : 256;
            struct patch_hole *holes = realloc(plan->holes, room * sizeof(*holes));
            if (!holes) {
                return -ENOMEM;
            }
            plan->holes = holes;
            plan->hole_room = room;
        }
        struct patch_hole *hole = &plan->holes[plan->hole_count];
        *hole = (struct patch_hole){(uint32_t)start, (uint32_t)end, (uint32_t)start, false};
        *slot = (uint32_t)(HOLE_FIRST + plan->hole_count++);
    }
    if (*slot >= HOLE_FIRST) {
        *ret_hole = &plan->holes[*slot - HOLE_FIRST];
    }
    return 0;
}

/* Before the first use of a hole: are its bytes really unused? Those that are not are taken out. */
static bool prove_hole(struct patch_plan *plan, struct patch_hole *hole)
{
    if (!hole->proven) {
        hole->proven = true;
        if (plan->proofs < PROOFS_MAX) {
            plan->proofs++;
            hole->start = (uint32_t)patch_text_unused(&plan->text, hole->start, hole->end);
        } else {
            hole->start = hole->end;
        }
        hole->cursor = hole->start;
        respect_base(plan, hole);
        return false;
    }
    return true;
}

/* Room for a near jump that a short jump at offset reaches: *ret_hop, NONE without. */
static int take_hop(struct patch_plan *plan, size_t offset, uint32_t *ret_hop)
{
    size_t after = offset + PATCH_JUMP_SHORT;
    size_t low = after > 128 ? after - 128 : 0;
    size_t high = after + 127;
    size_t best;

    *ret_hop = NONE;
    do {
        size_t best_distance = SIZE_MAX;
        best = SIZE_MAX;
        for (size_t end = (low + 16) & ~(size_t)15; end <= high + PATCH_HOLE_MAX; end += 16) {
            struct patch_hole *hole;
            int error = find_hole(plan, end, &hole);
            if (error) {
                return error;
            }
            if (!hole || hole->end - hole->cursor < PATCH_JUMP_NEAR || hole->cursor < low ||
                hole->cursor > high) {
                continue;
            }
            size_t distance = hole->cursor > offset ? hole->cursor - offset : offset - hole->cursor;
            if (distance < best_distance) {
                best = (size_t)(hole - plan->holes);
                best_distance = distance;
            }
        }
    } while (best != SIZE_MAX && !prove_hole(plan, &plan->holes[best]));
    if (best != SIZE_MAX) {
        *ret_hop = plan->holes[best].cursor;
        plan->holes[best].cursor += PATCH_JUMP_NEAR;
    }
    return 0;
}

/* Makes a trampoline of the hop when it is the last in a hole that is large enough. */
static int grow_hop(struct patch_plan *plan, struct patch_site *site)
{
    size_t end = ((size_t)site->hop + 16) & ~(size_t)15;
    for (; end <= (size_t)site->hop + PATCH_HOLE_MAX; end += 16) {
        struct patch_hole *hole;
        int error = find_hole(plan, end, &hole);
        if (error) {
            return error;
        }
        if (hole && hole->start <= site->hop) {
            if (hole->cursor == site->hop + PATCH_JUMP_NEAR &&
                hole->end - site->hop >= PATCH_TRAMPOLINE) {
                hole->cursor = site->hop + PATCH_TRAMPOLINE;
                site->trampoline = site->hop;
            }
            return 0;
        }
    }
    return 0;
}

static bool take_from(struct patch_plan *plan, struct patch_hole *hole, size_t size,
                      uint32_t *ret_at)
{
    if (hole->end - hole->cursor < size) {
        return false;
    }
    if (!prove_hole(plan, hole) && hole->end - hole->cursor < size) {
        return false;
    }
    *ret_at = hole->cursor;
    hole->cursor += (uint32_t)size;
    return true;
}

/*
 * The next multiple of 16 where padding may end: first in the pages that have sites, which differ
 * from the file anyway, then everywhere. Beyond the code at the end.
 */
static size_t next_place(struct patch_plan *plan)
{
    while (plan->page_site < plan->site_count) {
        size_t page = plan->sites[plan->page_site].offset & ~(size_t)4095;
        if (plan->page_next < page) {
            plan->page_next = page;
        }
        if (plan->page_next < page + 4096) {
            plan->page_next += 16;
            return plan->page_next;
        }
        plan->page_site++;
    }
    plan->everywhere_next += 16;
    return plan->everywhere_next;
}

/* Room for size bytes anywhere: *ret_at, NONE when the text has no more. */
static int take_any(struct patch_plan *plan, size_t size, uint32_t *ret_at)
{
    size_t *next = &plan->pool_next[size > PATCH_TRAMPOLINE    ? POOL_LONG
                                    : size == PATCH_TRAMPOLINE ? POOL_PLAIN
                                    : size == PATCH_EXIT       ? POOL_EXIT
                                                               : POOL_SPLIT];
    *ret_at = NONE;
    if (take_from(plan, &plan->tail, size, ret_at)) {
        return 0;
    }
    for (;;) {
        for (; *next < plan->hole_count; ++*next) {
            if (take_from(plan, &plan->holes[*next], size, ret_at)) {
                return 0;
            }
        }
        size_t end = next_place(plan);
        if (end > plan->text.code || plan->everywhere_next > SEARCH_MAX) {
            return 0;
        }
        struct patch_hole *hole;
        int error = find_hole(plan, end, &hole);
        if (error) {
            return error;
        }
    }
}

/* Are the bytes [start, end) already changed by the site before this one or by the base? */
static bool is_taken(const struct patch_plan *plan, const struct patch_site *site, size_t start,
                     size_t end)
{
    uint64_t offset;
    size_t length;
    if (site > plan->sites && site[-1].end > start) {
        return true;
    }
    return plan->base && patch_image_next_edit(plan->base, start, &offset, &length) && offset < end;
}

static int plan_site(struct patch_plan *plan, struct patch_site *site, int64_t called)
{
    uint32_t number;
    size_t forward_end;

    site->hop = site->trampoline = site->exit = NONE;
    site->start = site->offset;
    site->end = site->offset + PATCH_JUMP_SHORT;
    site->shape = PATCH_SHAPE_HOLE;
    if (is_taken(plan, site, site->start, site->end)) {
        site->shape = PATCH_SHAPE_COUNT;
        return 0;
    }
    int error = take_hop(plan, site->offset, &site->hop);
    if (error || site->hop != NONE) {
        return error;
    }
    if (patch_text_has_move(&plan->text, site->offset, &number) &&
        (called < 0 || called == (int64_t)number) &&
        !is_taken(plan, site, site->offset - PATCH_JUMP_NEAR, site->offset)) {
        site->shape = PATCH_SHAPE_MOVE;
        site->start = site->offset - PATCH_JUMP_NEAR;
        site->end = site->offset;
    } else if (patch_forward_measure(&plan->text, site->offset, &forward_end) != 0 &&
               !is_taken(plan, site, site->start, forward_end)) {
        site->shape = PATCH_SHAPE_FORWARD;
        site->end = (uint32_t)forward_end;
    } else {
        site->shape = PATCH_SHAPE_COUNT;
    }
    return 0;
}

/* lea and jmp rel32 in one place, jmp *SLOT in another. */
static int split_trampoline(struct patch_plan *plan, struct patch_site *site)
{
    int error = take_any(plan, PATCH_LEA + PATCH_JUMP_NEAR, &site->trampoline);
    if (error || site->trampoline == NONE) {
        return error;
    }
    error = take_any(plan, PATCH_EXIT, &site->exit);
    if (site->exit == NONE) {
        site->trampoline = NONE;
    }
    return error;
}

static int place_trampoline(struct patch_plan *plan, struct patch_site *site)
{
    size_t end, size = PATCH_TRAMPOLINE, before = 0;
    int error = 0;
    if (site->shape == PATCH_SHAPE_COUNT) {
        return 0;
    }
    if (site->shape == PATCH_SHAPE_MOVE) {
        before = PATCH_JUMP_NEAR;
    } else if (site->shape == PATCH_SHAPE_FORWARD) {
        size += patch_forward_measure(&plan->text, site->offset, &end);
    }
    if (site->trampoline == NONE) {
        error = take_any(plan, before + size, &site->trampoline);
    }
    if (!error && site->trampoline == NONE && site->shape == PATCH_SHAPE_HOLE) {
        return split_trampoline(plan, site);
    }
    site->exit = (uint32_t)(site->trampoline + before + PATCH_LEA);
    if (site->shape != PATCH_SHAPE_HOLE) {
        site->hop = site->trampoline;
    }
    return error;
}

int patch_plan_sites(struct patch_plan *plan, int64_t number)
{
    int error = 0;
    size_t count = plan->site_count;

    for (size_t i = 0; i < count && !error; i++) {
        error = plan_site(plan, &plan->sites[i], number);
    }
    for (size_t i = 0; i < count && !error; i++) {
        if (plan->sites[i].shape == PATCH_SHAPE_HOLE) {
            error = grow_hop(plan, &plan->sites[i]);
        }
    }
    /* Long ones first: few holes are large enough for them, so they get the tail. */
    for (size_t i = 0; i < count && !error; i++) {
        if (plan->sites[i].shape != PATCH_SHAPE_HOLE) {
            error = place_trampoline(plan, &plan->sites[i]);
        }
    }
    for (size_t i = 0; i < count && !error; i++) {
        if (plan->sites[i].shape == PATCH_SHAPE_HOLE) {
            error = place_trampoline(plan, &plan->sites[i]);
        }
    }
    plan->site_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (plan->sites[i].trampoline != NONE) {
            plan->sites[plan->site_count++] = plan->sites[i];
        }
    }
    return error;
}
