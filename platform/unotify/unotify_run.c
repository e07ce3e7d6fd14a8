/*
 * unotify_run.c: running guest code. A call is answered where it waits; only when more than its
 * result is to change does the thread go through the stub's handler, which takes all registers from
 * the mailbox.
 */
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <string.h>

#include "platform/host/process.h"
#include "platform/unotify/unotify_internal.h"

#define HOST_USER_END 0x7ffffffff000ULL
#define CALL_SIZE     2 /* of syscall and of int $0x80 */

#define REGISTERS (sizeof(struct arch_regs) / sizeof(uint64_t))

static uint64_t clean_eflags(uint64_t eflags)
{
    return (eflags & ARCH_USER_EFLAGS) | 0x202;
}

/* DIFFERS: bases beyond user memory, which the guest can load with its own instructions, do not
 * outlive the next event. */
static uint64_t clean_base(uint64_t base)
{
    return base < HOST_USER_END ? base : 0;
}

static void fill_mailbox(struct platform_thread *thread, const struct arch_regs *regs)
{
    struct stub_mailbox *mailbox = thread->mailbox;
    uint32_t order = STUB_COMMAND_RESUME | STUB_RESUME_FULL;
    if (thread->xstate_pending) {
        thread->xstate_pending = false;
        order |= STUB_RESUME_XSTATE;
    }
    mailbox->rax = regs->rax;
    mailbox->rdi = regs->rdi;
    mailbox->rsi = regs->rsi;
    mailbox->rdx = regs->rdx;
    mailbox->r10 = regs->r10;
    mailbox->r8 = regs->r8;
    mailbox->rip = regs->rip;
    mailbox->r9 = regs->r9;
    mailbox->rsp = regs->rsp;
    mailbox->rbx = regs->rbx;
    mailbox->rbp = regs->rbp;
    mailbox->r12 = regs->r12;
    mailbox->r13 = regs->r13;
    mailbox->r14 = regs->r14;
    mailbox->r15 = regs->r15;
    mailbox->eflags = clean_eflags(regs->eflags);
    mailbox->rcx = regs->rcx;
    mailbox->r11 = regs->r11;
    mailbox->fs_base = regs->fs_base;
    mailbox->gs_base = regs->gs_base;
    mailbox->gs_taken = 1;
    mailbox->keep_xstate = STUB_KEEP_XSTATE;
    mailbox->order = order;
}

void unotify_read_registers(struct platform_thread *thread, struct arch_regs *ret_regs)
{
    volatile struct stub_mailbox *mailbox = thread->mailbox;
    *ret_regs = (struct arch_regs){
        .r15 = mailbox->r15,
        .r14 = mailbox->r14,
        .r13 = mailbox->r13,
        .r12 = mailbox->r12,
        .rbp = mailbox->rbp,
        .rbx = mailbox->rbx,
        .r11 = mailbox->r11,
        .r10 = mailbox->r10,
        .r9 = mailbox->r9,
        .r8 = mailbox->r8,
        .rax = mailbox->rax,
        .rcx = mailbox->rcx,
        .rdx = mailbox->rdx,
        .rsi = mailbox->rsi,
        .rdi = mailbox->rdi,
        .orig_rax = UINT64_MAX,
        .rip = mailbox->rip,
        .cs = ARCH_USER_CS,
        .eflags = clean_eflags(mailbox->eflags),
        .rsp = mailbox->rsp,
        .ss = ARCH_USER_DS,
        .fs_base = clean_base(mailbox->fs_base),
        .gs_base = clean_base(mailbox->gs_base),
    };
}

/* The registers that the sentry has not changed since they were reported get their true values. */
static void merge_registers(struct platform_thread *thread, struct arch_regs *regs)
{
    uint64_t now[REGISTERS];
    uint64_t shown[REGISTERS];
    uint64_t real[REGISTERS];
    memcpy(now, regs, sizeof now);
    memcpy(shown, &thread->shown, sizeof shown);
    memcpy(real, &thread->real, sizeof real);
    for (size_t i = 0; i < REGISTERS; i++) {
        if (now[i] == shown[i]) {
            now[i] = real[i];
        }
    }
    memcpy(regs, now, sizeof now);
    thread->shown = thread->real;
    thread->complete = true;
}

int unotify_thread_complete(struct platform_thread *thread, struct arch_regs *regs)
{
    if (thread->complete) {
        return 0;
    }
    int rc = unotify_park(thread);
    if (rc == 0) {
        merge_registers(thread, regs);
    }
    return rc;
}

/* Does the sentry change nothing but the result of the call the thread waits in? */
static bool is_plain_return(const struct platform_thread *thread, const struct arch_regs *regs)
{
    struct arch_regs other = *regs;
    other.rax = thread->shown.rax;
    other.orig_rax = thread->shown.orig_rax;
    return thread->parking == PARKED_IN_CALL && !thread->complete && !thread->xstate_pending &&
           memcmp(&other, &thread->shown, sizeof other) == 0;
}

/* Sends the thread to guest code. */
static int resume(struct platform_thread *thread, struct arch_regs *regs)
{
    if (is_plain_return(thread, regs)) {
        ignore_result(unotify_answer(thread, regs->rax));
        return 0;
    }
    int rc = unotify_thread_complete(thread, regs);
    rc = rc != 0 ? rc : unotify_park(thread);
    if (rc == 0) {
        fill_mailbox(thread, regs);
        rc = unotify_give_turn(thread);
    }
    return rc;
}

/* All else stays as it was known last. In debug builds, who uses it without asking is found out. */
static void forget_unknown(struct arch_regs *regs)
{
#ifdef STOCKADE_DEBUG_LOCKS
    const uint64_t unknown = 0x5ead0000beef;
    regs->rbx = regs->rbp = regs->rsp = unknown;
    regs->r11 = regs->r12 = regs->r13 = regs->r14 = regs->r15 = unknown;
    regs->fs_base = regs->gs_base = unknown;
    regs->eflags = 0;
#else
    (void)regs;
#endif
}

/* What the kernel tells of a call. */
static void show_call(struct platform_thread *thread, struct arch_regs *regs)
{
    const struct host_notification *call = &thread->call;
    /* DIFFERS: 32-bit calls do not exist here; the guest gets ENOSYS for a number without a call.
     */
    regs->rax = call->arch == AUDIT_ARCH_X86_64 ? (uint32_t)call->number : UINT64_MAX;
    regs->orig_rax = regs->rax;
    regs->rdi = call->args[0];
    regs->rsi = call->args[1];
    regs->rdx = call->args[2];
    regs->r10 = call->args[3];
    regs->r8 = call->args[4];
    regs->r9 = call->args[5];
    regs->rip = call->ip;
    regs->rcx = call->ip;
    forget_unknown(regs);
    thread->shown = *regs;
    thread->complete = false;
}

/* A signal came before the answer: the handler found the thread in front of its call, whose result
 * it gets now. */
static void pay_owed(struct platform_thread *thread, struct arch_regs *regs)
{
    if (regs->rip + CALL_SIZE == thread->call.ip &&
        (uint32_t)regs->rax == (uint32_t)thread->call.number) {
        regs->rip = thread->call.ip;
        regs->rax = thread->owed_result;
        if (thread->call.arch == AUDIT_ARCH_X86_64) {
            regs->rcx = regs->rip;
            regs->r11 = regs->eflags;
        }
    }
    thread->owed = false;
}

/* False when it is no fault that a guest can have. */
static bool read_fault(struct platform_thread *thread, struct platform_fault *ret_fault)
{
    volatile struct stub_mailbox *mailbox = thread->mailbox;
    *ret_fault = (struct platform_fault){
        .signo = mailbox->signo,
        .code = mailbox->code,
        .addr = mailbox->addr,
        .trapno = mailbox->trapno,
        .err = mailbox->err,
        .cr2 = mailbox->cr2,
    };
    switch (ret_fault->signo) {
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
        return true;
    default:
        return false;
    }
}

/* Copies what the stub posted, each field once. */
static int read_post(struct platform_thread *thread, struct arch_regs *regs,
                     struct platform_event *ret_event)
{
    volatile struct stub_mailbox *mailbox = thread->mailbox;
    uint32_t event = mailbox->order;
    unotify_read_registers(thread, regs);
    thread->complete = true;
    if (event == STUB_EVENT_INTERRUPTED) {
        if (thread->owed) {
            pay_owed(thread, regs);
        }
        atomic_fetch_and(&thread->state, ~THREAD_INTERRUPT);
        ret_event->kind = PLATFORM_EVENT_INTERRUPTED;
    } else if (event == STUB_EVENT_FAULT && read_fault(thread, &ret_event->fault)) {
        ret_event->kind = PLATFORM_EVENT_FAULT;
    } else if (event == STUB_EVENT_SYSCALL) {
        /* The guest jumped to the entry for rewritten call sites. */
        uint32_t arch = mailbox->call_arch;
        if (arch == 0) {
            regs->rcx = regs->rip;
            regs->r11 = regs->eflags;
        } else if (arch != AUDIT_ARCH_X86_64) {
            regs->rax = UINT64_MAX;
        }
        regs->orig_rax = regs->rax;
        ret_event->kind = PLATFORM_EVENT_SYSCALL;
    } else {
        stub_kill(thread->space->stub);
        return PLATFORM_DEAD;
    }
    thread->owed = false;
    thread->shown = *regs;
    return 0;
}

int unotify_thread_run(struct platform_thread *thread, struct arch_regs *regs,
                       struct platform_event *ret_event)
{
    struct placement *placement = thread->space->platform->placement;
    if (thread->gone) {
        return PLATFORM_DEAD;
    }
    if (regs->fs_base >= HOST_USER_END || regs->gs_base >= HOST_USER_END) {
        return -EINVAL;
    }
    if ((atomic_fetch_or(&thread->state, THREAD_IN_GUEST) & THREAD_INTERRUPT) != 0) {
        atomic_fetch_and(&thread->state, ~(THREAD_INTERRUPT | THREAD_IN_GUEST));
        unotify_watch_end(thread->space->platform->watch, thread);
        ret_event->kind = PLATFORM_EVENT_INTERRUPTED;
        return 0;
    }
    placement_enter(placement, &thread->pair);
    uint64_t start = __builtin_ia32_rdtsc();
    int rc = resume(thread, regs);
    rc = rc != 0 ? rc : unotify_await(thread, 0);
    stub_time_add(thread->space->stub, &thread->time, __builtin_ia32_rdtsc() - start);
    placement_leave(placement, &thread->pair);
    if ((atomic_fetch_and(&thread->state, ~THREAD_IN_GUEST) & THREAD_INTERRUPT) != 0) {
        unotify_watch_end(thread->space->platform->watch, thread);
    }
    if (rc != 0) {
        return rc;
    }
    if (thread->parking == PARKED_IN_CALL) {
        show_call(thread, regs);
        ret_event->kind = PLATFORM_EVENT_SYSCALL;
        return 0;
    }
    return read_post(thread, regs, ret_event);
}
