/*
 * internal.h: what the overlay's files share.
 *
 * Locks: an overlay inode's own lock (RANK_INODE) guards its attributes, xattrs and copy-up; layer
 * inodes are locked below it, nested. tree_lock (RANK_ACCOUNT, never held over a layer operation)
 * guards the tree: entries, parent, name, pinned, by_lower and orphans. data is set once and read
 * without a lock.
 *
 * Lifetime: an inode whose attributes or data were changed ("owned") must not be forgotten, so it
 * stands as an entry in its parent, the parent in its parent, and so on to the root ("pinned").
 * Entries hold references downwards; an inode that is not pinned holds a reference on its parent, a
 * pinned one does not need to.
 */
#pragma once

#include <dirent.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "platform/base/hash.h"
#include "platform/base/lock.h"
#include "platform/base/queue.h"
#include "platform/base/tree.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"

struct overlay_inode;

struct overlay_entry {
    RB_ENTRY(overlay_entry) node;
    struct overlay_inode *child; /* reference; NULL: the lower name is hidden (whiteout) */
    bool over_lower;             /* the lower directory has this name */
    char name[];
};
RB_HEAD(overlay_entries, overlay_entry);

struct overlay_xattr {
    LIST_ENTRY(overlay_xattr) link;
    size_t size;
    uint8_t *value; /* owned */
    char name[];
};

struct overlay_inode {
    struct inode inode;
    struct inode *lower; /* reference; NULL: made here. Fixed */
    _Atomic(struct inode *)
        data;          /* regular files: contents in the upper super; reference; set once */
    atomic_bool owned; /* the attributes in inode are the truth, not lower's */
    char *target;      /* of a symbolic link made here; owned; fixed */

    /* under tree_lock */
    struct overlay_inode *parent;   /* a directory that has it under name; NULL: root or removed */
    char *name;                     /* owned */
    bool pinned;                    /* (parent, name) is an entry; parent is then borrowed */
    bool hashed;                    /* in by_lower */
    bool orphan;                    /* in orphans, with a reference */
    struct overlay_entries entries; /* directories */
    UT_hash_handle hh;
    TAILQ_ENTRY(overlay_inode) orphan_link;

    /* under inode.lock */
    LIST_HEAD(overlay_xattrs, overlay_xattr) xattrs;
    size_t xattr_bytes;
    bool xattrs_loaded; /* xattrs is the truth, not lower's */

    LIST_ENTRY(overlay_inode) reap_link;
};

struct overlay_super {
    struct super super;
    struct super *lower, *upper; /* references */
    uint64_t max_entries;
    struct mutex tree_lock;
    /* under tree_lock */
    struct overlay_inode *by_lower;                     /* by lower pointer; weak */
    TAILQ_HEAD(overlay_orphans, overlay_inode) orphans; /* changed files with further lower names */
    uint64_t entry_count;
};

static inline struct overlay_inode *overlay_of(struct inode *inode)
{
    return container_of(inode, struct overlay_inode, inode);
}

static inline struct overlay_super *overlay_super_of(struct overlay_inode *node)
{
    return container_of(node->inode.super, struct overlay_super, super);
}

static inline bool overlay_is_dir(const struct overlay_inode *node)
{
    return S_ISDIR(inode_load(node->inode.mode));
}

extern const struct inode_ops overlay_inode_ops;
extern const struct inode_ops overlay_dir_inode_ops;
extern const struct file_ops overlay_dir_file_ops;

/* overlay_tree.c */

/* The overlay inode of a lower one found as name in dir (NULL: the root). Takes the reference on
 * lower. */
int overlay_from_lower(struct overlay_super *super, struct overlay_inode *dir, const char *name,
                       struct inode *lower, struct overlay_inode **ret) must_check;
/* A new inode with attributes of its own, not in the tree yet. */
int overlay_inode_new(struct overlay_super *super, uint32_t mode, uint64_t rdev,
                      struct overlay_inode **ret) must_check;
void overlay_inode_free(struct inode *inode);
/* Makes the inode and its ancestors entries. */
int overlay_pin(struct overlay_inode *node) must_check;
/* Keeps a changed lower file with several names: another of them may be looked up later. */
void overlay_keep_orphan(struct overlay_inode *node);

enum overlay_found { OVERLAY_NO_ENTRY, OVERLAY_WHITEOUT, OVERLAY_CHILD };
/* *ret gets a reference for OVERLAY_CHILD. */
enum overlay_found overlay_tree_find(struct overlay_inode *dir, const char *name,
                                     struct overlay_inode **ret);
bool overlay_tree_has(struct overlay_inode *dir, const char *name);
/* In order of names; tree_lock is held. */
struct overlay_entry *overlay_entry_next(struct overlay_entry *entry);
struct overlay_entry *overlay_entry_first(struct overlay_inode *dir);
uint64_t overlay_parent_ino(struct overlay_inode *dir); /* its own for the root */
/* dir is pinned before. hides_lower: an unchanged lower object stood there. */
int overlay_tree_set(struct overlay_inode *dir, const char *name, struct overlay_inode *child,
                     bool hides_lower) must_check;
int overlay_tree_remove(struct overlay_inode *dir, const char *name,
                        struct overlay_inode *child) must_check;
int overlay_tree_rename(struct overlay_inode *old_dir, const char *old_name,
                        struct overlay_inode *child, struct overlay_inode *new_dir,
                        const char *new_name, struct overlay_inode *target,
                        bool exchange) must_check;

/* overlay_copy.c */

/* Attributes of its own from now on, without pinning. Locked. */
int overlay_load_attr(struct overlay_inode *node) must_check;
/* overlay_load_attr and overlay_pin. Locked. */
int overlay_own(struct overlay_inode *node) must_check;
/* Data of its own from now on: the first length bytes of the lower data. Owns. Locked. */
int overlay_copy_data(struct overlay_inode *node, uint64_t length) must_check;
int overlay_new_data(struct overlay_super *super, struct inode **ret_data) must_check;
/* Takes size and blocks over from the data inode. Locked. */
void overlay_update_size(struct overlay_inode *node);

/* overlay_layer.c: operations of the layers' inodes and files; takes their locks. */
int layer_lookup(struct inode *dir, const char *name, struct inode **ret_child) must_check;
int layer_open(struct inode *inode, unsigned mode, struct file **ret_file) must_check;
ssize_t layer_read(struct file *file, struct uio *uio, uint64_t offset, int flags) must_check;
ssize_t layer_write(struct file *file, struct uio *uio, uint64_t offset, int flags) must_check;
int layer_set_size(struct inode *inode, uint64_t size) must_check;
int layer_readdir(struct file *file, struct dir_sink *sink, uint64_t *pos) must_check;

/* overlay_xattr.c */
ssize_t overlay_getxattr(struct inode *inode, const char *name, void *value,
                         size_t size) must_check;
int overlay_setxattr(struct inode *inode, const char *name, const void *value, size_t size,
                     int flags) must_check;
ssize_t overlay_listxattr(struct inode *inode, char *list, size_t size) must_check;
int overlay_removexattr(struct inode *inode, const char *name) must_check;
void overlay_xattrs_free(struct overlay_inode *node);

/* overlay_file.c */
int overlay_open(struct inode *inode, struct file *file) must_check;

/* overlay_readdir.c: the merged listing, packed. */
struct overlay_name {
    uint64_t ino;
    const char *name;
    size_t length;
    unsigned char type;
    bool from_lower; /* an unchanged lower name */
};
struct overlay_listing {
    char *data; /* owned */
    size_t length, capacity;
    uint32_t count;
    uint32_t *offsets; /* owned */
    uint32_t offset_capacity;
};
/* "." and ".." are left out. The directory is locked. */
int overlay_list(struct overlay_inode *dir, struct overlay_listing *ret) must_check;
void overlay_listing_get(const struct overlay_listing *listing, uint32_t index,
                         struct overlay_name *ret);
void overlay_listing_fini(struct overlay_listing *listing);
/* 0, -ENOTEMPTY or another error. The directory is locked. */
int overlay_check_empty(struct overlay_inode *dir) must_check;
