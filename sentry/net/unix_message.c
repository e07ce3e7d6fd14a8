/*
 * unix_message.c: packets: send and receive.
 *
 * A packet is charged to its sender until it was consumed, as on Linux; a sender is writable again
 * when three quarters of its buffer are free. Stream packets are never merged in the queue; a
 * receive joins them unless they carry files or other credentials.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/mm/uio.h"
#include "sentry/net/unix.h"
#include "sentry/vfs/file.h"

#define OVERFLOW_ID 65534U

bool unix_queue_full_locked(const struct unix_socket *socket)
{
    return socket->queued > socket->backlog;
}

bool unix_writable(const struct unix_socket *socket)
{
    return (uint64_t)atomic_load(&socket->sent) * 4 <= socket->base.options.send_buffer;
}

/* --- packets --- */

static struct unix_packet *packet_new(struct unix_socket *sender, uint32_t length)
{
    struct unix_packet *packet = malloc(sizeof(*packet) + length);
    if (!packet) {
        return NULL;
    }
    memset(packet, 0, sizeof(*packet));
    packet->sender = unix_ref(sender);
    packet->length = length;
    packet->charge = (length + 63) / 64 * 64 + UNIX_PACKET_OVERHEAD;
    atomic_fetch_add(&sender->sent, packet->charge);
    return packet;
}

static void packet_uncharge(struct unix_packet *packet)
{
    struct unix_socket *sender = packet->sender;
    bool was_writable = unix_writable(sender);
    atomic_fetch_sub(&sender->sent, packet->charge);
    if (!was_writable && unix_writable(sender)) {
        wait_queue_wake(&sender->base.queue, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
    }
    packet->sender = unix_unref(sender);
}

/*
 * Dropping a file may release a socket whose queue holds files, and so on: the outermost call on a
 * thread drops them one after another, so that a long chain does not use up the stack.
 */
static _Thread_local struct unix_packet_list *dropping;

void unix_packets_free(struct unix_packet_list *packets)
{
    struct unix_packet_list pending = TAILQ_HEAD_INITIALIZER(pending);
    struct unix_packet *packet;
    if (dropping) {
        TAILQ_CONCAT(dropping, packets, link);
        return;
    }
    TAILQ_CONCAT(&pending, packets, link);
    dropping = &pending;
    while ((packet = TAILQ_FIRST(&pending))) {
        TAILQ_REMOVE(&pending, packet, link);
        packet_uncharge(packet);
        for (uint32_t i = 0; i < packet->file_count; i++) {
            file_unref(packet->files[i]);
        }
        free(packet->files);
        free(packet);
    }
    dropping = NULL;
}

static void packet_free(struct unix_packet *packet)
{
    struct unix_packet_list one = TAILQ_HEAD_INITIALIZER(one);
    TAILQ_INSERT_TAIL(&one, packet, link);
    unix_packets_free(&one);
}

/* --- sending --- */

static int control_check(struct socket_message *message)
{
    const struct cred *cred = current.cred;
    if (message->file_count > SOCKET_FILES_MAX) {
        return -EINVAL;
    }
    if (message->file_count > 0 &&
        unix_inflight_total() + message->file_count > UNIX_INFLIGHT_MAX) {
        return -ETOOMANYREFS;
    }
    if (message->has_cred) {
        const struct socket_cred *claim = &message->cred;
        bool uid_ok = claim->uid == cred->uid || claim->uid == cred->euid ||
                      claim->uid == cred->suid || capable(7 /* CAP_SETUID */);
        bool gid_ok = claim->gid == cred->gid || claim->gid == cred->egid ||
                      claim->gid == cred->sgid || capable(6 /* CAP_SETGID */);
        bool pid_ok = claim->pid == current.tgid || capable(21 /* CAP_SYS_ADMIN */);
        if (!uid_ok || !gid_ok || !pid_ok) {
            return -EPERM;
        }
    }
    return 0;
}

/* The packet takes the message's files (only memory is allocated; references move at commit). */
static int packet_attach(struct unix_packet *packet, struct socket_message *message)
{
    if (message->has_cred) {
        packet->has_cred = true;
        packet->cred = message->cred;
    }
    if (message->file_count == 0) {
        return 0;
    }
    packet->files = malloc(message->file_count * sizeof(struct file *));
    if (!packet->files) {
        return -ENOMEM;
    }
    memcpy(packet->files, message->files, message->file_count * sizeof(struct file *));
    packet->file_count = message->file_count;
    return 0;
}

/* The message was not sent: its files stay the caller's. */
static void packet_abandon(struct unix_packet *packet)
{
    packet->file_count = 0;
    packet_free(packet);
}

/* Queues the packet on target, which is locked (and gc_lock held when there are files). */
static void packet_commit_locked(struct unix_socket *socket, struct unix_socket *target,
                                 struct unix_packet *packet, struct socket_message *message)
{
    if (!packet->has_cred &&
        (socket->base.options.pass_cred || target->base.options.pass_cred || !target->base.file)) {
        packet->has_cred = true;
        unix_cred_of_caller(&packet->cred, false);
    }
    if (packet->file_count > 0) {
        unix_inflight_add_locked(packet);
        target->queued_files++;
        message->file_count = 0;
    }
    TAILQ_INSERT_TAIL(&target->packets, packet, link);
    target->queued++;
    target->queued_bytes += packet->length;
}

static void lock_target(struct unix_socket *target, bool files) NO_THREAD_SAFETY_ANALYSIS
{
    if (files) {
        mutex_lock(&unix_gc_lock);
        mutex_lock_nested(&target->base.lock);
    } else {
        mutex_lock(&target->base.lock);
    }
}

static void unlock_target(struct unix_socket *target, bool files) NO_THREAD_SAFETY_ANALYSIS
{
    mutex_unlock(&target->base.lock);
    if (files) {
        mutex_unlock(&unix_gc_lock);
    }
}

static ssize_t stream_broken(const struct socket_message *message)
{
    if (!(message->flags & MSG_NOSIGNAL) && current_hooks.send_signal) {
        current_hooks.send_signal(SIGPIPE);
    }
    return -EPIPE;
}

/* One packet to the peer of a stream. Returns bytes or negative errno. */
static ssize_t send_chunk(struct unix_socket *socket, struct unix_socket *peer,
                          struct socket_message *message)
{
    uint32_t buffer = socket->base.options.send_buffer;
    if (atomic_load(&socket->sent) >= buffer) {
        return -EAGAIN;
    }
    uint64_t most = min_of((uint64_t)UNIX_STREAM_CHUNK, (uint64_t)max_of(buffer / 2, 128U) - 64);
    uint32_t length = (uint32_t)min_of(message->uio->left, most);
    struct unix_packet *packet = packet_new(socket, length);
    if (!packet) {
        return -ENOMEM;
    }
    int result = packet_attach(packet, message);
    ssize_t got = result != 0 ? result : uio_get(message->uio, packet->data, length);
    if (got <= 0) {
        packet_abandon(packet);
        return got;
    }
    packet->length = (uint32_t)got;
    bool files = packet->file_count > 0;
    lock_target(peer, files);
    bool broken = peer->dead || (peer->shutdown & UNIX_SHUT_RECEIVE);
    if (!broken) {
        packet_commit_locked(socket, peer, packet, message);
    }
    unlock_target(peer, files);
    if (broken) {
        uio_rewind(message->uio, (uint64_t)got);
        packet_abandon(packet);
        return -EPIPE;
    }
    wait_queue_wake(&peer->base.queue, EPOLLIN | EPOLLRDNORM);
    return got;
}

static ssize_t send_stream(struct unix_socket *socket, struct socket_message *message)
{
    mutex_lock(&socket->base.lock);
    bool connected = socket->state == UNIX_CONNECTED;
    bool shut = (socket->shutdown & UNIX_SHUT_SEND) != 0;
    struct unix_socket *peer = socket->peer ? unix_ref(socket->peer) : NULL;
    mutex_unlock(&socket->base.lock);
    ssize_t done = 0;
    ssize_t result = 0;
    if (message->name.length > 0) {
        result = connected ? -EISCONN : -EOPNOTSUPP;
    } else if (!peer) {
        result = -ENOTCONN;
    } else if (shut) {
        result = stream_broken(message);
    }
    while (result >= 0 && message->uio->left > 0) {
        result = send_chunk(socket, peer, message);
        if (result == 0) {
            break;
        }
        done += result > 0 ? result : 0;
    }
    if (result == -EPIPE && !shut && done == 0) {
        result = stream_broken(message);
    }
    unix_unref(peer);
    return done > 0 ? done : result;
}

/* The receiver of a datagram: the named one, or the peer. */
static int datagram_target(struct unix_socket *socket, struct socket_message *message,
                           struct unix_socket **ret)
{
    if (message->name.length > 0 && socket->base.type == SOCK_DGRAM) {
        return unix_lookup(&message->name, SOCK_DGRAM, ret);
    }
    mutex_lock(&socket->base.lock);
    int result = 0;
    if (!socket->peer || (socket->base.type == SOCK_SEQPACKET && socket->state != UNIX_CONNECTED)) {
        result = -ENOTCONN;
    } else {
        *ret = unix_ref(socket->peer);
    }
    mutex_unlock(&socket->base.lock);
    return result;
}

/* Whether target takes a datagram from socket now. -EAGAIN leaves a waiter. */
static int target_check_locked(struct unix_socket *socket, struct unix_socket *target)
{
    if (target->dead) {
        return -ECONNREFUSED;
    }
    if (target->peer && target->peer != socket) {
        return -EPERM;
    }
    if (target->shutdown & UNIX_SHUT_RECEIVE) {
        return -EPIPE;
    }
    if (target != socket && target->peer != socket && unix_queue_full_locked(target)) {
        int result = unix_wait_locked(target, socket);
        return result != 0 ? result : -EAGAIN;
    }
    return 0;
}

/* A connected datagram socket whose peer is gone is no longer connected. */
static void forget_dead_peer(struct unix_socket *socket, struct unix_socket *peer)
{
    if (socket->base.type != SOCK_DGRAM) {
        return;
    }
    mutex_lock(&socket->base.lock);
    bool mine = socket->peer == peer;
    if (mine) {
        socket->peer = NULL;
        socket->state = UNIX_CLOSED;
    }
    mutex_unlock(&socket->base.lock);
    if (mine) {
        unix_unref(peer);
    }
}

static int send_to(struct unix_socket *socket, struct unix_socket *target,
                   struct unix_packet *packet, struct socket_message *message)
{
    bool files = packet->file_count > 0;
    lock_target(target, files);
    int result = target_check_locked(socket, target);
    if (result == 0) {
        packet_commit_locked(socket, target, packet, message);
    }
    unlock_target(target, files);
    if (result == 0) {
        wait_queue_wake(&target->base.queue, EPOLLIN | EPOLLRDNORM);
    }
    return result;
}

static ssize_t send_datagram(struct unix_socket *socket, struct socket_message *message)
{
    struct unix_socket *target;
    uint64_t length = message->uio->left;
    int result = datagram_target(socket, message, &target);
    if (result != 0) {
        return result;
    }
    mutex_lock(&socket->base.lock);
    uint32_t buffer = socket->base.options.send_buffer;
    bool shut = (socket->shutdown & UNIX_SHUT_SEND) != 0;
    mutex_unlock(&socket->base.lock);
    struct unix_packet *packet = NULL;
    if (length + 32 > buffer) {
        result = -EMSGSIZE;
    } else if (shut) {
        result = -EPIPE;
    } else if (atomic_load(&socket->sent) >= buffer) {
        result = -EAGAIN;
    } else {
        packet = packet_new(socket, (uint32_t)length);
        result = packet ? packet_attach(packet, message) : -ENOMEM;
    }
    ssize_t got = 0;
    if (result == 0 && length > 0) {
        got = uio_get(message->uio, packet->data, length);
        result = got == (ssize_t)length ? 0 : -EFAULT;
    }
    if (result == 0) {
        result = send_to(socket, target, packet, message);
    }
    if (result == -ECONNREFUSED) {
        forget_dead_peer(socket, target);
    }
    if (result != 0 && packet) {
        if (got > 0) {
            uio_rewind(message->uio, (uint64_t)got);
        }
        packet_abandon(packet);
    }
    unix_unref(target);
    return result != 0 ? result : (ssize_t)length;
}

ssize_t unix_send(struct socket *base, struct socket_message *message)
{
    struct unix_socket *socket = unix_of(base);
    if (message->flags & MSG_OOB) {
        return -EOPNOTSUPP;
    }
    int result = control_check(message);
    if (result == 0) {
        result = unix_autobind_if_passing(socket);
    }
    if (result != 0) {
        return result;
    }
    bool files = message->file_count > 0;
    ssize_t count =
        base->type == SOCK_STREAM ? send_stream(socket, message) : send_datagram(socket, message);
    if (files && count >= 0) {
        unix_gc_maybe();
    }
    return count;
}

/* --- receiving --- */

static void receive_cred(struct unix_socket *socket, const struct unix_packet *packet,
                         struct socket_message *message)
{
    if (!socket->base.options.pass_cred) {
        return;
    }
    message->has_cred = true;
    message->cred =
        packet->has_cred ? packet->cred : (struct socket_cred){0, OVERFLOW_ID, OVERFLOW_ID};
}

/* Gives the packet's files to the message: as new references when peeking. gc_lock is held. */
static int receive_files(struct unix_socket *socket, struct unix_packet *packet,
                         struct socket_message *message, bool peek)
{
    if (packet->file_count == 0) {
        return 0;
    }
    if (peek) {
        struct file **files = malloc(packet->file_count * sizeof(struct file *));
        if (!files) {
            return -ENOMEM;
        }
        for (uint32_t i = 0; i < packet->file_count; i++) {
            files[i] = file_ref(packet->files[i]);
        }
        message->files = files;
        message->file_count = packet->file_count;
        return 0;
    }
    unix_inflight_remove_locked(packet);
    message->files = packet->files;
    message->file_count = packet->file_count;
    packet->files = NULL;
    packet->file_count = 0;
    socket->queued_files--;
    return 0;
}

static void receive_name(struct unix_packet *packet, struct socket_message *message)
{
    struct unix_socket *sender = packet->sender;
    /* The address is set once and lives as long as the sender. */
    struct unix_address *address = sender->address;
    if (address) {
        unix_address_get(address, &message->name);
    }
}

static void dequeue_locked(struct unix_socket *socket, struct unix_packet *packet,
                           struct unix_packet_list *done)
{
    TAILQ_REMOVE(&socket->packets, packet, link);
    socket->queued--;
    TAILQ_INSERT_TAIL(done, packet, link);
}

static bool same_writer(const struct socket_message *message, const struct unix_packet *packet)
{
    if (!packet->has_cred) {
        return message->cred.pid == 0;
    }
    return message->cred.pid == packet->cred.pid && message->cred.uid == packet->cred.uid &&
           message->cred.gid == packet->cred.gid;
}

/* Copies from the packets of a stream. Locked; gc_lock held when any carries files. */
static ssize_t stream_take_locked(struct unix_socket *socket, struct socket_message *message,
                                  struct unix_packet_list *done)
{
    bool peek = (message->flags & MSG_PEEK) != 0;
    struct unix_packet *packet, *next;
    ssize_t total = 0;
    bool first = true;
    TAILQ_FOREACH_SAFE (packet, &socket->packets, link, next) {
        if (message->uio->left == 0) {
            break;
        }
        if (!first && message->has_cred && !same_writer(message, packet)) {
            break;
        }
        uint32_t part =
            (uint32_t)min_of(message->uio->left, (uint64_t)(packet->length - packet->offset));
        ssize_t put = uio_put(message->uio, packet->data + packet->offset, part);
        if (put < 0) {
            return total > 0 ? total : put;
        }
        if (first) {
            receive_cred(socket, packet, message);
            receive_name(packet, message);
            first = false;
        }
        bool files = packet->file_count > 0;
        total += put;
        int result = receive_files(socket, packet, message, peek);
        if (result != 0) {
            return result;
        }
        if (!peek) {
            packet->offset += (uint32_t)put;
            socket->queued_bytes -= (uint32_t)put;
            if (packet->offset < packet->length) {
                break;
            }
            dequeue_locked(socket, packet, done);
        }
        if (files || (uint32_t)put < part) {
            break;
        }
    }
    return total;
}

static ssize_t receive_stream(struct unix_socket *socket, struct socket_message *message)
{
    struct unix_packet_list done = TAILQ_HEAD_INITIALIZER(done);
    struct unix_waiter *waiters = NULL;
    ssize_t count;
    bool collecting = unix_lock_with_files(socket);
    if (socket->state != UNIX_CONNECTED) {
        count = -EINVAL;
    } else if (!TAILQ_EMPTY(&socket->packets)) {
        count = message->uio->left == 0 ? 0 : stream_take_locked(socket, message, &done);
    } else if (socket->error) {
        count = -socket->error;
        socket->error = 0;
    } else {
        count = (socket->shutdown & UNIX_SHUT_RECEIVE) || message->uio->left == 0 ? 0 : -EAGAIN;
    }
    if (!TAILQ_EMPTY(&done)) {
        waiters = unix_waiters_take_locked(socket);
    }
    mutex_unlock(&socket->base.lock);
    if (collecting) {
        mutex_unlock(&unix_gc_lock);
    }
    unix_waiters_wake(waiters);
    unix_packets_free(&done);
    return count;
}

/* The answer of a datagram socket without packets, or with an error. */
static ssize_t datagram_empty_locked(struct unix_socket *socket, unsigned flags)
{
    if (socket->error) {
        int error = socket->error;
        socket->error = 0;
        return -error;
    }
    if (socket->shutdown & UNIX_SHUT_RECEIVE) {
        /* Linux: end of file, but a non-blocking SOCK_DGRAM receive still says EAGAIN. */
        return socket->base.type == SOCK_DGRAM && (flags & MSG_DONTWAIT) ? -EAGAIN : 0;
    }
    return -EAGAIN;
}

static ssize_t receive_datagram(struct unix_socket *socket, struct socket_message *message)
{
    bool peek = (message->flags & MSG_PEEK) != 0;
    struct unix_packet_list done = TAILQ_HEAD_INITIALIZER(done);
    struct unix_waiter *waiters = NULL;
    ssize_t count = 0;
    bool collecting = unix_lock_with_files(socket);
    struct unix_packet *packet = TAILQ_FIRST(&socket->packets);
    if (socket->base.type == SOCK_SEQPACKET && socket->state != UNIX_CONNECTED) {
        count = -ENOTCONN;
    } else if (!packet || socket->error) { /* Linux: a pending error comes before what is queued */
        packet = NULL;
        count = datagram_empty_locked(socket, message->flags);
    } else {
        uint32_t part = (uint32_t)min_of(message->uio->left, (uint64_t)packet->length);
        ssize_t put = part > 0 ? uio_put(message->uio, packet->data, part) : 0;
        if (put != (ssize_t)part) {
            count = -EFAULT;
        } else {
            receive_cred(socket, packet, message);
            receive_name(packet, message);
            count = receive_files(socket, packet, message, peek);
        }
        if (count == 0) {
            if (part < packet->length) {
                message->ret_flags |= MSG_TRUNC;
            }
            count = (message->flags & MSG_TRUNC) ? packet->length : part;
        }
        if (!peek) {
            socket->queued_bytes -= packet->length;
            if (packet->file_count > 0) { /* the copy failed: the datagram is lost, as on Linux */
                unix_inflight_remove_locked(packet);
                socket->queued_files--;
            }
            dequeue_locked(socket, packet, &done);
            waiters = unix_waiters_take_locked(socket);
        }
    }
    mutex_unlock(&socket->base.lock);
    if (collecting) {
        mutex_unlock(&unix_gc_lock);
    }
    unix_waiters_wake(waiters);
    unix_packets_free(&done);
    return count;
}

ssize_t unix_receive(struct socket *base, struct socket_message *message)
{
    if (message->flags & MSG_OOB) {
        return -EOPNOTSUPP;
    }
    return base->type == SOCK_STREAM ? receive_stream(unix_of(base), message)
                                     : receive_datagram(unix_of(base), message);
}
