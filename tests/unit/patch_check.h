/*
 * patch_check.h: what must hold for every image of platform/patch, whatever the text: checked by
 * following the patched bytes themselves. Used by unit tests and by the fuzz target.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/patch/patch.h"
#include "platform/patch/patch_decode.h"

#define PATCH_CHECK_SLOT 0x22000

#define patch_require(condition)                                                                   \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static inline int32_t patch_check_int(const uint8_t *bytes)
{
    int32_t value;
    memcpy(&value, bytes, 4);
    return value;
}

/* Where the jump at offset leads. */
static inline size_t patch_check_jump(const uint8_t *text, size_t length, size_t offset)
{
    struct patch_instruction in;
    patch_require(offset < length);
    patch_require(patch_decode(text + offset, length - offset, &in) != 0);
    patch_require(in.flow == PATCH_FLOW_END && in.relative_size != 0);
    return offset + in.length + (size_t)(int64_t)in.relative;
}

/* lea after(%rip), %rcx; jmp *SLOT (or a jump to that at exit) at offset: returns `after`. */
static inline size_t patch_check_call(const uint8_t *text, size_t length, size_t offset,
                                      size_t exit)
{
    patch_require(offset + 12 <= length && exit + 7 <= length);
    patch_require(memcmp(text + offset, "\x48\x8d\x0d", 3) == 0);
    if (exit != offset + 7) {
        patch_require(patch_check_jump(text, length, offset + 7) == exit);
    }
    patch_require(memcmp(text + exit, "\xff\x24\x25", 3) == 0);
    patch_require(patch_check_int(text + exit + 3) == PATCH_CHECK_SLOT);
    return offset + 7 + (size_t)(int64_t)patch_check_int(text + offset + 3);
}

/* The moved instructions at copy do what those at [original, end) did. */
static inline void patch_check_moved(const struct patch_image *image, const uint8_t *old,
                                     const uint8_t *new, size_t length, size_t original, size_t end,
                                     size_t copy)
{
    struct patch_instruction before = {0}, after;
    uint64_t found;
    while (original < end) {
        patch_require(patch_decode(old + original, length - original, &before) != 0);
        patch_require(patch_decode(new + copy, length - copy, &after) != 0);
        patch_require(before.flow == after.flow && !before.is_call && !before.is_system);
        patch_require(patch_image_locate(image, copy, &found) && found == original);
        patch_require(patch_image_enter(image, original, &found) && found == copy);
        original += before.length;
        copy += after.length;
        if (before.relative_size != 0) {
            patch_require(original + (size_t)(int64_t)before.relative ==
                          copy + (size_t)(int64_t)after.relative);
        } else {
            patch_require(before.length == after.length);
            patch_require(before.rip_relative == after.rip_relative);
            if (before.rip_relative) {
                uint32_t was =
                    (uint32_t)patch_check_int(old + original - before.length + before.rip_relative);
                uint32_t is =
                    (uint32_t)patch_check_int(new + copy - after.length + after.rip_relative);
                patch_require((uint32_t)original + was == (uint32_t)copy + is);
            }
        }
    }
    patch_require(original == end);
    if (before.flow != PATCH_FLOW_END) {
        patch_require(patch_check_jump(new, length, copy) == end);
    }
}

static inline void patch_check_site(const struct patch_image *image, const struct patch_site *site,
                                    const uint8_t *old, const uint8_t *new, size_t length)
{
    uint64_t found;
    size_t at = site->trampoline;
    patch_require(old[site->offset] == 0x0f && old[site->offset + 1] == 0x05);
    patch_require(patch_image_find(image, site->offset) == site);
    size_t target = patch_check_jump(new, length, site->start);
    patch_require(target == site->hop);
    patch_require(patch_image_locate(image, site->start, &found) && found == site->start);
    if (site->hop != site->trampoline) {
        patch_require(patch_check_jump(new, length, site->hop) == site->trampoline);
        patch_require(patch_image_locate(image, site->hop, &found) && found == site->offset);
    }
    patch_require(patch_image_locate(image, at, &found) && found == site->start);
    if (site->shape == PATCH_SHAPE_MOVE) {
        patch_require(site->start + 5 == site->offset && site->end == site->offset);
        patch_require(memcmp(new + at, old + site->start, 5) == 0 && new[at] == 0xb8);
        patch_require(new[site->offset] == 0x0f && new[site->offset + 1] == 0x05);
        at += 5;
    }
    size_t after = patch_check_call(new, length, at, site->exit);
    patch_require(patch_image_locate(image, at, &found) && found == site->offset);
    patch_require(patch_image_locate(image, at + 7, &found) && found == site->offset);
    patch_require(patch_image_locate(image, site->exit, &found) && found == site->offset);
    if (site->shape == PATCH_SHAPE_FORWARD) {
        patch_require(after == site->trampoline + 14);
        patch_check_moved(image, old, new, length, site->offset + 2, site->end, after);
    } else {
        patch_require(after == site->offset + 2);
    }
    for (size_t i = 0; i < site->edit_count; i++) {
        const uint8_t *bytes;
        const struct patch_edit *edit = patch_image_edit(image, site, i, &bytes);
        patch_require(memcmp(new + edit->offset, bytes, edit->length) == 0);
        patch_require(i == 0 || edit[-1].kind < edit->kind);
        patch_require((edit->kind == PATCH_EDIT_SITE) == (i + 1u == site->edit_count));
        patch_require(patch_image_site(image, edit->site) == site);
    }
}

/* An edited byte is a site's own, or was padding, or was zero in the tail. */
static inline void patch_check_places(const struct patch_image *image, const uint8_t *old,
                                      size_t length, size_t tail)
{
    size_t count = patch_image_site_count(image);
    for (size_t i = 0; i < count; i++) {
        const struct patch_site *site = patch_image_site(image, i);
        for (size_t e = 0; e < site->edit_count; e++) {
            const uint8_t *bytes;
            const struct patch_edit *edit = patch_image_edit(image, site, e, &bytes);
            patch_require(edit->length <= PATCH_EDIT_MAX);
            patch_require((size_t)edit->offset + edit->length <= length);
            for (size_t b = 0; b < edit->length && edit->kind != PATCH_EDIT_SITE; b++) {
                uint8_t byte = old[edit->offset + b];
                if (edit->offset + b >= length - tail) {
                    patch_require(byte == 0);
                } else {
                    patch_require(byte == 0xcc || byte == 0x90 || byte == 0x66 || byte == 0x2e ||
                                  byte == 0x0f || byte == 0x1f || byte == 0x00 || byte == 0x40 ||
                                  byte == 0x44 || byte == 0x80 || byte == 0x84);
                }
            }
        }
    }
}

static inline void patch_check_image(const struct patch_image *image, const uint8_t *text,
                                     size_t length, size_t tail)
{
    uint8_t *copy = malloc(length + 1);
    uint64_t offset, from = 0, end = 0;
    size_t size, at = 0, edits = 0, wanted = 0;
    patch_require(copy != NULL);
    memcpy(copy, text, length);
    patch_image_apply(image, 0, copy, length);
    for (; patch_image_next_edit(image, from, &offset, &size); from = end) {
        patch_require(offset >= end && size > 0);
        patch_require(memcmp(copy + at, text + at, offset - at) == 0);
        at = end = offset + size;
        edits++;
    }
    patch_require(memcmp(copy + at, text + at, length - at) == 0);
    patch_check_places(image, text, length, tail);
    for (size_t i = 0; i < patch_image_site_count(image); i++) {
        const struct patch_site *site = patch_image_site(image, i);
        patch_require(i == 0 || site[-1].offset < site->offset);
        patch_check_site(image, site, text, copy, length);
        wanted += site->edit_count;
    }
    patch_require(edits == wanted);
    /* Back in pieces whose ends fall inside edits. */
    for (at = 0; at < length; at += size) {
        size = at % 61 + 3 < length - at ? at % 61 + 3 : length - at;
        if (length > 65536) {
            size = length - at < 4099 ? length - at : 4099;
        }
        patch_image_restore(image, at, copy + at, size);
    }
    patch_require(memcmp(copy, text, length) == 0);
    free(copy);
}
