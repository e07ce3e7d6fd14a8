/*
 * path.h: names: dentries, mounts, and the walk from a path text to an object.
 *
 * struct path = (mount, dentry), both referenced by its holder. Symbolic links of every file system
 * (the gofer's too) are resolved here, in guest terms. Source: path_resolution(7), openat2(2).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/base/compiler.h"

struct dentry;
struct inode;
struct mount;
struct text;
struct file;
struct inode_attr;

struct path {
    struct mount *mount;
    struct dentry *dentry;
};

#define PATH_MAX_LENGTH 4096 /* with the NUL */
#define NAME_MAX_LENGTH 255
#define PATH_MAX_LINKS  40

void path_ref(const struct path *path);            /* takes references on both */
void path_unref(struct path *path);                /* drops both, sets NULL; NULL-tolerant */
struct inode *path_inode(const struct path *path); /* borrowed; NULL for a negative dentry */

enum walk_flags {
    WALK_FOLLOW = 1,    /* follow a final symbolic link */
    WALK_DIRECTORY = 2, /* the result must be a directory: ENOTDIR */
    WALK_EMPTY = 4,     /* "" means the start itself (AT_EMPTY_PATH) */
    WALK_NO_XDEV = 8,   /* openat2 RESOLVE_* */
    WALK_NO_MAGICLINKS = 16,
    WALK_NO_SYMLINKS = 32,
    WALK_BENEATH = 64,
    WALK_IN_ROOT = 128,
    WALK_CREATE = 256, /* the last component may be absent: dentry may be negative */
};

/*
 * Resolves text from start (NULL: the cwd of current.fs; absolute paths start at its root). On
 * success *ret holds references. Errors as path_resolution(7).
 */
int path_walk(const struct path *start, const char *text, unsigned flags,
              struct path *ret) must_check;

/*
 * Resolves all but the last component: for create, unlink, rename. ret_name (NAME_MAX_LENGTH+1
 * bytes) receives the last component; ret_trailing_slash whether slashes followed it. A path that
 * ends in "." or
 * ".." or is "/" gives ret_name as that text ("/" as ""); callers answer EEXIST, EBUSY, EINVAL,
 * ENOTEMPTY as their call does.
 */
int path_walk_parent(const struct path *start, const char *text, unsigned flags,
                     struct path *ret_parent, char *ret_name, bool *ret_trailing_slash) must_check;

/* Appends the path of an object as seen from root (Linux: d_path); unreachable ones get
 * "(unreachable)" in front, unlinked ones " (deleted)" behind when mark_deleted. */
int path_text(const struct path *path, const struct path *root, bool mark_deleted,
              struct text *text) must_check;

/*
 * Operations on names; each walks, checks permission and mount flags, locks, calls the inode op,
 * and tells inotify. mode has the umask not yet applied.
 */
struct open_request {
    uint64_t flags;   /* O_* */
    uint32_t mode;    /* of a new file; umask not applied */
    unsigned resolve; /* WALK_NO_XDEV … WALK_IN_ROOT */
    bool waits;       /* the caller knows LEASE_WAIT (file_lease.h) and waits */
};
int vfs_open(const struct path *start, const char *text, const struct open_request *request,
             struct file **ret_file) must_check;
/* For execve: a regular file, execute permission, no noexec mount (EACCES), writers denied while it
 * is open (ETXTBSY). walk: WALK_FOLLOW, WALK_EMPTY. The file is FILE_READ|FILE_EXEC. */
int vfs_open_exec(const struct path *start, const char *text, unsigned walk,
                  struct file **ret_file) must_check;
/* Opens the object itself (O_TMPFILE's linkat, exec, /proc/self/fd/N reopen). */
int vfs_open_path(const struct path *path, uint64_t flags, struct file **ret_file) must_check;
int vfs_mknod(const struct path *start, const char *text, uint32_t mode, uint64_t rdev) must_check;
/* As vfs_mknod for a socket name; returns the new inode's path (references). */
int vfs_bind_socket(const char *text, uint32_t mode, struct path *ret_path) must_check;
int vfs_mkdir(const struct path *start, const char *text, uint32_t mode) must_check;
int vfs_symlink(const char *target, const struct path *start, const char *text) must_check;
/* old is resolved already; flags of linkat(2) were applied. */
int vfs_link(const struct path *old, const struct path *new_start, const char *new_text) must_check;
int vfs_unlink(const struct path *start, const char *text, bool directory) must_check;
int vfs_rename(const struct path *old_start, const char *old_text, const struct path *new_start,
               const char *new_text, unsigned flags) must_check;
int vfs_readlink(const struct path *path, struct text *target) must_check;
/* access(2) with the given ids: mask 4,2,1. EROFS for writes on read-only mounts. */
int vfs_access(const struct path *path, int mask) must_check;
/* Also LEASE_WAIT (file_lease.h). */
int vfs_truncate(const struct path *path, uint64_t size) must_check;
/* chmod, chown and utimensat on an object: EROFS, permission, IN_ATTRIB. uid or gid -1: unchanged.
 */
int vfs_setattr(const struct path *path, struct inode_attr *attr, unsigned set) must_check;
int vfs_chmod(const struct path *path, uint32_t mode) must_check;
int vfs_chown(const struct path *path, uint32_t uid, uint32_t gid) must_check;
/* Extended attributes with Linux's rules for user., trusted., security. and system. names. size 0
 * asks for the length; ERANGE when the buffer is too small. */
ssize_t vfs_getxattr(const struct path *path, const char *name, void *value,
                     size_t size) must_check;
int vfs_setxattr(const struct path *path, const char *name, const void *value, size_t size,
                 int flags) must_check;
ssize_t vfs_listxattr(const struct path *path, char *list, size_t size) must_check;
int vfs_removexattr(const struct path *path, const char *name) must_check;
