/*
 * registers.c: initial registers and the size of the extended state.
 */
#include "platform/arch/registers.h"

#include <cpuid.h>
#include <stdatomic.h>
#include <string.h>

#define MXCSR_OFFSET  24
#define HEADER_OFFSET 512

/* CPUID is slow under virtual machines (it leaves the guest), so its answers are kept. */
static atomic_size_t cached_size;
static atomic_ullong cached_features;

static void read_cpuid(void)
{
    unsigned int eax;
    unsigned int ebx;
    unsigned int ecx;
    unsigned int edx;
    uint64_t features = 3;
    size_t size = ARCH_XSTATE_MIN_SIZE;

    /* CPUID 1 ECX bit 27: the host enabled XSAVE. */
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & (1U << 27)) != 0 &&
        __get_cpuid_count(0xd, 0, &eax, &ebx, &ecx, &edx)) {
        uint32_t low;
        uint32_t high;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        features = (uint64_t)high << 32 | low;
        size = ebx;
    }
    atomic_store(&cached_features, features);
    atomic_store(&cached_size, size);
}

size_t arch_xstate_size(void)
{
    size_t size = atomic_load(&cached_size);
    if (size == 0) {
        read_cpuid();
        size = atomic_load(&cached_size);
    }
    return size;
}

uint64_t arch_xstate_features(void)
{
    (void)arch_xstate_size();
    return atomic_load(&cached_features);
}

uint32_t arch_mxcsr_mask(void)
{
    struct {
        unsigned char before[28];
        uint32_t mxcsr_mask;
        unsigned char after[480];
    } __attribute__((aligned(16))) area = {.mxcsr_mask = 0};
    __asm__ volatile("fxsave64 %0" : "=m"(area));
    /* Intel SDM: zero means the default mask. */
    return area.mxcsr_mask != 0 ? area.mxcsr_mask : 0xffbf;
}

void arch_regs_init(struct arch_regs *regs, uint64_t rip, uint64_t rsp)
{
    memset(regs, 0, sizeof *regs);
    regs->rip = rip;
    regs->rsp = rsp;
    regs->cs = ARCH_USER_CS;
    regs->ss = ARCH_USER_DS;
    regs->eflags = 0x202; /* IF and the bit that is always set */
    regs->orig_rax = UINT64_MAX;
}

/* What XRSTOR refuses: unknown features, the compacted form, reserved bits (Intel SDM, XRSTOR). */
bool arch_xstate_is_valid(const void *state)
{
    uint64_t header[8];
    uint32_t mxcsr;
    memcpy(header, (const char *)state + HEADER_OFFSET, sizeof header);
    memcpy(&mxcsr, (const char *)state + MXCSR_OFFSET, sizeof mxcsr);
    for (size_t i = 1; i < sizeof header / sizeof header[0]; i++) {
        if (header[i] != 0) {
            return false;
        }
    }
    return (header[0] & ~arch_xstate_features()) == 0 && (mxcsr & ~arch_mxcsr_mask()) == 0;
}
