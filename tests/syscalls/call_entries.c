/*
 * call_entries.c: other ways into the kernel than a plain call.
 */
#include "tests/syscalls/guest_test.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>

static sigjmp_buf back;
static unsigned char stack[65536];

static void on_fault(int signo)
{
    siglongjmp(back, signo);
}

/* From 64-bit code it comes back at no useful address, in 32-bit mode (AMD: has no such
 * instruction): the handler runs in 64-bit mode all the same. */
TEST_CASE(sysenter_is_a_fault)
{
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};
    stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};
    CHECK_OK(sigaltstack(&other, NULL));
    CHECK_OK(sigaction(SIGSEGV, &action, NULL));
    CHECK_OK(sigaction(SIGILL, &action, NULL));
    int signo = sigsetjmp(back, 1);
    if (signo == 0) {
        __asm__ volatile("mov $20, %%eax\n mov %%rsp, %%rbp\n sysenter"
                         :
                         :
                         : "rax", "rcx", "rdx", "r11", "memory");
        CHECK(!"reached");
    }
    CHECK(signo == SIGSEGV || signo == SIGILL);
    CHECK(getppid() >= 0);
}

/* Linux: do_syscall_64() looks at the low half. */
TEST_CASE(high_half_of_the_number)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(0x100000000L | SYS_getpid)
                     : "rcx", "r11", "memory");
    CHECK_EQ(result, getpid());
}

TEST_CASE(no_such_number)
{
    CHECK_ERRNO(syscall(-1), ENOSYS);
    CHECK_ERRNO(syscall(0x40000000L | SYS_getpid | 1 << 20), ENOSYS);
}
