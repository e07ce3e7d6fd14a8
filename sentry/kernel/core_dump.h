/*
 * core_dump.h: the file that a fatal signal leaves behind. Source: core(5), Linux fs/coredump.c,
 * fs/binfmt_elf.c.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>

#include "platform/base/compiler.h"

struct task;

#define CORE_PATTERN_MAX 128

/* Writes the core file of the calling task's process; no lock is held. False: there is none. */
bool core_dump(struct task *task, const siginfo_t *info);
/* kernel.core_pattern: a path with % letters. -EINVAL: too long, or a program to be piped to. */
int core_pattern_set(const char *pattern) must_check;
void core_pattern_get(char ret[CORE_PATTERN_MAX]);
