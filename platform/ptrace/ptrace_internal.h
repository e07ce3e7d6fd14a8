/*
 * ptrace_internal.h: types shared by the files of the ptrace engine.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/base/compiler.h"
#include "platform/base/lock.h"
#include "platform/placement.h"
#include "platform/platform.h"
#include "platform/stub/stub.h"

struct platform {
    struct stub *template_stub;
    struct placement *placement;
};

struct address_space {
    struct platform *platform;
    struct stub *stub;
};

/* Bits of platform_thread.state. */
#define THREAD_IN_GUEST  1U /* between the start of thread_run and its event */
#define THREAD_INTERRUPT 2U /* thread_interrupt was called and not reported yet */

/* The signal that stops a running guest thread. Its default action is to do nothing, so one that
 * arrives while the thread is not traced is harmless. */
#define THREAD_INTERRUPT_SIGNAL SIGURG

struct platform_thread {
    struct address_space *space;
    pid_t tid;
    atomic_uint state;
    bool gone;             /* the host thread has ended and was reaped */
    struct arch_regs host; /* what the host thread's registers are */
    bool host_valid;
    uint64_t cr2; /* of the last page fault */
    struct stub_thread_time time;
    struct placement_pair pair;
};

/* ptrace_thread.c */
int ptrace_thread_new(struct address_space *space, struct platform_thread **ret_thread) must_check;
void ptrace_thread_free(struct platform_thread *thread);
ssize_t ptrace_thread_get_xstate(struct platform_thread *thread, void *buffer,
                                 size_t size) must_check;
int ptrace_thread_set_xstate(struct platform_thread *thread, const void *buffer,
                             size_t size) must_check;
int ptrace_thread_cpu_time(struct platform_thread *thread, uint64_t *ret_user_ns,
                           uint64_t *ret_system_ns) must_check;
int ptrace_thread_set_affinity(struct platform_thread *thread, const void *mask,
                               size_t mask_size) must_check;

/* ptrace_run.c */
int ptrace_thread_run(struct platform_thread *thread, struct arch_regs *regs,
                      struct platform_event *ret_event) must_check;
void ptrace_thread_interrupt(struct platform_thread *thread);
int ptrace_thread_atomic(struct platform_thread *thread, guest_addr addr, enum platform_atomic op,
                         uint32_t expected, uint32_t desired, uint32_t *ret_old) must_check;
/* Resumes the host thread and waits for its next stop; returns 0 with its wait status, or
 * PLATFORM_DEAD, after which the thread is gone. */
int ptrace_thread_resume(struct platform_thread *thread, long request, int *ret_status) must_check;
/* Loads *regs into the stopped host thread, unless it has them already. */
int ptrace_thread_load(struct platform_thread *thread, const struct arch_regs *regs) must_check;

/* ptrace_fault.c: describes the fault that stopped the thread. False: not a fault of the guest's
 * own instruction but a signal sent from outside, to be dropped. */
bool ptrace_fault_describe(struct platform_thread *thread, int signo, const struct arch_regs *regs,
                           struct platform_fault *ret_fault);

/* ptrace_probe.c */
int ptrace_probe(char *reason, size_t reason_size) must_check;
