/*
 * registers.h: x86-64 general registers of a guest thread.
 *
 * The layout equals Linux's struct user_regs_struct (sys/user.h), so engines copy it whole.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arch_regs {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax;
    uint64_t rip, cs, eflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs;
};

/* The legacy FXSAVE area and the XSAVE header: every extended state has these. */
#define ARCH_XSTATE_MIN_SIZE 576

#define ARCH_USER_CS 0x33
#define ARCH_USER_DS 0x2b
/* EFLAGS bits that user code may change: CF PF AF ZF SF TF DF OF NT RF AC ID (Linux: FIX_EFLAGS).
 */
#define ARCH_USER_EFLAGS 0x254dd5ULL
#define ARCH_EFLAGS_TF   0x100ULL
#define ARCH_EFLAGS_DF   0x400ULL
#define ARCH_EFLAGS_RF   0x10000ULL

/* Size of the CPU's XSAVE area for the features enabled in XCR0 (CPUID 0xd). Cached. */
size_t arch_xstate_size(void);
/* MXCSR bits that the CPU has (the others must be zero in a state to be loaded). */
uint32_t arch_mxcsr_mask(void);
/* XCR0: the features the host enabled. */
uint64_t arch_xstate_features(void);

/* Would the CPU load this state, of at least ARCH_XSTATE_MIN_SIZE bytes, in XSAVE's standard form?
 */
bool arch_xstate_is_valid(const void *state);

/* Fills *regs with the state of a new program: user segments, interrupts on, all else zero. */
void arch_regs_init(struct arch_regs *regs, uint64_t rip, uint64_t rsp);
