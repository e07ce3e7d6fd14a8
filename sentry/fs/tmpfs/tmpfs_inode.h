/* tmpfs_inode.h: the objects of tmpfs, shared by its files. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/base/compiler.h"
#include "platform/base/queue.h"
#include "platform/base/tree.h"
#include "sentry/vfs/inode.h"

#define TMPFS_PAGE      4096ULL
#define TMPFS_DIRENT    20       /* Linux: BOGO_DIRENT_SIZE */
#define TMPFS_HEAP_MAX  65536ULL /* larger contents are a memfd */
#define TMPFS_XATTR_MAX 131072   /* names and values of one inode */

struct file;
struct uio;

struct tmpfs_super {
    struct super super;
    _Atomic uint64_t max_pages, max_inodes; /* 0: unlimited; remounting changes them */
    atomic_ullong pages, inodes;
};

/* A name in a directory. */
struct tmpfs_entry {
    RB_ENTRY(tmpfs_entry) node;
    struct tmpfs_entry *hash_next;
    struct inode *inode; /* reference */
    uint64_t cookie;     /* position in readdir; kept when renamed within the directory */
    uint32_t hash, length;
    char name[];
};

RB_HEAD(tmpfs_entries, tmpfs_entry);

struct tmpfs_directory {
    struct tmpfs_entry **buckets;
    uint32_t bucket_count, count;
    /* The next new entry's cookie: counts down, so that a reader never meets what is made while it
     * reads. */
    uint64_t next_cookie;
    struct tmpfs_entries entries;
};

/* Bytes of a regular file; under the inode's lock, but the fd may be read without once it is set.
 */
struct tmpfs_content {
    char *data; /* heap; zeroes follow length logically */
    size_t length, capacity;
    atomic_int fd;          /* memfd, -1: heap */
    bool sparse;            /* memfd: pages are not exactly [0, dense_end) */
    uint64_t dense_end;     /* memfd, not sparse: page-aligned end of what is allocated */
    _Atomic uint64_t pages; /* charged; written under the inode's lock */
    bool mapped;            /* was mapped: in the list of mapped.c, under its lock */
    TAILQ_ENTRY(tmpfs_content) mapped_link; /* under the list's lock */
};

struct tmpfs_xattr {
    TAILQ_ENTRY(tmpfs_xattr) link;
    size_t size;
    char *value; /* inside the allocation, after the name */
    char name[];
};

TAILQ_HEAD(tmpfs_xattrs, tmpfs_xattr);

struct tmpfs_inode {
    struct inode inode;
    union {
        struct tmpfs_directory dir;
        struct tmpfs_content content;
        char *target;
    };
    struct tmpfs_xattrs xattrs;
    size_t xattr_bytes;
    atomic_uint seals;
    atomic_int shared_writes;        /* shared writable mappings */
    struct tmpfs_inode *doomed_next; /* while a tree is freed */
};

static inline struct tmpfs_inode *tmpfs_inode(struct inode *inode)
{
    return container_of(inode, struct tmpfs_inode, inode);
}

static inline struct tmpfs_super *tmpfs_super(struct super *super)
{
    return container_of(super, struct tmpfs_super, super);
}

/* tmpfs.c */
int tmpfs_inode_new(struct super *super, const struct inode *dir, uint32_t mode, uint64_t rdev,
                    struct tmpfs_inode **ret) must_check;
int tmpfs_charge(struct super *super, int64_t pages) must_check; /* -ENOSPC */
void tmpfs_uncharge(struct super *super, uint64_t pages);
uint64_t tmpfs_pages_left(struct super *super);
extern const struct inode_ops tmpfs_regular_ops, tmpfs_symlink_ops, tmpfs_special_ops;
int tmpfs_setattr(struct inode *inode, const struct inode_attr *attr, unsigned set) must_check;
void tmpfs_inode_free(struct inode *inode);

/* directory.c */
extern const struct inode_ops tmpfs_directory_ops;
extern const struct file_ops tmpfs_directory_file_ops;
void tmpfs_directory_init(struct tmpfs_directory *dir);
void tmpfs_directory_fini(struct tmpfs_directory *dir);

/* regular.c */
extern const struct file_ops tmpfs_regular_file_ops;
int tmpfs_check_resize(struct tmpfs_inode *ti, uint64_t size) must_check; /* seals: -EPERM */

/* content.c */
void tmpfs_content_init(struct tmpfs_content *content);
void tmpfs_content_fini(struct tmpfs_inode *ti);
ssize_t tmpfs_content_read(struct tmpfs_inode *ti, struct uio *uio, uint64_t offset) must_check;
/* The inode is locked from here on. */
ssize_t tmpfs_content_write(struct tmpfs_inode *ti, struct uio *uio, uint64_t offset) must_check;
int tmpfs_content_resize(struct tmpfs_inode *ti, uint64_t size) must_check;
int tmpfs_content_allocate(struct tmpfs_inode *ti, int mode, uint64_t offset,
                           uint64_t length) must_check;
int64_t tmpfs_content_seek(struct tmpfs_inode *ti, int64_t offset, int whence) must_check;
/* The memfd that holds the content, made now if need be. */
int tmpfs_content_fd(struct tmpfs_inode *ti) must_check;
/* Charges what the host allocated through mappings meanwhile. */
void tmpfs_content_recount(struct tmpfs_inode *ti);

/* mapped.c: the list of files whose pages may grow without a call */
void tmpfs_mapped_add(struct tmpfs_inode *ti);
void tmpfs_mapped_remove(struct tmpfs_inode *ti);

/* xattr.c */
ssize_t tmpfs_getxattr(struct inode *inode, const char *name, void *value, size_t size) must_check;
int tmpfs_setxattr(struct inode *inode, const char *name, const void *value, size_t size,
                   int flags) must_check;
ssize_t tmpfs_listxattr(struct inode *inode, char *list, size_t size) must_check;
int tmpfs_removexattr(struct inode *inode, const char *name) must_check;
void tmpfs_xattrs_free(struct tmpfs_inode *ti);
