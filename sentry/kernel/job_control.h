/* job_control.h: process groups, sessions. Sources: setpgid(2), setsid(2), Linux kernel/sys.c. */
#pragma once

#include "platform/base/compiler.h"

struct task;

int job_set_group(struct task *task, int pid, int pgid) must_check;
/* 0 or negative errno; *ret_id is what getpgid, getsid answer for pid (0: the caller). */
int job_get_group(struct task *task, int pid, int *ret_pgid) must_check;
int job_get_session(struct task *task, int pid, int *ret_sid) must_check;
/* New session; the caller becomes its leader without a terminal. Returns its id or -EPERM. */
int job_new_session(struct task *task) must_check;
