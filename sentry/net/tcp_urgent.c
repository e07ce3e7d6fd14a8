/*
 * tcp_urgent.c: the one out-of-band byte of a stream. Its place is counted in bytes of the stream;
 * the byte is in the queue like the others and is skipped by reads unless SO_OOBINLINE is set.
 * Source: Linux tcp_check_urg, tcp_recv_urg, tcp_recvmsg_locked.
 */
#include "sentry/net/tcp.h"

#include <errno.h>

#include "sentry/mm/uio.h"

static bool inlined(const struct tcp_socket *socket)
{
    return socket->inet.base.options.values[SO_OOBINLINE] != 0;
}

void tcp_urgent_mark_locked(struct tcp_socket *socket, unsigned char byte)
{
    socket->urgent = URGENT_VALID;
    socket->urgent_at = socket->taken + atomic_load(&socket->queued) - 1;
    socket->urgent_byte = byte;
}

uint32_t tcp_urgent_limit_locked(const struct tcp_socket *socket, uint64_t at, uint32_t length,
                                 bool *ret_skip)
{
    *ret_skip = false;
    if (socket->urgent == URGENT_NONE || socket->urgent_at < at ||
        socket->urgent_at - at >= length) {
        return length;
    }
    if (socket->urgent_at > at) {
        return (uint32_t)(socket->urgent_at - at);
    }
    *ret_skip = !inlined(socket);
    return length;
}

bool tcp_at_mark_locked(const struct tcp_socket *socket)
{
    return socket->urgent != URGENT_NONE && socket->urgent_at == socket->taken;
}

static ssize_t receive_locked(struct tcp_socket *socket, struct socket_message *message)
{
    if (inlined(socket) || socket->urgent != URGENT_VALID) {
        return -EINVAL;
    }
    if (socket->state == STREAM_CLOSED && !socket->fin_received) {
        return -ENOTCONN;
    }
    if (!(message->flags & MSG_PEEK)) {
        socket->urgent = URGENT_READ;
    }
    message->ret_flags |= MSG_OOB;
    if (message->uio->left == 0) {
        message->ret_flags |= MSG_TRUNC;
        return 0;
    }
    return message->flags & MSG_TRUNC ? 1 : uio_put(message->uio, &socket->urgent_byte, 1);
}

ssize_t tcp_urgent_receive(struct tcp_socket *socket, struct socket_message *message)
{
    mutex_lock(&socket->inet.base.lock);
    ssize_t count = socket->state == STREAM_LISTENING ? -ENOTCONN : receive_locked(socket, message);
    mutex_unlock(&socket->inet.base.lock);
    return count;
}
