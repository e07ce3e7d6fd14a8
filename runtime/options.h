/*
 * options.h: what `stockade run` was asked to do.
 *
 * run_options_parse fills the struct from the command line and has reported every error itself.
 * Strings point into argv or are owned by the struct and live until the process ends.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/base/compiler.h"
#include "platform/base/log.h"
#include "sentry/boot/config.h"

/* Exit statuses of stockade itself. */
enum {
    STATUS_TIME_LIMIT = 124,
    STATUS_FAILED = 125,
    STATUS_NOT_EXECUTABLE = 126,
    STATUS_NOT_FOUND = 127,
    STATUS_LIMIT = 137, /* 128 + SIGKILL: the limits other than wall time */
};

struct mount_option {
    const char *source; /* absolute host path; NULL for a tmpfs */
    const char *path;   /* guest path, normalised */
    enum sentry_mount_mode mode;
    uint64_t size; /* tmpfs */
};

struct run_options {
    const char *platform;
    const char *rootfs; /* absolute host path or NULL */
    struct mount_option *mounts;
    size_t mount_count;
    const char **hidden;
    size_t hidden_count;
    const char *policy;
    const char **env; /* "K=V" or "K" */
    size_t env_count;
    bool clear_env;
    const char *cwd;
    bool user_given;
    uid_t uid;
    gid_t gid;
    const char *hostname;
    uint64_t time_ms, cpu_ms;    /* SENTRY_NO_LIMIT: none */
    struct sentry_limits limits; /* memory 0: choose from the host */
    bool strace;
    const char *strace_file; /* NULL: standard error */
    const char *log_file;
    bool log_level_given;
    enum log_level log_level; /* default: notice with --log, else warning */
    bool log_json;
    const char *audit_file;
    bool audit_all;
    const char *result_file;
    const char *save_changes;
    bool show_changes;
    bool no_terminal;
    char **argv; /* the program; ends with NULL */
};

/* argv[0] is "run". 0: go on. 1: help was printed. -EINVAL: an error was printed. */
int run_options_parse(int argc, char **argv, struct run_options *ret_options) must_check;

/* "stockade: …" on standard error, one line. */
void report_error(const char *format, ...) printf_like(1, 2);
