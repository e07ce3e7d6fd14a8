/*
 * protocol.h: what stands on the wire between the sentry and the gofer.
 *
 * One SOCK_SEQPACKET connection. A request is struct gofer_request_header, the fixed request of its
 * row, and a tail of exactly the bytes that the request announces. A reply is struct
 * gofer_reply_header and, when error is 0, the fixed reply and its tail; at most one file
 * descriptor travels with a reply. `release` has no reply. Both ends run on one machine from one
 * build, so integers are native; every length, index and name is checked by the receiver.
 *
 * A fid names a host object that the server found by walking; the server counts how often it gave
 * a fid out, and each release takes one back. Fid 0 is never valid.
 */
#pragma once

#include <stdint.h>

#define GOFER_NAME_MAX       255
#define GOFER_TARGET_MAX     4095
#define GOFER_XATTR_NAME_MAX 255
#define GOFER_DATA_MAX       65536 /* read, write, xattr values, lists */
#define GOFER_RELEASE_MAX    64
#define GOFER_WALK_MAX       64
#define GOFER_MESSAGE_MAX    (GOFER_DATA_MAX + 4096)
#define GOFER_NO_ID          UINT32_MAX /* uid or gid: leave as it is */
#define GOFER_NO_OPEN        UINT32_MAX /* walk_many: do not open the last object */

enum gofer_message_permission { GOFER_READ, GOFER_META, GOFER_WRITE };

enum gofer_message_id {
#define GOFER_MESSAGE(id, name, permission, tail) GOFER_OP_##name = id,
#include "gofer/protocol.def"
#undef GOFER_MESSAGE
};

struct gofer_time {
    int64_t seconds;
    uint32_t nanoseconds;
    uint32_t reserved;
};

/* What may be done with an object: the mount's mode and the policy together. Least first. */
enum gofer_access {
    GOFER_ACCESS_HIDE,      /* does not exist; never in an attr */
    GOFER_ACCESS_DENY,      /* can be seen, not used: EACCES */
    GOFER_ACCESS_READ,      /* changes: EROFS */
    GOFER_ACCESS_COW,       /* as READ for the gofer; the sentry keeps changes in memory */
    GOFER_ACCESS_NO_DELETE, /* written and created, never removed or renamed: EPERM */
    GOFER_ACCESS_WRITE,
};

struct gofer_attr {
    uint64_t ino;
    uint64_t rdev;
    uint64_t size;
    uint64_t blocks;                              /* of 512 bytes */
    struct gofer_time atime, mtime, ctime, btime; /* btime 0.0: not known */
    uint32_t dev_id;   /* small number per host device, the same for the whole connection */
    uint32_t mode;     /* type and permissions */
    uint32_t nlink;    /* 0 in a list: only ino and the type in mode are known */
    uint32_t uid, gid; /* as the host says */
    uint32_t blksize;
    uint32_t access; /* enum gofer_access */
    uint32_t reserved;
};

struct gofer_request_header {
    uint32_t length; /* of the whole message */
    uint16_t id;     /* enum gofer_message_id */
    uint16_t reserved;
    uint32_t tag; /* comes back in the reply */
    int32_t pid;  /* guest process on whose behalf, for the audit; 0: none */
    char comm[16];
};

struct gofer_reply_header {
    uint32_t length;
    uint16_t id;
    uint16_t has_fd;
    uint32_t tag;
    int32_t error; /* 0 or a negative errno */
};

enum gofer_mount_flag {
    GOFER_MOUNT_EXCLUSIVE = 1, /* nobody else changes it: cache without revalidation */
    GOFER_MOUNT_QUOTA = 2,     /* some files are written by message: open says so */
};

struct gofer_attach_request {
    uint32_t index;
    uint32_t reserved;
};
/* Tail: the guest path. */
struct gofer_attach_reply {
    uint64_t fid;
    struct gofer_attr attr;
    uint32_t mode;        /* enum gofer_access */
    uint32_t flags;       /* enum gofer_mount_flag */
    uint32_t mount_count; /* valid indexes are below */
    uint32_t path_length;
};

struct gofer_walk_request {
    uint64_t fid;
    uint32_t name_length;
    uint32_t reserved;
};
struct gofer_walk_reply {
    uint64_t fid;
    struct gofer_attr attr;
};

/* Tail: count names, each a uint16_t length and that many bytes. */
struct gofer_walk_many_request {
    uint64_t fid;
    uint32_t count;
    uint32_t open_flags; /* open the last object when it is a regular file; GOFER_NO_OPEN */
};
/* Tail: count struct gofer_walk_reply, then the target when the last one is a symbolic link. */
struct gofer_walk_many_reply {
    uint32_t count; /* objects found; a symbolic link is the last */
    int32_t error;  /* why the next name was not found, or why the open failed; 0 */
    uint32_t target_length;
    uint32_t open_result; /* as struct gofer_open_reply when has_fd or error is 0 */
};

struct gofer_list_request {
    uint64_t fid;
    uint64_t cookie; /* 0: from the start */
};
/* Tail: count times struct gofer_list_entry followed by its name, padded to 8 bytes. */
struct gofer_list_reply {
    uint64_t cookie; /* for the next request */
    uint32_t count;
    uint32_t end; /* 1: no more */
};
struct gofer_list_entry {
    struct gofer_attr attr; /* of the entry itself, links not followed */
    uint64_t cookie;        /* continues after this entry */
    uint32_t name_length;
    uint32_t reserved;
};

struct gofer_getattr_request {
    uint64_t fid;
};
struct gofer_getattr_reply {
    struct gofer_attr attr;
};

struct gofer_readlink_request {
    uint64_t fid;
};
/* Tail: the target. */
struct gofer_readlink_reply {
    uint32_t length;
    uint32_t reserved;
};

struct gofer_statfs_request {
    uint64_t fid;
};
struct gofer_statfs_reply {
    uint64_t type, bsize, blocks, bfree, bavail, files, ffree, namelen, frsize;
};

/* How an opened file is used. */
enum gofer_open_result {
    GOFER_OPEN_FD = 1,            /* the descriptor serves all that was asked for */
    GOFER_OPEN_WRITE_MESSAGE = 2, /* write with gofer_write; a descriptor, if any, is for reading */
};

struct gofer_open_request {
    uint64_t fid;
    uint32_t flags; /* O_RDONLY/O_WRONLY/O_RDWR, O_TRUNC, O_APPEND, O_SYNC, O_DSYNC, O_NOATIME,
                       O_DIRECT */
    uint32_t reserved;
};
struct gofer_open_reply {
    uint32_t result; /* enum gofer_open_result */
    uint32_t reserved;
};

struct gofer_read_request {
    uint64_t fid;
    uint64_t offset;
    uint32_t length;
    uint32_t reserved;
};
/* Tail: the bytes. */
struct gofer_read_reply {
    uint32_t length;
    uint32_t reserved;
};

/* user.* only. Tail: the name. size 0 asks for the length. */
struct gofer_getxattr_request {
    uint64_t fid;
    uint32_t size;
    uint32_t name_length;
};
struct gofer_getxattr_reply {
    uint32_t length; /* full length; the tail has the value unless size was 0 */
    uint32_t tail_length;
};

struct gofer_listxattr_request {
    uint64_t fid;
    uint32_t size;
    uint32_t reserved;
};
struct gofer_listxattr_reply {
    uint32_t length;
    uint32_t tail_length;
};

/* Tail: count fids. No reply. */
struct gofer_release_request {
    uint32_t count;
    uint32_t reserved;
};
struct gofer_release_reply {
    uint32_t reserved;
};

struct gofer_fsync_request {
    uint64_t fid;
    uint32_t data_only;
    uint32_t reserved;
};
struct gofer_fsync_reply {
    uint32_t reserved;
};

enum gofer_set {
    GOFER_SET_MODE = 1,
    GOFER_SET_UID = 2,
    GOFER_SET_GID = 4,
    GOFER_SET_SIZE = 8,
    GOFER_SET_ATIME = 16,
    GOFER_SET_MTIME = 32,
    GOFER_SET_ATIME_NOW = 64, /* with GOFER_SET_ATIME: the host's present time */
    GOFER_SET_MTIME_NOW = 128,
    GOFER_SET_ALL = 255,
};

struct gofer_setattr_request {
    uint64_t fid;
    uint64_t size;
    struct gofer_time atime, mtime;
    uint32_t set; /* enum gofer_set */
    uint32_t mode;
    uint32_t uid, gid;
};
struct gofer_setattr_reply {
    struct gofer_attr attr; /* afterwards */
};

/* Tail: name, value. */
struct gofer_setxattr_request {
    uint64_t fid;
    uint32_t name_length;
    uint32_t value_length;
    uint32_t flags; /* XATTR_CREATE, XATTR_REPLACE */
    uint32_t reserved;
};
struct gofer_setxattr_reply {
    uint32_t reserved;
};

struct gofer_removexattr_request {
    uint64_t fid;
    uint32_t name_length;
    uint32_t reserved;
};
struct gofer_removexattr_reply {
    uint32_t reserved;
};

/* Makes a regular file that must not exist, and opens it. */
struct gofer_create_request {
    uint64_t fid;
    uint32_t flags; /* as open */
    uint32_t mode;  /* permissions; umask applied already */
    uint32_t uid, gid;
    uint32_t name_length;
    uint32_t reserved;
};
struct gofer_create_reply {
    uint64_t fid;
    struct gofer_attr attr;
    uint32_t result; /* enum gofer_open_result */
    uint32_t reserved;
};

struct gofer_mkdir_request {
    uint64_t fid;
    uint32_t mode;
    uint32_t uid, gid;
    uint32_t name_length;
};
struct gofer_mkdir_reply {
    uint64_t fid;
    struct gofer_attr attr;
};

/* mode: S_IFREG or S_IFIFO with permissions; devices and sockets are EPERM. */
struct gofer_mknod_request {
    uint64_t fid;
    uint32_t mode;
    uint32_t uid, gid;
    uint32_t name_length;
};
struct gofer_mknod_reply {
    uint64_t fid;
    struct gofer_attr attr;
};

/* Tail: name, target. */
struct gofer_symlink_request {
    uint64_t fid;
    uint32_t uid, gid;
    uint32_t name_length;
    uint32_t target_length;
};
struct gofer_symlink_reply {
    uint64_t fid;
    struct gofer_attr attr;
};

/* A new name, in directory fid, for the object target. */
struct gofer_link_request {
    uint64_t fid;
    uint64_t target;
    uint32_t name_length;
    uint32_t reserved;
};
struct gofer_link_reply {
    struct gofer_attr attr; /* of the object, afterwards */
};

struct gofer_unlink_request {
    uint64_t fid;
    uint32_t flags; /* 0 or AT_REMOVEDIR */
    uint32_t name_length;
};
struct gofer_unlink_reply {
    uint32_t reserved;
};

/* Tail: old name, new name. */
struct gofer_rename_request {
    uint64_t fid;
    uint64_t new_fid;
    uint32_t flags; /* RENAME_NOREPLACE, RENAME_EXCHANGE */
    uint32_t name_length;
    uint32_t new_name_length;
    uint32_t reserved;
};
struct gofer_rename_reply {
    uint32_t reserved;
};

enum gofer_write_flag { GOFER_WRITE_APPEND = 1 };

/* Tail: the bytes. */
struct gofer_write_request {
    uint64_t fid;
    uint64_t offset;
    uint32_t length;
    uint32_t flags; /* enum gofer_write_flag */
};
struct gofer_write_reply {
    uint64_t size; /* of the file afterwards */
    uint32_t length;
    uint32_t reserved;
};

struct gofer_allocate_request {
    uint64_t fid;
    uint64_t offset, length;
    uint32_t mode; /* fallocate(2) */
    uint32_t reserved;
};
struct gofer_allocate_reply {
    struct gofer_attr attr;
};
