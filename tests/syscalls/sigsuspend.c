/*
 * sigsuspend.c: sigsuspend and pause.
 */
#include "tests/syscalls/guest_test.h"

static volatile sig_atomic_t got;

static void note(int sig)
{
    got = sig;
}

TEST_CASE(pending_signal_ends_it_at_once)
{
    sigset_t set;
    sigset_t none;
    sigset_t after;
    guest_handle(SIGUSR1, note, 0);
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    CHECK_OK(raise(SIGUSR1));
    CHECK_ERRNO(sigsuspend(&none), EINTR);
    CHECK_EQ(got, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &after));
    CHECK_EQ(sigismember(&after, SIGUSR1), 1);
}

TEST_CASE(waits_for_a_later_signal)
{
    sigset_t set;
    sigset_t none;
    guest_handle(SIGALRM, note, SA_RESTART);
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    guest_ticker_start(30);
    long long start = guest_now_ms();
    CHECK_ERRNO(sigsuspend(&none), EINTR);
    CHECK(guest_now_ms() - start >= 29);
    CHECK_EQ(got, SIGALRM);
    guest_ticker_stop();
}

static volatile sig_atomic_t masked_in_handler;

static void look_at_mask(int sig)
{
    sigset_t now;
    got = sig;
    sigprocmask(SIG_BLOCK, NULL, &now);
    masked_in_handler = sigismember(&now, SIGTERM);
}

TEST_CASE(handler_runs_under_the_temporary_mask)
{
    sigset_t set;
    sigset_t temporary;
    guest_handle(SIGUSR1, look_at_mask, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    CHECK_OK(raise(SIGUSR1));
    sigemptyset(&temporary);
    sigaddset(&temporary, SIGTERM);
    CHECK_ERRNO(sigsuspend(&temporary), EINTR);
    CHECK_EQ(masked_in_handler, 1);
    CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &set));
    CHECK_EQ(sigismember(&set, SIGTERM), 0);
}

TEST_CASE(pause_returns_after_a_handler)
{
    guest_handle(SIGALRM, note, SA_RESTART);
    guest_ticker_start(20);
    CHECK_ERRNO(pause(), EINTR);
    CHECK_EQ(got, SIGALRM);
    guest_ticker_stop();
}

TEST_CASE(ignored_signals_do_not_end_it)
{
    int ready[2];
    CHECK_OK(pipe(ready));
    pid_t pid = guest_fork();
    if (pid == 0) {
        signal(SIGUSR1, SIG_IGN);
        guest_handle(SIGTERM, note, 0);
        guest_signal_fd(ready[1]);
        pause();
        _exit(got == SIGTERM ? 0 : 1);
    }
    guest_await_fd(ready[0]);
    CHECK_OK(kill(pid, SIGUSR1));
    CHECK_OK(kill(pid, SIGWINCH));
    CHECK_OK(kill(pid, SIGCONT));
    guest_sleep_ms(20);
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
    for (int i = 0; i < 200; i++) {
        CHECK_OK(kill(pid, SIGTERM));
        guest_sleep_ms(5);
        if (waitpid(pid, &status, WNOHANG) == pid) {
            CHECK_EQ(status, 0);
            return;
        }
    }
    FAIL("pause did not end");
}

TEST_CASE(errors)
{
    sigset_t set;
    sigemptyset(&set);
    CHECK_ERRNO(syscall(SYS_rt_sigsuspend, &set, 4), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigsuspend, guest_bad(), 8), EFAULT);
}
