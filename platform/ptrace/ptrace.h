/*
 * ptrace.h: the engine that traps guest calls with PTRACE_SYSEMU.
 */
#pragma once

#include "platform/platform.h"

extern const struct platform_ops ptrace_platform_ops;
