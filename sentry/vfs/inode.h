/*
 * inode.h: a file system object, and the operations a file system implements.
 *
 * Implementations embed struct inode first and get back with container_of. Operations are called
 * only from inode.c (vfs_* functions below check permissions, mount flags and locks before).
 * Credentials are the calling task's (current.cred, current.fs). Names are single components: not
 * empty, not "." or "..", no '/', at most 255 bytes, NUL-terminated.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include "platform/base/compiler.h"
#include "platform/base/lock.h"
#include "platform/base/refcount.h"

struct inode;
struct file;
struct file_ops;
struct file_locks;
struct inotify_watches;
struct super;
struct uio;
struct text;
struct dentry;
struct path;
struct statfs;

/* What statx(2) reports of an inode. */
struct inode_attr {
    uint64_t dev; /* makedev */
    uint64_t ino;
    uint32_t mode; /* type and permissions */
    uint32_t nlink;
    uint32_t uid, gid;
    uint64_t rdev;
    uint64_t size;
    uint64_t blocks; /* of 512 bytes */
    uint32_t blksize;
    struct timespec atime, mtime, ctime, btime;
};

enum inode_attr_set {
    INODE_SET_MODE = 1,
    INODE_SET_UID = 2,
    INODE_SET_GID = 4,
    INODE_SET_SIZE = 8,
    INODE_SET_ATIME = 16,
    INODE_SET_MTIME = 32,
    INODE_SET_CTIME = 64,
    INODE_SET_TOUCH = 128,      /* with ATIME|MTIME: "now", which write permission allows too */
    INODE_SET_KILL_PRIVS = 256, /* chown: setuid and setgid of a non-directory go */
};

/* inode->flags, under lock (read atomically elsewhere). */
enum inode_flags {
    INODE_DEAD = 1, /* a removed directory: nothing can be made in it */
    INODE_LINKABLE =
        2, /* O_TMPFILE without O_EXCL: linkat may give it a name although nlink is 0 */
    INODE_IMMUTABLE = 4, /* chattr +i: see inode_flags.h */
    INODE_APPEND_ONLY = 8,
    INODE_NO_DUMP = 16,
    INODE_NO_ATIME = 32,
};

struct inode_ops {
    /* Finds a child. The directory is locked. Returns a reference in ret_child, or -ENOENT. */
    int (*lookup)(struct inode *dir, const char *name, struct inode **ret_child) must_check;
    /* Makes a file, directory, fifo, socket or device by the type in mode (umask applied already;
     * setgid inheritance applied already). The directory is locked and has no such child. NULL:
     * EPERM. */
    int (*create)(struct inode *dir, const char *name, uint32_t mode, uint64_t rdev,
                  struct inode **ret_child) must_check;
    int (*symlink)(struct inode *dir, const char *name, const char *target,
                   struct inode **ret_child) must_check;
    /* New name for target (not a directory). Both locked. */
    int (*link)(struct inode *dir, const char *name, struct inode *target) must_check;
    /* Removes name, which is child (unlink: not a directory; rmdir: an empty one, checked here).
     * Directory and child are locked. */
    int (*unlink)(struct inode *dir, const char *name, struct inode *child) must_check;
    int (*rmdir)(struct inode *dir, const char *name, struct inode *child) must_check;
    /* flags: RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT. target: what new_name is now, or
     * NULL. Type and loop checks are done. Directories, child and target are locked. */
    int (*rename)(struct inode *old_dir, const char *old_name, struct inode *child,
                  struct inode *new_dir, const char *new_name, struct inode *target,
                  unsigned flags) must_check;
    /* An unnamed file (O_TMPFILE). NULL: EOPNOTSUPP. */
    int (*tmpfile)(struct inode *dir, uint32_t mode, struct inode **ret_child) must_check;
    /* The target of a symbolic link, appended to target. */
    int (*readlink)(struct inode *inode, struct text *target) must_check;
    /* A link whose target is an object, not a text (/proc/pid/fd/N, cwd, exe, root): gives a path
     * to jump to. NULL for ordinary links. Returns references in *ret_path. */
    int (*follow)(struct inode *inode, struct path *ret_path) must_check;
    /* NULL: the cached attributes of struct inode are the truth. */
    int (*getattr)(struct inode *inode, struct inode_attr *ret_attr) must_check;
    /* Applies the attributes named in set. Permission checks are done. Locked. NULL: EPERM. */
    int (*setattr)(struct inode *inode, const struct inode_attr *attr, unsigned set) must_check;
    /* Opens: fills file->ops and file->private_data. Not locked. NULL: file->ops = inode->file_ops.
     */
    int (*open)(struct inode *inode, struct file *file) must_check;
    /* Extended attributes; NULL: EOPNOTSUPP. get and list return the full length and write at most
     * size bytes (size 0 asks for the length). Locked. */
    ssize_t (*getxattr)(struct inode *inode, const char *name, void *value, size_t size) must_check;
    int (*setxattr)(struct inode *inode, const char *name, const void *value, size_t size,
                    int flags) must_check;
    ssize_t (*listxattr)(struct inode *inode, char *list, size_t size) must_check;
    int (*removexattr)(struct inode *inode, const char *name) must_check;
    /* Extra permission rule besides the mode bits (proc, policy); mask as cred_permission. NULL:
     * none. */
    int (*permission)(struct inode *inode, int mask) must_check;
    /* Is a cached (also negative) child entry still true? NULL: always. child is NULL for negative.
     * The directory may or may not be locked by the caller: the op must not lock it. */
    bool (*revalidate)(struct inode *dir, const char *name, struct inode *child);
    /* Last reference gone: frees the object. */
    void (*free)(struct inode *inode);
};

struct inode {
    struct refcount ref;
    const struct inode_ops *ops;
    const struct file_ops *file_ops; /* used when ops->open is NULL */
    struct super *super;             /* borrowed: lives as long as any of its inodes */
    struct mutex lock;               /* RANK_INODE */

    /* Set at creation, never changed. */
    uint64_t ino;
    uint64_t rdev;

    /* Under lock; mode's type bits never change. Permission checks read mode, ids, link count, size
     * and flags without the lock: write those with inode_store(). */
    _Atomic uint32_t mode;
    _Atomic uint32_t uid, gid;
    _Atomic uint32_t nlink;
    _Atomic uint64_t size;
    _Atomic uint64_t blocks;
    struct timespec atime, mtime, ctime, btime;
    _Atomic uint32_t flags; /* INODE_* */

    _Atomic int64_t atime_valid_until;  /* second until which relatime has nothing to do */
    atomic_int read_openers;            /* open for reading only; regular files */
    atomic_int write_openers;           /* >0: open for writing; <0: being executed (ETXTBSY) */
    _Atomic(struct file_locks *) locks; /* made on first use */
    _Atomic(struct inotify_watches *) watches; /* made on first use */
    _Atomic(void *) bound; /* the socket bound to this name, or the pipe of a fifo; owner's rules */
};

/* A file system instance. */
struct super_ops {
    /* statfs(2): fills all but f_fsid and f_flags. */
    int (*statfs)(struct super *super, struct statfs *ret) must_check;
    void (*free)(struct super *super);           /* last mount gone and last inode freed */
    int (*sync)(struct super *super) must_check; /* NULL: nothing to do */
    /* Mount options as /proc/mounts shows them beyond ro/rw, with leading commas; may be NULL. */
    void (*show_options)(struct super *super, struct text *text);
    /* A write at inode (for a name: its directory) was refused because the mount is read-only. For
     * the record only; may sleep. NULL: nobody wants to know. */
    void (*write_refused)(struct inode *inode);
};

struct super {
    struct refcount ref; /* one per mount and per inode */
    const struct super_ops *ops;
    const char *type;         /* "tmpfs", "overlay", …: static string */
    uint64_t dev;             /* st_dev; anonymous major 0 */
    uint64_t magic;           /* f_type */
    struct inode *root;       /* owned until the last mount goes */
    struct mutex rename_lock; /* RANK_RENAME: directory topology */
    atomic_ullong next_ino;
    bool no_new_names;          /* an absent name cannot be made: ENOENT (proc) */
    bool has_flags;             /* keeps the flags of chattr(1) */
    bool cache_forever;         /* names may be cached without revalidation */
    struct dentry *root_dentry; /* made by the first mount; reference */
    atomic_uint mounts;
    uint32_t max_links; /* EMLINK beyond it; 0: none */
    uint64_t max_size;  /* EFBIG beyond it; super_init sets INT64_MAX */
};

/* A field of struct inode, written under the lock and read without it. */
#define inode_store(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)
#define inode_load(field)         atomic_load_explicit(&(field), memory_order_relaxed)

/* Sets ref 1, a new anonymous device number and next_ino 2; root stays NULL for the caller to fill.
 */
void super_init(struct super *super, const struct super_ops *ops, const char *type, uint64_t magic);
struct super *super_ref(struct super *super);
struct super *super_unref(struct super *super);
/* Gives up a super that is not (or no longer) mounted: drops its root inode and the caller's
 * reference. */
void super_drop(struct super *super);
int super_statfs(struct super *super, struct statfs *ret) must_check; /* type and fsid filled too */
int super_sync(struct super *super) must_check;
void super_show_options(struct super *super, struct text *text);
/* The refusal of a write at inode by a read-only mount: tells the file system; returns -EROFS. */
int super_refuse_write(struct inode *inode) must_check;
uint64_t super_next_ino(struct super *super);

/* Initialises the common part: ref 1, times now, nlink 1, uid and gid of current.cred's fs ids. */
void inode_init(struct inode *inode, struct super *super, const struct inode_ops *ops, uint64_t ino,
                uint32_t mode);
void inode_fini(struct inode *inode);
struct inode *inode_ref(struct inode *inode);
struct inode *inode_unref(struct inode *inode);

/* Checked operations on inodes. All return 0 or negative errno. */
int inode_getattr(struct inode *inode, struct inode_attr *ret_attr) must_check;
/* cred_permission on the present attributes plus ops->permission. */
int inode_permission(struct inode *inode, int mask) must_check;
/* Applies after the checks of chmod, chown, utimensat and truncate (Linux: setattr_prepare). */
int inode_setattr(struct inode *inode, struct inode_attr *attr, unsigned set) must_check;
/* The same without permission checks; file implementations and the kernel itself. */
int inode_setattr_unchecked(struct inode *inode, struct inode_attr *attr, unsigned set) must_check;
/* Clears setuid/setgid after a write by somebody without CAP_FSETID (Linux: file_remove_privs). */
int inode_remove_privs(struct inode *inode) must_check;
/* Timestamps, in memory: atime honours relatime. Locked. */
void inode_touch_locked(struct inode *inode, unsigned set);
/* Sets atime to now where relatime wants it, and takes the lock only then; strict: in any case. */
void inode_accessed(struct inode *inode, bool strict);
/* Owner of a new child: the group and, for directories, the setgid bit of a setgid directory. For
 * create ops, before the inode is published. */
void inode_init_owner(struct inode *inode, const struct inode *dir);
/* Changes the link count under the lock. */
void inode_set_nlink_locked(struct inode *inode, uint32_t nlink);
/* The common part of a setattr op for file systems whose attributes live in struct inode: stores
 * mode, ids and times named in set (not the size), ctime now unless given. Locked. */
void inode_apply_locked(struct inode *inode, const struct inode_attr *attr, unsigned set);
/* The cached attributes, without the op. */
void inode_attr_cached(struct inode *inode, struct inode_attr *ret_attr);

/* Who may open for writing while a file is executed (ETXTBSY); regular files only. */
int inode_get_write(struct inode *inode) must_check;
void inode_put_write(struct inode *inode);
int inode_deny_write(struct inode *inode) must_check;
void inode_allow_write(struct inode *inode);

/*
 * The operations themselves, without checks: for name_ops.c, open.c and file systems stacked on
 * others. Locks as the op's comment says, held by the caller; a NULL op gives the error it
 * documents.
 */
int inode_lookup(struct inode *dir, const char *name, struct inode **ret_child) must_check;
int inode_create(struct inode *dir, const char *name, uint32_t mode, uint64_t rdev,
                 struct inode **ret_child) must_check;
int inode_symlink(struct inode *dir, const char *name, const char *target,
                  struct inode **ret_child) must_check;
int inode_link(struct inode *dir, const char *name, struct inode *target) must_check;
int inode_unlink(struct inode *dir, const char *name, struct inode *child) must_check;
int inode_rmdir(struct inode *dir, const char *name, struct inode *child) must_check;
int inode_rename(struct inode *old_dir, const char *old_name, struct inode *child,
                 struct inode *new_dir, const char *new_name, struct inode *target,
                 unsigned flags) must_check;
int inode_tmpfile(struct inode *dir, uint32_t mode, struct inode **ret_child) must_check;
int inode_readlink(struct inode *inode, struct text *target) must_check;
/* Returns references; the op must not be NULL. */
int inode_follow(struct inode *inode, struct path *ret_path) must_check;
int inode_open(struct inode *inode, struct file *file) must_check;
bool inode_revalidate(struct inode *dir, const char *name, struct inode *child);
ssize_t inode_getxattr(struct inode *inode, const char *name, void *value, size_t size) must_check;
int inode_setxattr(struct inode *inode, const char *name, const void *value, size_t size,
                   int flags) must_check;
ssize_t inode_listxattr(struct inode *inode, char *list, size_t size) must_check;
int inode_removexattr(struct inode *inode, const char *name) must_check;
