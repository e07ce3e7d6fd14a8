/*
 * process.h: starting the gofer and the sentry as children that die with the launcher.
 */
#pragma once

#include <sys/types.h>

#include "gofer/files/server.h"
#include "platform/base/compiler.h"
#include "sentry/boot/config.h"

struct child {
    pid_t pid;
    int pidfd;
};

/* Forks and runs the server; the child keeps standard error and the descriptors of config only. */
int process_start_gofer(const struct gofer_config *config, struct child *ret_child) must_check;
/* Forks and runs the sentry; the child keeps the descriptors of config only. */
int process_start_sentry(const struct sentry_config *config, struct child *ret_child) must_check;
/* Makes sure that descriptors 0, 1 and 2 are open, /dev/null where they were not. */
int process_open_standard(void) must_check;
