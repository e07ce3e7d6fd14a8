/*
 * config.h: everything the launcher tells a sentry before it starts.
 *
 * The launcher fills the struct, forks, and calls sentry_boot_run() in the child. The sentry opens
 * nothing on the host by itself: every descriptor it may use stands here. Strings and arrays are
 * borrowed and live as long as the process. Descriptors are open, close-on-exec, and belong to the
 * sentry from then on; -1 means "not given".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/types.h>

#include "platform/base/compiler.h"

enum sentry_mount_kind {
    SENTRY_MOUNT_GOFER, /* host files: attach gofer_index */
    SENTRY_MOUNT_TMPFS, /* size: bytes, SENTRY_NO_LIMIT: the sandbox's tmpfs limit only */
    SENTRY_MOUNT_PROC,
    SENTRY_MOUNT_SYS,
    SENTRY_MOUNT_DEV, /* with its nodes; /dev/shm is a tmpfs of its own in the list */
    SENTRY_MOUNT_DEVPTS,
    SENTRY_MOUNT_MQUEUE,
    SENTRY_MOUNT_FILE, /* an in-memory file with the text of target and dir_mode, uid, gid over an
                          existing file; left out where there is none */
    SENTRY_MOUNT_DIRECTORY, /* not a mount: make the directory with mode, uid, gid */
    SENTRY_MOUNT_SYMLINK,   /* not a mount: make a symbolic link to target */
};

enum sentry_mount_mode {
    SENTRY_MODE_READ_ONLY,
    SENTRY_MODE_READ_WRITE,
    SENTRY_MODE_COW,       /* changes stay in memory and are reported */
    SENTRY_MODE_NO_DELETE, /* as READ_WRITE; the gofer refuses removal and rename with EPERM */
};

/*
 * The list is applied in order. The first entry is the root ("/"). Missing mount points are made,
 * directories for directories and empty files for files, in whatever lies there.
 */
struct sentry_mount {
    enum sentry_mount_kind kind;
    enum sentry_mount_mode mode;
    const char *path;   /* absolute guest path without ".", ".." or doubled slashes */
    const char *target; /* FILE: its contents; SYMLINK: what it points to; GOFER: the source shown
                           in /proc/mounts */
    unsigned gofer_index;
    uint64_t size;
    uint32_t dir_mode; /* TMPFS, DIRECTORY: permission bits of the (root) directory */
    uid_t uid;         /* TMPFS, DIRECTORY: its owner */
    gid_t gid;
};

#define SENTRY_NO_LIMIT UINT64_MAX

/* Sandbox-wide limits; each SENTRY_NO_LIMIT when not set. Wall time, CPU time and memory are
 * watched by the launcher; the rest by the sentry, which reports CONTROL_LIMIT. */
struct sentry_limits {
    uint64_t memory;      /* bytes; for /proc/meminfo, sysinfo and early ENOMEM */
    uint64_t cpu_seconds; /* for information */
    uint64_t pids;        /* guest processes and threads: EAGAIN from clone */
    uint64_t tmpfs;       /* bytes in all in-memory file systems together: ENOSPC */
    uint64_t output;      /* bytes written to stdout and stderr: the sandbox ends */
    uint64_t open_files;  /* RLIMIT_NOFILE of the first process */
};

struct sentry_config {
    /* The program. argv[0] without a slash is searched in the guest's PATH (envp). */
    char *const *argv;
    char *const *envp;
    const char *cwd; /* guest path; a missing one is an error that names it */
    uid_t uid;
    gid_t gid;
    const gid_t *groups; /* supplementary */
    size_t group_count;
    uint32_t umask;
    const char *hostname;

    const struct sentry_mount *mounts;
    size_t mount_count;

    /* Standard streams of the guest. With is_terminal, terminal_fd is the host terminal in raw
     * mode: the sentry gives the guest a pty as controlling terminal on those of the streams with
     * stream_is_terminal set, and copies bytes between it and terminal_fd. */
    int stream_fd[3];
    bool stream_is_terminal[3];
    bool is_terminal;
    int terminal_fd;
    struct winsize window;

    const char *platform; /* engine name or "auto" */
    struct sentry_limits limits;

    int gofer_fd;    /* connection of gofer/protocol.h */
    pid_t gofer_pid; /* 0: not known */
    int control_fd;  /* connection of sentry/boot/control.h */

    int strace_fd;    /* -1: no tracing */
    int strace_level; /* 1: calls and results */
    int log_fd;       /* -1: standard error of the launcher at level warning */
    int log_level;    /* enum log_level */
    bool log_json;

    bool report_changes;  /* send CONTROL_CHANGE for every change under cow mounts at the end */
    bool change_contents; /* with a descriptor of the contents for regular files */

    pid_t launcher_pid; /* for the check that it has not died before PR_SET_PDEATHSIG */
};

/* Runs the sandbox in this process and ends the process; returns only (negative errno, after
 * CONTROL_FAILED was sent if possible) when it cannot even start. */
int sentry_boot_run(const struct sentry_config *config) must_check;
