/*
 * unix_socket.c: the life, names, options and readiness of AF_UNIX sockets.
 *
 * Abstract names are in a hash table; a pathname's socket hangs on inode->bound (no reference: the
 * socket removes itself when it is released). names_lock guards both.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/net/unix.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/landlock.h"

#define NAME_OFFSET offsetof(struct sockaddr_un, sun_path)

static struct mutex names_lock;              /* RANK_OBJECT */
static struct unix_address *abstract_names;  /* under names_lock */
static uint32_t next_autobind;               /* under names_lock */
static LIST_HEAD(, unix_socket) all_sockets; /* under names_lock */
static size_t all_count;                     /* under names_lock */

void unix_init(void)
{
    mutex_init(&names_lock, RANK_OBJECT);
    mutex_init(&unix_gc_lock, RANK_SOCKET);
}

/* --- life --- */

struct unix_socket *unix_socket_new(int type)
{
    struct unix_socket *socket = calloc(1, sizeof(*socket));
    if (!socket) {
        return NULL;
    }
    socket_init(&socket->base, &unix_socket_ops, AF_UNIX, type, 0);
    refcount_init(&socket->ref);
    TAILQ_INIT(&socket->packets);
    TAILQ_INIT(&socket->embryos);
    LIST_INIT(&socket->waiters);
    socket->backlog = UNIX_MAX_DGRAM_QUEUE;
    socket->peer_cred = (struct socket_cred){0, (uint32_t)-1, (uint32_t)-1};
    mutex_lock(&names_lock);
    LIST_INSERT_HEAD(&all_sockets, socket, all_link);
    all_count++;
    mutex_unlock(&names_lock);
    return socket;
}

int unix_list(struct unix_socket ***ret_sockets, size_t *ret_count)
{
    struct unix_socket *socket;
    size_t count = 0;
    mutex_lock(&names_lock);
    struct unix_socket **sockets = calloc(all_count + 1, sizeof(*sockets));
    if (sockets) {
        LIST_FOREACH (socket, &all_sockets, all_link) {
            if (refcount_get_unless_zero(&socket->ref)) {
                sockets[count++] = socket;
            }
        }
    }
    mutex_unlock(&names_lock);
    if (!sockets) {
        return -ENOMEM;
    }
    *ret_sockets = sockets;
    *ret_count = count;
    return 0;
}

struct unix_socket *unix_ref(struct unix_socket *socket)
{
    refcount_get(&socket->ref);
    return socket;
}

struct unix_socket *unix_unref(struct unix_socket *socket)
{
    if (socket && refcount_put(&socket->ref)) {
        mutex_lock(&names_lock);
        LIST_REMOVE(socket, all_link);
        all_count--;
        mutex_unlock(&names_lock);
        unix_address_unref(socket->address);
        cred_unref(socket->peer_groups);
        socket_fini(&socket->base);
        free(socket);
    }
    return NULL;
}

int unix_socket_create(int type, int protocol, struct socket **ret_socket)
{
    if (protocol != 0 && protocol != PF_UNIX) {
        return -EPROTONOSUPPORT;
    }
    if (type == SOCK_RAW) {
        type = SOCK_DGRAM; /* Linux: believed to be so by old programs */
    }
    if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET) {
        return -ESOCKTNOSUPPORT;
    }
    struct unix_socket *socket = unix_socket_new(type);
    if (!socket) {
        return -ENOMEM;
    }
    *ret_socket = &socket->base;
    return 0;
}

void unix_cred_of_caller(struct socket_cred *ret_cred, bool effective)
{
    ret_cred->pid = current.tgid;
    ret_cred->uid = effective ? current.cred->euid : current.cred->uid;
    ret_cred->gid = effective ? current.cred->egid : current.cred->gid;
}

void unix_set_peer_cred_locked(struct unix_socket *socket, const struct socket_cred *cred,
                               const struct cred *groups)
{
    const struct cred *old = socket->peer_groups;
    socket->peer_cred = *cred;
    socket->peer_groups = groups ? cred_ref(groups) : NULL;
    cred_unref(old);
}

/* --- addresses --- */

struct unix_address *unix_address_ref(struct unix_address *address)
{
    if (address) {
        refcount_get(&address->ref);
    }
    return address;
}

struct unix_address *unix_address_unref(struct unix_address *address)
{
    if (address && refcount_put(&address->ref)) {
        path_unref(&address->path);
        free(address);
    }
    return NULL;
}

void unix_address_get(const struct unix_address *address, struct socket_address *ret_name)
{
    if (!address) {
        ret_name->any.sa_family = AF_UNIX;
        ret_name->length = sizeof(sa_family_t);
        return;
    }
    memcpy(ret_name->bytes, &address->key.name, address->length);
    ret_name->length = address->length;
}

/* Linux: unix_validate_addr. */
static int name_check(const struct socket_address *name)
{
    if (name->length <= NAME_OFFSET || name->length > sizeof(struct sockaddr_un) ||
        name->any.sa_family != AF_UNIX) {
        return -EINVAL;
    }
    return 0;
}

static struct unix_address *address_new(const struct socket_address *name, int type)
{
    struct unix_address *address = calloc(1, sizeof(*address));
    if (!address) {
        return NULL;
    }
    refcount_init(&address->ref);
    address->key.type = type;
    address->key.name.sun_family = AF_UNIX;
    memcpy(address->key.name.sun_path, name->bytes + NAME_OFFSET, name->length - NAME_OFFSET);
    address->length = name->length;
    if (address->key.name.sun_path[0]) {
        /* As much as is the name, with its NUL; a 108-byte name has none within the structure. */
        size_t path = strnlen(address->key.name.sun_path, sizeof(address->key.name.sun_path));
        address->length = (uint32_t)(NAME_OFFSET + path + 1);
        address->length = min_of(address->length, (uint32_t)sizeof(struct sockaddr_un));
    }
    address->key_length = (uint32_t)(offsetof(typeof(address->key), name) + address->length);
    return address;
}

/* names_lock held. */
static struct unix_address *abstract_find(const struct unix_address *like)
{
    struct unix_address *found;
    HASH_FIND(hh, abstract_names, &like->key, like->key_length, found);
    return found;
}

/* Takes its own reference of address. names_lock held. */
static int abstract_add(struct unix_address *address, struct unix_socket *socket)
{
    if (abstract_find(address)) {
        return -EADDRINUSE;
    }
    HASH_ADD_KEYPTR(hh, abstract_names, &address->key, address->key_length, address);
    if (!hash_was_added(address)) {
        return -ENOMEM;
    }
    address->socket = socket;
    return 0;
}

static int lookup_path(const char *text, int type, struct unix_socket **ret)
{
    struct path path;
    int result = path_walk(NULL, text, WALK_FOLLOW, &path);
    if (result != 0) {
        return result;
    }
    struct inode *inode = path_inode(&path);
    result = inode_permission(inode, 2);
    if (result == 0 && !S_ISSOCK(inode->mode)) {
        result = -ECONNREFUSED;
    }
    if (result == 0) {
        mutex_lock(&names_lock);
        struct unix_socket *found = atomic_load(&inode->bound);
        if (!found) {
            result = -ECONNREFUSED;
        } else if (found->base.type != type) {
            result = -EPROTOTYPE;
        } else {
            *ret = unix_ref(found);
        }
        mutex_unlock(&names_lock);
    }
    path_unref(&path);
    return result;
}

int unix_lookup(const struct socket_address *name, int type, struct unix_socket **ret)
{
    int result = name_check(name);
    if (result != 0) {
        return result;
    }
    struct unix_address *like = address_new(name, type);
    if (!like) {
        return -ENOMEM;
    }
    if (like->key.name.sun_path[0]) {
        char text[sizeof(like->key.name.sun_path) + 1] = {0};
        memcpy(text, like->key.name.sun_path, sizeof(like->key.name.sun_path));
        result = lookup_path(text, type, ret);
    } else {
        mutex_lock(&names_lock);
        struct unix_address *found = abstract_find(like);
        /* Its file stays while the name is there: release takes the name out first. */
        const struct file *file = found ? atomic_load(&found->socket->base.file) : NULL;
        if (file && !landlock_may_reach(file->cred, LANDLOCK_SCOPE_ABSTRACT_UNIX)) {
            result = -EPERM;
        } else if (found) {
            *ret = unix_ref(found->socket);
        } else {
            result = -ECONNREFUSED;
        }
        mutex_unlock(&names_lock);
    }
    unix_address_unref(like);
    return result;
}

/* --- bind --- */

static int bind_path(struct unix_socket *socket, struct unix_address *address)
{
    char text[sizeof(address->key.name.sun_path) + 1] = {0};
    memcpy(text, address->key.name.sun_path, sizeof(address->key.name.sun_path));
    int result = vfs_bind_socket(text, S_IFSOCK | 0777, &address->path);
    if (result != 0) {
        return result == -EEXIST ? -EADDRINUSE : result;
    }
    mutex_lock(&names_lock);
    atomic_store(&path_inode(&address->path)->bound, socket);
    mutex_unlock(&names_lock);
    return 0;
}

static int bind_abstract(struct unix_socket *socket, struct unix_address *address)
{
    mutex_lock(&names_lock);
    int result = abstract_add(address, socket);
    mutex_unlock(&names_lock);
    return result;
}

/* A free abstract name of five hexadecimal digits. */
static int bind_auto(struct unix_socket *socket, struct unix_address **ret_address)
{
    for (uint32_t tries = 0; tries <= 0xfffff; tries++) {
        struct socket_address name = {.length = NAME_OFFSET + 6};
        char digits[8];
        name.any.sa_family = AF_UNIX;
        mutex_lock(&names_lock);
        snprintf(digits, sizeof(digits), "%05x", next_autobind++ & 0xfffff);
        mutex_unlock(&names_lock);
        memcpy(name.bytes + NAME_OFFSET + 1, digits, 5);
        struct unix_address *address = address_new(&name, socket->base.type);
        if (!address) {
            return -ENOMEM;
        }
        int result = bind_abstract(socket, address);
        if (result == 0) {
            *ret_address = address;
            return 0;
        }
        unix_address_unref(address);
        if (result != -EADDRINUSE) {
            return result;
        }
    }
    return -ENOSPC;
}

/* name NULL: autobind; then a socket that has a name is left alone. */
static int bind_any(struct unix_socket *socket, const struct socket_address *name)
{
    mutex_lock(&socket->base.lock);
    if (socket->address || socket->binding) {
        mutex_unlock(&socket->base.lock);
        return name ? -EINVAL : 0;
    }
    socket->binding = true;
    mutex_unlock(&socket->base.lock);

    struct unix_address *address = NULL;
    int result;
    if (!name) {
        result = bind_auto(socket, &address);
    } else {
        address = address_new(name, socket->base.type);
        if (!address) {
            result = -ENOMEM;
        } else if (address->key.name.sun_path[0]) {
            result = bind_path(socket, address);
        } else {
            result = bind_abstract(socket, address);
        }
        if (result != 0) {
            unix_address_unref(address);
        }
    }
    mutex_lock(&socket->base.lock);
    socket->binding = false;
    if (result == 0) {
        socket->address = address;
    }
    mutex_unlock(&socket->base.lock);
    return result;
}

static int unix_bind(struct socket *base, const struct socket_address *name)
{
    struct unix_socket *socket = unix_of(base);
    if (name->length == NAME_OFFSET && name->any.sa_family == AF_UNIX) {
        return bind_any(socket, NULL);
    }
    int result = name_check(name);
    return result != 0 ? result : bind_any(socket, name);
}

int unix_autobind_if_passing(struct unix_socket *socket)
{
    mutex_lock(&socket->base.lock);
    bool wanted = socket->base.options.pass_cred && !socket->address;
    mutex_unlock(&socket->base.lock);
    return wanted ? bind_any(socket, NULL) : 0;
}

/* --- release --- */

/* The name no longer leads here. */
static void unname(struct unix_socket *socket)
{
    mutex_lock(&socket->base.lock);
    struct unix_address *address = socket->address;
    mutex_unlock(&socket->base.lock);
    if (!address) {
        return;
    }
    mutex_lock(&names_lock);
    if (address->socket == socket) {
        HASH_DELETE(hh, abstract_names, address);
        address->socket = NULL;
    }
    if (address->path.dentry) {
        /* An accepted socket shares the listener's address but not the name. */
        void *expected = socket;
        atomic_compare_exchange_strong(&path_inode(&address->path)->bound, &expected, NULL);
    }
    mutex_unlock(&names_lock);
}

static void release_embryos(struct unix_socket *socket)
{
    for (;;) {
        mutex_lock(&socket->base.lock);
        struct unix_socket *embryo = TAILQ_FIRST(&socket->embryos);
        if (embryo) {
            TAILQ_REMOVE(&socket->embryos, embryo, embryo_link);
            socket->queued--;
        }
        mutex_unlock(&socket->base.lock);
        if (!embryo) {
            return;
        }
        mutex_lock(&embryo->base.lock);
        embryo->error = ECONNRESET; /* marks that its peer is to hear of a reset */
        mutex_unlock(&embryo->base.lock);
        unix_release(&embryo->base);
    }
}

/* Tells the peer that this end is gone; reset: data was lost. */
static void release_peer(struct unix_socket *socket, struct unix_socket *peer, bool reset)
{
    mutex_lock(&peer->base.lock);
    if (socket->base.type != SOCK_DGRAM) {
        peer->shutdown = UNIX_SHUT_BOTH;
        if (reset) {
            peer->error = ECONNRESET;
        }
    }
    mutex_unlock(&peer->base.lock);
    if (socket->base.type != SOCK_DGRAM) {
        wait_queue_wake(&peer->base.queue, EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM |
                                               EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    }
    unix_unref(peer);
}

void unix_release(struct socket *base)
{
    struct unix_socket *socket = unix_of(base);
    struct unix_packet_list packets = TAILQ_HEAD_INITIALIZER(packets);
    struct unix_packet *packet;
    unname(socket);
    bool collecting = unix_lock_with_files(socket);
    bool embryo = base->file == NULL && socket->error == ECONNRESET;
    bool was_listening = socket->state == UNIX_LISTENING;
    socket->dead = true;
    socket->state = UNIX_CLOSED;
    socket->shutdown = UNIX_SHUT_BOTH;
    base->file = NULL;
    struct unix_socket *peer = socket->peer;
    socket->peer = NULL;
    TAILQ_CONCAT(&packets, &socket->packets, link);
    if (!was_listening) {
        socket->queued = 0;
    }
    socket->queued_bytes = socket->queued_files = 0;
    struct unix_waiter *waiters = unix_waiters_take_locked(socket);
    mutex_unlock(&base->lock);
    if (collecting) {
        TAILQ_FOREACH (packet, &packets, link) {
            unix_inflight_remove_locked(packet);
        }
        mutex_unlock(&unix_gc_lock);
    }

    release_embryos(socket);
    unix_waiters_wake(waiters);
    if (peer) {
        release_peer(socket, peer, embryo || !TAILQ_EMPTY(&packets));
    }
    unix_packets_free(&packets);
    unix_unref(socket);
    unix_gc_maybe();
}

/* --- names, options, readiness --- */

static int unix_get_name(struct socket *base, bool peer, struct socket_address *ret_name)
{
    struct unix_socket *socket = unix_of(base);
    mutex_lock(&base->lock);
    if (!peer) {
        unix_address_get(socket->address, ret_name);
        mutex_unlock(&base->lock);
        return 0;
    }
    struct unix_socket *other = socket->peer ? unix_ref(socket->peer) : NULL;
    mutex_unlock(&base->lock);
    if (!other) {
        return -ENOTCONN;
    }
    mutex_lock(&other->base.lock);
    unix_address_get(other->address, ret_name);
    mutex_unlock(&other->base.lock);
    unix_unref(other);
    return 0;
}

static int unix_set_option(struct socket *base, int level, int option, const void *value,
                           uint32_t length)
{
    (void)base;
    (void)option;
    (void)value;
    (void)length;
    return level == SOL_SOCKET ? -ENOPROTOOPT : -EOPNOTSUPP;
}

static int peer_groups_get(struct unix_socket *socket, void *value, uint32_t *length)
{
    mutex_lock(&socket->base.lock);
    const struct cred *cred = socket->peer_groups ? cred_ref(socket->peer_groups) : NULL;
    mutex_unlock(&socket->base.lock);
    if (!cred) {
        return -ENODATA;
    }
    uint32_t size = cred->group_count * (uint32_t)sizeof(gid_t);
    int result = 0;
    if (*length < size) {
        result = -ERANGE;
    } else if (size > 0) {
        memcpy(value, cred->groups, size);
    }
    *length = size;
    cred_unref(cred);
    return result;
}

static int unix_get_option(struct socket *base, int level, int option, void *value,
                           uint32_t *length)
{
    struct unix_socket *socket = unix_of(base);
    if (level != SOL_SOCKET) {
        return -EOPNOTSUPP;
    }
    switch (option) {
    case SO_PEERCRED: {
        mutex_lock(&base->lock);
        struct socket_cred cred = socket->peer_cred;
        mutex_unlock(&base->lock);
        return socket_option_put(value, length, &cred, sizeof(cred));
    }
    case SO_PEERGROUPS:
        return peer_groups_get(socket, value, length);
    case SO_PEERNAME: {
        struct socket_address name;
        int result = unix_get_name(base, true, &name);
        if (result != 0) {
            return result;
        }
        return *length > name.length ? -EINVAL
                                     : socket_option_put(value, length, name.bytes, name.length);
    }
    default:
        return -ENOPROTOOPT;
    }
}

static int unix_take_error(struct socket *base)
{
    mutex_lock(&base->lock);
    int error = unix_of(base)->error;
    unix_of(base)->error = 0;
    mutex_unlock(&base->lock);
    return error;
}

static bool unix_is_listening(struct socket *base)
{
    mutex_lock(&base->lock);
    bool listening = unix_of(base)->state == UNIX_LISTENING;
    mutex_unlock(&base->lock);
    return listening;
}

static long unix_ioctl(struct socket *base, unsigned command, uint64_t argument)
{
    struct unix_socket *socket = unix_of(base);
    int count;
    if (command == SIOCOUTQ) {
        count = (int)atomic_load(&socket->sent);
        return socket_put_user(argument, &count, sizeof(count));
    }
    if (command != SIOCINQ) {
        return -ENOTTY;
    }
    mutex_lock(&base->lock);
    struct unix_packet *first = TAILQ_FIRST(&socket->packets);
    bool listening = socket->state == UNIX_LISTENING;
    count = base->type == SOCK_DGRAM ? (first ? (int)first->length : 0) : (int)socket->queued_bytes;
    mutex_unlock(&base->lock);
    return listening ? -EINVAL : socket_put_user(argument, &count, sizeof(count));
}

/* A datagram socket is not writable while the peer it is connected to is full. */
static bool peer_has_room(struct unix_socket *socket, struct unix_socket *peer)
{
    bool room = true;
    mutex_lock_nested(&peer->base.lock);
    if (peer->peer != socket && unix_queue_full_locked(peer)) {
        room = unix_wait_locked(peer, socket) != 0;
    }
    mutex_unlock(&peer->base.lock);
    return room;
}

uint32_t unix_poll(struct socket *base)
{
    struct unix_socket *socket = unix_of(base);
    uint32_t mask = 0;
    mutex_lock_nested(&base->lock);
    if (socket->error) {
        mask |= EPOLLERR;
    }
    if (socket->shutdown == UNIX_SHUT_BOTH) {
        mask |= EPOLLHUP;
    }
    if (socket->shutdown & UNIX_SHUT_RECEIVE) {
        mask |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
    }
    if (socket->queued > 0) {
        mask |= EPOLLIN | EPOLLRDNORM;
    }
    if (base->type != SOCK_DGRAM && socket->state == UNIX_CLOSED) {
        mask |= EPOLLHUP;
    }
    bool writable = socket->state != UNIX_LISTENING && unix_writable(socket);
    struct unix_socket *peer =
        writable && base->type != SOCK_STREAM && socket->peer && socket->peer != socket
            ? unix_ref(socket->peer)
            : NULL;
    mutex_unlock(&base->lock);
    if (peer) {
        writable = peer_has_room(socket, peer);
        unix_unref(peer);
    }
    if (writable) {
        mask |= EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
    }
    return mask;
}

const struct socket_ops unix_socket_ops = {
    .bind = unix_bind,
    .connect = unix_connect,
    .listen = unix_listen,
    .accept = unix_accept,
    .accept_undo = unix_accept_undo,
    .pair = unix_pair,
    .send = unix_send,
    .receive = unix_receive,
    .shutdown = unix_shutdown,
    .get_name = unix_get_name,
    .set_option = unix_set_option,
    .get_option = unix_get_option,
    .ioctl = unix_ioctl,
    .poll = unix_poll,
    .release = unix_release,
    .take_error = unix_take_error,
    .is_listening = unix_is_listening,
};
