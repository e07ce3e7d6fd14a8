/*
 * pty_job_control.c: background reads and writes, the foreground group, who may change it.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/ioctl.h>
#include <termios.h>

/* Runs the body as leader of a session with a controlling pty; it must exit 0. */
static void in_session(void (*body)(int master, int slave))
{
    int master;
    int slave;
    guest_pty(&master, &slave);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(setsid());
        CHECK_OK(ioctl(slave, TIOCSCTTY, 0));
        body(master, slave);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

static void check_foreground(int master, int slave)
{
    pid_t group = 0;
    CHECK_EQ(tcgetpgrp(slave), getpgrp());
    CHECK_EQ(tcgetsid(slave), getsid(0));
    CHECK_OK(ioctl(master, TIOCGPGRP, &group));
    CHECK_EQ(group, getpgrp());
    group = 1 << 21;
    CHECK_ERRNO(ioctl(slave, TIOCSPGRP, &group), ESRCH);
    group = -1;
    CHECK_ERRNO(ioctl(slave, TIOCSPGRP, &group), EINVAL);
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_OK(setsid());
        CHECK_ERRNO(tcgetpgrp(slave), ENOTTY);
        CHECK_ERRNO(tcsetpgrp(slave, getpgrp()), ENOTTY);
        _exit(0);
    }
    CHECK_CHILD_OK(child);
}

TEST_CASE(foreground_group)
{
    in_session(check_foreground);
}

static pid_t background_child(void (*body)(int slave), int slave)
{
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_OK(setpgid(0, 0));
        body(slave);
        _exit(0);
    }
    setpgid(child, child);
    return child;
}

static void read_byte(int slave)
{
    char byte = 0;
    CHECK_EQ(read(slave, &byte, 1), 1);
    CHECK_EQ(byte, 'k');
}

static void check_ttin(int master, int slave)
{
    int status;
    pid_t child = background_child(read_byte, slave);
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
    CHECK(WIFSTOPPED(status));
    CHECK_EQ(WSTOPSIG(status), SIGTTIN);
    CHECK_OK(tcsetpgrp(slave, child));
    CHECK_OK(kill(child, SIGCONT));
    CHECK_EQ(write(master, "k\n", 2), 2);
    CHECK_CHILD_OK(child);
}

TEST_CASE(background_read_stops)
{
    in_session(check_ttin);
}

static void read_with_ttin_ignored(int slave)
{
    char byte;
    signal(SIGTTIN, SIG_IGN);
    CHECK_ERRNO(read(slave, &byte, 1), EIO);
}

static void check_ttin_ignored(int master, int slave)
{
    (void)master;
    pid_t child = background_child(read_with_ttin_ignored, slave);
    CHECK_CHILD_OK(child);
}

TEST_CASE(background_read_with_sigttin_ignored)
{
    in_session(check_ttin_ignored);
}

static void write_byte(int slave)
{
    CHECK_EQ(write(slave, "w", 1), 1);
}

static void check_tostop(int master, int slave)
{
    struct termios t;
    int status;
    pid_t child = background_child(write_byte, slave);
    CHECK_CHILD_OK(child);
    CHECK_OK(tcgetattr(slave, &t));
    t.c_lflag |= TOSTOP;
    CHECK_OK(tcsetattr(slave, TCSANOW, &t));
    child = background_child(write_byte, slave);
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
    CHECK(WIFSTOPPED(status));
    CHECK_EQ(WSTOPSIG(status), SIGTTOU);
    CHECK_OK(tcsetpgrp(slave, child));
    CHECK_OK(kill(child, SIGCONT));
    CHECK_CHILD_OK(child);
    (void)master;
}

TEST_CASE(background_write_with_tostop_stops)
{
    in_session(check_tostop);
}

static void write_with_ttou_ignored(int slave)
{
    signal(SIGTTOU, SIG_IGN);
    CHECK_EQ(write(slave, "w", 1), 1);
}

static void check_tostop_ignored(int master, int slave)
{
    struct termios t;
    (void)master;
    CHECK_OK(tcgetattr(slave, &t));
    t.c_lflag |= TOSTOP;
    CHECK_OK(tcsetattr(slave, TCSANOW, &t));
    pid_t child = background_child(write_with_ttou_ignored, slave);
    CHECK_CHILD_OK(child);
}

TEST_CASE(background_write_with_sigttou_ignored)
{
    in_session(check_tostop_ignored);
}

static void take_foreground(int slave)
{
    CHECK_OK(tcsetpgrp(slave, getpgrp()));
    CHECK_EQ(tcgetpgrp(slave), getpgrp());
}

static void check_tcsetpgrp_stops(int master, int slave)
{
    int status;
    (void)master;
    pid_t child = background_child(take_foreground, slave);
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
    CHECK(WIFSTOPPED(status));
    CHECK_EQ(WSTOPSIG(status), SIGTTOU);
    CHECK_OK(tcsetpgrp(slave, child));
    CHECK_OK(kill(child, SIGCONT));
    CHECK_CHILD_OK(child);
}

TEST_CASE(background_tcsetpgrp_stops)
{
    in_session(check_tcsetpgrp_stops);
}

static void set_attributes(int slave)
{
    struct termios t;
    CHECK_OK(tcgetattr(slave, &t));
    CHECK_OK(tcsetattr(slave, TCSANOW, &t));
}

static void check_tcsetattr_stops(int master, int slave)
{
    int status;
    (void)master;
    pid_t child = background_child(set_attributes, slave);
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
    CHECK(WIFSTOPPED(status));
    CHECK_EQ(WSTOPSIG(status), SIGTTOU);
    CHECK_OK(kill(child, SIGKILL));
    CHECK_CHILD_SIGNAL(child, SIGKILL);
}

TEST_CASE(background_tcsetattr_stops)
{
    in_session(check_tcsetattr_stops);
}
