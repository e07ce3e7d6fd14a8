/*
 * pty_winsize.c: window size and SIGWINCH.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/ioctl.h>
#include <termios.h>

static volatile sig_atomic_t got;

static void note(int sig)
{
    got = sig;
}

TEST_CASE(set_and_get_from_both_sides)
{
    int master;
    int slave;
    struct winsize set = {24, 80, 640, 480};
    struct winsize get = {0, 0, 0, 0};
    guest_pty(&master, &slave);
    CHECK_OK(ioctl(master, TIOCSWINSZ, &set));
    CHECK_OK(ioctl(slave, TIOCGWINSZ, &get));
    CHECK(memcmp(&set, &get, sizeof(set)) == 0);
    set.ws_row = 50;
    CHECK_OK(ioctl(slave, TIOCSWINSZ, &set));
    CHECK_OK(ioctl(master, TIOCGWINSZ, &get));
    CHECK_EQ(get.ws_row, 50);
}

TEST_CASE(change_signals_the_foreground_group)
{
    int master;
    int slave;
    guest_pty(&master, &slave);
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct winsize size = {30, 90, 0, 0};
        CHECK_OK(setsid());
        CHECK_OK(ioctl(slave, TIOCSCTTY, 0));
        guest_handle(SIGWINCH, note, 0);
        CHECK_OK(ioctl(slave, TIOCSWINSZ, &size));
        CHECK_EQ(got, SIGWINCH);
        got = 0;
        CHECK_OK(ioctl(slave, TIOCSWINSZ, &size));
        CHECK_EQ(got, 0); /* unchanged: no signal */
        size.ws_col = 91;
        CHECK_OK(ioctl(master, TIOCSWINSZ, &size));
        CHECK_EQ(got, SIGWINCH);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(not_a_terminal)
{
    struct winsize size;
    int fd = (int)CHECK_OK(open("/dev/null", O_RDWR));
    CHECK_ERRNO(ioctl(fd, TIOCGWINSZ, &size), ENOTTY);
    CHECK_ERRNO(ioctl(fd, TCGETS, &size), ENOTTY);
    CHECK_EQ(isatty(fd), 0);
}
