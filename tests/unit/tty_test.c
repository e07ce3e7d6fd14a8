/* tty_test.c: the line discipline, both ends of a pair, job control with a made-up kernel. */
#include <asm/termios.h>

#include "tests/unit/io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "sentry/core/clock.h"
#include "sentry/core/current.h"
#include "sentry/core/restart.h"
#include "sentry/core/timer.h"
#include "sentry/fs/dev/tty_hooks.h"
#include "sentry/fs/dev/tty_internal.h"

static struct file *master, *slave;
static struct tty *session_tty_now;
static int my_group = 10, signal_sent, signal_to;

static int hook_session(void)
{
    return 10;
}
static int hook_group(void)
{
    return my_group;
}
static bool hook_leader(void)
{
    return true;
}
static struct tty *hook_session_tty(void)
{
    return session_tty_now ? tty_ref(session_tty_now) : NULL;
}
static void hook_take(struct tty *tty)
{
    session_tty_now = tty;
}
static bool hook_drop(int sid, struct tty *tty)
{
    (void)sid;
    bool had = session_tty_now == tty;
    session_tty_now = NULL;
    return had;
}
static int hook_group_session(int pgid)
{
    return pgid == 99 ? -1 : pgid == 50 ? 50 : 10;
}
static bool hook_no(int signo)
{
    (void)signo;
    return false;
}
static void hook_signal(int id, int signo)
{
    signal_to = id;
    signal_sent = signo;
}

static int setup(void **state)
{
    (void)state;
    unsigned index = 0;
    int zero = 0, number = -1;
    struct inode *inode = NULL;
    struct file *made;
    /* Files on the pair's own node stand in for opens by name. */
    assert_int_equal(file_new_anon(NULL, S_IFCHR, FILE_READ | FILE_WRITE, O_RDWR, NULL, &made), 0);
    inode = made->inode;
    assert_int_equal(file_new(inode, NULL, NULL, FILE_READ | FILE_WRITE, O_RDWR, NULL, &master), 0);
    assert_int_equal(file_new(inode, NULL, NULL, FILE_READ | FILE_WRITE, O_RDWR, NULL, &slave), 0);
    file_unref(made);
    assert_int_equal(pty_open_master(master), 0);
    assert_int_equal(io_ioctl(master, TIOCGPTN, &number), 0);
    index = (unsigned)number;
    assert_int_equal(pty_open_slave(slave, index), -EIO); /* locked */
    assert_int_equal(io_ioctl(master, TIOCSPTLCK, &zero), 0);
    my_group = 10;
    assert_int_equal(pty_open_slave(slave, index), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    file_unref(slave);
    file_unref(master);
    assert_null(session_tty_now);
    unsigned index;
    assert_false(pty_next(0, &index));
    return 0;
}

static void set_modes(unsigned lflag_on, unsigned lflag_off, unsigned char min, unsigned char time)
{
    struct termios termios;
    assert_int_equal(io_ioctl(slave, TCGETS, &termios), 0);
    termios.c_lflag = (termios.c_lflag | lflag_on) & ~lflag_off;
    termios.c_cc[VMIN] = min;
    termios.c_cc[VTIME] = time;
    assert_int_equal(io_ioctl(slave, TCSETS, &termios), 0);
}

static void test_canonical(void **state)
{
    (void)state;
    char buffer[16];
    assert_writes(master, "helo");
    assert_int_equal(io_read(slave, buffer, 16), -EAGAIN);
    assert_int_equal(file_poll(slave), EPOLLOUT | EPOLLWRNORM);
    assert_writes(master, "\177lo\r");
    assert_int_equal(file_poll(slave) & EPOLLIN, EPOLLIN);
    assert_reads(master, "helo\b \blo\r\n");
    assert_int_equal(io_read(slave, buffer, 3), 3);
    assert_reads(slave, "lo\n");
    assert_writes(master, "foo bar\027\027x\025ok\n");
    assert_reads(slave, "ok\n");
    assert_writes(master, "\004");
    assert_int_equal(io_read(slave, buffer, 16), 0);
    assert_writes(master, "ab\004");
    assert_int_equal(io_read(slave, buffer, 2), 2); /* the EOF goes with them */
    assert_int_equal(io_read(slave, buffer, 2), -EAGAIN);
    assert_writes(master, "a\026\003b\n"); /* quoted */
    assert_reads(slave, "a\003b\n");
    assert_writes(master, "one\ntwo\n");
    assert_reads(slave, "one\n");
    assert_reads(slave, "two\n");
    while (io_read(master, buffer, 16) > 0) {
    }
    assert_writes(slave, "x\ty\n");
    assert_reads(master, "x\ty\r\n");
    assert_writes(master, "\001");
    assert_reads(master, "^A");
    assert_writes(master, "\177");
    assert_reads(master, "\b \b\b \b");
    assert_writes(master, "a\tb\177\177");
    assert_reads(master, "a\tb\b \b\b\b\b\b\b\b\b");
    assert_writes(master, "\025");
    assert_reads(master, "\b \b");
    assert_writes(master, "ab\022");
    assert_reads(master, "ab^R\r\nab");
    assert_writes(master, "\025a\026\003b\n");
    assert_reads(master, "\b \b\b \ba^\b^Cb\r\n");
    assert_reads(slave, "a\003b\n");
    /* A line too long keeps its end. */
    char big[5000];
    memset(big, 'z', sizeof(big));
    assert_int_equal(io_write(master, big, sizeof(big)), 5000);
    assert_writes(master, "\n");
    assert_int_equal(io_read(slave, big, sizeof(big)), 4096);
    assert_int_equal(big[4095], '\n');
}

static void test_raw(void **state)
{
    (void)state;
    char buffer[16];
    set_modes(0, ICANON | ECHO, 1, 0);
    assert_writes(master, "a");
    assert_reads(slave, "a");
    assert_int_equal(io_read(master, buffer, 16), -EAGAIN);
    set_modes(0, 0, 3, 0);
    assert_writes(master, "ab");
    assert_int_equal(file_poll(slave) & EPOLLIN, 0);
    assert_int_equal(io_read(slave, buffer, 16), -EAGAIN);
    assert_int_equal(io_read(slave, buffer, 2), 2);
    assert_writes(master, "abc");
    assert_reads(slave, "abc");
    set_modes(0, 0, 0, 0);
    assert_int_equal(io_read(slave, buffer, 16), 0);
    set_modes(0, 0, 0, 1); /* 100 ms */
    struct sleeper sleeper;
    struct wait_entry entry = {.events = EPOLLIN, .wake = wait_wake_sleeper, .owner = &sleeper};
    sleeper_init(&sleeper);
    sleeper_prepare(&sleeper);
    wait_queue_add(file_wait_queue(slave), &entry);
    assert_int_equal(io_read(slave, buffer, 16), -EAGAIN);
    assert_true(sleeper_wait(&sleeper, clock_monotonic_ns() + 5 * NSEC_PER_SEC));
    wait_queue_remove(&entry);
    assert_int_equal(io_read(slave, buffer, 16), 0);
    /* Bytes of a raw mode become a line when the mode changes. */
    assert_writes(master, "xy");
    set_modes(ICANON, 0, 1, 0);
    assert_reads(slave, "xy");
    int count = -1;
    assert_writes(master, "xyz\n12");
    assert_int_equal(io_ioctl(slave, FIONREAD, &count), 0);
    assert_int_equal(count, 4);
    assert_int_equal(io_ioctl(slave, TCFLSH, (void *)TCIFLUSH), 0);
    assert_int_equal(io_read(slave, buffer, 16), -EAGAIN);
}

static void test_signals(void **state)
{
    (void)state;
    char buffer[64];
    int group = 10, got = 0;
    struct winsize size = {24, 80, 0, 0};
    assert_ptr_equal(session_tty_now, ((struct tty_slave *)slave->private_data)->tty);
    assert_int_equal(io_ioctl(slave, TIOCGPGRP, &got), 0);
    assert_int_equal(got, 10);
    assert_writes(master, "abc\003");
    assert_int_equal(signal_sent, SIGINT);
    assert_int_equal(signal_to, 10);
    assert_reads(master, "^C"); /* what was typed and echoed before is flushed */
    assert_writes(master, "d\n");
    assert_reads(slave, "d\n");
    while (io_read(master, buffer, 64) > 0) {
    }
    assert_int_equal(io_ioctl(master, TIOCSWINSZ, &size), 0);
    assert_int_equal(signal_sent, SIGWINCH);
    signal_sent = 0;
    assert_int_equal(io_ioctl(master, TIOCSWINSZ, &size), 0);
    assert_int_equal(signal_sent, 0);
    /* Flow control. */
    assert_writes(master, "\023");
    assert_int_equal(io_write(slave, "x", 1), -EAGAIN);
    assert_writes(master, "\021");
    assert_writes(slave, "x");
    assert_reads(master, "x");
    /* In the background. */
    my_group = 11;
    assert_int_equal(io_read(slave, buffer, 1), -ERESTARTSYS);
    assert_int_equal(signal_sent, SIGTTIN);
    assert_int_equal(signal_to, 11);
    assert_writes(slave, "y");
    assert_int_equal(io_ioctl(slave, TIOCSPGRP, &group), -ERESTARTSYS);
    assert_int_equal(signal_sent, SIGTTOU);
    my_group = 10;
    set_modes(TOSTOP, 0, 1, 0);
    my_group = 11;
    assert_int_equal(io_write(slave, "y", 1), -ERESTARTSYS);
    my_group = 10;
    group = 99;
    assert_int_equal(io_ioctl(slave, TIOCSPGRP, &group), -ESRCH);
    group = 50;
    assert_int_equal(io_ioctl(slave, TIOCSPGRP, &group), -EPERM);
    group = 12;
    assert_int_equal(io_ioctl(slave, TIOCSPGRP, &group), 0);
    assert_int_equal(io_ioctl(slave, TIOCSTI, "x"), -EIO);
}

static void test_ends(void **state)
{
    (void)state;
    char buffer[16];
    int on = 1, number;
    assert_int_equal(io_ioctl(master, TIOCPKT, &on), 0);
    assert_writes(slave, "hi");
    assert_int_equal(io_read(master, buffer, 16), 3);
    assert_memory_equal(buffer, "\0hi", 3);
    assert_int_equal(io_ioctl(slave, TCFLSH, (void *)TCOFLUSH), 0);
    assert_int_equal(file_poll(master) & EPOLLPRI, EPOLLPRI);
    assert_int_equal(io_read(master, buffer, 16), 1);
    assert_int_equal(buffer[0], TIOCPKT_FLUSHWRITE);
    assert_writes(master, "\023");
    assert_int_equal(io_read(master, buffer, 16), 1);
    assert_int_equal(buffer[0], TIOCPKT_STOP);
    assert_writes(master, "\021");
    assert_int_equal(io_read(master, buffer, 16), 1);
    assert_int_equal(buffer[0], TIOCPKT_START);
    assert_writes(master, "q\003");
    assert_int_equal(io_read(master, buffer, 16), 1);
    assert_int_equal(buffer[0], TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE);
    assert_int_equal(io_read(master, buffer, 16), 3);
    assert_memory_equal(buffer, "\0^C", 3);
    struct termios termios;
    assert_int_equal(io_ioctl(slave, TCGETS, &termios), 0);
    termios.c_iflag &= ~(unsigned)IXON;
    assert_int_equal(io_ioctl(slave, TCSETS, &termios), 0);
    assert_int_equal(io_read(master, buffer, 16), 1);
    assert_int_equal(buffer[0], TIOCPKT_NOSTOP);
    on = 0;
    assert_int_equal(io_ioctl(master, TIOCPKT, &on), 0);
    assert_int_equal(io_ioctl(master, TIOCGPTN, &number), 0);

    /* The slave closes: what it wrote is read, then EIO; a new open revives it. */
    struct file *again;
    assert_writes(slave, "bye");
    assert_int_equal(file_new(master->inode, NULL, NULL, FILE_READ | FILE_WRITE, O_RDWR | O_NOCTTY,
                              NULL, &again),
                     0);
    file_unref(slave);
    assert_reads(master, "bye");
    assert_int_equal(io_read(master, buffer, 16), -EIO);
    assert_int_equal(file_poll(master), EPOLLHUP | EPOLLOUT | EPOLLWRNORM);
    assert_writes(master, "zz");
    assert_reads(master, "zz");
    assert_int_equal(pty_open_slave(again, (unsigned)number), 0);
    slave = again;
    assert_int_equal(io_read(master, buffer, 16), -EAGAIN);

    /* The master closes: the leader hears, the slave is dead. */
    signal_sent = 0;
    file_unref(master);
    assert_int_equal(signal_sent, SIGCONT);
    assert_int_equal(io_read(slave, buffer, 16), 0);
    assert_int_equal(io_write(slave, "x", 1), -EIO);
    assert_int_equal(file_poll(slave) & EPOLLHUP, EPOLLHUP);
    assert_int_equal(io_ioctl(slave, TIOCGPGRP, &number), -EIO);
    assert_null(pty_find((unsigned)number));
    master = NULL;
}

int main(void)
{
    tty_hooks = (struct tty_hooks){
        .session = hook_session,
        .group = hook_group,
        .is_leader = hook_leader,
        .session_tty = hook_session_tty,
        .take_session = hook_take,
        .drop_session = hook_drop,
        .group_session = hook_group_session,
        .is_ignored = hook_no,
        .is_orphaned = hook_no,
        .signal_group = hook_signal,
        .signal_leader = hook_signal,
    };
    if (timer_start() != 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_canonical, setup, teardown),
        cmocka_unit_test_setup_teardown(test_raw, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
