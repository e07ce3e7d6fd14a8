/*
 * net_report.c: see net_report.h. The lines are those of Linux: get_tcp4_sock, get_tcp6_sock,
 * udp4_format_sock, unix_seq_show, sockstat_seq_show.
 */
#include "sentry/net/net_report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/text.h"
#include "sentry/net/inet.h"
#include "sentry/net/tcp.h"
#include "sentry/net/udp.h"
#include "sentry/net/unix.h"

#define TCP_CLOSE_NUMBER       7
#define TCP_ESTABLISHED_NUMBER 1
#define TCP_LINE               149 /* Linux pads IPv4 lines to these widths */
#define UDP_LINE               127
#define UNIX_ACCEPTS           0x10000
#define UNIX_STATE_UNCONNECTED 1
#define UNIX_STATE_CONNECTED   3

struct row {
    struct inet_endpoint local, peer;
    int state;
    uint32_t send_queue, receive_queue;
    uint32_t drops;
};

static void put_address(struct text *text, bool v6, const struct inet_endpoint *endpoint)
{
    uint32_t words[4];
    memcpy(words, &endpoint->addr, sizeof(words));
    if (v6) {
        text_printf(text, " %08X%08X%08X%08X:%04X", words[0], words[1], words[2], words[3],
                    endpoint->port);
    } else {
        text_printf(text, " %08X:%04X", words[3], endpoint->port);
    }
}

static void fill_tcp(struct tcp_socket *socket, struct row *row)
{
    mutex_lock(&socket->inet.base.lock);
    row->local = socket->inet.local;
    row->state = tcp_linux_state_locked(socket);
    if (socket->inet.has_peer) {
        row->peer = socket->inet.peer;
    }
    row->receive_queue =
        socket->state == STREAM_LISTENING ? socket->embryo_count : atomic_load(&socket->queued);
    mutex_unlock(&socket->inet.base.lock);
}

static void fill_udp(struct udp_socket *socket, struct row *row)
{
    mutex_lock(&socket->inet.base.lock);
    row->local = socket->inet.local;
    row->state = socket->inet.has_peer ? TCP_ESTABLISHED_NUMBER : TCP_CLOSE_NUMBER;
    if (socket->inet.has_peer) {
        row->peer = socket->inet.peer;
    }
    row->receive_queue = socket->charged;
    row->drops = socket->drops;
    mutex_unlock(&socket->inet.base.lock);
}

static void put_row(struct text *text, struct inet_socket *socket, size_t number)
{
    bool v6 = inet_is_v6(socket), tcp = inet_is_tcp(socket);
    struct row row = {.state = 0};
    size_t start = text->length;
    if (tcp) {
        fill_tcp(tcp_of(&socket->base), &row);
    } else {
        fill_udp(udp_of(&socket->base), &row);
    }
    text_printf(text, tcp ? "%4zu:" : "%5zu:", number);
    put_address(text, v6, &row.local);
    put_address(text, v6, &row.peer);
    text_printf(text, " %02X %08X:%08X 00:00000000 00000000 %5u        0 %llu", row.state,
                row.send_queue, row.receive_queue, socket->uid,
                (unsigned long long)atomic_load(&socket->base.inode_number));
    if (!tcp) {
        text_printf(text, " 2 0000000000000000 %u", row.drops);
    } else if (row.state == TCP_ESTABLISHED_NUMBER) {
        text_puts(text, " 1 0000000000000000 20 4 30 10 -1");
    } else {
        text_puts(text, " 1 0000000000000000 100 0 0 10 0");
    }
    size_t width = v6 ? 0 : tcp ? TCP_LINE : UDP_LINE;
    while (text->length - start < width && !text->failed) {
        text_putc(text, ' ');
    }
    text_putc(text, '\n');
}

int net_report_inet(struct text *text, int domain, int protocol)
{
    struct inet_socket **sockets;
    size_t count;
    bool v6 = domain == AF_INET6, tcp = protocol == IPPROTO_TCP;
    int result = inet_port_list(domain, protocol, &sockets, &count);
    if (result != 0) {
        return result;
    }
    text_puts(text, tcp ? "  sl  " : v6 ? "  sl  " : "   sl  ");
    text_puts(text,
              v6 ? "local_address                         remote_address                        st "
                   "tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
                 : "local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   "
                   "uid  timeout inode");
    if (v6) {
        text_puts(text, tcp ? "\n" : " ref pointer drops\n");
    } else {
        text_puts(text, tcp ? "                                                     \n"
                            : " ref pointer drops             \n");
    }
    for (size_t i = 0; i < count; i++) {
        put_row(text, sockets[i], i);
        inet_unref(sockets[i]);
    }
    free(sockets);
    return text->failed ? -ENOMEM : 0;
}

/* --- AF_UNIX --- */

static void put_unix_name(struct text *text, const struct unix_address *address)
{
    const char *name = address->key.name.sun_path;
    size_t length = address->length - offsetof(struct sockaddr_un, sun_path);
    text_putc(text, ' ');
    if (name[0]) {
        text_append(text, name, strnlen(name, length));
        return;
    }
    for (size_t i = 0; i < length; i++) {
        text_putc(text, name[i] ? name[i] : '@');
    }
}

static void put_unix(struct text *text, struct unix_socket *socket)
{
    mutex_lock(&socket->base.lock);
    bool listens = socket->state == UNIX_LISTENING;
    struct unix_address *address = unix_address_ref(socket->address);
    int state = socket->state == UNIX_CONNECTED ? UNIX_STATE_CONNECTED : UNIX_STATE_UNCONNECTED;
    unsigned references = socket->peer ? 3 : 2;
    bool dead = socket->dead;
    mutex_unlock(&socket->base.lock);
    if (!dead) {
        text_printf(text, "0000000000000000: %08X %08X %08X %04X %02X %5llu", references, 0U,
                    listens ? UNIX_ACCEPTS : 0U, (unsigned)socket->base.type, (unsigned)state,
                    (unsigned long long)atomic_load(&socket->base.inode_number));
        if (address) {
            put_unix_name(text, address);
        }
        text_putc(text, '\n');
    }
    unix_address_unref(address);
}

int net_report_unix(struct text *text)
{
    struct unix_socket **sockets;
    size_t count;
    int result = unix_list(&sockets, &count);
    if (result != 0) {
        return result;
    }
    text_puts(text, "Num       RefCount Protocol Flags    Type St Inode Path\n");
    for (size_t i = 0; i < count; i++) {
        put_unix(text, sockets[i]);
        unix_unref(sockets[i]);
    }
    free(sockets);
    return text->failed ? -ENOMEM : 0;
}

/* --- counts --- */

static int count_of(int domain, int protocol, size_t *ret_count)
{
    struct inet_socket **sockets;
    int result = inet_port_list(domain, protocol, &sockets, ret_count);
    if (result != 0) {
        return result;
    }
    for (size_t i = 0; i < *ret_count; i++) {
        inet_unref(sockets[i]);
    }
    free(sockets);
    return 0;
}

int net_report_sockstat(struct text *text, int domain)
{
    size_t tcp, udp;
    int result = count_of(domain, IPPROTO_TCP, &tcp);
    if (result == 0) {
        result = count_of(domain, IPPROTO_UDP, &udp);
    }
    if (result != 0) {
        return result;
    }
    if (domain == AF_INET6) {
        text_printf(text,
                    "TCP6: inuse %zu\nUDP6: inuse %zu\nUDPLITE6: inuse 0\nRAW6: inuse 0\n"
                    "FRAG6: inuse 0 memory 0\n",
                    tcp, udp);
    } else {
        long pages = atomic_load(&inet_memory) / 4096;
        text_printf(text,
                    "sockets: used %u\nTCP: inuse %zu orphan 0 tw 0 alloc %zu mem %ld\n"
                    "UDP: inuse %zu mem 0\nUDPLITE: inuse 0\nRAW: inuse 0\n"
                    "FRAG: inuse 0 memory 0\n",
                    socket_total(), tcp, tcp, pages, udp);
    }
    return text->failed ? -ENOMEM : 0;
}
