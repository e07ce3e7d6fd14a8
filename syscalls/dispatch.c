/*
 * dispatch.c: see dispatch.h. Runs on the task's own sentry thread, without locks. Counters are
 * relaxed atomics and exist only for reports.
 */
#include "syscalls/dispatch.h"

#include <stdatomic.h>

#include "sentry/kernel/kernel.h"
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

void syscall_dispatch(struct task *task)
{
    struct arch_regs *regs = &task->regs;
    uint64_t raw = regs->rax;
    /* Linux: the number is the lower 32 bits, compared as unsigned (do_syscall_x64). */
    unsigned number = (unsigned)raw;
    struct syscall_args args = {{regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9}};
    struct strace_call trace;
    bool tracing = strace_enabled();

    regs->orig_rax = raw;
    regs->rax = (uint64_t)-ENOSYS;
    atomic_store_explicit(&task->syscall_nr, (int)number, memory_order_relaxed);
    if (tracing) {
        strace_enter(&trace, task, number, &args);
    }
    long result = 0;
    enum seccomp_decision decision = SECCOMP_PROCEED;
    if (atomic_load_explicit(&task->seccomp_mode, memory_order_relaxed) != 0) {
        decision = filter_call(task, (int)number, &args, &result);
    }
    if (decision == SECCOMP_PROCEED) {
        result = run_call(task, number, &args);
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
    if (!replaced) {
        regs->rax = (uint64_t)result;
    }
    if (replaced || !is_restart_class(result)) {
        regs->orig_rax = UINT64_MAX; /* nothing for signal_deliver to restart */
    }
}
