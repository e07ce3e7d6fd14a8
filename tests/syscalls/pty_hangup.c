/*
 * pty_hangup.c: closing the master hangs the terminal up; TIOCNOTTY gives it up.
 */
#include "tests/syscalls/guest_test.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

static volatile sig_atomic_t got_hup;
static volatile sig_atomic_t got_cont;

static void note(int sig)
{
    if (sig == SIGHUP) {
        got_hup = 1;
    } else {
        got_cont = 1;
    }
}

TEST_CASE(master_close_sends_sighup)
{
    int master;
    int slave;
    int ready[2];
    guest_pty(&master, &slave);
    CHECK_OK(pipe(ready));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(master));
        CHECK_OK(setsid());
        CHECK_OK(ioctl(slave, TIOCSCTTY, 0));
        guest_signal_fd(ready[1]);
        for (;;) {
            pause();
        }
    }
    CHECK_OK(close(slave));
    guest_await_fd(ready[0]);
    CHECK_OK(close(master));
    CHECK_CHILD_SIGNAL(pid, SIGHUP);
}

TEST_CASE(after_hangup)
{
    int master;
    int slave;
    char byte;
    guest_pty(&master, &slave);
    CHECK_OK(close(master));
    CHECK_EQ(read(slave, &byte, 1), 0);
    CHECK_ERRNO(write(slave, "x", 1), EIO);
    struct pollfd p = {.fd = slave, .events = POLLIN | POLLOUT};
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK(p.revents & POLLHUP);
    CHECK(p.revents & POLLIN);
    struct termios t;
    CHECK_ERRNO(tcgetattr(slave, &t), EIO);
}

TEST_CASE(blocked_reader_wakes)
{
    int master;
    int slave;
    char byte;
    guest_pty(&master, &slave);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(master));
        ssize_t n = read(slave, &byte, 1);
        CHECK(n == 0 || (n == -1 && errno == EIO));
        _exit(0);
    }
    guest_sleep_ms(30);
    CHECK_OK(close(master));
    CHECK_CHILD_OK(pid);
}

/* Linux: for a pty only SIGHUP, without the SIGCONT that TIOCNOTTY adds. */
TEST_CASE(leader_exit_hangs_up_the_foreground_group)
{
    int master;
    int slave;
    int ready[2];
    char answer;
    guest_pty(&master, &slave);
    CHECK_OK(pipe(ready));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(setsid());
        CHECK_OK(ioctl(slave, TIOCSCTTY, 0));
        pid_t child = guest_fork();
        if (child == 0) {
            CHECK_OK(close(ready[0]));
            guest_handle(SIGHUP, note, 0);
            guest_signal_fd(ready[1]);
            for (int i = 0; i < 2000 && !got_hup; i++) {
                guest_sleep_ms(1);
            }
            CHECK(got_hup);
            CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
            guest_signal_fd(ready[1]);
            _exit(0);
        }
        guest_await_fd(ready[0]);
        _exit(0);
    }
    CHECK_OK(close(ready[1]));
    CHECK_CHILD_OK(pid);
    CHECK_EQ(read(ready[0], &answer, 1), 1);
}

TEST_CASE(notty_by_the_leader)
{
    int master;
    int slave;
    guest_pty(&master, &slave);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(setsid());
        CHECK_OK(ioctl(slave, TIOCSCTTY, 0));
        guest_handle(SIGHUP, note, 0);
        guest_handle(SIGCONT, note, 0);
        CHECK_OK(ioctl(slave, TIOCNOTTY));
        CHECK(got_hup && got_cont);
        CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
        CHECK_ERRNO(ioctl(slave, TIOCNOTTY), ENOTTY);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}
