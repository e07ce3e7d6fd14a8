/*
 * platform.c: the registry of engines, best first.
 */
#include "platform/platform.h"

#include <string.h>

#include "platform/base/log.h"
#include "platform/ptrace/ptrace.h"
#include "platform/trap/trap.h"
#include "platform/unotify/unotify.h"

static const struct platform_ops *const engines[] = {
    &trap_platform_ops,
    &unotify_platform_ops,
    &ptrace_platform_ops,
};

const struct platform_ops *platform_get(size_t index)
{
    return index < array_size(engines) ? engines[index] : NULL;
}

const struct platform_ops *platform_find(const char *name)
{
    bool automatic = strcmp(name, "auto") == 0;
    char reason[128];
    for (size_t i = 0; i < array_size(engines); i++) {
        if (automatic ? engines[i]->probe(reason, sizeof reason) == 0
                      : strcmp(name, engines[i]->name) == 0) {
            return engines[i];
        }
        if (automatic) {
            log_info("platform %s does not work here: %s", engines[i]->name, reason);
        }
    }
    return NULL;
}
