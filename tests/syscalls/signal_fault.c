/*
 * signal_fault.c: siginfo of faults: number, code and address.
 */
#include "tests/syscalls/guest_test.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

static volatile int got_signal;
static volatile int got_code;
static void *volatile got_address;
static volatile greg_t got_rip;
static volatile greg_t got_error;
static volatile greg_t got_trap;
static sigjmp_buf resume_env;

static void note(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    got_signal = sig;
    got_code = info->si_code;
    got_address = info->si_addr;
    got_rip = uc->uc_mcontext.gregs[REG_RIP];
    got_error = uc->uc_mcontext.gregs[REG_ERR];
    got_trap = uc->uc_mcontext.gregs[REG_TRAPNO];
    siglongjmp(resume_env, 1);
}

static void install(void)
{
    const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (int i = 0; i < 5; i++) {
        guest_handle_info(signals[i], note, 0);
    }
    got_signal = 0;
}

#define EXPECT_FAULT(statement)                                                                    \
    do {                                                                                           \
        install();                                                                                 \
        if (sigsetjmp(resume_env, 1) == 0) {                                                       \
            statement;                                                                             \
            FAIL("no fault");                                                                      \
        }                                                                                          \
    } while (0)

TEST_CASE(unmapped_read_and_write)
{
    EXPECT_FAULT((void)*(volatile char *)guest_bad());
    CHECK_EQ(got_signal, SIGSEGV);
    CHECK_EQ(got_code, SEGV_MAPERR);
    CHECK(got_address == guest_bad());
    EXPECT_FAULT(*(volatile char *)guest_bad() = 1);
    CHECK_EQ(got_code, SEGV_MAPERR);
    CHECK(got_address == guest_bad());
}

TEST_CASE(protection)
{
    char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    CHECK_EQ(page[0], 0);
    EXPECT_FAULT(((volatile char *)page)[5] = 1);
    CHECK_EQ(got_signal, SIGSEGV);
    CHECK_EQ(got_code, SEGV_ACCERR);
    CHECK(got_address == page + 5);
    CHECK_OK(mprotect(page, 4096, PROT_NONE));
    EXPECT_FAULT((void)((volatile char *)page)[7]);
    CHECK_EQ(got_code, SEGV_ACCERR);
    CHECK(got_address == page + 7);
}

TEST_CASE(execute_protection)
{
    unsigned char *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    page[0] = 0xc3;
    void (*function)(void) = (void (*)(void))(uintptr_t)page;
    EXPECT_FAULT(function());
    CHECK_EQ(got_signal, SIGSEGV);
    CHECK_EQ(got_code, SEGV_ACCERR);
    CHECK(got_address == page);
    CHECK_EQ(got_rip, (uintptr_t)page);
    CHECK_OK(mprotect(page, 4096, PROT_READ | PROT_EXEC));
    function();
}

TEST_CASE(jump_to_nowhere)
{
    void (*function)(void) = (void (*)(void))(uintptr_t)guest_bad();
    EXPECT_FAULT(function());
    CHECK_EQ(got_signal, SIGSEGV);
    CHECK_EQ(got_code, SEGV_MAPERR);
    CHECK(got_address == guest_bad());
}

TEST_CASE(non_canonical_address)
{
    volatile uint64_t address = 0x8000000000000000ULL;
    EXPECT_FAULT((void)*(volatile char *)(uintptr_t)address);
    CHECK_EQ(got_signal, SIGSEGV);
    CHECK_EQ(got_code, SI_KERNEL);
    CHECK(got_address == NULL);
}

TEST_CASE(kernel_address)
{
    volatile uint64_t address = 0xffffffff81000000ULL;
    EXPECT_FAULT((void)*(volatile char *)(uintptr_t)address);
    CHECK_EQ(got_signal, SIGSEGV);
    CHECK_EQ(got_code, SEGV_MAPERR);
    CHECK_EQ((uintptr_t)got_address, address);
}

TEST_CASE(beyond_the_end_of_a_file)
{
    guest_write_file("f", "x");
    int fd = (int)CHECK_OK(open("f", O_RDWR));
    char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED);
    CHECK_EQ(map[0], 'x');
    EXPECT_FAULT((void)((volatile char *)map)[4096]);
    CHECK_EQ(got_signal, SIGBUS);
    CHECK_EQ(got_code, BUS_ADRERR);
    CHECK(got_address == map + 4096);
}

TEST_CASE(divide)
{
    volatile int zero = 0;
    volatile int result = 7;
    EXPECT_FAULT(result = result / zero);
    CHECK_EQ(got_signal, SIGFPE);
    CHECK_EQ(got_code, FPE_INTDIV);
    CHECK_EQ((greg_t)(uintptr_t)got_address, got_rip);
    volatile int minimum = INT_MIN;
    volatile int minus = -1;
    EXPECT_FAULT(result = minimum / minus);
    CHECK_EQ(got_signal, SIGFPE);
}

TEST_CASE(sse_exception)
{
    volatile double one = 1.0;
    volatile double zero = 0.0;
    unsigned saved;
    __asm__ volatile("stmxcsr %0" : "=m"(saved));
    EXPECT_FAULT(({
        unsigned unmasked = saved & ~(unsigned)(1 << 9);
        __asm__ volatile("ldmxcsr %0" : : "m"(unmasked));
        one = one / zero;
    }));
    __asm__ volatile("ldmxcsr %0" : : "m"(saved));
    CHECK_EQ(got_signal, SIGFPE);
    CHECK_EQ(got_code, FPE_FLTDIV);
}

TEST_CASE(illegal_instruction)
{
    EXPECT_FAULT(__asm__ volatile("ud2"));
    CHECK_EQ(got_signal, SIGILL);
    CHECK_EQ(got_code, ILL_ILLOPN);
    CHECK_EQ((greg_t)(uintptr_t)got_address, got_rip);
}

TEST_CASE(breakpoint)
{
    EXPECT_FAULT(__asm__ volatile("int3"));
    CHECK_EQ(got_signal, SIGTRAP);
    CHECK_EQ(got_code, SI_KERNEL);
}

TEST_CASE(single_step)
{
    EXPECT_FAULT(__asm__ volatile("pushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\tnop\n\tnop" ::
                                      : "memory", "cc"));
    CHECK_EQ(got_signal, SIGTRAP);
    CHECK_EQ(got_code, TRAP_TRACE);
}

TEST_CASE(privileged_instruction)
{
    EXPECT_FAULT(__asm__ volatile("hlt"));
    CHECK_EQ(got_signal, SIGSEGV);
    CHECK_EQ(got_code, SI_KERNEL);
    EXPECT_FAULT(__asm__ volatile("outb %%al, $0x80" : : "a"(0)));
    CHECK_EQ(got_signal, SIGSEGV);
}

TEST_CASE(alignment_check_flag)
{
    uint64_t words[2] = {0, 0};
    EXPECT_FAULT(__asm__ volatile("pushfq\n\torl $0x40000, (%%rsp)\n\tpopfq\n\tmov 1(%0), %%eax"
                                  :
                                  : "r"(words)
                                  : "rax", "memory", "cc"));
    CHECK_EQ(got_signal, SIGBUS);
    CHECK_EQ(got_code, BUS_ADRALN);
}

TEST_CASE(error_code_in_the_context)
{
    EXPECT_FAULT(*(volatile char *)guest_bad() = 1);
    CHECK_EQ(got_trap, 14);
    CHECK_EQ(got_error, 6); /* user write, page not present */
    EXPECT_FAULT((void)*(volatile char *)guest_bad());
    CHECK_EQ(got_error, 4);
}
