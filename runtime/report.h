/*
 * report.h: what happened in a sandbox: outcome, limits, changes, refusals; and the --result file.
 *
 * Everything that comes from the sentry or the gofer is bounded here: REPORT_ITEMS_MAX changes and
 * as many different refusals are kept, the rest is counted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "sentry/boot/control.h"

#define REPORT_ITEMS_MAX  100000
#define REPORT_LIMITS_MAX 16

struct report_limit {
    char name[24];
    char *detail;
    bool fatal; /* it ended the sandbox */
};

struct report_change {
    char kind[24]; /* added, modified, deleted, metadata */
    char *path;
    struct control_change object;
};

struct report_refusal {
    char *op, *path, *rule, *reason, *error;
    uint64_t count;
};

struct report {
    bool started;        /* the program ran */
    bool exited;         /* wait_status is known */
    int wait_status;     /* of the guest's first process */
    int exec_error;      /* positive errno; 0: none */
    int ended_by_signal; /* a signal to the launcher ended it; 0: none */
    char *error;         /* stockade's own failure; NULL: none */
    struct report_limit limits[REPORT_LIMITS_MAX];
    size_t limit_count;
    struct report_change *changes;
    size_t change_count;
    uint64_t changes_dropped;
    struct report_refusal *refusals;
    size_t refusal_count;
    uint64_t refusals_dropped;
    uint64_t cpu_ns, wall_ns, peak_memory;
    struct control_stats stats;
};

void report_fini(struct report *report);
/* Prints the first failure as the error line and remembers it; later ones are dropped. */
void report_fail(struct report *report, const char *format, ...) printf_like(2, 3);
/* Remembers a limit, once per name, and prints a line when it is fatal. True: it was new. */
bool report_add_limit(struct report *report, const char *name, const char *detail, bool fatal);
void report_add_change(struct report *report, const char *kind, const char *path,
                       const struct control_change *object);
void report_add_refusal(struct report *report, const char *op, const char *path, const char *error,
                        const char *rule, const char *reason);
/* A line of the gofer's audit. Lines that are not refusals are ignored. */
void report_add_audit_line(struct report *report, const char *line, size_t length);
/* The exit status of `stockade run`. */
int report_status(const struct report *report);
/* "A path", "M path", "D path" lines on standard error. */
void report_show_changes(const struct report *report);
/* Checks early that the file can be written: its directory is opened (*ret_dir_fd, caller closes).
 * Negative errno otherwise. */
int report_result_prepare(const char *path, int *ret_dir_fd, const char **ret_name) must_check;
/* Writes the JSON file at once or not at all. */
int report_result_write(const struct report *report, int dir_fd, const char *name) must_check;
