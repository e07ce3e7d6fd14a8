/*
 * audit.h: one JSON line per denial, or per access, to the audit descriptor.
 *
 * Bounded so that a hostile guest cannot fill a disk: at most AUDIT_LINES_PER_SECOND lines in a
 * second and AUDIT_LINES_MAX in all; what is left out is counted, and the count is written with the
 * next line that may be, and at the end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gofer/protocol.h"

#define AUDIT_LINES_PER_SECOND 200
#define AUDIT_LINES_MAX        100000

struct audit {
    int fd; /* borrowed; -1: nowhere */
    bool all;
    int64_t second;
    uint32_t in_second;
    uint32_t total;
    uint64_t suppressed;
};

struct audit_event {
    int32_t pid;
    const char *comm; /* at most 16 bytes, perhaps without NUL */
    const char *op;
    const char *path; /* guest path */
    enum gofer_access access;
    const char *rule;   /* NULL: none, the mount or the default decided */
    const char *reason; /* NULL: none */
    int error;          /* 0 or negative */
};

void audit_init(struct audit *audit, int fd, bool all);
void audit_write(struct audit *audit, const struct audit_event *event);
/* The count of what was left out. */
void audit_finish(struct audit *audit);
