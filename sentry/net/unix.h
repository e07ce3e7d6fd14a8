/*
 * unix.h: AF_UNIX sockets, for the files of this folder that implement them.
 *
 * unix_socket.c: life, names, options, poll. unix_connect.c: connect, listen, accept, shutdown.
 * unix_message.c: packets, send, receive. unix_gc.c: files in flight and their collection.
 *
 * Locks: gc_lock (RANK_SOCKET, taken before any socket's) → socket->lock (one, or two in address
 * order) → names_lock (RANK_OBJECT). A struct unix_socket lives while its file, its peers, and
 * packets it sent live. Sources: unix(7), Linux net/unix/af_unix.c, garbage.c.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include "platform/base/compiler.h"
#include "platform/base/hash.h"
#include "platform/base/queue.h"
#include "platform/base/refcount.h"
#include "sentry/net/socket.h"
#include "sentry/vfs/path.h"

#define UNIX_MAX_DGRAM_QUEUE 10 /* net.unix.max_dgram_qlen */
#define UNIX_PACKET_OVERHEAD                                                                       \
    704                         /* what Linux accounts beside a packet's data, rounded up to 64    \
                                 */
#define UNIX_STREAM_CHUNK 65536 /* bytes of one stream packet at most */
#define UNIX_INFLIGHT_MAX 65536 /* files in all queues together: ETOOMANYREFS above */

enum unix_state { UNIX_CLOSED, UNIX_LISTENING, UNIX_CONNECTED };

/* A bound name. Immutable. */
struct unix_address {
    struct refcount ref;
    UT_hash_handle hh;          /* abstract names, under names_lock; key: type and name */
    struct unix_socket *socket; /* under names_lock: owner in the abstract table */
    struct path path;           /* references; dentry NULL for abstract names */
    uint32_t length;            /* as getsockname reports */
    uint32_t key_length;
    struct {
        int32_t type;
        struct sockaddr_un name;
    } key;
};

struct unix_packet {
    TAILQ_ENTRY(unix_packet) link;
    struct unix_socket *sender; /* reference */
    uint32_t length, offset;    /* offset: bytes consumed (streams) */
    uint32_t charge;
    bool has_cred;
    struct socket_cred cred;
    uint32_t file_count;
    struct file **files; /* owned array of references; NULL */
    unsigned char data[];
};

TAILQ_HEAD(unix_packet_list, unix_packet);

/* A socket that found this one full. */
struct unix_waiter {
    LIST_ENTRY(unix_waiter) link;
    struct unix_socket *socket; /* reference */
};

struct unix_socket {
    struct socket base;
    struct refcount ref;
    atomic_uint sent; /* bytes charged to this socket in others' queues */

    /* under base.lock */
    enum unix_state state;
    bool dead;                    /* released */
    bool binding;                 /* a bind is in progress */
    struct unix_address *address; /* reference */
    struct unix_socket *peer;     /* reference */
    struct unix_packet_list packets;
    TAILQ_HEAD(unix_embryos, unix_socket) embryos; /* listening: not accepted; references */
    TAILQ_ENTRY(unix_socket) embryo_link;          /* under the listener's lock */
    uint32_t queued;                               /* packets or embryos */
    uint32_t queued_bytes;
    uint32_t queued_files; /* packets that carry files */
    uint32_t backlog;
    unsigned shutdown; /* 1: receive, 2: send */
    int error;         /* positive; reported once */
    struct socket_cred peer_cred;
    const struct cred *peer_groups; /* reference */
    LIST_HEAD(, unix_waiter) waiters;

    LIST_ENTRY(unix_socket) all_link; /* under the lock of names */

    /* under gc_lock */
    LIST_ENTRY(unix_socket) inflight_link;
    uint32_t inflight; /* references to its file in queues */
    bool candidate, reachable;
    uint32_t external; /* gc: references from outside the candidates */
    struct unix_socket *next_reached;
};

#define UNIX_SHUT_RECEIVE 1U
#define UNIX_SHUT_SEND    2U
#define UNIX_SHUT_BOTH    3U

static inline struct unix_socket *unix_of(struct socket *socket)
{
    return container_of(socket, struct unix_socket, base);
}

void unix_init(void);
extern const struct socket_ops unix_socket_ops;

/* unix_socket.c */
struct unix_socket *unix_socket_new(int type) must_check;
struct unix_socket *unix_ref(struct unix_socket *socket);
struct unix_socket *unix_unref(struct unix_socket *socket);
struct unix_address *unix_address_ref(struct unix_address *address);
struct unix_address *unix_address_unref(struct unix_address *address);
/* A live socket bound to name, of the type, with a reference. ECONNREFUSED, EPROTOTYPE, EINVAL,
 * path errors. */
int unix_lookup(const struct socket_address *name, int type, struct unix_socket **ret) must_check;
/* Linux: a socket with SO_PASSCRED gets a name before it connects or sends. */
int unix_autobind_if_passing(struct unix_socket *socket) must_check;
void unix_cred_of_caller(struct socket_cred *ret_cred, bool effective);
void unix_set_peer_cred_locked(struct unix_socket *socket, const struct socket_cred *cred,
                               const struct cred *groups);
uint32_t unix_poll(struct socket *socket);
void unix_release(struct socket *socket);
/* All sockets: a malloc'ed array of references. -ENOMEM. */
int unix_list(struct unix_socket ***ret_sockets, size_t *ret_count) must_check;
/* Copies address (or the unnamed one) out. */
void unix_address_get(const struct unix_address *address, struct socket_address *ret_name);

/* unix_connect.c */
int unix_connect(struct socket *socket, const struct socket_address *name,
                 unsigned flags) must_check;
int unix_listen(struct socket *socket, int backlog) must_check;
int unix_accept(struct socket *socket, struct socket **ret_socket) must_check;
void unix_accept_undo(struct socket *socket, struct socket *accepted);
int unix_pair(struct socket *a, struct socket *b) must_check;
int unix_shutdown(struct socket *socket, int how) must_check;
/* waiter wants to hear when full has room; full's lock is held. -ENOMEM. */
int unix_wait_locked(struct unix_socket *full, struct unix_socket *waiter) must_check;
/* Takes the waiters; unix_waiters_wake tells and frees them, no locks held. */
struct unix_waiter *unix_waiters_take_locked(struct unix_socket *socket);
void unix_waiters_wake(struct unix_waiter *waiters);

/* unix_message.c */
ssize_t unix_send(struct socket *socket, struct socket_message *message) must_check;
ssize_t unix_receive(struct socket *socket, struct socket_message *message) must_check;
bool unix_queue_full_locked(const struct unix_socket *socket);
bool unix_writable(const struct unix_socket *socket);
/* Frees packets that are off every queue and no longer in flight; no locks held. */
void unix_packets_free(struct unix_packet_list *packets);

/* unix_gc.c */
extern struct mutex unix_gc_lock;
/* gc_lock held: the packet's files go in flight, or stop being so. */
void unix_inflight_add_locked(struct unix_packet *packet);
void unix_inflight_remove_locked(struct unix_packet *packet);
/* Locks the socket, and gc_lock before it when its queue carries files: returns whether it did. */
bool unix_lock_with_files(struct unix_socket *socket) must_check NO_THREAD_SAFETY_ANALYSIS;
uint32_t unix_inflight_total(void);
/* Drops sockets that only unreachable queues refer to. No locks held. */
void unix_gc(void);
/* Runs unix_gc often enough that garbage is bounded, seldom enough that its cost is constant per
 * call: after a socket with others in flight was released, or files were sent. */
void unix_gc_maybe(void);
