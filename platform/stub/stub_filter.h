/*
 * stub_filter.h: the system-call filter of stub processes.
 */
#pragma once

#include <sched.h>
#include <signal.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "platform/host/bpf.h"
#include "platform/stub/layout.h"

/* The only two clones: a sibling process with a copy of the memory, and a thread. */
#define STUB_CLONE_PROCESS (CLONE_PARENT | SIGCHLD)
#define STUB_CLONE_THREAD                                                                          \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

/* What the service thread may call, each number at its own instruction with checked arguments.
 * Calls from other addresses get foreign_action. -E2BIG when the program does not fit. */
int stub_filter_build(struct bpf_program *program, uint32_t foreign_action) must_check;

/*
 * Writes the second filter, which guest threads install on themselves, into the request page: of
 * the stub's own calls it leaves them futex wait and wake, exit and sched_yield, at their places.
 * It reads the instruction address first, so the host does not try it out for every call number
 * (Linux: seccomp_cache_prepare). With SECCOMP_RET_USER_NOTIF as foreign_action, the filter has a
 * listener (stub_new_listened_thread), which is told of the futex wait and of calls from
 * elsewhere; sched_yield is not left then.
 */
int stub_filter_build_guest(struct stub_request *request, uint32_t foreign_action) must_check;

/* madvise values that the filter accepts, as bits. */
extern const uint32_t stub_filter_advice;
