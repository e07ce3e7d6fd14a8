/*
 * tcp_connect.c: how connections are made and end.
 *
 * connect makes the server's end at once (an embryo in the listener's queue), so a client can send
 * before it is accepted. While the queue is full the client waits in the listener's list; accept
 * connects the next (Linux: the SYN is sent again after a while, and given up after some minutes).
 * DIFFERS: an end that was closed leaves no TIME_WAIT or FIN_WAIT2 behind: its port is free at
 * once. Sources: Linux __inet_stream_connect, tcp_v4_connect, inet_csk_listen_start,
 * inet_csk_accept, inet_shutdown, tcp_close, tcp_reset, tcp_disconnect.
 */
#include "sentry/net/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/clock.h"

static void wake(struct tcp_socket *socket)
{
    wait_queue_wake(&socket->inet.base.queue, TCP_WAKE_ALL);
}

/* --- the two ends --- */

struct tcp_socket *tcp_lock_with_peer(struct tcp_socket *socket)
{
    struct mutex *own = &socket->inet.base.lock;
    for (;;) {
        mutex_lock_nested(own);
        struct tcp_socket *peer = socket->peer ? tcp_ref(socket->peer) : NULL;
        if (!peer || peer == socket) {
            return peer;
        }
        mutex_unlock(own);
        /* as mutex_lock_two, and within a read or send lock */
        bool own_first = (uintptr_t)own < (uintptr_t)&peer->inet.base.lock;
        mutex_lock_nested(own_first ? own : &peer->inet.base.lock);
        mutex_lock_nested(own_first ? &peer->inet.base.lock : own);
        if (socket->peer == peer) {
            return peer;
        }
        mutex_unlock_two(own, &peer->inet.base.lock);
        tcp_unref(peer);
    }
}

void tcp_unlock_with_peer(struct tcp_socket *socket, struct tcp_socket *peer)
{
    if (peer) {
        mutex_unlock_two(&socket->inet.base.lock, &peer->inet.base.lock);
    } else {
        mutex_unlock(&socket->inet.base.lock);
    }
}

/* Linux: tcp_done: the state is CLOSE, and a port that the kernel chose is free. Locked. */
static void done_locked(struct tcp_socket *socket)
{
    socket->state = STREAM_CLOSED;
    socket->inet.shutdown = INET_SHUT_BOTH;
    if (!socket->inet.bound_port) {
        inet_port_release(&socket->inet);
    } else {
        inet_port_unpeer(&socket->inet);
    }
}

void tcp_reset_locked(struct tcp_socket *socket)
{
    bool close_wait = socket->fin_received && !socket->fin_sent;
    socket->inet.error = close_wait ? EPIPE : ECONNRESET;
    done_locked(socket);
}

/* The socket sends its FIN. Both locked; peer may be NULL or the socket itself. */
static void send_fin_locked(struct tcp_socket *socket, struct tcp_socket *peer)
{
    if (socket->fin_sent || socket->state != STREAM_OPEN) {
        return;
    }
    socket->fin_sent = true;
    if (peer && peer->state == STREAM_OPEN) {
        peer->fin_received = true;
        peer->inet.shutdown |= INET_SHUT_RECEIVE;
    }
    if (socket->fin_received) {
        done_locked(socket);
        if (peer && peer->state == STREAM_OPEN) {
            done_locked(peer);
        }
    }
}

/* --- connect --- */

/* Back to a fresh socket, but for the pending error. With read_lock and base.lock. Returns the
 * peer's reference. (Linux: tcp_disconnect) */
static struct tcp_socket *disconnect_locked(struct tcp_socket *socket) must_check;
static struct tcp_socket *disconnect_locked(struct tcp_socket *socket)
{
    struct inet_socket *inet = &socket->inet;
    struct tcp_socket *peer = socket->peer == socket ? NULL : socket->peer;
    socket->state = STREAM_CLOSED;
    socket->call_state = CALL_UNCONNECTED;
    socket->fin_sent = socket->fin_received = false;
    socket->peer = NULL;
    inet->shutdown = 0;
    inet->has_peer = false;
    tcp_purge_locked(socket);
    if (!inet->bound_address) {
        inet->local.addr =
            inet_is_v6(inet) ? (struct in6_addr)IN6ADDR_ANY_INIT : inet_from_v4(INADDR_ANY);
    }
    if (inet->bound_port) {
        inet_port_update_locked(inet);
    } else {
        inet_port_release(inet);
        inet->local.port = 0;
    }
    return peer;
}

/* An embryo becomes the server's end. Client and listener locked. */
static void join_locked(struct tcp_socket *client, struct tcp_socket *listener,
                        struct tcp_socket *embryo)
{
    struct inet_socket *inet = &embryo->inet;
    const struct socket_options *options = &listener->inet.base.options;
    inet->base.options = *options;
    memcpy(inet->options, listener->inet.options, sizeof(inet->options));
    memcpy(embryo->congestion, listener->congestion, sizeof(embryo->congestion));
    inet->uid = listener->inet.uid;
    inet->local = client->inet.peer;
    inet->peer = client->inet.local;
    inet->has_peer = true;
    inet->bound_address = listener->inet.bound_address;
    embryo->state = STREAM_OPEN;
    embryo->call_state = CALL_CONNECTED;
    embryo->peer = tcp_ref(client);
    client->state = STREAM_OPEN;
    client->peer = tcp_ref(embryo);
    if (!options->send_buffer_set) {
        inet->base.options.send_buffer = TCP_SEND_CONNECTED;
    }
    if (!client->inet.base.options.send_buffer_set) {
        __atomic_store_n(&client->inet.base.options.send_buffer, TCP_SEND_CONNECTED,
                         __ATOMIC_RELAXED); /* read without the lock by has_room */
    }
    inet_port_adopt(inet);
    TAILQ_INSERT_TAIL(&listener->embryos, embryo, embryo_link);
    listener->embryo_count++;
}

/* The attempt failed. Locked. */
static void fail_locked(struct tcp_socket *socket, int error)
{
    socket->inet.error = error;
    done_locked(socket);
}

static bool accepts_locked(const struct tcp_socket *listener)
{
    return listener->state == STREAM_LISTENING && !listener->dead;
}

/* Joins client to listener, or puts it into the waiting list, or refuses it. The client is in
 * STREAM_CONNECTING and no lock is held. */
static void knock(struct tcp_socket *client, struct tcp_socket *listener)
{
    struct tcp_socket *embryo = tcp_socket_new(listener->inet.base.domain);
    bool joined = false;
    mutex_lock_two(&client->inet.base.lock, &listener->inet.base.lock);
    if (client->dead || client->state != STREAM_CONNECTING || client->listener) {
        /* somebody closed it or shut it down meanwhile */
    } else if (!embryo || !accepts_locked(listener)) {
        fail_locked(client, embryo ? ECONNREFUSED : ENOMEM);
    } else if (listener->embryo_count > listener->backlog) {
        uint64_t seconds = (2ULL << min_of(client->inet.options[INET_TCP_SYNCNT], 16)) - 1;
        tcp_ref(client);
        TAILQ_INSERT_TAIL(&listener->waiting, client, waiting_link);
        client->listener = tcp_ref(listener);
        timer_arm(&client->timer, CLOCK_MONOTONIC,
                  ns_add(clock_monotonic_ns(), seconds * NSEC_PER_SEC));
    } else {
        join_locked(client, listener, embryo);
        joined = true;
    }
    mutex_unlock_two(&client->inet.base.lock, &listener->inet.base.lock);
    if (joined) {
        wait_queue_wake(&listener->inet.base.queue, EPOLLIN | EPOLLRDNORM);
    } else {
        tcp_unref(embryo);
    }
    wake(client);
}

/* Takes the client off its listener's list. No lock is held. Returns whether it was there. */
static bool stop_waiting(struct tcp_socket *client)
{
    mutex_lock(&client->inet.base.lock);
    struct tcp_socket *listener = client->listener ? tcp_ref(client->listener) : NULL;
    mutex_unlock(&client->inet.base.lock);
    if (!listener) {
        return false;
    }
    mutex_lock_two(&client->inet.base.lock, &listener->inet.base.lock);
    bool waits = client->listener == listener;
    if (waits) {
        TAILQ_REMOVE(&listener->waiting, client, waiting_link);
        client->listener = NULL;
        timer_disarm(&client->timer);
    }
    mutex_unlock_two(&client->inet.base.lock, &listener->inet.base.lock);
    if (waits) {
        tcp_unref(listener);
        tcp_unref(client);
    }
    tcp_unref(listener);
    return waits;
}

/* The first waiting client, off the list: a reference. The listener is not locked. */
static struct tcp_socket *take_waiting(struct tcp_socket *listener, bool only_with_room)
{
    for (;;) {
        mutex_lock(&listener->inet.base.lock);
        struct tcp_socket *client = TAILQ_FIRST(&listener->waiting);
        if (client && only_with_room && listener->embryo_count > listener->backlog) {
            client = NULL;
        }
        if (client) {
            tcp_ref(client);
        }
        mutex_unlock(&listener->inet.base.lock);
        if (!client || stop_waiting(client)) {
            return client;
        }
        tcp_unref(client); /* it left by itself */
    }
}

/* There is room in the queue. */
static void admit_waiting(struct tcp_socket *listener)
{
    struct tcp_socket *client;
    while ((client = take_waiting(listener, true))) {
        knock(client, listener);
        tcp_unref(client);
    }
}

/* Nobody listens any more. */
static void refuse_waiting(struct tcp_socket *listener)
{
    struct tcp_socket *client;
    while ((client = take_waiting(listener, false))) {
        mutex_lock(&client->inet.base.lock);
        if (client->state == STREAM_CONNECTING) {
            fail_locked(client, ECONNREFUSED);
        }
        mutex_unlock(&client->inet.base.lock);
        wake(client);
        tcp_unref(client);
    }
}

void tcp_timer_fire(struct timer *timer)
{
    struct tcp_socket *client = container_of(timer, struct tcp_socket, timer);
    if (!stop_waiting(client)) {
        return;
    }
    mutex_lock(&client->inet.base.lock);
    if (client->state == STREAM_CONNECTING) {
        fail_locked(client, ETIMEDOUT);
    }
    mutex_unlock(&client->inet.base.lock);
    wake(client);
}

/* Linux: two ends that send SYN to each other are connected; here only a socket to itself. */
static void connect_to_self(struct tcp_socket *socket)
{
    mutex_lock(&socket->inet.base.lock);
    if (socket->state == STREAM_CONNECTING) {
        socket->state = STREAM_OPEN;
        socket->peer = socket;
    }
    mutex_unlock(&socket->inet.base.lock);
    wake(socket);
}

/* Address, route and port. Locked. */
static int prepare_locked(struct tcp_socket *socket, const struct socket_address *name)
{
    struct inet_socket *inet = &socket->inet;
    struct inet_endpoint destination, old_local = inet->local, old_peer = inet->peer;
    int result = inet_parse_destination(inet, name, &destination);
    if (result == 0) {
        result = inet_route(inet, &destination, &inet->local.addr);
    }
    if (result == 0) {
        inet->peer = destination;
        inet->has_peer = true;
        result = inet_port_connect_locked(inet);
    }
    if (result != 0) {
        inet->local = old_local;
        inet->peer = old_peer;
        inet->has_peer = false;
        return result;
    }
    socket->state = STREAM_CONNECTING;
    socket->call_state = CALL_CONNECTING;
    socket->taken = 0;
    return 0;
}

/* A first connect: what became of it is in the socket's state. */
static int start(struct tcp_socket *socket, const struct socket_address *name)
{
    mutex_lock(&socket->inet.base.lock);
    int result = socket->state == STREAM_CLOSED && socket->call_state == CALL_UNCONNECTED
                     ? prepare_locked(socket, name)
                     : -EISCONN;
    struct inet_endpoint destination = socket->inet.peer, source = socket->inet.local;
    mutex_unlock(&socket->inet.base.lock);
    if (result != 0) {
        return result;
    }
    struct inet_socket *found = inet_port_find(IPPROTO_TCP, &destination, &source);
    if (found) {
        knock(socket, tcp_of(&found->base));
        inet_unref(found);
    } else if (destination.port == source.port &&
               inet_addr_equal(&destination.addr, &source.addr)) {
        connect_to_self(socket);
    } else {
        mutex_lock(&socket->inet.base.lock);
        if (socket->state == STREAM_CONNECTING) {
            fail_locked(socket, ECONNREFUSED);
        }
        mutex_unlock(&socket->inet.base.lock);
        wake(socket);
    }
    return result;
}

/* What a connect that was begun tells: -EAGAIN while it goes on. */
static int outcome(struct tcp_socket *socket)
{
    struct tcp_socket *peer = NULL;
    int result = 0;
    mutex_lock(&socket->read_lock);
    mutex_lock_nested(&socket->inet.base.lock);
    if (socket->call_state == CALL_UNCONNECTED) {
        result = -ECONNABORTED;
    } else if (socket->state == STREAM_CONNECTING) {
        result = -EAGAIN;
    } else if (socket->state == STREAM_CLOSED) {
        result = socket->inet.error ? -socket->inet.error : -ECONNABORTED;
        socket->inet.error = 0;
        peer = disconnect_locked(socket);
    } else {
        socket->call_state = CALL_CONNECTED;
    }
    mutex_unlock(&socket->inet.base.lock);
    mutex_unlock(&socket->read_lock);
    tcp_unref(peer);
    return result;
}

static void stop_listening(struct tcp_socket *socket);

/* connect to AF_UNSPEC, and shutdown of what is not connected yet. */
static void disconnect(struct tcp_socket *socket)
{
    ignore_result(stop_waiting(socket));
    mutex_lock(&socket->inet.base.lock);
    bool listening = socket->state == STREAM_LISTENING;
    mutex_unlock(&socket->inet.base.lock);
    if (listening) {
        stop_listening(socket);
    }
    mutex_lock(&socket->read_lock);
    struct tcp_socket *peer = tcp_lock_with_peer(socket);
    bool open = socket->state == STREAM_OPEN;
    if (open || socket->state == STREAM_CONNECTING) {
        socket->inet.error = ECONNRESET;
    }
    if (open && peer && peer != socket && peer->state == STREAM_OPEN) {
        tcp_reset_locked(peer);
    }
    struct tcp_socket *old = disconnect_locked(socket);
    tcp_unlock_with_peer(socket, peer);
    mutex_unlock(&socket->read_lock);
    wake(socket);
    if (peer) {
        wake(peer);
    }
    tcp_unref(old);
    tcp_unref(peer);
}

int tcp_connect(struct socket *base, const struct socket_address *name, unsigned flags)
{
    struct tcp_socket *socket = tcp_of(base);
    bool nonblock = (flags & O_NONBLOCK) != 0;
    if (name->length < sizeof(sa_family_t)) {
        return -EINVAL;
    }
    if (name->any.sa_family == AF_UNSPEC) {
        disconnect(socket);
        return 0;
    }
    mutex_lock(&base->lock);
    enum stream_call_state call_state = socket->call_state;
    mutex_unlock(&base->lock);
    if (call_state == CALL_CONNECTED) {
        return -EISCONN;
    }
    if (call_state == CALL_CONNECTING) {
        int result = outcome(socket);
        return result == -EAGAIN && nonblock ? -EALREADY : result;
    }
    int result = start(socket, name);
    if (result != 0) {
        return result;
    }
    /* Linux: the answer of the other end is seen after connect has returned */
    return nonblock ? -EINPROGRESS : outcome(socket);
}

/* --- listen, accept --- */

int tcp_listen(struct socket *base, int backlog)
{
    struct tcp_socket *socket = tcp_of(base);
    int result = 0;
    mutex_lock(&base->lock);
    if (socket->call_state != CALL_UNCONNECTED ||
        (socket->state != STREAM_CLOSED && socket->state != STREAM_LISTENING)) {
        result = -EINVAL;
    } else if (socket->state == STREAM_CLOSED) {
        result = inet_autobind_locked(&socket->inet);
        if (result == 0) {
            result = inet_port_listen_locked(&socket->inet);
        }
        if (result == 0) {
            socket->state = STREAM_LISTENING;
            socket->inet.shutdown = 0;
        }
    }
    if (result == 0) {
        socket->backlog = (uint32_t)backlog;
    }
    mutex_unlock(&base->lock);
    if (result == 0) {
        admit_waiting(socket);
    }
    return result;
}

int tcp_accept(struct socket *base, struct socket **ret_socket)
{
    struct tcp_socket *socket = tcp_of(base);
    int result = 0;
    mutex_lock(&base->lock);
    struct tcp_socket *embryo = TAILQ_FIRST(&socket->embryos);
    if (socket->state != STREAM_LISTENING) {
        result = -EINVAL;
    } else if (!embryo) {
        result = -EAGAIN;
    } else {
        TAILQ_REMOVE(&socket->embryos, embryo, embryo_link);
        socket->embryo_count--;
        *ret_socket = &embryo->inet.base;
    }
    bool waiting = !TAILQ_EMPTY(&socket->waiting);
    mutex_unlock(&base->lock);
    if (result == 0 && waiting) {
        admit_waiting(socket);
    }
    return result;
}

void tcp_accept_undo(struct socket *base, struct socket *accepted)
{
    struct tcp_socket *socket = tcp_of(base);
    mutex_lock(&base->lock);
    bool listening = socket->state == STREAM_LISTENING;
    if (listening) {
        TAILQ_INSERT_HEAD(&socket->embryos, tcp_of(accepted), embryo_link);
        socket->embryo_count++;
    }
    mutex_unlock(&base->lock);
    if (!listening) {
        tcp_release(accepted);
    }
}

/* --- shutdown and close --- */

/* What is in the queue is reset, who waits is refused. */
static void stop_listening(struct tcp_socket *socket)
{
    struct tcp_embryos embryos = TAILQ_HEAD_INITIALIZER(embryos);
    struct tcp_socket *embryo;
    inet_port_unlisten(&socket->inet);
    mutex_lock(&socket->inet.base.lock);
    socket->state = STREAM_CLOSED;
    TAILQ_CONCAT(&embryos, &socket->embryos, embryo_link);
    socket->embryo_count = 0;
    mutex_unlock(&socket->inet.base.lock);
    refuse_waiting(socket);
    while ((embryo = TAILQ_FIRST(&embryos))) {
        TAILQ_REMOVE(&embryos, embryo, embryo_link);
        mutex_lock(&embryo->inet.base.lock);
        embryo->inet.base.options.linger = (struct linger){.l_onoff = 1, .l_linger = 0};
        mutex_unlock(&embryo->inet.base.lock);
        tcp_release(&embryo->inet.base);
    }
}

int tcp_shutdown(struct socket *base, int how)
{
    struct tcp_socket *socket = tcp_of(base);
    unsigned mode = how == SHUT_RD   ? INET_SHUT_RECEIVE
                    : how == SHUT_WR ? INET_SHUT_SEND
                                     : INET_SHUT_BOTH;
    int result = 0;
    struct tcp_socket *peer = tcp_lock_with_peer(socket);
    enum stream_state state = socket->state;
    if (socket->call_state == CALL_CONNECTING) {
        socket->call_state = state == STREAM_OPEN ? CALL_CONNECTED : CALL_CONNECTING;
    }
    if (state == STREAM_CLOSED || state == STREAM_OPEN) {
        /* Linux: nothing is connected, so ENOTCONN, yet the bits are set */
        result = state == STREAM_CLOSED ? -ENOTCONN : 0;
        socket->inet.shutdown |= mode;
        if (mode & INET_SHUT_SEND) {
            send_fin_locked(socket, peer);
        }
    }
    tcp_unlock_with_peer(socket, peer);
    if (state == STREAM_CONNECTING || (state == STREAM_LISTENING && (mode & INET_SHUT_RECEIVE))) {
        disconnect(socket);
    }
    wake(socket);
    if (peer) {
        wake(peer);
        tcp_unref(peer);
    }
    return result;
}

/* Ends the connection as close(2) does: by a reset when bytes were not read or SO_LINGER says so,
 * else by a FIN. Both locked. */
static void close_locked(struct tcp_socket *socket, struct tcp_socket *peer)
{
    const struct linger *linger = &socket->inet.base.options.linger;
    bool reset = atomic_load(&socket->queued) > 0 || (linger->l_onoff && linger->l_linger == 0);
    socket->dead = true;
    socket->inet.base.file = NULL;
    if (socket->state != STREAM_OPEN) {
        return;
    }
    if (!reset) {
        send_fin_locked(socket, peer);
        return;
    }
    if (peer && peer != socket && peer->state == STREAM_OPEN) {
        tcp_reset_locked(peer);
    }
    done_locked(socket);
}

void tcp_release(struct socket *base)
{
    struct tcp_socket *socket = tcp_of(base);
    ignore_result(stop_waiting(socket));
    mutex_lock(&base->lock);
    bool listening = socket->state == STREAM_LISTENING;
    mutex_unlock(&base->lock);
    if (listening) {
        stop_listening(socket);
    }
    struct tcp_socket *peer = tcp_lock_with_peer(socket);
    close_locked(socket, peer);
    struct tcp_socket *own = socket->peer == socket ? NULL : socket->peer;
    socket->peer = NULL;
    tcp_purge_locked(socket);
    tcp_unlock_with_peer(socket, peer);
    timer_cancel(&socket->timer);
    inet_port_release(&socket->inet);
    if (peer && peer != socket) {
        wake(peer);
    }
    tcp_unref(own);
    tcp_unref(peer);
    tcp_unref(socket);
}
