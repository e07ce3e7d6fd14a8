/*
 * stub_filter.h: the system-call filter of stub processes.
 */
#pragma once

#include <sched.h>
#include <signal.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "platform/host/bpf.h"

/* The only two clones: a sibling process with a copy of the memory, and a thread. */
#define STUB_CLONE_PROCESS (CLONE_PARENT | SIGCHLD)
#define STUB_CLONE_THREAD                                                                          \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

/* What the service thread may call, each number at its own instruction with checked arguments.
 * Calls from other addresses get foreign_action. -E2BIG when the program does not fit. */
int stub_filter_build(struct bpf_program *program, uint32_t foreign_action) must_check;

/* madvise values that the filter accepts, as bits. */
extern const uint32_t stub_filter_advice;
