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
                   MOUNT_SYNC = 16,
                   MOUNT_MANDLOCK = 64,
                   MOUNT_DIR_SYNC = 128,
                   MOUNT_NO_SYMFOLLOW = 256,
                   MOUNT_NO_ATIME = 1024,
                   MOUNT_NO_DIRATIME = 2048,
                   MOUNT_RELATIME = 1 << 21,
                   MOUNT_STRICT_ATIME = 1 << 24,
                   MOUNT_LAZYTIME = 1 << 25,
};

/* What of mount(2)'s flags belongs to the mount, and what to the file system. */
#define MOUNT_OWN_FLAGS                                                                            \
    (MOUNT_READ_ONLY | MOUNT_NO_SUID | MOUNT_NO_DEV | MOUNT_NO_EXEC | MOUNT_NO_SYMFOLLOW |         \
     MOUNT_NO_ATIME | MOUNT_NO_DIRATIME | MOUNT_RELATIME | MOUNT_STRICT_ATIME)
#define MOUNT_ATIME_FLAGS (MOUNT_NO_ATIME | MOUNT_NO_DIRATIME | MOUNT_RELATIME | MOUNT_STRICT_ATIME)
#define MOUNT_SUPER_FLAGS (MOUNT_SYNC | MOUNT_MANDLOCK | MOUNT_DIR_SYNC | MOUNT_LAZYTIME)

/* A mount tree of its own (CLONE_NEWNS). Those who see it hold references through fs_context. */
struct mount_namespace {
    struct refcount ref;
    uint64_t id;        /* unique; the first one's is 1 */
    struct mount *root; /* under RANK_MOUNT and the name cache's lock; the list's reference */
    TAILQ_ENTRY(mount_namespace) link; /* in the list of all; under RANK_MOUNT */
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
    struct mount_namespace *ns; /* borrowed; set while attached. Under RANK_MOUNT */
    bool locked;                /* what lies below is not the guest's to see: stays where it is */
    bool flags_locked;          /* made by the sandbox: its flags cannot come to allow more */
    bool unbindable;            /* under RANK_MOUNT */
    struct mount *copy;         /* under RANK_MOUNT: during a recursive bind */
    atomic_uint writers;        /* files open for writing: it cannot become read-only */
    unsigned walks;             /* crossings, under the name cache's lock */
    unsigned expire_walks;      /* its value when MNT_EXPIRE marked the mount; 0: not marked */
};

struct mount *mount_ref(struct mount *mount);
struct mount *mount_unref(struct mount *mount);

/* Makes the root mount of the sandbox; *ret_path = its root. Takes super's caller reference. */
int mount_root(struct super *super, const char *source, unsigned flags,
               struct path *ret_path) must_check;
/* Mounts super on the object at point. Takes super's caller reference on success. */
int mount_add(struct super *super, const char *source, unsigned flags,
              const struct path *point) must_check;
/* Bind mount of the object from (a file or a directory); with the mounts below it, which keep their
 * own flags, when recursive. EINVAL: unbindable, or not in the tree. */
int mount_bind(const struct path *from, unsigned flags, bool recursive,
               const struct path *point) must_check;
/* A mount that has no place yet (fsmount, open_tree); its root in *ret_path. mount_new_detached
 * takes super's caller reference on success; mount_clone_detached copies what from names.
 * DIFFERS: when recursive and mounts are below it, EINVAL. */
int mount_new_detached(struct super *super, const char *source, unsigned flags,
                       struct path *ret_path) must_check;
int mount_clone_detached(const struct path *from, bool recursive, struct path *ret_path) must_check;
/* Moves the mount whose root from is to point; a detached one gets its place. beneath: below the
 * topmost mount there, instead of over it. EINVAL, ELOOP. */
int mount_move(const struct path *from, const struct path *point, bool beneath) must_check;
/* New flags for the mount whose root path is. EINVAL: no such mount; EPERM: a mount of the sandbox
 * would allow more than before; EBUSY: read-only, but files are open for writing. */
int mount_remount(const struct path *path, unsigned flags) must_check;
/* mount_setattr(2): flags to set and to clear on the mount whose root path is, and on those below
 * it when recursive: all or none. */
int mount_change_flags(const struct path *path, bool recursive, unsigned set,
                       unsigned clear) must_check;
/* The number that statmount(2) knows a mount by, never used again. */
static inline uint64_t mount_unique_id(const struct mount *mount)
{
    return (1ULL << 31) + (uint64_t)mount->id;
}
/* The attached mount with that number: a reference, or NULL. */
struct mount *mount_find_id(uint64_t unique_id);
struct fs_context;
struct mount_namespace *mount_namespace_ref(struct mount_namespace *ns);   /* NULL-tolerant */
struct mount_namespace *mount_namespace_unref(struct mount_namespace *ns); /* NULL-tolerant */
/* CLONE_NEWNS: fs, which nobody else uses, gets a copy of its namespace. */
int mount_namespace_copy(struct fs_context *fs) must_check;
/* The namespace with that id: a reference, or NULL. */
struct mount_namespace *mount_namespace_find(uint64_t id);
/* The namespace of a mount: a reference, or NULL when it is detached. */
struct mount_namespace *mount_get_namespace(struct mount *mount);
/* Its root; references. */
void mount_namespace_root(struct mount_namespace *ns, struct path *ret);
/* pivot_root(2): the mount at new_root takes the place of the one at root, which goes to put_old.
 * The caller changes the roots of tasks. EBUSY, EINVAL. */
int mount_pivot(const struct path *root, const struct path *new_root,
                const struct path *put_old) must_check;
/* Boot: what is mounted now is the sandbox's own (see locked). */
void mount_lock_all(void);
int mount_set_unbindable(const struct path *path, bool recursive, bool unbindable) must_check;
enum mount_remove_how {
    MOUNT_REMOVE_IDLE,   /* EBUSY: in use, or mounts are below it */
    MOUNT_REMOVE_DETACH, /* mounts below it go with it, users keep what they have */
    MOUNT_REMOVE_EXPIRE, /* as IDLE, but EAGAIN unless unused since the last such call */
};
/* Unmounts the mount whose root path is (EINVAL else, and for mounts of the sandbox). */
int mount_remove(const struct path *path, enum mount_remove_how how) must_check;
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
