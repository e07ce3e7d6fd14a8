/*
 * sys_socket.c: making, naming and connecting sockets, and their options. Messages are in
 * sys_message.c. Source: Linux net/socket.c; the man pages of the calls.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/net/socket.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/landlock.h"
#include "syscalls/blocking.h"
#include "syscalls/lookup.h"
#include "syscalls/socket_arguments.h"
#include "syscalls/syscall.h"

#define TYPE_MASK   0xf
#define OPTION_SIZE 4096 /* the longest value that any option takes or gives */

int copy_in_sockaddr(uint64_t addr, int length, struct socket_address *ret_name)
{
    memset(ret_name, 0, sizeof(*ret_name));
    if (length < 0 || (size_t)length > sizeof(ret_name->bytes)) {
        return -EINVAL;
    }
    ret_name->length = (uint32_t)length;
    return length == 0 ? 0 : mm_copy_in(current.mm, addr, ret_name->bytes, (size_t)length);
}

int copy_out_sockaddr(const struct socket_address *name, uint64_t addr, uint64_t length_addr)
{
    int room;
    int length = (int)name->length;
    if (copy_in(length_addr, &room) < 0) {
        return -EFAULT;
    }
    if (room < 0) {
        return -EINVAL;
    }
    int part = min_of(min_of(room, length), (int)sizeof(name->bytes));
    if (part > 0 && mm_copy_out(current.mm, addr, name->bytes, (size_t)part) < 0) {
        return -EFAULT;
    }
    return copy_out(length_addr, &length);
}

struct file *arg_socket(struct task *task, const struct syscall_args *args, int *ret_error)
{
    struct file *file = arg_file(task, args, 0);
    if (!file) {
        *ret_error = -EBADF;
        return NULL;
    }
    if (!socket_of(file)) {
        *ret_error = -ENOTSOCK;
        return file_unref(file);
    }
    return file;
}

long sys_socket(struct task *task, const struct syscall_args *args)
{
    int type = arg_int(args, 1);
    int flags = type & ~TYPE_MASK;
    struct file *file;
    if ((flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) != 0) {
        return -EINVAL;
    }
    int error = socket_new(arg_int(args, 0), type & TYPE_MASK, arg_int(args, 2),
                           (unsigned)flags & SOCK_NONBLOCK, &file);
    return error < 0 ? error : install_file(task, file, (flags & SOCK_CLOEXEC) != 0);
}

long sys_socketpair(struct task *task, const struct syscall_args *args)
{
    int type = arg_int(args, 1);
    int flags = type & ~TYPE_MASK;
    struct file *files[2];
    int fds[2];
    if ((flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) != 0) {
        return -EINVAL;
    }
    int error = socket_pair(arg_int(args, 0), type & TYPE_MASK, arg_int(args, 2),
                            (unsigned)flags & SOCK_NONBLOCK, files);
    if (error < 0) {
        return error;
    }
    error = fd_install_two(task->fds, files, (flags & SOCK_CLOEXEC) != 0, task_limit(RLIMIT_NOFILE),
                           fds);
    if (error < 0) {
        file_unref(files[0]);
        file_unref(files[1]);
        return error;
    }
    if (copy_out(arg_u64(args, 3), &fds) < 0) {
        ignore_result(fd_close(task->fds, fds[0]));
        ignore_result(fd_close(task->fds, fds[1]));
        return -EFAULT;
    }
    return 0;
}

/* Landlock's rules for TCP. */
static int check_port(struct file *file, const struct socket_address *name, enum landlock_net right)
{
    const struct socket *socket = socket_of(file);
    if (!current.cred->domain || socket->type != SOCK_STREAM ||
        (socket->domain != AF_INET && socket->domain != AF_INET6)) {
        return 0;
    }
    struct sockaddr_in in; /* the port is at the same place for both */
    if (name->length < sizeof(in) ||
        (name->any.sa_family != AF_INET && name->any.sa_family != AF_INET6)) {
        return 0;
    }
    memcpy(&in, name->bytes, sizeof(in));
    return landlock_check_port(ntohs(in.sin_port), right);
}

long sys_bind(struct task *task, const struct syscall_args *args)
{
    struct socket_address name;
    int error = 0;
    auto_file struct file *file = arg_socket(task, args, &error);
    if (!file) {
        return error;
    }
    error = copy_in_sockaddr(arg_u64(args, 1), arg_int(args, 2), &name);
    if (error == 0) {
        error = check_port(file, &name, LANDLOCK_BIND_TCP);
    }
    return error < 0 ? error : socket_bind(file, &name);
}

static long connect_wait(struct file *file, const struct socket_address *name)
{
    struct blocking_wait wait;
    int error = socket_connect(file, name);
    if (error != -EAGAIN || (atomic_load(&file->flags) & O_NONBLOCK) != 0) {
        return error;
    }
    uint64_t deadline = blocking_socket_deadline(file, true);
    blocking_begin(&wait, file_wait_queue(file), BLOCKING_ANY, deadline);
    while (error == -EAGAIN) {
        int ended = blocking_next(&wait);
        if (ended < 0) {
            /* Linux: inet_stream_connect goes on in the background after a timeout */
            bool inet = socket_of(file)->domain != AF_UNIX;
            error =
                ended == -ETIMEDOUT && inet ? -EINPROGRESS : blocking_socket_error(ended, deadline);
            break;
        }
        error = socket_connect(file, name);
    }
    blocking_end(&wait);
    return error;
}

long sys_connect(struct task *task, const struct syscall_args *args)
{
    struct socket_address name;
    int error = 0;
    auto_file struct file *file = arg_socket(task, args, &error);
    if (!file) {
        return error;
    }
    error = copy_in_sockaddr(arg_u64(args, 1), arg_int(args, 2), &name);
    if (error == 0) {
        error = check_port(file, &name, LANDLOCK_CONNECT_TCP);
    }
    return error < 0 ? error : connect_wait(file, &name);
}

long sys_listen(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = arg_file(task, args, 0);
    return file ? socket_listen(file, arg_int(args, 1)) : -EBADF;
}

static int accept_wait(struct file *file, unsigned flags, struct file **ret_file,
                       struct socket_address *ret_name)
{
    struct blocking_wait wait;
    int error = socket_accept(file, flags, ret_file, ret_name);
    if (error != -EAGAIN || (atomic_load(&file->flags) & O_NONBLOCK) != 0) {
        return error;
    }
    uint64_t deadline = blocking_socket_deadline(file, false);
    blocking_begin(&wait, file_wait_queue(file), BLOCKING_IN, deadline);
    while (error == -EAGAIN) {
        int ended = blocking_next(&wait);
        if (ended < 0) {
            error = blocking_socket_error(ended, deadline);
            break;
        }
        error = socket_accept(file, flags, ret_file, ret_name);
    }
    blocking_end(&wait);
    return error;
}

static long do_accept(struct task *task, const struct syscall_args *args, int flags)
{
    struct socket_address name = {.length = 0};
    struct file *accepted;
    int error = 0;
    if ((flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) != 0) {
        return -EINVAL;
    }
    auto_file struct file *file = arg_socket(task, args, &error);
    if (!file) {
        return error;
    }
    error = accept_wait(file, (unsigned)flags & SOCK_NONBLOCK, &accepted, &name);
    if (error < 0) {
        return error;
    }
    if (arg_u64(args, 1) != 0) {
        error = copy_out_sockaddr(&name, arg_u64(args, 1), arg_u64(args, 2));
        if (error < 0) {
            file_unref(accepted);
            return error;
        }
    }
    return install_file(task, accepted, (flags & SOCK_CLOEXEC) != 0);
}

long sys_accept(struct task *task, const struct syscall_args *args)
{
    return do_accept(task, args, 0);
}

long sys_accept4(struct task *task, const struct syscall_args *args)
{
    return do_accept(task, args, arg_int(args, 3));
}

static long get_name(struct task *task, const struct syscall_args *args, bool peer)
{
    struct socket_address name = {.length = 0};
    auto_file struct file *file = arg_file(task, args, 0);
    if (!file) {
        return -EBADF;
    }
    int error = socket_get_name(file, peer, &name);
    return error < 0 ? error : copy_out_sockaddr(&name, arg_u64(args, 1), arg_u64(args, 2));
}

long sys_getsockname(struct task *task, const struct syscall_args *args)
{
    return get_name(task, args, false);
}

long sys_getpeername(struct task *task, const struct syscall_args *args)
{
    return get_name(task, args, true);
}

long sys_shutdown(struct task *task, const struct syscall_args *args)
{
    auto_file struct file *file = arg_file(task, args, 0);
    return file ? socket_shutdown(file, arg_int(args, 1)) : -EBADF;
}

long sys_setsockopt(struct task *task, const struct syscall_args *args)
{
    unsigned char value[OPTION_SIZE];
    int length = arg_int(args, 4);
    int error = 0;
    if (length < 0) {
        return -EINVAL;
    }
    auto_file struct file *file = arg_socket(task, args, &error);
    if (!file) {
        return error;
    }
    size_t size = min_of((size_t)length, sizeof(value));
    if (size > 0 && mm_copy_in(current.mm, arg_u64(args, 3), value, size) < 0) {
        return -EFAULT;
    }
    return socket_set_option(file, arg_int(args, 1), arg_int(args, 2), value, (uint32_t)size);
}

long sys_getsockopt(struct task *task, const struct syscall_args *args)
{
    unsigned char value[OPTION_SIZE];
    int room;
    int error = 0;
    auto_file struct file *file = arg_socket(task, args, &error);
    if (!file) {
        return error;
    }
    if (copy_in(arg_u64(args, 4), &room) < 0) {
        return -EFAULT;
    }
    if (room < 0) {
        return -EINVAL;
    }
    uint32_t length = (uint32_t)min_of((size_t)room, sizeof(value));
    uint32_t size = length;
    memset(value, 0, size);
    error = socket_get_option(file, arg_int(args, 1), arg_int(args, 2), value, &length);
    if (error < 0) {
        return error;
    }
    if (mm_copy_out(current.mm, arg_u64(args, 3), value, min_of(length, size)) < 0) {
        return -EFAULT;
    }
    return copy_out(arg_u64(args, 4), &length);
}
