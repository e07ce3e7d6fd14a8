/*
 * socket.c: socket pairs, SCM_RIGHTS and SCM_CREDENTIALS.
 */
#include "platform/host/socket.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int host_socket_pair(int ret_ends[2])
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return -errno;
    }
    int on = 1;
    if (setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
        int error = -errno;
        close(ends[0]);
        close(ends[1]);
        return error;
    }
    ret_ends[0] = ends[0];
    ret_ends[1] = ends[1];
    return 0;
}

int host_socket_send_fds(int socket, const int *fds, size_t count)
{
    if (count == 0 || count > HOST_SEND_FDS_MAX) {
        return -EINVAL;
    }
    union {
        char bytes[CMSG_SPACE(sizeof(int) * HOST_SEND_FDS_MAX)];
        struct cmsghdr align;
    } control;
    memset(&control, 0, sizeof control);
    char byte = 0;
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &data,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = CMSG_SPACE(sizeof(int) * count),
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
    ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? -errno : 0;
}

int host_socket_receive_pid(int socket, pid_t *ret_pid)
{
    union {
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr align;
    } control;
    char byte;
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &data,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    ssize_t count;
    do {
        count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        return errno == ECONNRESET ? -EPIPE : -errno;
    }
    if (count == 0) {
        return -EPIPE;
    }
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header == NULL || header->cmsg_level != SOL_SOCKET ||
        header->cmsg_type != SCM_CREDENTIALS ||
        header->cmsg_len != CMSG_LEN(sizeof(struct ucred))) {
        return -EPROTO;
    }
    struct ucred sender;
    memcpy(&sender, CMSG_DATA(header), sizeof sender);
    if (sender.pid <= 0) {
        return -EPROTO;
    }
    *ret_pid = sender.pid;
    return 0;
}

/* The descriptors of an SCM_RIGHTS header, all of which must be closed or kept. */
static size_t passed_fds(const struct cmsghdr *header, int *ret_fds)
{
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(ret_fds, CMSG_DATA(header), count * sizeof(int));
    return count;
}

int host_socket_receive_fd(int socket, int *ret_fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * 2)];
        struct cmsghdr align;
    } control;
    char byte;
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &data,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    ssize_t received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (received < 0) {
        return -errno;
    }
    int fds[sizeof control / sizeof(int)];
    size_t count = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
            count += passed_fds(header, fds + count);
        }
    }
    if (count == 1 && (message.msg_flags & MSG_CTRUNC) == 0) {
        *ret_fd = fds[0];
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        close(fds[i]);
    }
    /* Linux: scm_detach_fds() drops what finds no free number. */
    return count == 0 && (message.msg_flags & MSG_CTRUNC) != 0 ? -EMFILE : -EPROTO;
}

bool host_socket_hung_up(int socket)
{
    struct pollfd entry = {.fd = socket, .events = 0};
    return poll(&entry, 1, 0) == 1 && (entry.revents & (POLLHUP | POLLERR)) != 0;
}

bool host_socket_drained(int socket)
{
    /* Linux: unix_ioctl(), the bytes of ours that the receiver has not taken. */
    int queued = 0;
    return ioctl(socket, SIOCOUTQ, &queued) == 0 && queued == 0;
}
