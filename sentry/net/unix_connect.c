/*
 * unix_connect.c: connections of AF_UNIX sockets, and waiting for a full one.
 *
 * connect makes the server's end at once (an embryo in the listener's queue), so a client can send
 * before it is accepted. A socket that found another one full leaves a waiter there; when room
 * appears every waiter's own queue is woken.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/net/unix.h"

#define WAKE_ALL (EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM | EPOLLRDHUP | EPOLLHUP | EPOLLERR)

/* --- waiting for room --- */

int unix_wait_locked(struct unix_socket *full, struct unix_socket *socket)
{
    struct unix_waiter *waiter;
    LIST_FOREACH (waiter, &full->waiters, link) {
        if (waiter->socket == socket) {
            return 0;
        }
    }
    waiter = malloc(sizeof(*waiter));
    if (!waiter) {
        return -ENOMEM;
    }
    waiter->socket = unix_ref(socket);
    LIST_INSERT_HEAD(&full->waiters, waiter, link);
    return 0;
}

struct unix_waiter *unix_waiters_take_locked(struct unix_socket *socket)
{
    struct unix_waiter *first = LIST_FIRST(&socket->waiters);
    LIST_INIT(&socket->waiters);
    return first;
}

void unix_waiters_wake(struct unix_waiter *waiter)
{
    while (waiter) {
        struct unix_waiter *next = LIST_NEXT(waiter, link);
        wait_queue_wake(&waiter->socket->base.queue, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
        unix_unref(waiter->socket);
        free(waiter);
        waiter = next;
    }
}

/* --- stream and seqpacket --- */

/* Both locked. Links socket and the fresh embryo through the listener. */
static int connect_locked(struct unix_socket *socket, struct unix_socket *listener,
                          struct unix_socket *embryo)
{
    struct socket_cred cred;
    if (listener->dead || listener->state != UNIX_LISTENING ||
        (listener->shutdown & UNIX_SHUT_RECEIVE)) {
        return -ECONNREFUSED;
    }
    if (unix_queue_full_locked(listener)) {
        int result = unix_wait_locked(listener, socket);
        return result != 0 ? result : -EAGAIN;
    }
    if (socket->state != UNIX_CLOSED || socket->peer) {
        return socket->state == UNIX_LISTENING ? -EINVAL : -EISCONN;
    }
    unix_cred_of_caller(&cred, true);
    embryo->address = unix_address_ref(listener->address);
    embryo->peer = unix_ref(socket);
    embryo->state = UNIX_CONNECTED;
    embryo->base.options.pass_cred = listener->base.options.pass_cred;
    unix_set_peer_cred_locked(embryo, &cred, current.cred);
    socket->peer = unix_ref(embryo);
    socket->state = UNIX_CONNECTED;
    unix_set_peer_cred_locked(socket, &listener->peer_cred, listener->peer_groups);
    TAILQ_INSERT_TAIL(&listener->embryos, embryo, embryo_link);
    listener->queued++;
    return 0;
}

static int connect_stream(struct unix_socket *socket, const struct socket_address *name)
{
    struct unix_socket *listener;
    int result = unix_lookup(name, socket->base.type, &listener);
    if (result != 0) {
        return result;
    }
    struct unix_socket *embryo = unix_socket_new(socket->base.type);
    if (!embryo) {
        unix_unref(listener);
        return -ENOMEM;
    }
    mutex_lock_two(&socket->base.lock, &listener->base.lock);
    result = connect_locked(socket, listener, embryo);
    mutex_unlock_two(&socket->base.lock, &listener->base.lock);
    if (result == 0) {
        wait_queue_wake(&listener->base.queue, EPOLLIN | EPOLLRDNORM);
        wait_queue_wake(&socket->base.queue, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
    } else {
        unix_unref(embryo);
    }
    unix_unref(listener);
    return result;
}

/* --- datagrams --- */

/* Replaces the peer. What the old peer sent is dropped, and it is told. */
static void change_peer(struct unix_socket *socket, struct unix_socket *peer)
{
    struct unix_packet_list packets = TAILQ_HEAD_INITIALIZER(packets);
    struct unix_packet *packet;
    struct unix_waiter *waiters = NULL;
    bool collecting = unix_lock_with_files(socket);
    struct unix_socket *old = socket->peer;
    socket->peer = peer ? unix_ref(peer) : NULL;
    socket->state = peer ? UNIX_CONNECTED : UNIX_CLOSED;
    bool purge = old && old != peer && !TAILQ_EMPTY(&socket->packets);
    if (purge) {
        TAILQ_CONCAT(&packets, &socket->packets, link);
        socket->queued = socket->queued_bytes = socket->queued_files = 0;
        waiters = unix_waiters_take_locked(socket);
    }
    mutex_unlock(&socket->base.lock);
    if (collecting) {
        TAILQ_FOREACH (packet, &packets, link) {
            unix_inflight_remove_locked(packet);
        }
        mutex_unlock(&unix_gc_lock);
    }
    unix_waiters_wake(waiters);
    unix_packets_free(&packets);
    if (purge) {
        mutex_lock(&old->base.lock);
        bool tell = !old->dead && old->peer == socket;
        if (tell) {
            old->error = ECONNRESET;
        }
        mutex_unlock(&old->base.lock);
        if (tell) {
            wait_queue_wake(&old->base.queue, WAKE_ALL);
        }
    }
    unix_unref(old);
}

static int connect_datagram(struct unix_socket *socket, const struct socket_address *name)
{
    if (name->any.sa_family == AF_UNSPEC) {
        change_peer(socket, NULL);
        return 0;
    }
    struct unix_socket *peer;
    int result = unix_lookup(name, SOCK_DGRAM, &peer);
    if (result != 0) {
        return result;
    }
    mutex_lock(&peer->base.lock);
    if (peer->dead) {
        result = -ECONNREFUSED;
    } else if (peer->peer && peer->peer != socket) {
        result = -EPERM; /* Linux: it is connected to somebody else */
    }
    mutex_unlock(&peer->base.lock);
    if (result == 0) {
        change_peer(socket, peer);
    }
    unix_unref(peer);
    return result;
}

int unix_connect(struct socket *base, const struct socket_address *name, unsigned flags)
{
    (void)flags;
    struct unix_socket *socket = unix_of(base);
    if (name->length < sizeof(sa_family_t)) {
        return -EINVAL;
    }
    int result = unix_autobind_if_passing(socket);
    if (result != 0) {
        return result;
    }
    return base->type == SOCK_DGRAM ? connect_datagram(socket, name) : connect_stream(socket, name);
}

/* --- listen, accept, pair, shutdown --- */

int unix_listen(struct socket *base, int backlog)
{
    struct unix_socket *socket = unix_of(base);
    struct unix_waiter *waiters = NULL;
    struct socket_cred cred;
    int result = 0;
    if (base->type == SOCK_DGRAM) {
        return -EOPNOTSUPP;
    }
    unix_cred_of_caller(&cred, true);
    mutex_lock(&base->lock);
    if (!socket->address || socket->state == UNIX_CONNECTED) {
        result = -EINVAL;
    } else {
        if ((uint32_t)backlog > socket->backlog) {
            waiters = unix_waiters_take_locked(socket);
        }
        socket->backlog = (uint32_t)backlog;
        socket->state = UNIX_LISTENING;
        unix_set_peer_cred_locked(socket, &cred, current.cred);
    }
    mutex_unlock(&base->lock);
    unix_waiters_wake(waiters);
    return result;
}

int unix_accept(struct socket *base, struct socket **ret_socket)
{
    struct unix_socket *socket = unix_of(base);
    struct unix_waiter *waiters = NULL;
    int result = 0;
    if (base->type == SOCK_DGRAM) {
        return -EOPNOTSUPP;
    }
    mutex_lock(&base->lock);
    struct unix_socket *embryo = TAILQ_FIRST(&socket->embryos);
    if (socket->state != UNIX_LISTENING) {
        result = -EINVAL;
    } else if (!embryo) {
        result = (socket->shutdown & UNIX_SHUT_RECEIVE) ? -EINVAL : -EAGAIN;
    } else {
        TAILQ_REMOVE(&socket->embryos, embryo, embryo_link);
        socket->queued--;
        waiters = unix_waiters_take_locked(socket);
        *ret_socket = &embryo->base;
    }
    mutex_unlock(&base->lock);
    unix_waiters_wake(waiters);
    return result;
}

void unix_accept_undo(struct socket *base, struct socket *accepted)
{
    struct unix_socket *socket = unix_of(base);
    mutex_lock(&base->lock);
    TAILQ_INSERT_HEAD(&socket->embryos, unix_of(accepted), embryo_link);
    socket->queued++;
    mutex_unlock(&base->lock);
}

int unix_pair(struct socket *a_base, struct socket *b_base)
{
    struct unix_socket *a = unix_of(a_base);
    struct unix_socket *b = unix_of(b_base);
    struct socket_cred cred;
    unix_cred_of_caller(&cred, true);
    mutex_lock_two(&a_base->lock, &b_base->lock);
    a->peer = unix_ref(b);
    b->peer = unix_ref(a);
    a->state = b->state = UNIX_CONNECTED;
    unix_set_peer_cred_locked(a, &cred, current.cred);
    unix_set_peer_cred_locked(b, &cred, current.cred);
    mutex_unlock_two(&a_base->lock, &b_base->lock);
    return 0;
}

int unix_shutdown(struct socket *base, int how)
{
    struct unix_socket *socket = unix_of(base);
    unsigned mode = how == SHUT_RD   ? UNIX_SHUT_RECEIVE
                    : how == SHUT_WR ? UNIX_SHUT_SEND
                                     : UNIX_SHUT_BOTH;
    mutex_lock(&base->lock);
    socket->shutdown |= mode;
    struct unix_socket *peer =
        base->type != SOCK_DGRAM && socket->peer ? unix_ref(socket->peer) : NULL;
    mutex_unlock(&base->lock);
    wait_queue_wake(&base->queue, WAKE_ALL);
    if (peer) {
        mutex_lock(&peer->base.lock);
        if (mode & UNIX_SHUT_RECEIVE) {
            peer->shutdown |= UNIX_SHUT_SEND;
        }
        if (mode & UNIX_SHUT_SEND) {
            peer->shutdown |= UNIX_SHUT_RECEIVE;
        }
        mutex_unlock(&peer->base.lock);
        wait_queue_wake(&peer->base.queue, WAKE_ALL);
        unix_unref(peer);
    }
    return 0;
}
