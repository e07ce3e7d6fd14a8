/*
 * tcp.h: TCP on the loopback: connected pairs of sockets in memory, without segments.
 *
 * What one end writes goes straight into the other end's queue of chunks. tcp.c: life, readiness,
 * ioctl, options; tcp_connect.c: connect, listen, accept, shutdown, close, reset; tcp_stream.c:
 * send and receive; tcp_chunk.c: memory; tcp_urgent.c: the out-of-band byte. The states are
 * Linux's, but for those that only segments in flight tell apart.
 *
 * Locks: read_lock (who takes bytes out) or send_lock (who writes) → base.lock (one, or two in
 * address order) → the port tables' lock. Nothing is woken with a socket locked.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "platform/base/queue.h"
#include "sentry/core/timer.h"
#include "sentry/net/inet.h"

#define TCP_LOOPBACK_MSS   65483
#define TCP_SEND_BUFFER    16384   /* net.ipv4.tcp_wmem, before and after a connection is made */
#define TCP_SEND_CONNECTED 2626560 /* what Linux's tuning makes of it on a loopback */
#define TCP_RECEIVE_BUFFER 131072  /* net.ipv4.tcp_rmem */

enum stream_state {
    STREAM_CLOSED,
    STREAM_LISTENING,
    STREAM_CONNECTING, /* SYN_SENT: the listener's queue is full */
    STREAM_OPEN,       /* ESTABLISHED, and with fin_sent or fin_received FIN_WAIT2 or CLOSE_WAIT */
};

/* What connect(2) told so far (Linux: socket->state). */
enum stream_call_state { CALL_UNCONNECTED, CALL_CONNECTING, CALL_CONNECTED };

struct tcp_chunk {
    STAILQ_ENTRY(tcp_chunk) link;
    uint32_t capacity;
    uint32_t start, end; /* of the bytes that are there */
    unsigned char data[];
};

STAILQ_HEAD(tcp_chunk_list, tcp_chunk);

#define TCP_CHUNK_MAX 65536U

enum urgent_state { URGENT_NONE, URGENT_VALID, URGENT_READ };

struct tcp_socket {
    struct inet_socket inet;
    struct mutex read_lock, send_lock; /* RANK_SOCKET, outside base.lock */

    /* under base.lock */
    enum stream_state state;
    enum stream_call_state call_state;
    bool fin_sent, fin_received;
    bool dead;               /* released */
    struct tcp_socket *peer; /* reference, unless it is the socket itself */

    /* what the peer wrote */
    struct tcp_chunk_list chunks;
    atomic_uint queued;       /* bytes */
    uint64_t taken;           /* bytes read since the connection was made */
    enum urgent_state urgent; /* of the byte at urgent_at (in the count of taken) */
    uint64_t urgent_at;
    unsigned char urgent_byte;
    atomic_bool sender_blocked; /* this end found the peer's queue full */

    /* listening */
    TAILQ_HEAD(tcp_embryos, tcp_socket) embryos; /* not accepted; references */
    TAILQ_HEAD(tcp_waiting, tcp_socket) waiting; /* connecting, no room for them; references */
    uint32_t embryo_count;
    uint32_t backlog;

    /* connecting; the links are under the listener's lock */
    TAILQ_ENTRY(tcp_socket) embryo_link;
    TAILQ_ENTRY(tcp_socket) waiting_link;
    struct tcp_socket *listener; /* reference; under both locks */
    struct timer timer;
    char congestion[16];
};

static inline struct tcp_socket *tcp_of(struct socket *socket)
{
    return container_of(socket, struct tcp_socket, inet.base);
}

#define TCP_WAKE_ALL                                                                               \
    (EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM | EPOLLRDHUP | EPOLLHUP | EPOLLERR)

/* tcp.c */
int tcp_socket_create(int domain, struct socket **ret_socket) must_check;
/* A socket with one reference. NULL: no memory. */
struct tcp_socket *tcp_socket_new(int domain) must_check;
void tcp_free(struct inet_socket *socket);
struct tcp_socket *tcp_ref(struct tcp_socket *socket);
struct tcp_socket *tcp_unref(struct tcp_socket *socket);
/* May getpeername tell the peer? */
bool tcp_shows_peer_locked(const struct inet_socket *socket);
bool tcp_is_closed_locked(const struct inet_socket *socket);
int tcp_set_special(struct inet_socket *socket, int option, const void *value,
                    uint32_t length) must_check;
int tcp_get_special(struct inet_socket *socket, int option, void *value,
                    uint32_t *length) must_check;
int tcp_timestamp(void);
/* Linux's number of the state, as /proc/net/tcp and TCP_INFO have it. */
int tcp_linux_state_locked(const struct tcp_socket *socket);

/* tcp_connect.c */
int tcp_connect(struct socket *base, const struct socket_address *name, unsigned flags) must_check;
int tcp_listen(struct socket *base, int backlog) must_check;
int tcp_accept(struct socket *base, struct socket **ret_socket) must_check;
void tcp_accept_undo(struct socket *base, struct socket *accepted);
int tcp_shutdown(struct socket *base, int how) must_check;
void tcp_release(struct socket *base);
void tcp_timer_fire(struct timer *timer);
/* The peer answered a segment with a reset (Linux: tcp_reset). Locked. */
void tcp_reset_locked(struct tcp_socket *socket);
/* Locks the socket and its peer, if there is one: a reference, for tcp_unlock_with_peer. */
struct tcp_socket *tcp_lock_with_peer(struct tcp_socket *socket) NO_THREAD_SAFETY_ANALYSIS;
void tcp_unlock_with_peer(struct tcp_socket *socket,
                          struct tcp_socket *peer) NO_THREAD_SAFETY_ANALYSIS;

/* tcp_chunk.c */
/* Room for at least capacity bytes, at most TCP_CHUNK_MAX; counted in inet_memory. NULL: none. */
struct tcp_chunk *tcp_chunk_new(uint32_t capacity) must_check;
void tcp_chunk_free(struct tcp_chunk *chunk);
/* A connection ended: gives back what was kept for streams in full flow. */
void tcp_chunks_trim(void);

/* tcp_stream.c */
ssize_t tcp_send(struct socket *base, struct socket_message *message) must_check;
ssize_t tcp_receive(struct socket *base, struct socket_message *message) must_check;
/* May the socket write, by the peer's queue? Otherwise it will be woken when it may. */
bool tcp_writable(struct tcp_socket *socket, struct tcp_socket *peer);
/* Drops what is queued. Locked. */
void tcp_purge_locked(struct tcp_socket *socket);

/* tcp_urgent.c */
/* The last byte of the queue is urgent. Locked. */
void tcp_urgent_mark_locked(struct tcp_socket *socket, unsigned char byte);
ssize_t tcp_urgent_receive(struct tcp_socket *socket, struct socket_message *message) must_check;
/* How many of the next bytes may be read at once; *ret_skip: the urgent byte comes first and is not
 * part of the stream. Locked. */
uint32_t tcp_urgent_limit_locked(const struct tcp_socket *socket, uint64_t at, uint32_t length,
                                 bool *ret_skip);
bool tcp_at_mark_locked(const struct tcp_socket *socket);
