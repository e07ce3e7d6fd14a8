/*
 * patch_image.c: questions to a finished image. An image never changes (but for getting its memfd),
 * so it needs no lock.
 */
#include "platform/patch/patch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "platform/host/memory.h"
#include "platform/patch/patch_plan.h"

struct patch_image *patch_image_ref(struct patch_image *image)
{
    refcount_get(&image->refs);
    return image;
}

struct patch_image *patch_image_unref(struct patch_image *image)
{
    if (image && refcount_put(&image->refs)) {
        if (image->fd >= 0) {
            close(image->fd);
        }
        free(image->sites);
        free(image->edits);
        free(image->order);
        free(image->store);
        free(image);
    }
    return NULL;
}

size_t patch_image_length(const struct patch_image *image)
{
    return image->length;
}

size_t patch_image_site_count(const struct patch_image *image)
{
    return image->site_count;
}

const struct patch_site *patch_image_site(const struct patch_image *image, size_t index)
{
    return &image->sites[index];
}

/* The number of sites whose offset is at most this one. */
static size_t sites_up_to(const struct patch_image *image, uint64_t offset)
{
    size_t low = 0, high = image->site_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (image->sites[middle].offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct patch_site *patch_image_find(const struct patch_image *image, uint64_t offset)
{
    size_t count = sites_up_to(image, offset);
    return count > 0 && image->sites[count - 1].offset == offset ? &image->sites[count - 1] : NULL;
}

const struct patch_edit *patch_image_edit(const struct patch_image *image,
                                          const struct patch_site *site, size_t index,
                                          const uint8_t **ret_new_bytes)
{
    const struct patch_edit *edit = &image->edits[site->first_edit + index];
    *ret_new_bytes = image->store + edit->bytes + edit->length;
    return edit;
}

/* The place in the order of the first edit that ends behind offset. Edits do not overlap. */
static size_t first_edit_behind(const struct patch_image *image, uint64_t offset)
{
    size_t low = 0, high = image->edit_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct patch_edit *edit = &image->edits[image->order[middle]];
        if ((uint64_t)edit->offset + edit->length <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool patch_image_next_edit(const struct patch_image *image, uint64_t from, uint64_t *ret_offset,
                           size_t *ret_length)
{
    size_t place = first_edit_behind(image, from);
    if (place == image->edit_count) {
        return false;
    }
    const struct patch_edit *edit = &image->edits[image->order[place]];
    *ret_offset = edit->offset;
    *ret_length = edit->length;
    return true;
}

bool patch_image_divided(const struct patch_image *image, uint64_t start, uint64_t end)
{
    for (size_t i = first_edit_behind(image, start); i < image->edit_count; i++) {
        const struct patch_edit *edit = &image->edits[image->order[i]];
        if (edit->offset >= end) {
            break;
        }
        const struct patch_site *site = &image->sites[edit->site];
        for (size_t e = 0; e < site->edit_count; e++) {
            const struct patch_edit *other = &image->edits[site->first_edit + e];
            if (other->offset < start || (uint64_t)other->offset + other->length > end) {
                return true;
            }
        }
    }
    return false;
}

/* Copies the old or new bytes of all edits into a buffer that holds [offset, offset + length). */
static void copy_edits(const struct patch_image *image, uint64_t offset, uint8_t *buffer,
                       size_t length, bool new_bytes)
{
    for (size_t i = first_edit_behind(image, offset); i < image->edit_count; i++) {
        const struct patch_edit *edit = &image->edits[image->order[i]];
        const uint8_t *from = image->store + edit->bytes + (new_bytes ? edit->length : 0);
        size_t skip = edit->offset < offset ? (size_t)(offset - edit->offset) : 0;
        if (edit->offset >= offset && edit->offset - offset >= length) {
            break;
        }
        size_t at = (size_t)(edit->offset + skip - offset);
        memcpy(buffer + at, from + skip, min_of(edit->length - skip, length - at));
    }
}

void patch_image_restore(const struct patch_image *image, uint64_t offset, void *buffer,
                         size_t length)
{
    copy_edits(image, offset, buffer, length, false);
}

void patch_image_apply(const struct patch_image *image, uint64_t offset, void *buffer,
                       size_t length)
{
    copy_edits(image, offset, buffer, length, true);
}

/* The original bytes behind a forward site's syscall. */
static const uint8_t *moved_bytes(const struct patch_image *image, const struct patch_site *site,
                                  size_t *ret_count)
{
    const struct patch_edit *edit = &image->edits[site->first_edit + site->edit_count - 1u];
    *ret_count = edit->length - 2u;
    return image->store + edit->bytes + 2;
}

static uint64_t locate_in_trampoline(const struct patch_image *image, const struct patch_site *site,
                                     uint64_t offset)
{
    uint64_t inside = offset - site->trampoline;
    if (site->shape == PATCH_SHAPE_MOVE && inside < PATCH_JUMP_NEAR) {
        return site->start;
    }
    if (site->shape != PATCH_SHAPE_FORWARD || inside < PATCH_TRAMPOLINE) {
        return site->offset;
    }
    size_t count, original = 0, copy = 0;
    const uint8_t *bytes = moved_bytes(image, site, &count);
    while (copy < inside - PATCH_TRAMPOLINE && patch_forward_step(bytes, count, &original, &copy)) {
    }
    return site->offset + 2 + original;
}

bool patch_image_locate(const struct patch_image *image, uint64_t offset, uint64_t *ret_offset)
{
    size_t place = first_edit_behind(image, offset);
    if (place == image->edit_count) {
        return false;
    }
    const struct patch_edit *edit = &image->edits[image->order[place]];
    const struct patch_site *site = &image->sites[edit->site];
    if (edit->offset > offset) {
        return false;
    }
    if (edit->kind == PATCH_EDIT_TRAMPOLINE) {
        *ret_offset = locate_in_trampoline(image, site, offset);
    } else {
        *ret_offset = edit->kind == PATCH_EDIT_SITE ? site->start : site->offset;
    }
    return true;
}

bool patch_image_enter(const struct patch_image *image, uint64_t offset, uint64_t *ret_offset)
{
    size_t index = sites_up_to(image, offset);
    if (index == 0) {
        return false;
    }
    const struct patch_site *site = &image->sites[index - 1];
    if (site->shape != PATCH_SHAPE_FORWARD || offset < site->offset + 2 || offset >= site->end) {
        return false;
    }
    size_t count, original = 0, copy = 0;
    const uint8_t *bytes = moved_bytes(image, site, &count);
    while (original < offset - site->offset - 2 &&
           patch_forward_step(bytes, count, &original, &copy)) {
    }
    if (original != offset - site->offset - 2) {
        return false;
    }
    *ret_offset = site->trampoline + PATCH_TRAMPOLINE + copy;
    return true;
}

int patch_image_fd(const struct patch_image *image)
{
    return image->fd;
}

int patch_image_memfd(struct patch_image *image, const uint8_t *text, size_t length)
{
    static const uint8_t zeros[4096];
    if (image->fd >= 0) {
        return image->fd;
    }
    if (length != image->length) {
        return -EINVAL;
    }
    if (image->site_count == 0) {
        return -ENOENT;
    }
    size_t count = 0;
    size_t at = 0;
    struct iovec *pieces = calloc(2 * image->edit_count + 2, sizeof(*pieces));
    if (!pieces) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < image->edit_count; i++) {
        const struct patch_edit *edit = &image->edits[image->order[i]];
        pieces[count++] = (struct iovec){(void *)(uintptr_t)(text + at), edit->offset - at};
        pieces[count++] = (struct iovec){image->store + edit->bytes + edit->length, edit->length};
        at = edit->offset + edit->length;
    }
    pieces[count++] = (struct iovec){(void *)(uintptr_t)(text + at), length - at};
    pieces[count++] = (struct iovec){(void *)(uintptr_t)zeros, -length & 4095};
    int fd = host_memfd_create_image_pieces("patched", pieces, count);
    free(pieces);
    if (fd >= 0) {
        image->fd = fd;
    }
    return fd;
}
