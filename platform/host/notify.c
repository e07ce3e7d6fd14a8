/*
 * notify.c: seccomp user notification.
 */
#include "platform/host/notify.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#include "platform/base/compiler.h"

#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1UL
#endif

bool host_notify_is_listener(int fd)
{
    /* Linux: ids are never 0, so a listener says that there is no such call. */
    uint64_t id = 0;
    return ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) != 0 && errno == ENOENT;
}

void host_notify_wake_here(int listener)
{
    ignore_result(
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP));
}

/* Waits until a call is there. The host tells of the last thread's end only this way. */
static int wait_ready(int listener, int timeout_ms)
{
    for (;;) {
        struct pollfd entry = {.fd = listener, .events = POLLIN};
        int count = poll(&entry, 1, timeout_ms);
        if (count > 0) {
            return (entry.revents & POLLIN) != 0 ? 0 : -EPIPE;
        }
        if (count == 0) {
            return -ETIMEDOUT;
        }
        if (errno != EINTR) {
            return -errno;
        }
    }
}

int host_notify_receive(int listener, int timeout_ms, struct host_notification *ret_notification)
{
    struct seccomp_notif call;
    int rc;
    for (;;) {
        rc = timeout_ms >= 0 ? wait_ready(listener, timeout_ms) : 0;
        if (rc != 0) {
            return rc;
        }
        memset(&call, 0, sizeof call);
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) == 0) {
            break;
        }
        if (errno != EINTR && errno != ENOENT) {
            return -errno;
        }
        /* ENOENT: a signal took the call back, or nobody is left. */
        if (errno == ENOENT && wait_ready(listener, 0) == -EPIPE) {
            return -EPIPE;
        }
    }
    *ret_notification = (struct host_notification){
        .id = call.id,
        .number = call.data.nr,
        .arch = call.data.arch,
        .ip = call.data.instruction_pointer,
    };
    _Static_assert(sizeof call.data.args == sizeof ret_notification->args, "six arguments");
    memcpy(ret_notification->args, call.data.args, sizeof call.data.args);
    return 0;
}

int host_notify_answer(int listener, uint64_t id, uint64_t value)
{
    struct seccomp_notif_resp answer = {.id = id, .val = (int64_t)value};
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) == 0 ? 0 : -errno;
}
