/*
 * overlay.h: changes in memory over a file system that stays as it is.
 *
 * The lower super is never written. Names, attributes and links of what the guest changed live in
 * the overlay's own tree; the data of changed regular files lives in unnamed files of the upper
 * super (a tmpfs, which also sets the limit on bytes). Source: Linux
 * Documentation/filesystems/overlayfs.rst. DIFFERS: renaming a lower directory just works (no
 * EXDEV), st_dev and st_ino never change, hard links survive the copy, and a chmod copies no data.
 */
#pragma once

#include <stdint.h>

#include "platform/base/compiler.h"

struct super;

struct overlay_options {
    uint64_t max_entries; /* changed or removed names kept in memory; -ENOSPC beyond. 0: no limit */
};

/* Takes the caller's references on lower and upper on success. Both need their root set. options
 * may be NULL. */
int overlay_new(struct super *lower, struct super *upper, const struct overlay_options *options,
                struct super **ret_super) must_check;

struct overlay_change {
    const char
        *path; /* from the root of the overlay, without a leading slash; at most 4095 bytes */
    char kind; /* 'A' added, 'M' changed, 'D' deleted */
    unsigned char type; /* DT_* */
    uint32_t mode;      /* permissions; 0 for 'D' */
    uint64_t size;
};
/* Not zero ends the enumeration with that result. */
typedef int (*overlay_change_fn)(const struct overlay_change *change, void *context);

/*
 * Calls fn for every difference from the lower super, parents before children. What replaced a
 * directory comes as 'D' and then 'A'. Names whose path is longer than 4095 bytes are left out and
 * give -ENAMETOOLONG at the end. Guests may run meanwhile; the picture is then not of one moment.
 */
int overlay_for_each_change(struct super *super, overlay_change_fn fn, void *context) must_check;

struct overlay_export_result {
    uint64_t written, deleted; /* objects exported, names listed as deleted */
    uint64_t skipped;          /* devices, sockets, fifos, too long names */
    uint64_t bytes;
};
#define OVERLAY_EXPORT_MANIFEST ".stockade-deleted"

/*
 * Writes what was added or changed below the host directory dirfd, which should be empty:
 * directories, regular files and symbolic links with permissions (without setuid and setgid) and
 * modification times. Nothing that exists is overwritten or followed: -EEXIST. Deleted paths are
 * written to OVERLAY_EXPORT_MANIFEST, each ended by a NUL byte. A guest file of that name in the
 * root is skipped.
 */
int overlay_export(struct super *super, int dirfd, struct overlay_export_result *ret) must_check;
