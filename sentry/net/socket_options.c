/*
 * socket_options.c: the SOL_SOCKET options that every family shares. Most are stored and read back.
 * Source: socket(7), Linux net/core/sock.c.
 */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/time.h>

#include "sentry/core/clock.h"
#include "sentry/core/cred.h"
#include "sentry/net/socket.h"
#include "sentry/vfs/file.h"

#define RMEM_MAX   212992 /* net.core.rmem_max, wmem_max */
#define SNDBUF_MIN 4608   /* Linux: SOCK_MIN_SNDBUF */
#define RCVBUF_MIN 2304   /* Linux: SOCK_MIN_RCVBUF */

/* How a stored integer option is set. */
enum option_kind { OPTION_BOOL, OPTION_INT, OPTION_ADMIN_BOOL };

struct plain_option {
    int option;
    enum option_kind kind;
};

static const struct plain_option plain_options[] = {
    {SO_DEBUG, OPTION_ADMIN_BOOL}, {SO_REUSEADDR, OPTION_BOOL}, {SO_DONTROUTE, OPTION_BOOL},
    {SO_BROADCAST, OPTION_BOOL},   {SO_KEEPALIVE, OPTION_BOOL}, {SO_OOBINLINE, OPTION_BOOL},
    {SO_NO_CHECK, OPTION_BOOL},    {SO_REUSEPORT, OPTION_BOOL}, {SO_TIMESTAMP, OPTION_BOOL},
    {SO_TIMESTAMPNS, OPTION_BOOL}, {SO_RXQ_OVFL, OPTION_BOOL},  {SO_SELECT_ERR_QUEUE, OPTION_BOOL},
    {SO_INCOMING_CPU, OPTION_INT}, {SO_ZEROCOPY, OPTION_BOOL},
};

void socket_options_init(struct socket_options *options)
{
    memset(options, 0, sizeof(*options));
    options->send_buffer = options->receive_buffer = SOCKET_BUFFER_SIZE;
    options->send_timeout_ns = options->receive_timeout_ns = SLEEP_FOREVER;
    options->receive_low_water = 1;
}

int socket_option_put(void *value, uint32_t *length, const void *data, uint32_t size)
{
    uint32_t part = min_of(*length, size);
    memcpy(value, data, part);
    *length = part;
    return 0;
}

int socket_option_put_int(void *value, uint32_t *length, int number)
{
    return socket_option_put(value, length, &number, sizeof(number));
}

static const struct plain_option *plain_find(int option)
{
    for (size_t i = 0; i < array_size(plain_options); i++) {
        if (plain_options[i].option == option) {
            return &plain_options[i];
        }
    }
    return NULL;
}

/* Linux: sock_set_timeout. */
static int timeout_parse(const void *value, uint32_t length, uint64_t *ret_ns)
{
    struct timeval time;
    if (length < sizeof(time)) {
        return -EINVAL;
    }
    memcpy(&time, value, sizeof(time));
    if (time.tv_usec < 0 || time.tv_usec >= 1000000) {
        return -EDOM;
    }
    if (time.tv_sec < 0) {
        *ret_ns = 0;
    } else if ((time.tv_sec == 0 && time.tv_usec == 0) || time.tv_sec > 1000000000) {
        *ret_ns = SLEEP_FOREVER;
    } else {
        *ret_ns = (uint64_t)time.tv_sec * NSEC_PER_SEC + (uint64_t)time.tv_usec * 1000;
    }
    return 0;
}

static int timeout_put(void *value, uint32_t *length, uint64_t ns)
{
    struct timeval time = {0};
    if (ns != SLEEP_FOREVER) {
        time.tv_sec = (time_t)(ns / NSEC_PER_SEC);
        time.tv_usec = (suseconds_t)(ns % NSEC_PER_SEC / 1000);
    }
    return socket_option_put(value, length, &time, sizeof(time));
}

/* Linux doubles the value for its own bookkeeping and shows the doubled one. */
static uint32_t buffer_size(int wanted, bool force, uint32_t least)
{
    uint32_t size = wanted < 0 ? (force ? 0 : RMEM_MAX) : (uint32_t)wanted;
    size = min_of(size, force ? 1U << 24 : (uint32_t)RMEM_MAX);
    return max_of(size * 2, least);
}

static int set_locked(struct socket *socket, int option, const void *value, uint32_t length,
                      int number)
{
    struct socket_options *options = &socket->options;
    const struct plain_option *plain = plain_find(option);
    if (plain) {
        if (plain->kind == OPTION_ADMIN_BOOL && number != 0 && !capable(CAP_NET_ADMIN)) {
            return -EACCES;
        }
        /* read by the port tables without the lock */
        __atomic_store_n(&options->values[option], plain->kind == OPTION_INT ? number : number != 0,
                         __ATOMIC_RELAXED);
        return 0;
    }
    switch (option) {
    case SO_TYPE:
    case SO_PROTOCOL:
    case SO_DOMAIN:
    case SO_ERROR:
    case SO_ACCEPTCONN:
    case SO_SNDLOWAT:
        return -ENOPROTOOPT;
    case SO_SNDBUF:
        __atomic_store_n(&options->send_buffer, buffer_size(number, false, SNDBUF_MIN),
                         __ATOMIC_RELAXED);
        options->send_buffer_set = true;
        return 0;
    case SO_RCVBUF:
        __atomic_store_n(&options->receive_buffer, buffer_size(number, false, RCVBUF_MIN),
                         __ATOMIC_RELAXED);
        options->receive_buffer_set = true;
        return 0;
    case SO_SNDBUFFORCE:
    case SO_RCVBUFFORCE:
        if (!capable(CAP_NET_ADMIN)) {
            return -EPERM;
        }
        *(option == SO_SNDBUFFORCE ? &options->send_buffer : &options->receive_buffer) =
            buffer_size(number, true, option == SO_SNDBUFFORCE ? SNDBUF_MIN : RCVBUF_MIN);
        return 0;
    case SO_PRIORITY:
        if ((number < 0 || number > 6) && !capable(CAP_NET_ADMIN) && !capable(CAP_NET_RAW)) {
            return -EPERM;
        }
        options->values[SO_PRIORITY] = number;
        return 0;
    case SO_MARK:
        if (!capable(CAP_NET_ADMIN) && !capable(CAP_NET_RAW)) {
            return -EPERM;
        }
        options->values[SO_MARK] = number;
        return 0;
    case SO_BUSY_POLL:
        if (number < 0) {
            return -EINVAL;
        }
        options->values[SO_BUSY_POLL] = number;
        return 0;
    case SO_LINGER:
        if (length < sizeof(options->linger)) {
            return -EINVAL;
        }
        memcpy(&options->linger, value, sizeof(options->linger));
        options->linger.l_onoff = options->linger.l_onoff != 0;
        return 0;
    case SO_RCVLOWAT:
        options->receive_low_water = number < 0 ? 0x7fffffff : number == 0 ? 1 : number;
        return 0;
    case SO_RCVTIMEO:
    case 66: /* SO_RCVTIMEO_NEW */
        return timeout_parse(value, length, &options->receive_timeout_ns);
    case SO_SNDTIMEO:
    case 67: /* SO_SNDTIMEO_NEW */
        return timeout_parse(value, length, &options->send_timeout_ns);
    case SO_PASSCRED:
    case SO_PASSSEC:
        if (socket->domain != AF_UNIX && socket->domain != AF_NETLINK) {
            return -EOPNOTSUPP; /* measured on Linux 6.18 */
        }
        *(option == SO_PASSCRED ? &options->pass_cred : &options->pass_security) = number != 0;
        return 0;
    case SO_DETACH_FILTER:
        return -ENOENT;
    default:
        return -ENOPROTOOPT;
    }
}

int socket_common_set(struct socket *socket, int option, const void *value, uint32_t length)
{
    int number;
    if (option == SO_BINDTODEVICE) {
        return length == 0 || *(const char *)value == 0 ? 0 : -ENODEV;
    }
    if (length < sizeof(number)) {
        return -EINVAL;
    }
    memcpy(&number, value, sizeof(number));
    mutex_lock(&socket->lock);
    int result = set_locked(socket, option, value, length, number);
    mutex_unlock(&socket->lock);
    return result;
}

static int get_locked(struct socket *socket, int option, void *value, uint32_t *length)
{
    struct socket_options *options = &socket->options;
    if (plain_find(option)) {
        return socket_option_put_int(value, length, options->values[option]);
    }
    switch (option) {
    case SO_TYPE:
        return socket_option_put_int(value, length, socket->type);
    case SO_PROTOCOL:
        return socket_option_put_int(value, length, socket->protocol);
    case SO_DOMAIN:
        return socket_option_put_int(value, length, socket->domain);
    case SO_SNDBUF:
        return socket_option_put_int(value, length, (int)options->send_buffer);
    case SO_RCVBUF:
        return socket_option_put_int(value, length, (int)options->receive_buffer);
    case SO_PRIORITY:
    case SO_MARK:
    case SO_BUSY_POLL:
        return socket_option_put_int(value, length, options->values[option]);
    case SO_LINGER:
        return socket_option_put(value, length, &options->linger, sizeof(options->linger));
    case SO_RCVLOWAT:
        return socket_option_put_int(value, length, options->receive_low_water);
    case SO_SNDLOWAT:
        return socket_option_put_int(value, length, 1);
    case SO_RCVTIMEO:
    case 66:
        return timeout_put(value, length, options->receive_timeout_ns);
    case SO_SNDTIMEO:
    case 67:
        return timeout_put(value, length, options->send_timeout_ns);
    case SO_PASSCRED:
    case SO_PASSSEC:
        if (socket->domain != AF_UNIX && socket->domain != AF_NETLINK) {
            return -EOPNOTSUPP;
        }
        return socket_option_put_int(
            value, length, option == SO_PASSCRED ? options->pass_cred : options->pass_security);
    case SO_COOKIE: {
        uint64_t cookie = socket->file ? socket->file->id : 0;
        return *length < sizeof(cookie) ? -EINVAL
                                        : socket_option_put(value, length, &cookie, sizeof(cookie));
    }
    default:
        return -ENOPROTOOPT;
    }
}

int socket_common_get(struct socket *socket, int option, void *value, uint32_t *length)
{
    switch (option) {
    case SO_ERROR: {
        int error = socket->ops->take_error(socket);
        return socket_option_put_int(value, length, error);
    }
    case SO_ACCEPTCONN:
        return socket_option_put_int(value, length, socket->ops->is_listening(socket));
    case SO_BINDTODEVICE:
        *length = 0;
        return 0;
    default:
        break;
    }
    mutex_lock(&socket->lock);
    int result = get_locked(socket, option, value, length);
    mutex_unlock(&socket->lock);
    return result;
}
