/*
 * ptrace_step.c: single steps, breakpoints, and calls that a tracer changes or answers.
 */
#include "tests/syscalls/ptrace_test.h"

__asm__(".pushsection .text\n"
        ".globl ps_code, ps_call, ps_after, ps_end\n"
        ".balign 16\n"
        "ps_code:\n int3\n nop\n mov $110, %eax\n"
        "ps_call:\n syscall\n"
        "ps_after:\n mov %eax, %edi\n pushfq\n pop %rsi\n nop\n"
        "ps_end:\n ret\n"
        ".balign 16, 0xcc\n"
        ".popsection\n");
extern const char ps_code[], ps_call[], ps_after[], ps_end[];
void ps_code_function(void) __asm__("ps_code");

static void runs_code(void)
{
    ps_code_function();
    _exit(12);
}

static unsigned long rip_of(pid_t pid)
{
    struct user_regs_struct regs;
    CHECK_OK(ptrace(PTRACE_GETREGS, pid, NULL, &regs));
    CHECK_EQ(regs.eflags & 0x100, 0); /* the tracer's flag does not show */
    return regs.rip;
}

static pid_t at_start(unsigned long options)
{
    pid_t pid = traced_child(runs_code, options);
    resume(pid, PTRACE_CONT, 0);
    CHECK_STOP(next_stop(pid), SIGTRAP);
    CHECK_EQ(rip_of(pid), (unsigned long)ps_code + 1);
    return pid;
}

TEST_CASE(single_steps)
{
    static const unsigned wanted[] = {2, 7, 9, 11, 12, 13, 14};
    siginfo_t info;
    pid_t pid = at_start(0);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
        resume(pid, PTRACE_SINGLESTEP, 0);
        CHECK_STOP(next_stop(pid), SIGTRAP);
        CHECK_EQ(rip_of(pid) - (unsigned long)ps_code, wanted[i]);
        CHECK_OK(ptrace(PTRACE_GETSIGINFO, pid, NULL, &info));
        CHECK_EQ(info.si_code, wanted[i] == 9 ? TRAP_BRKPT : TRAP_TRACE);
    }
    resume(pid, PTRACE_CONT, 0);
    CHECK_CHILD_EXIT(pid, 12);
}

TEST_CASE(many_steps)
{
    pid_t pid = at_start(0);
    for (int i = 0; i < 2000; i++) {
        resume(pid, PTRACE_SINGLESTEP, 0);
        int status = next_stop(pid);
        if (WIFEXITED(status)) {
            CHECK_EQ(WEXITSTATUS(status), 12);
            return;
        }
        CHECK_STOP(status, SIGTRAP);
    }
    FAIL("no end");
}

TEST_CASE(breakpoints)
{
    struct user_regs_struct regs;
    pid_t pid = at_start(0);
    errno = 0;
    long word = ptrace(PTRACE_PEEKTEXT, pid, ps_call, NULL);
    CHECK_EQ(word & 0xffff, 0x050f);
    CHECK_OK(ptrace(PTRACE_POKETEXT, pid, ps_call, (void *)((word & ~0xffL) | 0xcc)));
    resume(pid, PTRACE_CONT, 0);
    CHECK_STOP(next_stop(pid), SIGTRAP);
    CHECK_EQ(rip_of(pid), (unsigned long)ps_call + 1);
    CHECK_OK(ptrace(PTRACE_POKETEXT, pid, ps_call, (void *)word));
    CHECK_OK(ptrace(PTRACE_GETREGS, pid, NULL, &regs));
    regs.rip = (unsigned long)ps_call;
    regs.rax = SYS_exit;
    regs.rdi = 21;
    CHECK_OK(ptrace(PTRACE_SETREGS, pid, NULL, &regs));
    resume(pid, PTRACE_CONT, 0);
    CHECK_CHILD_EXIT(pid, 21);
}

static void on_usr1(int signo)
{
    (void)signo;
}

static void has_handler(void)
{
    signal(SIGUSR1, on_usr1);
    ps_code_function();
    _exit(13);
}

TEST_CASE(step_into_a_handler)
{
    pid_t pid = traced_child(has_handler, 0);
    resume(pid, PTRACE_CONT, 0);
    CHECK_STOP(next_stop(pid), SIGTRAP);
    CHECK_OK(kill(pid, SIGUSR1));
    resume(pid, PTRACE_SINGLESTEP, 0);
    CHECK_STOP(next_stop(pid), SIGUSR1);
    CHECK_EQ(rip_of(pid), (unsigned long)ps_code + 1);
    resume(pid, PTRACE_SINGLESTEP, SIGUSR1);
    CHECK_STOP(next_stop(pid), SIGTRAP);
    CHECK_EQ(rip_of(pid), (unsigned long)on_usr1);
    resume(pid, PTRACE_CONT, 0);
    CHECK_CHILD_EXIT(pid, 13);
}

static void many_calls(void)
{
    long pid = syscall(SYS_getpid);
    long parent = syscall(SYS_getppid);
    long user = syscall(SYS_getuid);
    syscall(SYS_sched_yield);
    _exit(pid == parent && user == 7 ? 31 : 32);
}

/* The exits and entries alternate; known answers are seen, too. */
TEST_CASE(calls_are_changed)
{
    struct user_regs_struct regs;
    pid_t pid = traced_child(many_calls, PTRACE_O_TRACESYSGOOD);
    unsigned seen = 0;
    bool inside = false;
    long yields = 0;
    for (;;) {
        resume(pid, PTRACE_SYSCALL, 0);
        int status = next_stop(pid);
        if (WIFEXITED(status)) {
            CHECK_EQ(WEXITSTATUS(status), 31);
            break;
        }
        CHECK_STOP(status, SIGTRAP | 0x80);
        CHECK_OK(ptrace(PTRACE_GETREGS, pid, NULL, &regs));
        inside = !inside;
        if (inside) {
            CHECK_EQ((long)regs.rax, -ENOSYS);
        }
        if (inside && regs.orig_rax == SYS_getppid) {
            regs.orig_rax = SYS_getpid;
            CHECK_OK(ptrace(PTRACE_SETREGS, pid, NULL, &regs));
            seen++;
        } else if (!inside && regs.orig_rax == SYS_getuid) {
            regs.rax = 7;
            CHECK_OK(ptrace(PTRACE_SETREGS, pid, NULL, &regs));
            seen++;
        } else if (regs.orig_rax == SYS_sched_yield) {
            yields++;
        }
    }
    CHECK_EQ(seen, 2);
    CHECK_EQ(yields, 2);
}

TEST_CASE(calls_are_skipped)
{
    pid_t pid = at_start(PTRACE_O_TRACESYSGOOD);
    struct user_regs_struct regs;
    resume(pid, PTRACE_SYSCALL, 0);
    CHECK_STOP(next_stop(pid), SIGTRAP | 0x80);
    CHECK_EQ(rip_of(pid), (unsigned long)ps_after);
    CHECK_OK(ptrace(PTRACE_GETREGS, pid, NULL, &regs));
    regs.orig_rax = (unsigned long)-1;
    regs.rax = 91;
    CHECK_OK(ptrace(PTRACE_SETREGS, pid, NULL, &regs));
    resume(pid, PTRACE_SYSCALL, 0);
    CHECK_STOP(next_stop(pid), SIGTRAP | 0x80);
    CHECK_OK(ptrace(PTRACE_GETREGS, pid, NULL, &regs));
    CHECK_EQ(regs.rax, 91);
    resume(pid, PTRACE_CONT, 0);
    CHECK_CHILD_EXIT(pid, 12);
}

TEST_CASE(calls_are_emulated)
{
    struct user_regs_struct regs;
    pid_t pid = at_start(PTRACE_O_TRACESYSGOOD);
    resume(pid, 31, 0); /* PTRACE_SYSEMU */
    CHECK_STOP(next_stop(pid), SIGTRAP | 0x80);
    CHECK_OK(ptrace(PTRACE_GETREGS, pid, NULL, &regs));
    CHECK_EQ(regs.orig_rax, SYS_getppid);
    regs.rax = 5;
    CHECK_OK(ptrace(PTRACE_SETREGS, pid, NULL, &regs));
    resume(pid, 31, 0); /* the next one: exit_group, which is not made either */
    CHECK_STOP(next_stop(pid), SIGTRAP | 0x80);
    CHECK_OK(ptrace(PTRACE_GETREGS, pid, NULL, &regs));
    CHECK_EQ(regs.orig_rax, SYS_exit_group);
    CHECK_EQ(regs.rdi, 12);
    end_child(pid);
}

TEST_CASE(a_signal_interrupts_a_call)
{
    struct user_regs_struct regs;
    pid_t pid = traced_child(loop_forever, PTRACE_O_TRACESYSGOOD);
    do {
        resume(pid, PTRACE_SYSCALL, 0);
        CHECK_STOP(next_stop(pid), SIGTRAP | 0x80);
        CHECK_OK(ptrace(PTRACE_GETREGS, pid, NULL, &regs));
    } while (regs.orig_rax != SYS_pause);
    resume(pid, PTRACE_SYSCALL, 0);
    guest_sleep_ms(20);
    CHECK_OK(kill(pid, SIGUSR2));
    CHECK_STOP(next_stop(pid), SIGTRAP | 0x80);
    CHECK_OK(ptrace(PTRACE_GETREGS, pid, NULL, &regs));
    CHECK_EQ((long)regs.rax, -514); /* ERESTARTNOHAND */
    resume(pid, PTRACE_SYSCALL, 0);
    CHECK_STOP(next_stop(pid), SIGUSR2);
    resume(pid, PTRACE_SYSCALL, 0); /* no handler: the call is made again */
    CHECK_STOP(next_stop(pid), SIGTRAP | 0x80);
    CHECK_OK(ptrace(PTRACE_GETREGS, pid, NULL, &regs));
    CHECK_EQ(regs.orig_rax, SYS_pause);
    CHECK_EQ((long)regs.rax, -ENOSYS);
    end_child(pid);
}

static volatile long watched, unwatched;

static void writes(void)
{
    for (int i = 0; i < 20; i++) {
        unwatched++;
    }
    watched = 5;
    unwatched++;
    watched = 6;
    _exit((int)watched + 30);
}

TEST_CASE(writes_are_watched)
{
    siginfo_t info;
    char *const registers = (char *)offsetof(struct user, u_debugreg);
    pid_t pid = traced_child(writes, 0);
    CHECK_ERRNO(ptrace(PTRACE_POKEUSER, pid, registers, (void *)(1L << 62)), EINVAL);
    CHECK_OK(ptrace(PTRACE_POKEUSER, pid, registers, &watched));
    CHECK_ERRNO(ptrace(PTRACE_POKEUSER, pid, registers + 56, (void *)0x20001L), EINVAL);
    CHECK_OK(ptrace(PTRACE_POKEUSER, pid, registers + 56, (void *)0x90001L));
    errno = 0;
    CHECK_EQ(ptrace(PTRACE_PEEKUSER, pid, registers + 56, NULL), 0x90001);
    for (int i = 5; i <= 6; i++) {
        resume(pid, PTRACE_CONT, 0);
        CHECK_STOP(next_stop(pid), SIGTRAP);
        CHECK_OK(ptrace(PTRACE_GETSIGINFO, pid, NULL, &info));
        CHECK_EQ(info.si_code, 4); /* TRAP_HWBKPT */
        CHECK_EQ(ptrace(PTRACE_PEEKDATA, pid, &watched, NULL), i);
        CHECK_EQ(ptrace(PTRACE_PEEKUSER, pid, registers + 48, NULL) & 15, 1);
        CHECK_OK(ptrace(PTRACE_POKEUSER, pid, registers + 48, NULL));
    }
    resume(pid, PTRACE_CONT, 0);
    CHECK_CHILD_EXIT(pid, 36);
}

TEST_CASE(a_hardware_breakpoint)
{
    char *const registers = (char *)offsetof(struct user, u_debugreg);
    pid_t pid = traced_child(runs_code, 0);
    CHECK_OK(ptrace(PTRACE_POKEUSER, pid, registers + 8, ps_end));
    CHECK_OK(ptrace(PTRACE_POKEUSER, pid, registers + 56, (void *)0x4L));
    resume(pid, PTRACE_CONT, 0);
    CHECK_STOP(next_stop(pid), SIGTRAP); /* the instruction in the text */
    CHECK_EQ(rip_of(pid), (unsigned long)ps_code + 1);
    resume(pid, PTRACE_CONT, 0);
    CHECK_STOP(next_stop(pid), SIGTRAP);
    CHECK_EQ(rip_of(pid), (unsigned long)ps_end);
    errno = 0;
    CHECK_EQ(ptrace(PTRACE_PEEKUSER, pid, registers + 48, NULL) & 15, 2);
    resume(pid, PTRACE_CONT, 0);
    CHECK_CHILD_EXIT(pid, 12);
}
