/*
 * tcp_stream.c: bytes from one end to the other.
 *
 * A writer fills a chunk without a socket lock and appends it to its peer's queue; small writes go
 * into the room at the queue's end. A reader copies from the first chunk without a socket lock:
 * read_lock makes it the only one that takes bytes out, and writers only add behind them. Queues
 * are bounded by the two buffer sizes and, all together, by INET_MEMORY_HIGH and _MAX. Source:
 * Linux tcp_sendmsg_locked, tcp_recvmsg_locked, sk_stream_write_space.
 */
#include "sentry/net/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/current.h"
#include "sentry/mm/uio.h"

#define CHUNK_SMALL  960U /* the first chunk of a quiet connection; kept when it is empty */
#define CHUNK_MEDIUM 4064U
#define SMALL_WRITE  2048U

void tcp_purge_locked(struct tcp_socket *socket)
{
    struct tcp_chunk *chunk;
    while ((chunk = STAILQ_FIRST(&socket->chunks))) {
        STAILQ_REMOVE_HEAD(&socket->chunks, link);
        tcp_chunk_free(chunk);
    }
    socket->taken += atomic_exchange(&socket->queued, 0);
    socket->urgent = URGENT_NONE;
}

/* --- room --- */

/* What may be queued at peer for a writer with send_buffer. */
static uint32_t queue_limit(struct tcp_socket *peer, uint32_t send_buffer)
{
    uint32_t window = __atomic_load_n(&peer->inet.base.options.receive_buffer, __ATOMIC_RELAXED);
    uint32_t limit = send_buffer + window / 2;
    long memory = atomic_load_explicit(&inet_memory, memory_order_relaxed);
    if (memory > atomic_load_explicit(&inet_memory_max, memory_order_relaxed)) {
        return min_of(limit, 4096U);
    }
    return memory > atomic_load_explicit(&inet_memory_high, memory_order_relaxed)
               ? min_of(limit, INET_QUEUE_LEAST)
               : limit;
}

static uint32_t send_buffer_of(const struct tcp_socket *socket)
{
    return __atomic_load_n(&socket->inet.base.options.send_buffer, __ATOMIC_RELAXED);
}

/* Linux: sk_stream_is_writeable: a third of the buffer is free. */
static bool has_room(struct tcp_socket *socket, struct tcp_socket *peer)
{
    uint64_t limit = queue_limit(peer, send_buffer_of(socket));
    return (uint64_t)atomic_load(&peer->queued) * 3 <= limit * 2;
}

bool tcp_writable(struct tcp_socket *socket, struct tcp_socket *peer)
{
    if (has_room(socket, peer)) {
        return true;
    }
    atomic_store(&socket->sender_blocked, true);
    return has_room(socket, peer);
}

/* --- send --- */

/* Linux: do_error of tcp_sendmsg_locked, sk_stream_wait_connect. */
static int send_check_locked(struct tcp_socket *socket, bool may_take_error)
{
    struct inet_socket *inet = &socket->inet;
    if (inet->error) {
        int error = inet->error;
        if (may_take_error) {
            inet->error = 0;
        }
        return -error;
    }
    if ((inet->shutdown & INET_SHUT_SEND) || socket->fin_sent) {
        return -EPIPE;
    }
    if (socket->state == STREAM_CONNECTING) {
        return -EAGAIN;
    }
    return socket->state == STREAM_OPEN ? 0 : -EPIPE;
}

/* Small writes: into the room at the end of the queue. Locked. Returns bytes or a negative errno.
 */
static ssize_t append_small_locked(struct tcp_socket *peer, struct uio *uio, uint32_t want)
{
    struct tcp_chunk *last = STAILQ_LAST(&peer->chunks, tcp_chunk, link);
    if (!last || last->capacity - last->end < want) {
        last = tcp_chunk_new(last ? CHUNK_MEDIUM : max_of(want, CHUNK_SMALL));
        if (!last) {
            return -ENOMEM;
        }
        STAILQ_INSERT_TAIL(&peer->chunks, last, link);
    }
    ssize_t got = uio_get(uio, last->data + last->end, want);
    if (got > 0) {
        last->end += (uint32_t)got;
        atomic_fetch_add(&peer->queued, (uint32_t)got);
    }
    return got;
}

static bool takes_bytes_locked(const struct tcp_socket *peer)
{
    return !peer->dead && peer->state == STREAM_OPEN &&
           !((peer->inet.shutdown & INET_SHUT_RECEIVE) && peer->fin_sent && !peer->fin_received);
}

/* Linux: the bytes are on their way when the reset comes: the write succeeds, the next one fails.
 */
static ssize_t send_to_gone(struct tcp_socket *socket, struct socket_message *message)
{
    unsigned char scrap[4096];
    ssize_t total = 0;
    ssize_t most = (ssize_t)send_buffer_of(socket); /* a longer one is cut: the reset comes then */
    while (message->uio->left > 0 && total < most) {
        size_t part = min_of((size_t)message->uio->left, sizeof(scrap));
        ssize_t got = uio_get(message->uio, scrap, part);
        if (got <= 0) {
            return total > 0 ? total : got;
        }
        total += got;
    }
    struct tcp_socket *peer = tcp_lock_with_peer(socket);
    if (socket->state == STREAM_OPEN) {
        tcp_reset_locked(socket);
    }
    if (peer && peer->state == STREAM_OPEN) {
        tcp_reset_locked(peer);
    }
    tcp_unlock_with_peer(socket, peer);
    wait_queue_wake(&socket->inet.base.queue, TCP_WAKE_ALL);
    if (peer) {
        wait_queue_wake(&peer->inet.base.queue, TCP_WAKE_ALL);
        tcp_unref(peer);
    }
    return total;
}

static void mark_urgent_locked(struct tcp_socket *peer)
{
    struct tcp_chunk *last = STAILQ_LAST(&peer->chunks, tcp_chunk, link);
    tcp_urgent_mark_locked(peer, last->data[last->end - 1]);
}

/* A part of the message to the peer. Returns bytes, 0 (nothing was taken), or a negative errno;
 * -ECONNRESET: the peer takes no more. */
static ssize_t send_part(struct tcp_socket *socket, struct tcp_socket *peer,
                         struct socket_message *message)
{
    struct uio *uio = message->uio;
    uint32_t limit = queue_limit(peer, send_buffer_of(socket));
    struct tcp_chunk *chunk = NULL;
    ssize_t got = 0;
    mutex_lock_nested(&peer->inet.base.lock);
    if (!takes_bytes_locked(peer)) {
        mutex_unlock(&peer->inet.base.lock);
        return -ECONNRESET;
    }
    uint32_t queued = atomic_load(&peer->queued);
    uint32_t room = queued < limit ? limit - queued : 0;
    uint32_t want = (uint32_t)min_of(uio->left, (uint64_t)min_of(room, TCP_CHUNK_MAX));
    if (want == 0) {
        atomic_store(&socket->sender_blocked, true);
        got = -EAGAIN;
    } else if (want <= SMALL_WRITE) {
        got = append_small_locked(peer, uio, want);
        if (got > 0 && (message->flags & MSG_OOB) && uio->left == 0) {
            mark_urgent_locked(peer);
        }
    }
    mutex_unlock(&peer->inet.base.lock);
    if (want <= SMALL_WRITE) {
        return got;
    }

    chunk = tcp_chunk_new(want);
    if (!chunk) {
        return -ENOMEM;
    }
    got = uio_get(uio, chunk->data, want);
    if (got <= 0) {
        tcp_chunk_free(chunk);
        return got;
    }
    chunk->end = (uint32_t)got;
    mutex_lock_nested(&peer->inet.base.lock);
    bool taken = takes_bytes_locked(peer);
    if (taken) {
        STAILQ_INSERT_TAIL(&peer->chunks, chunk, link);
        atomic_fetch_add(&peer->queued, chunk->end);
        if ((message->flags & MSG_OOB) && uio->left == 0) {
            mark_urgent_locked(peer);
        }
    }
    mutex_unlock(&peer->inet.base.lock);
    if (!taken) {
        uio_rewind(uio, (uint64_t)got);
        tcp_chunk_free(chunk);
        return -ECONNRESET;
    }
    return got;
}

/* All that fits, with send_lock held. */
static ssize_t send_locked(struct tcp_socket *socket, struct socket_message *message)
{
    ssize_t total = 0;
    bool oob = (message->flags & MSG_OOB) != 0;
    for (;;) {
        mutex_lock_nested(&socket->inet.base.lock);
        ssize_t result = send_check_locked(socket, total == 0);
        struct tcp_socket *peer = result == 0 && socket->peer ? tcp_ref(socket->peer) : NULL;
        mutex_unlock(&socket->inet.base.lock);
        if (!peer || message->uio->left == 0) {
            tcp_unref(peer);
            return total > 0 ? total : result;
        }
        result = send_part(socket, peer, message);
        if (result > 0) {
            bool urgent = oob && message->uio->left == 0;
            wait_queue_wake(&peer->inet.base.queue,
                            EPOLLIN | EPOLLRDNORM | (urgent ? EPOLLPRI : 0U));
            total += result;
        }
        tcp_unref(peer);
        if (result == -ECONNRESET) {
            mutex_lock_nested(&socket->inet.base.lock);
            bool open = socket->state == STREAM_OPEN;
            mutex_unlock(&socket->inet.base.lock);
            if (!open) {
                continue; /* the reset is known by now */
            }
            result = send_to_gone(socket, message);
            return total > 0 ? total + max_of(result, (ssize_t)0) : result;
        }
        if (result < 0 || (result == 0 && message->uio->left > 0)) {
            return total > 0 ? total : result;
        }
    }
}

/* Linux: tcp_sendmsg_fastopen without a cookie: a connect, and then the data. */
static int fast_open(struct socket *base, struct socket_message *message)
{
    if (message->name.length >= sizeof(sa_family_t) && message->name.any.sa_family == AF_UNSPEC) {
        return -EOPNOTSUPP;
    }
    unsigned flags = message->flags & MSG_DONTWAIT ? O_NONBLOCK : 0;
    int result = tcp_connect(base, &message->name, flags);
    if (result == 0) {
        message->flags &= ~(unsigned)MSG_FASTOPEN; /* the rest is an ordinary send */
    }
    return result;
}

ssize_t tcp_send(struct socket *base, struct socket_message *message)
{
    struct tcp_socket *socket = tcp_of(base);
    if (message->flags & MSG_FASTOPEN) {
        int result = fast_open(base, message);
        if (result != 0) {
            return result;
        }
    }
    mutex_lock(&socket->send_lock);
    ssize_t count = send_locked(socket, message);
    mutex_unlock(&socket->send_lock);
    if (count == -EPIPE && !(message->flags & MSG_NOSIGNAL) && current_hooks.send_signal) {
        current_hooks.send_signal(SIGPIPE);
    }
    return count;
}

/* --- receive --- */

/* The answer when nothing is queued. Locked. */
static ssize_t receive_empty_locked(struct tcp_socket *socket)
{
    struct inet_socket *inet = &socket->inet;
    if (socket->fin_received) {
        return 0;
    }
    if (inet->error) {
        int error = inet->error;
        inet->error = 0;
        return -error;
    }
    if (inet->shutdown & INET_SHUT_RECEIVE) {
        return 0;
    }
    return socket->state == STREAM_CLOSED ? -ENOTCONN : -EAGAIN;
}

/* count bytes of the first chunk were read. Locked. Returns a chunk to be freed. */
static struct tcp_chunk *consume_locked(struct tcp_socket *socket, uint32_t count)
{
    struct tcp_chunk *chunk = STAILQ_FIRST(&socket->chunks);
    chunk->start += count;
    socket->taken += count;
    atomic_fetch_sub(&socket->queued, count);
    if (socket->urgent != URGENT_NONE && socket->taken > socket->urgent_at) {
        socket->urgent = URGENT_NONE;
    }
    if (chunk->start < chunk->end) {
        return NULL;
    }
    if (chunk->capacity <= CHUNK_SMALL && !STAILQ_NEXT(chunk, link)) {
        chunk->start = chunk->end = 0;
        return NULL;
    }
    STAILQ_REMOVE_HEAD(&socket->chunks, link);
    return chunk;
}

/* Copies from the queue without taking anything out. */
static ssize_t peek_locked(struct tcp_socket *socket, struct socket_message *message)
{
    struct tcp_chunk *chunk;
    uint32_t queued = atomic_load(&socket->queued);
    uint64_t skip = socket->inet.base.options.peek_offset > 0
                        ? (uint64_t)socket->inet.base.options.peek_offset
                        : 0;
    uint64_t at = socket->taken;
    ssize_t total = 0;
    bool wait_all = (message->flags & MSG_WAITALL) && !(message->flags & MSG_DONTWAIT);
    bool more_may_come = socket->state == STREAM_OPEN && !socket->fin_received &&
                         !socket->inet.error && !(socket->inet.shutdown & INET_SHUT_RECEIVE);
    if (queued <= skip) {
        return receive_empty_locked(socket);
    }
    if (wait_all && queued - skip < message->uio->left && more_may_come) {
        return -EAGAIN;
    }
    STAILQ_FOREACH (chunk, &socket->chunks, link) {
        uint32_t start = chunk->start;
        while (start < chunk->end && message->uio->left > 0) {
            bool skip_urgent;
            uint32_t left = chunk->end - start;
            uint32_t part = tcp_urgent_limit_locked(socket, at, left, &skip_urgent);
            if (skip_urgent && total == 0) {
                start++;
                at++;
                continue;
            }
            if (skip_urgent || (part == 0)) {
                return total;
            }
            if (skip > 0) {
                part = (uint32_t)min_of((uint64_t)part, skip);
                skip -= part;
                start += part;
                at += part;
                continue;
            }
            bool stops = part < left;
            part = (uint32_t)min_of((uint64_t)part, message->uio->left);
            ssize_t put = message->flags & MSG_TRUNC
                              ? (ssize_t)part
                              : uio_put(message->uio, chunk->data + start, part);
            if (put < 0) {
                return total > 0 ? total : put;
            }
            if (message->flags & MSG_TRUNC) {
                message->uio->left -= part;
            }
            total += put;
            start += (uint32_t)put;
            at += (uint32_t)put;
            if (stops || (uint32_t)put < part) {
                goto out;
            }
        }
    }
out:
    if (socket->inet.base.options.peek_offset >= 0) {
        socket->inet.base.options.peek_offset += total;
    }
    return total;
}

/* Wakes the writer at the other end when it waits for room and has it. Locked. Returns a
 * reference to be woken. */
static struct tcp_socket *writer_to_wake_locked(struct tcp_socket *socket)
{
    struct tcp_socket *peer = socket->peer;
    if (!peer || !atomic_load(&peer->sender_blocked) || !has_room(peer, socket)) {
        return NULL;
    }
    atomic_store(&peer->sender_blocked, false);
    return tcp_ref(peer);
}

/* Bytes that may be read from the first chunk now. Locked; *ret_result when there are none. */
static uint32_t next_part_locked(struct tcp_socket *socket, ssize_t total, ssize_t *ret_result)
{
    struct tcp_chunk *chunk = STAILQ_FIRST(&socket->chunks);
    while (chunk && chunk->start == chunk->end && STAILQ_NEXT(chunk, link)) {
        STAILQ_REMOVE_HEAD(&socket->chunks, link);
        tcp_chunk_free(chunk);
        chunk = STAILQ_FIRST(&socket->chunks);
    }
    if (atomic_load(&socket->queued) == 0) {
        *ret_result = total > 0 ? 0 : receive_empty_locked(socket);
        return 0;
    }
    bool skip;
    uint32_t left = chunk->end - chunk->start;
    /* Linux: a read that has something stops before the urgent byte */
    if (total > 0 && tcp_at_mark_locked(socket)) {
        *ret_result = 0;
        return 0;
    }
    uint32_t part = tcp_urgent_limit_locked(socket, socket->taken, left, &skip);
    if (skip) {
        tcp_chunk_free(consume_locked(socket, 1));
        return next_part_locked(socket, total, ret_result);
    }
    return part;
}

/* With read_lock held. */
static ssize_t receive_locked(struct tcp_socket *socket, struct socket_message *message)
{
    struct uio *uio = message->uio;
    ssize_t total = 0, result = 0;
    mutex_lock_nested(&socket->inet.base.lock);
    if (socket->state == STREAM_LISTENING) {
        result = -ENOTCONN;
    } else if (message->flags & MSG_PEEK) {
        result = peek_locked(socket, message);
    } else if (uio->left == 0 && atomic_load(&socket->queued) > 0) {
        result = 0;
    } else {
        uint32_t part;
        while ((part = next_part_locked(socket, total, &result)) > 0) {
            struct tcp_chunk *chunk = STAILQ_FIRST(&socket->chunks);
            const unsigned char *data = chunk->data + chunk->start;
            part = (uint32_t)min_of((uint64_t)part, uio->left);
            ssize_t put = (ssize_t)part;
            if (message->flags & MSG_TRUNC) {
                uio_truncate(uio, uio->left - part);
            } else {
                mutex_unlock(&socket->inet.base.lock);
                put = uio_put(uio, data, part);
                mutex_lock_nested(&socket->inet.base.lock);
            }
            if (put <= 0) {
                result = put;
                break;
            }
            total += put;
            tcp_chunk_free(consume_locked(socket, (uint32_t)put));
            if (uio->left == 0 || put < (ssize_t)part) {
                break;
            }
        }
        if (total > 0 && socket->inet.base.options.peek_offset > 0) {
            socket->inet.base.options.peek_offset =
                max_of(socket->inet.base.options.peek_offset - total, (int64_t)0);
        }
    }
    struct tcp_socket *writer = total > 0 ? writer_to_wake_locked(socket) : NULL;
    mutex_unlock(&socket->inet.base.lock);
    if (writer) {
        wait_queue_wake(&writer->inet.base.queue, EPOLLOUT | EPOLLWRNORM);
        tcp_unref(writer);
    }
    return total > 0 ? total : result;
}

ssize_t tcp_receive(struct socket *base, struct socket_message *message)
{
    struct tcp_socket *socket = tcp_of(base);
    if (message->flags & MSG_ERRQUEUE) {
        return -EAGAIN;
    }
    if (message->flags & MSG_OOB) {
        return tcp_urgent_receive(socket, message);
    }
    mutex_lock(&socket->read_lock);
    ssize_t count = receive_locked(socket, message);
    mutex_unlock(&socket->read_lock);
    return count;
}
