/*
 * harness.h: what the conformance tests share: the engine under test, and guest code.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>
#include <sys/syscall.h>

#include "platform/platform.h"

/* The engine under test; harness_start sets both. */
extern const struct platform_ops *engine;
extern struct platform *platform;

void harness_start(const char *name);
void harness_stop(void);

/* Guest code, assembled into this program as data: position-independent. */
#define GUEST(name, code)                                                                          \
    __asm__(".pushsection .rodata\n"                                                               \
            ".hidden " #name "_start\n.hidden " #name "_end\n"                                     \
            ".globl " #name "_start\n.globl " #name "_end\n" #name "_start:\n" code "\n" #name     \
            "_end:\n.popsection\n");                                                               \
    extern const unsigned char name##_start[];                                                     \
    extern const unsigned char name##_end[]
#define GUEST_ARGS(name) name##_start, (size_t)(name##_end - name##_start)

#define CODE_ADDR  0x400000ULL
#define DATA_ADDR  0x600000ULL
#define DATA_SIZE  0x10000ULL
#define STACK_ADDR 0x7f0000000000ULL
#define STACK_SIZE 0x10000ULL
#define PAGE       0x1000ULL

/* A clean space with the code at CODE_ADDR, data at DATA_ADDR and a stack. */
struct address_space *guest_space(const unsigned char *code, size_t length);
void guest_map(struct address_space *space, guest_addr addr, uint64_t length, int prot);
/* A thread, and registers that start it at CODE_ADDR. */
struct platform_thread *guest_thread(struct address_space *space, struct arch_regs *ret_regs);
/* Runs to the next event other than a spurious interrupt and checks its kind. */
void guest_run(struct platform_thread *thread, struct arch_regs *regs,
               enum platform_event_kind kind, struct platform_event *ret_event);
/* Runs to the next system call and checks its number. */
void guest_run_to_call(struct platform_thread *thread, struct arch_regs *regs, uint64_t number);
/* Behind a call: fills in the registers that the engine has not told yet. */
void guest_complete(struct platform_thread *thread, struct arch_regs *regs);
uint64_t guest_read64(struct address_space *space, guest_addr addr);
void guest_write64(struct address_space *space, guest_addr addr, uint64_t value);

/* The sentry of a test that kills its sentry: prints the pids of its stubs and never returns. */
_Noreturn void death_run_victim(const char *name);

/* Test groups: each file lists its tests. */
extern const struct CMUnitTest event_tests[], access_tests[], memory_tests[], thread_tests[],
    death_tests[], filter_tests[], storm_tests[], attack_tests[];
extern const size_t event_test_count, access_test_count, memory_test_count, thread_test_count,
    death_test_count, filter_test_count, storm_test_count, attack_test_count;
