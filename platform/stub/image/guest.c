/*
 * guest.c: what a guest thread of the trap engine does when it is not running guest code: it posts
 * its event in the mailbox, waits for its turn, and carries out what the sentry asks.
 *
 * Runs in the stub process with the guest's extended state live in the CPU (it is compiled for
 * general registers only), with the guest's fs base, and on the stack of the thread's area. All
 * data is writable by the guest: nothing here protects anything, and every mistake a guest can
 * provoke must end in a fault, a wrong answer for itself, or a spin that the sentry bounds.
 */
#include <stdbool.h>

#include "platform/stub/layout.h"

#define SIGILL_  4
#define SIGTRAP_ 5
#define SIGBUS_  7
#define SIGFPE_  8
#define SIGSEGV_ 11
#define SIGURG_  23
#define SIGSYS_  31

#define SYS_SECCOMP_ 1
#define EFLAGS_TF    0x100UL
#define EFAULT_      14

/* The parts of the kernel's signal frame that are used here (Linux: struct rt_sigframe,
 * struct sigcontext_64, siginfo_t). */
struct signal_context {
    uint64_t flags, link;
    uint64_t stack[3];
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
    uint16_t cs, gs, fs, ss;
    uint64_t err, trapno, oldmask, cr2;
    void *fpstate;
};

struct signal_info {
    int32_t signo, error, code, unused;
    uint64_t addr; /* also: where a refused system call was made */
    int32_t call;
    uint32_t arch;
};

/* What guest_load takes. */
struct load_frame {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t rip, cs, eflags, rsp, ss;
};

/* A faulting instruction of ours, and where to go on. */
struct fixup {
    uint32_t at, to;
};
extern const struct fixup fixups[], fixups_end[];

/* stub.S */
void guest_wait(_Atomic uint32_t *word, uint32_t value);
void guest_wake(_Atomic uint32_t *word);
_Noreturn void guest_exit(_Atomic uint32_t *word);
_Noreturn void guest_return(struct stub_mailbox *mailbox);
_Noreturn void guest_load(struct stub_mailbox *mailbox, const struct load_frame *frame,
                          uint64_t gs_base);
_Noreturn void guest_restart(struct stub_mailbox *mailbox,
                             void (*function)(struct stub_mailbox *, uint64_t), uint64_t argument);

/* Called by stub.S. */
_Noreturn void guest_ready(struct stub_mailbox *mailbox);
_Noreturn void guest_call(struct stub_mailbox *mailbox);
_Noreturn void guest_interrupted(struct stub_mailbox *mailbox);
_Noreturn void guest_signal(int signo, const struct signal_info *info,
                            struct signal_context *context);

static inline uint64_t read_tsc(void)
{
    uint32_t low;
    uint32_t high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static inline uint64_t read_fs_base(void)
{
    uint64_t base;
    __asm__ volatile("rdfsbase %0" : "=r"(base));
    return base;
}

static inline uint64_t read_gs_base(void)
{
    uint64_t base;
    __asm__ volatile("rdgsbase %0" : "=r"(base));
    return base;
}

static void await_turn(struct stub_mailbox *mailbox)
{
    if (mailbox->spin != 0) {
        uint64_t spin = mailbox->spin;
        uint64_t start = read_tsc();
        do {
            for (int i = 0; i < 8; i++) {
                if ((atomic_load_explicit(&mailbox->turn, memory_order_acquire) &
                     STUB_TURN_SENTRY) == 0) {
                    return;
                }
                __builtin_ia32_pause();
            }
        } while (read_tsc() - start < spin);
    }
    for (;;) {
        uint32_t turn = atomic_load_explicit(&mailbox->turn, memory_order_acquire);
        if ((turn & STUB_TURN_SENTRY) == 0) {
            return;
        }
        if (turn == (STUB_TURN_SENTRY | STUB_TURN_WAITER) ||
            atomic_compare_exchange_strong(&mailbox->turn, &turn,
                                           STUB_TURN_SENTRY | STUB_TURN_WAITER)) {
            guest_wait(&mailbox->turn, STUB_TURN_SENTRY | STUB_TURN_WAITER);
        }
    }
}

static void post(struct stub_mailbox *mailbox, uint32_t event)
{
    mailbox->event = event;
    if ((atomic_exchange(&mailbox->turn, STUB_TURN_SENTRY) & STUB_TURN_WAITER) != 0) {
        guest_wake(&mailbox->turn);
    }
    await_turn(mailbox);
}

static void save_xstate(struct stub_mailbox *mailbox)
{
    char *area = (char *)mailbox + STUB_AREA_XSTATE;
    /* XSAVE leaves the header's reserved bytes as they are. */
    for (int i = 512; i < 576; i += 8) {
        *(uint64_t *)(area + i) = 0;
    }
    __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(-1), "d"(-1) : "memory");
}

/* An area that the CPU refuses is not loaded. */
static void load_xstate(const void *area)
{
    __asm__ volatile("1: xrstor64 (%0)\n"
                     "2:\n"
                     ".pushsection .fixups, \"a\"\n .long 1b, 2b\n .popsection"
                     :
                     : "r"(area), "a"(-1), "d"(-1)
                     : "memory");
}

static void compare_exchange(struct stub_mailbox *mailbox)
{
    uint32_t old = (uint32_t)mailbox->args[1];
    int32_t result = -EFAULT_;
    __asm__ volatile("1: lock cmpxchg %[desired], (%[word])\n"
                     "   xor %[result], %[result]\n"
                     "2:\n"
                     ".pushsection .fixups, \"a\"\n .long 1b, 2b\n .popsection"
                     : [result] "+r"(result), "+a"(old)
                     : [word] "r"(mailbox->args[0]), [desired] "r"((uint32_t)mailbox->args[2])
                     : "memory", "cc");
    mailbox->args[1] = old;
    mailbox->result = result;
}

static _Noreturn void load_registers(struct stub_mailbox *mailbox)
{
    const struct arch_regs *regs = &mailbox->regs;
    uint16_t cs;
    uint16_t ss;
    __asm__ volatile("mov %%cs, %0\n mov %%ss, %1" : "=r"(cs), "=r"(ss));
    struct load_frame frame = {
        .r15 = regs->r15,
        .r14 = regs->r14,
        .r13 = regs->r13,
        .r12 = regs->r12,
        .rbp = regs->rbp,
        .rbx = regs->rbx,
        .r11 = regs->r11,
        .r10 = regs->r10,
        .r9 = regs->r9,
        .r8 = regs->r8,
        .rax = regs->rax,
        .rcx = regs->rcx,
        .rdx = regs->rdx,
        .rsi = regs->rsi,
        .rdi = regs->rdi,
        .rip = regs->rip,
        .cs = cs,
        .eflags = regs->eflags,
        .rsp = regs->rsp,
        .ss = ss,
    };
    guest_load(mailbox, &frame, mailbox->gs_taken ? regs->gs_base : (uint64_t)mailbox);
}

static _Noreturn void resume(struct stub_mailbox *mailbox)
{
    uint32_t flags = mailbox->flags;
    if ((flags & STUB_RESUME_XSTATE) != 0) {
        load_xstate((char *)mailbox + STUB_AREA_XSTATE);
    }
    if (mailbox->regs.fs_base != read_fs_base()) {
        __asm__ volatile("1: wrfsbase %0\n"
                         "2:\n"
                         ".pushsection .fixups, \"a\"\n .long 1b, 2b\n .popsection"
                         :
                         : "r"(mailbox->regs.fs_base));
    }
    if ((flags & STUB_RESUME_FULL) != 0 || mailbox->gs_taken != 0) {
        load_registers(mailbox);
    }
    guest_return(mailbox);
}

/* Posts the event and obeys. mailbox->regs is complete but for fs_base. */
static _Noreturn void serve(struct stub_mailbox *mailbox, uint32_t event)
{
    mailbox->regs.fs_base = read_fs_base();
    atomic_store_explicit(&mailbox->interrupted, 0, memory_order_relaxed);
    for (;;) {
        post(mailbox, event);
        switch (mailbox->command) {
        case STUB_COMMAND_RESUME:
            resume(mailbox);
        case STUB_COMMAND_SAVE_XSTATE:
            save_xstate(mailbox);
            break;
        case STUB_COMMAND_CMPXCHG:
            compare_exchange(mailbox);
            break;
        case STUB_COMMAND_EXIT:
            guest_exit(&mailbox->turn);
        default:
            break;
        }
        event = STUB_EVENT_READY;
    }
}

void guest_ready(struct stub_mailbox *mailbox)
{
    serve(mailbox, STUB_EVENT_READY);
}

void guest_call(struct stub_mailbox *mailbox)
{
    mailbox->call_arch = 0;
    serve(mailbox, STUB_EVENT_SYSCALL);
}

void guest_interrupted(struct stub_mailbox *mailbox)
{
    serve(mailbox, STUB_EVENT_INTERRUPTED);
}

/* The entry of guest_restart: the guest's extended state is live again. */
static void serve_event(struct stub_mailbox *mailbox, uint64_t event)
{
    serve(mailbox, (uint32_t)event);
}

static void store_registers(struct stub_mailbox *mailbox, const struct signal_context *context)
{
    struct arch_regs *regs = &mailbox->regs;
    regs->r15 = context->r15;
    regs->r14 = context->r14;
    regs->r13 = context->r13;
    regs->r12 = context->r12;
    regs->rbp = context->rbp;
    regs->rbx = context->rbx;
    regs->r11 = context->r11;
    regs->r10 = context->r10;
    regs->r9 = context->r9;
    regs->r8 = context->r8;
    regs->rax = context->rax;
    regs->rcx = context->rcx;
    regs->rdx = context->rdx;
    regs->rsi = context->rsi;
    regs->rdi = context->rdi;
    regs->rip = context->rip;
    regs->eflags = context->eflags;
    regs->rsp = context->rsp;
}

/* Back to the code of ours that a signal interrupted. */
static _Noreturn void return_from_signal(struct stub_mailbox *mailbox,
                                         const struct signal_context *context)
{
    struct load_frame frame = {
        .r15 = context->r15,
        .r14 = context->r14,
        .r13 = context->r13,
        .r12 = context->r12,
        .rbp = context->rbp,
        .rbx = context->rbx,
        .r11 = context->r11,
        .r10 = context->r10,
        .r9 = context->r9,
        .r8 = context->r8,
        .rax = context->rax,
        .rcx = context->rcx,
        .rdx = context->rdx,
        .rsi = context->rsi,
        .rdi = context->rdi,
        .rip = context->rip,
        .cs = context->cs,
        .eflags = context->eflags,
        .rsp = context->rsp,
        .ss = context->ss,
    };
    load_xstate(context->fpstate);
    __asm__ volatile("mov %0, %%rsp\n"
                     "pop %%r15\n pop %%r14\n pop %%r13\n pop %%r12\n pop %%rbp\n pop %%rbx\n"
                     "pop %%r11\n pop %%r10\n pop %%r9\n pop %%r8\n pop %%rax\n pop %%rcx\n"
                     "pop %%rdx\n pop %%rsi\n pop %%rdi\n"
                     "iretq\n"
                     :
                     : "r"(&frame), "m"(frame));
    (void)mailbox;
    __builtin_unreachable();
}

static _Noreturn void signal_in_stub(struct stub_mailbox *mailbox, int signo,
                                     const struct signal_info *info, struct signal_context *context)
{
    bool leaving = context->rip >= STUB_AT_RESUME && context->rip < STUB_AT_RESUME_END;
    if (info->code <= 0 && signo != SIGURG_) {
        return_from_signal(mailbox, context); /* sent by somebody on the host */
    }
    switch (signo) {
    case SIGSEGV_:
    case SIGBUS_:
        for (const struct fixup *fixup = fixups; fixup < fixups_end; fixup++) {
            if (context->rip == fixup->at) {
                context->rip = fixup->to;
                return_from_signal(mailbox, context);
            }
        }
        break;
    case SIGTRAP_:
        /* The guest single-steps itself and came in with the flag set: it gets it back later. */
        if ((context->eflags & EFLAGS_TF) != 0 && !leaving) {
            context->eflags &= ~EFLAGS_TF;
            return_from_signal(mailbox, context);
        }
        break;
    case SIGURG_:
        if (!leaving) {
            atomic_store(&mailbox->interrupted, 1);
            return_from_signal(mailbox, context);
        }
        /* mailbox->regs still holds all that was to be loaded. */
        load_xstate(context->fpstate);
        guest_restart(mailbox, serve_event, STUB_EVENT_INTERRUPTED);
    default:
        return_from_signal(mailbox, context);
    }
    /* Registers that the CPU refuses, when leaving; else the guest jumped in here. */
    if (!leaving) {
        store_registers(mailbox, context);
    }
    mailbox->signo = signo;
    mailbox->code = info->code;
    mailbox->addr = info->addr;
    mailbox->trapno = context->trapno;
    mailbox->err = context->err;
    mailbox->cr2 = context->cr2;
    load_xstate(context->fpstate);
    guest_restart(mailbox, serve_event, STUB_EVENT_FAULT);
}

void guest_signal(int signo, const struct signal_info *info, struct signal_context *context)
{
    /* The kernel put the frame on this thread's alternate stack, which tells the area even when
     * the guest has changed the gs base. */
    struct stub_mailbox *mailbox =
        (void *)((uintptr_t)__builtin_frame_address(0) & -(uintptr_t)STUB_AREA_SIZE);
    uint64_t gs_base = read_gs_base();
    if (gs_base != (uintptr_t)mailbox) {
        mailbox->regs.gs_base = gs_base;
        mailbox->gs_taken = 1;
        __asm__ volatile("wrgsbase %0" : : "r"(mailbox));
    }
    if (context->rip - STUB_TEXT < STUB_TEXT_MAX) {
        signal_in_stub(mailbox, signo, info, context);
    }
    uint32_t event = STUB_EVENT_FAULT;
    /* A SIGSYS that somebody sent swallows the one of a call at the same time: then the registers
     * look as the call left them. */
    if (signo == SIGSYS_ && (info->code == SYS_SECCOMP_ || context->rcx == context->rip)) {
        event = STUB_EVENT_SYSCALL;
        mailbox->call_arch = info->code == SYS_SECCOMP_ ? info->arch : 0;
    } else if (signo == SIGURG_) {
        event = STUB_EVENT_INTERRUPTED;
    } else if (info->code <= 0 || signo == SIGSYS_) {
        return_from_signal(mailbox, context); /* sent by somebody on the host */
    }
    store_registers(mailbox, context);
    mailbox->signo = signo;
    mailbox->code = info->code;
    mailbox->addr = info->addr;
    mailbox->trapno = context->trapno;
    mailbox->err = context->err;
    mailbox->cr2 = context->cr2;
    load_xstate(context->fpstate);
    guest_restart(mailbox, serve_event, event);
}
