/*
 * trap_run.c: running guest code: the registers go into the mailbox, the turn to the guest thread,
 * and the next post says what it stopped for.
 */
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <string.h>

#include "platform/host/process.h"
#include "platform/trap/trap_internal.h"

#define HOST_USER_END 0x7ffffffff000ULL

static uint64_t clean_eflags(uint64_t eflags)
{
    return (eflags & ARCH_USER_EFLAGS) | 0x202;
}

/* Registers that a return from a system call leaves: rcx has rip, r11 the flags. Others need the
 * long way, as does a flag that would stop the stub's own last instructions. */
static bool is_plain_return(const struct arch_regs *regs, uint64_t eflags)
{
    const uint64_t special = ARCH_EFLAGS_TF | ARCH_EFLAGS_RF | 1ULL << 14 | 1ULL << 18; /* NT AC */
    return regs->rcx == regs->rip && regs->r11 == eflags && (eflags & special) == 0 &&
           regs->rip < PLATFORM_GUEST_MAX;
}

static void fill_mailbox(struct platform_thread *thread, const struct arch_regs *regs)
{
    struct stub_mailbox *mailbox = thread->mailbox;
    struct arch_regs wanted = *regs;
    uint64_t eflags = clean_eflags(wanted.eflags);
    if (wanted.rip == thread->shown_rip) {
        wanted.rip = thread->posted_rip;
        wanted.rcx = wanted.rcx == thread->shown_rip ? wanted.rip : wanted.rcx;
    } else {
        wanted.rip = trap_text_enter(thread->space, wanted.rip);
    }
    regs = &wanted;
    uint32_t flags = is_plain_return(regs, eflags) ? 0 : STUB_RESUME_FULL;
    if (thread->xstate_pending) {
        thread->xstate_pending = false;
        flags |= STUB_RESUME_XSTATE;
    }
    mailbox->regs = *regs;
    mailbox->regs.eflags = eflags;
    if (regs->gs_base != 0 || thread->gs_taken) {
        thread->gs_taken = true;
        mailbox->gs_taken = 1;
    }
    mailbox->flags = flags;
    mailbox->command = STUB_COMMAND_RESUME;
}

/* Copies what the stub posted, each field once. */
static int read_post(struct platform_thread *thread, struct arch_regs *regs,
                     struct platform_event *ret_event)
{
    volatile struct stub_mailbox *mailbox = thread->mailbox;
    uint64_t gs_base = regs->gs_base;
    uint32_t event = mailbox->event;
    memcpy(regs, (const void *)&mailbox->regs, sizeof *regs);
    regs->cs = ARCH_USER_CS;
    regs->ss = ARCH_USER_DS;
    regs->ds = regs->es = regs->fs = regs->gs = 0;
    regs->orig_rax = UINT64_MAX;
    regs->eflags = clean_eflags(regs->eflags);
    if (mailbox->gs_taken != 0) {
        thread->gs_taken = true;
    } else {
        regs->gs_base = gs_base;
    }
    thread->posted_rip = regs->rip;
    if (event == STUB_EVENT_SYSCALL) {
        regs->rip = trap_text_locate_call(thread, regs->rip);
        regs->rcx = regs->rcx == thread->posted_rip ? regs->rip : regs->rcx;
    } else {
        regs->rip = trap_text_locate(thread->space, regs->rip);
    }
    thread->shown_rip = regs->rip;
    switch (event) {
    case STUB_EVENT_SYSCALL: {
        uint32_t arch = mailbox->call_arch;
        if (arch != 0 && arch != AUDIT_ARCH_X86_64) {
            /* DIFFERS: 32-bit calls do not exist here; the guest gets ENOSYS for a number without
             * a call. */
            regs->rax = UINT64_MAX;
        }
        regs->orig_rax = regs->rax;
        trap_copy_begin(thread, regs->rax);
        ret_event->kind = PLATFORM_EVENT_SYSCALL;
        return 0;
    }
    case STUB_EVENT_FAULT:
        ret_event->kind = PLATFORM_EVENT_FAULT;
        ret_event->fault = (struct platform_fault){
            .signo = mailbox->signo,
            .code = mailbox->code,
            .addr = mailbox->addr,
            .trapno = mailbox->trapno,
            .err = mailbox->err,
            .cr2 = mailbox->cr2,
        };
        switch (ret_event->fault.signo) {
        case SIGSEGV:
        case SIGBUS:
        case SIGFPE:
        case SIGILL:
        case SIGTRAP:
            return 0;
        default:
            break;
        }
        break;
    case STUB_EVENT_INTERRUPTED:
        atomic_fetch_and(&thread->state, ~THREAD_INTERRUPT);
        ret_event->kind = PLATFORM_EVENT_INTERRUPTED;
        return 0;
    default:
        break;
    }
    stub_kill(thread->space->stub);
    return PLATFORM_DEAD;
}

int trap_thread_run(struct platform_thread *thread, struct arch_regs *regs,
                    struct platform_event *ret_event)
{
    struct placement *placement = thread->space->platform->placement;
    if (atomic_load(&thread->dead)) {
        return PLATFORM_DEAD;
    }
    if (regs->fs_base >= HOST_USER_END || regs->gs_base >= HOST_USER_END) {
        return -EINVAL;
    }
    if (regs->gs_base != 0 && !thread->gs_taken) {
        /* Rewritten sites find the area by the gs base, which the guest now needs for itself. */
        int rc = trap_text_restore_all(thread->space);
        if (rc != 0) {
            return rc;
        }
    }
    unsigned int old = atomic_fetch_or(&thread->state, THREAD_IN_GUEST);
    if ((old & THREAD_INTERRUPT) != 0) {
        atomic_fetch_and(&thread->state, ~(THREAD_INTERRUPT | THREAD_IN_GUEST));
        ret_event->kind = PLATFORM_EVENT_INTERRUPTED;
        return 0;
    }
    trap_pace_before(thread);
    trap_copy_end(thread);
    fill_mailbox(thread, regs);
    placement_enter(placement, &thread->pair);
    uint64_t start = __builtin_ia32_rdtsc();
    bool asleep = trap_give_turn(thread);
    int rc = trap_await_post(thread, 0);
    trap_pace_after(thread, start, asleep);
    placement_leave(placement, &thread->pair);
    atomic_fetch_and(&thread->state, ~THREAD_IN_GUEST);
    uint64_t spent = thread->pace.posted - start;
    atomic_fetch_add_explicit(&thread->guest_ticks, spent, memory_order_relaxed);
    atomic_fetch_add_explicit(&thread->space->guest_ticks, spent, memory_order_relaxed);
    return rc != 0 ? rc : read_post(thread, regs, ret_event);
}
