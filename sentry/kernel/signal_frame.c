/*
 * signal_frame.c: the frame that a handler finds on its stack, and rt_sigreturn.
 *
 * Layout and rules: Linux arch/x86/kernel/signal_64.c, arch/x86/include/uapi/asm/sigcontext.h,
 * arch/x86/kernel/fpu/signal.c. Everything read back from the guest is checked or masked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/signal_sets.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"

#define RED_ZONE             128
#define FXSAVE_SIZE          512
#define SOFTWARE_OFFSET      464 /* struct _fpx_sw_bytes within the FXSAVE image */
#define XSTATE_HEADER        64
#define UC_FP_XSTATE         1
#define UC_SIGCONTEXT_SS     2
#define UC_STRICT_RESTORE_SS 4
#define SS_AUTODISARM_FLAG   (1U << 31)

struct guest_sigcontext {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip;
    uint64_t eflags;
    uint16_t cs, gs, fs, ss;
    uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
};

struct guest_ucontext {
    uint64_t flags, link;
    uint64_t stack_addr;
    uint32_t stack_flags, stack_pad;
    uint64_t stack_size;
    struct guest_sigcontext context;
    uint64_t mask;
};

struct guest_frame {
    uint64_t return_address;
    struct guest_ucontext ucontext;
    siginfo_t info;
};

static bool on_altstack(const struct task *task, uint64_t sp)
{
    return !(task->altstack_flags & SS_AUTODISARM_FLAG) && task->altstack_size != 0 &&
           sp > task->altstack_addr && sp - task->altstack_addr <= task->altstack_size;
}

static uint64_t choose_stack(const struct task *task, const struct linux_sigaction *action)
{
    uint64_t sp = task->regs.rsp - RED_ZONE;
    if ((action->flags & SA_ONSTACK) && task->altstack_size != 0 &&
        !on_altstack(task, task->regs.rsp)) {
        sp = task->altstack_addr + task->altstack_size;
    }
    return sp;
}

static void fill_context(struct task *task, struct guest_sigcontext *context, uint64_t mask)
{
    const struct arch_regs *regs = &task->regs;
    *context = (struct guest_sigcontext){
        .r8 = regs->r8,
        .r9 = regs->r9,
        .r10 = regs->r10,
        .r11 = regs->r11,
        .r12 = regs->r12,
        .r13 = regs->r13,
        .r14 = regs->r14,
        .r15 = regs->r15,
        .rdi = regs->rdi,
        .rsi = regs->rsi,
        .rbp = regs->rbp,
        .rbx = regs->rbx,
        .rdx = regs->rdx,
        .rax = regs->rax,
        .rcx = regs->rcx,
        .rsp = regs->rsp,
        .rip = regs->rip,
        .eflags = regs->eflags,
        .cs = ARCH_USER_CS,
        .ss = ARCH_USER_DS,
        .err = task->fault_error,
        .trapno = task->fault_trapno,
        .oldmask = mask,
        .cr2 = task->fault_cr2,
    };
}

/* Writes the extended state below sp; returns its address, 0 on failure. */
static uint64_t push_xstate(struct task *task, uint64_t sp, uint64_t *ret_sp)
{
    size_t size = arch_xstate_size();
    auto_free unsigned char *state = calloc(1, size + sizeof(uint32_t));
    if (!state) {
        return 0;
    }
    ssize_t got = kernel.platform_ops->thread_get_xstate(task->platform_thread, state, size);
    if (got < FXSAVE_SIZE) {
        return 0;
    }
    struct _fpx_sw_bytes software = {
        .magic1 = FP_XSTATE_MAGIC1,
        .extended_size = (uint32_t)size + sizeof(uint32_t),
        .xstate_bv = arch_xstate_features(),
        .xstate_size = (uint32_t)size,
    };
    memcpy(state + SOFTWARE_OFFSET, &software, sizeof(software));
    uint32_t magic2 = FP_XSTATE_MAGIC2;
    memcpy(state + size, &magic2, sizeof(magic2));
    uint64_t addr = (sp - (size + sizeof(magic2))) & ~63ULL;
    if (mm_copy_out(task->mm, addr, state, size + sizeof(magic2)) != 0) {
        return 0;
    }
    *ret_sp = addr;
    return addr;
}

int signal_frame_push(struct task *task, const struct linux_sigaction *action,
                      const siginfo_t *info, uint64_t saved_mask)
{
    task_complete_registers(task);
    uint64_t sp = choose_stack(task, action);
    bool was_on_altstack = on_altstack(task, task->regs.rsp);
    uint64_t fpstate = push_xstate(task, sp, &sp);
    if (fpstate == 0) {
        return -EFAULT;
    }
    struct guest_frame frame;
    memset(&frame, 0, sizeof(frame));
    uint64_t addr = ((sp - sizeof(frame)) & ~15ULL) - 8;
    if (was_on_altstack && !on_altstack(task, addr)) {
        return -EFAULT; /* Linux: overflow of the alternate stack */
    }
    if (!(action->flags & 0x04000000)) { /* SA_RESTORER is required on x86-64 */
        return -EFAULT;
    }
    frame.return_address = action->restorer;
    frame.ucontext.flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
    frame.ucontext.stack_addr = task->altstack_addr;
    frame.ucontext.stack_size = task->altstack_size;
    frame.ucontext.stack_flags = task->altstack_size == 0 ? (uint32_t)SS_DISABLE
                                 : was_on_altstack        ? (uint32_t)SS_ONSTACK
                                                          : 0U;
    if (task->altstack_flags & SS_AUTODISARM_FLAG) {
        frame.ucontext.stack_flags |= SS_AUTODISARM_FLAG;
    }
    fill_context(task, &frame.ucontext.context, saved_mask);
    frame.ucontext.context.fpstate = fpstate;
    frame.ucontext.mask = saved_mask;
    frame.info = *info;
    if (mm_copy_out(task->mm, addr, &frame, sizeof(frame)) != 0) {
        return -EFAULT;
    }
    if (task->altstack_flags & SS_AUTODISARM_FLAG) {
        task->altstack_addr = task->altstack_size = 0;
        task->altstack_flags = SS_DISABLE;
    }
    struct arch_regs *regs = &task->regs;
    regs->rdi = (uint64_t)info->si_signo;
    regs->rsi = addr + offsetof(struct guest_frame, info);
    regs->rdx = addr + offsetof(struct guest_frame, ucontext);
    regs->rax = 0;
    regs->rsp = addr;
    regs->rip = action->handler;
    regs->cs = ARCH_USER_CS; /* Linux: x64_setup_rt_frame() */
    regs->eflags &= ~(ARCH_EFLAGS_DF | ARCH_EFLAGS_RF | ARCH_EFLAGS_TF);
    regs->orig_rax = UINT64_MAX;
    return 0;
}

/* Loads the extended state of a frame; a frame without the magic words carries FXSAVE only. */
static int pop_xstate(struct task *task, uint64_t addr)
{
    size_t size = arch_xstate_size();
    auto_free unsigned char *state = calloc(1, size);
    if (!state) {
        return -EFAULT;
    }
    if (addr == 0) { /* Linux: fpu__clear_user_states: back to the initial state */
        uint16_t control = 0x37f;
        uint32_t mxcsr = 0x1f80;
        memcpy(state, &control, sizeof(control));
        memcpy(state + 24, &mxcsr, sizeof(mxcsr));
        return kernel.platform_ops->thread_set_xstate(task->platform_thread, state, size);
    }
    if (addr & 63 || mm_copy_in(task->mm, addr, state, FXSAVE_SIZE) != 0) {
        return -EFAULT;
    }
    struct _fpx_sw_bytes software;
    memcpy(&software, state + SOFTWARE_OFFSET, sizeof(software));
    bool extended = software.magic1 == FP_XSTATE_MAGIC1 && software.xstate_size == size &&
                    software.extended_size == size + sizeof(uint32_t);
    uint64_t features = 3; /* x87 and SSE */
    if (extended) {
        uint32_t magic2 = 0;
        if (mm_copy_in(task->mm, addr + size, &magic2, sizeof(magic2)) != 0) {
            return -EFAULT;
        }
        extended = magic2 == FP_XSTATE_MAGIC2;
    }
    if (extended) {
        if (mm_copy_in(task->mm, addr + FXSAVE_SIZE, state + FXSAVE_SIZE, size - FXSAVE_SIZE) !=
            0) {
            return -EFAULT;
        }
        memcpy(&features, state + FXSAVE_SIZE, sizeof(features));
        features &= software.xstate_bv & arch_xstate_features();
        memset(state + FXSAVE_SIZE, 0, XSTATE_HEADER);
    }
    memcpy(state + FXSAVE_SIZE, &features, sizeof(features));
    memset(state + SOFTWARE_OFFSET, 0, sizeof(software));
    uint32_t mxcsr;
    memcpy(&mxcsr, state + 24, sizeof(mxcsr));
    mxcsr &= 0xffff;
    memcpy(state + 24, &mxcsr, sizeof(mxcsr));
    int result = kernel.platform_ops->thread_set_xstate(task->platform_thread, state, size);
    return result == 0 ? 0 : -EFAULT;
}

int signal_frame_pop(struct task *task)
{
    struct guest_ucontext ucontext;
    task_complete_registers(task);
    uint64_t frame = task->regs.rsp - 8;
    if (mm_copy_in(task->mm, frame + offsetof(struct guest_frame, ucontext), &ucontext,
                   sizeof(ucontext)) != 0) {
        return -EFAULT;
    }
    const struct guest_sigcontext *context = &ucontext.context;
    struct arch_regs *regs = &task->regs;
    if (context->rip >= PLATFORM_GUEST_MAX || pop_xstate(task, context->fpstate) != 0) {
        return -EFAULT;
    }
    regs->r8 = context->r8;
    regs->r9 = context->r9;
    regs->r10 = context->r10;
    regs->r11 = context->r11;
    regs->r12 = context->r12;
    regs->r13 = context->r13;
    regs->r14 = context->r14;
    regs->r15 = context->r15;
    regs->rdi = context->rdi;
    regs->rsi = context->rsi;
    regs->rbp = context->rbp;
    regs->rbx = context->rbx;
    regs->rdx = context->rdx;
    regs->rax = context->rax;
    regs->rcx = context->rcx;
    regs->rsp = context->rsp;
    regs->rip = context->rip;
    regs->eflags = (regs->eflags & ~ARCH_USER_EFLAGS) | (context->eflags & ARCH_USER_EFLAGS);
    regs->orig_rax = UINT64_MAX;
    signal_set_mask(task, ucontext.mask);
    /* Linux: restore_altstack; a refused setting is ignored. */
    uint32_t flags = ucontext.stack_flags & ~(uint32_t)SS_ONSTACK;
    if (!on_altstack(task, regs->rsp)) {
        if (flags & SS_DISABLE) {
            task->altstack_addr = task->altstack_size = 0;
            task->altstack_flags = SS_DISABLE;
        } else if (ucontext.stack_size >= 2048) {
            task->altstack_addr = ucontext.stack_addr;
            task->altstack_size = ucontext.stack_size;
            task->altstack_flags = flags & SS_AUTODISARM_FLAG;
        }
    }
    return 0;
}
