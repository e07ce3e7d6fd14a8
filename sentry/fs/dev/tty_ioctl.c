/*
 * tty_ioctl.c: ioctls of both ends of a pair. Those of the master act on the slave's terminal.
 * Structures are copied in once and checked here; their layouts are the kernel's (asm/termbits.h).
 * Source: ioctl_tty(2), Linux drivers/tty/tty_ioctl.c, pty.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/fs/dev/tty_hooks.h"
#include "sentry/fs/dev/tty_internal.h"
#include "sentry/mm/uio.h"

static long copy_out(uint64_t address, const void *data, size_t length)
{
    struct uio uio;
    uio_init_guest(&uio, current.mm, address, length);
    ssize_t put = uio_put(&uio, data, length);
    return put == (ssize_t)length ? 0 : -EFAULT;
}

static long copy_in(uint64_t address, void *data, size_t length)
{
    struct uio uio;
    uio_init_guest(&uio, current.mm, address, length);
    ssize_t got = uio_get(&uio, data, length);
    return got == (ssize_t)length ? 0 : -EFAULT;
}

static long put_int(uint64_t address, int value)
{
    return copy_out(address, &value, sizeof(value));
}

/* --- speeds --- */

static const struct {
    uint32_t code, speed;
} speeds[] = {
    {B0, 0},           {B50, 50},         {B75, 75},         {B110, 110},         {B134, 134},
    {B150, 150},       {B200, 200},       {B300, 300},       {B600, 600},         {B1200, 1200},
    {B1800, 1800},     {B2400, 2400},     {B4800, 4800},     {B9600, 9600},       {B19200, 19200},
    {B38400, 38400},   {B57600, 57600},   {B115200, 115200}, {B230400, 230400},   {B460800, 460800},
    {B500000, 500000}, {B576000, 576000}, {B921600, 921600}, {B1000000, 1000000},
};

static uint32_t speed_of(uint32_t cflag, uint32_t given)
{
    if ((cflag & CBAUD) == BOTHER) {
        return given;
    }
    for (size_t i = 0; i < array_size(speeds); i++) {
        if (speeds[i].code == (cflag & CBAUD)) {
            return speeds[i].speed;
        }
    }
    return 38400;
}

/* --- termios --- */

enum termios_layout { LAYOUT_TERMIO, LAYOUT_TERMIOS, LAYOUT_TERMIOS2 };

static long get_termios(struct tty *tty, enum termios_layout layout, uint64_t argument)
{
    mutex_lock(&tty->lock);
    struct tty_termios now = tty->termios;
    mutex_unlock(&tty->lock);
    if (layout == LAYOUT_TERMIO) {
        struct termio old = {.c_iflag = (unsigned short)now.iflag,
                             .c_oflag = (unsigned short)now.oflag,
                             .c_cflag = (unsigned short)now.cflag,
                             .c_lflag = (unsigned short)now.lflag,
                             .c_line = now.line};
        memcpy(old.c_cc, now.cc, NCC);
        return copy_out(argument, &old, sizeof(old));
    }
    struct termios2 full = {.c_iflag = now.iflag,
                            .c_oflag = now.oflag,
                            .c_cflag = now.cflag,
                            .c_lflag = now.lflag,
                            .c_line = now.line,
                            .c_ispeed = now.ispeed,
                            .c_ospeed = now.ospeed};
    memcpy(full.c_cc, now.cc, sizeof(full.c_cc));
    return copy_out(argument, &full,
                    layout == LAYOUT_TERMIOS2 ? sizeof(struct termios2) : sizeof(struct termios));
}

static long termios_in(const struct tty_termios *now, enum termios_layout layout, uint64_t argument,
                       struct tty_termios *ret)
{
    *ret = *now;
    if (layout == LAYOUT_TERMIO) {
        struct termio old;
        long result = copy_in(argument, &old, sizeof(old));
        if (result == 0) {
            ret->iflag = (now->iflag & 0xffff0000) | old.c_iflag;
            ret->oflag = (now->oflag & 0xffff0000) | old.c_oflag;
            ret->cflag = (now->cflag & 0xffff0000) | old.c_cflag;
            ret->lflag = (now->lflag & 0xffff0000) | old.c_lflag;
            ret->line = old.c_line;
            memcpy(ret->cc, old.c_cc, NCC);
        }
        return result;
    }
    struct termios2 full = {.c_ispeed = now->ispeed, .c_ospeed = now->ospeed};
    long result =
        copy_in(argument, &full,
                layout == LAYOUT_TERMIOS2 ? sizeof(struct termios2) : sizeof(struct termios));
    if (result == 0) {
        ret->iflag = full.c_iflag;
        ret->oflag = full.c_oflag;
        ret->cflag = full.c_cflag;
        ret->lflag = full.c_lflag;
        ret->line = full.c_line;
        memcpy(ret->cc, full.c_cc, sizeof(full.c_cc));
        ret->ospeed = speed_of(full.c_cflag, full.c_ospeed);
        uint32_t input = full.c_cflag >> IBSHIFT & CBAUD;
        ret->ispeed = input == B0 ? ret->ospeed : speed_of(input, full.c_ispeed);
    }
    return result;
}

/* Packet mode tells the master when flow control by ^S and ^Q starts or stops working. */
static void packet_flow_locked(struct tty *tty, const struct tty_termios *old)
{
    const struct tty_termios *now = &tty->termios;
    if (!tty->packet) {
        return;
    }
    bool was = (old->iflag & IXON) && old->cc[VSTOP] == 19 && old->cc[VSTART] == 17;
    bool is = (now->iflag & IXON) && now->cc[VSTOP] == 19 && now->cc[VSTART] == 17;
    uint8_t status = 0;
    if (was != is) {
        tty->packet_status &= (uint8_t) ~(TIOCPKT_DOSTOP | TIOCPKT_NOSTOP);
        status = is ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP;
    }
    if ((old->lflag & EXTPROC) || (now->lflag & EXTPROC)) {
        status |= TIOCPKT_IOCTL;
    }
    if (status) {
        tty->packet_status |= status;
        pty_wake_master(tty, EPOLLPRI | EPOLLIN | EPOLLRDNORM);
    }
}

/* TCSETS*: output is already the master's, so there is nothing to wait for before a change. */
static long set_termios(struct tty *tty, enum termios_layout layout, uint64_t argument, bool flush)
{
    mutex_lock(&tty->lock);
    long result = tty_check_background_locked(tty, SIGTTOU);
    struct tty_termios old = tty->termios;
    mutex_unlock(&tty->lock);
    struct tty_termios wanted;
    if (result == 0) {
        result = termios_in(&old, layout, argument, &wanted);
    }
    if (result != 0) {
        return result;
    }
    /* Linux: pty_set_termios. */
    wanted.cflag = (wanted.cflag & ~(uint32_t)(CSIZE | PARENB)) | CS8 | CREAD;
    mutex_lock(&tty->lock);
    if (flush) {
        tty_input_flush_locked(tty);
    }
    old = tty->termios;
    tty->termios = wanted;
    packet_flow_locked(tty, &old);
    tty_input_mode_changed_locked(tty, &old);
    mutex_unlock(&tty->lock);
    return 0;
}

static long flush_queues(struct tty *tty, bool master, uint64_t argument)
{
    long result = 0;
    mutex_lock(&tty->lock);
    if (!master) {
        result = tty_check_background_locked(tty, SIGTTOU);
    }
    if (result == 0) {
        /* What the master sends is what the slave receives. */
        bool input = argument == TCIOFLUSH || argument == (master ? TCOFLUSH : TCIFLUSH);
        bool output = argument == TCIOFLUSH || argument == (master ? TCIFLUSH : TCOFLUSH);
        if (!input && !output) {
            result = -EINVAL;
        }
        if (input) {
            tty_input_flush_locked(tty);
        }
        if (output) {
            tty_output_flush_locked(tty);
        }
    }
    mutex_unlock(&tty->lock);
    return result;
}

static long flow(struct tty *tty, uint64_t argument)
{
    mutex_lock(&tty->lock);
    long result = tty_check_background_locked(tty, SIGTTOU);
    if (result == 0) {
        switch (argument) {
        case TCOOFF:
            tty_stop_locked(tty);
            break;
        case TCOON:
            tty_start_locked(tty);
            break;
        case TCIOFF:
        case TCION: {
            uint8_t c = tty->termios.cc[argument == TCIOFF ? VSTOP : VSTART];
            if (c && tty_output_put_locked(tty, &c, 1, false)) {
                pty_wake_master(tty, EPOLLIN | EPOLLRDNORM);
            }
            break;
        }
        default:
            result = -EINVAL;
            break;
        }
    }
    mutex_unlock(&tty->lock);
    return result;
}

static long send_break(struct tty *tty)
{
    mutex_lock(&tty->lock);
    long result = tty_check_background_locked(tty, SIGTTOU);
    mutex_unlock(&tty->lock);
    return result;
}

/* --- window size, queues --- */

static long window_size(struct tty *tty, bool set, uint64_t argument)
{
    struct winsize size;
    if (set) {
        long result = copy_in(argument, &size, sizeof(size));
        if (result == 0) {
            tty_set_size(tty, &size);
        }
        return result;
    }
    mutex_lock(&tty->lock);
    size = tty->size;
    mutex_unlock(&tty->lock);
    return copy_out(argument, &size, sizeof(size));
}

static long queue_size(struct tty *tty, bool input, bool master, uint64_t argument)
{
    mutex_lock(&tty->lock);
    size_t count = 0;
    if (input) {
        count = master ? tty->output_count : tty_input_available_locked(tty, false);
    }
    mutex_unlock(&tty->lock);
    /* Linux: nothing waits in a pty's own output queue; bytes are the other end's at once. */
    return put_int(argument, (int)count);
}

static long set_flag(struct tty *tty, bool *flag, uint64_t argument)
{
    int value;
    long result = copy_in(argument, &value, sizeof(value));
    if (result == 0) {
        mutex_lock(&tty->lock);
        *flag = value != 0;
        mutex_unlock(&tty->lock);
    }
    return result;
}

/* --- the master's own --- */

/* TIOCGPTPEER: a new descriptor for the slave. */
static long open_peer(struct tty *tty, uint64_t argument)
{
    struct file *file;
    char name[32];
    unsigned flags = (unsigned)argument;
    if (flags & ~(unsigned)(O_ACCMODE | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)) {
        return -EINVAL;
    }
    if (!tty_hooks.install) {
        return -ENOTTY;
    }
    snprintf(name, sizeof(name), "/dev/pts/%d", tty->index);
    struct open_request request = {.flags = flags & ~(unsigned)O_CLOEXEC};
    int result = vfs_open(NULL, name, &request, &file);
    if (result == 0 && file->ops != &tty_slave_ops) {
        file_unref(file);
        result = -EIO;
    }
    if (result != 0) {
        /* /dev/pts is not where it should be: a file without a name. */
        unsigned access = flags & O_ACCMODE;
        unsigned mode = access == O_RDONLY   ? FILE_READ
                        : access == O_WRONLY ? FILE_WRITE
                                             : FILE_READ | FILE_WRITE;
        result = file_new(tty->inode, NULL, NULL, mode | FILE_STREAM, flags & ~(unsigned)O_CLOEXEC,
                          NULL, &file);
        if (result != 0) {
            return result;
        }
        result = tty_slave_open(tty, file, true);
        if (result != 0) {
            file_unref(file);
            return result;
        }
        atomic_fetch_and(&file->flags, ~(unsigned)O_NOCTTY);
    }
    int fd = tty_hooks.install(file, (flags & O_CLOEXEC) != 0);
    if (fd < 0) {
        file_unref(file);
    }
    return fd;
}

static long master_only(struct tty *tty, unsigned command, uint64_t argument)
{
    int value;
    long result;
    switch (command) {
    case TIOCSPTLCK:
        return set_flag(tty, &tty->locked, argument);
    case TIOCGPTLCK:
        return put_int(argument, tty->locked);
    case TIOCGPTN:
        return put_int(argument, tty->index);
    case TIOCGPTPEER:
        return open_peer(tty, argument);
    case TIOCPKT:
        result = copy_in(argument, &value, sizeof(value));
        if (result == 0) {
            mutex_lock(&tty->lock);
            if (value && !tty->packet) {
                tty->packet_status = 0;
            }
            tty->packet = value != 0;
            mutex_unlock(&tty->lock);
        }
        return result;
    case TIOCGPKT:
        return put_int(argument, tty->packet);
    case TIOCSIG:
        value = (int)argument;
        if (value != SIGINT && value != SIGQUIT && value != SIGTSTP) {
            return -EINVAL;
        }
        mutex_lock(&tty->lock);
        if (tty->group != 0) {
            tty_hooks.signal_group(tty->group, value);
        }
        mutex_unlock(&tty->lock);
        return 0;
    default:
        return -ENOTTY;
    }
}

/* --- job control --- */

static long job_control(struct tty *tty, struct file *file, bool master, unsigned command,
                        uint64_t argument)
{
    int value = 0;
    long result;
    switch (command) {
    case TIOCSCTTY:
        return master ? -ENOTTY : tty_set_controlling(tty, file, argument == 1);
    case TIOCNOTTY:
        return master ? -ENOTTY : tty_drop_controlling(tty);
    case TIOCGPGRP:
        result = tty_get_group(tty, master, &value);
        return result != 0 ? result : put_int(argument, value);
    case TIOCGSID:
        result = tty_get_session(tty, master, &value);
        return result != 0 ? result : put_int(argument, value);
    case TIOCSPGRP:
        result = copy_in(argument, &value, sizeof(value));
        return result != 0 ? result : tty_set_group(tty, master, value);
    case TIOCVHANGUP:
        if (!capable(CAP_SYS_ADMIN)) {
            return -EPERM;
        }
        tty_hangup(tty);
        return 0;
    default:
        return -ENOTTY;
    }
}

static long line_number(uint64_t argument)
{
    int value;
    long result = copy_in(argument, &value, sizeof(value));
    if (result != 0) {
        return result;
    }
    return value == 0 ? 0 : -EINVAL; /* N_TTY is the only discipline */
}

long tty_ioctl(struct tty *tty, struct file *file, bool master, unsigned command, uint64_t argument)
{
    switch (command) {
    case TCGETS:
        return get_termios(tty, LAYOUT_TERMIOS, argument);
    case TCGETS2:
        return get_termios(tty, LAYOUT_TERMIOS2, argument);
    case TCGETA:
        return get_termios(tty, LAYOUT_TERMIO, argument);
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
        return set_termios(tty, LAYOUT_TERMIOS, argument, command == TCSETSF);
    case TCSETS2:
    case TCSETSW2:
    case TCSETSF2:
        return set_termios(tty, LAYOUT_TERMIOS2, argument, command == TCSETSF2);
    case TCSETA:
    case TCSETAW:
    case TCSETAF:
        return set_termios(tty, LAYOUT_TERMIO, argument, command == TCSETAF);
    case TCFLSH:
        return flush_queues(tty, master, argument);
    case TCXONC:
        return flow(tty, argument);
    case TCSBRK:
    case TCSBRKP:
    case TIOCSBRK:
    case TIOCCBRK:
        return send_break(tty);
    case TIOCGWINSZ:
    case TIOCSWINSZ:
        return window_size(tty, command == TIOCSWINSZ, argument);
    case FIONREAD:
    case TIOCOUTQ:
        return queue_size(tty, command == FIONREAD, master, argument);
    case TIOCSTI:
        /* Linux with dev.tty.legacy_tiocsti=0; typing for others is refused to everybody here. */
        return -EIO;
    case TIOCEXCL:
    case TIOCNXCL:
        mutex_lock(&tty->lock);
        tty->exclusive = command == TIOCEXCL;
        mutex_unlock(&tty->lock);
        return 0;
    case TIOCGEXCL:
        return put_int(argument, tty->exclusive);
    case TIOCGETD:
        return put_int(argument, 0);
    case TIOCSETD:
        return line_number(argument);
    case TIOCGDEV:
        return put_int(argument, PTY_SLAVE_MAJOR << 8 | tty->index);
    default:
        break;
    }
    long result = job_control(tty, file, master, command, argument);
    return result == -ENOTTY && master ? master_only(tty, command, argument) : result;
}
