/*
 * socket_control.c: see socket_control.h. The control data is copied in once and parsed in the
 * sentry's copy, so a racing thread cannot change a length after it was checked.
 */
#include "syscalls/socket_control.h"

#include <stdlib.h>
#include <string.h>

#include "sentry/net/socket.h"
#include "sentry/vfs/file.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#define CONTROL_MAX 131072 /* Linux: sysctl optmem_max: ENOBUFS above */
#define HEADER      sizeof(struct cmsghdr)

#define CAPABILITY_SETGID    6
#define CAPABILITY_SETUID    7
#define CAPABILITY_NET_ADMIN 12
#define CAPABILITY_NET_RAW   13
#define CAPABILITY_SYS_ADMIN 21

void control_drop_files(struct socket_message *message)
{
    for (uint32_t i = 0; i < message->file_count; i++) {
        file_unref(message->files[i]);
    }
    free(message->files);
    free(message->ancillary);
    message->files = NULL;
    message->file_count = 0;
    message->ancillary = NULL;
}

/* SCM_RIGHTS: descriptors become files. */
static int add_files(struct task *task, const unsigned char *data, size_t length,
                     struct socket_message *message)
{
    size_t count = length / sizeof(int);
    if (count > SOCKET_FILES_MAX - message->file_count) {
        return -EINVAL;
    }
    if (count > 0 && !message->files) {
        message->files = calloc(SOCKET_FILES_MAX, sizeof(struct file *));
        if (!message->files) {
            return -ENOMEM;
        }
    }
    for (size_t i = 0; i < count; i++) {
        int fd;
        bool ignored;
        memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
        struct file *file = fd_get(task->fds, fd, &ignored);
        if (!file) {
            return -EBADF;
        }
        message->files[message->file_count++] = file;
    }
    return 0;
}

/* SCM_CREDENTIALS: only one's own, or with the capability (Linux: scm_check_creds). */
static int add_cred(const unsigned char *data, size_t length, struct socket_message *message)
{
    const struct cred *cred = current.cred;
    struct ucred claimed;
    if (length != sizeof(claimed)) {
        return -EINVAL;
    }
    memcpy(&claimed, data, sizeof(claimed));
    bool pid = claimed.pid == current.tgid || cred_capable(cred, CAPABILITY_SYS_ADMIN);
    bool uid = claimed.uid == cred->uid || claimed.uid == cred->euid || claimed.uid == cred->suid ||
               cred_capable(cred, CAPABILITY_SETUID);
    bool gid = claimed.gid == cred->gid || claimed.gid == cred->egid || claimed.gid == cred->sgid ||
               cred_capable(cred, CAPABILITY_SETGID);
    if (!pid || !uid || !gid) {
        return -EPERM;
    }
    message->has_cred = true;
    message->cred = (struct socket_cred){claimed.pid, claimed.uid, claimed.gid};
    return 0;
}

static int parse(struct task *task, const unsigned char *control, size_t length,
                 struct socket_message *message)
{
    size_t at = 0;
    while (length - at >= HEADER) {
        struct cmsghdr header;
        memcpy(&header, control + at, HEADER);
        if (header.cmsg_len < HEADER || header.cmsg_len > length - at) {
            return -EINVAL;
        }
        const unsigned char *data = control + at + HEADER;
        size_t data_length = header.cmsg_len - HEADER;
        int error = 0;
        if (header.cmsg_level == SOL_SOCKET && header.cmsg_type == SCM_RIGHTS) {
            error = add_files(task, data, data_length, message);
        } else if (header.cmsg_level == SOL_SOCKET && header.cmsg_type == SCM_CREDENTIALS) {
            error = add_cred(data, data_length, message);
        } else if (header.cmsg_level == SOL_SOCKET) {
            error = -EINVAL;
        } /* Linux: other levels belong to the protocol; those that do not know them ignore them */
        if (error < 0) {
            return error;
        }
        size_t step = CMSG_ALIGN(header.cmsg_len);
        if (step >= length - at) {
            break;
        }
        at += step;
    }
    return 0;
}

int control_copy_in(struct task *task, uint64_t addr, uint64_t length,
                    struct socket_message *message)
{
    message->files = NULL;
    message->file_count = 0;
    message->has_cred = false;
    if (addr == 0 || length == 0) {
        return 0;
    }
    if (length > CONTROL_MAX) {
        return -ENOBUFS;
    }
    auto_free unsigned char *control = malloc(length);
    if (!control) {
        return -ENOMEM;
    }
    if (mm_copy_in(current.mm, addr, control, length) < 0) {
        return -EFAULT;
    }
    int error = parse(task, control, length, message);
    if (error < 0) {
        control_drop_files(message);
    }
    return error;
}

/* Linux: __sock_cmsg_send; files and credentials mean nothing to these families. */
static int check_raw(const struct cmsghdr *header)
{
    size_t length = header->cmsg_len - HEADER;
    if (header->cmsg_level != SOL_SOCKET) {
        return 0;
    }
    switch (header->cmsg_type) {
    case SCM_RIGHTS:
    case SCM_CREDENTIALS:
        return 0;
    case SO_MARK:
        return !cred_capable(current.cred, CAPABILITY_NET_RAW) &&
                       !cred_capable(current.cred, CAPABILITY_NET_ADMIN)
                   ? -EPERM
               : length == sizeof(uint32_t) ? 0
                                            : -EINVAL;
    case SO_PRIORITY:
    case SO_TIMESTAMPING:
    case LINUX_SO_TIMESTAMPING_NEW:
        return length == sizeof(uint32_t) ? 0 : -EINVAL;
    default:
        return -EINVAL;
    }
}

int control_copy_in_raw(uint64_t addr, uint64_t length, struct socket_message *message)
{
    size_t at = 0;
    if (addr == 0 || length == 0) {
        return 0;
    }
    if (length > CONTROL_MAX) {
        return -ENOBUFS;
    }
    auto_free unsigned char *control = malloc(length);
    if (!control) {
        return -ENOMEM;
    }
    if (mm_copy_in(current.mm, addr, control, length) < 0) {
        return -EFAULT;
    }
    while (length - at >= HEADER) {
        struct cmsghdr header;
        memcpy(&header, control + at, HEADER);
        if (header.cmsg_len < HEADER || header.cmsg_len > length - at) {
            return -EINVAL;
        }
        int error = check_raw(&header);
        if (error < 0) {
            return error;
        }
        size_t step = CMSG_ALIGN(header.cmsg_len);
        if (step >= length - at) {
            break;
        }
        at += step;
    }
    message->control = control;
    message->control_length = (uint32_t)length;
    control = NULL;
    return 0;
}

/* Where the next control message goes. */
struct control_out {
    uint64_t addr, room, used;
};

/* Linux: put_cmsg: a message that does not fit whole is cut, and MSG_CTRUNC says so. */
static int put_message(struct control_out *out, int level, int type, const void *data,
                       size_t length, struct socket_message *message)
{
    unsigned char buffer[HEADER + SOCKET_FILES_MAX * sizeof(int)];
    struct cmsghdr header = {.cmsg_len = CMSG_LEN(length), .cmsg_level = level, .cmsg_type = type};
    if (out->addr == 0 || out->room < HEADER) {
        message->ret_flags |= MSG_CTRUNC;
        return 0;
    }
    if (header.cmsg_len > out->room) {
        message->ret_flags |= MSG_CTRUNC;
        header.cmsg_len = out->room;
    }
    memcpy(buffer, &header, HEADER);
    memcpy(buffer + HEADER, data, header.cmsg_len - HEADER);
    if (mm_copy_out(current.mm, out->addr, buffer, header.cmsg_len) < 0) {
        return -EFAULT;
    }
    uint64_t space = min_of((uint64_t)CMSG_SPACE(length), out->room);
    out->addr += space;
    out->room -= space;
    out->used += space;
    return 0;
}

/* Linux: scm_detach_fds: as many descriptors as fit. */
static int put_files(struct task *task, struct control_out *out, bool close_on_exec,
                     struct socket_message *message)
{
    int fds[SOCKET_FILES_MAX];
    uint32_t count = 0;
    uint64_t limit = task_limit(RLIMIT_NOFILE);
    uint64_t fit = out->addr == 0 || out->room < HEADER ? 0 : (out->room - HEADER) / sizeof(int);
    uint64_t wanted = min_of(fit, (uint64_t)min_of(message->file_count, SOCKET_FILES_MAX + 0U));
    while (count < wanted) {
        int fd = fd_install(task->fds, file_ref(message->files[count]), close_on_exec, 0, limit);
        if (fd < 0) {
            file_unref(message->files[count]);
            break;
        }
        fds[count++] = fd;
    }
    if (count < message->file_count) {
        message->ret_flags |= MSG_CTRUNC;
    }
    return count == 0 ? 0
                      : put_message(out, SOL_SOCKET, SCM_RIGHTS, fds, count * sizeof(int), message);
}

int control_copy_out(struct task *task, uint64_t addr, uint64_t room, bool close_on_exec,
                     struct socket_message *message, uint64_t *ret_used)
{
    struct control_out out = {.addr = addr, .room = room};
    int error = 0;
    struct socket_ancillary *ancillary = message->ancillary;
    for (uint32_t i = 0; ancillary && i < ancillary->count && error == 0; i++) {
        error = put_message(&out, ancillary->items[i].level, ancillary->items[i].type,
                            ancillary->items[i].data, ancillary->items[i].length, message);
    }
    if (error == 0 && message->has_cred) {
        struct ucred cred = {message->cred.pid, message->cred.uid, message->cred.gid};
        error = put_message(&out, SOL_SOCKET, SCM_CREDENTIALS, &cred, sizeof(cred), message);
    }
    if (error == 0 && message->file_count > 0) {
        error = put_files(task, &out, close_on_exec, message);
    }
    control_drop_files(message);
    *ret_used = out.used;
    return error;
}
