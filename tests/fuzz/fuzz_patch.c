/*
 * fuzz_patch.c: building images from any text. The input is either the text itself, or a list of
 * changes to a piece of the C library's text, so that sites and padding are there to be damaged.
 * What must hold is in tests/unit/patch_check.h.
 */
#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "platform/patch/patch_elf.h"
#include "tests/unit/patch_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PIECE = 4096, CHANGE = 4 };

struct library {
    const uint8_t *text;
    size_t length;
};

static int find_library(struct dl_phdr_info *info, size_t size, void *context)
{
    struct library *library = context;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum && strstr(info->dlpi_name, "/libc.so.6"); i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) != 0) {
            library->text = (const uint8_t *)(uintptr_t)(info->dlpi_addr + segment->p_vaddr);
            library->length = segment->p_memsz;
        }
    }
    return 0;
}

/* A piece of the library with bytes changed: two bytes of place, what to do, and an operand. */
static size_t mutate(const uint8_t *data, size_t size, uint8_t *text)
{
    static struct library library;
    if (!library.text) {
        dl_iterate_phdr(find_library, &library);
    }
    if (library.length < PIECE || size < 2) {
        return 0;
    }
    size_t start = ((size_t)data[0] << 8 | data[1]) * 64 % (library.length - PIECE);
    memcpy(text, library.text + start, PIECE);
    for (size_t at = 2; at + CHANGE <= size; at += CHANGE) {
        size_t place = ((size_t)data[at] << 8 | data[at + 1]) % PIECE;
        size_t room = PIECE - place;
        switch (data[at + 2] % 4) {
        case 0:
            text[place] = data[at + 3];
            break;
        case 1:
            text[place] ^= (uint8_t)(1 << data[at + 3] % 8);
            break;
        case 2: /* shifts what is behind the place */
            memmove(text + place + min_of(room, (size_t)data[at + 3]), text + place,
                    room - min_of(room, (size_t)data[at + 3]));
            break;
        default:
            memcpy(text + place, "\x0f\x05\xc3", min_of(room, (size_t)3));
            break;
        }
    }
    return PIECE;
}

static void add_sites(const struct patch_image *image, const uint8_t *text, size_t length,
                      size_t tail)
{
    struct patch_image *newest = NULL, *more;
    const struct patch_image *last = image;
    int added = 0;
    for (size_t at = 0; at + 1 < length && added < 8; at++) {
        if (text[at] != 0x0f || text[at + 1] != 0x05) {
            continue;
        }
        int error = patch_image_add(last, text, length, at, at % 400, &more);
        if (error) {
            patch_require(error == -EEXIST || error == -ENOSPC || error == -EINVAL);
            continue;
        }
        patch_check_image(more, text, length, tail);
        patch_require(patch_image_site_count(more) == patch_image_site_count(last) + 1);
        for (size_t i = 0; i < patch_image_site_count(last); i++) {
            const struct patch_site *old = patch_image_site(last, i);
            const struct patch_site *kept = patch_image_find(more, old->offset);
            patch_require(kept && kept->trampoline == old->trampoline && kept->hop == old->hop);
        }
        patch_image_unref(newest);
        last = newest = more;
        added++;
    }
    patch_image_unref(newest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct patch_config config = {.entry_slot = PATCH_CHECK_SLOT};
    struct patch_image *image;
    uint64_t found;
    if (size < 3) {
        return 0;
    }
    size_t length = size - 3;
    size_t tail = ((size_t)data[0] << 8 | data[1]) % (length + 1);
    uint8_t *text = malloc(PIECE > length ? PIECE : length);
    if (!text) {
        return 0;
    }
    if (data[2] % 2) {
        length = mutate(data + 3, size - 3, text);
        tail = length < 256 ? 0 : tail % 256;
        memset(text + length - tail, 0, tail);
    } else {
        memcpy(text, data + 3, length);
        patch_require(patch_elf_tail(text, length, 0x1000, 0x2000) < 4096);
    }
    /* A copy of its own, so that a sanitizer sees a read beyond it. */
    uint8_t *exact = malloc(length ? length : 1);
    patch_require(exact != NULL);
    memcpy(exact, text, length);
    patch_require(patch_build(&config, exact, length, tail, &image) == 0);
    patch_check_image(image, exact, length, tail);
    for (size_t at = 0; at < length; at += 7) {
        if (patch_image_locate(image, at, &found)) {
            patch_require(found < length);
        }
        if (patch_image_enter(image, at, &found)) {
            patch_require(found < length && found != at);
        }
    }
    add_sites(image, exact, length, tail);
    patch_image_unref(image);
    free(exact);
    free(text);
    return 0;
}
