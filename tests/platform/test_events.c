/*
 * test_events.c: registers, system calls and faults.
 */
#include "tests/platform/harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

GUEST(guest_calls, "mov $39, %eax\n syscall\n mov %rax, %rdi\n mov $60, %eax\n syscall\n");

static void test_call(void **state)
{
    (void)state;
    struct address_space *space = guest_space(GUEST_ARGS(guest_calls));
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);

    guest_run_to_call(thread, &regs, SYS_getpid);
    assert_int_equal(regs.rip, CODE_ADDR + 7);
    regs.rax = 4711;
    guest_run_to_call(thread, &regs, SYS_exit);
    assert_int_equal(regs.rdi, 4711);
    engine->thread_free(thread);
    engine->space_free(space);
}

GUEST(guest_all_registers, "1: syscall\n jmp 1b\n");

/* Every general register goes in and comes back; rcx and r11 are the syscall instruction's. */
static void test_registers(void **state)
{
    (void)state;
    struct address_space *space = guest_space(GUEST_ARGS(guest_all_registers));
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);

    for (uint64_t round = 0; round < 3; round++) {
        uint64_t base = 0x1111111111111111ULL * (round + 1);
        regs.rax = base + 1;
        regs.rbx = base + 2;
        regs.rdx = base + 3;
        regs.rsi = base + 4;
        regs.rdi = base + 5;
        regs.rbp = base + 6;
        regs.rsp = STACK_ADDR + 64 * round;
        regs.r8 = base + 8;
        regs.r9 = base + 9;
        regs.r10 = base + 10;
        regs.r12 = base + 12;
        regs.r13 = base + 13;
        regs.r14 = base + 14;
        regs.r15 = base + 15;
        regs.fs_base = DATA_ADDR + round;
        regs.gs_base = DATA_ADDR + 8 + round;
        regs.eflags = 0x202 | (round == 1 ? 0x8d5 : 0);
        regs.rip = CODE_ADDR;
        struct arch_regs want = regs;
        struct platform_event event;
        guest_run(thread, &regs, PLATFORM_EVENT_SYSCALL, &event);
        assert_int_equal((uint32_t)regs.rax, (uint32_t)want.rax);
        want.rax = regs.rax;
        guest_complete(thread, &regs);
        want.rip = CODE_ADDR + 2;
        want.rcx = want.rip;
        want.r11 = want.eflags;
        want.orig_rax = regs.orig_rax;
        assert_memory_equal(&regs, &want, sizeof regs);
    }
    engine->thread_free(thread);
    engine->space_free(space);
}

GUEST(guest_save_registers, "mov %rcx, (%rdi)\n mov %r11, 8(%rdi)\n syscall\n");

/* rcx and r11 as the sentry sets them, which sysret alone could not restore. */
static void test_rcx_r11(void **state)
{
    (void)state;
    struct address_space *space = guest_space(GUEST_ARGS(guest_calls));
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);
    guest_run_to_call(thread, &regs, SYS_getpid);
    assert_int_equal(engine->copy_out(space, CODE_ADDR + 0x100, GUEST_ARGS(guest_save_registers)),
                     (ssize_t)(guest_save_registers_end - guest_save_registers_start));
    regs.rip = CODE_ADDR + 0x100;
    regs.rdi = DATA_ADDR;
    regs.rcx = 0x1234567812345678;
    regs.r11 = 0x8765432187654321;
    regs.rax = 500;
    guest_run_to_call(thread, &regs, 500);
    assert_int_equal(guest_read64(space, DATA_ADDR), 0x1234567812345678);
    assert_int_equal(guest_read64(space, DATA_ADDR + 8), 0x8765432187654321);
    engine->thread_free(thread);
    engine->space_free(space);
}

/* One faulting instruction each; the fault's rip is at `fault` bytes. */
GUEST(fault_read, "mov 0x500000, %rax\n");
GUEST(fault_write, "mov %rax, 0x500000\n");
GUEST(fault_write_readonly, "mov 0x700000, %rax\n movq $1, 0x700000\n");
GUEST(fault_exec, "mov $0x600000, %eax\n jmp *%rax\n");
GUEST(fault_noncanonical, "mov $0x8000000000000000, %rax\n mov (%rax), %rax\n");
GUEST(fault_privileged, "hlt\n");
GUEST(fault_divide, "xor %ecx, %ecx\n div %ecx\n");
GUEST(fault_ud2, "ud2\n");
GUEST(fault_int3, "int3\n");
GUEST(fault_bus, "mov 0x701000, %rax\n");
GUEST(fault_sse, "push $0\n ldmxcsr (%rsp)\n xorps %xmm0, %xmm0\n divss %xmm0, %xmm0\n");

struct fault_case {
    const char *name;
    const unsigned char *code, *end;
    int signo, code_value;
    uint64_t addr, trapno, err;
    uint64_t rip; /* offset from CODE_ADDR; ~0 not checked */
};

#define CASE(name, ...)                                                                            \
    {                                                                                              \
#name, name##_start, name##_end, __VA_ARGS__                                               \
    }

static void test_faults(void **state)
{
    (void)state;
    static const struct fault_case cases[] = {
        CASE(fault_read, SIGSEGV, SEGV_MAPERR, 0x500000, 14, 4, 0),
        CASE(fault_write, SIGSEGV, SEGV_MAPERR, 0x500000, 14, 6, 0),
        CASE(fault_write_readonly, SIGSEGV, SEGV_ACCERR, 0x700000, 14, 7, 8),
        CASE(fault_exec, SIGSEGV, SEGV_ACCERR, 0x600000, 14, 0x15, DATA_ADDR - CODE_ADDR),
        CASE(fault_noncanonical, SIGSEGV, SI_KERNEL, 0, 13, 0, 10),
        CASE(fault_privileged, SIGSEGV, SI_KERNEL, 0, 13, 0, 0),
        CASE(fault_divide, SIGFPE, FPE_INTDIV, CODE_ADDR + 2, 0, 0, 2),
        CASE(fault_ud2, SIGILL, ILL_ILLOPN, CODE_ADDR, 6, 0, 0),
        CASE(fault_int3, SIGTRAP, SI_KERNEL, 0, 3, 0, 1),
        CASE(fault_bus, SIGBUS, BUS_ADRERR, 0x701000, 14, 4, 0),
        CASE(fault_sse, SIGFPE, FPE_FLTINV, CODE_ADDR + 9, 19, 0, 9),
    };
    int memfd = memfd_create("bus", MFD_CLOEXEC);
    assert_true(memfd >= 0);
    assert_int_equal(ftruncate(memfd, PAGE), 0);
    for (size_t i = 0; i < array_size(cases); i++) {
        const struct fault_case *c = &cases[i];
        struct address_space *space = guest_space(c->code, (size_t)(c->end - c->code));
        struct arch_regs regs;
        struct platform_thread *thread = guest_thread(space, &regs);
        struct platform_event event;
        assert_int_equal(
            engine->space_map(space, 0x700000, 2 * PAGE, PROT_READ, MAP_SHARED, memfd, 0), 0);
        guest_write64(space, DATA_ADDR, 0x9090909090909090);
        guest_run(thread, &regs, PLATFORM_EVENT_FAULT, &event);
        print_message("  %s: rip %lx signal %d code %d addr %lx trapno %lu err %lx cr2 %lx\n",
                      c->name, regs.rip, event.fault.signo, event.fault.code, event.fault.addr,
                      event.fault.trapno, event.fault.err, event.fault.cr2);
        assert_int_equal(event.fault.signo, c->signo);
        assert_int_equal(event.fault.code, c->code_value);
        assert_int_equal(event.fault.addr, c->addr);
        assert_int_equal(event.fault.trapno, c->trapno);
        assert_int_equal(event.fault.err, c->err);
        assert_int_equal(regs.rip, CODE_ADDR + c->rip);
        if (c->trapno == 14) {
            assert_int_equal(event.fault.cr2, c->addr);
        }
        engine->thread_free(thread);
        engine->space_free(space);
    }
    close(memfd);
}

GUEST(guest_fault_resume, "mov 0x500000, %rdi\n mov $60, %eax\n syscall\n");

/* A fault whose cause the sentry removes is resumed at the same instruction. */
static void test_fault_resume(void **state)
{
    (void)state;
    struct address_space *space = guest_space(GUEST_ARGS(guest_fault_resume));
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);
    struct platform_event event;
    guest_run(thread, &regs, PLATFORM_EVENT_FAULT, &event);
    guest_map(space, 0x500000, PAGE, PROT_READ | PROT_WRITE);
    guest_write64(space, 0x500000, 77);
    guest_run_to_call(thread, &regs, SYS_exit);
    assert_int_equal(regs.rdi, 77);
    engine->thread_free(thread);
    engine->space_free(space);
}

GUEST(guest_steps, "nop\n nop\n xor %eax, %eax\n syscall\n nop\n nop\n");

static void test_single_step(void **state)
{
    (void)state;
    struct address_space *space = guest_space(GUEST_ARGS(guest_steps));
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);
    struct platform_event event;
    static const uint64_t offsets[] = {1, 2, 4};
    regs.eflags |= ARCH_EFLAGS_TF;
    for (size_t i = 0; i < array_size(offsets); i++) {
        guest_run(thread, &regs, PLATFORM_EVENT_FAULT, &event);
        assert_int_equal(event.fault.signo, SIGTRAP);
        assert_int_equal(event.fault.code, TRAP_TRACE);
        assert_int_equal(event.fault.trapno, 1);
        assert_int_equal(regs.rip, CODE_ADDR + offsets[i]);
        assert_true((regs.eflags & ARCH_EFLAGS_TF) != 0);
    }
    guest_run_to_call(thread, &regs, SYS_read);
    guest_complete(thread, &regs);
    assert_true((regs.eflags & ARCH_EFLAGS_TF) != 0);
    guest_run(thread, &regs, PLATFORM_EVENT_FAULT, &event);
    assert_int_equal(event.fault.signo, SIGTRAP);
    assert_true(regs.rip == CODE_ADDR + 6 || regs.rip == CODE_ADDR + 7);
    engine->thread_free(thread);
    engine->space_free(space);
}

GUEST(guest_int80, "mov $20, %eax\n int $0x80\n mov %rax, %rdi\n mov $60, %eax\n syscall\n");

/* A 32-bit call is a call without a number; its result reaches rax. */
static void test_int80(void **state)
{
    (void)state;
    struct address_space *space = guest_space(GUEST_ARGS(guest_int80));
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);
    guest_run_to_call(thread, &regs, UINT64_MAX);
    regs.rax = (uint64_t)-ENOSYS;
    guest_run_to_call(thread, &regs, SYS_exit);
    assert_int_equal(regs.rdi, (uint64_t)-ENOSYS);
    engine->thread_free(thread);
    engine->space_free(space);
}

GUEST(guest_vsyscall, "xor %edi, %edi\n mov $0xffffffffff600400, %rax\n call *%rax\n"
                      "mov %rax, %rdi\n mov $60, %eax\n syscall\n");

/* time(2) in the vsyscall page: a call like any other, the host's clock, or a fault where the host
 * has no such page. */
static void test_vsyscall(void **state)
{
    (void)state;
    struct address_space *space = guest_space(GUEST_ARGS(guest_vsyscall));
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);
    struct platform_event event;
    assert_int_equal(engine->thread_run(thread, &regs, &event), 0);
    if (event.kind == PLATFORM_EVENT_FAULT) {
        assert_int_equal(event.fault.signo, SIGSEGV);
        assert_int_equal(regs.rip, 0xffffffffff600400);
    } else if (regs.rax == SYS_time) {
        assert_int_equal(event.kind, PLATFORM_EVENT_SYSCALL);
        assert_in_range(regs.rip, CODE_ADDR, CODE_ADDR + PAGE);
        regs.rax = 4711;
        guest_run_to_call(thread, &regs, SYS_exit);
        assert_int_equal(regs.rdi, 4711);
    } else {
        assert_int_equal(event.kind, PLATFORM_EVENT_SYSCALL);
        assert_int_equal(regs.rax, SYS_exit);
        assert_in_range(regs.rdi, (uint64_t)time(NULL) - 2, (uint64_t)time(NULL) + 2);
    }
    engine->thread_free(thread);
    engine->space_free(space);
}

GUEST(guest_xstate, "vmovdqu (%rdi), %ymm3\n movq 32(%rdi), %xmm4\n mov $1, %eax\n syscall\n"
                    "vmovdqu %ymm3, 64(%rdi)\n mov $2, %eax\n syscall\n");

static void test_xstate(void **state)
{
    (void)state;
    size_t size = arch_xstate_size();
    unsigned char *area = calloc(1, size);
    assert_non_null(area);
    if ((arch_xstate_features() & 4) == 0) {
        free(area);
        skip();
    }
    struct address_space *space = guest_space(GUEST_ARGS(guest_xstate));
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);
    for (int i = 0; i < 5; i++) {
        guest_write64(space, DATA_ADDR + 8 * (uint64_t)i, 0x1000 + (uint64_t)i);
    }
    regs.rdi = DATA_ADDR;
    guest_run_to_call(thread, &regs, 1);
    assert_int_equal(engine->thread_get_xstate(thread, area, size), (ssize_t)size);
    uint64_t low[2];
    uint64_t high[2];
    memcpy(low, area + 160 + 3 * 16, sizeof low);
    memcpy(high, area + 576 + 3 * 16, sizeof high);
    assert_int_equal(low[0], 0x1000);
    assert_int_equal(low[1], 0x1001);
    assert_int_equal(high[0], 0x1002);
    assert_int_equal(high[1], 0x1003);
    memcpy(low, area + 160 + 4 * 16, sizeof low);
    assert_int_equal(low[0], 0x1004);

    high[1] = 0xabcdef;
    memcpy(area + 576 + 3 * 16, high, sizeof high);
    assert_int_equal(engine->thread_set_xstate(thread, area, size), 0);
    guest_run_to_call(thread, &regs, 2);
    assert_int_equal(guest_read64(space, DATA_ADDR + 64), 0x1000);
    assert_int_equal(guest_read64(space, DATA_ADDR + 88), 0xabcdef);

    /* Reserved bits of MXCSR and of the header are refused, and the thread goes on. */
    assert_int_equal(engine->thread_get_xstate(thread, area, size), (ssize_t)size);
    memset(area + 24, 0xff, 4);
    assert_int_equal(engine->thread_set_xstate(thread, area, size), -EINVAL);
    assert_int_equal(engine->thread_get_xstate(thread, area, size), (ssize_t)size);
    area[512 + 7] = 0x80;
    assert_int_equal(engine->thread_set_xstate(thread, area, size), -EINVAL);
    assert_int_equal(engine->thread_set_xstate(thread, area, 100), -EINVAL);
    free(area);
    engine->thread_free(thread);
    engine->space_free(space);
}

GUEST(guest_bad_rip, "syscall\n");

/* Registers that no program may have must not harm the engine. */
static void test_hostile_registers(void **state)
{
    (void)state;
    struct address_space *space = guest_space(GUEST_ARGS(guest_bad_rip));
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);
    struct platform_event event;

    regs.rip = 0x8000000000000000;
    guest_run(thread, &regs, PLATFORM_EVENT_FAULT, &event);
    assert_int_equal(event.fault.signo, SIGSEGV);
    arch_regs_init(&regs, 0xffffffff81000000, 0);
    guest_run(thread, &regs, PLATFORM_EVENT_FAULT, &event);
    assert_int_equal(event.fault.signo, SIGSEGV);
    arch_regs_init(&regs, CODE_ADDR, 0);
    regs.fs_base = UINT64_MAX;
    assert_int_equal(engine->thread_run(thread, &regs, &event), -EINVAL);
    memset(&regs, 0xff, sizeof regs);
    regs.rip = CODE_ADDR;
    regs.fs_base = regs.gs_base = 0;
    regs.eflags = 0x3202 | 1ULL << 17; /* IOPL and VM86 do not stick */
    regs.rax = 99;
    guest_run_to_call(thread, &regs, 99);
    guest_complete(thread, &regs);
    assert_int_equal(regs.eflags & 0x23000, 0);
    assert_int_equal(regs.cs, ARCH_USER_CS);
    engine->thread_free(thread);
    engine->space_free(space);
}

const struct CMUnitTest event_tests[] = {
    cmocka_unit_test(test_call),         cmocka_unit_test(test_registers),
    cmocka_unit_test(test_rcx_r11),      cmocka_unit_test(test_faults),
    cmocka_unit_test(test_fault_resume), cmocka_unit_test(test_single_step),
    cmocka_unit_test(test_int80),        cmocka_unit_test(test_vsyscall),
    cmocka_unit_test(test_xstate),       cmocka_unit_test(test_hostile_registers),
};
const size_t event_test_count = array_size(event_tests);
