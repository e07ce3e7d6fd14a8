/*
 * patch.h: rewriting of system-call sites in the executable pages of a file, so that a call jumps
 * to the stub instead of trapping.
 *
 * A patched site reaches the stub's entry by jumps alone: all registers, the flags and the stack
 * are as at the `syscall` instruction except rcx, which holds the address after it, as the
 * processor leaves it. The code that does this (a *trampoline*: `lea after(%rip), %rcx; jmp *SLOT`)
 * lies in bytes of the same mapping that nothing executes: padding between functions, or the rest
 * of the last page. It is position-independent.
 *
 * The library is pure: it reads the bytes that it is given, allocates, and knows no processes. The
 * text is hostile: any bytes are bounded work and no crash. A wrong guess harms only the program
 * whose text it is, so sites are taken on strong evidence only (see README.md).
 *
 * Offsets are bytes from the start of the text, which is page-aligned in its mapping.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/base/compiler.h"

#define PATCH_TEXT_MAX  (256UL << 20) /* longer texts are not looked at */
#define PATCH_SITES_MAX 4096          /* per image; further sites stay as they are */
#define PATCH_EDIT_MAX  64            /* bytes of one edit */

struct patch_image;

struct patch_config {
    uint32_t entry_slot; /* address below 2 GB of a pointer to the stub's entry */
};

enum patch_shape {
    PATCH_SHAPE_HOLE,    /* the syscall became a short jump into padding */
    PATCH_SHAPE_MOVE,    /* the `mov $number, %eax` before it became a jump; it is unchanged */
    PATCH_SHAPE_FORWARD, /* it and the instructions behind it became a jump; these were copied */
    PATCH_SHAPE_COUNT,
};

struct patch_site {
    uint32_t offset;     /* of the syscall instruction */
    uint32_t start;      /* first byte changed at the site: offset, or the mov */
    uint32_t end;        /* behind the last byte changed at the site */
    uint32_t trampoline; /* first instruction of it */
    uint32_t hop;        /* a jump to the trampoline in padding near the site, or the trampoline */
    uint32_t exit;       /* the trampoline's jump to the stub */
    uint32_t first_edit; /* of this site's edits, in the order in which they must be written */
    uint8_t edit_count;
    uint8_t shape; /* enum patch_shape */
};

/* A run of bytes that differs between file and image. */
struct patch_edit {
    uint32_t offset;
    uint32_t site;  /* index into the sites */
    uint32_t bytes; /* where in the image's store: length original bytes, then length new ones */
    uint8_t length;
    uint8_t kind; /* enum patch_edit_kind */
};

enum patch_edit_kind {
    PATCH_EDIT_EXIT, /* the jump to the stub, where the trampoline had no room for it */
    PATCH_EDIT_TRAMPOLINE,
    PATCH_EDIT_HOP,
    PATCH_EDIT_SITE,
};

/*
 * Looks for sites in text (length bytes, read during the call only) and plans their patches. The
 * last tail bytes of the text are not code and nothing uses them: the rest of the last page of an
 * ELF segment, as far as no other segment gives it a meaning (patch_elf.h). Returns 0 with a
 * reference to an image, which may have no sites; -ENOMEM; -EINVAL when tail exceeds length.
 */
int patch_build(const struct patch_config *config, const uint8_t *text, size_t length, size_t tail,
                struct patch_image **ret_image) must_check;

/*
 * A new image that has the patches of image and one more, for the syscall instruction at offset,
 * which was executed with this number in rax (so it is an instruction). text, length and tail are
 * those that image was built from. Every edit of image stays as it is, so programs that run with
 * it are not disturbed by the edits of the new site alone. -EEXIST when it is a site already,
 * -ENOSPC when no shape fits, -EINVAL when the bytes at offset are no syscall or text is another,
 * -ENOMEM.
 */
int patch_image_add(const struct patch_image *image, const uint8_t *text, size_t length,
                    uint64_t offset, uint64_t number, struct patch_image **ret_image) must_check;

struct patch_image *patch_image_ref(struct patch_image *image);
/* NULL is allowed; returns NULL. */
struct patch_image *patch_image_unref(struct patch_image *image);

/*
 * Makes the image's sealed memfd (text is what it was built from, padded to whole pages with
 * zeros), once: later calls return the same fd, which the image owns. Not to be called by two
 * threads at a time for one image; patch_cache_get has done it. -ENOENT when there are no sites.
 */
int patch_image_memfd(struct patch_image *image, const uint8_t *text, size_t length) must_check;
/* The memfd made before, or -1. */
int patch_image_fd(const struct patch_image *image);

/* Of the text it was built from. */
size_t patch_image_length(const struct patch_image *image);
size_t patch_image_site_count(const struct patch_image *image);
/* index < patch_image_site_count; sites are sorted by offset. */
const struct patch_site *patch_image_site(const struct patch_image *image, size_t index);
/* The site whose syscall instruction is at offset, or NULL. */
const struct patch_site *patch_image_find(const struct patch_image *image, uint64_t offset);

/* The edit of a site with index < site->edit_count, and its new bytes. */
const struct patch_edit *patch_image_edit(const struct patch_image *image,
                                          const struct patch_site *site, size_t index,
                                          const uint8_t **ret_new_bytes);

/*
 * The first edit that ends behind offset from, in order of offsets: [*ret_offset, *ret_offset +
 * *ret_length) differs from the file. False when there is none.
 */
bool patch_image_next_edit(const struct patch_image *image, uint64_t from, uint64_t *ret_offset,
                           size_t *ret_length);

/*
 * Does some site have edits inside [start, end) and others outside? Then neither part may be put
 * back, unmapped or written over without the other: a jump would lead nowhere.
 */
bool patch_image_divided(const struct patch_image *image, uint64_t start, uint64_t end);

/*
 * buffer holds length bytes of a mapping of the image from offset: puts the file's bytes back.
 * apply is the other direction.
 */
void patch_image_restore(const struct patch_image *image, uint64_t offset, void *buffer,
                         size_t length);
void patch_image_apply(const struct patch_image *image, uint64_t offset, void *buffer,
                       size_t length);

/*
 * A thread stopped with its next instruction at offset: where is it in terms of the file's text?
 * False when offset is not in changed bytes, so it is what it seems. In a trampoline before the
 * jump to the stub the answer is the site (rcx may already have its new value), or the mov when
 * that is still to be done; in the copied instructions of the forward shape it is the original.
 */
bool patch_image_locate(const struct patch_image *image, uint64_t offset, uint64_t *ret_offset);

/*
 * The reverse, for a thread that is to go on at offset of the file's text: true with the offset
 * to resume at when that is another one (inside the instructions that a forward patch moved).
 * A jump by the guest itself to such a place faults: those bytes are int3.
 */
bool patch_image_enter(const struct patch_image *image, uint64_t offset, uint64_t *ret_offset);
