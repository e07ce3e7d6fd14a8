/*
 * pty_signal.c: ISIG characters reach the foreground group of the terminal.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/ioctl.h>
#include <termios.h>

/* A session leader on a new pty reports how it ended; the master stays here. */
static pid_t start_session(int *ret_master, void (*body)(int slave, int ready))
{
    int master;
    int slave;
    int ready[2];
    guest_pty(&master, &slave);
    CHECK_OK(pipe(ready));
    pid_t pid = guest_fork();
    if (pid == 0) {
        close(master);
        CHECK_OK(setsid());
        CHECK_OK(ioctl(slave, TIOCSCTTY, 0));
        body(slave, ready[1]);
        _exit(0);
    }
    CHECK_OK(close(slave));
    CHECK_OK(close(ready[1]));
    guest_await_fd(ready[0]);
    CHECK_OK(close(ready[0]));
    *ret_master = master;
    return pid;
}

static volatile sig_atomic_t got;

static void note(int sig)
{
    got = sig;
}

static void wait_for_death(int slave, int ready)
{
    (void)slave;
    guest_signal_fd(ready);
    for (;;) {
        pause();
    }
}

TEST_CASE(intr)
{
    int master;
    pid_t pid = start_session(&master, wait_for_death);
    CHECK_EQ(write(master, "\003", 1), 1);
    CHECK_CHILD_SIGNAL(pid, SIGINT);
}

TEST_CASE(quit)
{
    int master;
    pid_t pid = start_session(&master, wait_for_death);
    CHECK_EQ(write(master, "\034", 1), 1);
    CHECK_CHILD_SIGNAL(pid, SIGQUIT);
}

static void count_input(int slave, int ready)
{
    char buffer[64];
    guest_handle(SIGINT, note, SA_RESTART);
    guest_signal_fd(ready);
    ssize_t n = read(slave, buffer, sizeof(buffer));
    /* Linux: the signal flushed what had been typed before it. */
    _exit(n == 6 && memcmp(buffer, "after\n", 6) == 0 && got == SIGINT ? 61 : 62);
}

TEST_CASE(intr_flushes_input)
{
    int master;
    pid_t pid = start_session(&master, count_input);
    CHECK_EQ(write(master, "before\003after\n", 13), 13);
    CHECK_CHILD_EXIT(pid, 61);
}

static void no_isig(int slave, int ready)
{
    struct termios t;
    char byte = 0;
    CHECK_OK(tcgetattr(slave, &t));
    t.c_lflag &= ~(tcflag_t)(ISIG | ICANON);
    CHECK_OK(tcsetattr(slave, TCSANOW, &t));
    guest_signal_fd(ready);
    CHECK_EQ(read(slave, &byte, 1), 1);
    _exit(byte == 3 ? 63 : 64);
}

TEST_CASE(without_isig_it_is_data)
{
    int master;
    pid_t pid = start_session(&master, no_isig);
    CHECK_EQ(write(master, "\003", 1), 1);
    CHECK_CHILD_EXIT(pid, 63);
}

static void foreground_child(int slave, int ready)
{
    signal(SIGTTOU, SIG_IGN);
    guest_handle(SIGINT, note, 0);
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_OK(setpgid(0, 0));
        CHECK_OK(tcsetpgrp(slave, getpid()));
        signal(SIGINT, SIG_DFL);
        guest_signal_fd(ready);
        for (;;) {
            pause();
        }
    }
    CHECK_CHILD_SIGNAL(child, SIGINT);
    _exit(got == 0 ? 65 : 66);
}

TEST_CASE(only_the_foreground_group)
{
    int master;
    pid_t pid = start_session(&master, foreground_child);
    CHECK_EQ(write(master, "\003", 1), 1);
    CHECK_CHILD_EXIT(pid, 65);
}

static void suspended_child(int slave, int ready)
{
    int status;
    signal(SIGTTOU, SIG_IGN);
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_OK(setpgid(0, 0));
        CHECK_OK(tcsetpgrp(slave, getpid()));
        guest_signal_fd(ready);
        for (;;) {
            pause();
        }
    }
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
    CHECK(WIFSTOPPED(status));
    CHECK_EQ(WSTOPSIG(status), SIGTSTP);
    CHECK_OK(tcsetpgrp(slave, getpgrp()));
    CHECK_OK(kill(-child, SIGCONT));
    CHECK_EQ(waitpid(child, &status, WCONTINUED), child);
    CHECK_OK(kill(child, SIGKILL));
    CHECK_CHILD_SIGNAL(child, SIGKILL);
    _exit(67);
}

TEST_CASE(suspend)
{
    int master;
    pid_t pid = start_session(&master, suspended_child);
    CHECK_EQ(write(master, "\032", 1), 1);
    CHECK_CHILD_EXIT(pid, 67);
}
