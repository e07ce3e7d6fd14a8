/*
 * pty_controlling.c: how a session gets its controlling terminal, and /dev/tty.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <termios.h>

static void in_child(void (*body)(int master, int slave))
{
    int master;
    int slave;
    guest_pty(&master, &slave);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(setsid());
        body(master, slave);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

static void by_open(int master, int slave)
{
    (void)slave;
    CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
    int fd = (int)CHECK_OK(open(ptsname(master), O_RDWR));
    CHECK_EQ(tcgetsid(fd), getpid());
    int tty = (int)CHECK_OK(open("/dev/tty", O_RDWR));
    struct stat st;
    CHECK_OK(fstat(tty, &st));
    CHECK_EQ(st.st_rdev, makedev(5, 0));
    char byte = 0;
    CHECK_EQ(write(tty, "q", 1), 1);
    CHECK_EQ(read(master, &byte, 1), 1);
    CHECK_EQ(byte, 'q');
}

TEST_CASE(first_open_by_a_leader)
{
    in_child(by_open);
}

static void not_with_noctty(int master, int slave)
{
    (void)slave;
    int fd = (int)CHECK_OK(open(ptsname(master), O_RDWR | O_NOCTTY));
    CHECK_ERRNO(tcgetsid(fd), ENOTTY);
    CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
}

TEST_CASE(noctty_prevents_it)
{
    in_child(not_with_noctty);
}

static void not_by_a_member(int master, int slave)
{
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_OK(open(ptsname(master), O_RDWR));
        CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
        CHECK_ERRNO(ioctl(slave, TIOCSCTTY, 0), EPERM);
        _exit(0);
    }
    CHECK_CHILD_OK(child);
}

TEST_CASE(only_a_leader)
{
    in_child(not_by_a_member);
}

static void twice(int master, int slave)
{
    int other_master;
    int other_slave;
    (void)master;
    CHECK_OK(ioctl(slave, TIOCSCTTY, 0));
    CHECK_OK(ioctl(slave, TIOCSCTTY, 0));
    guest_pty(&other_master, &other_slave);
    CHECK_ERRNO(ioctl(other_slave, TIOCSCTTY, 0), EPERM);
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_OK(setsid());
        CHECK_ERRNO(ioctl(slave, TIOCSCTTY, 0), EPERM); /* taken by another session */
        CHECK_OK(ioctl(other_slave, TIOCSCTTY, 0));
        _exit(0);
    }
    CHECK_CHILD_OK(child);
}

TEST_CASE(one_terminal_one_session)
{
    in_child(twice);
}

static void inherited(int master, int slave)
{
    (void)master;
    CHECK_OK(ioctl(slave, TIOCSCTTY, 0));
    pid_t child = guest_fork();
    if (child == 0) {
        int tty = (int)CHECK_OK(open("/dev/tty", O_RDWR));
        CHECK_EQ(tcgetsid(tty), getppid());
        CHECK_OK(ioctl(tty, TIOCNOTTY));
        CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
        _exit(0);
    }
    CHECK_CHILD_OK(child);
    CHECK_OK(open("/dev/tty", O_RDWR));
}

TEST_CASE(inherited_by_fork_and_given_up)
{
    in_child(inherited);
}
