/*
 * sys_message.c: sending and receiving on sockets: sendto, recvfrom, sendmsg, recvmsg, sendmmsg,
 * recvmmsg. Source: Linux net/socket.c; send(2), recv(2), sendmmsg(2), recvmmsg(2).
 */
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/clock.h"
#include "sentry/mm/uio.h"
#include "sentry/net/socket.h"
#include "sentry/vfs/file.h"
#include "syscalls/blocking.h"
#include "syscalls/lookup.h"
#include "syscalls/socket_arguments.h"
#include "syscalls/socket_control.h"
#include "syscalls/syscall.h"

#define KERNEL_MSG_CMSG_COMPAT 0x80000000U

/* struct user_msghdr of the guest ABI. */
struct linux_msghdr {
    uint64_t name;
    int32_t name_length;
    uint32_t padding;
    uint64_t iov, iov_count;
    uint64_t control, control_length;
    uint32_t flags;
    uint32_t padding2;
};

struct linux_mmsghdr {
    struct linux_msghdr header;
    uint32_t length;
    uint32_t padding;
};

static unsigned call_flags(const struct file *file, unsigned flags)
{
    bool nonblock = (atomic_load(&file->flags) & O_NONBLOCK) != 0 || (flags & MSG_ERRQUEUE) != 0;
    return nonblock ? flags | MSG_DONTWAIT : flags;
}

/* Sends all of a stream's bytes, or one datagram; waits unless MSG_DONTWAIT. */
static ssize_t send_all(struct file *file, struct socket_message *message)
{
    ssize_t total = 0;
    ssize_t count = socket_send(file, message);
    bool stream = socket_of(file)->type == SOCK_STREAM;
    bool blocks = (message->flags & MSG_DONTWAIT) == 0;
    if (count > 0 && stream && message->uio->left > 0 && blocks) {
        total = count;
        count = -EAGAIN;
        message->flags |= MSG_NOSIGNAL;
    }
    if (count != -EAGAIN || !blocks) {
        return count;
    }
    struct blocking_wait wait;
    uint64_t deadline = blocking_socket_deadline(file, true);
    blocking_begin(&wait, file_wait_queue(file), BLOCKING_OUT, deadline);
    for (;;) {
        count = socket_send(file, message);
        if (count > 0) {
            total += count;
            message->flags |= MSG_NOSIGNAL; /* Linux: what was sent counts, not what comes then */
        }
        if (count > 0 && stream && message->uio->left > 0) {
            continue;
        }
        if (count != -EAGAIN) {
            break;
        }
        int error = blocking_next(&wait);
        if (error < 0) {
            count = blocking_socket_error(error, deadline);
            break;
        }
    }
    blocking_end(&wait);
    return total > 0 ? total : count;
}

/* Is a receive that got total bytes so far to go on? */
static bool receive_more(struct file *file, const struct socket_message *message, ssize_t total,
                         uint64_t wanted)
{
    return total > 0 && message->uio->left > 0 && message->file_count == 0 &&
           (message->flags & (MSG_PEEK | MSG_DONTWAIT)) == 0 &&
           !socket_receive_done(file, message->flags, (uint64_t)total, wanted);
}

/* Receives; waits unless MSG_DONTWAIT; MSG_WAITALL and SO_RCVLOWAT for streams. */
static ssize_t receive_all(struct file *file, struct socket_message *message)
{
    uint64_t wanted = message->uio->left;
    ssize_t total = 0;
    struct blocking_wait wait;
    uint64_t deadline = blocking_socket_deadline(file, false);
    ssize_t count;
    struct socket_message first = {.has_cred = false};
    blocking_begin(&wait, file_wait_queue(file), BLOCKING_IN, deadline);
    for (;;) {
        count = socket_receive(file, message);
        if (count > 0) {
            if (total == 0) {
                first.has_cred = message->has_cred;
                first.cred = message->cred;
            }
            total += count;
            if (receive_more(file, message, total, wanted)) {
                continue;
            }
            break;
        }
        if (count != -EAGAIN || (message->flags & MSG_DONTWAIT) != 0) {
            break;
        }
        int error = blocking_next(&wait);
        if (error < 0) {
            count = blocking_socket_error(error, deadline);
            break;
        }
    }
    blocking_end(&wait);
    if (total > 0) { /* the credentials are those of the first bytes */
        message->has_cred = first.has_cred;
        message->cred = first.cred;
    }
    return total > 0 ? total : count;
}

long sys_sendto(struct task *task, const struct syscall_args *args)
{
    struct uio uio;
    struct socket_message message = {.uio = &uio};
    int error = 0;
    if (!user_range_ok(arg_u64(args, 1), arg_u64(args, 2))) {
        return -EFAULT;
    }
    auto_file struct file *file = arg_socket(task, args, &error);
    if (!file) {
        return error;
    }
    if (arg_u64(args, 4) != 0) {
        error = copy_in_sockaddr(arg_u64(args, 4), arg_int(args, 5), &message.name);
        if (error < 0) {
            return error;
        }
    }
    uio_init_guest(&uio, current.mm, arg_u64(args, 1), arg_u64(args, 2));
    message.flags = call_flags(file, arg_uint(args, 3) & ~KERNEL_MSG_CMSG_COMPAT);
    return send_all(file, &message);
}

long sys_recvfrom(struct task *task, const struct syscall_args *args)
{
    struct uio uio;
    struct socket_message message = {.uio = &uio};
    int error = 0;
    if (!user_range_ok(arg_u64(args, 1), arg_u64(args, 2))) {
        return -EFAULT;
    }
    auto_file struct file *file = arg_socket(task, args, &error);
    if (!file) {
        return error;
    }
    uio_init_guest(&uio, current.mm, arg_u64(args, 1), arg_u64(args, 2));
    message.flags = call_flags(file, arg_uint(args, 3) & ~KERNEL_MSG_CMSG_COMPAT);
    ssize_t count = receive_all(file, &message);
    control_drop_files(&message);
    if (count >= 0 && arg_u64(args, 4) != 0) {
        error = copy_out_sockaddr(&message.name, arg_u64(args, 4), arg_u64(args, 5));
    }
    return error < 0 ? error : count;
}

/* Checks of copy_msghdr_from_user that sending and receiving share. */
static int copy_in_header(uint64_t addr, struct linux_msghdr *header)
{
    if (copy_in(addr, header) < 0) {
        return -EFAULT;
    }
    if (header->name == 0) {
        header->name_length = 0;
    }
    if (header->name_length < 0) {
        return -EINVAL;
    }
    header->name_length = min_of(header->name_length, 128);
    return header->iov_count > UIO_MAX_SEGMENTS ? -EMSGSIZE : 0;
}

static long send_header(struct task *task, struct file *file, const struct linux_msghdr *header,
                        unsigned flags)
{
    struct uio uio;
    struct socket_message message = {.uio = &uio, .flags = call_flags(file, flags)};
    if (header->name_length > 0) {
        int error = copy_in_sockaddr(header->name, header->name_length, &message.name);
        if (error < 0) {
            return error;
        }
    }
    if (header->control_length > INT_MAX) {
        return -ENOBUFS;
    }
    int error = uio_init_guest_vector(&uio, current.mm, header->iov, header->iov_count);
    if (error < 0) {
        return error;
    }
    int domain = socket_of(file)->domain;
    error = domain == AF_INET || domain == AF_INET6
                ? control_copy_in_raw(header->control, header->control_length, &message)
                : control_copy_in(task, header->control, header->control_length, &message);
    ssize_t count = error < 0 ? error : send_all(file, &message);
    control_drop_files(&message);
    free((void *)(uintptr_t)message.control);
    uio_fini(&uio);
    return count;
}

static long send_message(struct task *task, struct file *file, uint64_t addr, unsigned flags)
{
    struct linux_msghdr header;
    int error = copy_in_header(addr, &header);
    return error < 0 ? error : send_header(task, file, &header, flags);
}

long sys_sendmsg(struct task *task, const struct syscall_args *args)
{
    int error = 0;
    if ((arg_uint(args, 2) & KERNEL_MSG_CMSG_COMPAT) != 0) {
        return -EINVAL;
    }
    auto_file struct file *file = arg_socket(task, args, &error);
    return file ? send_message(task, file, arg_u64(args, 1), arg_uint(args, 2)) : error;
}

/* The fields of msghdr that recvmsg fills. */
static int store_header(uint64_t addr, unsigned flags, uint64_t control_used)
{
    uint64_t base = addr + offsetof(struct linux_msghdr, flags);
    int error = copy_out(base, &flags);
    if (error == 0) {
        error = copy_out(addr + offsetof(struct linux_msghdr, control_length), &control_used);
    }
    return error;
}

static long receive_message(struct task *task, struct file *file, uint64_t addr, unsigned flags)
{
    struct uio uio;
    struct linux_msghdr header;
    struct socket_message message = {.uio = &uio};
    uint64_t control_used = 0;
    int error = copy_in_header(addr, &header);
    if (error == 0) {
        error = uio_init_guest_vector(&uio, current.mm, header.iov, header.iov_count);
    }
    if (error < 0) {
        return error;
    }
    message.flags = call_flags(file, flags);
    ssize_t count = receive_all(file, &message);
    uio_fini(&uio);
    if (count < 0) {
        control_drop_files(&message);
        return count;
    }
    bool close_on_exec = (flags & MSG_CMSG_CLOEXEC) != 0;
    error = control_copy_out(task, header.control, header.control_length, close_on_exec, &message,
                             &control_used);
    if (error == 0 && header.name != 0) {
        error = copy_out_sockaddr(&message.name, header.name,
                                  addr + offsetof(struct linux_msghdr, name_length));
    }
    if (error == 0) {
        error = store_header(addr, message.ret_flags | (flags & MSG_CMSG_CLOEXEC), control_used);
    }
    return error < 0 ? error : count;
}

long sys_recvmsg(struct task *task, const struct syscall_args *args)
{
    int error = 0;
    if ((arg_uint(args, 2) & KERNEL_MSG_CMSG_COMPAT) != 0) {
        return -EINVAL;
    }
    auto_file struct file *file = arg_socket(task, args, &error);
    return file ? receive_message(task, file, arg_u64(args, 1), arg_uint(args, 2)) : error;
}

static int store_length(uint64_t addr, long count)
{
    uint32_t length = (uint32_t)count;
    return copy_out(addr + offsetof(struct linux_mmsghdr, length), &length);
}

long sys_sendmmsg(struct task *task, const struct syscall_args *args)
{
    uint64_t addr = arg_u64(args, 1);
    unsigned count = min_of(arg_uint(args, 2), (unsigned)UIO_MAX_SEGMENTS);
    int error = 0;
    unsigned done = 0;
    if ((arg_uint(args, 3) & KERNEL_MSG_CMSG_COMPAT) != 0) {
        return -EINVAL;
    }
    auto_file struct file *file = arg_socket(task, args, &error);
    if (!file) {
        return error;
    }
    for (; done < count; done++, addr += sizeof(struct linux_mmsghdr)) {
        long sent = send_message(task, file, addr, arg_uint(args, 3));
        if (sent >= 0) {
            sent = store_length(addr, sent);
        }
        if (sent < 0) {
            return done > 0 ? (long)done : sent;
        }
    }
    return done;
}

/* Linux: do_recvmmsg: the timeout is only looked at between messages. */
static long receive_messages(struct task *task, struct file *file, const struct syscall_args *args,
                             uint64_t deadline_ns)
{
    uint64_t addr = arg_u64(args, 1);
    unsigned flags = arg_uint(args, 3);
    unsigned done = 0;
    while (done < arg_uint(args, 2)) {
        long got = receive_message(task, file, addr, flags & ~(unsigned)MSG_WAITFORONE);
        if (got >= 0) {
            got = store_length(addr, got);
        }
        if (got < 0) {
            return done > 0 ? (long)done : got;
        }
        done++;
        addr += sizeof(struct linux_mmsghdr);
        if ((flags & MSG_WAITFORONE) != 0) {
            flags |= MSG_DONTWAIT;
        }
        if (deadline_ns != SLEEP_FOREVER && clock_monotonic_ns() >= deadline_ns) {
            break;
        }
    }
    return done;
}

long sys_recvmmsg(struct task *task, const struct syscall_args *args)
{
    uint64_t timeout_addr = arg_u64(args, 4);
    uint64_t deadline = SLEEP_FOREVER;
    int error = 0;
    if ((arg_uint(args, 3) & KERNEL_MSG_CMSG_COMPAT) != 0) {
        return -EINVAL;
    }
    if (timeout_addr != 0) {
        uint64_t timeout;
        error = copy_in_timespec_ns(timeout_addr, &timeout);
        if (error < 0) {
            return error;
        }
        deadline = ns_add(clock_monotonic_ns(), timeout);
    }
    auto_file struct file *file = arg_socket(task, args, &error);
    if (!file) {
        return error;
    }
    long result = receive_messages(task, file, args, deadline);
    if (result > 0 && timeout_addr != 0) {
        uint64_t now = clock_monotonic_ns();
        error = copy_out_timespec_ns(timeout_addr, deadline > now ? deadline - now : 0);
    }
    return error < 0 ? error : result;
}
