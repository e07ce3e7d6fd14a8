/*
 * control.h: the conversation between launcher and sentry, one SOCK_SEQPACKET message each.
 *
 * A message is struct control_message and a text of at most CONTROL_TEXT_MAX bytes; CONTROL_CHANGE
 * may carry one descriptor. The launcher treats what it receives as hostile: control_receive checks
 * type, lengths and NUL bytes, and nothing in a message is used as a host path without a check.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include "platform/base/compiler.h"

#define CONTROL_TEXT_MAX 8192

enum control_type {
    /* sentry → launcher */
    CONTROL_EXEC_OK = 1, /* the program was loaded and runs */
    CONTROL_EXEC_FAILED, /* value: errno (ENOENT → 127, else 126); text: what failed */
    CONTROL_FAILED,      /* value: errno; text: why the sentry cannot go on (status 125) */
    CONTROL_EXITED,      /* value: wait status of the guest's first process */
    CONTROL_LIMIT,   /* name: "pids", "tmpfs", "output", "open-files"; text: detail; value: 1 when
                        the sandbox ends because of it, 0 when the guest got an error. Sent once
                        per limit. */
    CONTROL_CHANGE,  /* name: "added" "modified" "deleted" "metadata"; text: guest path, then a
                        NUL and the target for a symbolic link; change: the object; a descriptor
                        open for reading at 0 for regular files, if asked for */
    CONTROL_REFUSAL, /* value: errno; name: operation; text: path NUL rule NUL reason; for what the
                        sentry itself refuses (the gofer's come by its audit) */
    CONTROL_STATS,   /* stats; sent once before CONTROL_DONE */
    CONTROL_DONE,    /* nothing follows; the sentry exits */

    /* launcher → sentry */
    CONTROL_RESIZE = 64, /* window */
    CONTROL_SIGNAL, /* value: signal for the guest's first process, or, with name "group", for its
                       process group (from SIGINT, SIGTERM … sent to the launcher) */
    CONTROL_MEMORY, /* memory: bytes that the sandbox holds, as measured now and then */
    CONTROL_TERMINATE, /* kill every guest process, then send CHANGE…, STATS, DONE */
};

struct control_change {
    uint32_t mode; /* Linux st_mode; 0 for "deleted" */
    uint32_t uid, gid;
    uint32_t mtime_nsec;
    int64_t mtime_sec;
    uint64_t size;
};

struct control_stats {
    uint64_t cpu_ns; /* of all guest threads, 0 when not known */
    uint64_t peak_tasks;
    uint64_t peak_tmpfs; /* bytes */
    uint64_t output_bytes;
    uint64_t syscalls;
};

struct control_message {
    uint32_t type; /* enum control_type */
    int32_t value;
    char name[24]; /* NUL-terminated */
    union {
        struct winsize window;
        struct control_change change;
        struct control_stats stats;
        uint64_t memory;
    };
    uint32_t text_length; /* without the final NUL, which is not sent */
    uint32_t reserved;
};

/* Sends one message; text may be NULL, fd -1. Blocks while the peer's queue is full. 0 or negative
 * errno (-EPIPE: the peer is gone; no SIGPIPE). Safe from any thread. */
int control_send(int socket, const struct control_message *message, const void *text,
                 size_t text_length, int fd) must_check;
/* Shorthand: type, value, name (NULL: ""), text (NULL: none). */
int control_send_simple(int socket, enum control_type type, int value, const char *name,
                        const char *text) must_check;

/*
 * Receives one message. text must hold CONTROL_TEXT_MAX + 1 bytes and gets a final NUL. *ret_fd is
 * a close-on-exec descriptor or -1. flags: 0 or MSG_DONTWAIT.
 * 1 for a message, 0 at the end of the connection, -EAGAIN, -EPROTO for a malformed message.
 */
int control_receive(int socket, int flags, struct control_message *ret_message, char *text,
                    int *ret_fd) must_check;
