/*
 * dentry.h: the name cache.
 *
 * A dentry is a name in a directory, with its inode or none (negative). All of the cache (tables,
 * parents, names, inodes of dentries, mount points) is guarded by one lock, dentry_lock
 * (RANK_DENTRY), held for the time of a few look-ups and never over a file system operation. A
 * dentry without users stays cached until the bound is reached; a hashed dentry can be found, an
 * unhashed one was removed or displaced.
 *
 * A directory's own lock (RANK_INODE) is held by whoever inserts below it or changes what a name
 * below it stands for, so a look-up that missed may insert what the file system answered.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "platform/base/lock.h"
#include "platform/base/queue.h"

struct inode;
struct super;

#define DENTRY_CACHE_MAX   65536 /* cached dentries without users */
#define DENTRY_INLINE_NAME 32

TAILQ_HEAD(dentry_list, dentry);

struct dentry {
    atomic_int uses;     /* 0 to 1 only under dentry_lock */
    uint32_t hash;       /* of parent and name */
    struct super *super; /* borrowed from the inode's or the parent's; NULL for anonymous ones */
    _Atomic(struct inode *) inode; /* reference; NULL: negative. Set under dentry_lock; readable
                                      without by those who hold a reference */

    /* under dentry_lock */
    struct dentry *parent; /* reference; NULL for the root of a file system */
    char *name;            /* inline_name or the heap */
    uint32_t length;
    bool hashed;
    bool on_lru;
    bool disconnected;   /* never had a place (memfd, O_TMPFILE): shown as deleted */
    atomic_uint mounted; /* mounts on it */
    struct dentry *hash_next;
    TAILQ_ENTRY(dentry) lru;
    TAILQ_ENTRY(dentry) sibling;
    struct dentry_list children; /* hashed ones */
    char inline_name[DENTRY_INLINE_NAME];
};

extern struct mutex dentry_lock;

struct dentry *dentry_ref(struct dentry *dentry);
struct dentry *dentry_unref(struct dentry *dentry);
/* A reference on a dentry found under the lock, which may have had none. */
void dentry_ref_locked(struct dentry *dentry) REQUIRES(dentry_lock);

/* A root (parent NULL) or an unhashed dentry below parent; takes a reference on inode itself. NULL:
 * no memory. */
struct dentry *dentry_new(struct dentry *parent, const char *name, size_t length,
                          struct inode *inode) must_check;
/* A dentry of no directory, shown as its text plus " (deleted)". */
struct dentry *dentry_new_disconnected(const char *text, struct inode *inode) must_check;

/* The cached child with a reference, or NULL. */
struct dentry *dentry_find(struct dentry *parent, const char *name, size_t length);
struct dentry *dentry_find_locked(struct dentry *parent, const char *name, size_t length)
    REQUIRES(dentry_lock);

/*
 * The child name of parent, from the cache or the file system: *ret gets a reference, negative when
 * there is no such name. dir_locked: the caller holds the directory's lock. ENAMETOOLONG, ENOMEM,
 * and the lookup op's errors but ENOENT.
 */
int dentry_lookup(struct dentry *parent, const char *name, size_t length, bool dir_locked,
                  struct dentry **ret) must_check;

/* A cached dentry of the inode with that number: a reference, or NULL. Looks at all of the cache.
 */
struct dentry *dentry_find_inode(struct super *super, uint64_t ino);

/* A negative dentry becomes inode (a reference is taken). The directory is locked. */
void dentry_instantiate(struct dentry *dentry, struct inode *inode);
/* The name was removed: becomes negative when the caller is its only user, else unhashed. The
 * directory is locked. */
void dentry_removed(struct dentry *dentry);
/* Forgets a cached name: the next look-up asks the file system. */
void dentry_drop(struct dentry *dentry);
/* Forgets the name in a directory, if cached (changes behind the VFS's back). */
void dentry_invalidate(struct dentry *parent, const char *name);

/* Room for renaming, taken before the operation so that moving cannot fail. */
struct dentry_move {
    char *old_name, *new_name; /* heap copies for long names; NULL else */
};
int dentry_move_prepare(struct dentry_move *move, const struct dentry *from,
                        const struct dentry *to) must_check;
/* from takes to's place; to becomes unhashed, or changes places (exchange). Directories are locked.
 */
void dentry_move(struct dentry_move *move, struct dentry *from, struct dentry *to, bool exchange);
void dentry_move_fini(struct dentry_move *move);

/* Is ancestor above dentry (or the same)? */
bool dentry_is_below(struct dentry *dentry, struct dentry *ancestor);
/* The parent with a reference (itself for a root). */
struct dentry *dentry_get_parent(struct dentry *dentry);
/* A NUL-terminated copy of the name; buffer of 256 bytes. */
void dentry_copy_name(struct dentry *dentry, char *buffer);
/* Unhashed and not a root: removed from its directory. */
bool dentry_is_deleted(struct dentry *dentry);

/* Drops all cached dentries without users of a super (NULL: of all). */
void dentry_shrink(struct super *super);
/* Present numbers: dentries in memory, and those without users. */
void dentry_count(uint64_t *ret_total, uint64_t *ret_unused);
