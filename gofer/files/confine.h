/*
 * confine.h: what the gofer process gives up before it reads its first message.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "platform/base/compiler.h"

struct confine_root {
    int fd; /* O_PATH, directory or file */
    bool directory;
    bool writable;
    bool deletable; /* names may be removed and replaced */
};

struct confine_config {
    const int *keep; /* descriptors that stay open, -1 entries are skipped */
    size_t keep_count;
    const struct confine_root *roots;
    size_t root_count;
    bool writable; /* some root is */
    bool require_landlock;
    int connection, audit, log, proc_fd; /* -1: none */
};

/* Closes everything but the kept; descriptors 0 to 2 that are not kept become /dev/null. */
int confine_descriptors(const struct confine_config *config) must_check;
/* Drops capabilities but those that reading (and, with writable, changing) files of others takes.
 */
int confine_capabilities(const struct confine_config *config, bool *ret_may_chown) must_check;
/* Restricts opening and naming to the roots. 0 also where the host has no Landlock, unless it is
 * required: -EOPNOTSUPP. */
int confine_landlock(const struct confine_config *config) must_check;
/* The allow-list of host calls; any other kills the process. Last. */
int confine_syscalls(const struct confine_config *config) must_check;
/* Writes that list as struct sock_filter to fd instead. */
int confine_syscalls_export(const struct confine_config *config, int fd) must_check;
