/*
 * unotify.h: the engine that is told of guest calls by seccomp user notification.
 */
#pragma once

#include "platform/platform.h"

extern const struct platform_ops unotify_platform_ops;
