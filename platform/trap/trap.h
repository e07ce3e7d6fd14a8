/*
 * trap.h: the engine whose guest calls raise SIGSYS inside the stub, or jump to the stub from
 * rewritten call sites, and reach the sentry through a mailbox in shared memory.
 */
#pragma once

#include "platform/platform.h"

extern const struct platform_ops trap_platform_ops;
