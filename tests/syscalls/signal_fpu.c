/*
 * signal_fpu.c: vector and x87 state survives handlers, blocking calls and other processes.
 */
#include "tests/syscalls/guest_test.h"

#include <immintrin.h>

static volatile sig_atomic_t calls;

__attribute__((noinline)) static void clobber(void)
{
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0\n\tpcmpeqd %%xmm1, %%xmm1\n\t"
                     "pcmpeqd %%xmm7, %%xmm7\n\tpcmpeqd %%xmm15, %%xmm15\n\t"
                     "fninit\n\tfldpi"
                     :
                     :
                     : "xmm0", "xmm1", "xmm7", "xmm15");
    if (__builtin_cpu_supports("avx")) {
        __asm__ volatile("vxorps %%ymm2, %%ymm2, %%ymm2\n\tvzeroall" : : : "xmm2");
    }
    unsigned control = 0x1f80 | 0x6000; /* round to zero */
    __asm__ volatile("ldmxcsr %0" : : "m"(control));
}

static void handler(int sig)
{
    (void)sig;
    calls++;
    clobber();
}

/* Fills xmm registers, raises the signal by a raw kill, compares. Returns 0 if all was kept. */
static int check_xmm(void)
{
    uint64_t in[4] = {0x1111222233334444, 0x5555666677778888, 0x99990000aaaabbbb,
                      0xccccddddeeeeffff};
    uint64_t out[4] = {0, 0, 0, 0};
    long result;
    __asm__ volatile("movdqu (%[in]), %%xmm0\n\tmovdqu 16(%[in]), %%xmm15\n\tsyscall\n\t"
                     "movdqu %%xmm0, (%[out])\n\tmovdqu %%xmm15, 16(%[out])"
                     : "=a"(result)
                     : "a"(SYS_kill), "D"(getpid()), "S"(SIGUSR1), [in] "r"(in), [out] "r"(out)
                     : "rcx", "r11", "xmm0", "xmm15", "memory");
    return result == 0 ? memcmp(in, out, sizeof(in)) : -1;
}

TEST_CASE(xmm)
{
    guest_handle(SIGUSR1, handler, 0);
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(check_xmm(), 0);
    }
    CHECK_EQ(calls, 50);
}

__attribute__((target("avx"))) static int check_ymm(void)
{
    uint64_t in[4] = {1, 2, 3, 4};
    uint64_t out[4] = {0, 0, 0, 0};
    long result;
    __asm__ volatile("vmovdqu (%[in]), %%ymm3\n\tsyscall\n\tvmovdqu %%ymm3, (%[out])"
                     : "=a"(result)
                     : "a"(SYS_kill), "D"(getpid()), "S"(SIGUSR1), [in] "r"(in), [out] "r"(out)
                     : "rcx", "r11", "xmm3", "memory");
    return result == 0 ? memcmp(in, out, sizeof(in)) : -1;
}

TEST_CASE(ymm)
{
    if (!__builtin_cpu_supports("avx")) {
        SKIP("no AVX");
    }
    guest_handle(SIGUSR1, handler, 0);
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(check_ymm(), 0);
    }
}

__attribute__((target("avx512f"))) static int check_zmm(void)
{
    uint64_t in[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    uint64_t out[8] = {0};
    long result;
    __asm__ volatile("vmovdqu64 (%[in]), %%zmm19\n\tmov $0x5a5a, %%ecx\n\tkmovw %%ecx, %%k3\n\t"
                     "syscall\n\tvmovdqu64 %%zmm19, (%[out])\n\tkmovw %%k3, %%ecx\n\t"
                     "cmp $0x5a5a, %%ecx\n\tje 1f\n\tmov $1, %%eax\n\t1:"
                     : "=a"(result)
                     : "a"(SYS_kill), "D"(getpid()), "S"(SIGUSR1), [in] "r"(in), [out] "r"(out)
                     : "rcx", "r11", "memory", "cc");
    return result == 0 ? memcmp(in, out, sizeof(in)) : -1;
}

TEST_CASE(zmm)
{
    if (!__builtin_cpu_supports("avx512f")) {
        SKIP("no AVX-512");
    }
    guest_handle(SIGUSR1, handler, 0);
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(check_zmm(), 0);
    }
}

TEST_CASE(x87_and_control_words)
{
    double value = 0;
    unsigned before = 0x1f80 | 0x2000;
    unsigned after = 0;
    unsigned short control = 0x0e7f;
    unsigned short control_after = 0;
    long result;
    guest_handle(SIGUSR1, handler, 0);
    __asm__ volatile("ldmxcsr %[before]\n\tfldcw %[control]\n\tfld1\n\tsyscall\n\t"
                     "fstpl %[value]\n\tstmxcsr %[after]\n\tfnstcw %[control_after]\n\tfninit"
                     : "=a"(result), [value] "=m"(value), [after] "=m"(after),
                       [control_after] "=m"(control_after)
                     : "a"(SYS_kill), "D"(getpid()),
                       "S"(SIGUSR1), [before] "m"(before), [control] "m"(control)
                     : "rcx", "r11", "memory");
    unsigned usual = 0x1f80;
    __asm__ volatile("ldmxcsr %0" : : "m"(usual));
    CHECK_EQ(result, 0);
    CHECK(value == 1.0);
    CHECK_EQ(after & ~63u, before);
    CHECK_EQ(control_after, control);
}

TEST_CASE(asynchronous_signals_during_arithmetic)
{
    guest_handle(SIGALRM, handler, 0);
    guest_ticker_start(2);
    double sum = 0;
    long n = 0;
    while (calls < 20) {
        sum += 0.5;
        n++;
    }
    guest_ticker_stop();
    CHECK(sum == (double)n * 0.5);
}

TEST_CASE(kept_across_calls_and_fork)
{
    uint64_t in[2] = {0xabcdef, 0x123456};
    uint64_t out[2] = {0, 0};
    long result;
    /* fork: the child has the registers of its parent. */
    __asm__ volatile("movdqu (%[in]), %%xmm9\n\tsyscall\n\tmovdqu %%xmm9, (%[out])"
                     : "=a"(result)
                     : "a"(SYS_fork), [in] "r"(in), [out] "r"(out)
                     : "rcx", "r11", "xmm9", "memory");
    if (result == 0) {
        _exit(memcmp(in, out, sizeof(in)) == 0 ? 0 : 1);
    }
    CHECK_CHILD_OK((pid_t)result);
    CHECK(memcmp(in, out, sizeof(in)) == 0);
}
