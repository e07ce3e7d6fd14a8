/*
 * ptrace_fault.c: synchronous faults, from siginfo to what Linux puts in a signal frame.
 *
 * ptrace(2) does not tell the trap number and error code, so they are inferred.
 */
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>

#include "platform/arch/memory_access.h"
#include "platform/ptrace/ptrace_internal.h"

/* x86 exception vectors and page fault error bits. */
enum {
    TRAP_DE = 0,
    TRAP_DB = 1,
    TRAP_BP = 3,
    TRAP_UD = 6,
    TRAP_SS = 12,
    TRAP_GP = 13,
    TRAP_PF = 14,
    TRAP_AC = 17,
    TRAP_XF = 19,
};
enum { PF_PRESENT = 1, PF_WRITE = 2, PF_USER = 4, PF_FETCH = 16 };

static void describe_page_fault(struct platform_thread *thread, const struct arch_regs *regs,
                                struct platform_fault *fault)
{
    fault->trapno = TRAP_PF;
    fault->err = PF_USER;
    if (fault->signo == SIGSEGV && fault->code == SEGV_ACCERR) {
        fault->err |= PF_PRESENT;
    }
    uint8_t code[15];
    ssize_t count = stub_copy_in(thread->space->stub, regs->rip, code, sizeof code);
    if (fault->addr == regs->rip || count < 0 ||
        (fault->addr % STUB_PAGE == 0 && fault->addr - regs->rip < sizeof code)) {
        fault->err |= PF_FETCH;
    } else if (arch_access_is_write(code, (size_t)count, regs, fault->addr)) {
        fault->err |= PF_WRITE;
    }
    thread->cr2 = fault->addr;
}

bool ptrace_fault_describe(struct platform_thread *thread, int signo, const struct arch_regs *regs,
                           struct platform_fault *ret_fault)
{
    siginfo_t info;
    if (ptrace(PTRACE_GETSIGINFO, thread->tid, NULL, &info) != 0 || info.si_code <= 0) {
        return false;
    }
    struct platform_fault fault = {
        .signo = signo,
        .code = info.si_code,
        .addr = (uint64_t)(uintptr_t)info.si_addr,
    };
    switch (signo) {
    case SIGSEGV:
        if (info.si_code == SI_KERNEL) {
            fault.trapno = TRAP_GP;
            fault.addr = 0;
        } else {
            describe_page_fault(thread, regs, &fault);
        }
        break;
    case SIGBUS:
        if (info.si_code == BUS_ADRALN) {
            fault.trapno = TRAP_AC;
        } else if (info.si_code == SI_KERNEL) {
            fault.trapno = TRAP_SS;
        } else {
            describe_page_fault(thread, regs, &fault);
        }
        break;
    case SIGFPE:
        fault.trapno = info.si_code == FPE_INTDIV ? TRAP_DE : TRAP_XF;
        break;
    case SIGILL:
        fault.trapno = TRAP_UD;
        break;
    default:
        /* Linux: do_int3() sends SI_KERNEL; single steps and watchpoints have TRAP_x codes. */
        fault.trapno = info.si_code == SI_KERNEL ? TRAP_BP : TRAP_DB;
        if (info.si_code == SI_KERNEL) {
            fault.addr = 0;
        }
        break;
    }
    fault.cr2 = thread->cr2;
    *ret_fault = fault;
    return true;
}
