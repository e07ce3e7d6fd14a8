/* sys_ptrace.c: ptrace. Source: ptrace(2), Linux kernel/ptrace.c, arch/x86/kernel/ptrace.c. */
#include <asm/prctl.h>
#include <elf.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "platform/arch/registers.h"
#include "sentry/kernel/ptrace.h"
#include "syscalls/syscall.h"

#define REQUEST_SYSEMU            31
#define REQUEST_SYSEMU_SINGLESTEP 32
#define REQUEST_SYSCALL_INFO      0x420e
#define OPTIONS_MASK              (0xffU | PTRACE_O_EXITKILL)
#define OPTION_SUSPEND_SECCOMP    (1U << 21)
#define FXSAVE_SIZE               512
#define XSTATE_FEATURES_OFFSET    512
#define PEEK_CHUNK                8
#define INFO_ENTRY                1
#define INFO_EXIT                 2
#define INFO_SECCOMP              3

/* struct ptrace_syscall_info */
struct linux_call_info {
    uint8_t op, pad[3];
    uint32_t arch;
    uint64_t ip, sp;
    union {
        struct {
            uint64_t nr, args[6];
            uint32_t data;
        } entry;
        struct {
            int64_t result;
            uint8_t is_error;
        } exit;
    };
};

struct linux_peek_signals {
    uint64_t off;
    uint32_t flags;
    int32_t nr;
};

static long peek(struct task *target, uint64_t addr, uint64_t data)
{
    uint64_t word;
    if (ptrace_read_memory(target, addr, &word, sizeof(word)) != sizeof(word)) {
        return -EIO;
    }
    return copy_out(data, &word);
}

static long poke(struct task *target, uint64_t addr, uint64_t data)
{
    return ptrace_write_memory(target, addr, &data, sizeof(data)) == sizeof(data) ? 0 : -EIO;
}

static long peek_user(struct task *target, uint64_t addr, uint64_t data)
{
    uint64_t word;
    int result = ptrace_get_user(target, addr, &word);
    return result != 0 ? result : copy_out(data, &word);
}

static long set_registers(struct task *target, uint64_t data, size_t size)
{
    uint64_t words[sizeof(struct arch_regs) / sizeof(uint64_t)];
    int result = mm_copy_in(current.mm, data, words, size);
    for (size_t i = 0; i < size / sizeof(uint64_t) && result == 0; i++) {
        result = ptrace_set_user(target, i * sizeof(uint64_t), words[i]);
    }
    return result;
}

/* The extended state, of which a request shows or sets the first size bytes. */
static long get_extended(struct task *target, uint64_t data, size_t size)
{
    auto_free unsigned char *state = calloc(1, arch_xstate_size());
    int result = state ? ptrace_get_xstate(target, state, arch_xstate_size()) : -ENOMEM;
    if (result == 0 && size == FXSAVE_SIZE) {
        memset(state + 464, 0, 48); /* the mask belongs to the longer form */
    }
    return result != 0 ? result : mm_copy_out(current.mm, data, state, size);
}

static long set_extended(struct task *target, uint64_t data, size_t size)
{
    auto_free unsigned char *state = calloc(1, arch_xstate_size());
    if (!state) {
        return -ENOMEM;
    }
    int result = 0;
    if (size < arch_xstate_size()) {
        result = ptrace_get_xstate(target, state, arch_xstate_size());
    }
    result = result != 0 ? result : mm_copy_in(current.mm, data, state, size);
    if (result == 0 && size == FXSAVE_SIZE) {
        state[XSTATE_FEATURES_OFFSET] |= 3; /* x87 and SSE are no longer in the initial state */
    }
    return result != 0 ? result : ptrace_set_xstate(target, state, arch_xstate_size());
}

static long register_set(struct task *target, uint64_t type, uint64_t data, bool set)
{
    struct iovec iov;
    size_t whole;
    int result = copy_in(data, &iov);
    if (result != 0) {
        return result;
    }
    switch (type) {
    case NT_PRSTATUS:
        whole = sizeof(struct arch_regs);
        break;
    case NT_PRFPREG:
        whole = FXSAVE_SIZE;
        break;
    case NT_X86_XSTATE:
        whole = arch_xstate_size();
        break;
    default:
        return -EINVAL;
    }
    if (iov.iov_len % sizeof(uint64_t) != 0) {
        return -EINVAL;
    }
    uint64_t base = (uint64_t)(uintptr_t)iov.iov_base;
    size_t size = min_of(iov.iov_len, whole);
    long done;
    if (type == NT_PRSTATUS) {
        done = set ? set_registers(target, base, size)
                   : mm_copy_out(current.mm, base, &target->regs, size);
    } else if (set && type == NT_X86_XSTATE && size != whole) {
        done = -EFAULT;
    } else {
        done = set ? set_extended(target, base, size) : get_extended(target, base, size);
    }
    if (done != 0) {
        return done;
    }
    iov.iov_len = size;
    return mm_copy_out(current.mm, data + offsetof(struct iovec, iov_len), &iov.iov_len,
                       sizeof(iov.iov_len));
}

static long get_siginfo(struct task *target, uint64_t data)
{
    return target->ptrace.has_info ? copy_out(data, &target->ptrace.info) : -EINVAL;
}

static long set_siginfo(struct task *target, uint64_t data)
{
    siginfo_t info;
    int result = copy_in(data, &info);
    if (result == 0 && !target->ptrace.has_info) {
        result = -EINVAL;
    }
    if (result == 0) {
        target->ptrace.info = info;
    }
    return result;
}

static long peek_signals(struct task *target, uint64_t addr, uint64_t data)
{
    struct linux_peek_signals wanted;
    int result = copy_in(addr, &wanted);
    if (result != 0) {
        return result;
    }
    if ((wanted.flags & ~(uint32_t)PTRACE_PEEKSIGINFO_SHARED) != 0 || wanted.nr < 0) {
        return -EINVAL;
    }
    long done = 0;
    while (done < wanted.nr) {
        siginfo_t infos[PEEK_CHUNK];
        int count = ptrace_peek_signals(target, wanted.off + (uint64_t)done, wanted.flags & 1,
                                        infos, (int)min_of((long)PEEK_CHUNK, wanted.nr - done));
        for (int i = 0; i < count; i++) {
            if (copy_out(data, &infos[i]) != 0) {
                return done > 0 ? done : -EFAULT;
            }
            data += sizeof(infos[i]);
            done++;
        }
        if (count < PEEK_CHUNK) {
            break;
        }
    }
    return done;
}

static long get_mask(struct task *target, uint64_t size, uint64_t data)
{
    if (size != sizeof(uint64_t)) {
        return -EINVAL;
    }
    mutex_lock(&kernel_lock);
    uint64_t mask = target->restore_mask ? target->saved_mask : target->signal_mask;
    mutex_unlock(&kernel_lock);
    return copy_out(data, &mask);
}

static long set_mask(struct task *target, uint64_t size, uint64_t data)
{
    uint64_t mask;
    if (size != sizeof(mask)) {
        return -EINVAL;
    }
    int result = copy_in(data, &mask);
    if (result == 0) {
        mutex_lock(&kernel_lock);
        target->restore_mask = false;
        mutex_unlock(&kernel_lock);
        signal_set_mask(target, mask);
    }
    return result;
}

static long set_options(struct task *target, uint64_t data)
{
    if (data & ~(uint64_t)OPTIONS_MASK) {
        return -EINVAL;
    }
    mutex_lock(&kernel_lock);
    target->ptrace.options = (unsigned)data;
    mutex_unlock(&kernel_lock);
    return 0;
}

/* Linux: ptrace_get_syscall_info. */
static long call_info(struct task *target, uint64_t user_size, uint64_t data)
{
    const struct arch_regs *regs = &target->regs;
    const struct ptrace_state *state = &target->ptrace;
    struct linux_call_info info;
    size_t size = offsetof(struct linux_call_info, entry);
    memset(&info, 0, sizeof(info));
    info.arch = AUDIT_ARCH_X86_64;
    info.ip = regs->rip;
    info.sp = regs->rsp;
    int code = state->has_info ? state->info.si_code : 0;
    if (code == (SIGTRAP | 0x80) && state->message == INFO_ENTRY) {
        info.op = INFO_ENTRY;
        size = offsetof(struct linux_call_info, entry.data);
    } else if (code == (SIGTRAP | 0x80) && state->message == INFO_EXIT) {
        info.op = INFO_EXIT;
        info.exit.result = (int64_t)regs->rax;
        info.exit.is_error = regs->rax >= (uint64_t)-4095;
        size = offsetof(struct linux_call_info, exit.is_error) + sizeof(info.exit.is_error);
    } else if (code == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8)) {
        info.op = INFO_SECCOMP;
        info.entry.data = (uint32_t)state->message;
        size = offsetof(struct linux_call_info, entry.data) + sizeof(info.entry.data);
    }
    if (info.op == INFO_ENTRY || info.op == INFO_SECCOMP) {
        const uint64_t args[] = {regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9};
        info.entry.nr = regs->orig_rax;
        memcpy(info.entry.args, args, sizeof(args));
    }
    int result = mm_copy_out(current.mm, data, &info, min_of((uint64_t)size, user_size));
    return result != 0 ? result : (long)size;
}

static long change_base(struct task *target, uint64_t code, uint64_t addr)
{
    const uint64_t fs = offsetof(struct arch_regs, fs_base);
    const uint64_t gs = offsetof(struct arch_regs, gs_base);
    switch (code) {
    case ARCH_SET_FS:
        return ptrace_set_user(target, fs, addr) == 0 ? 0 : -EPERM;
    case ARCH_SET_GS:
        return ptrace_set_user(target, gs, addr) == 0 ? 0 : -EPERM;
    case ARCH_GET_FS:
        return peek_user(target, fs, addr);
    case ARCH_GET_GS:
        return peek_user(target, gs, addr);
    default:
        return -EINVAL;
    }
}

/* Requests after which the tracee is still stopped. */
static long inspect(struct task *target, int request, uint64_t addr, uint64_t data)
{
    switch (request) {
    case PTRACE_PEEKTEXT:
    case PTRACE_PEEKDATA:
        return peek(target, addr, data);
    case PTRACE_POKETEXT:
    case PTRACE_POKEDATA:
        return poke(target, addr, data);
    case PTRACE_PEEKUSER:
        return peek_user(target, addr, data);
    case PTRACE_POKEUSER:
        return ptrace_set_user(target, addr, data);
    case PTRACE_GETREGS:
        return copy_out(data, &target->regs);
    case PTRACE_SETREGS:
        return set_registers(target, data, sizeof(struct arch_regs));
    case PTRACE_GETFPREGS:
        return get_extended(target, data, FXSAVE_SIZE);
    case PTRACE_SETFPREGS:
        return set_extended(target, data, FXSAVE_SIZE);
    case PTRACE_GETREGSET:
        return register_set(target, addr, data, false);
    case PTRACE_SETREGSET:
        return register_set(target, addr, data, true);
    case PTRACE_GETSIGINFO:
        return get_siginfo(target, data);
    case PTRACE_SETSIGINFO:
        return set_siginfo(target, data);
    case PTRACE_PEEKSIGINFO:
        return peek_signals(target, addr, data);
    case PTRACE_GETSIGMASK:
        return get_mask(target, addr, data);
    case PTRACE_SETSIGMASK:
        return set_mask(target, addr, data);
    case PTRACE_SETOPTIONS:
    case 21: /* PTRACE_OLDSETOPTIONS */
        return set_options(target, data);
    case PTRACE_GETEVENTMSG:
        return copy_out(data, &target->ptrace.message);
    case REQUEST_SYSCALL_INFO:
        return call_info(target, addr, data);
    case PTRACE_ARCH_PRCTL:
        return change_base(target, data, addr);
    default:
        return -EIO;
    }
}

/* How a request resumes the tracee, or -1. */
static int resume_mode(int request)
{
    switch (request) {
    case PTRACE_CONT:
        return 0;
    case PTRACE_SYSCALL:
        return PTRACE_MODE_CALLS;
    case PTRACE_SINGLESTEP:
        return PTRACE_MODE_STEP;
    case REQUEST_SYSEMU:
        return PTRACE_MODE_EMULATE;
    case REQUEST_SYSEMU_SINGLESTEP:
        return PTRACE_MODE_EMULATE | PTRACE_MODE_STEP;
    default:
        return -1;
    }
}

/* A request to a stopped tracee. */
static long control(struct task *task, struct task *target, int request, uint64_t addr,
                    uint64_t data)
{
    int result = ptrace_freeze(task, target);
    if (result != 0) {
        return result;
    }
    int mode = resume_mode(request);
    if (mode >= 0 || request == PTRACE_DETACH) {
        if (data > SIGNAL_COUNT) {
            result = -EIO;
        } else if (request == PTRACE_DETACH) {
            ptrace_detach(target, (int)data);
            return 0;
        } else {
            ptrace_resume(target, (unsigned)mode, (int)data);
            return 0;
        }
    } else if (request == PTRACE_LISTEN) {
        return ptrace_listen(target);
    } else {
        long done = inspect(target, request, addr, data);
        ptrace_thaw(target);
        return done;
    }
    ptrace_thaw(target);
    return result;
}

static long attach(struct task *task, struct task *target, int request, uint64_t addr,
                   uint64_t data)
{
    bool seize = request == PTRACE_SEIZE;
    if (seize && (addr != 0 || (data & ~(uint64_t)(OPTIONS_MASK | OPTION_SUSPEND_SECCOMP)) != 0)) {
        return -EIO;
    }
    if (seize && (data & OPTION_SUSPEND_SECCOMP) != 0) {
        return -EINVAL; /* Linux: without CONFIG_CHECKPOINT_RESTORE */
    }
    return ptrace_attach(task, target, seize, seize ? (unsigned)data : 0);
}

long sys_ptrace(struct task *task, const struct syscall_args *args)
{
    int request = (int)args->arg[0];
    uint64_t addr = args->arg[2];
    uint64_t data = args->arg[3];
    if (request == PTRACE_TRACEME) {
        return ptrace_traceme(task);
    }
    struct task *target = task_find(arg_int(args, 1));
    if (!target) {
        return -ESRCH;
    }
    long result;
    switch (request) {
    case PTRACE_ATTACH:
    case PTRACE_SEIZE:
        result = attach(task, target, request, addr, data);
        break;
    case PTRACE_KILL:
        result = ptrace_kill(task, target);
        break;
    case PTRACE_INTERRUPT:
        result = ptrace_interrupt(task, target);
        break;
    default:
        result = control(task, target, request, addr, data);
        break;
    }
    task_unref(target);
    return result;
}
