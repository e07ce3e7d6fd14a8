/*
 * launcher_internal.h: the state shared by launcher.c (life) and launcher_events.c (what arrives).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/text.h"
#include "runtime/launcher.h"
#include "runtime/process.h"

enum launcher_phase {
    PHASE_RUNNING,
    PHASE_ENDING, /* asked the sentry to end; after deadline_ns it is killed */
    PHASE_DONE,   /* the sentry said all it has to say, or is dead */
};

struct launcher {
    const struct run_options *options;
    struct report *report;
    enum launcher_phase phase;
    struct child sentry, gofer; /* pid 0: not there */
    bool sentry_ended, gofer_ended;
    int sentry_status, gofer_status; /* wait statuses */
    uint64_t reaped_cpu_ns;
    int control_fd, audit_fd; /* our ends; -1 when closed */
    int signal_fd;
    int audit_file; /* --audit; -1 */
    int save_fd;    /* --save-changes; -1 */
    bool save_failed;
    bool terminal;
    unsigned term_count;
    uint64_t start_ns;
    uint64_t deadline_ns; /* of PHASE_ENDING; UINT64_MAX: none */
    uint64_t time_end_ns; /* wall-time limit; UINT64_MAX: none */
    uint64_t next_sample_ns;
    uint64_t memory_limit;
    uint64_t memory_told; /* to the sentry */
    struct text audit_line;
    char *control_text; /* CONTROL_TEXT_MAX + 1 bytes */
};

uint64_t launcher_now_ns(void);
/* Asks the sentry to end within grace_ms; a shorter grace replaces a longer one. */
void launcher_end(struct launcher *launcher, unsigned grace_ms);
/* Reads what there is, without waiting. */
void launcher_read_control(struct launcher *launcher);
void launcher_read_audit(struct launcher *launcher);
void launcher_read_signals(struct launcher *launcher);
/* Samples memory and CPU time when due, and checks the limits. */
void launcher_check_limits(struct launcher *launcher, uint64_t now_ns);
