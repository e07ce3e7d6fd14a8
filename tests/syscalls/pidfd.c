/*
 * pidfd.c: pidfd_open, pidfd_send_signal, pidfd_getfd; a process as a pollable file.
 */
#include "tests/syscalls/guest_test.h"

#include <poll.h>

#define NR_SEND_SIGNAL 424
#define NR_OPEN        434
#define NR_GETFD       438

static int open_pid(pid_t pid)
{
    return (int)CHECK_OK(syscall(NR_OPEN, pid, 0));
}

TEST_CASE(open_errors)
{
    CHECK_ERRNO(syscall(NR_OPEN, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(NR_OPEN, -1, 0), EINVAL);
    CHECK_ERRNO(syscall(NR_OPEN, getpid(), 1), EINVAL);
    CHECK_ERRNO(syscall(NR_OPEN, 1 << 29, 0), ESRCH);
    int fd = open_pid(getpid());
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    char c;
    CHECK_ERRNO(read(fd, &c, 1), EINVAL);
}

TEST_CASE(readable_when_exited)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    int fd = open_pid(pid);
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    CHECK_EQ(poll(&entry, 1, 0), 0);
    CHECK_OK(syscall(NR_SEND_SIGNAL, fd, SIGKILL, NULL, 0));
    CHECK_EQ(poll(&entry, 1, 5000), 1);
    CHECK_EQ(entry.revents & POLLIN, POLLIN);
    siginfo_t info;
    CHECK_OK(waitid((idtype_t)3 /* P_PIDFD */, (id_t)fd, &info, WEXITED));
    CHECK_EQ(info.si_pid, pid);
    CHECK_EQ(info.si_status, SIGKILL);
    CHECK_ERRNO(syscall(NR_SEND_SIGNAL, fd, 0, NULL, 0), ESRCH);
}

TEST_CASE(send_signal_errors)
{
    int fd = open_pid(getpid());
    CHECK_ERRNO(syscall(NR_SEND_SIGNAL, 0, 0, NULL, 0), EBADF);
    CHECK_ERRNO(syscall(NR_SEND_SIGNAL, fd, 0, NULL, 1 << 20), EINVAL);
    CHECK_ERRNO(syscall(NR_SEND_SIGNAL, fd, 99, NULL, 0), EINVAL);
    CHECK_OK(syscall(NR_SEND_SIGNAL, fd, 0, NULL, 0));
    siginfo_t info = {.si_signo = SIGUSR2};
    CHECK_ERRNO(syscall(NR_SEND_SIGNAL, fd, SIGUSR1, &info, 0), EINVAL);
    CHECK_ERRNO(syscall(NR_SEND_SIGNAL, fd, SIGUSR1, guest_bad(), 0), EFAULT);
}

TEST_CASE(getfd)
{
    int ends[2];
    CHECK_OK(pipe(ends));
    int fd = open_pid(getpid());
    CHECK_ERRNO(syscall(NR_GETFD, fd, 999, 0), EBADF);
    CHECK_ERRNO(syscall(NR_GETFD, ends[0], 0, 0), EBADF);
    CHECK_ERRNO(syscall(NR_GETFD, fd, ends[0], 1), EINVAL);
    int copy = (int)CHECK_OK(syscall(NR_GETFD, fd, ends[1], 0));
    CHECK_EQ(fcntl(copy, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(write(copy, "x", 1), 1);
    guest_await_fd(ends[0]);
}
