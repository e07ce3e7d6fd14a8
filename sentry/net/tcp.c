/*
 * tcp.c: the life, readiness, ioctls and own options of TCP sockets. Source: Linux tcp_poll,
 * tcp_ioctl, do_tcp_getsockopt.
 */
#include "sentry/net/tcp.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sentry/core/clock.h"
#include "sentry/core/cred.h"

#define TCP_INFO_SIZE 280 /* Linux 6.18 */

static const struct socket_ops tcp_socket_ops;

/* --- life --- */

struct tcp_socket *tcp_socket_new(int domain)
{
    struct tcp_socket *socket = calloc(1, sizeof(*socket));
    if (!socket) {
        return NULL;
    }
    inet_socket_init(&socket->inet, &tcp_socket_ops, domain, SOCK_STREAM, IPPROTO_TCP);
    socket->inet.base.options.send_buffer = TCP_SEND_BUFFER;
    socket->inet.base.options.receive_buffer = TCP_RECEIVE_BUFFER;
    mutex_init(&socket->read_lock, RANK_SOCKET);
    mutex_init(&socket->send_lock, RANK_SOCKET);
    STAILQ_INIT(&socket->chunks);
    TAILQ_INIT(&socket->embryos);
    TAILQ_INIT(&socket->waiting);
    timer_init(&socket->timer, tcp_timer_fire);
    strcpy(socket->congestion, "cubic");
    return socket;
}

void tcp_free(struct inet_socket *inet)
{
    struct tcp_socket *socket = tcp_of(&inet->base);
    tcp_purge_locked(socket); /* nobody else knows it any more */
    tcp_chunks_trim();
    free(inet->groups);
    mutex_fini(&socket->read_lock);
    mutex_fini(&socket->send_lock);
    socket_fini(&inet->base);
    free(socket);
}

struct tcp_socket *tcp_ref(struct tcp_socket *socket)
{
    inet_ref(&socket->inet);
    return socket;
}

struct tcp_socket *tcp_unref(struct tcp_socket *socket)
{
    if (socket) {
        inet_unref(&socket->inet);
    }
    return NULL;
}

int tcp_socket_create(int domain, struct socket **ret_socket)
{
    struct tcp_socket *socket = tcp_socket_new(domain);
    if (!socket) {
        return -ENOMEM;
    }
    *ret_socket = &socket->inet.base;
    return 0;
}

/* --- state --- */

bool tcp_shows_peer_locked(const struct inet_socket *inet)
{
    const struct tcp_socket *socket = container_of(inet, const struct tcp_socket, inet);
    return socket->state == STREAM_OPEN || !inet->base.file;
}

bool tcp_is_closed_locked(const struct inet_socket *inet)
{
    return container_of(inet, const struct tcp_socket, inet)->state == STREAM_CLOSED;
}

int tcp_linux_state_locked(const struct tcp_socket *socket)
{
    switch (socket->state) {
    case STREAM_LISTENING:
        return TCP_LISTEN;
    case STREAM_CONNECTING:
        return TCP_SYN_SENT;
    case STREAM_OPEN:
        return socket->fin_sent       ? TCP_FIN_WAIT2
               : socket->fin_received ? TCP_CLOSE_WAIT
                                      : TCP_ESTABLISHED;
    case STREAM_CLOSED:
        break;
    }
    return TCP_CLOSE;
}

static bool tcp_is_listening(struct socket *base)
{
    mutex_lock(&base->lock);
    bool listening = tcp_of(base)->state == STREAM_LISTENING;
    mutex_unlock(&base->lock);
    return listening;
}

/* Linux: tcp_stream_is_readable */
static bool readable_locked(const struct tcp_socket *socket)
{
    uint32_t queued = atomic_load(&socket->queued);
    const struct socket_options *options = &socket->inet.base.options;
    uint64_t target = (uint64_t)options->receive_low_water;
    bool inlined = options->values[SO_OOBINLINE] != 0;
    if (socket->urgent != URGENT_NONE && socket->urgent_at == socket->taken && !inlined) {
        target++;
    }
    return queued > 0 && (queued >= target || queued >= options->receive_buffer / 2);
}

static uint32_t tcp_poll(struct socket *base)
{
    struct tcp_socket *socket = tcp_of(base);
    struct tcp_socket *peer = NULL;
    uint32_t mask = 0;
    mutex_lock_nested(&base->lock);
    unsigned shutdown = socket->inet.shutdown;
    if (socket->state == STREAM_LISTENING) {
        mask = TAILQ_EMPTY(&socket->embryos) ? 0 : EPOLLIN | EPOLLRDNORM;
        mutex_unlock(&base->lock);
        return mask;
    }
    if (shutdown == INET_SHUT_BOTH || socket->state == STREAM_CLOSED) {
        mask |= EPOLLHUP;
    }
    if (shutdown & INET_SHUT_RECEIVE) {
        mask |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
    }
    if (socket->state != STREAM_CONNECTING) {
        if (readable_locked(socket)) {
            mask |= EPOLLIN | EPOLLRDNORM;
        }
        if ((shutdown & INET_SHUT_SEND) || socket->state == STREAM_CLOSED) {
            mask |= EPOLLOUT | EPOLLWRNORM;
        } else {
            peer = socket->peer ? tcp_ref(socket->peer) : NULL;
        }
        if (socket->urgent == URGENT_VALID) {
            mask |= EPOLLPRI;
        }
    }
    if (socket->inet.error) {
        mask |= EPOLLERR;
    }
    mutex_unlock(&base->lock);
    if (peer) {
        mask |= tcp_writable(socket, peer) ? EPOLLOUT | EPOLLWRNORM : 0;
        tcp_unref(peer);
    }
    return mask;
}

/* --- ioctl --- */

/* Linux: tcp_inq: what a read would give, up to the urgent byte. */
static int input_locked(const struct tcp_socket *socket)
{
    uint32_t queued = atomic_load(&socket->queued);
    uint64_t end = socket->taken + queued;
    bool inlined = socket->inet.base.options.values[SO_OOBINLINE] != 0;
    if (socket->state == STREAM_CONNECTING) {
        return 0;
    }
    if (inlined || socket->urgent == URGENT_NONE || socket->urgent_at < socket->taken ||
        socket->urgent_at >= end) {
        return (int)queued;
    }
    return (int)(socket->urgent_at - socket->taken);
}

/* What the peer's receive buffer has no room for counts as not sent. */
static int output_of(struct tcp_socket *peer)
{
    uint32_t queued = atomic_load(&peer->queued);
    uint32_t window = __atomic_load_n(&peer->inet.base.options.receive_buffer, __ATOMIC_RELAXED);
    return queued > window ? (int)(queued - window) : 0;
}

static long tcp_ioctl(struct socket *base, unsigned command, uint64_t argument)
{
    struct tcp_socket *socket = tcp_of(base);
    struct tcp_socket *peer = NULL;
    int answer = 0;
    if (command != SIOCINQ && command != SIOCOUTQ && command != SIOCOUTQNSD &&
        command != SIOCATMARK) {
        return -ENOTTY;
    }
    mutex_lock(&base->lock);
    bool listening = socket->state == STREAM_LISTENING;
    if (command == SIOCATMARK) {
        answer = tcp_at_mark_locked(socket);
    } else if (command == SIOCINQ) {
        answer = input_locked(socket);
    } else if (socket->state == STREAM_OPEN && socket->peer) {
        peer = tcp_ref(socket->peer);
    }
    mutex_unlock(&base->lock);
    if (listening && command != SIOCATMARK) {
        return -EINVAL;
    }
    if (peer) {
        answer = command == SIOCOUTQ ? output_of(peer) : 0;
        tcp_unref(peer);
    }
    return socket_put_user(argument, &answer, sizeof(answer));
}

/* --- options --- */

int tcp_timestamp(void)
{
    return (int)(uint32_t)(clock_monotonic_ns() / 1000000);
}

int tcp_set_special(struct inet_socket *inet, int option, const void *value, uint32_t length)
{
    static const char *const known[] = {"cubic", "reno"};
    struct tcp_socket *socket = tcp_of(&inet->base);
    char name[16] = {0};
    switch (option) {
    case TCP_CONGESTION:
        if (length < 1) {
            return -EINVAL;
        }
        memcpy(name, value, min_of(length, (uint32_t)sizeof(name) - 1));
        for (size_t i = 0; i < array_size(known); i++) {
            if (strcmp(name, known[i]) == 0) {
                mutex_lock(&inet->base.lock);
                memcpy(socket->congestion, name, sizeof(name));
                mutex_unlock(&inet->base.lock);
                return 0;
            }
        }
        return -ENOENT;
    case 31: /* TCP_ULP: tls and the like are modules that are not there */
        return length < 1 ? -EINVAL : -ENOENT;
    case TCP_MD5SIG:
    case 21: /* TCP_QUEUE_SEQ */
    case 22: /* TCP_REPAIR_OPTIONS */
    case 32: /* TCP_MD5SIG_EXT */
    case 33: /* TCP_FASTOPEN_KEY */
        return -EINVAL;
    case 44: /* TCP_RTO_MAX_MS: to 120 s */
    case 45: /* TCP_RTO_MIN_US */
    case 46: /* TCP_DELACK_MAX_US */
        return -EINVAL;
    case 20: /* TCP_REPAIR_QUEUE */
    case TCP_TIMESTAMP:
    case 29: /* TCP_REPAIR_WINDOW */
        return -EPERM;
    default:
        return -ENOPROTOOPT;
    }
}

static void info_fill_locked(const struct tcp_socket *socket, struct tcp_info *info)
{
    info->tcpi_state = (uint8_t)tcp_linux_state_locked(socket);
    info->tcpi_rto = 1000000;
    info->tcpi_ato = 0;
    info->tcpi_snd_mss = socket->inet.has_peer ? TCP_LOOPBACK_MSS : 536;
    info->tcpi_rcv_mss = 536;
    info->tcpi_advmss = socket->inet.has_peer ? TCP_LOOPBACK_MSS : 0;
    info->tcpi_snd_cwnd = 10;
    info->tcpi_snd_ssthresh = 0x7fffffff;
    info->tcpi_reordering = 3;
    info->tcpi_pmtu = socket->inet.has_peer ? INET_LOOPBACK_MTU : 0;
    if (socket->state == STREAM_LISTENING) {
        info->tcpi_unacked = socket->embryo_count;
        info->tcpi_sacked = socket->backlog;
    }
    if (socket->state == STREAM_OPEN) {
        info->tcpi_options = TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE;
        info->tcpi_snd_wscale = info->tcpi_rcv_wscale = 7;
        info->tcpi_rto = 201000;
        info->tcpi_rtt = 20;
        info->tcpi_rttvar = 10;
        info->tcpi_rcv_space = 65483;
        info->tcpi_rcv_ssthresh = 65483;
    }
}

int tcp_get_special(struct inet_socket *inet, int option, void *value, uint32_t *length)
{
    struct tcp_socket *socket = tcp_of(&inet->base);
    union {
        struct tcp_info info;
        unsigned char bytes[TCP_INFO_SIZE];
    } info = {.bytes = {0}};
    char name[16];
    switch (option) {
    case TCP_CONGESTION:
        mutex_lock(&inet->base.lock);
        memcpy(name, socket->congestion, sizeof(name));
        mutex_unlock(&inet->base.lock);
        return socket_option_put(value, length, name, sizeof(name));
    case TCP_INFO:
        mutex_lock(&inet->base.lock);
        info_fill_locked(socket, &info.info);
        mutex_unlock(&inet->base.lock);
        return socket_option_put(value, length, info.bytes, sizeof(info.bytes));
    case 26: /* TCP_CC_INFO */
        return socket_option_put(value, length, info.bytes, 20);
    case 28: /* TCP_SAVED_SYN: none was saved */
    case 31: /* TCP_ULP */
    case 33: /* TCP_FASTOPEN_KEY */
        *length = 0;
        return 0;
    case 43: /* TCP_IS_MPTCP */
        return socket_option_put_int(value, length, 0);
    case 44: /* TCP_RTO_MAX_MS */
        return socket_option_put_int(value, length, 120000);
    case 45: /* TCP_RTO_MIN_US */
    case 46: /* TCP_DELACK_MAX_US */
        return socket_option_put_int(value, length, 200000);
    case TCP_MD5SIG:
    case 21:
    case 22:
    case 32:
        return -EINVAL;
    case 20:
    case 29:
        return -EPERM;
    default:
        return -ENOPROTOOPT;
    }
}

static const struct socket_ops tcp_socket_ops = {
    .bind = inet_bind,
    .connect = tcp_connect,
    .listen = tcp_listen,
    .accept = tcp_accept,
    .accept_undo = tcp_accept_undo,
    .send = tcp_send,
    .receive = tcp_receive,
    .shutdown = tcp_shutdown,
    .get_name = inet_get_name,
    .set_option = inet_set_option,
    .get_option = inet_get_option,
    .ioctl = tcp_ioctl,
    .poll = tcp_poll,
    .release = tcp_release,
    .take_error = inet_take_error,
    .is_listening = tcp_is_listening,
};
