/*
 * socket.c: the family table, and sockets as files.
 */
#include "sentry/net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/mm/uio.h"
#include "sentry/net/unix.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"

struct socket_family {
    int domain;
    int (*create)(int type, int protocol, struct socket **ret_socket) must_check;
};

/* To add a family: one row. */
static const struct socket_family families[] = {
    {AF_UNIX, unix_socket_create},
    {AF_INET, inet_socket_create},
    {AF_INET6, inet6_socket_create},
    {AF_NETLINK, netlink_socket_create},
};

void net_init(void)
{
    unix_init();
}

static atomic_uint total;

unsigned socket_total(void)
{
    return atomic_load(&total);
}

void socket_init(struct socket *socket, const struct socket_ops *ops, int domain, int type,
                 int protocol)
{
    socket->ops = ops;
    socket->domain = domain;
    socket->type = type;
    socket->protocol = protocol;
    socket->file = NULL;
    mutex_init(&socket->lock, RANK_SOCKET);
    wait_queue_init(&socket->queue);
    socket_options_init(&socket->options);
    atomic_fetch_add(&total, 1);
}

void socket_fini(struct socket *socket)
{
    atomic_fetch_sub(&total, 1);
    wait_queue_fini(&socket->queue);
    mutex_fini(&socket->lock);
}

struct socket *socket_of(struct file *file)
{
    return file->ops == &socket_file_ops ? file->private_data : NULL;
}

/* --- creation --- */

static int family_create(int domain, int type, int protocol, struct socket **ret_socket)
{
    if (domain < 0 || domain >= AF_MAX) {
        return -EAFNOSUPPORT;
    }
    if (type < 0 || type >= 11) { /* Linux: SOCK_MAX */
        return -EINVAL;
    }
    if (domain == AF_PACKET) {
        return capable(CAP_NET_RAW) ? -EAFNOSUPPORT : -EPERM;
    }
    for (size_t i = 0; i < array_size(families); i++) {
        if (families[i].domain == domain) {
            return families[i].create(type, protocol, ret_socket);
        }
    }
    return -EAFNOSUPPORT;
}

/* The file takes the socket on success. */
static int socket_file(struct socket *socket, unsigned flags, struct file **ret_file)
{
    int result =
        file_new_anon(&socket_file_ops, S_IFSOCK | 0777, FILE_READ | FILE_WRITE | FILE_STREAM,
                      (flags & O_NONBLOCK) | O_RDWR, socket, ret_file);
    if (result == 0) {
        socket->file = *ret_file;
        atomic_store(&socket->inode_number, (*ret_file)->inode->ino);
    }
    return result;
}

int socket_new(int domain, int type, int protocol, unsigned flags, struct file **ret_file)
{
    struct socket *socket;
    int result = family_create(domain, type, protocol, &socket);
    if (result != 0) {
        return result;
    }
    result = socket_file(socket, flags, ret_file);
    if (result != 0) {
        socket->ops->release(socket);
    }
    return result;
}

int socket_pair(int domain, int type, int protocol, unsigned flags, struct file *ret_files[2])
{
    struct file *files[2];
    int result = socket_new(domain, type, protocol, flags, &files[0]);
    if (result != 0) {
        return result;
    }
    result = socket_new(domain, type, protocol, flags, &files[1]);
    if (result != 0) {
        file_unref(files[0]);
        return result;
    }
    struct socket *a = files[0]->private_data;
    struct socket *b = files[1]->private_data;
    result = a->ops->pair ? a->ops->pair(a, b) : -EOPNOTSUPP;
    if (result != 0) {
        file_unref(files[0]);
        file_unref(files[1]);
        return result;
    }
    ret_files[0] = files[0];
    ret_files[1] = files[1];
    return 0;
}

/* --- calls --- */

int socket_bind(struct file *file, const struct socket_address *name)
{
    struct socket *socket = socket_of(file);
    return socket ? socket->ops->bind(socket, name) : -ENOTSOCK;
}

int socket_connect(struct file *file, const struct socket_address *name)
{
    struct socket *socket = socket_of(file);
    if (!socket) {
        return -ENOTSOCK;
    }
    return socket->ops->connect(socket, name, atomic_load(&file->flags) & O_NONBLOCK);
}

int socket_listen(struct file *file, int backlog)
{
    struct socket *socket = socket_of(file);
    if (!socket) {
        return -ENOTSOCK;
    }
    /* Linux: a negative backlog is a huge one; net.core.somaxconn is 4096. */
    backlog = backlog < 0 || backlog > 4096 ? 4096 : backlog;
    return socket->ops->listen(socket, backlog);
}

int socket_accept(struct file *file, unsigned flags, struct file **ret_file,
                  struct socket_address *ret_name)
{
    struct socket *socket = socket_of(file);
    struct socket *accepted;
    if (!socket) {
        return -ENOTSOCK;
    }
    int result = socket->ops->accept(socket, &accepted);
    if (result != 0) {
        return result;
    }
    if (ret_name) {
        ret_name->length = 0;
        ignore_result(accepted->ops->get_name(accepted, true, ret_name));
    }
    result = socket_file(accepted, flags, ret_file);
    if (result != 0) {
        socket->ops->accept_undo(socket, accepted);
    }
    return result;
}

ssize_t socket_send(struct file *file, struct socket_message *message)
{
    struct socket *socket = socket_of(file);
    return socket ? socket->ops->send(socket, message) : -ENOTSOCK;
}

ssize_t socket_receive(struct file *file, struct socket_message *message)
{
    struct socket *socket = socket_of(file);
    message->files = NULL;
    message->file_count = 0;
    message->has_cred = false;
    message->ret_flags = 0;
    message->name.length = 0;
    message->ancillary = NULL;
    return socket ? socket->ops->receive(socket, message) : -ENOTSOCK;
}

int socket_shutdown(struct file *file, int how)
{
    struct socket *socket = socket_of(file);
    if (!socket) {
        return -ENOTSOCK;
    }
    return how < SHUT_RD || how > SHUT_RDWR ? -EINVAL : socket->ops->shutdown(socket, how);
}

int socket_get_name(struct file *file, bool peer, struct socket_address *ret_name)
{
    struct socket *socket = socket_of(file);
    return socket ? socket->ops->get_name(socket, peer, ret_name) : -ENOTSOCK;
}

int socket_set_option(struct file *file, int level, int option, const void *value, uint32_t length)
{
    struct socket *socket = socket_of(file);
    if (!socket) {
        return -ENOTSOCK;
    }
    if (level == SOL_SOCKET) {
        int result = socket_common_set(socket, option, value, length);
        if (result != -ENOPROTOOPT) {
            return result;
        }
    }
    return socket->ops->set_option(socket, level, option, value, length);
}

int socket_get_option(struct file *file, int level, int option, void *value, uint32_t *length)
{
    struct socket *socket = socket_of(file);
    if (!socket) {
        return -ENOTSOCK;
    }
    if (level == SOL_SOCKET) {
        int result = socket_common_get(socket, option, value, length);
        if (result != -ENOPROTOOPT) {
            return result;
        }
    }
    return socket->ops->get_option(socket, level, option, value, length);
}

uint64_t socket_timeout(struct file *file, bool sending)
{
    struct socket *socket = socket_of(file);
    if (!socket) {
        return SLEEP_FOREVER;
    }
    mutex_lock(&socket->lock);
    uint64_t timeout =
        sending ? socket->options.send_timeout_ns : socket->options.receive_timeout_ns;
    mutex_unlock(&socket->lock);
    return timeout;
}

bool socket_receive_done(struct file *file, unsigned flags, uint64_t got, uint64_t wanted)
{
    struct socket *socket = socket_of(file);
    if (!socket || socket->type != SOCK_STREAM || got >= wanted) {
        return true;
    }
    mutex_lock(&socket->lock);
    uint64_t target = (flags & MSG_WAITALL) ? wanted : (uint64_t)socket->options.receive_low_water;
    mutex_unlock(&socket->lock);
    return got >= min_of(target, wanted);
}

int socket_message_add(struct socket_message *message, int level, int type, const void *data,
                       uint32_t length)
{
    struct socket_ancillary *ancillary = message->ancillary;
    if (!ancillary) {
        ancillary = message->ancillary = malloc(sizeof(*ancillary));
        if (!ancillary) {
            return -ENOMEM;
        }
        ancillary->count = 0;
    }
    if (ancillary->count == SOCKET_ANCILLARY_MAX || length > SOCKET_ANCILLARY_SIZE) {
        return -ENOMEM;
    }
    ancillary->items[ancillary->count].level = level;
    ancillary->items[ancillary->count].type = type;
    ancillary->items[ancillary->count].length = length;
    memcpy(ancillary->items[ancillary->count].data, data, length);
    ancillary->count++;
    return 0;
}

/* --- user memory of ioctls --- */

long socket_put_user(uint64_t address, const void *data, size_t length)
{
    struct uio uio;
    uio_init_guest(&uio, current.mm, address, length);
    ssize_t put = uio_put(&uio, data, length);
    return put == (ssize_t)length ? 0 : -EFAULT;
}

long socket_get_user(uint64_t address, void *data, size_t length)
{
    struct uio uio;
    uio_init_guest(&uio, current.mm, address, length);
    ssize_t got = uio_get(&uio, data, length);
    return got == (ssize_t)length ? 0 : -EFAULT;
}

/* --- file operations --- */

static ssize_t socket_file_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)offset;
    (void)flags;
    struct socket_message message = {.uio = uio};
    if (uio->left == 0) { /* Linux: a zero-length read of a socket moves nothing */
        return 0;
    }
    if (atomic_load(&file->flags) & O_NONBLOCK) {
        message.flags = MSG_DONTWAIT;
    }
    ssize_t count = socket_receive(file, &message);
    /* read(2) has no place for files: they are dropped, as on Linux. */
    for (uint32_t i = 0; i < message.file_count; i++) {
        file_unref(message.files[i]);
    }
    free(message.files);
    free(message.ancillary);
    return count;
}

static ssize_t socket_file_write(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)offset;
    (void)flags;
    struct socket_message message = {.uio = uio};
    if (atomic_load(&file->flags) & O_NONBLOCK) {
        message.flags = MSG_DONTWAIT;
    }
    return socket_send(file, &message);
}

static uint32_t socket_file_poll(struct file *file)
{
    struct socket *socket = file->private_data;
    return socket->ops->poll(socket);
}

static struct wait_queue *socket_file_wait_queue(struct file *file)
{
    struct socket *socket = file->private_data;
    return &socket->queue;
}

static long socket_file_ioctl(struct file *file, unsigned command, uint64_t argument)
{
    struct socket *socket = file->private_data;
    long result = socket->ops->ioctl(socket, command, argument);
    return result == -ENOTTY ? socket_interface_ioctl(command, argument) : result;
}

static void socket_file_release(struct file *file)
{
    struct socket *socket = file->private_data;
    socket->ops->release(socket);
}

const struct file_ops socket_file_ops = {
    .read = socket_file_read,
    .write = socket_file_write,
    .poll = socket_file_poll,
    .wait_queue = socket_file_wait_queue,
    .ioctl = socket_file_ioctl,
    .release = socket_file_release,
    .anon_name = "socket",
};
