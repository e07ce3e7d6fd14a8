/*
 * netlink.c: NETLINK_ROUTE and NETLINK_SOCK_DIAG sockets, so that getifaddrs, if_nameindex,
 * getaddrinfo and iproute2 work. netlink_route.c has the answers. Requests are hostile bytes: each
 * header is checked against what is left. Source: netlink(7), rtnetlink(7).
 */
#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/queue.h"
#include "platform/base/text.h"
#include "sentry/core/current.h"
#include "sentry/mm/uio.h"
#include "sentry/net/netlink_route.h"
#include "sentry/net/socket.h"

#define REQUEST_MAX 65536

struct netlink_reply {
    TAILQ_ENTRY(netlink_reply) link;
    uint32_t length;
    unsigned char data[];
};

struct netlink_socket {
    struct socket base;
    /* under base.lock */
    uint32_t port_id; /* nl_pid; 0: not bound */
    uint32_t groups;
    TAILQ_HEAD(, netlink_reply) replies;
    uint32_t queued; /* bytes */
    int error;
};

static atomic_uint next_port_id = 1U << 31;

static struct netlink_socket *netlink_of(struct socket *socket)
{
    return container_of(socket, struct netlink_socket, base);
}

/* One datagram of answers per request, as Linux sends them. */
static int reply_queue_locked(struct netlink_socket *socket, const struct text *text)
{
    if (text->length == 0) {
        return 0;
    }
    if (socket->queued + text->length > socket->base.options.receive_buffer) {
        socket->error = ENOBUFS;
        return 0;
    }
    struct netlink_reply *reply = malloc(sizeof(*reply) + text->length);
    if (!reply) {
        return -ENOMEM;
    }
    reply->length = (uint32_t)text->length;
    memcpy(reply->data, text->data, text->length);
    TAILQ_INSERT_TAIL(&socket->replies, reply, link);
    socket->queued += reply->length;
    return 0;
}

static void bind_locked(struct netlink_socket *socket, uint32_t port_id)
{
    if (socket->port_id == 0) {
        if (port_id == 0) {
            port_id = atomic_fetch_add(&next_port_id, 1);
        }
        socket->port_id = port_id;
    }
}

static int requests_run_locked(struct netlink_socket *socket, const unsigned char *data,
                               uint32_t length)
{
    while (length >= sizeof(struct nlmsghdr)) {
        struct nlmsghdr request;
        memcpy(&request, data, sizeof(request));
        if (request.nlmsg_len < sizeof(request) || request.nlmsg_len > length) {
            return 0;
        }
        auto_text struct text text = TEXT_INIT;
        bool route = socket->base.protocol == NETLINK_ROUTE;
        (route ? netlink_route_answer : netlink_diag_answer)(
            &text, &request, data + sizeof(request), request.nlmsg_len - (uint32_t)sizeof(request),
            socket->port_id);
        int result = text.failed ? -ENOMEM : reply_queue_locked(socket, &text);
        if (result != 0) {
            return result;
        }
        uint32_t step = min_of(NLMSG_ALIGN(request.nlmsg_len), length);
        data += step;
        length -= step;
    }
    return 0;
}

static ssize_t netlink_send(struct socket *base, struct socket_message *message)
{
    struct netlink_socket *socket = netlink_of(base);
    uint64_t length = message->uio->left;
    if (message->flags & MSG_OOB) {
        return -EOPNOTSUPP;
    }
    if (message->name.length > 0) {
        struct sockaddr_nl name;
        if (message->name.length < sizeof(name) || message->name.any.sa_family != AF_NETLINK) {
            return -EINVAL;
        }
        memcpy(&name, message->name.bytes, sizeof(name));
        if (name.nl_pid != 0) {
            return -ECONNREFUSED; /* only the kernel is there to talk to */
        }
    }
    if (length > REQUEST_MAX) {
        return -EMSGSIZE;
    }
    auto_free unsigned char *data = malloc(length + 1);
    if (!data) {
        return -ENOMEM;
    }
    ssize_t got = length > 0 ? uio_get(message->uio, data, length) : 0;
    if (got != (ssize_t)length) {
        return -EFAULT;
    }
    mutex_lock(&base->lock);
    bind_locked(socket, 0);
    int result = requests_run_locked(socket, data, (uint32_t)length);
    mutex_unlock(&base->lock);
    wait_queue_wake(&base->queue, EPOLLIN | EPOLLRDNORM);
    return result != 0 ? result : (ssize_t)length;
}

static ssize_t netlink_receive(struct socket *base, struct socket_message *message)
{
    struct netlink_socket *socket = netlink_of(base);
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t count;
    if (message->flags & MSG_OOB) {
        return -EOPNOTSUPP;
    }
    mutex_lock(&base->lock);
    struct netlink_reply *reply = TAILQ_FIRST(&socket->replies);
    if (socket->error) {
        count = -socket->error;
        socket->error = 0;
        reply = NULL;
    } else if (!reply) {
        count = -EAGAIN;
    } else {
        uint32_t part = (uint32_t)min_of(message->uio->left, (uint64_t)reply->length);
        ssize_t put = part > 0 ? uio_put(message->uio, reply->data, part) : 0;
        memcpy(message->name.bytes, &kernel, sizeof(kernel));
        message->name.length = sizeof(kernel);
        if (part < reply->length) {
            message->ret_flags |= MSG_TRUNC;
        }
        count = put != (ssize_t)part
                    ? -EFAULT
                    : (ssize_t)((message->flags & MSG_TRUNC) ? reply->length : part);
    }
    if (reply && !(message->flags & MSG_PEEK)) {
        TAILQ_REMOVE(&socket->replies, reply, link);
        socket->queued -= reply->length;
        free(reply);
    }
    if (count >= 0 && base->options.pass_cred) {
        message->has_cred = true;
        message->cred = (struct socket_cred){0, 0, 0};
    }
    mutex_unlock(&base->lock);
    return count;
}

/* --- the rest --- */

static int netlink_bind(struct socket *base, const struct socket_address *address)
{
    struct netlink_socket *socket = netlink_of(base);
    struct sockaddr_nl name;
    if (address->length < sizeof(name) || address->any.sa_family != AF_NETLINK) {
        return -EINVAL;
    }
    memcpy(&name, address->bytes, sizeof(name));
    mutex_lock(&base->lock);
    int result = 0;
    if (socket->port_id != 0 && name.nl_pid != 0 && name.nl_pid != socket->port_id) {
        result = -EINVAL;
    } else {
        bind_locked(socket, name.nl_pid);
        socket->groups = name.nl_groups;
    }
    mutex_unlock(&base->lock);
    return result;
}

static int netlink_connect(struct socket *base, const struct socket_address *name, unsigned flags)
{
    (void)flags;
    if (name->any.sa_family == AF_UNSPEC) {
        return 0;
    }
    if (name->length < sizeof(struct sockaddr_nl) || name->any.sa_family != AF_NETLINK) {
        return -EINVAL;
    }
    mutex_lock(&base->lock);
    bind_locked(netlink_of(base), 0);
    mutex_unlock(&base->lock);
    return 0;
}

static int netlink_listen(struct socket *base, int backlog)
{
    (void)base;
    (void)backlog;
    return -EOPNOTSUPP;
}

static int netlink_accept(struct socket *base, struct socket **ret_socket)
{
    (void)base;
    (void)ret_socket;
    return -EOPNOTSUPP;
}

static int netlink_shutdown(struct socket *base, int how)
{
    (void)base;
    (void)how;
    return -EOPNOTSUPP;
}

static int netlink_get_name(struct socket *base, bool peer, struct socket_address *ret_name)
{
    struct netlink_socket *socket = netlink_of(base);
    struct sockaddr_nl name = {.nl_family = AF_NETLINK};
    mutex_lock(&base->lock);
    if (!peer) {
        name.nl_pid = socket->port_id;
        name.nl_groups = socket->groups;
    }
    mutex_unlock(&base->lock);
    memcpy(ret_name->bytes, &name, sizeof(name));
    ret_name->length = sizeof(name);
    return 0;
}

/* Memberships, NETLINK_EXT_ACK and the like change nothing here: nothing is ever announced. */
static int netlink_set_option(struct socket *base, int level, int option, const void *value,
                              uint32_t length)
{
    (void)base;
    (void)value;
    if (level != SOL_NETLINK) {
        return -ENOPROTOOPT;
    }
    return length < sizeof(int) || option < 1 || option > NETLINK_GET_STRICT_CHK ? -EINVAL : 0;
}

static int netlink_get_option(struct socket *base, int level, int option, void *value,
                              uint32_t *length)
{
    (void)base;
    (void)option;
    return level == SOL_NETLINK ? socket_option_put_int(value, length, 0) : -ENOPROTOOPT;
}

static long netlink_ioctl(struct socket *base, unsigned command, uint64_t argument)
{
    (void)base;
    (void)command;
    (void)argument;
    return -ENOTTY;
}

static uint32_t netlink_poll(struct socket *base)
{
    struct netlink_socket *socket = netlink_of(base);
    uint32_t mask = EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
    mutex_lock_nested(&base->lock);
    if (!TAILQ_EMPTY(&socket->replies)) {
        mask |= EPOLLIN | EPOLLRDNORM;
    }
    if (socket->error) {
        mask |= EPOLLERR;
    }
    mutex_unlock(&base->lock);
    return mask;
}

static void netlink_release(struct socket *base)
{
    struct netlink_socket *socket = netlink_of(base);
    struct netlink_reply *reply;
    while ((reply = TAILQ_FIRST(&socket->replies))) {
        TAILQ_REMOVE(&socket->replies, reply, link);
        free(reply);
    }
    socket_fini(base);
    free(socket);
}

static int netlink_take_error(struct socket *base)
{
    mutex_lock(&base->lock);
    int error = netlink_of(base)->error;
    netlink_of(base)->error = 0;
    mutex_unlock(&base->lock);
    return error;
}

static bool netlink_is_listening(struct socket *base)
{
    (void)base;
    return false;
}

static const struct socket_ops netlink_socket_ops = {
    .bind = netlink_bind,
    .connect = netlink_connect,
    .listen = netlink_listen,
    .accept = netlink_accept,
    .send = netlink_send,
    .receive = netlink_receive,
    .shutdown = netlink_shutdown,
    .get_name = netlink_get_name,
    .set_option = netlink_set_option,
    .get_option = netlink_get_option,
    .ioctl = netlink_ioctl,
    .poll = netlink_poll,
    .release = netlink_release,
    .take_error = netlink_take_error,
    .is_listening = netlink_is_listening,
};

int netlink_check(struct file *file)
{
    struct socket *base = socket_of(file);
    if (!base) {
        return -ENOTSOCK;
    }
    return base->ops == &netlink_socket_ops ? 0 : -EINVAL;
}

int netlink_deliver(struct file *file, const void *data, size_t length)
{
    int result = netlink_check(file);
    if (result != 0) {
        return result;
    }
    struct socket *base = socket_of(file);
    struct text text = TEXT_INIT;
    text_append(&text, data, length);
    mutex_lock(&base->lock);
    result = text.failed ? -ENOMEM : reply_queue_locked(netlink_of(base), &text);
    mutex_unlock(&base->lock);
    text_fini(&text);
    wait_queue_wake(&base->queue, EPOLLIN | EPOLLRDNORM);
    return result;
}

int netlink_socket_create(int type, int protocol, struct socket **ret_socket)
{
    if (type != SOCK_RAW && type != SOCK_DGRAM) {
        return -ESOCKTNOSUPPORT;
    }
    if (protocol != NETLINK_ROUTE && protocol != NETLINK_SOCK_DIAG) {
        return -EPROTONOSUPPORT;
    }
    struct netlink_socket *socket = calloc(1, sizeof(*socket));
    if (!socket) {
        return -ENOMEM;
    }
    socket_init(&socket->base, &netlink_socket_ops, AF_NETLINK, type, protocol);
    TAILQ_INIT(&socket->replies);
    *ret_socket = &socket->base;
    return 0;
}
