/*
 * backing.h: what stands behind a file mapping, as the memory layer sees it. struct file embeds it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/base/compiler.h"

struct text;
struct mm_backing;
struct mm_source;

struct mm_backing_ops {
    void (*ref)(struct mm_backing *backing);
    void (*unref)(struct mm_backing *backing);
    /* Path as /proc/pid/maps shows it, device (makedev) and inode number. */
    void (*describe)(struct mm_backing *backing, struct text *path, uint64_t *ret_dev,
                     uint64_t *ret_ino);
    /* Called when a shared writable mapping of the backing appears or goes (memfd write seals). */
    void (*shared_write)(struct mm_backing *backing, int delta);
    /* An area of the backing came into being (1) or is gone (-1): each part of a split one, each
     * copy of a fork. Under the lock of the area table but for the -1. May be NULL. */
    void (*mapped)(struct mm_backing *backing, int delta);
    /* What to map for [offset, offset+length) of the backing, shared (remap_file_pages). */
    int (*source)(struct mm_backing *backing, uint64_t offset, uint64_t length, int prot,
                  struct mm_source *ret_source) must_check;
    /* msync(MS_SYNC). 0 or negative errno. */
    int (*sync)(struct mm_backing *backing) must_check;
};

struct mm_backing {
    const struct mm_backing_ops *ops;
};

/* The host object to map for a file range; filled by the file's mmap op. */
struct mm_source {
    int fd;           /* borrowed from the file for as long as the backing is referenced */
    uint64_t offset;  /* host offset of the first byte */
    bool never_write; /* shared mappings may never become writable (write seals) */
    bool anonymous;   /* map anonymous memory instead (/dev/zero, private) */
};
