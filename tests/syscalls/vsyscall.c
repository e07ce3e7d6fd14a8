/*
 * vsyscall.c: the three calls at fixed addresses that old programs make (vsyscall page): they give
 * what the system calls give, or the page is not there.
 */
#include "tests/syscalls/guest_test.h"

#include <setjmp.h>
#include <sys/time.h>
#include <time.h>

#define VSYSCALL_GETTIMEOFDAY 0xffffffffff600000UL
#define VSYSCALL_TIME         0xffffffffff600400UL
#define VSYSCALL_GETCPU       0xffffffffff600800UL

static sigjmp_buf out;

static void on_fault(int sig)
{
    (void)sig;
    siglongjmp(out, 1);
}

static void require_page(void)
{
    guest_handle(SIGSEGV, on_fault, 0);
    if (sigsetjmp(out, 1) != 0) {
        SKIP("the host has no vsyscall page");
    }
    ((long (*)(long *))VSYSCALL_TIME)(NULL);
}

TEST_CASE(clocks)
{
    require_page();
    for (int i = 0; i < 300; i++) {
        long stored = 0;
        struct timeval now = {0, 0};
        long got = ((long (*)(long *))VSYSCALL_TIME)(&stored);
        CHECK_EQ(got, stored);
        CHECK(labs(got - (long)time(NULL)) <= 1);
        CHECK_EQ(((int (*)(struct timeval *, void *))VSYSCALL_GETTIMEOFDAY)(&now, NULL), 0);
        CHECK(labs(now.tv_sec - (long)time(NULL)) <= 1 && now.tv_usec < 1000000);
    }
}

TEST_CASE(cpu)
{
    require_page();
    unsigned cpu = 77777;
    CHECK_EQ(((int (*)(unsigned *, unsigned *, void *))VSYSCALL_GETCPU)(&cpu, NULL, NULL), 0);
    CHECK(cpu < 77777);
}

static volatile int handled;

static void on_alarm(int sig)
{
    (void)sig;
    handled++;
}

TEST_CASE(with_signals)
{
    require_page();
    guest_handle(SIGALRM, on_alarm, 0);
    guest_ticker_start(1);
    for (int i = 0; i < 5000 || handled < 3; i++) {
        long stored = 0;
        long got = ((long (*)(long *))VSYSCALL_TIME)(&stored);
        CHECK_EQ(got, stored);
    }
    guest_ticker_stop();
}
