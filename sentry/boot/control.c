/*
 * control.c: messages between launcher and sentry; both sides use the same two functions.
 *
 * A received message is checked completely before any field of it is given to the caller.
 */
#include "sentry/boot/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union fd_space {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int control_send(int socket, const struct control_message *message, const void *text,
                 size_t text_length, int fd)
{
    if (text_length > CONTROL_TEXT_MAX) {
        return -EMSGSIZE;
    }
    struct control_message head = *message;
    head.text_length = (uint32_t)text_length;
    head.reserved = 0;
    struct iovec parts[2] = {
        {.iov_base = &head, .iov_len = sizeof(head)},
        {.iov_base = (void *)(uintptr_t)text, .iov_len = text_length},
    };
    struct msghdr header = {.msg_iov = parts, .msg_iovlen = text_length > 0 ? 2 : 1};
    union fd_space space;
    if (fd >= 0) {
        memset(&space, 0, sizeof(space));
        header.msg_control = space.bytes;
        header.msg_controllen = sizeof(space.bytes);
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    }
    for (;;) {
        if (sendmsg(socket, &header, MSG_NOSIGNAL) >= 0) {
            return 0;
        }
        if (errno != EINTR) {
            return -errno;
        }
    }
}

int control_send_simple(int socket, enum control_type type, int value, const char *name,
                        const char *text)
{
    struct control_message message = {.type = type, .value = value};
    if (name != NULL) {
        strncpy(message.name, name, sizeof(message.name) - 1);
    }
    size_t length = text != NULL ? strlen(text) : 0;
    return control_send(socket, &message, text, min_of(length, (size_t)CONTROL_TEXT_MAX), -1);
}

/* Takes the one descriptor that may come along; closes any further ones. */
static int take_descriptor(struct msghdr *header)
{
    int found = -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (found < 0) {
                found = fd;
            } else {
                close(fd);
            }
        }
    }
    return found;
}

static bool message_valid(const struct control_message *m, ssize_t received)
{
    return received >= (ssize_t)sizeof(*m) && m->text_length <= CONTROL_TEXT_MAX &&
           (size_t)received == sizeof(*m) + m->text_length &&
           memchr(m->name, 0, sizeof(m->name)) != NULL;
}

int control_receive(int socket, int flags, struct control_message *ret_message, char *text,
                    int *ret_fd)
{
    struct control_message message;
    struct iovec parts[2] = {
        {.iov_base = &message, .iov_len = sizeof(message)},
        {.iov_base = text, .iov_len = CONTROL_TEXT_MAX},
    };
    union fd_space space;
    struct msghdr header = {.msg_iov = parts,
                            .msg_iovlen = 2,
                            .msg_control = space.bytes,
                            .msg_controllen = sizeof(space.bytes)};
    ssize_t received;
    do {
        received = recvmsg(socket, &header, flags | MSG_CMSG_CLOEXEC);
    } while (received < 0 && errno == EINTR);
    if (received < 0) {
        return -errno;
    }
    int fd = take_descriptor(&header);
    if (received == 0) {
        if (fd >= 0) {
            close(fd);
        }
        return 0;
    }
    if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || !message_valid(&message, received)) {
        if (fd >= 0) {
            close(fd);
        }
        return -EPROTO;
    }
    text[message.text_length] = 0;
    *ret_message = message;
    *ret_fd = fd;
    return 1;
}
