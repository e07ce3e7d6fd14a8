/*
 * internal.h: what the files of the gofer file system share.
 *
 * Locks: a node's inode lock (RANK_INODE) guards attributes and is held over messages where the VFS
 * holds it. walk_lock (RANK_OBJECT) is held over messages that fetch missing fids. table_lock
 * (RANK_ACCOUNT) guards the node table, places, listings and descriptors, and is never held over a
 * message.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "gofer/client/client.h"
#include "platform/base/compiler.h"
#include "platform/base/hash.h"
#include "platform/base/lock.h"
#include "platform/base/queue.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"

/* What makes two names one object. access is part of it: a policy may differ by name. */
struct gofer_key {
    uint64_t ino;
    uint32_t dev_id;
    uint32_t access;
};

/* A descriptor donated by the gofer. */
struct gofer_host_fd {
    TAILQ_ENTRY(gofer_host_fd) idle_link;
    struct gofer_node *node; /* borrowed */
    int fd;                  /* owned; -1: none was given (all by message) */
    bool writable;           /* serves writing as well */
    bool by_message;         /* opened for writing, but writes go by message */
    unsigned users;          /* under table_lock; 0: on the idle list */
};

/* A whole directory. Immutable; sorted by name. */
struct gofer_names {
    atomic_int refs;
    uint32_t count;
    struct gofer_name *entries; /* owned */
    char *text;                 /* the names, owned */
};
struct gofer_name {
    struct gofer_attr attr;
    uint32_t name; /* offset in text */
    uint32_t length;
};

struct gofer_node {
    struct inode inode;
    struct gofer_key key;
    UT_hash_handle hh; /* in the node table, under table_lock */
    bool hashed;
    _Atomic uint64_t fid; /* 0: not fetched yet (known from a listing) */
    struct gofer_node
        *parent; /* under table_lock: a place where it was found; reference; NULL: root */
    char *name;  /* under table_lock; owned */
    _Atomic uint64_t valid_until; /* CLOCK_MONOTONIC ns; UINT64_MAX: for ever */
    _Atomic uint32_t blksize;
    char *target; /* of a symbolic link, cached; under the inode lock; owned */

    /* directories */
    struct gofer_names *names; /* under table_lock; reference */
    TAILQ_ENTRY(gofer_node) names_link;
    uint32_t walks;  /* names asked one by one; under the inode lock */
    bool unlistable; /* too large to be cached; under the inode lock */

    struct gofer_host_fd *read_fd, *write_fd; /* under table_lock; owned */
    LIST_ENTRY(gofer_node) reap_link;
};

struct gofer_super {
    struct super super;
    struct gofer_client *client;
    struct gofer_fs_options options;
    bool exclusive;
    uint32_t root_dev_id;
    struct mutex walk_lock;
    struct mutex table_lock;
    /* under table_lock */
    struct gofer_node *nodes;
    TAILQ_HEAD(, gofer_node) listed; /* directories with names, least recently used first */
    uint64_t listed_entries;
    TAILQ_HEAD(gofer_idle_fds, gofer_host_fd) idle; /* least recently used first */
    uint32_t idle_count;
};

static inline struct gofer_node *gofer_node_of(struct inode *inode)
{
    return container_of(inode, struct gofer_node, inode);
}

static inline struct gofer_super *gofer_super_of(struct gofer_node *node)
{
    return container_of(node->inode.super, struct gofer_super, super);
}

extern const struct inode_ops gofer_fs_inode_ops;
extern const struct inode_ops gofer_fs_dir_ops;
extern const struct file_ops gofer_fs_dir_file_ops;

/* gofer_node.c */

/* The inode of an object found as name in parent. Takes over fid (0: not known) on success and
 * failure. */
int gofer_node_get(struct gofer_super *super, struct gofer_node *parent, const char *name,
                   const struct gofer_attr *attr, uint64_t fid, struct gofer_node **ret) must_check;
void gofer_node_free(struct inode *inode);
/* The fid, fetched if need be; valid while the node is referenced. */
int gofer_node_fid(struct gofer_node *node, uint64_t *ret_fid) must_check;
/* Takes attributes over. Locked. */
void gofer_node_update_locked(struct gofer_node *node, const struct gofer_attr *attr);
void gofer_node_update(struct gofer_node *node, const struct gofer_attr *attr);
/* The next getattr asks the gofer, also on exclusive mounts. */
void gofer_node_expire(struct gofer_node *node);
/* Fresh attributes if the present ones are too old. */
int gofer_node_refresh(struct gofer_node *node) must_check;
void gofer_node_move(struct gofer_node *node, struct gofer_node *parent, const char *name);
bool gofer_key_equal(const struct gofer_node *node, const struct gofer_attr *attr);
uint64_t gofer_ino(const struct gofer_super *super, const struct gofer_attr *attr);
uint64_t gofer_node_parent_ino(struct gofer_node *node);
/* Ids for the host. GOFER_NO_ID stays. */
uint32_t gofer_host_uid(const struct gofer_super *super, uint32_t uid);
uint32_t gofer_host_gid(const struct gofer_super *super, uint32_t gid);

/* gofer_names.c */

/* Reads a directory. max 0: no bound; else -E2BIG beyond max entries. */
int gofer_names_fetch(struct gofer_node *dir, uint32_t max, struct gofer_names **ret) must_check;
const struct gofer_name *gofer_names_find(const struct gofer_names *names, const char *name);
struct gofer_names *gofer_names_unref(struct gofer_names *names);
/* The cached listing with a reference, or NULL. */
struct gofer_names *gofer_names_cached(struct gofer_node *dir);
void gofer_names_keep(struct gofer_node *dir, struct gofer_names *names);
void gofer_names_forget(struct gofer_node *dir);
#define GOFER_NAMES_MAX       4096  /* entries of a directory worth caching */
#define GOFER_NAMES_TOTAL_MAX 32768 /* entries of all of them */

/* gofer_fd.c */
/* A descriptor for reading, or for reading and writing. Give back with gofer_fd_put. */
int gofer_fd_get(struct gofer_node *node, bool write, struct gofer_host_fd **ret) must_check;
void gofer_fd_put(struct gofer_host_fd *host_fd);
/* Keeps a descriptor that came with a create. Takes fd. */
void gofer_fd_keep(struct gofer_node *node, int fd, uint32_t open_result);
void gofer_fd_close_all(struct gofer_node *node);

/* gofer_change.c */
int gofer_fs_create(struct inode *dir, const char *name, uint32_t mode, uint64_t rdev,
                    struct inode **ret_child) must_check;
int gofer_fs_symlink(struct inode *dir, const char *name, const char *target,
                     struct inode **ret_child) must_check;
int gofer_fs_link(struct inode *dir, const char *name, struct inode *target) must_check;
int gofer_fs_unlink(struct inode *dir, const char *name, struct inode *child) must_check;
int gofer_fs_rmdir(struct inode *dir, const char *name, struct inode *child) must_check;
int gofer_fs_rename(struct inode *old_dir, const char *old_name, struct inode *child,
                    struct inode *new_dir, const char *new_name, struct inode *target,
                    unsigned flags) must_check;
int gofer_fs_setattr(struct inode *inode, const struct inode_attr *attr, unsigned set) must_check;
ssize_t gofer_fs_getxattr(struct inode *inode, const char *name, void *value,
                          size_t size) must_check;
int gofer_fs_setxattr(struct inode *inode, const char *name, const void *value, size_t size,
                      int flags) must_check;
ssize_t gofer_fs_listxattr(struct inode *inode, char *list, size_t size) must_check;
int gofer_fs_removexattr(struct inode *inode, const char *name) must_check;

/* gofer_file.c */
int gofer_fs_open(struct inode *inode, struct file *file) must_check;
