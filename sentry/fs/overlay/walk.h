/*
 * walk.h: the walk over all changes of an overlay, for the list and for the export.
 */
#pragma once

#include "sentry/fs/overlay/internal.h"

struct overlay_visitor {
    /* node is NULL for kind 'D'. type: DT_*. Negative ends the walk. */
    int (*visit)(struct overlay_visitor *visitor, char kind, unsigned char type, const char *path,
                 struct overlay_inode *node) must_check;
    /* After everything below a visited directory was visited. May be NULL. */
    int (*leave)(struct overlay_visitor *visitor, const char *path,
                 struct overlay_inode *node) must_check;
    uint64_t too_long; /* names left out */
};

int overlay_walk(struct super *super, struct overlay_visitor *visitor) must_check;
