/*
 * siglongjmp.c: leaving a handler without returning from it.
 */
#include "tests/syscalls/guest_test.h"

#include <setjmp.h>

static sigjmp_buf env;

static void jump(int sig)
{
    siglongjmp(env, sig);
}

TEST_CASE(out_of_a_handler_with_mask)
{
    sigset_t now;
    guest_handle(SIGUSR1, jump, 0);
    for (volatile int i = 0; i < 100; i++) {
        int result = sigsetjmp(env, 1);
        if (result == 0) {
            raise(SIGUSR1);
            FAIL("not reached");
        }
        CHECK_EQ(result, SIGUSR1);
        CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &now));
        CHECK_EQ(sigismember(&now, SIGUSR1), 0);
    }
}

TEST_CASE(without_saving_the_mask_it_stays_blocked)
{
    sigset_t now;
    guest_handle(SIGUSR1, jump, 0);
    if (sigsetjmp(env, 0) == 0) {
        raise(SIGUSR1);
    }
    CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &now));
    CHECK_EQ(sigismember(&now, SIGUSR1), 1);
}

TEST_CASE(out_of_a_blocking_read)
{
    int pair[2];
    char byte;
    CHECK_OK(pipe(pair));
    guest_handle(SIGALRM, jump, SA_RESTART);
    if (sigsetjmp(env, 1) == 0) {
        guest_ticker_start(20);
        (void)!read(pair[0], &byte, 1);
        FAIL("not reached");
    }
    guest_ticker_stop();
    CHECK_EQ(write(pair[1], "q", 1), 1);
    CHECK_EQ(read(pair[0], &byte, 1), 1);
    CHECK_EQ(byte, 'q');
}

TEST_CASE(off_the_alternate_stack)
{
    static char memory[32768];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof(memory)};
    stack_t now;
    CHECK_OK(sigaltstack(&stack, NULL));
    guest_handle(SIGSEGV, jump, SA_ONSTACK);
    for (volatile int i = 0; i < 5; i++) {
        if (sigsetjmp(env, 1) == 0) {
            *(volatile char *)guest_bad() = 1;
        }
        /* Linux: being on it is judged by the stack pointer alone. */
        CHECK_OK(sigaltstack(NULL, &now));
        CHECK_EQ(now.ss_flags, 0);
    }
}
