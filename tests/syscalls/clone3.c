/*
 * clone3.c: clone3: argument block sizes, pidfd, exit signal, stack, clear_sighand.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/sched.h>
#include <poll.h>
#include <sys/mman.h>

static long clone3(struct clone_args *args, size_t size)
{
    long result = syscall(SYS_clone3, args, size);
    if (result < 0 && errno == ENOSYS) {
        SKIP("no clone3");
    }
    return result;
}

TEST_CASE(like_fork)
{
    struct clone_args args = {.exit_signal = SIGCHLD};
    pid_t pid = (pid_t)CHECK_OK(clone3(&args, sizeof(args)));
    if (pid == 0) {
        _exit(4);
    }
    CHECK_CHILD_EXIT(pid, 4);
}

TEST_CASE(pidfd_and_parent_tid)
{
    int pidfd = -1;
    pid_t word = 0;
    struct clone_args args = {.flags = CLONE_PIDFD | CLONE_PARENT_SETTID,
                              .exit_signal = SIGCHLD,
                              .pidfd = (uintptr_t)&pidfd,
                              .parent_tid = (uintptr_t)&word};
    pid_t pid = (pid_t)CHECK_OK(clone3(&args, sizeof(args)));
    if (pid == 0) {
        _exit(0);
    }
    CHECK_EQ(word, pid);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK_EQ(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(sizes)
{
    struct {
        struct clone_args args;
        uint64_t extra;
    } big = {.args = {.exit_signal = SIGCHLD}};
    CHECK_ERRNO(clone3(&big.args, 8), EINVAL);
    CHECK_ERRNO(clone3(&big.args, CLONE_ARGS_SIZE_VER0 - 1), EINVAL);
    CHECK_ERRNO(clone3(&big.args, 4097), E2BIG);
    big.extra = 1;
    CHECK_ERRNO(clone3(&big.args, sizeof(struct clone_args) + 8), E2BIG);
    big.extra = 0;
    pid_t pid = (pid_t)CHECK_OK(clone3(&big.args, sizeof(struct clone_args) + 8));
    if (pid == 0) {
        _exit(1);
    }
    CHECK_CHILD_EXIT(pid, 1);
    pid = (pid_t)CHECK_OK(clone3(&big.args, CLONE_ARGS_SIZE_VER0));
    if (pid == 0) {
        _exit(2);
    }
    CHECK_CHILD_EXIT(pid, 2);
}

TEST_CASE(bad_arguments)
{
    struct clone_args args = {.exit_signal = 65};
    CHECK_ERRNO(clone3(&args, sizeof(args)), EINVAL);
    args = (struct clone_args){.flags = CLONE_DETACHED, .exit_signal = SIGCHLD};
    CHECK_ERRNO(clone3(&args, sizeof(args)), EINVAL);
    args = (struct clone_args){.exit_signal = SIGCHLD, .stack_size = 4096};
    CHECK_ERRNO(clone3(&args, sizeof(args)), EINVAL);
    args = (struct clone_args){.exit_signal = SIGCHLD, .stack = 4096};
    CHECK_ERRNO(clone3(&args, sizeof(args)), EINVAL);
    args = (struct clone_args){.flags = 1ULL << 50, .exit_signal = SIGCHLD};
    CHECK_ERRNO(clone3(&args, sizeof(args)), EINVAL);
    args = (struct clone_args){.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM,
                               .exit_signal = SIGCHLD};
    CHECK_ERRNO(clone3(&args, sizeof(args)), EINVAL);
    CHECK_ERRNO(clone3((void *)8, sizeof(args)), EFAULT);
}

static void ignore_signal(int sig)
{
    (void)sig;
}

TEST_CASE(clear_sighand)
{
    guest_handle(SIGUSR1, ignore_signal, 0);
    signal(SIGUSR2, SIG_IGN);
    struct clone_args args = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
    pid_t pid = (pid_t)CHECK_OK(clone3(&args, sizeof(args)));
    if (pid == 0) {
        struct sigaction action;
        CHECK_OK(sigaction(SIGUSR2, NULL, &action));
        CHECK(action.sa_handler == SIG_IGN);
        CHECK_OK(sigaction(SIGUSR1, NULL, &action));
        CHECK(action.sa_handler == SIG_DFL);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}
