/*
 * mount_options.h: the comma-separated text of mount(2): what every file system knows, and the
 * rest. Linux: fs/fs_context.c (vfs_parse_sb_flag).
 */
#pragma once

#include <stdbool.h>

#include "platform/base/compiler.h"

#define MOUNT_DATA_MAX 4096

struct mount_options {
    unsigned set_flags, clear_flags; /* MOUNT_* */
    char text[MOUNT_DATA_MAX];       /* the file system's own, comma-separated */
};

/* -EINVAL: too long. */
int mount_options_split(const char *data, struct mount_options *ret) must_check;
/* One option; value NULL: a flag. -EINVAL: no room. */
int mount_options_add(struct mount_options *options, const char *key, const char *value) must_check;
/* Takes "ro", "sync" and their like: true when key is one. */
bool mount_options_take_flag(struct mount_options *options, const char *key);
