/*
 * pidfd.c: pidfds: open, poll, signal, wait, getfd.
 */
#include "tests/syscalls/guest_test.h"

#include <poll.h>
#include <sys/pidfd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static int open_pidfd(pid_t pid)
{
    int fd = pidfd_open(pid, 0);
    if (fd < 0 && errno == ENOSYS) {
        SKIP("no pidfd_open");
    }
    return (int)CHECK_OK(fd);
}

static pid_t sleeper(void)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        for (;;) {
            pause();
        }
    }
    return pid;
}

TEST_CASE(poll_and_wait)
{
    siginfo_t info;
    int hold[2];
    CHECK_OK(pipe(hold));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_await_fd(hold[0]);
        _exit(4);
    }
    int fd = open_pidfd(pid);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    CHECK_EQ(poll(&p, 1, 0), 0);
    CHECK_OK(waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG));
    guest_signal_fd(hold[1]);
    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK_EQ(p.revents & POLLIN, POLLIN);
    CHECK_OK(waitid(P_PIDFD, (id_t)fd, &info, WEXITED));
    CHECK_EQ(info.si_pid, pid);
    CHECK_EQ(info.si_status, 4);
    CHECK_ERRNO(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), ECHILD);
    CHECK_ERRNO(pidfd_send_signal(fd, 0, NULL, 0), ESRCH);
}

TEST_CASE(nonblocking_wait)
{
    siginfo_t info;
    pid_t pid = sleeper();
    int fd = pidfd_open(pid, O_NONBLOCK);
    if (fd < 0) {
        SKIP("no PIDFD_NONBLOCK");
    }
    CHECK_ERRNO(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), EAGAIN);
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
}

TEST_CASE(send_signal)
{
    siginfo_t info;
    pid_t pid = sleeper();
    int fd = open_pidfd(pid);
    CHECK_OK(pidfd_send_signal(fd, 0, NULL, 0));
    CHECK_ERRNO(pidfd_send_signal(fd, 65, NULL, 0), EINVAL);
    CHECK_ERRNO(pidfd_send_signal(fd, SIGTERM, NULL, 0x8000), EINVAL);
    memset(&info, 0, sizeof(info));
    info.si_signo = SIGHUP;
    CHECK_ERRNO(pidfd_send_signal(fd, SIGTERM, &info, 0), EINVAL);
    CHECK_OK(pidfd_send_signal(fd, SIGTERM, NULL, 0));
    CHECK_CHILD_SIGNAL(pid, SIGTERM);
    CHECK_ERRNO(pidfd_send_signal(fd, 0, NULL, 0), ESRCH);
}

TEST_CASE(proc_directory)
{
    char path[64];
    int status;
    pid_t pid = sleeper();
    snprintf(path, sizeof(path), "/proc/%d", pid);
    int fd = (int)CHECK_OK(open(path, O_RDONLY | O_DIRECTORY));
    CHECK_OK(pidfd_send_signal(fd, 0, NULL, 0));
    CHECK_OK(pidfd_send_signal(fd, SIGUSR1, NULL, 0));
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGUSR1);
    CHECK_ERRNO(pidfd_send_signal(fd, SIGUSR1, NULL, 0), ESRCH);
    snprintf(path, sizeof(path), "/proc/%d/task/%d", getpid(), getpid());
    fd = (int)CHECK_OK(open(path, O_RDONLY | O_DIRECTORY));
    CHECK_ERRNO(pidfd_send_signal(fd, 0, NULL, 0), EBADF);
    fd = (int)CHECK_OK(open("/proc/self", O_PATH));
    CHECK_ERRNO(pidfd_send_signal(fd, 0, NULL, 0), EBADF);
}

TEST_CASE(getfd)
{
    int ends[2];
    int number[2];
    char byte = 0;
    CHECK_OK(pipe(number));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(pipe(ends));
        CHECK_EQ(write(ends[1], "g", 1), 1);
        CHECK_EQ(write(number[1], &ends[0], sizeof(int)), sizeof(int));
        for (;;) {
            pause();
        }
    }
    int remote;
    CHECK_EQ(read(number[0], &remote, sizeof(int)), sizeof(int));
    int fd = open_pidfd(pid);
    int mine = pidfd_getfd(fd, remote, 0);
    if (mine < 0 && (errno == EPERM || errno == ENOSYS)) {
        SKIP("pidfd_getfd is not allowed here");
    }
    CHECK_OK(mine);
    CHECK_EQ(fcntl(mine, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(read(mine, &byte, 1), 1);
    CHECK_EQ(byte, 'g');
    CHECK_ERRNO(pidfd_getfd(fd, 9999, 0), EBADF);
    CHECK_ERRNO(pidfd_getfd(fd, remote, 1), EINVAL);
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
}

TEST_CASE(errors)
{
    char byte;
    int fd = open_pidfd(getpid());
    CHECK_ERRNO(pidfd_open(0, 0), EINVAL);
    CHECK_ERRNO(pidfd_open(-1, 0), EINVAL);
    CHECK_ERRNO(pidfd_open(getpid(), 0x1000000), EINVAL);
    CHECK_ERRNO(pidfd_open(1 << 21, 0), ESRCH);
    CHECK_ERRNO(read(fd, &byte, 1), EINVAL);
    int null = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    CHECK_ERRNO(pidfd_send_signal(null, 0, NULL, 0), EBADF);
    CHECK_ERRNO(waitid(P_PIDFD, (id_t)null, NULL, WEXITED), EBADF);
}
