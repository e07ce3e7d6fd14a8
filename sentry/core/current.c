/* current.c: the calling thread's guest context. */
#include "sentry/core/current.h"

#include "sentry/core/cred.h"

_Thread_local struct current current = {
    .cred = &cred_boot, .comm = "stockade", .file_limit = UINT64_MAX};

struct current_hooks current_hooks;
