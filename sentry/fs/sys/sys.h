/*
 * sys.h: /sys: what language runtimes and system libraries read there: CPUs, nodes, memory sizes,
 * control-group limits. Everything is read-only. Source: sysfs(5), Linux Documentation/ABI.
 */
#pragma once

#include "platform/base/compiler.h"

struct super;

int sys_new(struct super **ret_super) must_check;
