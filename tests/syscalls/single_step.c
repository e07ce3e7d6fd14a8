/*
 * single_step.c: a program that sets its own trap flag gets SIGTRAP after each instruction, also
 * around system calls, wherever an engine has rewritten them.
 */
#include "tests/syscalls/guest_test.h"

#include <ucontext.h>

/* Sets the trap flag, makes a call, clears the flag. step_plain does the same without the flag. The
 * second call is one that no engine knows the number of in advance. */
__asm__(".pushsection .text\n"
        ".globl step_traced, step_plain, step_call, step_after, step_other, step_last, step_end\n"
        ".balign 16\n"
        "step_traced:\n"
        " pushfq\n orq $0x100, (%rsp)\n popfq\n"
        "step_plain:\n"
        " nop\n mov %edi, %esi\n mov %rsi, %rdx\n"
        "step_call:\n mov $110, %eax\n syscall\n"
        "step_after:\n nop\n mov %rax, %r8\n mov %edi, %eax\n nop\n syscall\n"
        "step_other:\n nop\n mov %r8, %rax\n pushfq\n andq $~0x100, (%rsp)\n popfq\n"
        "step_last:\n nop\n"
        " ret\n"
        "step_end:\n"
        ".skip 12, 0xcc\n .balign 16, 0xcc\n"
        ".popsection\n");
long step_traced(long number);
long step_plain(long number);
extern const char step_call[], step_after[], step_other[], step_last[], step_end[];

static volatile unsigned traps;
static struct {
    uintptr_t rip;
    int code;
    bool flag;
} seen[64];

static void on_trap(int signo, siginfo_t *info, void *context)
{
    const greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    (void)signo;
    if (traps < 64) {
        seen[traps].rip = (uintptr_t)regs[REG_RIP];
        seen[traps].code = info->si_code;
        seen[traps].flag = (regs[REG_EFL] & 0x100) != 0;
        traps++;
    }
}

static void check_steps(void)
{
    /* Linux: the call returns by iretq when the flag is set, so the instruction behind it runs
     * before the next trap. Offsets from step_plain. */
    const uintptr_t base = (uintptr_t)&step_plain;
    static const uintptr_t wanted[] = {1, 3, 6, 11, 14, 17, 19, 20, 23, 26, 27, 35, 36};
    traps = 0;
    CHECK_EQ(step_traced(SYS_getppid), getppid());
    for (unsigned i = 0; i < traps; i++) {
        CHECK(i < sizeof wanted / sizeof *wanted);
        CHECK_EQ(seen[i].rip - base, wanted[i]);
        CHECK_EQ(seen[i].code, TRAP_TRACE);
    }
    CHECK_EQ(traps, sizeof wanted / sizeof *wanted);
}

TEST_CASE(around_calls)
{
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    CHECK_OK(sigaction(SIGTRAP, &action, NULL));
    check_steps();
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(step_plain(SYS_getppid), getppid());
    }
    check_steps();
    CHECK(seen[0].flag);
}
