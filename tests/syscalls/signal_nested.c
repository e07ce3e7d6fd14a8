/*
 * signal_nested.c: handlers within handlers, deep recursion, signals while exiting.
 */
#include "tests/syscalls/guest_test.h"

static volatile sig_atomic_t depth;
static volatile sig_atomic_t deepest;
static volatile sig_atomic_t total;

static void recurse(int sig)
{
    total++;
    if (++depth > deepest) {
        deepest = depth;
    }
    if (deepest < 50) {
        raise(sig);
    }
    depth--;
}

TEST_CASE(fifty_deep)
{
    guest_handle(SIGUSR1, recurse, SA_NODEFER);
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(deepest, 50);
    CHECK_EQ(total, 50);
    CHECK_EQ(depth, 0);
}

static volatile sig_atomic_t trace[8];
static volatile sig_atomic_t used;

static void outer(int sig)
{
    trace[used++ % 8] = 1;
    raise(SIGUSR2);
    trace[used++ % 8] = 3;
    (void)sig;
}

static void inner(int sig)
{
    trace[used++ % 8] = 2;
    (void)sig;
}

TEST_CASE(another_signal_interrupts_a_handler)
{
    guest_handle(SIGUSR1, outer, 0);
    guest_handle(SIGUSR2, inner, 0);
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(used, 3);
    CHECK(trace[0] == 1 && trace[1] == 2 && trace[2] == 3);
}

static void fault_in_handler(int sig)
{
    (void)sig;
    *(volatile char *)guest_bad() = 1;
}

static void exit_from_handler(int sig)
{
    _exit(sig == SIGSEGV ? 81 : 82);
}

TEST_CASE(fault_within_a_handler)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_handle(SIGUSR1, fault_in_handler, 0);
        guest_handle(SIGSEGV, exit_from_handler, 0);
        raise(SIGUSR1);
        _exit(1);
    }
    CHECK_CHILD_EXIT(pid, 81);
}

TEST_CASE(fault_within_the_fault_handler_kills)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_handle(SIGSEGV, fault_in_handler, 0);
        *(volatile char *)guest_bad() = 1;
        _exit(1);
    }
    CHECK_CHILD_SIGNAL(pid, SIGSEGV);
}

TEST_CASE(handler_address_that_is_not_mapped)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_handle(SIGUSR1, (void (*)(int))(uintptr_t)guest_bad(), 0);
        raise(SIGUSR1);
        _exit(1);
    }
    CHECK_CHILD_SIGNAL(pid, SIGSEGV);
}

static void fork_in_handler(int sig)
{
    (void)sig;
    pid_t pid = fork();
    if (pid == 0) {
        return; /* the child returns from its copy of the frame */
    }
    total = (sig_atomic_t)pid;
}

TEST_CASE(fork_in_a_handler)
{
    guest_handle(SIGUSR1, fork_in_handler, 0);
    total = 0;
    CHECK_OK(raise(SIGUSR1));
    if (total == 0) {
        _exit(83);
    }
    CHECK_CHILD_EXIT((pid_t)total, 83);
}
