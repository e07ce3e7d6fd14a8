/*
 * test_storm.c: interrupts at every instruction of the way from guest code to the sentry and back.
 *
 * A guest calls through sites of every shape that the trap engine rewrites and through one that it
 * leaves alone. At each call, and at each interrupt, every register must be what the sentry gave;
 * the guest stores what only it sees (rcx and r11 behind the call, vector registers). Between the
 * fourth call and the first stands one whose answer the engine was told.
 */
#include "tests/platform/harness.h"

#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/platform/inside.h"

#define TEXT_ADDR    0xa00000ULL
#define STORM_ENOUGH 80 /* events */
#define TEXT_SIZE    0x1000ULL
#define ANSWERED     39 /* getpid */
#define ANSWER       4711

/*
 * rbx: where to store; rbp: the number of the third call. Sites: padding nearby; none nearby; the
 * number in a register, which nothing shows before it is executed; rt_sigreturn, which is left
 * alone. The rest is text around them: functions with padding behind them, where patches find room.
 */
__asm__(".pushsection .rodata\n.balign 64\n"
        ".macro storm_store at, vector\n"
        " mov %rcx, \\at(%rbx)\n mov %r11, \\at+8(%rbx)\n vmovdqu \\vector, \\at+16(%rbx)\n"
        ".endm\n"
        ".macro storm_filler\n .rept 10\n"
        " mov 8(%rsp), %rdx\n mov %rdx, 16(%rsp)\n lea (%rsi, %rdi), %rcx\n"
        " mov %rcx, 24(%rsp)\n mov %esi, %r8d\n add %r8d, %edx\n"
        ".endr\n.endm\n"
        ".macro storm_padding\n .balign 16, 0xcc\n .rept 8\n"
        " mov %rdx, 16(%rsp)\n mov 8(%rsp), %rdx\n mov %rdx, 24(%rsp)\n mov %esi, %edx\n ret\n"
        " .balign 16, 0xcc\n"
        ".endr\n.endm\n"
        ".globl storm_start, storm_end, storm_first, storm_second, storm_third, storm_fourth\n"
        ".globl storm_answered\n"
        "storm_start:\n"
        "vmovdqu 0x200(%rbx), %ymm7\n vmovdqu 0x220(%rbx), %ymm8\n vmovdqu 0x240(%rbx), %ymm9\n"
        "jmp storm_loop\n"
        "storm_filler\n jmp storm_loop\n"
        "storm_loop:\n"
        "mov $300, %eax\n syscall\n"
        "storm_first:\n"
        "storm_store 0x00, %ymm7\n call storm_call_2\n storm_store 0x40, %ymm8\n"
        "call storm_call_3\n"
        "mov $15, %eax\n syscall\n"
        "storm_fourth:\n"
        "storm_store 0x80, %ymm9\n"
        "mov $39, %eax\n syscall\n"
        "storm_answered:\n"
        "lea -4711(%rax), %rcx\n jrcxz storm_loop\n ud2\n"
        "storm_padding\n storm_filler\n ret\n storm_padding\n storm_filler\n"
        "storm_call_2:\n"
        "mov $301, %eax\n syscall\n"
        "storm_second:\n"
        "mov %rsi, -8(%rsp)\n mov -8(%rsp), %rsi\n ret\n"
        "storm_filler\n storm_filler\n storm_filler\n"
        "storm_call_3:\n"
        "mov %ebp, %eax\n syscall\n"
        "storm_third:\n"
        "mov %rax, 8(%rsp)\n ret\n"
        "storm_filler\n storm_filler\n ret\n storm_padding\n"
        "storm_end:\n"
        ".popsection\n");
extern const unsigned char storm_start[], storm_end[], storm_first[], storm_second[], storm_third[],
    storm_fourth[], storm_answered[];

enum storm_kind { STORM_NONE, STORM_INTERRUPT, STORM_SIGNAL, STORM_STEP };

struct storm {
    struct address_space *space;
    struct platform_thread *thread;
    enum storm_kind kind;
    uint64_t random;
    struct arch_regs sent;   /* what the guest runs with */
    struct arch_regs passed; /* to the engine, which may know more of it */
    guest_addr rsp;
    uint64_t answer_rcx, answer_r11; /* with which the last call returned */
    int next;                        /* index of the next call */
    atomic_uint interrupted;
    atomic_bool stop, lost, unable;
    unsigned int given, asked;
    unsigned char covered[STUB_TEXT_MAX];
};

static const unsigned char *const storm_after[] = {storm_first, storm_second, storm_third,
                                                   storm_fourth};
static const uint64_t storm_number[] = {300, 301, 302, 15};

static uint64_t next_random(struct storm *storm)
{
    uint64_t x = storm->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    storm->random = x;
    return x * 0x2545f4914f6cdd1dULL;
}

static guest_addr storm_addr(int call)
{
    return TEXT_ADDR + (guest_addr)(storm_after[call] - storm_start);
}

/* The text as a file. Its header says that the rest of the page is unused: room for more patches.
 * Files that were written a moment ago are left alone by the engine. */
static int storm_file(void)
{
    static int file = -1;
    const size_t size = (size_t)(storm_end - storm_start);
    const struct {
        Elf64_Ehdr header;
        Elf64_Phdr segment;
    } start = {
        .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, 1},
                   .e_type = ET_DYN,
                   .e_machine = EM_X86_64,
                   .e_version = 1,
                   .e_phoff = sizeof(Elf64_Ehdr),
                   .e_ehsize = sizeof(Elf64_Ehdr),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 1},
        .segment = {.p_type = PT_LOAD,
                    .p_flags = PF_R | PF_X,
                    .p_offset = TEXT_SIZE,
                    .p_vaddr = TEXT_SIZE,
                    .p_filesz = size,
                    .p_memsz = size,
                    .p_align = PAGE},
    };
    if (file >= 0) {
        return file;
    }
    file = memfd_create("text", MFD_CLOEXEC);
    assert_true(size < TEXT_SIZE);
    assert_int_equal(ftruncate(file, 2 * TEXT_SIZE), 0);
    assert_int_equal(pwrite(file, &start, sizeof start, 0), sizeof start);
    assert_int_equal(pwrite(file, storm_start, size, TEXT_SIZE), size);
    sleep(3);
    return file;
}

static void storm_open(struct storm *storm)
{
    storm->space = guest_space(storm_start, 16);
    assert_int_equal(engine->space_map(storm->space, TEXT_ADDR, TEXT_SIZE, PROT_READ | PROT_EXEC,
                                       MAP_PRIVATE, storm_file(), TEXT_SIZE),
                     0);
    storm->thread = guest_thread(storm->space, &storm->sent);
    storm->random = 88172645463325252ULL;
    if (engine->thread_answer != NULL) {
        const struct platform_answers answers = {.known = true,
                                                 .result = {[PLATFORM_ANSWER_GETPID] = ANSWER}};
        engine->thread_answer(storm->thread, &answers);
    }
    storm->sent.rip = TEXT_ADDR;
    storm->sent.rbx = DATA_ADDR;
    storm->sent.rbp = 302;
    storm->rsp = storm->sent.rsp = STACK_ADDR + STACK_SIZE / 2;
    storm->passed = storm->sent;
    for (uint64_t i = 0; i < 12; i++) {
        guest_write64(storm->space, DATA_ADDR + 0x200 + 8 * i, 0xabcd000000000000 + i);
    }
}

static void storm_close(struct storm *storm)
{
    engine->thread_free(storm->thread);
    engine->space_free(storm->space);
}

/* Stepped over by a tracer, a call leaves the tracer's flag in r11. */
static uint64_t untraced(const struct storm *storm, uint64_t r11)
{
    return storm->kind == STORM_STEP ? r11 & ~(uint64_t)ARCH_EFLAGS_TF : r11;
}

/* What the guest stored behind the call before the next one. */
static void check_stored(struct storm *storm, int call)
{
    uint64_t stored[6];
    if (call == 2) {
        return;
    }
    const uint64_t number = call == 3 ? 2 : (uint64_t)call;
    const guest_addr at = DATA_ADDR + 0x40 * number;
    assert_int_equal(engine->copy_in(storm->space, at, stored, sizeof stored), sizeof stored);
    assert_int_equal(stored[0], storm->answer_rcx);
    assert_int_equal(untraced(storm, stored[1]), untraced(storm, storm->answer_r11));
    for (uint64_t i = 0; i < 4; i++) {
        assert_int_equal(stored[2 + i], 0xabcd000000000000 + 4 * number + i);
    }
}

static void check_kept(const struct storm *storm, const struct arch_regs *regs)
{
    const struct arch_regs *sent = &storm->sent;
    assert_int_equal(regs->rbx, sent->rbx);
    assert_int_equal(regs->rbp, sent->rbp);
    assert_int_equal(regs->rdi, sent->rdi);
    assert_int_equal(regs->rsi, sent->rsi);
    assert_int_equal(regs->rdx, sent->rdx);
    assert_int_equal(regs->r8, sent->r8);
    assert_int_equal(regs->r9, sent->r9);
    assert_int_equal(regs->r10, sent->r10);
    assert_int_equal(regs->r12, sent->r12);
    assert_int_equal(regs->r13, sent->r13);
    assert_int_equal(regs->r14, sent->r14);
    assert_int_equal(regs->r15, sent->r15);
    assert_int_equal(regs->fs_base, sent->fs_base);
    assert_int_equal(regs->gs_base, sent->gs_base);
    /* Stepped over by a tracer, pushf shows the tracer's flag. */
    assert_int_equal(regs->eflags & ~(uint64_t)ARCH_EFLAGS_TF, sent->eflags);
}

/* New values for all registers but those that the guest's loop needs. */
static void choose_registers(struct storm *storm)
{
    struct arch_regs *regs = &storm->sent;
    uint64_t *const any[] = {&regs->rax, &regs->rdi, &regs->rsi, &regs->rdx, &regs->r8, &regs->r9,
                             &regs->r10, &regs->r12, &regs->r13, &regs->r14, &regs->r15};
    for (size_t i = 0; i < array_size(any); i++) {
        *any[i] = next_random(storm);
    }
    regs->rdx &= UINT32_MAX;
    regs->fs_base = next_random(storm) & 0x7fffffff000;
    regs->eflags = 0x202 | (next_random(storm) & 0xcd5);
    /* What a call leaves, mostly. */
    bool plain = next_random(storm) % 4 != 0;
    regs->rcx = plain ? regs->rip : next_random(storm);
    regs->r11 = plain ? regs->eflags : next_random(storm);
    storm->answer_rcx = regs->rcx;
    storm->answer_r11 = regs->r11;
}

/* Nothing changes but the result, and the engine need not tell all registers. */
static void answer_plainly(struct storm *storm, struct arch_regs *regs)
{
    regs->rax = next_random(storm);
    storm->passed = *regs;
    storm->sent.rax = regs->rax;
    storm->sent.rip = storm->sent.rcx = storm->answer_rcx = regs->rip;
    storm->sent.r11 = storm->answer_r11 = storm->sent.eflags;
    storm->next = (storm->next + 1) % 4;
}

static void on_call(struct storm *storm, struct arch_regs *regs)
{
    assert_int_equal(regs->rip, storm_addr(storm->next));
    assert_int_equal(regs->rax, storm_number[storm->next]);
    assert_int_equal(regs->rcx, regs->rip);
    if (next_random(storm) % 3 == 0) {
        answer_plainly(storm, regs);
        return;
    }
    guest_complete(storm->thread, regs);
    assert_int_equal(regs->rip, storm_addr(storm->next));
    assert_int_equal(regs->rax, storm_number[storm->next]);
    assert_int_equal(regs->rcx, regs->rip);
    assert_int_equal(regs->r11 & ~(uint64_t)ARCH_EFLAGS_TF, storm->sent.eflags);
    check_kept(storm, regs);
    storm->next = (storm->next + 1) % 4;
    storm->sent = *regs;
    choose_registers(storm);
    storm->passed = storm->sent;
}

/* The call that the engine may answer itself. */
static void on_asked(struct storm *storm, struct arch_regs *regs)
{
    assert_int_equal(storm->next, 0);
    guest_complete(storm->thread, regs);
    assert_int_equal(regs->rip, TEXT_ADDR + (guest_addr)(storm_answered - storm_start));
    assert_int_equal(regs->rcx, regs->rip);
    assert_int_equal(regs->r11 & ~(uint64_t)ARCH_EFLAGS_TF, storm->sent.eflags);
    check_kept(storm, regs);
    storm->sent = *regs;
    storm->sent.eflags &= ~(uint64_t)ARCH_EFLAGS_TF;
    storm->sent.rax = ANSWER;
    storm->passed = storm->sent;
    storm->asked++;
}

static void on_interrupt(struct storm *storm, struct arch_regs *regs)
{
    guest_complete(storm->thread, regs);
    assert_in_range(regs->rip, TEXT_ADDR, TEXT_ADDR + (guest_addr)(storm_end - storm_start));
    check_kept(storm, regs);
    assert_true(regs->rsp == storm->rsp || regs->rsp == storm->rsp - 8);
    /* Behind the fourth call another may have been answered; and a call that was begun and will be
     * made again has changed rcx and r11. */
    bool maybe_answered = storm->next == 0;
    if (untraced(storm, regs->r11) != untraced(storm, storm->sent.r11)) {
        assert_true(maybe_answered || (regs->rip == storm_addr(storm->next) - 2 &&
                                       regs->rcx == storm_addr(storm->next)));
        assert_int_equal(regs->r11 & ~(uint64_t)ARCH_EFLAGS_TF, storm->sent.eflags);
    }
    /* At and behind the third call it may be the place of moved instructions. */
    if (regs->rcx != storm->sent.rcx && storm->next == 1) {
        assert_int_equal(regs->rcx, storm_addr(storm->next));
    }
    assert_true(regs->rax == storm->sent.rax || regs->rax == storm_number[storm->next] ||
                (maybe_answered && (regs->rax == ANSWER || regs->rax == ANSWERED)));
    storm->sent.rip = regs->rip;
    storm->sent.rax = regs->rax;
    storm->sent.rcx = regs->rcx;
    storm->sent.r11 = regs->r11;
    storm->sent.rsp = regs->rsp;
    storm->passed = storm->sent;
}

static unsigned int storm_run(struct storm *storm, int calls)
{
    unsigned int interrupts = 0;
    bool first = storm->next == 0 && storm->sent.rip == TEXT_ADDR;
    for (int done = 0; done < calls;) {
        struct arch_regs regs = storm->passed;
        struct platform_event event;
        assert_int_equal(engine->thread_run(storm->thread, &regs, &event), 0);
        if (event.kind == PLATFORM_EVENT_INTERRUPTED) {
            on_interrupt(storm, &regs);
            interrupts++;
            atomic_fetch_add(&storm->interrupted, 1);
        } else if (event.kind == PLATFORM_EVENT_FAULT) {
            /* The tracer's flag, leaked into the guest's. */
            assert_int_equal(storm->kind, STORM_STEP);
            assert_int_equal(event.fault.signo, SIGTRAP);
            regs.eflags &= ~(uint64_t)ARCH_EFLAGS_TF;
            on_interrupt(storm, &regs);
        } else if (regs.rax == ANSWERED) {
            on_asked(storm, &regs);
        } else {
            if (!first) {
                check_stored(storm, (storm->next + 3) % 4);
            }
            first = false;
            on_call(storm, &regs);
            done++;
        }
    }
    return interrupts;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Every interrupt must be answered by an event within seconds. */
static void blow_interrupts(struct storm *storm)
{
    unsigned int random = 4711;
    while (!atomic_load(&storm->stop)) {
        unsigned int before = atomic_load(&storm->interrupted);
        uint64_t start = now_ms();
        engine->thread_interrupt(storm->thread);
        storm->given++;
        while (atomic_load(&storm->interrupted) == before && !atomic_load(&storm->stop)) {
            if (now_ms() - start > 8000) {
                atomic_store(&storm->lost, true);
                return;
            }
            sched_yield();
        }
        random = random * 1103515245 + 12345;
        for (volatile unsigned int i = 0; i < (random >> 8) % 2048; i = i + 1) {
        }
    }
}

static void blow_signals(struct storm *storm)
{
    unsigned int random = 4711;
    while (!atomic_load(&storm->stop)) {
        if (syscall(SYS_tgkill, space_stub(storm->space)->pid, thread_tid(storm->thread), SIGURG) !=
            0) {
            return;
        }
        storm->given++;
        random = random * 1103515245 + 12345;
        for (volatile unsigned int i = 0; i < 2000 + (random >> 8) % 20000; i = i + 1) {
        }
    }
}

/* Single-steps the guest thread through its own code and the stub's, with a signal every few
 * instructions. */
static void blow_steps(struct storm *storm)
{
    const pid_t tid = thread_tid(storm->thread);
    unsigned int random = 4711;
    unsigned int left = 1;
    int status;
    if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) != 0) {
        atomic_store(&storm->unable, true);
        return;
    }
    ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
    while (waitpid(tid, &status, __WALL) == tid && WIFSTOPPED(status)) {
        int signo = status >> 16 == 0 && WSTOPSIG(status) != SIGTRAP ? WSTOPSIG(status) : 0;
        struct user_regs_struct regs;
        if (ptrace(PTRACE_GETREGS, tid, NULL, &regs) == 0 && regs.rip - STUB_TEXT < STUB_TEXT_MAX) {
            storm->covered[regs.rip - STUB_TEXT] |= 1;
        }
        if (--left == 0) {
            random = random * 1103515245 + 12345;
            left = 250 + (random >> 8) % 300; /* the handler takes some 200 */
            if (regs.rip - STUB_TEXT < STUB_TEXT_MAX) {
                storm->covered[regs.rip - STUB_TEXT] |= 2;
            }
            ignore_result(syscall(SYS_tgkill, space_stub(storm->space)->pid, tid, SIGURG));
            storm->given++;
        }
        if (atomic_load(&storm->stop)) {
            ptrace(PTRACE_DETACH, tid, NULL, (void *)(uintptr_t)signo);
            return;
        }
        if (ptrace(PTRACE_SINGLESTEP, tid, NULL, (void *)(uintptr_t)signo) != 0) {
            return;
        }
    }
}

static void *run_storm(void *argument)
{
    struct storm *storm = argument;
    cpu_set_t all;
    memset(&all, 0xff, sizeof all);
    sched_setaffinity(0, sizeof all, &all);
    if (storm->kind == STORM_INTERRUPT) {
        blow_interrupts(storm);
    } else if (storm->kind == STORM_SIGNAL) {
        blow_signals(storm);
    } else {
        blow_steps(storm);
    }
    return NULL;
}

static void storm_test(enum storm_kind kind, int calls)
{
    static struct storm storm;
    storm = (struct storm){.kind = kind};
    pthread_t helper;
    if ((arch_xstate_features() & 4) == 0 || (!has_areas() && kind > STORM_INTERRUPT)) {
        print_message("skipped: %s\n",
                      has_areas() ? "the CPU has no AVX" : "the stub has no handlers");
        skip();
    }
    storm_open(&storm);
    storm_run(&storm, 1000);
    if (is_trap()) {
        /* All sites but the last are rewritten by now. */
        uint32_t traps = trap_thread_traps(storm.thread);
        unsigned int asked = storm.asked;
        storm_run(&storm, 400);
        assert_int_equal(trap_thread_traps(storm.thread) - traps, 100);
        assert_int_equal(storm.asked, asked);
    }
    assert_int_equal(pthread_create(&helper, NULL, run_storm, &storm), 0);
    unsigned int interrupts = storm_run(&storm, calls);
    for (uint64_t start = now_ms(); interrupts < STORM_ENOUGH && now_ms() - start < 10000 &&
                                    !atomic_load(&storm.unable) && !atomic_load(&storm.lost);) {
        interrupts += storm_run(&storm, 20);
    }
    atomic_store(&storm.stop, true);
    if (kind == STORM_STEP && !atomic_load(&storm.unable)) {
        /* The helper waits for a stop of the thread. */
        storm_run(&storm, 4);
    }
    pthread_join(helper, NULL);
    unsigned int covered = 0;
    unsigned int hit = 0;
    for (size_t i = 0; i < sizeof storm.covered; i++) {
        covered += storm.covered[i] & 1;
        hit += storm.covered[i] >> 1;
    }
    print_message("  %u interrupts given, %u events", storm.given, interrupts);
    print_message(kind == STORM_STEP ? ", %u stub instructions stepped, %u interrupted\n" : "\n",
                  covered, hit);
    assert_false(atomic_load(&storm.lost));
    storm_close(&storm);
    if (atomic_load(&storm.unable)) {
        print_message("skipped: ptrace is not allowed here\n");
        skip();
    }
    assert_true(interrupts > 0);
}

static void test_storm_interrupts(void **state)
{
    (void)state;
    storm_test(STORM_INTERRUPT, 10000);
}

static void test_storm_signals(void **state)
{
    (void)state;
    storm_test(STORM_SIGNAL, 4000);
}

static void test_storm_steps(void **state)
{
    (void)state;
    storm_test(STORM_STEP, 200);
}

const struct CMUnitTest storm_tests[] = {
    cmocka_unit_test(test_storm_interrupts),
    cmocka_unit_test(test_storm_signals),
    cmocka_unit_test(test_storm_steps),
};
const size_t storm_test_count = array_size(storm_tests);
