/*
 * test_access.c: page faults described as the host describes them to a native program: each
 * instruction faults once in this process, under a signal handler, and once as a guest.
 */
#include "tests/platform/harness.h"

#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

/* rdi: an address without a page; rsi: valid memory; each snippet faults at its first instruction
 * and is at most 15 bytes long. */
#define SNIPPETS(S)                                                                                \
    S(mov_load, "mov (%rdi), %rax")                                                                \
    S(mov_store, "mov %rax, (%rdi)")                                                               \
    S(mov_store_disp, "mov %rax, 0x1234(%rdi)")                                                    \
    S(mov_store_imm, "movl $5, 8(%rdi,%rbx,2)")                                                    \
    S(mov_store8, "mov %al, (%rdi)")                                                               \
    S(mov_store16, "mov %ax, (%rdi)")                                                              \
    S(mov_store_r9, "mov %r9, (%rdi)")                                                             \
    S(movzx_load, "movzbl (%rdi), %eax")                                                           \
    S(lea_free_cmp, "cmp %rax, (%rdi)")                                                            \
    S(cmp_imm, "cmpb $1, (%rdi)")                                                                  \
    S(test_load, "test %rax, (%rdi)")                                                              \
    S(add_load, "add (%rdi), %rax")                                                                \
    S(add_store, "add %rax, (%rdi)")                                                               \
    S(lock_inc, "lock incl (%rdi)")                                                                \
    S(inc_store, "incl (%rdi)")                                                                    \
    S(neg_store, "negl (%rdi)")                                                                    \
    S(mul_load, "mull (%rdi)")                                                                     \
    S(shl_store, "shll $3, (%rdi)")                                                                \
    S(xchg_store, "xchg %rax, (%rdi)")                                                             \
    S(cmpxchg_store, "lock cmpxchg %rbx, (%rdi)")                                                  \
    S(xadd_store, "lock xadd %rbx, (%rdi)")                                                        \
    S(cmpxchg16b, "lock cmpxchg16b (%rdi)")                                                        \
    S(setcc_store, "setz (%rdi)")                                                                  \
    S(bts_store, "lock btsl $3, (%rdi)")                                                           \
    S(bt_load, "btl $3, (%rdi)")                                                                   \
    S(stos_store, "stosb")                                                                         \
    S(rep_stos, "rep stosq")                                                                       \
    S(rep_movs_store, "rep movsb")                                                                 \
    S(lods_load, "xchg %rsi, %rdi\n lodsb")                                                        \
    S(push_load, "push (%rdi)")                                                                    \
    S(pop_store, "pop (%rdi)")                                                                     \
    S(call_load, "call *(%rdi)")                                                                   \
    S(jmp_load, "jmp *(%rdi)")                                                                     \
    S(movups_load, "movups (%rdi), %xmm0")                                                         \
    S(movups_store, "movups %xmm0, (%rdi)")                                                        \
    S(movaps_store, "movaps %xmm0, (%rdi)")                                                        \
    S(movdqu_store, "movdqu %xmm9, (%rdi)")                                                        \
    S(movq_load, "movq (%rdi), %xmm0")                                                             \
    S(movq_store, "movq %xmm0, (%rdi)")                                                            \
    S(movd_store, "movd %xmm0, (%rdi)")                                                            \
    S(movnt_store, "movntdq %xmm0, (%rdi)")                                                        \
    S(movnti_store, "movnti %rax, (%rdi)")                                                         \
    S(stmxcsr_store, "stmxcsr (%rdi)")                                                             \
    S(fxsave_store, "fxsave (%rdi)")                                                               \
    S(fld_load, "fldl (%rdi)")                                                                     \
    S(fnstcw_store, "fnstcw (%rdi)")                                                               \
    S(fst_store, "fistpl (%rdi)")                                                                  \
    S(prefetch_free, "prefetchw (%rsi)\n mov (%rdi), %eax")

#define AVX_SNIPPETS(S)                                                                            \
    S(vmov_load, "vmovdqu (%rdi), %ymm0")                                                          \
    S(vmov_store, "vmovdqu %ymm0, (%rdi)")                                                         \
    S(vmov_store9, "vmovups %ymm9, (%rdi)")                                                        \
    S(vmovd_store, "vmovd %xmm0, (%rdi)")                                                          \
    S(vmovq_load, "vmovq (%rdi), %xmm0")                                                           \
    S(vextract_store, "vextractf128 $1, %ymm0, (%rdi)")                                            \
    S(vpextr_store, "vpextrd $1, %xmm0, (%rdi)")

#define DEFINE(name, code) GUEST(access_##name, code);
SNIPPETS(DEFINE)
AVX_SNIPPETS(DEFINE)

struct snippet {
    const char *name;
    const unsigned char *start, *end;
    bool avx;
};
#define ROW(name, code)     {#name, access_##name##_start, access_##name##_end, false},
#define AVX_ROW(name, code) {#name, access_##name##_start, access_##name##_end, true},
static const struct snippet snippets[] = {SNIPPETS(ROW) AVX_SNIPPETS(AVX_ROW)};

static sigjmp_buf escape;
static volatile uint64_t native_err, native_addr, native_trapno;

static void on_fault(int signo, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    (void)signo;
    native_addr = (uint64_t)(uintptr_t)info->si_addr;
    native_err = (uint64_t)uc->uc_mcontext.gregs[REG_ERR];
    native_trapno = (uint64_t)uc->uc_mcontext.gregs[REG_TRAPNO];
    siglongjmp(escape, 1);
}

static void run_native(const struct snippet *snippet, uint64_t bad, unsigned char *code,
                       void *valid)
{
    memset(code, 0xcc, 64);
    memcpy(code, snippet->start, (size_t)(snippet->end - snippet->start));
    if (sigsetjmp(escape, 1) == 0) {
        __asm__ volatile("xor %%ebx, %%ebx\n mov $1, %%ecx\n jmp *%%rax\n"
                         :
                         : "a"(code), "D"(bad), "S"(valid)
                         : "rbx", "rcx", "memory");
    }
}

static void test_access_like_native(void **state)
{
    (void)state;
    const uint64_t bad = 0x500000;
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    struct sigaction old;
    unsigned char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(page != MAP_FAILED);
    int wrong = 0;
    struct address_space *space = guest_space(snippets[0].start, 1);
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);
    for (size_t i = 0; i < array_size(snippets); i++) {
        const struct snippet *s = &snippets[i];
        unsigned char code[64];
        struct platform_event event;
        if (s->avx && (arch_xstate_features() & 4) == 0) {
            continue;
        }
        sigaction(SIGSEGV, &action, &old);
        native_err = native_addr = 0;
        run_native(s, bad, page, page + PAGE);
        sigaction(SIGSEGV, &old, NULL);

        memset(code, 0xcc, sizeof code);
        memcpy(code, s->start, (size_t)(s->end - s->start));
        assert_int_equal(engine->copy_out(space, CODE_ADDR, code, sizeof code), sizeof code);
        arch_regs_init(&regs, CODE_ADDR, STACK_ADDR + STACK_SIZE - 256);
        regs.rdi = bad;
        regs.rsi = DATA_ADDR;
        regs.rcx = 1;
        guest_run(thread, &regs, PLATFORM_EVENT_FAULT, &event);
        if (event.fault.trapno != native_trapno || event.fault.addr != native_addr ||
            event.fault.err != native_err) {
            print_error("%s: trapno %lu addr %lx err %lx, native %lu %lx %lx\n", s->name,
                        event.fault.trapno, event.fault.addr, event.fault.err, native_trapno,
                        native_addr, native_err);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
    engine->thread_free(thread);
    engine->space_free(space);
    munmap(page, 2 * PAGE);
}

const struct CMUnitTest access_tests[] = {
    cmocka_unit_test(test_access_like_native),
};
const size_t access_test_count = array_size(access_tests);
