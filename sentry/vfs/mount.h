/*
 * mount.h: the mount tree of the sandbox. One namespace for now.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "platform/base/queue.h"
#include "platform/base/refcount.h"
#include "sentry/vfs/dentry.h"
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
    struct super *super;     /* reference */
    struct dentry *root;     /* reference */
    struct mount *parent;    /* reference; NULL for the root mount. Written under RANK_MOUNT and the
                                name    cache's lock, read under either; point likewise */
    struct dentry *point;    /* where it is mounted, in parent; reference */
    atomic_uint flags;       /* MOUNT_*; remounting changes them */
    char *source;            /* as /proc/mounts shows; owned */
    TAILQ_ENTRY(mount) link; /* in the namespace's list */
    struct mount *hash_next; /* by (parent, point); under the name cache's lock */
    bool attached;           /* under RANK_MOUNT */
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
/* mount(2) with MS_REMOUNT, also with MS_BIND: new flags for the mount whose root path is. EINVAL.
 */
int mount_remount(const struct path *path, unsigned flags) must_check;
/* Unmounts the mount whose root path is (EINVAL else). EBUSY: in use, unless detach; mounts below
 * it go with it when detach. */
int mount_remove(const struct path *path, bool detach) must_check;
/* Calls fn for every mount in order, under the mount lock. */
void mount_for_each(void (*fn)(struct mount *mount, void *context), void *context);

/* The root of the sandbox's namespace; references. False before mount_root. */
bool mount_get_root(struct path *ret);
/* The mount on the object at path (the topmost), or path itself: follows mounts downwards. Replaces
 * the references. */
void mount_follow(struct path *path);
/* The mount on dentry in mount, borrowed; NULL: none. */
struct mount *mount_find_locked(struct mount *mount, struct dentry *dentry) REQUIRES(dentry_lock);
/* Is a mount's flag such that writing fails with EROFS? */
static inline bool mount_is_read_only(const struct mount *mount)
{
    return mount && (atomic_load_explicit(&mount->flags, memory_order_relaxed) & MOUNT_READ_ONLY);
}
/* Boot and tests: detaches every mount and drops the namespace's root. */
void mount_fini(void);

/* Boot: makes missing directories (or an empty file) along text, as root, in whatever fs is there.
 */
int mount_make_point(const char *text, bool directory) must_check;
