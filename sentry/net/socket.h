/*
 * socket.h: sockets: the interface between system calls, files and address families.
 *
 * socket_* functions take a struct file (ENOTSOCK when it is none), do what all families share, and
 * call the family's ops. Nothing sleeps: -EAGAIN means "wait on the file's wait queue and call
 * again with the same arguments" (then neither the message's bytes nor its files were taken). A
 * stream send or receive may move a part. Families are rows of one table in socket.c. Sources:
 * socket(2), socket(7), Linux net/socket.c, net/core/sock.c.
 */
#pragma once

#include <stdbool.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "platform/base/compiler.h"
#include "platform/base/lock.h"
#include "sentry/core/wait_queue.h"

struct cred;
struct file;
struct socket;
struct uio;

#define SOCKET_FILES_MAX   253 /* Linux: SCM_MAX_FD */
#define SOCKET_BUFFER_SIZE 212992

struct socket_address {
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
        unsigned char bytes[128];
    };
    uint32_t length; /* 0: none */
};

struct socket_cred {
    int32_t pid;
    uint32_t uid, gid;
};

/* Ancillary data of a protocol that a receive delivers. */
#define SOCKET_ANCILLARY_MAX  16
#define SOCKET_ANCILLARY_SIZE 64

struct socket_ancillary {
    uint32_t count;
    struct {
        int level, type;
        uint32_t length;
        unsigned char data[SOCKET_ANCILLARY_SIZE];
    } items[SOCKET_ANCILLARY_MAX];
};

/*
 * One sendmsg or recvmsg. The caller owns files (array and references). Sending: on success the
 * references were taken and file_count is 0. Receiving: files is a malloc'ed array of references
 * that the caller installs or drops, and frees.
 */
struct socket_message {
    struct uio *uio;
    struct socket_address name; /* send: the destination; receive: the source, filled */
    unsigned flags;             /* MSG_* of the call; MSG_DONTWAIT also for O_NONBLOCK files */
    unsigned ret_flags;         /* receive: MSG_TRUNC, MSG_EOR */
    struct file **files;
    uint32_t file_count;
    bool has_cred; /* send: an SCM_CREDENTIALS message; receive: the caller must deliver one */
    struct socket_cred cred;
    const unsigned char *control; /* send: the ancillary data as it came, borrowed; NULL */
    uint32_t control_length;
    struct socket_ancillary *ancillary; /* receive: malloc'ed, the caller frees it; NULL */
};

struct socket_ops {
    int (*bind)(struct socket *socket, const struct socket_address *name) must_check;
    int (*connect)(struct socket *socket, const struct socket_address *name,
                   unsigned flags /* O_NONBLOCK */) must_check;
    int (*listen)(struct socket *socket, int backlog) must_check;
    /* A new socket without a file, or -EAGAIN. */
    int (*accept)(struct socket *socket, struct socket **ret_socket) must_check;
    /* accept could not make a file: the connection goes back to the head of the queue. */
    void (*accept_undo)(struct socket *socket, struct socket *accepted);
    int (*pair)(struct socket *a, struct socket *b) must_check; /* NULL: EOPNOTSUPP */
    ssize_t (*send)(struct socket *socket, struct socket_message *message) must_check;
    ssize_t (*receive)(struct socket *socket, struct socket_message *message) must_check;
    int (*shutdown)(struct socket *socket, int how /* SHUT_* */) must_check;
    int (*get_name)(struct socket *socket, bool peer, struct socket_address *ret_name) must_check;
    /* Options beyond those of SOL_SOCKET that socket_options.c knows; -ENOPROTOOPT: unknown. */
    int (*set_option)(struct socket *socket, int level, int option, const void *value,
                      uint32_t length) must_check;
    int (*get_option)(struct socket *socket, int level, int option, void *value,
                      uint32_t *length) must_check;
    long (*ioctl)(struct socket *socket, unsigned command, uint64_t argument) must_check;
    uint32_t (*poll)(struct socket *socket);
    /* The file is gone (or was never made): shuts the connection down and drops the owner's
     * reference. */
    void (*release)(struct socket *socket);
    /* The pending error, positive, cleared. */
    int (*take_error)(struct socket *socket) must_check;
    bool (*is_listening)(struct socket *socket);
};

#define SOCKET_OPTION_VALUES 90

/* asm-generic/socket.h, which libc's headers lack. */
#define LINUX_SO_TIMESTAMP_NEW    63
#define LINUX_SO_TIMESTAMPNS_NEW  64
#define LINUX_SO_TIMESTAMPING_NEW 65
#define LINUX_SO_RCVTIMEO_NEW     66
#define LINUX_SO_SNDTIMEO_NEW     67

/* SOL_SOCKET options that are only stored. Under socket->lock. */
struct socket_options {
    uint32_t send_buffer, receive_buffer;         /* bytes */
    uint64_t receive_timeout_ns, send_timeout_ns; /* SLEEP_FOREVER: none */
    int receive_low_water;
    bool send_buffer_set, receive_buffer_set; /* by the program: no tuning */
    bool pass_cred, pass_security;
    struct linger linger;
    int timestamp;                    /* SO_TIMESTAMP or one of its relatives; 0: none */
    int timestamping;                 /* SOF_TIMESTAMPING_* */
    int64_t peek_offset;              /* SO_PEEK_OFF; -1: off */
    uint64_t max_pacing_rate;         /* bytes a second */
    int values[SOCKET_OPTION_VALUES]; /* by option number, for the plain integers */
};

struct socket {
    const struct socket_ops *ops;
    int domain, type, protocol;
    struct file
        *_Atomic file; /* its file, not a reference; NULL for a connection not accepted yet */
    struct mutex lock; /* RANK_SOCKET */
    struct wait_queue queue;
    struct socket_options options;
    atomic_ullong inode_number; /* of its file; 0 while there is none */
};

/* For families. */
void socket_init(struct socket *socket, const struct socket_ops *ops, int domain, int type,
                 int protocol);
void socket_fini(struct socket *socket);
/* How many sockets there are. */
unsigned socket_total(void);
extern const struct file_ops socket_file_ops;

/* type without SOCK_NONBLOCK and SOCK_CLOEXEC; flags: O_NONBLOCK. */
int socket_new(int domain, int type, int protocol, unsigned flags,
               struct file **ret_file) must_check;
int socket_pair(int domain, int type, int protocol, unsigned flags,
                struct file *ret_files[2]) must_check;
struct socket *socket_of(struct file *file); /* borrowed; NULL: not a socket */

int socket_bind(struct file *file, const struct socket_address *name) must_check;
int socket_connect(struct file *file, const struct socket_address *name) must_check;
int socket_listen(struct file *file, int backlog) must_check;
/* ret_name may be NULL. */
int socket_accept(struct file *file, unsigned flags, struct file **ret_file,
                  struct socket_address *ret_name) must_check;
ssize_t socket_send(struct file *file, struct socket_message *message) must_check;
ssize_t socket_receive(struct file *file, struct socket_message *message) must_check;
int socket_shutdown(struct file *file, int how) must_check;
int socket_get_name(struct file *file, bool peer, struct socket_address *ret_name) must_check;
/* length: of value, at least what was copied in; short values are -EINVAL as Linux has it. */
int socket_set_option(struct file *file, int level, int option, const void *value,
                      uint32_t length) must_check;
/* *length: room in value; becomes what was written. */
int socket_get_option(struct file *file, int level, int option, void *value,
                      uint32_t *length) must_check;
/* SO_RCVTIMEO and SO_SNDTIMEO (also of connect and accept), in ns; SLEEP_FOREVER: none. */
uint64_t socket_timeout(struct file *file, bool sending);
/* Is a receive of wanted bytes with flags complete after got bytes? (MSG_WAITALL, SO_RCVLOWAT.) */
bool socket_receive_done(struct file *file, unsigned flags, uint64_t got, uint64_t wanted);

/* Adds a control message to what a receive delivers. -ENOMEM. */
int socket_message_add(struct socket_message *message, int level, int type, const void *data,
                       uint32_t length) must_check;

/* For ioctl ops: copies to the calling task. 0 or -EFAULT. */
long socket_put_user(uint64_t address, const void *data, size_t length) must_check;
long socket_get_user(uint64_t address, void *data, size_t length) must_check;
/* Copies an option's value out as Linux does: cut to *length. */
int socket_option_put(void *value, uint32_t *length, const void *data, uint32_t size) must_check;
int socket_option_put_int(void *value, uint32_t *length, int number) must_check;

/* socket_options.c. -ENOPROTOOPT: not one of the shared options. */
int socket_common_set(struct socket *socket, int option, const void *value,
                      uint32_t length) must_check;
int socket_common_get(struct socket *socket, int option, void *value, uint32_t *length) must_check;
void socket_options_init(struct socket_options *options);

/* interface.c: queries about interfaces that every socket answers. -ENOTTY: not one of them. */
long socket_interface_ioctl(unsigned command, uint64_t argument) must_check;

/* Families: make a socket for (type, protocol), or the errno of socket(2). */
int unix_socket_create(int type, int protocol, struct socket **ret_socket) must_check;
int inet_socket_create(int type, int protocol, struct socket **ret_socket) must_check;
int inet6_socket_create(int type, int protocol, struct socket **ret_socket) must_check;
/* mq_notify's way to a thread: a datagram from the kernel. -ENOTSOCK, -EINVAL: no netlink socket.
 */
int netlink_check(struct file *file) must_check;
int netlink_deliver(struct file *file, const void *data, size_t length) must_check;
int netlink_socket_create(int type, int protocol, struct socket **ret_socket) must_check;
/* At boot. */
void net_init(void);
