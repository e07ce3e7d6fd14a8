/*
 * server.h: the gofer process: the only one that touches host files for the guest.
 *
 * The launcher forks, and the child calls gofer_files_run, then _exit()s with its result.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gofer/files/policy.h"
#include "gofer/protocol.h"
#include "platform/base/compiler.h"
#include "platform/base/log.h"

struct gofer_mount_config {
    const char
        *host_path; /* a directory or a regular file; symbolic links are followed once, at start */
    const char *guest_path; /* absolute: what policy rules and the audit speak of */
    enum gofer_access mode; /* READ, COW (read-only here), NO_DELETE or WRITE */
    bool exclusive;         /* nobody else changes it: told to the client */
};

struct gofer_config {
    const struct gofer_mount_config *mounts;
    size_t mount_count;
    const struct policy *policy; /* NULL: the mounts' modes alone decide */
    int connection_fd;           /* SOCK_SEQPACKET, the sentry at the other end */
    int audit_fd;                /* -1: no audit */
    struct log_config log;
    bool allow_setid; /* may files get setuid and setgid bits; else these are silently left out */
    bool require_landlock; /* refuse to start on a host without Landlock */
    uint32_t max_fids;     /* 0: the default, about a million */
    uint32_t max_open;     /* descriptors kept for look-ups; 0: from RLIMIT_NOFILE */
};

/*
 * Opens the mounts, confines the process for good (closes every other descriptor, drops
 * capabilities, no_new_privs, Landlock as far as the host has it, seccomp) and serves the
 * connection until its end. Returns an exit status: 0 after an orderly end, 1 when it could not
 * start (one line was logged: the sentry sees its connection close). The process must be
 * single-threaded and must not go on with anything but _exit().
 */
int gofer_files_run(const struct gofer_config *config) must_check;
