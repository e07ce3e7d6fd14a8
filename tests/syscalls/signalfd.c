/*
 * signalfd.c: signalfd: records, masks, readiness per reader.
 */
#include "tests/syscalls/guest_test.h"

#include <poll.h>
#include <sys/signalfd.h>

static sigset_t block(int sig)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    return set;
}

TEST_CASE(reads_records)
{
    struct signalfd_siginfo info[4];
    sigset_t set = block(SIGUSR1);
    sigset_t rt = block(SIGRTMIN + 3);
    sigaddset(&set, SIGRTMIN + 3);
    (void)rt;
    int fd = (int)CHECK_OK(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_ERRNO(read(fd, info, sizeof(info)), EAGAIN);
    CHECK_OK(kill(getpid(), SIGUSR1));
    CHECK_OK(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 44}));
    CHECK_EQ(read(fd, info, sizeof(info)), 2 * sizeof(info[0]));
    CHECK_EQ(info[0].ssi_signo, SIGUSR1);
    CHECK_EQ(info[0].ssi_code, SI_USER);
    CHECK_EQ(info[0].ssi_pid, getpid());
    CHECK_EQ(info[0].ssi_uid, getuid());
    CHECK_EQ(info[1].ssi_signo, SIGRTMIN + 3);
    CHECK_EQ(info[1].ssi_int, 44);
    CHECK_EQ(info[1].ssi_code, SI_QUEUE);
    CHECK_OK(sigpending(&set));
    CHECK_EQ(sigismember(&set, SIGUSR1), 0);
}

TEST_CASE(child_status)
{
    struct signalfd_siginfo info;
    sigset_t set = block(SIGCHLD);
    int fd = (int)CHECK_OK(signalfd(-1, &set, 0));
    pid_t pid = guest_fork();
    if (pid == 0) {
        _exit(21);
    }
    CHECK_EQ(read(fd, &info, sizeof(info)), sizeof(info));
    CHECK_EQ(info.ssi_signo, SIGCHLD);
    CHECK_EQ(info.ssi_pid, pid);
    CHECK_EQ(info.ssi_status, 21);
    CHECK_EQ(info.ssi_code, CLD_EXITED);
    CHECK_CHILD_EXIT(pid, 21);
}

TEST_CASE(poll_and_change_of_mask)
{
    sigset_t set = block(SIGUSR1);
    block(SIGUSR2);
    int fd = (int)CHECK_OK(signalfd(-1, &set, 0));
    struct pollfd p = {.fd = fd, .events = POLLIN};
    CHECK_OK(raise(SIGUSR2));
    CHECK_EQ(poll(&p, 1, 0), 0);
    sigaddset(&set, SIGUSR2);
    CHECK_EQ(signalfd(fd, &set, 0), fd);
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLIN);
}

TEST_CASE(poll_wakes)
{
    sigset_t set = block(SIGUSR1);
    int fd = (int)CHECK_OK(signalfd(-1, &set, 0));
    struct pollfd p = {.fd = fd, .events = POLLIN};
    pid_t parent = getpid();
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_sleep_ms(30);
        CHECK_OK(kill(parent, SIGUSR1));
        _exit(0);
    }
    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(shows_the_readers_own_signals)
{
    struct signalfd_siginfo info;
    sigset_t set = block(SIGUSR1);
    int fd = (int)CHECK_OK(signalfd(-1, &set, SFD_NONBLOCK));
    CHECK_OK(raise(SIGUSR1));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_ERRNO(read(fd, &info, sizeof(info)), EAGAIN);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ(read(fd, &info, sizeof(info)), sizeof(info));
}

TEST_CASE(errors)
{
    char small[64];
    sigset_t set = block(SIGUSR1);
    int fd = (int)CHECK_OK(signalfd(-1, &set, 0));
    CHECK_ERRNO(read(fd, small, sizeof(small)), EINVAL);
    CHECK_ERRNO(write(fd, small, sizeof(small)), EINVAL);
    CHECK_ERRNO(signalfd(-1, &set, 0x100), EINVAL);
    CHECK_ERRNO(signalfd(9999, &set, 0), EBADF);
    int null = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    CHECK_ERRNO(signalfd(null, &set, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_signalfd4, -1, &set, 4, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_signalfd4, -1, guest_bad(), 8, 0), EFAULT);
}
