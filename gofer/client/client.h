/*
 * client.h: the sentry's side of the gofer connection.
 *
 * Every call is one blocking round trip; any thread may call (one mutex, RANK_GOFER, covers request
 * and reply). All functions return 0 or a negative errno of the host operation, and also: -EIO the
 * gofer is gone or answered nonsense; every later call fails the same way at once -ESTALE  the host
 * object behind a fid was replaced or removed by somebody else: walk again -ENFILE  the server's
 * limit of fids -EDQUOT  a quota of the policy Policy refusals arrive as the errno the guest shall
 * see (ENOENT, EACCES, EROFS, EPERM), EXDEV for moves that would cross a border of the policy.
 *
 * A fid (uint64_t, never 0) is owned by whoever received it and given back with gofer_release once
 * for each time it was returned: two walks to one object give the same fid and need two releases. A
 * fid stays valid after its name was removed (the object lives on) or renamed (it follows). Names
 * are one component: not empty, no '/', not "." or "..", at most GOFER_NAME_MAX bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gofer/protocol.h"
#include "platform/base/compiler.h"

struct gofer_client;

/* On whose behalf this thread asks; copied into each request for the audit log. */
struct gofer_process {
    int32_t pid;
    char comm[16]; /* cut at 15 bytes */
};
extern _Thread_local struct gofer_process gofer_process;

/* Takes fd, a connected SOCK_SEQPACKET socket, on success. */
int gofer_client_new(int fd, struct gofer_client **ret_client) must_check;
/* Called before each message by the thread that then waits for the reply: a chance to bring the
 * server near. Not to be changed once messages are sent. */
void gofer_client_on_send(struct gofer_client *client, void (*before_send)(void));
/* NULL is fine. Closing the connection ends the gofer. */
void gofer_client_free(struct gofer_client *client);
/* True once the connection was lost. */
bool gofer_client_broken(struct gofer_client *client);

struct gofer_mount {
    uint64_t fid;
    struct gofer_attr attr;
    enum gofer_access mode;
    uint32_t flags;       /* enum gofer_mount_flag */
    uint32_t mount_count; /* valid indexes are below */
    char guest_path[4096];
};

/* The root of mount index. -EINVAL: no such mount. */
int gofer_attach(struct gofer_client *client, uint32_t index,
                 struct gofer_mount *ret_mount) must_check;

/* One object found by a walk. */
struct gofer_object {
    uint64_t fid;
    struct gofer_attr attr;
};

int gofer_walk(struct gofer_client *client, uint64_t fid, const char *name,
               struct gofer_object *ret_object) must_check;

struct gofer_walk_result {
    size_t count; /* objects stored */
    int error;    /* why names[count] was not found, or why the open of the last failed; 0 */
    int fd;       /* owned by the caller; -1: none */
    uint32_t
        open_result; /* enum gofer_open_result when an open was asked for and error is 0; else 0 */
    char target[GOFER_TARGET_MAX + 1]; /* when the last object is a symbolic link; else "" */
};

/*
 * Walks up to GOFER_WALK_MAX names in one round trip and stops after the first failure or symbolic
 * link (which is stored). open_flags: as gofer_open, applied when all names were found and the last
 * object is a regular file (otherwise nothing is opened and open_result is 0); GOFER_NO_OPEN for
 * none. The function's own result is negative only when the request as a whole failed. All stored
 * fids are the caller's.
 */
int gofer_walk_many(struct gofer_client *client, uint64_t fid, const char *const *names,
                    size_t count, uint32_t open_flags, struct gofer_object *ret_objects,
                    struct gofer_walk_result *ret_result) must_check;

/* A part of a directory: read with gofer_listing_next. "." and ".." are not in it. */
struct gofer_listing {
    uint8_t *data; /* owned */
    size_t length, position;
    uint32_t left;
    uint64_t cookie; /* for the next gofer_list */
    bool end;        /* the directory ends with this part */
};

struct gofer_dirent {
    struct gofer_attr attr; /* ino, type and all the rest, links not followed */
    uint64_t cookie;        /* a gofer_list with it continues after this entry */
    const char *name;       /* into the listing, NUL-terminated */
    size_t name_length;
};

/* cookie 0 starts. Entries hidden by policy are absent. */
int gofer_list(struct gofer_client *client, uint64_t fid, uint64_t cookie,
               struct gofer_listing *ret_listing) must_check;
bool gofer_listing_next(struct gofer_listing *listing, struct gofer_dirent *ret_entry);
void gofer_listing_fini(struct gofer_listing *listing);

int gofer_getattr(struct gofer_client *client, uint64_t fid,
                  struct gofer_attr *ret_attr) must_check;
/* size at least GOFER_TARGET_MAX + 1. The target is NUL-terminated. */
int gofer_readlink(struct gofer_client *client, uint64_t fid, char *target, size_t size) must_check;
int gofer_statfs(struct gofer_client *client, uint64_t fid,
                 struct gofer_statfs_reply *ret_statfs) must_check;

/*
 * Opens a regular file. flags: access mode, O_TRUNC, O_APPEND, O_SYNC, O_DSYNC, O_NOATIME,
 * O_DIRECT; others are -EINVAL. Not a regular file: directories -EISDIR, links -ELOOP, sockets and
 * devices -ENXIO, fifos -ENXIO (they never reach the host: the sentry has its own). *ret_fd is the
 * caller's, close-on-exec, or -1. ret_result: GOFER_OPEN_FD, or GOFER_OPEN_WRITE_MESSAGE when the
 * file is under a byte quota and was opened for writing: then write with gofer_write, size with
 * gofer_setattr and gofer_allocate; *ret_fd is for reading, or -1 (then gofer_read).
 */
int gofer_open(struct gofer_client *client, uint64_t fid, uint32_t flags, int *ret_fd,
               uint32_t *ret_result) must_check;
/* Up to GOFER_DATA_MAX bytes are moved; returns the count, 0 at the end of the file. */
ssize_t gofer_read(struct gofer_client *client, uint64_t fid, void *data, size_t length,
                   uint64_t offset) must_check;
/* flags: enum gofer_write_flag (APPEND ignores offset). ret_size, which may be NULL: the file's
 * size afterwards. */
ssize_t gofer_write(struct gofer_client *client, uint64_t fid, const void *data, size_t length,
                    uint64_t offset, uint32_t flags, uint64_t *ret_size) must_check;
/* fallocate(2). */
int gofer_allocate(struct gofer_client *client, uint64_t fid, uint32_t mode, uint64_t offset,
                   uint64_t length, struct gofer_attr *ret_attr) must_check;
int gofer_fsync(struct gofer_client *client, uint64_t fid, bool data_only) must_check;

/* uid, gid: GOFER_NO_ID leaves the host's choice; an id the gofer may not give is left without an
 * error. */
struct gofer_new_file {
    uint32_t mode; /* umask applied already */
    uint32_t uid, gid;
};

/* The name must not exist (-EEXIST). Opens as gofer_open does. */
int gofer_create(struct gofer_client *client, uint64_t dir, const char *name, uint32_t flags,
                 const struct gofer_new_file *file, struct gofer_object *ret_object, int *ret_fd,
                 uint32_t *ret_result) must_check;
int gofer_mkdir(struct gofer_client *client, uint64_t dir, const char *name,
                const struct gofer_new_file *file, struct gofer_object *ret_object) must_check;
/* S_IFREG and S_IFIFO; anything else is -EPERM. */
int gofer_mknod(struct gofer_client *client, uint64_t dir, const char *name,
                const struct gofer_new_file *file, struct gofer_object *ret_object) must_check;
int gofer_symlink(struct gofer_client *client, uint64_t dir, const char *name, const char *target,
                  uint32_t uid, uint32_t gid, struct gofer_object *ret_object) must_check;
/* ret_attr: of target afterwards. target keeps its first name as its path. */
int gofer_link(struct gofer_client *client, uint64_t dir, const char *name, uint64_t target,
               struct gofer_attr *ret_attr) must_check;
/* flags: 0 or AT_REMOVEDIR. */
int gofer_unlink(struct gofer_client *client, uint64_t dir, const char *name,
                 uint32_t flags) must_check;
/* flags: 0, RENAME_NOREPLACE or RENAME_EXCHANGE; others -EINVAL. */
int gofer_rename(struct gofer_client *client, uint64_t dir, const char *name, uint64_t new_dir,
                 const char *new_name, uint32_t flags) must_check;

struct gofer_change {
    uint32_t set; /* enum gofer_set */
    uint32_t mode;
    uint32_t uid, gid;
    uint64_t size;
    struct gofer_time atime, mtime;
};

int gofer_setattr(struct gofer_client *client, uint64_t fid, const struct gofer_change *change,
                  struct gofer_attr *ret_attr) must_check;

/* user.* only; other names: -EOPNOTSUPP (list leaves them out). size 0 asks for the length; too
 * small: -ERANGE. */
ssize_t gofer_getxattr(struct gofer_client *client, uint64_t fid, const char *name, void *value,
                       size_t size) must_check;
ssize_t gofer_listxattr(struct gofer_client *client, uint64_t fid, char *list,
                        size_t size) must_check;
int gofer_setxattr(struct gofer_client *client, uint64_t fid, const char *name, const void *value,
                   size_t size, uint32_t flags) must_check;
int gofer_removexattr(struct gofer_client *client, uint64_t fid, const char *name) must_check;

/* Gives one reference to fid back. Batched: sent with the next full batch or gofer_flush. Fid 0
 * does nothing. */
void gofer_release(struct gofer_client *client, uint64_t fid);
/* Sends the batch now: when a removed file should free its disk space at once. */
void gofer_flush(struct gofer_client *client);
