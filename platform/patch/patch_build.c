/*
 * patch_build.c: from a text to an image: finds the sites, has them planned, writes the edits.
 */
#include "platform/patch/patch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/patch/patch_plan.h"

enum { CANDIDATES_MAX = 16384 }; /* pairs looked at closely, so that a hostile text is soon done */

static int compare_order(const void *a, const void *b, void *context)
{
    const struct patch_edit *edits = context;
    uint32_t left = edits[*(const uint32_t *)a].offset;
    uint32_t right = edits[*(const uint32_t *)b].offset;
    return (left > right) - (left < right);
}

/* Adds an edit of the last site; the store has room. */
static void add_edit(struct patch_image *image, const struct patch_text *text, int kind,
                     uint32_t offset, const uint8_t *bytes, size_t length)
{
    struct patch_site *site = &image->sites[image->site_count - 1];
    struct patch_edit *edit = &image->edits[image->edit_count];
    *edit = (struct patch_edit){.offset = offset,
                                .site = (uint32_t)image->site_count - 1,
                                .bytes = (uint32_t)image->store_length,
                                .length = (uint8_t)length,
                                .kind = (uint8_t)kind};
    memcpy(image->store + image->store_length, text->bytes + offset, length);
    memcpy(image->store + image->store_length + length, bytes, length);
    image->store_length += 2 * length;
    if (site->edit_count++ == 0) {
        site->first_edit = (uint32_t)image->edit_count;
    }
    image->edit_count++;
}

static void put_relative(uint8_t *out, size_t target, size_t after)
{
    int32_t relative = (int32_t)((int64_t)target - (int64_t)after);
    memcpy(out, &relative, 4);
}

static size_t put_jump(uint8_t *out, size_t at, size_t target)
{
    out[0] = 0xe9;
    put_relative(out + 1, target, at + PATCH_JUMP_NEAR);
    return PATCH_JUMP_NEAR;
}

static size_t put_exit(const struct patch_image *image, uint8_t *out)
{
    memcpy(out, "\xff\x24\x25", 3);
    memcpy(out + 3, &image->config.entry_slot, 4);
    return PATCH_EXIT;
}

/* The trampoline's bytes; returns their number. */
static size_t write_trampoline(const struct patch_image *image, const struct patch_text *text,
                               const struct patch_site *site, uint8_t *out)
{
    size_t size = 0;
    size_t after = site->offset + 2;
    if (site->shape == PATCH_SHAPE_MOVE) {
        memcpy(out, text->bytes + site->start, PATCH_JUMP_NEAR);
        size = PATCH_JUMP_NEAR;
    }
    if (site->shape == PATCH_SHAPE_FORWARD) {
        after = site->trampoline + PATCH_TRAMPOLINE;
    }
    memcpy(out + size, "\x48\x8d\x0d", 3);
    put_relative(out + size + 3, after, site->trampoline + size + 7);
    size += PATCH_LEA;
    if (site->exit != site->trampoline + size) {
        return size + put_jump(out + size, site->trampoline + size, site->exit);
    }
    size += put_exit(image, out + size);
    if (site->shape == PATCH_SHAPE_FORWARD) {
        size_t end;
        size_t copy = patch_forward_measure(text, site->offset, &end);
        patch_forward_copy(text->bytes + site->offset + 2, site->offset + 2, end,
                           site->trampoline + size, out + size);
        size += copy;
    }
    return size;
}

static void write_site(struct patch_image *image, const struct patch_text *text,
                       const struct patch_site *plan)
{
    uint8_t bytes[PATCH_EDIT_MAX];
    struct patch_site *site = &image->sites[image->site_count++];
    *site = *plan;
    site->edit_count = 0;
    size_t size = write_trampoline(image, text, site, bytes);
    if (site->exit < site->trampoline || site->exit >= site->trampoline + size) {
        uint8_t jump[PATCH_EXIT];
        add_edit(image, text, PATCH_EDIT_EXIT, site->exit, jump, put_exit(image, jump));
    }
    add_edit(image, text, PATCH_EDIT_TRAMPOLINE, site->trampoline, bytes, size);
    if (site->hop != site->trampoline) {
        size = put_jump(bytes, site->hop, site->trampoline);
        add_edit(image, text, PATCH_EDIT_HOP, site->hop, bytes, size);
    }
    if (site->shape == PATCH_SHAPE_HOLE) {
        bytes[0] = 0xeb;
        bytes[1] = (uint8_t)(site->hop - site->offset - PATCH_JUMP_SHORT);
        size = PATCH_JUMP_SHORT;
    } else {
        size = put_jump(bytes, site->start, site->trampoline);
        for (; size < site->end - site->start; size++) {
            bytes[size] = 0xcc;
        }
    }
    add_edit(image, text, PATCH_EDIT_SITE, site->start, bytes, size);
}

static struct patch_image *image_new(const struct patch_config *config, size_t length, size_t tail,
                                     size_t sites, size_t edits, size_t store)
{
    struct patch_image *image = calloc(1, sizeof(*image));
    if (!image) {
        return NULL;
    }
    refcount_init(&image->refs);
    image->config = *config;
    image->length = length;
    image->tail = tail;
    image->fd = -1;
    image->sites = calloc(sites + 1, sizeof(*image->sites));
    image->edits = calloc(edits + 1, sizeof(*image->edits));
    image->order = calloc(edits + 1, sizeof(*image->order));
    image->store = malloc(store + 1);
    if (!image->sites || !image->edits || !image->order || !image->store) {
        return patch_image_unref(image);
    }
    return image;
}

static void sort_edits(struct patch_image *image)
{
    for (size_t i = 0; i < image->edit_count; i++) {
        image->order[i] = (uint32_t)i;
    }
    qsort_r(image->order, image->edit_count, sizeof(*image->order), compare_order, image->edits);
}

/* How large the edits of the plan's sites are together. */
static void measure_plan(const struct patch_plan *plan, size_t *ret_edits, size_t *ret_store)
{
    *ret_edits = 4 * plan->site_count;
    *ret_store = 0;
    for (size_t i = 0; i < plan->site_count; i++) {
        const struct patch_site *site = &plan->sites[i];
        *ret_store += 2 * (size_t)(site->shape == PATCH_SHAPE_HOLE
                                       ? PATCH_JUMP_SHORT + 2 * PATCH_JUMP_NEAR + PATCH_TRAMPOLINE
                                       : 2 * PATCH_EDIT_MAX);
    }
}

/* Finds the sites to begin with; *ret_sites may be NULL with none. */
static int collect_sites(const struct patch_text *text, struct patch_site **ret_sites,
                         size_t *ret_count)
{
    struct patch_site *sites = NULL;
    size_t count = 0, room = 0;
    int looked_at = 0;

    for (size_t at = patch_text_next_pair(text, 0); at < text->code;
         at = patch_text_next_pair(text, at + 1)) {
        if (++looked_at > CANDIDATES_MAX || count == PATCH_SITES_MAX) {
            break;
        }
        if (!patch_text_has_signature(text, at)) {
            continue;
        }
        if (count == room) {
            room = room ? 2 * room : 128;
            struct patch_site *grown = realloc(sites, room * sizeof(*sites));
            if (!grown) {
                free(sites);
                return -ENOMEM;
            }
            sites = grown;
        }
        sites[count++] = (struct patch_site){.offset = (uint32_t)at};
        at++;
    }
    *ret_sites = sites;
    *ret_count = count;
    return 0;
}

int patch_build(const struct patch_config *config, const uint8_t *text, size_t length, size_t tail,
                struct patch_image **ret_image)
{
    struct patch_site *sites = NULL;
    struct patch_image *image = NULL;
    struct patch_plan plan = {0};
    size_t count = 0, edits, store;
    int error = 0;

    if (tail > length) {
        return -EINVAL;
    }
    if (length <= PATCH_TEXT_MAX) {
        struct patch_text view = {.bytes = text, .code = length - tail, .length = length};
        error = collect_sites(&view, &sites, &count);
    }
    if (!error && count != 0) {
        error = patch_plan_init(&plan, NULL, text, length, tail);
        plan.sites = sites;
        plan.site_count = count;
        if (!error) {
            error = patch_plan_sites(&plan, -1);
        }
    }
    if (!error) {
        measure_plan(&plan, &edits, &store);
        image = image_new(config, length, tail, plan.site_count, edits, store);
        error = image ? 0 : -ENOMEM;
    }
    for (size_t i = 0; image && i < plan.site_count; i++) {
        write_site(image, &plan.text, &plan.sites[i]);
    }
    patch_plan_fini(&plan);
    if (image) {
        sort_edits(image);
        *ret_image = image;
    }
    return error;
}

/* Copies the sites of base and, in its place by offset, the new one. */
static void merge_sites(struct patch_image *image, const struct patch_image *base,
                        const struct patch_text *text, const struct patch_site *added)
{
    size_t place = 0;
    memcpy(image->edits, base->edits, base->edit_count * sizeof(*base->edits));
    memcpy(image->store, base->store, base->store_length);
    image->edit_count = base->edit_count;
    image->store_length = base->store_length;
    while (place < base->site_count && base->sites[place].offset < added->offset) {
        place++;
    }
    for (size_t i = 0; i < image->edit_count; i++) {
        image->edits[i].site += image->edits[i].site >= place;
    }
    memcpy(image->sites, base->sites, place * sizeof(*base->sites));
    image->site_count = place;
    write_site(image, text, added);
    memcpy(image->sites + image->site_count, base->sites + place,
           (base->site_count - place) * sizeof(*base->sites));
    image->site_count = base->site_count + 1;
}

int patch_image_add(const struct patch_image *base, const uint8_t *text, size_t length,
                    uint64_t offset, uint64_t number, struct patch_image **ret_image)
{
    struct patch_plan plan;
    size_t edits, store;

    if (length != base->length || length > PATCH_TEXT_MAX || offset >= length - base->tail ||
        length - base->tail - offset < 2 || text[offset] != 0x0f || text[offset + 1] != 0x05 ||
        number > INT64_MAX) {
        return -EINVAL;
    }
    if (patch_image_find(base, offset)) {
        return -EEXIST;
    }
    if (base->site_count >= PATCH_SITES_MAX || number == PATCH_SIGRETURN) {
        return -ENOSPC;
    }
    int error = patch_plan_init(&plan, base, text, length, base->tail);
    if (error) {
        return error;
    }
    plan.sites = calloc(1, sizeof(*plan.sites));
    if (!plan.sites) {
        patch_plan_fini(&plan);
        return -ENOMEM;
    }
    plan.sites[0].offset = (uint32_t)offset;
    plan.site_count = 1;
    error = patch_plan_sites(&plan, (int64_t)number);
    if (!error && plan.site_count == 0) {
        error = -ENOSPC;
    }
    if (!error) {
        measure_plan(&plan, &edits, &store);
        struct patch_image *image =
            image_new(&base->config, length, base->tail, base->site_count + 1,
                      base->edit_count + edits, base->store_length + store);
        error = image ? 0 : -ENOMEM;
        if (image) {
            merge_sites(image, base, &plan.text, &plan.sites[0]);
            sort_edits(image);
            *ret_image = image;
        }
    }
    patch_plan_fini(&plan);
    return error;
}
