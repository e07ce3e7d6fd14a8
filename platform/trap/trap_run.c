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

/* DIFFERS: bases beyond user memory, which the guest can load with its own instructions, do not
 * outlive the next event. */
static uint64_t clean_base(uint64_t base)
{
    return base < HOST_USER_END ? base : 0;
}

/* Registers that a return from a system call leaves: rcx has rip, r11 the flags. Others need the
 * long way, as does a flag that would stop the stub's own last instructions. */
static bool is_plain_return(const struct arch_regs *regs, uint64_t eflags)
{
    const uint64_t special = ARCH_EFLAGS_TF | ARCH_EFLAGS_RF | 1ULL << 14 | 1ULL << 18; /* NT AC */
    return regs->rcx == regs->rip && regs->r11 == eflags && (eflags & special) == 0 &&
           regs->rip < PLATFORM_GUEST_MAX;
}

/* Leaves a cache line alone that has the value already: the other CPU keeps it. */
#define STORE(field, value)                                                                        \
    do {                                                                                           \
        uint64_t store_value_ = (value);                                                           \
        if (mailbox->field != store_value_) {                                                      \
            mailbox->field = store_value_;                                                         \
        }                                                                                          \
    } while (0)

static void fill_mailbox(struct platform_thread *thread, const struct arch_regs *regs)
{
    struct stub_mailbox *mailbox = thread->mailbox;
    struct arch_regs wanted = *regs;
    thread->resumed_shown = wanted.rip;
    wanted.eflags = clean_eflags(wanted.eflags);
    if (wanted.rip == thread->shown_rip &&
        thread->posted_generation == trap_text_generation(thread->space)) {
        wanted.rip = thread->posted_rip;
        wanted.rcx = wanted.rcx == thread->shown_rip ? wanted.rip : wanted.rcx;
    } else {
        wanted.rip = trap_text_enter(thread->space, wanted.rip);
    }
    thread->resumed_rip = wanted.rip;
    uint32_t order = STUB_COMMAND_RESUME | trap_copy_end(thread) << STUB_RESUME_COPIES_SHIFT;
    if (!is_plain_return(&wanted, wanted.eflags)) {
        order |= STUB_RESUME_FULL;
        STORE(rcx, wanted.rcx);
        STORE(r11, wanted.r11);
    }
    if (thread->xstate_pending) {
        thread->xstate_pending = false;
        order |= STUB_RESUME_XSTATE;
    }
    if (wanted.gs_base != 0 || thread->gs_taken) {
        thread->gs_taken = true;
        STORE(gs_taken, 1);
        STORE(gs_base, wanted.gs_base);
    }
    mailbox->rax = wanted.rax;
    mailbox->rdi = wanted.rdi;
    mailbox->rsi = wanted.rsi;
    mailbox->rdx = wanted.rdx;
    mailbox->r10 = wanted.r10;
    mailbox->r8 = wanted.r8;
    mailbox->rip = wanted.rip;
    STORE(r9, wanted.r9);
    STORE(rsp, wanted.rsp);
    STORE(rbx, wanted.rbx);
    STORE(rbp, wanted.rbp);
    STORE(r12, wanted.r12);
    STORE(r13, wanted.r13);
    STORE(r14, wanted.r14);
    STORE(r15, wanted.r15);
    STORE(eflags, wanted.eflags);
    STORE(fs_base, wanted.fs_base);
    mailbox->order = order;
}

static void read_registers(struct platform_thread *thread, struct arch_regs *regs)
{
    volatile struct stub_mailbox *mailbox = thread->mailbox;
    *regs = (struct arch_regs){
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
        .gs_base = regs->gs_base,
    };
    if (mailbox->gs_taken != 0) {
        thread->gs_taken = true;
        regs->gs_base = clean_base(mailbox->gs_base);
    }
}

/* Where the thread stopped: in the stub's terms, then in those of the file's text. */
static void read_place(struct platform_thread *thread, struct arch_regs *regs, bool call)
{
    thread->posted_generation = trap_text_generation(thread->space);
    thread->posted_rip = regs->rip;
    regs->rip = call ? trap_text_locate_call(thread, regs->rip)
                     : trap_text_locate(thread->space, regs->rip);
    thread->shown_rip = regs->rip;
}

static void read_syscall(struct platform_thread *thread, struct arch_regs *regs)
{
    uint32_t arch = ((volatile struct stub_mailbox *)thread->mailbox)->call_arch;
    read_place(thread, regs, true);
    if (arch == 0) {
        /* What the CPU leaves in them. */
        regs->rcx = regs->rip;
        regs->r11 = regs->eflags;
    } else if (arch != AUDIT_ARCH_X86_64) {
        /* DIFFERS: 32-bit calls do not exist here; the guest gets ENOSYS for a number without a
         * call. */
        regs->rax = UINT64_MAX;
    } else {
        thread->traps++;
        thread->promote = thread->traps - thread->promoted >= thread->promote_after;
    }
    regs->orig_rax = regs->rax;
    trap_copy_begin(thread, regs->rax);
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
    uint32_t event = ((volatile struct stub_mailbox *)thread->mailbox)->order;
    read_registers(thread, regs);
    if (event == STUB_EVENT_SYSCALL) {
        read_syscall(thread, regs);
        ret_event->kind = PLATFORM_EVENT_SYSCALL;
        return 0;
    }
    read_place(thread, regs, false);
    if (event == STUB_EVENT_FAULT && read_fault(thread, &ret_event->fault)) {
        ret_event->kind = PLATFORM_EVENT_FAULT;
        return 0;
    }
    if (event == STUB_EVENT_INTERRUPTED) {
        atomic_fetch_and(&thread->state, ~THREAD_INTERRUPT);
        ret_event->kind = PLATFORM_EVENT_INTERRUPTED;
        return 0;
    }
    stub_kill(thread->space->stub);
    return PLATFORM_DEAD;
}

/*
 * Enters guest mode. False: an interrupt came first. While the text of the space changes, threads
 * wait here.
 */
static bool enter_guest(struct platform_thread *thread)
{
    for (;;) {
        unsigned int state = atomic_load(&thread->state);
        if ((state & THREAD_INTERRUPT) != 0) {
            atomic_fetch_and(&thread->state, ~THREAD_INTERRUPT);
            return false;
        }
        if ((state & THREAD_STOP) != 0) {
            mutex_lock(&thread->space->change);
            mutex_unlock(&thread->space->change);
        } else if (atomic_compare_exchange_weak(&thread->state, &state, state | THREAD_IN_GUEST)) {
            return true;
        }
    }
}

/* One stay in guest code and what ended it, up to where that was: until then the text stays. */
static int run_guest(struct platform_thread *thread, struct arch_regs *regs,
                     struct platform_event *ret_event)
{
    struct placement *placement = thread->space->platform->placement;
    if (!enter_guest(thread)) {
        ret_event->kind = PLATFORM_EVENT_INTERRUPTED;
        return 0;
    }
    trap_pace_before(thread);
    fill_mailbox(thread, regs);
    placement_enter(placement, &thread->pair);
    uint64_t start = __builtin_ia32_rdtsc();
    bool asleep = trap_give_turn(thread);
    int rc = trap_await_post(thread, 0);
    trap_pace_after(thread, start, asleep);
    placement_leave(placement, &thread->pair);
    if (rc == 0) {
        rc = read_post(thread, regs, ret_event);
    }
    if ((atomic_fetch_and(&thread->state, ~THREAD_IN_GUEST) & THREAD_STOP) != 0) {
        trap_stop_reached(thread->space);
    }
    uint64_t spent = thread->pace.posted - start;
    stub_time_add(thread->space->stub, &thread->time, spent);
    return rc;
}

/* The guest single-steps itself, and what it has just stepped over is a jump of a rewritten site:
 * it is where it was. */
static bool is_inner_step(const struct platform_thread *thread, const struct platform_event *event)
{
    return event->kind == PLATFORM_EVENT_FAULT && event->fault.signo == SIGTRAP &&
           event->fault.code == TRAP_TRACE && thread->shown_rip == thread->resumed_shown &&
           thread->posted_rip != thread->resumed_rip;
}

void trap_thread_answer(struct platform_thread *thread, const struct platform_answers *answers)
{
    if (thread->answers.known == answers->known &&
        memcmp(thread->answers.result, answers->result, sizeof answers->result) == 0) {
        return;
    }
    thread->answers = *answers;
    for (size_t i = PLATFORM_ANSWER_NONE + 1; i < PLATFORM_ANSWER_COUNT; i++) {
        thread->mailbox->answers[i] = answers->known ? answers->result[i] | STUB_ANSWER_KNOWN : 0;
    }
}

int trap_thread_run(struct platform_thread *thread, struct arch_regs *regs,
                    struct platform_event *ret_event)
{
    int rc;
    if (atomic_load(&thread->dead)) {
        return PLATFORM_DEAD;
    }
    if (regs->fs_base >= HOST_USER_END || regs->gs_base >= HOST_USER_END) {
        return -EINVAL;
    }
    if (regs->gs_base != 0 && !trap_text_is_off(thread->space)) {
        /* Rewritten sites find the area by the gs base, which the guest now needs for itself. */
        mutex_lock(&thread->space->change);
        rc = trap_text_restore_all(thread->space);
        mutex_unlock(&thread->space->change);
        if (rc != 0) {
            return rc;
        }
    }
    do {
        rc = run_guest(thread, regs, ret_event);
    } while (rc == 0 && is_inner_step(thread, ret_event));
    if (thread->promote) {
        bool done = trap_text_promote(thread->space, regs->rip, regs->orig_rax) == 0;
        thread->promote = false;
        thread->promoted = thread->traps;
        thread->promote_after = done ? TRAP_PROMOTE_AFTER : 2 * thread->promote_after + 1;
        thread->promote_after = min_of(thread->promote_after, TRAP_PROMOTE_MAX);
    }
    return rc;
}
