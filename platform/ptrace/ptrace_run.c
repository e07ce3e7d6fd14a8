/*
 * ptrace_run.c: running guest code: PTRACE_SYSEMU stops the thread at every system call before the
 * host does anything for it.
 *
 * Only the sentry thread that made the platform thread (its tracer) calls in here, apart from
 * ptrace_thread_interrupt.
 */
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>

#include "platform/host/process.h"
#include "platform/ptrace/ptrace_internal.h"

#define HOST_USER_END 0x7ffffffff000ULL

#define SYSCALL_STOP (SIGTRAP | 0x80) /* PTRACE_O_TRACESYSGOOD */

_Static_assert(sizeof(struct arch_regs) == sizeof(struct user_regs_struct), "copied whole");

static int thread_is_gone(struct platform_thread *thread)
{
    thread->gone = true;
    return PLATFORM_DEAD;
}

static int wait_stop(struct platform_thread *thread, int *ret_status)
{
    pid_t waited = host_wait(thread->tid, ret_status);
    if (waited < 0 || !WIFSTOPPED(*ret_status)) {
        return thread_is_gone(thread);
    }
    return 0;
}

int ptrace_thread_resume(struct platform_thread *thread, long request, int *ret_status)
{
    if (ptrace(request, thread->tid, NULL, NULL) != 0) {
        /* ESRCH: killed while it was stopped; its death can be waited for. */
        int status;
        if (errno != ESRCH) {
            return -errno;
        }
        do {
            if (host_wait(thread->tid, &status) < 0) {
                break;
            }
        } while (WIFSTOPPED(status));
        return thread_is_gone(thread);
    }
    return wait_stop(thread, ret_status);
}

int ptrace_thread_load(struct platform_thread *thread, const struct arch_regs *regs)
{
    if (thread->host_valid && memcmp(&thread->host, regs, sizeof *regs) == 0) {
        return 0;
    }
    thread->host_valid = false;
    struct user_regs_struct host;
    memcpy(&host, regs, sizeof host);
    if (ptrace(PTRACE_SETREGS, thread->tid, NULL, &host) != 0) {
        return errno == ESRCH ? PLATFORM_DEAD : -EINVAL;
    }
    memcpy(&thread->host, regs, sizeof *regs);
    thread->host_valid = true;
    return 0;
}

static int fetch_regs(struct platform_thread *thread)
{
    struct user_regs_struct host;
    if (ptrace(PTRACE_GETREGS, thread->tid, NULL, &host) != 0) {
        thread->host_valid = false;
        return PLATFORM_DEAD;
    }
    memcpy(&thread->host, &host, sizeof host);
    thread->host_valid = true;
    /* DIFFERS: bases beyond user memory, which the guest can load with its own instructions but the
     * host does not take from a tracer, do not outlive the next event. */
    if (host.fs_base >= HOST_USER_END || host.gs_base >= HOST_USER_END) {
        thread->host.fs_base = host.fs_base < HOST_USER_END ? host.fs_base : 0;
        thread->host.gs_base = host.gs_base < HOST_USER_END ? host.gs_base : 0;
        thread->host_valid = false;
    }
    return 0;
}

/* Selectors that the guest may have are what it can load itself: null or Linux's user segments. */
static uint64_t clean_selector(uint64_t selector)
{
    selector &= 0xffff;
    return selector <= 3 || (selector & 3) == 3 ? selector : 0;
}

/* What the guest asks to run with, made acceptable to the host. */
static void prepare_regs(const struct arch_regs *regs, struct arch_regs *ret_host)
{
    *ret_host = *regs;
    ret_host->orig_rax = UINT64_MAX; /* the host must never restart a call on its own */
    ret_host->cs = regs->cs == 0x23 ? 0x23 : ARCH_USER_CS;
    ret_host->ss = ARCH_USER_DS;
    ret_host->ds = clean_selector(regs->ds);
    ret_host->es = clean_selector(regs->es);
    ret_host->fs = clean_selector(regs->fs);
    ret_host->gs = clean_selector(regs->gs);
    ret_host->eflags = (regs->eflags & ARCH_USER_EFLAGS) | 0x202;
}

/*
 * A call by `int $0x80` or `sysenter` has 32-bit numbers. The syscall instruction leaves its return
 * address in rcx, so only calls without that mark cost another look.
 */
static bool is_foreign_call(struct platform_thread *thread)
{
    if (thread->host.rcx == thread->host.rip && thread->host.cs == ARCH_USER_CS) {
        return false;
    }
    struct __ptrace_syscall_info info;
    long size = ptrace(PTRACE_GET_SYSCALL_INFO, thread->tid, sizeof info, &info);
    return size > 0 && info.arch != AUDIT_ARCH_X86_64;
}

static void report_syscall(struct platform_thread *thread, struct arch_regs *regs,
                           struct platform_event *ret_event)
{
    *regs = thread->host;
    /* DIFFERS: 32-bit calls do not exist here; the guest gets ENOSYS for a number without a call.
     */
    regs->rax = is_foreign_call(thread) ? UINT64_MAX : thread->host.orig_rax;
    regs->orig_rax = regs->rax;
    ret_event->kind = PLATFORM_EVENT_SYSCALL;
}

static bool take_interrupt(struct platform_thread *thread)
{
    return (atomic_fetch_and(&thread->state, ~THREAD_INTERRUPT) & THREAD_INTERRUPT) != 0;
}

/*
 * Looks at one stop. Returns 1 when it is an event for the sentry, 0 when the thread must simply go
 * on (a stray signal, a group stop), or PLATFORM_DEAD.
 */
static int examine_stop(struct platform_thread *thread, int status, struct arch_regs *regs,
                        struct platform_event *ret_event)
{
    int signo = WSTOPSIG(status);
    if (signo == SYSCALL_STOP) {
        if (fetch_regs(thread) != 0) {
            return PLATFORM_DEAD;
        }
        report_syscall(thread, regs, ret_event);
        return 1;
    }
    if (status >> 16 != 0) {
        return 0;
    }
    switch (signo) {
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
        if (fetch_regs(thread) != 0) {
            return PLATFORM_DEAD;
        }
        if (ptrace_fault_describe(thread, signo, &thread->host, &ret_event->fault)) {
            *regs = thread->host;
            ret_event->kind = PLATFORM_EVENT_FAULT;
            return 1;
        }
        return 0;
    case THREAD_INTERRUPT_SIGNAL:
        if (!take_interrupt(thread)) {
            return 0;
        }
        if (fetch_regs(thread) != 0) {
            return PLATFORM_DEAD;
        }
        *regs = thread->host;
        ret_event->kind = PLATFORM_EVENT_INTERRUPTED;
        return 1;
    default:
        return 0;
    }
}

int ptrace_thread_run(struct platform_thread *thread, struct arch_regs *regs,
                      struct platform_event *ret_event)
{
    if (thread->gone) {
        return PLATFORM_DEAD;
    }
    unsigned int old = atomic_fetch_or(&thread->state, THREAD_IN_GUEST);
    if ((old & THREAD_INTERRUPT) != 0) {
        atomic_fetch_and(&thread->state, ~(THREAD_INTERRUPT | THREAD_IN_GUEST));
        ret_event->kind = PLATFORM_EVENT_INTERRUPTED;
        return 0;
    }
    struct arch_regs wanted;
    prepare_regs(regs, &wanted);
    int rc = ptrace_thread_load(thread, &wanted);
    uint64_t start = host_monotonic_ns();
    placement_enter(thread->space->platform->placement, &thread->pair);
    while (rc == 0) {
        int status;
        rc = ptrace_thread_resume(thread, PTRACE_SYSEMU, &status);
        if (rc == 0) {
            thread->host_valid = false;
            rc = examine_stop(thread, status, regs, ret_event);
        }
    }
    placement_leave(thread->space->platform->placement, &thread->pair);
    atomic_fetch_and(&thread->state, ~THREAD_IN_GUEST);
    uint64_t spent = host_monotonic_ns() - start;
    stub_time_add(thread->space->stub, &thread->time, spent);
    if (rc == PLATFORM_DEAD) {
        atomic_store(&thread->space->stub->dead, true);
    }
    return rc > 0 ? 0 : rc;
}

void ptrace_thread_interrupt(struct platform_thread *thread)
{
    unsigned int old = atomic_fetch_or(&thread->state, THREAD_INTERRUPT);
    /* Outside guest mode the flag is enough: the next run sees it before it starts. */
    if ((old & (THREAD_IN_GUEST | THREAD_INTERRUPT)) == THREAD_IN_GUEST) {
        ignore_result(host_tgkill(thread->space->stub->pid, thread->tid, THREAD_INTERRUPT_SIGNAL));
    }
}

/* Runs `lock cmpxchg %esi,(%rdi)` of the stub on the guest thread, up to the int3 behind it. */
static int run_cmpxchg(struct platform_thread *thread, guest_addr addr, uint32_t expected,
                       uint32_t desired, uint32_t *ret_old)
{
    struct arch_regs regs;
    arch_regs_init(&regs, STUB_AT_ATOMIC, 0);
    regs.rdi = addr;
    regs.rax = expected;
    regs.rsi = desired;
    int rc = ptrace_thread_load(thread, &regs);
    while (rc == 0) {
        int status;
        rc = ptrace_thread_resume(thread, PTRACE_SYSEMU, &status);
        thread->host_valid = false;
        if (rc != 0 || status >> 16 != 0) {
            continue;
        }
        int signo = WSTOPSIG(status);
        if (signo != SIGTRAP && signo != SIGSEGV && signo != SIGBUS) {
            continue;
        }
        struct platform_fault fault;
        rc = fetch_regs(thread);
        if (rc != 0 || !ptrace_fault_describe(thread, signo, &thread->host, &fault)) {
            continue;
        }
        if (signo != SIGTRAP) {
            return -EFAULT;
        }
        *ret_old = (uint32_t)thread->host.rax;
        return 0;
    }
    return rc;
}

int ptrace_thread_atomic(struct platform_thread *thread, guest_addr addr, enum platform_atomic op,
                         uint32_t expected, uint32_t desired, uint32_t *ret_old)
{
    if (addr % sizeof(uint32_t) != 0 || stub_clip_copy(addr, sizeof(uint32_t)) == 0) {
        return -EFAULT;
    }
    if (thread->gone) {
        return PLATFORM_DEAD;
    }
    if (op == PLATFORM_ATOMIC_CMPXCHG) {
        return run_cmpxchg(thread, addr, expected, desired, ret_old);
    }
    uint32_t value;
    ssize_t count = stub_copy_in(thread->space->stub, addr, &value, sizeof value);
    if (count != sizeof value) {
        return count == PLATFORM_DEAD ? PLATFORM_DEAD : -EFAULT;
    }
    *ret_old = value;
    return 0;
}
