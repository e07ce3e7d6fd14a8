/*
 * wire.c: decoding of messages, and sending and receiving them.
 *
 * The peer may be hostile: each length is checked against what is really there before use. Sums are
 * made in size_t from 32-bit values, so they cannot wrap.
 */
#include "gofer/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct wire_row rows[] = {
#define GOFER_MESSAGE(number, label, access, most)                                                 \
    {.name = #label,                                                                               \
     .id = number,                                                                                 \
     .permission = access,                                                                         \
     .request_size = sizeof(struct gofer_##label##_request),                                       \
     .reply_size = sizeof(struct gofer_##label##_reply),                                           \
     .tail_max = most},
#include "gofer/protocol.def"
#undef GOFER_MESSAGE
};

const struct wire_row *wire_row(uint16_t id)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        if (rows[i].id == id) {
            return &rows[i];
        }
    }
    return NULL;
}

const struct wire_row *wire_row_at(size_t position)
{
    return position < array_size(rows) ? &rows[position] : NULL;
}

bool wire_name_valid(const void *name, size_t length)
{
    const char *bytes = name;
    if (length == 0 || length > GOFER_NAME_MAX) {
        return false;
    }
    if (bytes[0] == '.' && (length == 1 || (length == 2 && bytes[1] == '.'))) {
        return false;
    }
    return !memchr(bytes, '/', length) && !memchr(bytes, '\0', length);
}

bool wire_names_next(const uint8_t **position, const uint8_t *end, const uint8_t **ret_name,
                     size_t *ret_length)
{
    uint16_t length;
    if ((size_t)(end - *position) < sizeof(length)) {
        return false;
    }
    memcpy(&length, *position, sizeof(length));
    const uint8_t *name = *position + sizeof(length);
    if ((size_t)(end - name) < length || !wire_name_valid(name, length)) {
        return false;
    }
    *ret_name = name;
    *ret_length = length;
    *position = name + length;
    return true;
}

static bool names_valid(const uint8_t *tail, size_t length, uint32_t count)
{
    const uint8_t *position = tail;
    const uint8_t *end = tail + length;
    const uint8_t *name;
    size_t name_length;
    if (count == 0 || count > GOFER_WALK_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!wire_names_next(&position, end, &name, &name_length)) {
            return false;
        }
    }
    return position == end;
}

static bool one_name(const uint8_t *tail, size_t length, uint32_t name_length)
{
    return length == name_length && wire_name_valid(tail, length);
}

/* An attribute name: no NUL, not empty. */
static bool xattr_name(const uint8_t *tail, size_t length, uint32_t name_length)
{
    return name_length > 0 && name_length <= GOFER_XATTR_NAME_MAX && name_length <= length &&
           !memchr(tail, '\0', name_length);
}

/* Does the tail hold exactly what the body announces? */
static bool tail_valid(uint16_t id, const void *body, const uint8_t *tail, size_t length)
{
    switch (id) {
    case GOFER_OP_walk:
        return one_name(tail, length, ((const struct gofer_walk_request *)body)->name_length);
    case GOFER_OP_walk_many:
        return names_valid(tail, length, ((const struct gofer_walk_many_request *)body)->count);
    case GOFER_OP_create:
        return one_name(tail, length, ((const struct gofer_create_request *)body)->name_length);
    case GOFER_OP_mkdir:
        return one_name(tail, length, ((const struct gofer_mkdir_request *)body)->name_length);
    case GOFER_OP_mknod:
        return one_name(tail, length, ((const struct gofer_mknod_request *)body)->name_length);
    case GOFER_OP_link:
        return one_name(tail, length, ((const struct gofer_link_request *)body)->name_length);
    case GOFER_OP_unlink:
        return one_name(tail, length, ((const struct gofer_unlink_request *)body)->name_length);
    case GOFER_OP_symlink: {
        const struct gofer_symlink_request *request = body;
        return length == (size_t)request->name_length + request->target_length &&
               request->target_length > 0 && request->target_length <= GOFER_TARGET_MAX &&
               wire_name_valid(tail, request->name_length) &&
               !memchr(tail + request->name_length, '\0', request->target_length);
    }
    case GOFER_OP_rename: {
        const struct gofer_rename_request *request = body;
        return length == (size_t)request->name_length + request->new_name_length &&
               wire_name_valid(tail, request->name_length) &&
               wire_name_valid(tail + request->name_length, request->new_name_length);
    }
    case GOFER_OP_write:
        return length == ((const struct gofer_write_request *)body)->length;
    case GOFER_OP_getxattr: {
        const struct gofer_getxattr_request *request = body;
        return length == request->name_length && xattr_name(tail, length, request->name_length);
    }
    case GOFER_OP_removexattr: {
        const struct gofer_removexattr_request *request = body;
        return length == request->name_length && xattr_name(tail, length, request->name_length);
    }
    case GOFER_OP_setxattr: {
        const struct gofer_setxattr_request *request = body;
        return length == (size_t)request->name_length + request->value_length &&
               request->value_length <= GOFER_DATA_MAX &&
               xattr_name(tail, length, request->name_length);
    }
    case GOFER_OP_release: {
        const struct gofer_release_request *request = body;
        return request->count <= GOFER_RELEASE_MAX &&
               length == (size_t)request->count * sizeof(uint64_t);
    }
    default:
        return length == 0;
    }
}

int wire_request_decode(const void *buffer, size_t length, struct wire_request *ret_request)
{
    *ret_request = (struct wire_request){0};
    if (length < sizeof(struct gofer_request_header)) {
        return -EBADMSG;
    }
    const struct gofer_request_header *header = buffer;
    ret_request->header = header;
    if (header->length != length || length > GOFER_MESSAGE_MAX || header->reserved != 0) {
        return -EBADMSG;
    }
    const struct wire_row *row = wire_row(header->id);
    if (!row) {
        return -EBADMSG;
    }
    size_t left = length - sizeof(*header);
    if (left < row->request_size || left - row->request_size > row->tail_max) {
        return -EBADMSG;
    }
    const uint8_t *body = (const uint8_t *)buffer + sizeof(*header);
    const uint8_t *tail = body + row->request_size;
    size_t tail_length = left - row->request_size;
    if (!tail_valid(row->id, body, tail, tail_length)) {
        return -EBADMSG;
    }
    ret_request->row = row;
    ret_request->body = body;
    ret_request->tail = tail;
    ret_request->tail_length = tail_length;
    return 0;
}

size_t wire_list_entry_size(size_t name_length)
{
    return (sizeof(struct gofer_list_entry) + name_length + 7) & ~(size_t)7;
}

bool wire_list_next(const uint8_t *data, size_t length, size_t *position,
                    struct gofer_list_entry *ret_entry, const char **ret_name)
{
    if (*position > length || length - *position < sizeof(*ret_entry)) {
        return false;
    }
    memcpy(ret_entry, data + *position, sizeof(*ret_entry));
    if (ret_entry->name_length == 0 || ret_entry->name_length > GOFER_NAME_MAX) {
        return false;
    }
    size_t size = wire_list_entry_size(ret_entry->name_length);
    if (length - *position < size) {
        return false;
    }
    const char *name = (const char *)data + *position + sizeof(*ret_entry);
    if (!wire_name_valid(name, ret_entry->name_length)) {
        return false;
    }
    *ret_name = name;
    *position += size;
    return true;
}

static bool reply_tail_valid(uint16_t id, const void *body, const uint8_t *tail, size_t length)
{
    switch (id) {
    case GOFER_OP_attach:
        return length == ((const struct gofer_attach_reply *)body)->path_length && length < 4096 &&
               !memchr(tail, '\0', length);
    case GOFER_OP_walk_many: {
        const struct gofer_walk_many_reply *reply = body;
        return reply->count <= GOFER_WALK_MAX && reply->target_length <= GOFER_TARGET_MAX &&
               reply->error <= 0 && reply->error >= -4095 &&
               length == reply->count * sizeof(struct gofer_walk_reply) + reply->target_length;
    }
    case GOFER_OP_list:
        return true; /* each entry is checked when it is read */
    case GOFER_OP_readlink:
        return length == ((const struct gofer_readlink_reply *)body)->length &&
               length <= GOFER_TARGET_MAX;
    case GOFER_OP_read:
        return length == ((const struct gofer_read_reply *)body)->length;
    case GOFER_OP_getxattr:
        return length == ((const struct gofer_getxattr_reply *)body)->tail_length;
    case GOFER_OP_listxattr:
        return length == ((const struct gofer_listxattr_reply *)body)->tail_length;
    default:
        return length == 0;
    }
}

int wire_reply_decode(const void *buffer, size_t length, const struct wire_row *row, uint32_t tag,
                      struct wire_reply *ret_reply)
{
    const struct gofer_reply_header *header = buffer;
    if (length < sizeof(*header) || header->length != length || header->id != row->id ||
        header->tag != tag || header->error > 0 || header->error < -4095) {
        return -EBADMSG;
    }
    size_t left = length - sizeof(*header);
    *ret_reply = (struct wire_reply){.header = header};
    if (header->error) {
        return left == 0 ? 0 : -EBADMSG;
    }
    if (left < row->reply_size) {
        return -EBADMSG;
    }
    ret_reply->body = (const uint8_t *)buffer + sizeof(*header);
    ret_reply->tail = (const uint8_t *)ret_reply->body + row->reply_size;
    ret_reply->tail_length = left - row->reply_size;
    return reply_tail_valid(row->id, ret_reply->body, ret_reply->tail, ret_reply->tail_length)
               ? 0
               : -EBADMSG;
}

int wire_send(int socket, const struct iovec *parts, size_t count, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = count};
    if (fd >= 0) {
        memset(&control, 0, sizeof(control));
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
    }
    ssize_t sent;
    do {
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

/* The first descriptor of a message, -1, or -EMFILE when it was lost; closes any other. */
static int take_fds(struct msghdr *message)
{
    int taken = -1;
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(message); cmsg; cmsg = CMSG_NXTHDR(message, cmsg)) {
        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
            if (taken < 0) {
                taken = fd;
            } else {
                close(fd);
            }
        }
    }
    if (taken < 0 && (message->msg_flags & MSG_CTRUNC)) {
        return -EMFILE;
    }
    return taken;
}

ssize_t wire_receive(int socket, void *buffer, size_t size, int *ret_fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct iovec part = {.iov_base = buffer, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (ret_fd) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
    }
    ssize_t length;
    do {
        length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (length < 0 && errno == EINTR);
    if (length < 0) {
        return -errno;
    }
    int fd = ret_fd ? take_fds(&message) : -1;
    if (message.msg_flags & MSG_TRUNC) {
        if (fd >= 0) {
            close(fd);
        }
        return -EMSGSIZE;
    }
    if (ret_fd) {
        *ret_fd = fd;
    }
    return length;
}
