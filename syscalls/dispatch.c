/*
 * dispatch.c: see dispatch.h. Runs on the task's own sentry thread, without locks. Counters are
 * relaxed atomics and exist only for reports.
 */
#include "syscalls/dispatch.h"

#include <stdatomic.h>
#include <sys/ptrace.h>

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/seccomp.h"
#include "syscalls/strace.h"
#include "syscalls/syscall.h"

#define NR_RT_SIGRETURN 15
#define NR_EXECVE       59
#define NR_EXECVEAT     322

static atomic_bool counting;
static atomic_ullong call_counts[SYSCALL_COUNT];
static atomic_uint error_counts[SYSCALL_COUNT][SYSCALL_ERRNO_COUNT];

void syscall_count_enable(bool on)
{
    atomic_store(&counting, on);
    syscall_watch();
}

void syscall_watch(void)
{
    atomic_store(&kernel.sees_all_calls, atomic_load(&counting) || strace_enabled());
}

uint64_t syscall_count_calls(unsigned number)
{
    return number < SYSCALL_COUNT ? atomic_load(&call_counts[number]) : 0;
}

uint64_t syscall_count_errors(unsigned number, unsigned error)
{
    if (number >= SYSCALL_COUNT || error >= SYSCALL_ERRNO_COUNT) {
        return 0;
    }
    return atomic_load(&error_counts[number][error]);
}

static void count_call(unsigned number, long result)
{
    atomic_fetch_add_explicit(&call_counts[number], 1, memory_order_relaxed);
    if (result < 0 && result >= -4095) {
        unsigned error = (unsigned)-result;
        if (error >= ERESTARTSYS) {
            error = EINTR;
        }
        if (error < SYSCALL_ERRNO_COUNT) {
            atomic_fetch_add_explicit(&error_counts[number][error], 1, memory_order_relaxed);
        }
    }
}

static bool is_restart_class(long result)
{
    return result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK;
}

static long run_call(struct task *task, unsigned number, const struct syscall_args *args)
{
    if (number >= SYSCALL_COUNT || !syscall_table[number].name) {
        return -ENOSYS; /* the x32 numbers (bit 30) too, as a kernel without x32 */
    }
    const struct syscall_row *row = &syscall_table[number];
    return row->function ? row->function(task, args) : -(long)row->error;
}

/* The guest's own filters. */
static enum seccomp_decision filter_call(struct task *task, int number,
                                         const struct syscall_args *args, long *ret_result)
{
    if (atomic_exchange(&task->seccomp_no_new_privs, false) && !task->cred->no_new_privs) {
        struct cred *cred = cred_copy(task->cred);
        if (!cred) {
            *ret_result = -ENOMEM; /* the call may not go on without */
            atomic_store(&task->seccomp_no_new_privs, true);
            return SECCOMP_ANSWER;
        }
        cred->no_new_privs = true;
        task_set_cred(cred);
    }
    return seccomp_check(task, number, args->arg, ret_result);
}

/* The call as it stands in the registers now: a tracer may have changed it. */
static void read_call(const struct arch_regs *regs, unsigned *ret_number, struct syscall_args *args)
{
    *ret_number = (unsigned)regs->orig_rax;
    *args = (struct syscall_args){{regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9}};
}

/* The tracer hears of the call, and decides. False: it is not made, rax is the result. */
static bool ask_tracer(struct task *task, bool by_filter, long data, unsigned *number,
                       struct syscall_args *args)
{
    bool proceed = true;
    if (by_filter) {
        ptrace_event(task, PTRACE_EVENT_SECCOMP, (uint64_t)data);
        proceed = !atomic_load(&task->exiting);
    } else {
        proceed = ptrace_call_enter(task);
    }
    read_call(&task->regs, number, args);
    return proceed && *number != UINT32_MAX;
}

/* Tracer, then filters, then the call. *ret_result is valid unless it says SECCOMP_ROLL_BACK, or
 * SECCOMP_SKIPPED: a tracer has left the result in rax. */
static enum seccomp_decision decide_call(struct task *task, unsigned *number,
                                         struct syscall_args *args, long *ret_result)
{
    if (atomic_load_explicit(&task->ptrace.mode, memory_order_relaxed) != 0 &&
        !ask_tracer(task, false, 0, number, args)) {
        return SECCOMP_SKIPPED;
    }
    if (atomic_load_explicit(&task->seccomp_mode, memory_order_relaxed) == 0) {
        return SECCOMP_PROCEED;
    }
    enum seccomp_decision decision = filter_call(task, (int)*number, args, ret_result);
    if (decision != SECCOMP_ASK_TRACER) {
        return decision;
    }
    if (!ptrace_event_enabled(task, PTRACE_EVENT_SECCOMP)) {
        *ret_result = -ENOSYS;
        return SECCOMP_ANSWER;
    }
    if (!ask_tracer(task, true, *ret_result, number, args)) {
        return SECCOMP_SKIPPED;
    }
    /* Linux: the call may be another one now: the filters see it, but do not ask again. */
    decision = filter_call(task, (int)*number, args, ret_result);
    return decision == SECCOMP_ASK_TRACER ? SECCOMP_PROCEED : decision;
}

/* The tracer sees the result, and may change it. */
static long report_result(struct task *task, uint64_t number, bool replaced, long result)
{
    struct arch_regs *regs = &task->regs;
    task_complete_registers(task);
    if (!replaced) {
        regs->rax = (uint64_t)result;
    }
    if (!replaced || (unsigned)number != NR_RT_SIGRETURN) {
        regs->orig_rax = number;
    }
    ptrace_call_exit(task);
    return (long)regs->rax;
}

void syscall_dispatch(struct task *task)
{
    struct arch_regs *regs = &task->regs;
    if (atomic_load_explicit(&task->ptrace.mode, memory_order_relaxed) != 0) {
        task_complete_registers(task);
    }
    uint64_t raw = regs->rax;
    /* Linux: the number is the lower 32 bits, compared as unsigned (do_syscall_x64). */
    unsigned number;
    struct syscall_args args;
    struct strace_call trace;
    bool tracing = strace_enabled();

    regs->orig_rax = raw;
    regs->rax = (uint64_t)-ENOSYS;
    read_call(regs, &number, &args);
    atomic_store_explicit(&task->syscall_nr, (int)number, memory_order_relaxed);
    if (tracing) {
        strace_enter(&trace, task, number, &args);
    }
    long result = 0;
    enum seccomp_decision decision = decide_call(task, &number, &args, &result);
    if (decision == SECCOMP_PROCEED) {
        result = run_call(task, number, &args);
    } else if (decision == SECCOMP_SKIPPED) {
        result = (long)regs->rax;
    }
    if (atomic_load_explicit(&counting, memory_order_relaxed) && number < SYSCALL_COUNT) {
        count_call(number, result);
    }
    if (tracing) {
        strace_leave(&trace, task, result);
    }
    atomic_store_explicit(&task->syscall_nr, -1, memory_order_relaxed);
    bool replaced = decision == SECCOMP_PROCEED &&
                    (number == NR_RT_SIGRETURN ||
                     (result == 0 && (number == NR_EXECVE || number == NR_EXECVEAT)));
    if (decision == SECCOMP_ROLL_BACK) {
        regs->rax = raw;
        replaced = true;
    }
    if (atomic_load_explicit(&task->ptrace.mode, memory_order_relaxed) != 0 &&
        decision != SECCOMP_ROLL_BACK) {
        result = report_result(task, number, replaced, result);
    }
    if (!replaced) {
        regs->rax = (uint64_t)result;
    }
    /* A tracer that stops the task before a signal, or at its end, sees in which call it was. */
    bool goes_on = !atomic_load(&task->work) && !atomic_load(&task->exiting);
    if (replaced || (goes_on && !is_restart_class(result))) {
        regs->orig_rax = UINT64_MAX; /* nothing for signal_deliver to restart */
    }
}
