/*
 * mount.h: the mount tree of the sandbox. One namespace for now.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "platform/base/queue.h"
#include "platform/base/refcount.h"
#include "sentry/vfs/path.h"

struct super;
struct text;

enum mount_flags { /* values of mount(2) */
    MOUNT_READ_ONLY = 1,
    MOUNT_NO_SUID = 2,
    MOUNT_NO_DEV = 4,
    MOUNT_NO_EXEC = 8,
    MOUNT_NO_ATIME = 1024,
    MOUNT_RELATIME = 1 << 21,
};

struct mount {
    struct refcount ref;
    int id;
    struct super *super;    /* reference */
    struct dentry *root;    /* reference */
    struct mount *parent;   /* reference; NULL for the root mount; under RANK_MOUNT */
    struct dentry *point;   /* where it is mounted, in parent; reference */
    unsigned flags;
    char *source;           /* as /proc/mounts shows; owned */
    TAILQ_ENTRY(mount) link; /* in the namespace's list */
};

struct mount *mount_ref(struct mount *mount);
struct mount *mount_unref(struct mount *mount);

/* Makes the root mount of the sandbox; *ret_path = its root. Takes super's caller reference. */
int mount_root(struct super *super, const char *source, unsigned flags,
               struct path *ret_path) must_check;
/* Mounts super on the object at point. Takes super's caller reference on success. */
int mount_add(struct super *super, const char *source, unsigned flags,
              const struct path *point) must_check;
/* Bind mount of the object from (a file or a directory). */
int mount_bind(const struct path *from, unsigned flags, const struct path *point) must_check;
int mount_remove(const struct path *path, bool detach) must_check;
/* Calls fn for every mount in order, under the mount lock. */
void mount_for_each(void (*fn)(struct mount *mount, void *context), void *context);

/* Boot: makes missing directories (or an empty file) along text, as root, in whatever fs is there. */
int mount_make_point(const char *text, bool directory) must_check;
