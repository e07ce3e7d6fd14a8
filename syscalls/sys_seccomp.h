/* sys_seccomp.h: prctl(PR_SET_SECCOMP), between sys_prctl.c and sys_seccomp.c. */
#pragma once

#include <stdint.h>

#include "platform/base/compiler.h"

struct task;

long prctl_set_seccomp(struct task *task, uint64_t mode, uint64_t addr) must_check;
