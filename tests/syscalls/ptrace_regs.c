/*
 * ptrace_regs.c: registers, extended state, signal information and memory of a stopped task.
 */
#include "tests/syscalls/ptrace_test.h"

#include <asm/prctl.h>
#include <elf.h>
#include <linux/audit.h>
#include <stddef.h>
#include <sys/mman.h>

#define USER_SIZE   928L /* of the kernel's struct user */
#define USER(field) ((void *)offsetof(struct user, field))

static void loads_registers(void)
{
    __asm__ volatile("mov $0x1111, %%rbx\n mov $0x2222, %%r12\n mov $0x3333, %%r15\n"
                     "movq %%r15, %%xmm3\n int3\n"
                     "movq %%xmm3, %%rdi\n add %%rbx, %%rdi\n mov $60, %%eax\n syscall\n"
                     :
                     :
                     : "rbx", "r12", "r15", "rdi", "rax", "rcx", "r11", "xmm3", "memory");
}

static pid_t at_breakpoint(void)
{
    pid_t pid = traced_child(loads_registers, PTRACE_O_TRACESYSGOOD);
    resume(pid, PTRACE_CONT, 0);
    CHECK_STOP(next_stop(pid), SIGTRAP);
    return pid;
}

TEST_CASE(general_registers)
{
    struct user_regs_struct regs;
    struct user_regs_struct again;
    pid_t pid = at_breakpoint();
    CHECK_OK(ptrace(PTRACE_GETREGS, pid, NULL, &regs));
    CHECK_EQ(regs.rbx, 0x1111);
    CHECK_EQ(regs.r12, 0x2222);
    CHECK_EQ(regs.r15, 0x3333);
    CHECK_EQ((long)regs.orig_rax, -1);
    CHECK_EQ(regs.cs, 0x33);
    CHECK_EQ(regs.ss, 0x2b);
    errno = 0;
    CHECK_EQ(ptrace(PTRACE_PEEKUSER, pid, USER(regs.rip), NULL), (long)regs.rip);
    CHECK_EQ(ptrace(PTRACE_PEEKTEXT, pid, (void *)(regs.rip - 1), NULL) & 0xff, 0xcc);
    CHECK_ERRNO(ptrace(PTRACE_PEEKUSER, pid, (void *)3, NULL), EIO);
    CHECK_ERRNO(ptrace(PTRACE_PEEKUSER, pid, (void *)USER_SIZE, NULL), EIO);
    CHECK_ERRNO(ptrace(PTRACE_POKEUSER, pid, (void *)USER_SIZE, NULL), EIO);
    CHECK_ERRNO(ptrace(PTRACE_POKEUSER, pid, USER(regs.cs), NULL), EIO);
    CHECK_ERRNO(ptrace(PTRACE_POKEUSER, pid, USER(regs.fs_base), (void *)(1UL << 63)), EIO);
    CHECK_ERRNO(ptrace(PTRACE_GETREGS, pid, NULL, guest_bad()), EFAULT);
    CHECK_OK(ptrace(PTRACE_POKEUSER, pid, USER(regs.rbx), (void *)2L));
    regs.rbx = 2;
    struct iovec iov = {&again, sizeof(again)};
    CHECK_OK(ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &iov));
    CHECK_EQ(iov.iov_len, sizeof(again));
    CHECK_EQ(memcmp(&again, &regs, sizeof(regs)), 0);
    iov.iov_len = 4096;
    CHECK_OK(ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &iov));
    CHECK_EQ(iov.iov_len, sizeof(again));
    iov.iov_len = 12;
    CHECK_ERRNO(ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &iov), EINVAL);
    CHECK_ERRNO(ptrace(PTRACE_GETREGSET, pid, (void *)0x7777, &iov), EINVAL);
    resume(pid, PTRACE_CONT, 0);
    CHECK_CHILD_EXIT(pid, 0x35);
}

TEST_CASE(flags_that_may_not_change)
{
    struct user_regs_struct regs;
    struct user_regs_struct again;
    pid_t pid = at_breakpoint();
    CHECK_OK(ptrace(PTRACE_GETREGS, pid, NULL, &regs));
    again = regs;
    again.eflags = (regs.eflags & ~0x200UL) | 0x3000 | 0x400; /* not IF, IOPL, but DF */
    CHECK_OK(ptrace(PTRACE_SETREGS, pid, NULL, &again));
    CHECK_OK(ptrace(PTRACE_GETREGS, pid, NULL, &again));
    CHECK_EQ(again.eflags, regs.eflags | 0x400);
    end_child(pid);
}

TEST_CASE(fpu_registers)
{
    struct user_fpregs_struct fp;
    struct user_fpregs_struct again;
    static unsigned char state[16384];
    pid_t pid = at_breakpoint();
    CHECK_OK(ptrace(PTRACE_GETFPREGS, pid, NULL, &fp));
    CHECK_EQ(fp.xmm_space[12], 0x3333);
    struct iovec iov = {&again, sizeof(again)};
    CHECK_OK(ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRFPREG, &iov));
    CHECK_EQ(iov.iov_len, sizeof(again));
    CHECK_EQ(again.xmm_space[12], 0x3333);
    iov = (struct iovec){state, sizeof(state)};
    CHECK_OK(ptrace(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &iov));
    CHECK(iov.iov_len >= 576 && iov.iov_len < sizeof(state));
    uint64_t features;
    memcpy(&features, state + 464, sizeof(features));
    CHECK_EQ(features & 3, 3);
    uint32_t word = 0x30;
    memcpy(state + 160 + 48, &word, sizeof(word));
    CHECK_OK(ptrace(PTRACE_SETREGSET, pid, (void *)NT_X86_XSTATE, &iov));
    CHECK_OK(ptrace(PTRACE_GETFPREGS, pid, NULL, &fp));
    CHECK_EQ(fp.xmm_space[12], 0x30);
    fp.mxcsr = 0xffffffff;
    CHECK_ERRNO(ptrace(PTRACE_SETFPREGS, pid, NULL, &fp), EINVAL);
    fp.mxcsr = 0x1f80;
    fp.xmm_space[12] = 0x20;
    CHECK_OK(ptrace(PTRACE_SETFPREGS, pid, NULL, &fp));
    CHECK_OK(ptrace(PTRACE_POKEUSER, pid, USER(regs.rbx), (void *)1L));
    resume(pid, PTRACE_CONT, 0);
    CHECK_CHILD_EXIT(pid, 0x21);
}

TEST_CASE(bases)
{
    unsigned long fs = 0;
    pid_t pid = at_breakpoint();
    CHECK_OK(ptrace((enum __ptrace_request)30, pid, &fs, (void *)ARCH_GET_FS));
    errno = 0;
    CHECK_EQ(ptrace(PTRACE_PEEKUSER, pid, USER(regs.fs_base), NULL), (long)fs);
    CHECK(fs != 0);
    CHECK_OK(ptrace((enum __ptrace_request)30, pid, (void *)0x1000, (void *)ARCH_SET_GS));
    CHECK_EQ(ptrace(PTRACE_PEEKUSER, pid, USER(regs.gs_base), NULL), 0x1000);
    end_child(pid);
}

TEST_CASE(debug_registers)
{
    pid_t pid = at_breakpoint();
    errno = 0;
    CHECK_EQ(ptrace(PTRACE_PEEKUSER, pid, USER(u_debugreg[0]), NULL), 0);
    CHECK_EQ(ptrace(PTRACE_PEEKUSER, pid, USER(u_debugreg[7]), NULL), 0);
    CHECK_EQ(errno, 0);
    CHECK_OK(ptrace(PTRACE_POKEUSER, pid, USER(u_debugreg[7]), NULL));
    CHECK_ERRNO(ptrace(PTRACE_POKEUSER, pid, USER(u_debugreg[4]), NULL), EIO);
    end_child(pid);
}

TEST_CASE(signal_information)
{
    siginfo_t info;
    pid_t pid = at_breakpoint();
    CHECK_OK(ptrace(PTRACE_GETSIGINFO, pid, NULL, &info));
    CHECK_EQ(info.si_signo, SIGTRAP);
    CHECK_EQ(info.si_code, SI_KERNEL);
    union sigval value = {.sival_int = 77};
    CHECK_OK(sigqueue(pid, SIGRTMIN, value));
    CHECK_OK(sigqueue(pid, SIGRTMIN + 1, value));
    siginfo_t infos[4];
    struct __ptrace_peeksiginfo_args args = {0, PTRACE_PEEKSIGINFO_SHARED, 4};
    CHECK_EQ(ptrace(PTRACE_PEEKSIGINFO, pid, &args, infos), 2);
    CHECK_EQ(infos[0].si_signo, SIGRTMIN);
    CHECK_EQ(infos[1].si_signo, SIGRTMIN + 1);
    CHECK_EQ(infos[1].si_value.sival_int, 77);
    args = (struct __ptrace_peeksiginfo_args){1, PTRACE_PEEKSIGINFO_SHARED, 4};
    CHECK_EQ(ptrace(PTRACE_PEEKSIGINFO, pid, &args, infos), 1);
    args.flags = 8;
    CHECK_ERRNO(ptrace(PTRACE_PEEKSIGINFO, pid, &args, infos), EINVAL);
    args = (struct __ptrace_peeksiginfo_args){0, 0, -1};
    CHECK_ERRNO(ptrace(PTRACE_PEEKSIGINFO, pid, &args, infos), EINVAL);
    end_child(pid);
}

static volatile int got_signal, got_value;

static void on_signal(int signo, siginfo_t *info, void *context)
{
    (void)context;
    got_signal = signo;
    got_value = info->si_value.sival_int;
}

static void handles(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    _exit(got_signal == SIGUSR1 ? got_value : 255);
}

TEST_CASE(information_is_replaced)
{
    siginfo_t info;
    pid_t pid = traced_child(handles, 0);
    resume(pid, PTRACE_CONT, 0);
    CHECK_STOP(next_stop(pid), SIGUSR1);
    CHECK_OK(ptrace(PTRACE_GETSIGINFO, pid, NULL, &info));
    CHECK_EQ(info.si_code, SI_TKILL);
    CHECK_EQ(info.si_pid, pid);
    info.si_value.sival_int = 44;
    CHECK_OK(ptrace(PTRACE_SETSIGINFO, pid, NULL, &info));
    resume(pid, PTRACE_CONT, SIGUSR1);
    CHECK_CHILD_EXIT(pid, 44);
}

TEST_CASE(signal_masks)
{
    uint64_t mask = 0;
    pid_t pid = traced_child(loop_forever, 0);
    CHECK_ERRNO(ptrace(PTRACE_GETSIGMASK, pid, (void *)4, &mask), EINVAL);
    mask = 1UL << (SIGTERM - 1) | 1UL << (SIGKILL - 1);
    CHECK_OK(ptrace(PTRACE_SETSIGMASK, pid, (void *)8, &mask));
    CHECK_OK(ptrace(PTRACE_GETSIGMASK, pid, (void *)8, &mask));
    CHECK_EQ(mask, 1UL << (SIGTERM - 1));
    CHECK_OK(kill(pid, SIGTERM));
    resume(pid, PTRACE_CONT, 0);
    guest_sleep_ms(20);
    CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
    end_child(pid);
}

static char *read_only;

TEST_CASE(memory_that_is_read_only)
{
    read_only = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(read_only != MAP_FAILED);
    pid_t pid = traced_child(loop_forever, 0);
    CHECK_OK(ptrace(PTRACE_POKEDATA, pid, read_only + 8, (void *)0x1234L));
    errno = 0;
    CHECK_EQ(ptrace(PTRACE_PEEKDATA, pid, read_only + 8, NULL), 0x1234);
    CHECK_EQ(read_only[8], 0);
    /* across the end of what is mapped */
    CHECK_OK(munmap(read_only, 4096));
    CHECK_ERRNO(ptrace(PTRACE_PEEKDATA, pid, guest_bad(), NULL), EIO);
    CHECK_ERRNO(ptrace(PTRACE_POKEDATA, pid, guest_bad(), NULL), EIO);
    CHECK_ERRNO(ptrace((enum __ptrace_request)0x999, pid, NULL, NULL), EIO);
    CHECK_ERRNO(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)0x40000000L), EINVAL);
    CHECK_ERRNO(ptrace(PTRACE_CONT, pid, NULL, (void *)65L), EIO);
    end_child(pid);
}

static void calls(void)
{
    syscall(SYS_lseek, 1000, 2, 3, 4, 5, 6);
    _exit(0);
}

/* struct ptrace_syscall_info of the kernel, which libc's headers may lack. */
struct call_info {
    uint8_t op, pad[3];
    uint32_t arch;
    uint64_t ip, sp;
    union {
        struct {
            uint64_t nr, args[6];
        } entry;
        struct {
            int64_t rval;
            uint8_t is_error;
        } exit;
    };
};

TEST_CASE(call_information)
{
    struct call_info info;
    pid_t pid = traced_child(calls, PTRACE_O_TRACESYSGOOD);
    CHECK_EQ(ptrace((enum __ptrace_request)0x420e, pid, (void *)sizeof(info), &info), 24);
    CHECK_EQ(info.op, 0);
    do {
        resume(pid, PTRACE_SYSCALL, 0);
        CHECK_STOP(next_stop(pid), SIGTRAP | 0x80);
        CHECK_OK(ptrace((enum __ptrace_request)0x420e, pid, (void *)sizeof(info), &info));
    } while (info.op != 1 || info.entry.nr != SYS_lseek);
    CHECK_EQ(info.arch, AUDIT_ARCH_X86_64);
    CHECK_EQ(info.entry.args[0], 1000);
    CHECK_EQ(info.entry.args[5], 6);
    resume(pid, PTRACE_SYSCALL, 0);
    CHECK_STOP(next_stop(pid), SIGTRAP | 0x80);
    CHECK_EQ(ptrace((enum __ptrace_request)0x420e, pid, (void *)sizeof(info), &info), 33);
    CHECK_EQ(info.op, 2);
    CHECK_EQ(info.exit.rval, -EBADF);
    CHECK_EQ(info.exit.is_error, 1);
    end_child(pid);
}
