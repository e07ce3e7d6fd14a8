/*
 * signal_context.c: handlers that read and change the interrupted context.
 */
#include "tests/syscalls/guest_test.h"

#include <ucontext.h>

static void skip_ud2(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    (void)sig;
    (void)info;
    uc->uc_mcontext.gregs[REG_RIP] += 2;
    uc->uc_mcontext.gregs[REG_RAX] = 0x1234;
}

TEST_CASE(skip_an_instruction_and_set_a_register)
{
    unsigned long result = 0;
    guest_handle_info(SIGILL, skip_ud2, 0);
    __asm__ volatile("ud2" : "=a"(result) : "a"(0));
    CHECK_EQ(result, 0x1234);
}

static volatile greg_t seen[23];

static void copy_registers(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    (void)sig;
    (void)info;
    for (int i = 0; i < 23; i++) {
        seen[i] = uc->uc_mcontext.gregs[i];
    }
    uc->uc_mcontext.gregs[REG_RIP] += 2;
}

TEST_CASE(all_registers_arrive_and_survive)
{
    uint64_t after[8];
    guest_handle_info(SIGILL, copy_registers, 0);
    __asm__ volatile("mov $0x1108, %%r8\n\tmov $0x1109, %%r9\n\tmov $0x1110, %%r10\n\t"
                     "mov $0x1111, %%r11\n\tmov $0x1112, %%r12\n\tmov $0x1113, %%r13\n\t"
                     "mov $0x1114, %%r14\n\tmov $0x1115, %%r15\n\t"
                     "ud2\n\t"
                     "mov %%r8, (%0)\n\tmov %%r9, 8(%0)\n\tmov %%r10, 16(%0)\n\t"
                     "mov %%r11, 24(%0)\n\tmov %%r12, 32(%0)\n\tmov %%r13, 40(%0)\n\t"
                     "mov %%r14, 48(%0)\n\tmov %%r15, 56(%0)"
                     :
                     : "D"(after), "S"(0x5151L), "d"(0xddL), "c"(0xccL)
                     : "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory");
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(after[i], i < 2 ? 0x1108 + i : 0x1110 + i - 2);
        CHECK_EQ(seen[REG_R8 + i], i < 2 ? 0x1108 + i : 0x1110 + i - 2);
    }
    CHECK_EQ(seen[REG_RDI], (uintptr_t)after);
    CHECK_EQ(seen[REG_RSI], 0x5151);
    CHECK_EQ(seen[REG_RDX], 0xdd);
    CHECK_EQ(seen[REG_RCX], 0xcc);
}

TEST_CASE(red_zone_is_kept)
{
    uint64_t value = 0;
    guest_handle_info(SIGILL, copy_registers, 0);
    __asm__ volatile("movq $0x77665544, -8(%%rsp)\n\tmovq $0x33, -128(%%rsp)\n\t"
                     "ud2\n\t"
                     "movq -8(%%rsp), %0\n\tcmpq $0x33, -128(%%rsp)\n\tje 1f\n\txor %0, %0\n\t1:"
                     : "=&r"(value)
                     :
                     : "memory", "cc");
    CHECK_EQ(value, 0x77665544);
}

static void set_flags(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    (void)sig;
    (void)info;
    uc->uc_mcontext.gregs[REG_RIP] += 2;
    uc->uc_mcontext.gregs[REG_EFL] |= 1; /* carry */
}

TEST_CASE(flags)
{
    unsigned char carry = 0;
    guest_handle_info(SIGILL, set_flags, 0);
    __asm__ volatile("clc\n\tud2\n\tsetc %0" : "=q"(carry) : : "cc");
    CHECK_EQ(carry, 1);
    guest_handle_info(SIGILL, copy_registers, 0);
    __asm__ volatile("std\n\tud2\n\tpushfq\n\tpop %%rax\n\tcld\n\tshr $10, %%rax\n\tand $1, %%al"
                     : "=a"(carry)
                     :
                     : "cc", "memory");
    CHECK_EQ(carry, 1); /* the handler itself ran with the flag clear, as the ABI wants */
}

static void block_in_context(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    (void)sig;
    (void)info;
    sigaddset(&uc->uc_sigmask, SIGUSR2);
    sigaddset(&uc->uc_sigmask, SIGKILL);
}

TEST_CASE(mask_in_the_context_is_restored)
{
    sigset_t now;
    guest_handle_info(SIGUSR1, block_in_context, 0);
    CHECK_OK(raise(SIGUSR1));
    CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &now));
    CHECK_EQ(sigismember(&now, SIGUSR2), 1);
    CHECK_EQ(sigismember(&now, SIGUSR1), 0);
    CHECK_EQ(sigismember(&now, SIGKILL), 0);
}

static volatile int signal_argument;
static volatile int info_matches;
static volatile unsigned long stack_alignment;

__attribute__((noinline)) static void check_arguments(int sig, siginfo_t *info, void *context)
{
    signal_argument = sig;
    info_matches = info->si_signo == sig && context != NULL;
    stack_alignment = ((unsigned long)__builtin_frame_address(0)) & 15;
}

TEST_CASE(arguments_and_alignment)
{
    guest_handle_info(SIGUSR1, check_arguments, 0);
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(signal_argument, SIGUSR1);
    CHECK_EQ(info_matches, 1);
    CHECK_EQ(stack_alignment, 0);
}

static void bad_rip(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    (void)sig;
    (void)info;
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)0x8000000000000000ULL;
}

TEST_CASE(non_canonical_rip_kills)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_handle_info(SIGUSR1, bad_rip, 0);
        raise(SIGUSR1);
        _exit(0);
    }
    CHECK_CHILD_SIGNAL(pid, SIGSEGV);
}

TEST_CASE(sigreturn_with_a_bad_frame_kills)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        __asm__ volatile("mov %0, %%rsp\n\tmov $15, %%eax\n\tsyscall" : : "r"(guest_bad()));
        _exit(0);
    }
    CHECK_CHILD_SIGNAL(pid, SIGSEGV);
}

TEST_CASE(a_thousand_signals)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_handle_info(SIGUSR1, check_arguments, 0);
        for (int i = 0; i < 1000; i++) {
            raise(SIGUSR1);
        }
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}
