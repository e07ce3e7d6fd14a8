/*
 * guest.c: what a guest thread of the trap and unotify engines does when it is not running guest
 * code: it posts its event in the mailbox, waits for its turn, and carries out what the sentry
 * asks.
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
#define ARCH_X86_64  0xc000003e /* AUDIT_ARCH_X86_64 */
#define EFLAGS_TF    0x100UL
#define EFAULT_      14
#define SCHED_YIELD_ 24

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

/*
 * Which arguments of a call point to what the sentry will read, so that they travel with the post.
 * A hint names an argument and what it points to; the sentry reads all else itself.
 */
#define HINT_STRING          1 /* up to STRING_MAX bytes */
#define HINT_BUFFER          2 /* as many bytes as the next argument says */
#define HINT_ARRAY8          3 /* as many times 8 bytes as the next argument says */
#define HINT_ARRAY16         4
#define HINT_BYTES(n)        ((n) / 8 + 8) /* 8, 16 … 184 */
#define HINT(kind, argument) ((kind) | (argument) << 5)
#define STRING_MAX           256
#define BUFFER_MAX           0x3000
#define CALLS                512

struct hints {
    uint8_t first, second;
};

static const struct hints hints[CALLS] = {
    [1] = {HINT(HINT_BUFFER, 1), 0},                         /* write */
    [2] = {HINT(HINT_STRING, 0), 0},                         /* open */
    [4] = {HINT(HINT_STRING, 0), 0},                         /* stat */
    [6] = {HINT(HINT_STRING, 0), 0},                         /* lstat */
    [7] = {HINT(HINT_ARRAY8, 0), 0},                         /* poll */
    [13] = {HINT(HINT_BYTES(32), 1), 0},                     /* rt_sigaction */
    [14] = {HINT(HINT_BYTES(8), 1), 0},                      /* rt_sigprocmask */
    [18] = {HINT(HINT_BUFFER, 1), 0},                        /* pwrite64 */
    [19] = {HINT(HINT_ARRAY16, 1), 0},                       /* readv */
    [20] = {HINT(HINT_ARRAY16, 1), 0},                       /* writev */
    [21] = {HINT(HINT_STRING, 0), 0},                        /* access */
    [35] = {HINT(HINT_BYTES(16), 0), 0},                     /* nanosleep */
    [44] = {HINT(HINT_BUFFER, 1), 0},                        /* sendto */
    [46] = {HINT(HINT_BYTES(56), 1), 0},                     /* sendmsg */
    [47] = {HINT(HINT_BYTES(56), 1), 0},                     /* recvmsg */
    [59] = {HINT(HINT_STRING, 0), 0},                        /* execve */
    [80] = {HINT(HINT_STRING, 0), 0},                        /* chdir */
    [82] = {HINT(HINT_STRING, 0), HINT(HINT_STRING, 1)},     /* rename */
    [83] = {HINT(HINT_STRING, 0), 0},                        /* mkdir */
    [84] = {HINT(HINT_STRING, 0), 0},                        /* rmdir */
    [85] = {HINT(HINT_STRING, 0), 0},                        /* creat */
    [86] = {HINT(HINT_STRING, 0), HINT(HINT_STRING, 1)},     /* link */
    [87] = {HINT(HINT_STRING, 0), 0},                        /* unlink */
    [88] = {HINT(HINT_STRING, 0), HINT(HINT_STRING, 1)},     /* symlink */
    [89] = {HINT(HINT_STRING, 0), 0},                        /* readlink */
    [90] = {HINT(HINT_STRING, 0), 0},                        /* chmod */
    [131] = {HINT(HINT_BYTES(24), 0), 0},                    /* sigaltstack */
    [191] = {HINT(HINT_STRING, 0), HINT(HINT_STRING, 1)},    /* getxattr */
    [192] = {HINT(HINT_STRING, 0), HINT(HINT_STRING, 1)},    /* lgetxattr */
    [202] = {HINT(HINT_BYTES(16), 3), 0},                    /* futex */
    [230] = {HINT(HINT_BYTES(16), 2), 0},                    /* clock_nanosleep */
    [233] = {HINT(HINT_BYTES(16), 3), 0},                    /* epoll_ctl */
    [257] = {HINT(HINT_STRING, 1), 0},                       /* openat */
    [258] = {HINT(HINT_STRING, 1), 0},                       /* mkdirat */
    [262] = {HINT(HINT_STRING, 1), 0},                       /* newfstatat */
    [263] = {HINT(HINT_STRING, 1), 0},                       /* unlinkat */
    [264] = {HINT(HINT_STRING, 1), HINT(HINT_STRING, 3)},    /* renameat */
    [267] = {HINT(HINT_STRING, 1), 0},                       /* readlinkat */
    [268] = {HINT(HINT_STRING, 1), 0},                       /* fchmodat */
    [269] = {HINT(HINT_STRING, 1), 0},                       /* faccessat */
    [271] = {HINT(HINT_ARRAY8, 0), HINT(HINT_BYTES(16), 2)}, /* ppoll */
    [280] = {HINT(HINT_STRING, 1), HINT(HINT_BYTES(32), 2)}, /* utimensat */
    [302] = {HINT(HINT_BYTES(16), 2), 0},                    /* prlimit64 */
    [316] = {HINT(HINT_STRING, 1), HINT(HINT_STRING, 3)},    /* renameat2 */
    [332] = {HINT(HINT_STRING, 1), 0},                       /* statx */
    [439] = {HINT(HINT_STRING, 1), 0},                       /* faccessat2 */
};

/* Which answer of the mailbox is a call's: enum platform_answer. */
const uint8_t guest_answers[STUB_ANSWERED_CALLS] = {
    [39] = PLATFORM_ANSWER_GETPID,   [102] = PLATFORM_ANSWER_GETUID,
    [104] = PLATFORM_ANSWER_GETGID,  [107] = PLATFORM_ANSWER_GETEUID,
    [108] = PLATFORM_ANSWER_GETEGID, [186] = PLATFORM_ANSWER_GETTID,
};

/* stub.S */
void guest_yield(void);
void guest_wait(_Atomic uint32_t *word, uint32_t value);
void guest_wake(_Atomic uint32_t *word);
_Noreturn void guest_exit(_Atomic uint32_t *word);
extern const char entry_stored[], answer_begin[], answer_left[], answer_end[];
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
    mailbox->order = event;
    if ((atomic_exchange(&mailbox->turn, STUB_TURN_SENTRY) & STUB_TURN_WAITER) != 0) {
        guest_wake(&mailbox->turn);
    }
    await_turn(mailbox);
}

/* Copies until a fault; returns how many bytes. */
static uint64_t copy_bytes(void *to, const void *from, uint64_t length)
{
    uint64_t left = length;
    __asm__ volatile("1: rep movsb\n"
                     "2:\n"
                     ".pushsection .fixups, \"a\"\n .long 1b, 2b\n .popsection"
                     : "+D"(to), "+S"(from), "+c"(left)
                     :
                     : "memory");
    return length - left;
}

/* Copies up to and with a NUL byte; returns how many bytes. */
static uint64_t copy_string(void *to, const void *from, uint64_t length)
{
    uint64_t left = length;
    uint8_t byte = 1;
    __asm__ volatile("1: movb (%[from]), %[byte]\n"
                     "   movb %[byte], (%[to])\n"
                     "   inc %[from]\n"
                     "   inc %[to]\n"
                     "   dec %[left]\n"
                     "   jz 2f\n"
                     "   test %[byte], %[byte]\n"
                     "   jnz 1b\n"
                     "2:\n"
                     ".pushsection .fixups, \"a\"\n .long 1b, 2b\n .popsection"
                     : [to] "+r"(to), [from] "+r"(from), [left] "+r"(left), [byte] "+q"(byte)
                     :
                     : "memory", "cc");
    return length - left;
}

static uint64_t argument(const struct stub_mailbox *regs, unsigned int index)
{
    switch (index) {
    case 0:
        return regs->rdi;
    case 1:
        return regs->rsi;
    case 2:
        return regs->rdx;
    case 3:
        return regs->r10;
    default:
        return regs->r8;
    }
}

static uint32_t copy_hinted(struct stub_mailbox *mailbox, struct stub_copy *copy, unsigned int hint,
                            uint32_t offset)
{
    unsigned int kind = hint & 31;
    uint64_t addr = argument(mailbox, hint >> 5);
    uint64_t count = argument(mailbox, (hint >> 5) + 1);
    void *to = (char *)mailbox + STUB_AREA_WINDOW + offset;
    uint64_t length = 0;
    copy->length = 0;
    if (addr < STUB_GUEST_MIN || addr >= STUB_AREAS) {
        return offset;
    }
    if (kind == HINT_STRING) {
        length = copy_string(to, (const void *)addr, STRING_MAX);
    } else {
        length = kind >= 8 ? 8 * (uint64_t)(kind - 8) : count;
        if (kind == HINT_ARRAY8 || kind == HINT_ARRAY16) {
            length = (uint32_t)count * (kind == HINT_ARRAY8 ? 8ULL : 16ULL);
        }
        if (length > BUFFER_MAX) {
            return offset;
        }
        length = copy_bytes(to, (const void *)addr, length);
    }
    copy->addr = addr;
    copy->offset = offset;
    copy->length = (uint32_t)length;
    return offset + (((uint32_t)length + 63) & ~63U);
}

static void copy_arguments(struct stub_mailbox *mailbox)
{
    uint64_t number = mailbox->rax;
    if (mailbox->in[0].length != 0) {
        mailbox->in[0].length = 0;
    }
    if (mailbox->in[1].length != 0) {
        mailbox->in[1].length = 0;
    }
    if (number >= CALLS || hints[number].first == 0) {
        return;
    }
    uint32_t offset = copy_hinted(mailbox, &mailbox->in[0], hints[number].first, 0);
    if (hints[number].second != 0) {
        copy_hinted(mailbox, &mailbox->in[1], hints[number].second, offset);
    }
}

static void copy_results(struct stub_mailbox *mailbox, uint32_t count)
{
    for (uint32_t i = 0; i < count && i < STUB_COPIES_OUT; i++) {
        const struct stub_copy *copy = &mailbox->out[i];
        uint64_t length = copy->length;
        if (copy_bytes((void *)copy->addr, (char *)mailbox + STUB_AREA_WINDOW + copy->offset,
                       length) != length) {
            mailbox->rax = (uint64_t)-EFAULT_;
        }
    }
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
    const struct stub_mailbox *regs = mailbox;
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

/* What a return from a system call leaves in rcx and r11: the sentry leaves it to the short way
 * back, and whoever cannot take that needs it in the mailbox. */
static void complete_return(struct stub_mailbox *mailbox, uint32_t order)
{
    if ((order & STUB_RESUME_FULL) == 0) {
        mailbox->rcx = mailbox->rip;
        mailbox->r11 = mailbox->eflags;
    }
}

static _Noreturn void resume(struct stub_mailbox *mailbox, uint32_t flags)
{
    uint32_t copies = flags >> STUB_RESUME_COPIES_SHIFT;
    if (copies != 0) {
        copy_results(mailbox, copies);
    }
    if ((flags & STUB_RESUME_XSTATE) != 0) {
        load_xstate((char *)mailbox + STUB_AREA_XSTATE);
    }
    if (mailbox->fs_base != read_fs_base()) {
        __asm__ volatile("1: wrfsbase %0\n"
                         "2:\n"
                         ".pushsection .fixups, \"a\"\n .long 1b, 2b\n .popsection"
                         :
                         : "r"(mailbox->fs_base));
    }
    if ((flags & STUB_RESUME_FULL) != 0 || mailbox->gs_taken != 0) {
        complete_return(mailbox, flags);
        load_registers(mailbox);
    }
    guest_return(mailbox);
}

/* Posts the event and obeys. The registers are in the mailbox but for fs_base. */
static _Noreturn void serve(struct stub_mailbox *mailbox, uint32_t event)
{
    uint64_t fs_base = read_fs_base();
    if (mailbox->fs_base != fs_base) {
        mailbox->fs_base = fs_base;
    }
    if (atomic_load_explicit(&mailbox->interrupted, memory_order_relaxed) != 0) {
        atomic_store_explicit(&mailbox->interrupted, 0, memory_order_relaxed);
    }
    for (;;) {
        post(mailbox, event);
        uint32_t order = mailbox->order;
        switch (order & STUB_ORDER_COMMAND) {
        case STUB_COMMAND_RESUME:
            resume(mailbox, order);
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
    if (mailbox->call_arch != 0) {
        mailbox->call_arch = 0;
    }
    if (mailbox->rax == SCHED_YIELD_ && mailbox->answers[PLATFORM_ANSWER_SCHED_YIELD] != 0) {
        guest_yield();
        mailbox->rax = 0;
        mailbox->order = STUB_COMMAND_RESUME;
        guest_return(mailbox);
    }
    copy_arguments(mailbox);
    serve(mailbox, STUB_EVENT_SYSCALL);
}

void guest_interrupted(struct stub_mailbox *mailbox)
{
    complete_return(mailbox, mailbox->order);
    serve(mailbox, STUB_EVENT_INTERRUPTED);
}

/* The entry of guest_restart: the guest's extended state is live again. */
static void serve_event(struct stub_mailbox *mailbox, uint64_t event)
{
    if (event == STUB_EVENT_SYSCALL) {
        copy_arguments(mailbox);
    }
    serve(mailbox, (uint32_t)event);
}

static void store_registers(struct stub_mailbox *mailbox, const struct signal_context *context)
{
    struct stub_mailbox *regs = mailbox;
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

/*
 * A rewritten call site could not be entered: the guest single-steps itself and has arrived at the
 * entry, or the area is not at the gs base. The registers are still those of the call.
 */
static _Noreturn void call_by_signal(struct stub_mailbox *mailbox, struct signal_context *context)
{
    context->rip = context->rcx;
    store_registers(mailbox, context);
    mailbox->call_arch = 0;
    load_xstate(context->fpstate);
    guest_restart(mailbox, serve_event, STUB_EVENT_SYSCALL);
}

/* Posts the event that the signal means; the registers are in the mailbox. */
static _Noreturn void post_signal(struct stub_mailbox *mailbox, int signo,
                                  const struct signal_info *info,
                                  const struct signal_context *context, uint32_t event)
{
    mailbox->signo = signo;
    mailbox->code = info->code;
    mailbox->addr = info->addr;
    mailbox->trapno = context->trapno;
    mailbox->err = context->err;
    mailbox->cr2 = context->cr2;
    load_xstate(context->fpstate);
    if (mailbox->keep_xstate == STUB_KEEP_XSTATE) {
        save_xstate(mailbox);
        mailbox->keep_xstate = STUB_KEPT_XSTATE;
    }
    guest_restart(mailbox, serve_event, event);
}

static bool is_at(const struct signal_context *context, const char *first, const char *end)
{
    return context->rip >= (uintptr_t)first && context->rip < (uintptr_t)end;
}

/* Interrupted while a call was being answered here: the guest is behind its call. */
static _Noreturn void finish_answer(struct stub_mailbox *mailbox,
                                    const struct signal_context *context)
{
    uint64_t rip = mailbox->rip;
    uint64_t rdi = mailbox->rdi;
    store_registers(mailbox, context);
    mailbox->rip = mailbox->rcx = rip;
    mailbox->rdi = rdi;
    mailbox->eflags = context->r11;
    if (!is_at(context, answer_left, answer_end)) {
        mailbox->rsp = context->rcx;
    }
    load_xstate(context->fpstate);
    guest_restart(mailbox, serve_event, STUB_EVENT_INTERRUPTED);
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
        if (is_at(context, (const char *)STUB_AT_ENTRY, entry_stored)) {
            call_by_signal(mailbox, context);
        }
        break;
    case SIGTRAP_:
        if ((context->eflags & EFLAGS_TF) != 0 && context->rip == STUB_AT_ENTRY) {
            call_by_signal(mailbox, context);
        }
        /* The guest jumped in here with the flag set. */
        if ((context->eflags & EFLAGS_TF) != 0 && !leaving) {
            context->eflags &= ~EFLAGS_TF;
            return_from_signal(mailbox, context);
        }
        break;
    case SIGURG_:
        if (is_at(context, answer_begin, answer_end)) {
            finish_answer(mailbox, context);
        }
        if (!leaving) {
            atomic_store(&mailbox->interrupted, 1);
            return_from_signal(mailbox, context);
        }
        /* The mailbox still holds all that was to be loaded. */
        complete_return(mailbox, mailbox->order);
        load_xstate(context->fpstate);
        guest_restart(mailbox, serve_event, STUB_EVENT_INTERRUPTED);
    case SIGILL_:
    case SIGFPE_:
        break;
    default:
        return_from_signal(mailbox, context);
    }
    /* Registers that the CPU refuses, when leaving; else the guest jumped in here. */
    if (leaving) {
        complete_return(mailbox, mailbox->order);
    } else {
        store_registers(mailbox, context);
    }
    post_signal(mailbox, signo, info, context, STUB_EVENT_FAULT);
}

void guest_signal(int signo, const struct signal_info *info, struct signal_context *context)
{
    /* The kernel put the frame on this thread's alternate stack, which tells the area even when
     * the guest has changed the gs base. */
    struct stub_mailbox *mailbox =
        (void *)((uintptr_t)__builtin_frame_address(0) & -(uintptr_t)STUB_AREA_SIZE);
    uint64_t gs_base = read_gs_base();
    if (gs_base != (uintptr_t)mailbox) {
        mailbox->gs_base = gs_base;
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
        mailbox->call_arch = info->code == SYS_SECCOMP_ ? info->arch : ARCH_X86_64;
    } else if (signo == SIGURG_) {
        event = STUB_EVENT_INTERRUPTED;
    } else if (info->code <= 0 || signo == SIGSYS_) {
        return_from_signal(mailbox, context); /* sent by somebody on the host */
    }
    store_registers(mailbox, context);
    post_signal(mailbox, signo, info, context, event);
}
