/*
 * signal_stop.c: stop signals, SIGCONT, and what they do to each other.
 */
#include "tests/syscalls/guest_test.h"

static pid_t spinner(void)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        for (;;) {
            guest_sleep_ms(1);
        }
    }
    return pid;
}

static void expect_stop(pid_t pid, int sig)
{
    int status;
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status));
    CHECK_EQ(WSTOPSIG(status), sig);
}

TEST_CASE(stop_then_kill)
{
    pid_t pid = spinner();
    CHECK_OK(kill(pid, SIGSTOP));
    expect_stop(pid, SIGSTOP);
    CHECK_OK(kill(pid, SIGTERM));
    int status;
    CHECK_EQ(waitpid(pid, &status, WNOHANG), 0); /* not delivered while stopped */
    CHECK_OK(kill(pid, SIGCONT));
    CHECK_CHILD_SIGNAL(pid, SIGTERM);
}

TEST_CASE(sigkill_works_on_a_stopped_process)
{
    pid_t pid = spinner();
    CHECK_OK(kill(pid, SIGSTOP));
    expect_stop(pid, SIGSTOP);
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
}

static volatile sig_atomic_t continued;

static void note(int sig)
{
    continued = sig;
}

TEST_CASE(sigcont_handler_runs)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_handle(SIGCONT, note, 0);
        raise(SIGSTOP);
        _exit(continued == SIGCONT ? 0 : 1);
    }
    expect_stop(pid, SIGSTOP);
    CHECK_OK(kill(pid, SIGCONT));
    CHECK_CHILD_OK(pid);
}

TEST_CASE(sigcont_works_even_if_blocked_or_ignored)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        sigset_t set;
        sigfillset(&set);
        sigprocmask(SIG_BLOCK, &set, NULL);
        raise(SIGSTOP);
        signal(SIGCONT, SIG_IGN);
        raise(SIGSTOP);
        _exit(0);
    }
    expect_stop(pid, SIGSTOP);
    CHECK_OK(kill(pid, SIGCONT));
    expect_stop(pid, SIGSTOP);
    CHECK_OK(kill(pid, SIGCONT));
    CHECK_CHILD_OK(pid);
}

TEST_CASE(cont_discards_pending_stops_and_back)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        sigset_t set;
        sigset_t pending;
        sigemptyset(&set);
        sigaddset(&set, SIGTSTP);
        sigaddset(&set, SIGCONT);
        sigprocmask(SIG_BLOCK, &set, NULL);
        raise(SIGTSTP);
        CHECK_OK(sigpending(&pending));
        CHECK_EQ(sigismember(&pending, SIGTSTP), 1);
        raise(SIGCONT);
        CHECK_OK(sigpending(&pending));
        CHECK_EQ(sigismember(&pending, SIGTSTP), 0);
        guest_handle(SIGCONT, note, 0);
        raise(SIGCONT);
        CHECK_OK(sigpending(&pending));
        CHECK_EQ(sigismember(&pending, SIGCONT), 1);
        raise(SIGTSTP);
        CHECK_OK(sigpending(&pending));
        CHECK_EQ(sigismember(&pending, SIGCONT), 0);
        CHECK_EQ(sigismember(&pending, SIGTSTP), 1);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(output_stands_still)
{

    int pair[2];
    CHECK_OK(pipe2(pair, O_NONBLOCK));
    pid_t pid = guest_fork();
    if (pid == 0) {
        fcntl(pair[1], F_SETFL, 0);
        for (;;) {
            guest_sleep_ms(1);
            (void)!write(pair[1], "x", 1);
        }
    }
    char buffer[4096];
    CHECK_OK(kill(pid, SIGSTOP));
    expect_stop(pid, SIGSTOP);
    (void)!read(pair[0], buffer, sizeof(buffer));
    guest_sleep_ms(30);
    CHECK_ERRNO(read(pair[0], buffer, sizeof(buffer)), EAGAIN);
    CHECK_OK(kill(pid, SIGCONT));
    guest_await_readable(pair[0]);
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
}

TEST_CASE(sigchld_for_stop_and_continue)
{
    siginfo_t info;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    pid_t pid = spinner();
    CHECK_OK(kill(pid, SIGSTOP));
    CHECK_EQ(sigwaitinfo(&set, &info), SIGCHLD);
    CHECK_EQ(info.si_code, CLD_STOPPED);
    CHECK_EQ(info.si_status, SIGSTOP);
    CHECK_OK(kill(pid, SIGCONT));
    CHECK_EQ(sigwaitinfo(&set, &info), SIGCHLD);
    CHECK_EQ(info.si_code, CLD_CONTINUED);
    CHECK_EQ(info.si_status, SIGCONT);
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
}
