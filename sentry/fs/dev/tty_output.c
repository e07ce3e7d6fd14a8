/* tty_output.c: what goes to the master: OPOST processing, echo, flow control. All locked. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/dev/tty_internal.h"

size_t tty_output_room_locked(const struct tty *tty)
{
    return tty->output_count < TTY_OUTPUT_SIZE ? TTY_OUTPUT_SIZE - tty->output_count : 0;
}

/* Makes room for length more bytes in the ring. */
static bool reserve(struct tty *tty, size_t length)
{
    size_t needed = tty->output_count + length;
    if (needed <= tty->output_size) {
        return true;
    }
    size_t size = max_of(tty->output_size, (size_t)1024);
    while (size < needed) {
        size *= 2;
    }
    uint8_t *ring = malloc(size);
    if (!ring) {
        return false;
    }
    size_t count = tty->output_count;
    size_t got = tty_output_take_locked(tty, ring, count);
    free(tty->output);
    tty->output = ring;
    tty->output_size = size;
    tty->output_head = 0;
    tty->output_count = got;
    return true;
}

bool tty_output_put_locked(struct tty *tty, const void *data, size_t length, bool echo)
{
    const uint8_t *bytes = data;
    size_t limit = TTY_OUTPUT_SIZE + (echo ? TTY_ECHO_SLACK : 0);
    if (tty->output_count + length > limit || !reserve(tty, length)) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        tty->output[(tty->output_head + tty->output_count) % tty->output_size] = bytes[i];
        tty->output_count++;
    }
    return true;
}

size_t tty_output_take_locked(struct tty *tty, void *data, size_t length)
{
    uint8_t *bytes = data;
    size_t count = min_of(length, tty->output_count);
    for (size_t i = 0; i < count; i++) {
        bytes[i] = tty->output[(tty->output_head + i) % tty->output_size];
    }
    if (count > 0) {
        tty->output_head = (tty->output_head + count) % tty->output_size;
        tty->output_count -= count;
    }
    if (tty->output_count == 0 && tty->output_size > 8192) {
        free(tty->output);
        tty->output = NULL;
        tty->output_size = tty->output_head = 0;
    }
    return count;
}

static bool is_continuation(const struct tty *tty, uint8_t c)
{
    return I_FLAG(tty, IUTF8) && (c & 0xc0) == 0x80;
}

/* Linux: do_output_char. */
bool tty_output_char_locked(struct tty *tty, uint8_t c, bool echo)
{
    static const char spaces[] = "        ";
    unsigned column = tty->column;
    unsigned canon_column = tty->canon_column;
    if (!O_FLAG(tty, OPOST)) {
        return tty_output_put_locked(tty, &c, 1, echo);
    }
    switch (c) {
    case '\n':
        if (O_FLAG(tty, ONLRET)) {
            column = 0;
        }
        if (O_FLAG(tty, ONLCR)) {
            if (!tty_output_put_locked(tty, "\r\n", 2, echo)) {
                return false;
            }
            tty->column = tty->canon_column = 0;
            return true;
        }
        canon_column = column;
        break;
    case '\r':
        if (O_FLAG(tty, ONOCR) && column == 0) {
            return true;
        }
        if (O_FLAG(tty, OCRNL)) {
            c = '\n';
            if (O_FLAG(tty, ONLRET)) {
                canon_column = column = 0;
            }
            break;
        }
        canon_column = column = 0;
        break;
    case '\t': {
        unsigned width = 8 - (column & 7);
        column += width;
        if ((tty->termios.oflag & TABDLY) == XTABS) {
            if (!tty_output_put_locked(tty, spaces, width, echo)) {
                return false;
            }
            tty->column = column;
            return true;
        }
        break;
    }
    case '\b':
        column -= column > 0;
        break;
    default:
        if (!iscntrl(c)) {
            if (O_FLAG(tty, OLCUC)) {
                c = (uint8_t)toupper(c);
            }
            column += !is_continuation(tty, c);
        }
        break;
    }
    if (!tty_output_put_locked(tty, &c, 1, echo)) {
        return false;
    }
    tty->column = column;
    tty->canon_column = canon_column;
    return true;
}

void tty_echo_raw_locked(struct tty *tty, uint8_t c)
{
    ignore_result(tty_output_char_locked(tty, c, true)); /* Linux: echo that overflows is lost */
}

void tty_echo_locked(struct tty *tty, uint8_t c)
{
    if (L_FLAG(tty, ECHOCTL) && iscntrl(c) && c != '\t') {
        uint8_t shown[2] = {'^', (uint8_t)(c ^ 0100)};
        if (tty_output_put_locked(tty, shown, 2, true)) {
            tty->column += 2;
        }
        return;
    }
    tty_echo_raw_locked(tty, c);
}

void tty_output_flush_locked(struct tty *tty)
{
    tty->output_count = 0;
    if (tty->packet) {
        tty->packet_status |= TIOCPKT_FLUSHWRITE;
        pty_wake_master(tty, EPOLLPRI | EPOLLIN | EPOLLRDNORM);
    }
    pty_wake_slave(tty, EPOLLOUT | EPOLLWRNORM);
}

void tty_stop_locked(struct tty *tty)
{
    if (!tty->stopped) {
        tty->stopped = true;
        if (tty->packet) {
            tty->packet_status &= (uint8_t)~TIOCPKT_START;
            tty->packet_status |= TIOCPKT_STOP;
            pty_wake_master(tty, EPOLLPRI | EPOLLIN | EPOLLRDNORM);
        }
    }
}

void tty_start_locked(struct tty *tty)
{
    if (tty->stopped) {
        tty->stopped = false;
        if (tty->packet) {
            tty->packet_status &= (uint8_t)~TIOCPKT_STOP;
            tty->packet_status |= TIOCPKT_START;
            pty_wake_master(tty, EPOLLPRI | EPOLLIN | EPOLLRDNORM);
        }
        pty_wake_slave(tty, EPOLLOUT | EPOLLWRNORM);
    }
}
