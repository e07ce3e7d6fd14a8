/*
 * trap_text.h: the table of rewritten mappings, shared by trap_text.c, which keeps it, and
 * trap_promote.c, which decides what is rewritten.
 */
#pragma once

#include "platform/base/refcount.h"
#include "platform/patch/patch_cache.h"
#include "platform/trap/trap_internal.h"

/* Where a candidate's text comes from. */
struct text_file {
    struct refcount ref;
    int fd; /* own */
    struct patch_file_key key;
};

/* A mapping of text: [start, end) shows the image, or the file, from byte offset of it on. */
struct text_range {
    guest_addr start, end;
    uint64_t offset;
    int prot;
    struct patch_image *image; /* reference; NULL: a candidate */
    struct text_file *file;    /* reference; NULL: patched */
    /* The image is mapped, but its private pages have the original bytes. */
    bool restored;
};

/* The caller's references to image and file. */
void trap_range_unref(const struct text_range *range);
/* The range that holds addr or, failing that, the next one before end; with references. */
bool trap_text_next_range(struct address_space *space, guest_addr addr, guest_addr end,
                          struct text_range *ret_range);
/* The references of the range go to the table. */
int trap_text_add_range(struct address_space *space, const struct text_range *range) must_check;
/* Takes [start, end) out of the table, or with `mark` notes it as restored. */
int trap_text_forget(struct address_space *space, guest_addr start, guest_addr end,
                     bool mark) must_check;

/* The key of a mapping's text. False when the file is not one to be rewritten. *ret_settled: it has
 * not been written to lately, so that its times would show another change. */
bool trap_text_key(int fd, uint64_t offset, uint64_t length, struct patch_file_key *ret_key,
                   bool *ret_settled);
