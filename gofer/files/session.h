/*
 * session.h: the state of the one connection that a gofer process serves, shared by its answers.
 */
#pragma once

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>

#include "gofer/files/audit.h"
#include "gofer/files/node.h"
#include "gofer/files/policy.h"
#include "gofer/files/server.h"
#include "gofer/wire.h"
#include "platform/base/text.h"

#define SESSION_STREAMS      4
#define SESSION_STREAM_BYTES 32768
#define SESSION_FILES        16
#define SESSION_DEVICES_MAX  4096
/* What may be asked of an open; 0100000 is the kernel's O_LARGEFILE. */
#define SESSION_OPEN_FLAGS                                                                         \
    (uint32_t)(O_ACCMODE | O_TRUNC | O_APPEND | O_SYNC | O_DSYNC | O_NOATIME | O_DIRECT | 0100000)

struct session_mount {
    const struct gofer_mount_config *config;
    struct node *root;
    uint64_t *state; /* of the policy, at guest_path */
    uint32_t flags;  /* enum gofer_mount_flag */
};

/* A host device number as the client sees it: its index. */
struct session_device {
    uint64_t dev;
    bool kernel_fs; /* procfs, sysfs …: seen, never entered */
};

/* A directory being listed. */
struct session_stream {
    uint64_t fid; /* 0: not in use */
    int fd;
    uint64_t cookie; /* position after the last entry given out */
    uint8_t *buffer; /* getdents64's, SESSION_STREAM_BYTES */
    size_t length, position;
    uint64_t used; /* time stamp */
};

/* A file that is read or written by message. */
struct session_file {
    uint64_t fid; /* 0: not in use */
    bool writable;
    int fd;
};

struct session {
    const struct gofer_config *config;
    const struct policy *policy;
    struct nodes nodes;
    struct audit audit;
    struct session_mount *mounts;
    size_t mount_count;
    bool any_writable;
    bool privileged; /* may chown */
    int connection;
    int proc_fd; /* /proc/self/fd; -1: there is no /proc */

    struct session_device *devices;
    size_t device_count;
    uint64_t quota_bytes[POLICY_QUOTAS_MAX]; /* used */
    uint64_t quota_files[POLICY_QUOTAS_MAX];
    struct session_stream streams[SESSION_STREAMS];
    struct session_file files[SESSION_FILES];
    unsigned next_file;
    uint64_t clock;

    /* Policy states: of the directory last judged (a cache), and scratch. */
    uint64_t *dir_state, *name_state, *old_name_state, *new_name_state;
    uint64_t dir_state_fid, dir_state_age;

    /* The request at hand. */
    const struct wire_request *request;
    struct node *subject;                  /* what it is about, for the audit of accesses */
    char subject_name[GOFER_NAME_MAX + 1]; /* a name in it; or "" */
    bool audited;

    uint8_t *request_buffer, *reply_buffer; /* GOFER_MESSAGE_MAX each */
};

/* What an answer adds to its fixed reply. */
struct answer {
    uint8_t *tail;
    size_t tail_capacity;
    size_t tail_length;
    int fd; /* donated and then closed; -1 */
};

/* Everything but confinement: may be called without gofer_files_run (fuzzing). */
int session_init(struct session *session, const struct gofer_config *config) must_check;
void session_fini(struct session *session);
/* Answers one message: the reply's length in reply_buffer (0: none), ret_fd to send along (then to
 * be closed). -EBADMSG: not even a header. */
ssize_t session_answer(struct session *session, size_t request_length, int *ret_fd) must_check;
/* Until the connection ends. */
int session_serve(struct session *session) must_check;

/* ---- access.c: policy and audit ---- */

enum access_need {
    ACCESS_SEE,    /* that it is there, and its attributes */
    ACCESS_USE,    /* read, list, walk through */
    ACCESS_WRITE,  /* data, attributes, a new name */
    ACCESS_DELETE, /* remove or change a name */
};

/* The policy state of a directory; valid until the next call. */
int access_dir_state(struct session *session, struct node *dir,
                     const uint64_t **ret_state) must_check;
int access_node(struct session *session, struct node *node,
                struct node_verdict *ret_verdict) must_check;
/* Judges a name in a directory; ret_state (may be NULL) gets the policy's state there. type: S_IFMT
 * bits, 0: not there. */
int access_name(struct session *session, struct node *dir, const char *name, uint32_t type,
                struct node_verdict *ret_verdict, uint64_t *ret_state) must_check;
/* 0 or the errno of the refusal, which is then audited. name may be NULL. */
int access_check(struct session *session, struct node *node, const char *name,
                 const struct node_verdict *verdict, enum access_need need) must_check;
/* access_node and access_check in one. */
int access_require(struct session *session, struct node *node, enum access_need need) must_check;
/* Audits a refusal that other rules made, and returns error. */
int access_refuse(struct session *session, struct node *node, const char *name,
                  const struct node_verdict *verdict, int error) must_check;
/* The access line, when all are wanted. */
void access_audit_done(struct session *session, int error);

/* ---- quota.c ---- */

bool quota_limits_bytes(const struct session *session, uint32_t quotas);
/* How many more bytes may be used; POLICY_UNLIMITED. */
uint64_t quota_bytes_left(const struct session *session, uint32_t quotas);
int quota_take_bytes(struct session *session, uint32_t quotas, uint64_t bytes) must_check;
void quota_give_bytes(struct session *session, uint32_t quotas, uint64_t bytes);
int quota_take_file(struct session *session, uint32_t quotas) must_check;
void quota_give_file(struct session *session, uint32_t quotas);

/* ---- object.c: attributes and real opens ---- */

/* The small number of a device; opens name beneath dir_fd (or dir_fd itself for "") to look at a
 * new one. */
int object_device(struct session *session, uint64_t dev, int dir_fd, const char *name,
                  uint32_t *ret_id) must_check;
int object_attr(struct session *session, const struct statx *stat, int dir_fd, const char *name,
                const struct node_verdict *verdict, struct gofer_attr *ret_attr) must_check;
/* Attributes of a known object, judged and ready for a reply. */
int object_attr_now(struct session *session, struct node *node,
                    struct gofer_attr *ret_attr) must_check;
/* The object a request names. -EBADF. */
int object_get(struct session *session, uint64_t fid, struct node **ret_node) must_check;
/* Same, and it must be a directory that may be walked; ret_fd: its descriptor, good for the whole
 * request. */
int object_get_dir(struct session *session, uint64_t fid, struct node **ret_node,
                   int *ret_fd) must_check;
/* Opens a regular file or (read-only) directory for real; flags as open(2) without O_CREAT and
 * O_TRUNC. */
int object_open_real(struct session *session, struct node *node, int flags, int *ret_fd) must_check;
/* A real descriptor for calls that change nothing by themselves: reading if possible, else writing.
 */
int object_open_any(struct session *session, struct node *node, int *ret_fd) must_check;
/* A cached one for read and write by message; borrowed. */
int object_open_cached(struct session *session, struct node *node, bool writable,
                       int *ret_fd) must_check;
/* Makes fd, which is writable, the cached one. Takes fd. */
void object_keep(struct session *session, struct node *node, int fd);
/* Forgets descriptors of a node that goes away. */
void object_forget(struct session *session, struct node *node);
/* A name of a request, NUL-terminated. */
void object_name(char *ret_name, const uint8_t *bytes, size_t length);
/* Opens as struct gofer_open_request asks; fills answer->fd and *ret_result. */
int object_open(struct session *session, struct node *node, uint32_t flags, struct answer *answer,
                uint32_t *ret_result) must_check;
/* New size, within the quotas. fd is writable. */
int object_resize(struct session *session, struct node *node, int fd, uint64_t size) must_check;
/* One step of a walk; the node has one more lookup. */
int object_walk(struct session *session, struct node *dir, const char *name, struct node **ret_node,
                struct gofer_attr *ret_attr) must_check;

/* ---- answers: one for each row of protocol.def. reply is zeroed. ---- */

#define GOFER_MESSAGE(id, name, permission, tail)                                                  \
    int answer_##name(struct session *session, const struct wire_request *request, void *reply,    \
                      struct answer *answer) must_check;
#include "gofer/protocol.def"
#undef GOFER_MESSAGE
