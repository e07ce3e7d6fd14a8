/*
 * arch_prctl.c: FS and GS bases, and thread-local storage set by hand.
 */
#include "tests/syscalls/guest_test.h"

#include <asm/prctl.h>

static long arch(int code, void *address)
{
    return syscall(SYS_arch_prctl, code, address);
}

TEST_CASE(gs)
{
    static uint64_t block[4] = {11, 22, 33, 44};
    uint64_t value = 0;
    uint64_t base = 0;
    CHECK_OK(arch(ARCH_SET_GS, block));
    __asm__ volatile("mov %%gs:16, %0" : "=r"(value));
    CHECK_EQ(value, 33);
    CHECK_OK(arch(ARCH_GET_GS, &base));
    CHECK_EQ(base, (uintptr_t)block);
    guest_sleep_ms(5);
    sched_yield();
    __asm__ volatile("mov %%gs:8, %0" : "=r"(value));
    CHECK_EQ(value, 22);
    pid_t pid = guest_fork();
    if (pid == 0) {
        __asm__ volatile("mov %%gs:24, %0" : "=r"(value));
        _exit(value == 44 ? 0 : 1);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(fs)
{
    static uint64_t block[512];
    uint64_t old = 0;
    uint64_t base = 0;
    uint64_t value = 0;
    CHECK_OK(arch(ARCH_GET_FS, &old));
    CHECK(old != 0);
    block[256] = 77;
    /* With another base libc must not run, so the raw calls stand here. */
    long result;
    __asm__ volatile("syscall\n\tmov %%fs:0, %1"
                     : "=a"(result), "=&r"(value)
                     : "a"(SYS_arch_prctl), "D"(ARCH_SET_FS), "S"(&block[256])
                     : "rcx", "r11", "memory");
    long restored;
    __asm__ volatile("syscall"
                     : "=a"(restored)
                     : "a"(SYS_arch_prctl), "D"(ARCH_SET_FS), "S"(old)
                     : "rcx", "r11", "memory");
    CHECK_EQ(result, 0);
    CHECK_EQ(restored, 0);
    CHECK_EQ(value, 77);
    CHECK_OK(arch(ARCH_GET_FS, &base));
    CHECK_EQ(base, old);
}

TEST_CASE(errors)
{
    uint64_t value;
    CHECK_ERRNO(arch(0x9999, &value), EINVAL);
    CHECK_ERRNO(arch(ARCH_SET_GS, (void *)0x8000000000000000UL), EPERM);
    CHECK_ERRNO(arch(ARCH_SET_FS, (void *)0xffff800000000000UL), EPERM);
    CHECK_ERRNO(arch(ARCH_GET_GS, guest_bad()), EFAULT);
}

static volatile uint64_t gs_in_handler;

static void handler(int sig)
{
    (void)sig;
    uint64_t value;
    __asm__ volatile("mov %%gs:0, %0" : "=r"(value));
    gs_in_handler = value;
}

TEST_CASE(kept_in_signal_handlers)
{
    static uint64_t block[4] = {5, 6, 7, 8};
    CHECK_OK(arch(ARCH_SET_GS, block));
    guest_handle(SIGUSR1, handler, 0);
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(gs_in_handler, 5);
}
