/*
 * ptrace_thread.c: creation and end of guest threads, and their state beyond general registers.
 */
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "platform/base/log.h"
#include "platform/host/process.h"
#include "platform/ptrace/ptrace_internal.h"

/* Takes hold of a parked host thread: seized, stopped, no signal blocked. */
static int attach(pid_t tid)
{
    const unsigned long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD;
    if (ptrace(PTRACE_SEIZE, tid, NULL, options) != 0 ||
        ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) != 0) {
        return errno == ESRCH ? PLATFORM_DEAD : -errno;
    }
    int status;
    pid_t waited = host_wait(tid, &status);
    if (waited < 0 || !WIFSTOPPED(status)) {
        return PLATFORM_DEAD;
    }
    uint64_t none = 0;
    if (ptrace(PTRACE_SETSIGMASK, tid, sizeof none, &none) != 0) {
        return PLATFORM_DEAD;
    }
    return 0;
}

int ptrace_thread_new(struct address_space *space, struct platform_thread **ret_thread)
{
    struct platform_thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL) {
        return -ENOMEM;
    }
    int rc = stub_new_thread(space->stub, &thread->tid);
    if (rc == 0) {
        rc = attach(thread->tid);
        if (rc != 0) {
            /* A guest that forged the id cannot be told from a host that forbids tracing. */
            log_debug("cannot trace stub thread %d: %s", (int)thread->tid, strerror(-rc));
            stub_kill(space->stub);
        }
    }
    if (rc != 0) {
        free(thread);
        return rc;
    }
    thread->space = space;
    atomic_init(&thread->state, 0);
    placement_add(space->platform->placement, &thread->pair, thread->tid);
    *ret_thread = thread;
    return 0;
}

/* Makes the stopped host thread leave by itself: exit(2) is one of the calls its filter has. */
static void make_exit(struct platform_thread *thread)
{
    struct arch_regs regs;
    int status;
    arch_regs_init(&regs, STUB_AT_EXIT, 0);
    regs.rax = SYS_exit;
    if (ptrace_thread_load(thread, &regs) == PLATFORM_DEAD) {
        ignore_result(ptrace_thread_resume(thread, PTRACE_CONT, &status));
        return;
    }
    /* A waiting signal is reported before the call is reached: drop it and go on. */
    while (ptrace_thread_resume(thread, PTRACE_CONT, &status) == 0) {
    }
}

void ptrace_thread_free(struct platform_thread *thread)
{
    if (thread == NULL) {
        return;
    }
    placement_remove(thread->space->platform->placement, &thread->pair);
    if (!thread->gone) {
        make_exit(thread);
    }
    free(thread);
}

ssize_t ptrace_thread_get_xstate(struct platform_thread *thread, void *buffer, size_t size)
{
    struct iovec area = {.iov_base = buffer, .iov_len = size};
    if (size < arch_xstate_size()) {
        return -EINVAL;
    }
    if (ptrace(PTRACE_GETREGSET, thread->tid, NT_X86_XSTATE, &area) != 0) {
        return errno == ESRCH ? PLATFORM_DEAD : -errno;
    }
    return (ssize_t)area.iov_len;
}

int ptrace_thread_set_xstate(struct platform_thread *thread, const void *buffer, size_t size)
{
    size_t whole = arch_xstate_size();
    if (size > whole || size < ARCH_XSTATE_MIN_SIZE) {
        return -EINVAL;
    }
    /* Linux: xstateregs_set() takes a whole area only, and refuses what XRSTOR would. */
    unsigned char *copy = calloc(1, whole);
    if (copy == NULL) {
        return -ENOMEM;
    }
    memcpy(copy, buffer, size);
    struct iovec area = {.iov_base = copy, .iov_len = whole};
    int rc = 0;
    if (ptrace(PTRACE_SETREGSET, thread->tid, NT_X86_XSTATE, &area) != 0) {
        rc = errno == ESRCH ? PLATFORM_DEAD : -EINVAL;
    }
    free(copy);
    return rc;
}

int ptrace_thread_cpu_time(struct platform_thread *thread, uint64_t *ret_user_ns,
                           uint64_t *ret_system_ns)
{
    return stub_time_read(thread->space->stub, &thread->time, ret_user_ns, ret_system_ns);
}

int ptrace_thread_set_affinity(struct platform_thread *thread, const void *mask, size_t mask_size)
{
    return placement_restrict(thread->space->platform->placement, &thread->pair, mask, mask_size);
}
