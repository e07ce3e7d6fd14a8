/*
 * mount_context.h: what fsopen(2) and fspick(2) give: a description of a file system to come, or of
 * one to be changed, behind a descriptor.
 */
#pragma once

#include <stdbool.h>

#include "platform/base/lock.h"
#include "sentry/vfs/path.h"
#include "syscalls/mount_options.h"

struct file;
struct filesystem_type;
struct super;

enum mount_phase { PHASE_PARAMETERS, PHASE_MOUNT, PHASE_RECONFIGURE, PHASE_DONE };

struct mount_context {
    const struct filesystem_type *type;
    struct mutex lock; /* RANK_EXEC: outside all of the VFS; guards all below */
    enum mount_phase phase;
    struct mount_options options;
    char source[256];    /* "" when not given */
    struct super *super; /* made by FSCONFIG_CMD_CREATE: a reference */
    struct path picked;  /* of fspick: references */
};

/* A file for a context; takes picked's references on success. */
int mount_context_new(const struct filesystem_type *type, struct path *picked,
                      struct file **ret_file) must_check;
/* The context of a file, or NULL when it is another kind. */
struct mount_context *mount_context_of(struct file *file);
