/* tunables.c: see tunables.h. The initial values are Linux's. */
#include "sentry/core/tunables.h"

struct tunables tunables = {
    .nr_open = NR_OPEN_MOST,
    .max_map_count = 65530,
    .pipe_max_size = 1048576,
    .inotify_max_instances = 1024,
    .inotify_max_watches = 65536,
    .inotify_max_events = 16384,
};
