/*
 * notify.h: the listener's side of seccomp user notification: calls of another thread that wait for
 * our answer.
 *
 * All return negative errno on failure.
 */
#pragma once

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"

/* Linux: since 6.6; older headers lack it. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

/* A call as the kernel vouches for it; ip is the address after the instruction. */
struct host_notification {
    uint64_t id;
    int32_t number;
    uint32_t arch;
    uint64_t ip;
    uint64_t args[6];
};

/* Is the descriptor a seccomp listener? */
bool host_notify_is_listener(int fd);
/* Who is woken runs on the waker's CPU, where the kernel can do that (6.6). */
void host_notify_wake_here(int listener);
/* Waits for the next call; timeout_ms -1: without a limit, which costs less. -ETIMEDOUT; -EPIPE
 * when no thread is left that the listener is for (needs Linux 6.11 without a limit). */
int host_notify_receive(int listener, int timeout_ms,
                        struct host_notification *ret_notification) must_check;
/* The call returns value. -ENOENT when the thread waits no more: it is gone, or a signal came. */
int host_notify_answer(int listener, uint64_t id, uint64_t value) must_check;
