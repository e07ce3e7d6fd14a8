/*
 * inet_port.c: the ports of TCP and UDP: who may bind what, which port is free, who is reached.
 *
 * Each protocol has two hash tables by local port: sockets that were bound, listen or receive
 * datagrams, and connections whose port the kernel chose or the listener gave. ports_lock
 * (RANK_OBJECT, below socket locks) guards both and every socket's entry. Sources: Linux
 * inet_csk_get_port, inet_bind_conflict, inet_rcv_saddr_equal, __inet_hash_connect,
 * udp_lib_lport_inuse, compute_score.
 */
#include "sentry/net/inet.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "sentry/core/clock.h"

#define BUCKETS 2048U

LIST_HEAD(port_list, inet_socket);

struct port_table {
    struct port_list bound[BUCKETS];
    struct port_list connected[BUCKETS];
};

static struct mutex ports_lock = {.host = PTHREAD_MUTEX_INITIALIZER, .rank = RANK_OBJECT};
static struct port_table tables[3]; /* TCP, UDP, UDP-Lite */
static uint32_t random_state;       /* under ports_lock */

atomic_uint inet_port_low = 32768, inet_port_high = 60999, inet_unprivileged_port = 1024;

static struct port_table *table_of(int protocol)
{
    return &tables[protocol == IPPROTO_TCP ? 0 : protocol == IPPROTO_UDP ? 1 : 2];
}

/* Spreads choices; nothing secret depends on it. */
static uint32_t random_locked(void)
{
    if (random_state == 0) {
        random_state = (uint32_t)clock_ns(CLOCK_REALTIME) | 1;
    }
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

static bool option_on(const struct inet_socket *socket, int option)
{
    return __atomic_load_n(&socket->base.options.values[option], __ATOMIC_RELAXED) != 0;
}

/* --- conflicts --- */

/* Would traffic to one address reach the other? (Linux: inet_rcv_saddr_equal) */
static bool addresses_meet(const struct inet_port_entry *a, const struct inet_port_entry *b)
{
    const struct in6_addr *x = &a->local.addr, *y = &b->local.addr;
    if (inet_is_mapped(x) && inet_is_mapped(y)) {
        return inet_is_any(x) || inet_is_any(y) || inet_addr_equal(x, y);
    }
    if (IN6_IS_ADDR_UNSPECIFIED(x) && IN6_IS_ADDR_UNSPECIFIED(y)) {
        return true;
    }
    if (IN6_IS_ADDR_UNSPECIFIED(y) && !(b->v6_only && inet_is_mapped(x))) {
        return true;
    }
    if (IN6_IS_ADDR_UNSPECIFIED(x) && !(a->v6_only && inet_is_mapped(y))) {
        return true;
    }
    return inet_addr_equal(x, y);
}

static bool conflicts_locked(const struct inet_socket *socket, const struct inet_socket *other)
{
    if (other == socket || other->entry.local.port != socket->entry.local.port ||
        !addresses_meet(&socket->entry, &other->entry)) {
        return false;
    }
    if (option_on(socket, SO_REUSEADDR) && option_on(other, SO_REUSEADDR) &&
        !other->entry.listening) {
        return false;
    }
    return !(option_on(socket, SO_REUSEPORT) && option_on(other, SO_REUSEPORT) &&
             socket->uid == other->uid);
}

/* May the socket have entry.local? */
static bool port_free_locked(const struct inet_socket *socket)
{
    struct port_table *table = table_of(socket->base.protocol);
    uint32_t hash = socket->entry.local.port % BUCKETS;
    struct inet_socket *other;
    LIST_FOREACH (other, &table->bound[hash], entry.link) {
        if (conflicts_locked(socket, other)) {
            return false;
        }
    }
    LIST_FOREACH (other, &table->connected[hash], entry.link) {
        if (conflicts_locked(socket, other)) {
            return false;
        }
    }
    return true;
}

/* --- registration --- */

static void insert_locked(struct inet_socket *socket, bool bound)
{
    struct port_table *table = table_of(socket->base.protocol);
    uint32_t hash = socket->entry.local.port % BUCKETS;
    struct port_list *list = bound ? &table->bound[hash] : &table->connected[hash];
    socket->entry.listed = true;
    socket->entry.in_bound = bound;
    LIST_INSERT_HEAD(list, socket, entry.link);
}

static void remove_locked(struct inet_socket *socket)
{
    if (socket->entry.listed) {
        LIST_REMOVE(socket, entry.link);
        socket->entry.listed = socket->entry.listening = socket->entry.has_peer = false;
    }
}

static void fill_entry_locked(struct inet_socket *socket)
{
    socket->entry.local = socket->local;
    socket->entry.peer = socket->peer;
    socket->entry.has_peer = socket->has_peer;
    socket->entry.v6_only = inet_v6_only(socket);
}

/*
 * Linux: bind(0) prefers ports of the other parity than connect does, so that the two seldom meet.
 * Tries the whole range once, then the rest.
 */
static int choose_locked(struct inet_socket *socket, bool odd, bool (*fits)(struct inet_socket *))
{
    uint32_t low = atomic_load(&inet_port_low);
    uint32_t count = atomic_load(&inet_port_high) - low + 1;
    uint32_t start = random_locked() % count;
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < count; i++) {
            uint32_t offset = (start + i) % count;
            if (((offset & 1) != 0) != (odd == (pass == 0))) {
                continue;
            }
            socket->entry.local.port = (uint16_t)(low + offset);
            if (fits(socket)) {
                return 0;
            }
        }
    }
    return -EADDRINUSE;
}

static bool fits_bind(struct inet_socket *socket)
{
    return port_free_locked(socket);
}

int inet_port_bind_locked(struct inet_socket *socket, uint16_t port)
{
    int result;
    mutex_lock(&ports_lock);
    fill_entry_locked(socket);
    if (port != 0) {
        socket->entry.local.port = port;
        result = fits_bind(socket) ? 0 : -EADDRINUSE;
    } else {
        result = choose_locked(socket, true, fits_bind);
    }
    if (result == 0) {
        socket->local.port = socket->entry.local.port;
        insert_locked(socket, true);
    }
    mutex_unlock(&ports_lock);
    return result;
}

static bool connection_unique_locked(const struct inet_socket *socket)
{
    struct port_table *table = table_of(socket->base.protocol);
    const struct inet_port_entry *own = &socket->entry;
    uint32_t hash = own->local.port % BUCKETS;
    struct port_list *lists[2] = {&table->bound[hash], &table->connected[hash]};
    struct inet_socket *other;
    for (int i = 0; i < 2; i++) {
        LIST_FOREACH (other, lists[i], entry.link) {
            const struct inet_port_entry *entry = &other->entry;
            if (other != socket && entry->has_peer && entry->local.port == own->local.port &&
                entry->peer.port == own->peer.port &&
                inet_addr_equal(&entry->local.addr, &own->local.addr) &&
                inet_addr_equal(&entry->peer.addr, &own->peer.addr)) {
                return false;
            }
        }
    }
    return true;
}

/* Linux: a port that somebody bound is passed over; one that connections use is shared. */
static bool fits_connect(struct inet_socket *socket)
{
    struct port_table *table = table_of(socket->base.protocol);
    uint16_t port = socket->entry.local.port;
    struct inet_socket *other;
    LIST_FOREACH (other, &table->bound[port % BUCKETS], entry.link) {
        if (other->entry.local.port == port) {
            return false;
        }
    }
    return connection_unique_locked(socket);
}

int inet_port_connect_locked(struct inet_socket *socket)
{
    int result = 0;
    mutex_lock(&ports_lock);
    fill_entry_locked(socket);
    socket->entry.has_peer = true;
    if (socket->local.port != 0) {
        result = connection_unique_locked(socket) ? 0 : -EADDRNOTAVAIL;
        socket->entry.has_peer = result == 0;
    } else if (choose_locked(socket, false, fits_connect) != 0) {
        result = -EADDRNOTAVAIL;
        socket->entry.has_peer = false;
    } else {
        socket->local.port = socket->entry.local.port;
        insert_locked(socket, false);
    }
    mutex_unlock(&ports_lock);
    return result;
}

int inet_port_listen_locked(struct inet_socket *socket)
{
    int result = 0;
    mutex_lock(&ports_lock);
    fill_entry_locked(socket);
    if (!port_free_locked(socket)) {
        result = -EADDRINUSE;
    } else {
        bool listed_elsewhere = socket->entry.listed && !socket->entry.in_bound;
        if (listed_elsewhere) {
            remove_locked(socket);
            insert_locked(socket, true);
        }
        socket->entry.listening = true;
    }
    mutex_unlock(&ports_lock);
    return result;
}

void inet_port_unlisten(struct inet_socket *socket)
{
    mutex_lock(&ports_lock);
    socket->entry.listening = false;
    mutex_unlock(&ports_lock);
}

void inet_port_adopt(struct inet_socket *socket)
{
    mutex_lock(&ports_lock);
    fill_entry_locked(socket);
    insert_locked(socket, false);
    mutex_unlock(&ports_lock);
}

void inet_port_update_locked(struct inet_socket *socket)
{
    mutex_lock(&ports_lock);
    if (socket->entry.listed) {
        fill_entry_locked(socket);
    }
    mutex_unlock(&ports_lock);
}

void inet_port_unpeer(struct inet_socket *socket)
{
    mutex_lock(&ports_lock);
    socket->entry.has_peer = false;
    mutex_unlock(&ports_lock);
}

void inet_port_release(struct inet_socket *socket)
{
    mutex_lock(&ports_lock);
    remove_locked(socket);
    mutex_unlock(&ports_lock);
}

/* --- look-up --- */

/* How well a socket fits; 0: not at all. (Linux: compute_score) */
static int score_of(const struct inet_socket *socket, const struct inet_endpoint *destination,
                    const struct inet_endpoint *source)
{
    const struct inet_port_entry *entry = &socket->entry;
    bool v4 = inet_is_mapped(&destination->addr);
    int score = 1;
    if (entry->local.port != destination->port) {
        return 0;
    }
    if (inet_is_any(&entry->local.addr)) {
        if (v4 ? (inet_is_v6(socket) && entry->v6_only) : inet_is_mapped(&entry->local.addr)) {
            return 0;
        }
    } else if (inet_addr_equal(&entry->local.addr, &destination->addr)) {
        score += 16; /* exact addresses come before wildcards */
    } else {
        return 0;
    }
    if (inet_is_tcp(socket)) {
        return entry->listening ? score + (v4 && !inet_is_v6(socket) ? 1 : 0) : 0;
    }
    if (entry->has_peer) {
        if (entry->peer.port != source->port ||
            !inet_addr_equal(&entry->peer.addr, &source->addr)) {
            return 0;
        }
        score += 8;
    }
    return score + (v4 && !inet_is_v6(socket) ? 1 : 0);
}

static uint32_t flow_hash(const struct inet_endpoint *a, const struct inet_endpoint *b)
{
    uint32_t hash = 2166136261U;
    const unsigned char *bytes[2] = {a->addr.s6_addr, b->addr.s6_addr};
    for (int i = 0; i < 32; i++) {
        hash = (hash ^ bytes[i / 16][i % 16]) * 16777619U;
    }
    hash = (hash ^ a->port) * 16777619U;
    hash = (hash ^ b->port) * 16777619U;
    return hash ^ hash >> 15;
}

struct inet_socket *inet_port_find(int protocol, const struct inet_endpoint *destination,
                                   const struct inet_endpoint *source)
{
    struct port_list *list = &table_of(protocol)->bound[destination->port % BUCKETS];
    struct inet_socket *socket, *best = NULL;
    int best_score = 0;
    uint32_t equals = 0;
    mutex_lock(&ports_lock);
    LIST_FOREACH (socket, list, entry.link) {
        int score = score_of(socket, destination, source);
        if (score > best_score) {
            best = socket;
            best_score = score;
            equals = 1;
        } else if (score != 0 && score == best_score && option_on(socket, SO_REUSEPORT) &&
                   option_on(best, SO_REUSEPORT)) {
            equals++;
        }
    }
    if (equals > 1) { /* a group that shares the port: by the flow (Linux: reuseport_select_sock) */
        uint32_t wanted = flow_hash(destination, source) % equals;
        LIST_FOREACH (socket, list, entry.link) {
            if (score_of(socket, destination, source) == best_score &&
                option_on(socket, SO_REUSEPORT) && wanted-- == 0) {
                best = socket;
                break;
            }
        }
    }
    if (best) {
        inet_ref(best);
    }
    mutex_unlock(&ports_lock);
    return best;
}

size_t inet_port_find_all(int protocol, const struct inet_endpoint *destination,
                          const struct inet_endpoint *source, struct inet_socket **ret, size_t room)
{
    struct inet_socket *socket;
    size_t count = 0;
    bool v4 = inet_is_mapped(&destination->addr);
    mutex_lock(&ports_lock);
    LIST_FOREACH (socket, &table_of(protocol)->bound[destination->port % BUCKETS], entry.link) {
        const struct inet_port_entry *entry = &socket->entry;
        bool family = v4 ? !(inet_is_v6(socket) && entry->v6_only) : inet_is_v6(socket);
        bool local = inet_is_any(&entry->local.addr) ||
                     inet_addr_equal(&entry->local.addr, &destination->addr);
        bool from = !entry->has_peer || (entry->peer.port == source->port &&
                                         inet_addr_equal(&entry->peer.addr, &source->addr));
        if (entry->local.port == destination->port && family && local && from && count < room) {
            ret[count++] = inet_ref(socket);
        }
    }
    mutex_unlock(&ports_lock);
    return count;
}

int inet_port_list(int domain, int protocol, struct inet_socket ***ret_sockets, size_t *ret_count)
{
    struct port_table *table = table_of(protocol);
    struct inet_socket **sockets = NULL;
    size_t count = 0, room = 0;
    int result = 0;
    mutex_lock(&ports_lock);
    for (uint32_t i = 0; i < 2 * BUCKETS && result == 0; i++) {
        struct port_list *list = i < BUCKETS ? &table->bound[i] : &table->connected[i - BUCKETS];
        struct inet_socket *socket;
        LIST_FOREACH (socket, list, entry.link) {
            if (socket->base.domain != domain) {
                continue;
            }
            if (count == room) {
                room = room == 0 ? 64 : room * 2;
                struct inet_socket **grown =
                    reallocarray(sockets, room, sizeof(struct inet_socket *));
                if (!grown) {
                    result = -ENOMEM;
                    break;
                }
                sockets = grown;
            }
            sockets[count++] = inet_ref(socket);
        }
    }
    mutex_unlock(&ports_lock);
    if (result != 0) {
        while (count > 0) {
            inet_unref(sockets[--count]);
        }
        free(sockets);
        return result;
    }
    *ret_sockets = sockets;
    *ret_count = count;
    return 0;
}
