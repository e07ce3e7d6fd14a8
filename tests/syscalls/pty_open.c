/*
 * pty_open.c: opening pseudo-terminals: numbers, lock, sizes of names, closing.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <termios.h>

TEST_CASE(number_and_name)
{
    int master;
    int slave;
    struct stat st;
    char name[64];
    unsigned number = ~0u;
    guest_pty(&master, &slave);
    CHECK_OK(ioctl(master, TIOCGPTN, &number));
    snprintf(name, sizeof(name), "/dev/pts/%u", number);
    CHECK_OK(stat(name, &st));
    CHECK(S_ISCHR(st.st_mode));
    CHECK_EQ(major(st.st_rdev), 136 + number / 256);
    CHECK_EQ(minor(st.st_rdev), number % 256);
    CHECK(strcmp(ptsname(master), name) == 0);
    CHECK_EQ(isatty(master), 1);
    CHECK_EQ(isatty(slave), 1);
}

TEST_CASE(locked_slave)
{
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    if (master < 0) {
        SKIP("no /dev/ptmx");
    }
    char *name = ptsname(master);
    CHECK(name);
    CHECK_ERRNO(open(name, O_RDWR | O_NOCTTY), EIO);
    int locked = -1;
    CHECK_OK(ioctl(master, TIOCGPTLCK, &locked));
    CHECK_EQ(locked, 1);
    CHECK_EQ(unlockpt(master), 0);
    CHECK_OK(ioctl(master, TIOCGPTLCK, &locked));
    CHECK_EQ(locked, 0);
    CHECK_OK(open(name, O_RDWR | O_NOCTTY));
}

TEST_CASE(name_goes_away)
{
    /* Another process may take the free number at once, so a few attempts are allowed. */
    for (int i = 0; i < 50; i++) {
        int master;
        int slave;
        guest_pty(&master, &slave);
        char *name = ptsname(master);
        CHECK_OK(close(slave));
        CHECK_OK(close(master));
        slave = open(name, O_RDWR | O_NOCTTY);
        if (slave < 0 && errno == ENOENT) {
            return;
        }
        if (slave >= 0) {
            CHECK_OK(close(slave));
        }
        guest_sleep_ms(5);
    }
    FAIL("the name stays");
}

TEST_CASE(peer_descriptor)
{
    int master;
    int slave;
    char byte = 0;
    guest_pty(&master, &slave);
    int peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
    if (peer < 0) {
        SKIP("no TIOCGPTPEER");
    }
    CHECK_EQ(write(peer, "z", 1), 1);
    CHECK_EQ(read(master, &byte, 1), 1);
    CHECK_EQ(byte, 'z');
}

TEST_CASE(slave_closed_gives_eio)
{
    int master;
    int slave;
    char byte;
    guest_pty(&master, &slave);
    CHECK_EQ(write(slave, "a", 1), 1);
    CHECK_OK(close(slave));
    CHECK_EQ(read(master, &byte, 1), 1);
    CHECK_ERRNO(read(master, &byte, 1), EIO);
    slave = (int)CHECK_OK(open(ptsname(master), O_RDWR | O_NOCTTY));
    CHECK_EQ(write(slave, "b", 1), 1);
    CHECK_EQ(read(master, &byte, 1), 1);
    CHECK_EQ(byte, 'b');
}

TEST_CASE(default_settings)
{
    int master;
    int slave;
    struct termios t;
    struct winsize size = {1, 1, 1, 1};
    guest_pty(&master, &slave);
    CHECK_OK(tcgetattr(slave, &t));
    CHECK_EQ(t.c_iflag, ICRNL | IXON);
    CHECK_EQ(t.c_oflag, OPOST | ONLCR);
    CHECK_EQ(t.c_lflag, ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN);
    CHECK_EQ(t.c_cc[VINTR], 3);
    CHECK_EQ(t.c_cc[VQUIT], 28);
    CHECK_EQ(t.c_cc[VERASE], 127);
    CHECK_EQ(t.c_cc[VKILL], 21);
    CHECK_EQ(t.c_cc[VEOF], 4);
    CHECK_EQ(t.c_cc[VSUSP], 26);
    CHECK_EQ(t.c_cc[VMIN], 1);
    CHECK_EQ(t.c_cc[VTIME], 0);
    CHECK_OK(ioctl(slave, TIOCGWINSZ, &size));
    CHECK(size.ws_row == 0 && size.ws_col == 0 && size.ws_xpixel == 0 && size.ws_ypixel == 0);
}

TEST_CASE(pairs_are_independent)
{
    int master[2];
    int slave[2];
    char byte;
    guest_pty(&master[0], &slave[0]);
    guest_pty(&master[1], &slave[1]);
    CHECK_EQ(write(slave[0], "0", 1), 1);
    CHECK_EQ(write(slave[1], "1", 1), 1);
    CHECK_EQ(read(master[1], &byte, 1), 1);
    CHECK_EQ(byte, '1');
    CHECK_EQ(read(master[0], &byte, 1), 1);
    CHECK_EQ(byte, '0');
}
