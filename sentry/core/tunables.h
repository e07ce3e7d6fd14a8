/*
 * tunables.h: the numbers of /proc/sys that a privileged guest may change and that lower layers go
 * by. Each has the bounds that /proc/sys keeps (proc_sysctl.c), so readers need not check.
 */
#pragma once

#include <stdint.h>

struct tunables {
    _Atomic uint64_t nr_open;               /* fs.nr_open: the highest RLIMIT_NOFILE */
    _Atomic uint64_t max_map_count;         /* vm.max_map_count: areas of one address space */
    _Atomic uint64_t pipe_max_size;         /* fs.pipe-max-size, for those without privilege */
    _Atomic uint64_t inotify_max_instances; /* fs.inotify.max_user_instances */
    _Atomic uint64_t inotify_max_watches;   /* fs.inotify.max_user_watches */
    _Atomic uint64_t inotify_max_events;    /* fs.inotify.max_queued_events */
};

#define NR_OPEN_MOST 1048576 /* also what descriptor tables can grow to */

extern struct tunables tunables;
