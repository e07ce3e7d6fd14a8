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

/* linux/socket.h, which libc's headers lack or name otherwise. */
#define LINUX_SO_NOFCS            43
#define LINUX_SO_MAX_PACING_RATE  47
#define LINUX_SO_BPF_EXTENSIONS   48
#define LINUX_SO_REUSEPORT_CBPF   51
#define LINUX_SO_REUSEPORT_EBPF   52
#define LINUX_SO_CNX_ADVICE       53
#define LINUX_SO_MEMINFO          55
#define LINUX_SO_INCOMING_NAPI_ID 56
#define LINUX_SO_TXTIME           61
#define LINUX_SO_BINDTOIFINDEX    62
#define LINUX_SO_PREFER_BUSY_POLL 69
#define LINUX_SO_BUSY_POLL_BUDGET 70
#define LINUX_SO_BUF_LOCK         72
#define LINUX_SO_TXREHASH         74
#define LINUX_SO_RCVMARK          75
#define LINUX_SO_RCVPRIORITY      82
#define LOOPBACK_INDEX            1
#define RCVLOWAT_TCP_MAX          16777216

/* How a stored integer option is set. */
enum option_kind {
    OPTION_BOOL,
    OPTION_INT,
    OPTION_ADMIN_BOOL, /* EACCES without CAP_NET_ADMIN */
    OPTION_ZERO,       /* only 0 */
    OPTION_POSITIVE,   /* EINVAL below 0 */
    OPTION_PRIVILEGED, /* EPERM without CAP_NET_ADMIN or CAP_NET_RAW */
    OPTION_IGNORED,    /* reads as 0 */
    OPTION_TCP_FLAG,   /* 0, 1 or -1; TCP only */
    OPTION_TIMESTAMP,  /* the last of its kind counts */
};

struct plain_option {
    int option;
    enum option_kind kind;
    int initial;
};

static const struct plain_option plain_options[] = {
    {SO_DEBUG, OPTION_ADMIN_BOOL, 0},
    {SO_REUSEADDR, OPTION_BOOL, 0},
    {SO_DONTROUTE, OPTION_BOOL, 0},
    {SO_BROADCAST, OPTION_BOOL, 0},
    {SO_KEEPALIVE, OPTION_BOOL, 0},
    {SO_OOBINLINE, OPTION_BOOL, 0},
    {SO_NO_CHECK, OPTION_BOOL, 0},
    {SO_BSDCOMPAT, OPTION_IGNORED, 0},
    {SO_REUSEPORT, OPTION_BOOL, 0},
    {SO_TIMESTAMP, OPTION_TIMESTAMP, 0},
    {SO_TIMESTAMPNS, OPTION_TIMESTAMP, 0},
    {LINUX_SO_TIMESTAMP_NEW, OPTION_TIMESTAMP, 0},
    {LINUX_SO_TIMESTAMPNS_NEW, OPTION_TIMESTAMP, 0},
    {SO_MARK, OPTION_PRIVILEGED, 0},
    {SO_RXQ_OVFL, OPTION_BOOL, 0},
    {SO_WIFI_STATUS, OPTION_BOOL, 0},
    {LINUX_SO_NOFCS, OPTION_BOOL, 0},
    {SO_LOCK_FILTER, OPTION_BOOL, 0},
    {SO_SELECT_ERR_QUEUE, OPTION_BOOL, 0},
    {SO_BUSY_POLL, OPTION_POSITIVE, 0},
    {SO_INCOMING_CPU, OPTION_INT, -1},
    {SO_ZEROCOPY, OPTION_ZERO, 0},
    {LINUX_SO_BINDTOIFINDEX, OPTION_POSITIVE, 0},
    {LINUX_SO_PREFER_BUSY_POLL, OPTION_BOOL, 0},
    {LINUX_SO_TXREHASH, OPTION_TCP_FLAG, 1},
    {LINUX_SO_RCVMARK, OPTION_BOOL, 0},
    {LINUX_SO_RCVPRIORITY, OPTION_BOOL, 0},
};

void socket_options_init(struct socket_options *options)
{
    memset(options, 0, sizeof(*options));
    options->send_buffer = options->receive_buffer = SOCKET_BUFFER_SIZE;
    options->send_timeout_ns = options->receive_timeout_ns = SLEEP_FOREVER;
    options->receive_low_water = 1;
    options->peek_offset = -1;
    options->max_pacing_rate = UINT64_MAX;
    for (size_t i = 0; i < array_size(plain_options); i++) {
        options->values[plain_options[i].option] = plain_options[i].initial;
    }
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

static bool is_inet(const struct socket *socket)
{
    return socket->domain == AF_INET || socket->domain == AF_INET6;
}

static bool is_tcp(const struct socket *socket)
{
    return is_inet(socket) && socket->type == SOCK_STREAM;
}

static int set_plain_locked(struct socket *socket, const struct plain_option *plain, int number)
{
    struct socket_options *options = &socket->options;
    bool set = number != 0;
    switch (plain->kind) {
    case OPTION_BOOL:
        number = set;
        break;
    case OPTION_INT:
        break;
    case OPTION_ADMIN_BOOL:
        if (set && !capable(CAP_NET_ADMIN)) {
            return -EACCES;
        }
        number = set;
        break;
    case OPTION_ZERO:
        /* DIFFERS: bytes are copied; nobody would hear of their completion */
        if (!is_inet(socket) || number == 1) {
            return -EOPNOTSUPP;
        }
        if (number < 0 || number > 1) {
            return -EINVAL;
        }
        break;
    case OPTION_POSITIVE:
        if (number < 0) {
            return -EINVAL;
        }
        break;
    case OPTION_PRIVILEGED:
        if (!capable(CAP_NET_ADMIN) && !capable(CAP_NET_RAW)) {
            return -EPERM;
        }
        break;
    case OPTION_IGNORED:
        return 0;
    case OPTION_TCP_FLAG:
        if (!is_tcp(socket)) {
            return -EOPNOTSUPP;
        }
        if (number < -1 || number > 1) {
            return -EINVAL;
        }
        number = set;
        break;
    case OPTION_TIMESTAMP:
        options->timestamp = set ? plain->option : 0;
        return 0;
    }
    /* read by the port tables without the lock */
    __atomic_store_n(&options->values[plain->option], number, __ATOMIC_RELAXED);
    return 0;
}

static void set_buffer_locked(struct socket *socket, bool sending, uint32_t size)
{
    struct socket_options *options = &socket->options;
    __atomic_store_n(sending ? &options->send_buffer : &options->receive_buffer, size,
                     __ATOMIC_RELAXED);
    *(sending ? &options->send_buffer_set : &options->receive_buffer_set) = true;
}

static int set_low_water(struct socket *socket, int number)
{
    number = number < 0 ? 0x7fffffff : number == 0 ? 1 : number;
    socket->options.receive_low_water = is_tcp(socket) ? min_of(number, RCVLOWAT_TCP_MAX) : number;
    return 0;
}

static int set_pass(struct socket *socket, int option, int number)
{
    struct socket_options *options = &socket->options;
    if (socket->domain != AF_UNIX && socket->domain != AF_NETLINK) {
        return -EOPNOTSUPP; /* measured on Linux 6.18 */
    }
    *(option == SO_PASSCRED ? &options->pass_cred : &options->pass_security) = number != 0;
    return 0;
}

/* Options of TCP and UDP sockets alone, and those whose value is no plain integer. */
static int set_rest_locked(struct socket *socket, int option, const void *value, uint32_t length,
                           int number)
{
    struct socket_options *options = &socket->options;
    switch (option) {
    case SO_PEEK_OFF:
        if (!is_inet(socket)) {
            return -ENOPROTOOPT;
        }
        options->peek_offset = number;
        return 0;
    case SO_TIMESTAMPING:
    case LINUX_SO_TIMESTAMPING_NEW:
        if (number < 0 || number >= 1 << 19) {
            return -EINVAL;
        }
        options->timestamping = number;
        return 0;
    case LINUX_SO_MAX_PACING_RATE:
        options->max_pacing_rate = number == -1 ? UINT64_MAX : (uint32_t)number;
        if (length >= sizeof(options->max_pacing_rate)) {
            memcpy(&options->max_pacing_rate, value, sizeof(options->max_pacing_rate));
        }
        return 0;
    case LINUX_SO_CNX_ADVICE:
        return 0;
    case LINUX_SO_BUSY_POLL_BUDGET:
        if (number > 64 && !capable(CAP_NET_ADMIN)) {
            return -EPERM;
        }
        return number < 0 || number > 0xffff ? -EINVAL : 0;
    case LINUX_SO_BUF_LOCK:
        if (number < 0 || number > 3) {
            return -EINVAL;
        }
        options->send_buffer_set = (number & 1) != 0;
        options->receive_buffer_set = (number & 2) != 0;
        return 0;
    case SO_ATTACH_FILTER:
    case LINUX_SO_REUSEPORT_CBPF:
    case LINUX_SO_TXTIME:
    case SO_ATTACH_BPF:
    case LINUX_SO_REUSEPORT_EBPF:
        return -EINVAL;
    case SO_DETACH_FILTER:
        return -ENOENT;
    default:
        return -ENOPROTOOPT;
    }
}

static int set_locked(struct socket *socket, int option, const void *value, uint32_t length,
                      int number)
{
    struct socket_options *options = &socket->options;
    const struct plain_option *plain = plain_find(option);
    if (plain) {
        return set_plain_locked(socket, plain, number);
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
        set_buffer_locked(socket, true, buffer_size(number, false, SNDBUF_MIN));
        return 0;
    case SO_RCVBUF:
        set_buffer_locked(socket, false, buffer_size(number, false, RCVBUF_MIN));
        return 0;
    case SO_SNDBUFFORCE:
    case SO_RCVBUFFORCE: {
        bool sending = option == SO_SNDBUFFORCE;
        if (!capable(CAP_NET_ADMIN)) {
            return -EPERM;
        }
        set_buffer_locked(socket, sending,
                          buffer_size(number, true, sending ? SNDBUF_MIN : RCVBUF_MIN));
        return 0;
    }
    case SO_PRIORITY:
        if ((number < 0 || number > 6) && !capable(CAP_NET_ADMIN) && !capable(CAP_NET_RAW)) {
            return -EPERM;
        }
        options->values[SO_PRIORITY] = number;
        return 0;
    case SO_LINGER:
        if (length < sizeof(options->linger)) {
            return -EINVAL;
        }
        memcpy(&options->linger, value, sizeof(options->linger));
        options->linger.l_onoff = options->linger.l_onoff != 0;
        return 0;
    case SO_RCVLOWAT:
        return set_low_water(socket, number);
    case SO_RCVTIMEO:
    case LINUX_SO_RCVTIMEO_NEW:
        return timeout_parse(value, length, &options->receive_timeout_ns);
    case SO_SNDTIMEO:
    case LINUX_SO_SNDTIMEO_NEW:
        return timeout_parse(value, length, &options->send_timeout_ns);
    case SO_PASSCRED:
    case SO_PASSSEC:
        return set_pass(socket, option, number);
    default:
        return set_rest_locked(socket, option, value, length, number);
    }
}

/* SO_BINDTODEVICE: there is one device; being bound to it changes nothing else. */
static int set_device(struct socket *socket, const void *value, uint32_t length)
{
    char name[16] = {0};
    memcpy(name, value, min_of(length, (uint32_t)sizeof(name) - 1));
    if (name[0] && strcmp(name, "lo") != 0) {
        return -ENODEV;
    }
    mutex_lock(&socket->lock);
    int *index = &socket->options.values[LINUX_SO_BINDTOIFINDEX];
    int result = *index != 0 && !capable(CAP_NET_RAW) ? -EPERM : 0;
    if (result == 0) {
        *index = name[0] ? LOOPBACK_INDEX : 0;
    }
    mutex_unlock(&socket->lock);
    return result;
}

static int get_device(struct socket *socket, void *value, uint32_t *length)
{
    mutex_lock(&socket->lock);
    int index = socket->options.values[LINUX_SO_BINDTOIFINDEX];
    mutex_unlock(&socket->lock);
    if (index == 0) {
        *length = 0;
        return 0;
    }
    if (index != LOOPBACK_INDEX) {
        return -ENODEV;
    }
    return *length < 16 ? -EINVAL : socket_option_put(value, length, "lo", 3);
}

int socket_common_set(struct socket *socket, int option, const void *value, uint32_t length)
{
    int number;
    if (option == SO_BINDTODEVICE) {
        return set_device(socket, value, length);
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

/* The counterpart of set_rest_locked, and what can only be read. */
static int get_rest_locked(struct socket *socket, int option, void *value, uint32_t *length)
{
    struct socket_options *options = &socket->options;
    switch (option) {
    case SO_PEEK_OFF:
        return is_inet(socket) ? socket_option_put_int(value, length, (int)options->peek_offset)
                               : -ENOPROTOOPT;
    case SO_TIMESTAMPING:
    case LINUX_SO_TIMESTAMPING_NEW: {
        int pair[2] = {options->timestamping, 0};
        return socket_option_put(value, length, pair, sizeof(pair));
    }
    case LINUX_SO_MAX_PACING_RATE: {
        uint32_t rate =
            options->max_pacing_rate > UINT32_MAX ? UINT32_MAX : (uint32_t)options->max_pacing_rate;
        return *length < sizeof(uint64_t)
                   ? socket_option_put(value, length, &rate, sizeof(rate))
                   : socket_option_put(value, length, &options->max_pacing_rate, sizeof(uint64_t));
    }
    case LINUX_SO_BPF_EXTENSIONS:
        return socket_option_put_int(value, length, 64);
    case LINUX_SO_MEMINFO: {
        uint32_t info[9] = {0, options->receive_buffer, 0, options->send_buffer};
        return socket_option_put(value, length, info, sizeof(info));
    }
    case LINUX_SO_INCOMING_NAPI_ID:
        return socket_option_put_int(value, length, 0);
    case LINUX_SO_BUF_LOCK:
        return socket_option_put_int(value, length,
                                     options->send_buffer_set + 2 * options->receive_buffer_set);
    case SO_PEERCRED: {
        struct socket_cred nobody = {0, UINT32_MAX, UINT32_MAX};
        return is_inet(socket) ? socket_option_put(value, length, &nobody, sizeof(nobody))
                               : -ENOPROTOOPT;
    }
    case SO_ATTACH_FILTER: /* SO_GET_FILTER */
        *length = 0;
        return 0;
    case SO_DETACH_FILTER:
        return -ENOENT;
    default:
        return -ENOPROTOOPT;
    }
}

static int get_locked(struct socket *socket, int option, void *value, uint32_t *length)
{
    struct socket_options *options = &socket->options;
    const struct plain_option *plain = plain_find(option);
    if (plain && plain->kind == OPTION_TIMESTAMP) {
        return socket_option_put_int(value, length, options->timestamp == option);
    }
    if (plain && plain->kind == OPTION_TCP_FLAG && !is_tcp(socket)) {
        return -EOPNOTSUPP;
    }
    if (plain) {
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
        return socket_option_put_int(value, length, options->values[option]);
    case SO_LINGER:
        return socket_option_put(value, length, &options->linger, sizeof(options->linger));
    case SO_RCVLOWAT:
        return socket_option_put_int(value, length, options->receive_low_water);
    case SO_SNDLOWAT:
        return socket_option_put_int(value, length, 1);
    case SO_RCVTIMEO:
    case LINUX_SO_RCVTIMEO_NEW:
        return timeout_put(value, length, options->receive_timeout_ns);
    case SO_SNDTIMEO:
    case LINUX_SO_SNDTIMEO_NEW:
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
        return get_rest_locked(socket, option, value, length);
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
        return get_device(socket, value, length);
    default:
        break;
    }
    mutex_lock(&socket->lock);
    int result = get_locked(socket, option, value, length);
    mutex_unlock(&socket->lock);
    return result;
}
