/*
 * unix_gc.c: files in flight, and the collection of sockets that only unreachable queues refer to.
 *
 * A socket is a candidate when every reference to its file comes from a queue. Candidates whose
 * references all come from other candidates' queues, and that no reachable candidate's queue leads
 * to, are garbage: their queues are emptied. Exact because gc_lock is held whenever files enter or
 * leave a queue, and nobody can make a new reference to a file that has none outside queues.
 * Source: unix(7); the algorithm is Linux's net/unix/garbage.c before 6.10.
 */
#include <stdlib.h>

#include "sentry/net/unix.h"
#include "sentry/vfs/file.h"

struct mutex unix_gc_lock;

static LIST_HEAD(, unix_socket) inflight_sockets; /* under gc_lock */
static atomic_uint inflight_total;                /* files of any kind in queues */
static atomic_uint inflight_count;                /* sockets on the list */
static atomic_uint calls_since_gc;

static struct unix_socket *unix_of_file(struct file *file)
{
    struct socket *socket = socket_of(file);
    return socket && socket->ops == &unix_socket_ops ? unix_of(socket) : NULL;
}

uint32_t unix_inflight_total(void)
{
    return atomic_load(&inflight_total);
}

void unix_inflight_add_locked(struct unix_packet *packet)
{
    for (uint32_t i = 0; i < packet->file_count; i++) {
        struct unix_socket *socket = unix_of_file(packet->files[i]);
        if (socket && socket->inflight++ == 0) {
            atomic_fetch_add(&inflight_count, 1);
            LIST_INSERT_HEAD(&inflight_sockets, socket, inflight_link);
        }
    }
    atomic_fetch_add(&inflight_total, packet->file_count);
}

void unix_inflight_remove_locked(struct unix_packet *packet)
{
    for (uint32_t i = 0; i < packet->file_count; i++) {
        struct unix_socket *socket = unix_of_file(packet->files[i]);
        if (socket && --socket->inflight == 0) {
            atomic_fetch_sub(&inflight_count, 1);
            LIST_REMOVE(socket, inflight_link);
        }
    }
    atomic_fetch_sub(&inflight_total, packet->file_count);
}

NO_THREAD_SAFETY_ANALYSIS bool unix_lock_with_files(struct unix_socket *socket)
{
    mutex_lock(&socket->base.lock);
    if (socket->queued_files == 0) {
        return false;
    }
    mutex_unlock(&socket->base.lock);
    mutex_lock(&unix_gc_lock);
    mutex_lock_nested(&socket->base.lock);
    return true;
}

typedef void (*edge_fn)(struct unix_socket *target, void *context);

static void packets_edges(struct unix_packet_list *packets, edge_fn fn, void *context)
{
    struct unix_packet *packet;
    TAILQ_FOREACH (packet, packets, link) {
        for (uint32_t i = 0; i < packet->file_count; i++) {
            struct unix_socket *target = unix_of_file(packet->files[i]);
            if (target && target->candidate) {
                fn(target, context);
            }
        }
    }
}

/* Calls fn for every reference from socket's queues (and its embryos') to a candidate. */
static void edges(struct unix_socket *socket, edge_fn fn, void *context)
{
    struct unix_socket *embryo;
    mutex_lock_nested(&socket->base.lock);
    packets_edges(&socket->packets, fn, context);
    TAILQ_FOREACH (embryo, &socket->embryos, embryo_link) {
        mutex_lock_nested(&embryo->base.lock);
        packets_edges(&embryo->packets, fn, context);
        mutex_unlock(&embryo->base.lock);
    }
    mutex_unlock(&socket->base.lock);
}

static void count_internal(struct unix_socket *target, void *context)
{
    (void)context;
    target->external--;
}

static void mark_reachable(struct unix_socket *target, void *context)
{
    struct unix_socket **stack = context;
    if (!target->reachable) {
        target->reachable = true;
        target->next_reached = *stack;
        *stack = target;
    }
}

/* Moves the packets with files off the queue. */
static void harvest(struct unix_socket *socket, struct unix_packet_list *garbage)
{
    struct unix_packet *packet, *next;
    TAILQ_FOREACH_SAFE (packet, &socket->packets, link, next) {
        if (packet->file_count > 0) {
            TAILQ_REMOVE(&socket->packets, packet, link);
            socket->queued--;
            socket->queued_files--;
            socket->queued_bytes -= packet->length - packet->offset;
            unix_inflight_remove_locked(packet);
            TAILQ_INSERT_TAIL(garbage, packet, link);
        }
    }
}

static void harvest_all(struct unix_socket *socket, struct unix_packet_list *garbage)
{
    struct unix_socket *embryo;
    mutex_lock_nested(&socket->base.lock);
    harvest(socket, garbage);
    TAILQ_FOREACH (embryo, &socket->embryos, embryo_link) {
        mutex_lock_nested(&embryo->base.lock);
        harvest(embryo, garbage);
        mutex_unlock(&embryo->base.lock);
    }
    mutex_unlock(&socket->base.lock);
}

void unix_gc_maybe(void)
{
    uint32_t count = atomic_load(&inflight_count);
    if (count > 0 && atomic_fetch_add(&calls_since_gc, 1) >= count / 4) {
        unix_gc();
    }
}

void unix_gc(void)
{
    struct unix_packet_list garbage = TAILQ_HEAD_INITIALIZER(garbage);
    struct unix_socket *socket, *next;
    struct unix_socket *stack = NULL;
    atomic_store(&calls_since_gc, 0);
    mutex_lock(&unix_gc_lock);
    LIST_FOREACH (socket, &inflight_sockets, inflight_link) {
        socket->candidate =
            socket->base.file &&
            (uint32_t)atomic_load(&socket->base.file->ref.count) == socket->inflight;
        socket->external = socket->inflight;
        socket->reachable = false;
    }
    LIST_FOREACH (socket, &inflight_sockets, inflight_link) {
        if (socket->candidate) {
            edges(socket, count_internal, NULL);
        }
    }
    LIST_FOREACH (socket, &inflight_sockets, inflight_link) {
        if (socket->candidate && socket->external > 0) {
            mark_reachable(socket, &stack);
        }
    }
    while ((socket = stack)) {
        stack = socket->next_reached;
        edges(socket, mark_reachable, &stack);
    }
    for (socket = LIST_FIRST(&inflight_sockets); socket; socket = next) {
        next = LIST_NEXT(socket, inflight_link);
        bool dead = socket->candidate && !socket->reachable;
        socket->candidate = false;
        if (dead) {
            /* Harvesting takes sockets off the list, so start again; each pass handles one. */
            harvest_all(socket, &garbage);
            next = LIST_FIRST(&inflight_sockets);
        }
    }
    mutex_unlock(&unix_gc_lock);
    unix_packets_free(&garbage);
}
