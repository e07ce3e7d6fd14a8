/*
 * tty_line.c: the line discipline: typed characters become lines, signals and echo; reads take
 * them.
 *
 * input is a ring indexed by counters that only grow (modulo the size). line_ends marks the
 * positions that end a line; an end-of-file character is stored as a marked DISABLED byte. Source:
 * Linux drivers/tty/n_tty.c, whose function names the comments give.
 */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/clock.h"
#include "sentry/fs/dev/tty_hooks.h"
#include "sentry/fs/dev/tty_internal.h"
#include "sentry/mm/uio.h"

#define DISABLED 0 /* _POSIX_VDISABLE */

static uint8_t *byte_at(const struct tty *tty, size_t position)
{
    return &tty->input[position % TTY_INPUT_SIZE];
}

static bool is_line_end(const struct tty *tty, size_t position)
{
    size_t i = position % TTY_INPUT_SIZE;
    return (tty->line_ends[i / 8] >> (i % 8) & 1) != 0;
}

static void set_line_end(struct tty *tty, size_t position, bool on)
{
    size_t i = position % TTY_INPUT_SIZE;
    uint8_t bit = (uint8_t)(1U << (i % 8));
    tty->line_ends[i / 8] =
        (uint8_t)(on ? tty->line_ends[i / 8] | bit : tty->line_ends[i / 8] & ~bit);
}

static size_t count_of(const struct tty *tty)
{
    return tty->read_head - tty->read_tail;
}

int tty_input_prepare_locked(struct tty *tty)
{
    if (!tty->input) {
        tty->input = malloc(TTY_INPUT_SIZE);
    }
    return tty->input ? 0 : -ENOMEM;
}

size_t tty_input_room_locked(const struct tty *tty)
{
    size_t room = TTY_INPUT_SIZE - 1 - count_of(tty);
    if (I_FLAG(tty, PARMRK)) {
        room /= 3;
    }
    /* Linux: a line that is too long is taken and its excess dropped, so that its end can come. */
    if (room == 0 && L_FLAG(tty, ICANON) && tty->canon_head == tty->read_tail) {
        room = 1;
    }
    return room;
}

static void put(struct tty *tty, uint8_t c)
{
    if (count_of(tty) < TTY_INPUT_SIZE) {
        *byte_at(tty, tty->read_head) = c;
        tty->read_head++;
    }
}

static void wake_reader(struct tty *tty)
{
    pty_wake_slave(tty, EPOLLIN | EPOLLRDNORM);
}

void tty_input_flush_locked(struct tty *tty)
{
    tty->read_head = tty->read_tail = tty->canon_head = tty->line_start = 0;
    memset(tty->line_ends, 0, sizeof(tty->line_ends));
    tty->lnext = tty->erasing = tty->push = false;
    if (tty->packet) {
        tty->packet_status |= TIOCPKT_FLUSHREAD;
    }
    pty_wake_master(tty, EPOLLOUT | EPOLLWRNORM | (tty->packet ? EPOLLPRI | EPOLLIN : 0));
}

/* --- erasing --- */

static bool is_continuation(const struct tty *tty, uint8_t c)
{
    return I_FLAG(tty, IUTF8) && (c & 0xc0) == 0x80;
}

static void finish_erasing(struct tty *tty)
{
    if (tty->erasing) {
        tty_echo_raw_locked(tty, '/');
        tty->erasing = false;
    }
}

static void rub_out(struct tty *tty)
{
    tty_echo_raw_locked(tty, '\b');
    tty_echo_raw_locked(tty, ' ');
    tty_echo_raw_locked(tty, '\b');
}

/* Goes back over a tab: to where the column was before it. */
static void rub_out_tab(struct tty *tty)
{
    size_t tail = tty->read_head;
    unsigned columns = 0;
    bool after_tab = false;
    while (tail != tty->canon_head) {
        tail--;
        uint8_t c = *byte_at(tty, tail);
        if (c == '\t') {
            after_tab = true;
            break;
        }
        if (iscntrl(c)) {
            columns += L_FLAG(tty, ECHOCTL) ? 2 : 0;
        } else {
            columns += !is_continuation(tty, c);
        }
    }
    if (!after_tab) {
        columns += tty->canon_column;
    }
    for (unsigned back = 8 - (columns & 7); back > 0; back--) {
        tty_echo_raw_locked(tty, '\b');
    }
}

static void echo_erase(struct tty *tty, size_t head, size_t count, uint8_t c, bool single)
{
    if (L_FLAG(tty, ECHOPRT)) {
        if (!tty->erasing) {
            tty_echo_raw_locked(tty, '\\');
            tty->erasing = true;
        }
        tty_echo_locked(tty, c);
        for (size_t i = 1; i < count; i++) {
            tty_echo_raw_locked(tty, *byte_at(tty, head + i));
        }
    } else if (single && !L_FLAG(tty, ECHOE)) {
        tty_echo_locked(tty, tty->termios.cc[VERASE]);
    } else if (c == '\t') {
        rub_out_tab(tty);
    } else {
        if (iscntrl(c) && L_FLAG(tty, ECHOCTL)) {
            rub_out(tty);
        }
        if (!iscntrl(c) || L_FLAG(tty, ECHOCTL)) {
            rub_out(tty);
        }
    }
}

/* Linux: eraser. key: the VERASE, VWERASE or VKILL character. */
static void erase(struct tty *tty, uint8_t key)
{
    bool single = key == tty->termios.cc[VERASE];
    bool word = !single && key == tty->termios.cc[VWERASE];
    bool seen_alnum = false;
    if (tty->read_head == tty->canon_head) {
        return;
    }
    if (!single && !word) {
        if (!L_FLAG(tty, ECHO)) {
            tty->read_head = tty->canon_head;
            return;
        }
        if (!L_FLAG(tty, ECHOK) || !L_FLAG(tty, ECHOKE) || !L_FLAG(tty, ECHOE)) {
            tty->read_head = tty->canon_head;
            finish_erasing(tty);
            tty_echo_locked(tty, tty->termios.cc[VKILL]);
            if (L_FLAG(tty, ECHOK)) {
                tty_echo_raw_locked(tty, '\n');
            }
            return;
        }
    }
    while (tty->read_head != tty->canon_head) {
        size_t head = tty->read_head;
        uint8_t c;
        do {
            head--;
            c = *byte_at(tty, head);
        } while (is_continuation(tty, c) && head != tty->canon_head);
        if (is_continuation(tty, c)) {
            break; /* the start of the character is not here */
        }
        if (word) {
            if (isalnum(c) || c == '_') {
                seen_alnum = true;
            } else if (seen_alnum) {
                break;
            }
        }
        size_t count = tty->read_head - head;
        tty->read_head = head;
        if (L_FLAG(tty, ECHO)) {
            echo_erase(tty, head, count, c, single);
        }
        if (single) {
            break;
        }
    }
    if (tty->read_head == tty->canon_head && L_FLAG(tty, ECHO)) {
        finish_erasing(tty);
    }
}

/* --- characters --- */

/* Linux: n_tty_receive_signal_char, isig. */
static void signal_char(struct tty *tty, int signo, uint8_t c)
{
    if (tty->group > 0) {
        tty_hooks.signal_group(tty->group, signo);
    }
    if (!L_FLAG(tty, NOFLSH)) {
        tty_output_flush_locked(tty);
        tty_input_flush_locked(tty);
    }
    if (I_FLAG(tty, IXON)) {
        tty_start_locked(tty);
    }
    if (L_FLAG(tty, ECHO)) {
        tty_echo_locked(tty, c);
    }
}

static void end_line(struct tty *tty, uint8_t c)
{
    if (count_of(tty) >= TTY_INPUT_SIZE) {
        return;
    }
    set_line_end(tty, tty->read_head, true);
    put(tty, c);
    tty->canon_head = tty->read_head;
    wake_reader(tty);
}

static void echo_typed(struct tty *tty, uint8_t c)
{
    finish_erasing(tty);
    if (c == '\n') {
        tty_echo_raw_locked(tty, c);
        return;
    }
    if (tty->canon_head == tty->read_head) {
        tty->canon_column = tty->column;
    }
    tty_echo_locked(tty, c);
}

static void reprint(struct tty *tty)
{
    finish_erasing(tty);
    tty_echo_locked(tty, tty->termios.cc[VREPRINT]);
    tty_echo_raw_locked(tty, '\n');
    for (size_t at = tty->canon_head; at != tty->read_head; at++) {
        tty_echo_locked(tty, *byte_at(tty, at));
    }
}

static bool is_char(const struct tty *tty, int which, uint8_t c)
{
    return c == tty->termios.cc[which] && c != DISABLED;
}

/* Canonical editing. True when the character is dealt with. */
static bool canonical_char(struct tty *tty, uint8_t c)
{
    bool extended = L_FLAG(tty, IEXTEN);
    if (is_char(tty, VERASE, c) || is_char(tty, VKILL, c) ||
        (is_char(tty, VWERASE, c) && extended)) {
        erase(tty, c);
        return true;
    }
    if (is_char(tty, VLNEXT, c) && extended) {
        tty->lnext = true;
        if (L_FLAG(tty, ECHO)) {
            finish_erasing(tty);
            if (L_FLAG(tty, ECHOCTL)) {
                tty_echo_raw_locked(tty, '^');
                tty_echo_raw_locked(tty, '\b');
            }
        }
        return true;
    }
    if (is_char(tty, VREPRINT, c) && L_FLAG(tty, ECHO) && extended) {
        reprint(tty);
        return true;
    }
    if (c == '\n') {
        if (L_FLAG(tty, ECHO) || L_FLAG(tty, ECHONL)) {
            tty_echo_raw_locked(tty, c);
        }
        end_line(tty, c);
        return true;
    }
    if (is_char(tty, VEOF, c)) {
        end_line(tty, DISABLED);
        return true;
    }
    if (is_char(tty, VEOL, c) || (is_char(tty, VEOL2, c) && extended)) {
        if (L_FLAG(tty, ECHO)) {
            echo_typed(tty, c);
        }
        end_line(tty, c);
        return true;
    }
    return false;
}

/* START, STOP and the signal characters. True when the character is dealt with. */
static bool control_char(struct tty *tty, uint8_t c)
{
    if (I_FLAG(tty, IXON)) {
        if (is_char(tty, VSTART, c)) {
            tty_start_locked(tty);
            return true;
        }
        if (is_char(tty, VSTOP, c)) {
            tty_stop_locked(tty);
            return true;
        }
    }
    if (L_FLAG(tty, ISIG)) {
        int signo = is_char(tty, VINTR, c)   ? SIGINT
                    : is_char(tty, VQUIT, c) ? SIGQUIT
                    : is_char(tty, VSUSP, c) ? SIGTSTP
                                             : 0;
        if (signo) {
            signal_char(tty, signo, c);
            return true;
        }
    }
    return false;
}

/* A plain character (or one quoted by LNEXT) into the buffer. */
static void store(struct tty *tty, uint8_t c)
{
    /* The last place is kept for the end of the line. */
    if (count_of(tty) >= TTY_INPUT_SIZE - 1) {
        if (I_FLAG(tty, IMAXBEL)) {
            tty_echo_raw_locked(tty, '\a');
        }
        return;
    }
    if (L_FLAG(tty, ECHO)) {
        echo_typed(tty, c);
    }
    if (I_FLAG(tty, PARMRK) && c == 0xff) {
        put(tty, c);
    }
    put(tty, c);
    if (!L_FLAG(tty, ICANON)) {
        if (tty->read_timing && tty->termios.cc[VMIN] > 0) {
            tty_read_timer_arm_locked(tty); /* between bytes */
        }
        wake_reader(tty);
    }
}

void tty_input_char_locked(struct tty *tty, uint8_t c)
{
    if (I_FLAG(tty, ISTRIP)) {
        c &= 0x7f;
    }
    if (I_FLAG(tty, IUCLC) && L_FLAG(tty, IEXTEN)) {
        c = (uint8_t)tolower(c);
    }
    if (L_FLAG(tty, EXTPROC)) {
        put(tty, c);
        wake_reader(tty);
        return;
    }
    if (tty->lnext) {
        tty->lnext = false;
        store(tty, c);
        return;
    }
    if (control_char(tty, c)) {
        return;
    }
    if (tty->stopped && I_FLAG(tty, IXON) && I_FLAG(tty, IXANY)) {
        tty_start_locked(tty);
    }
    if (c == '\r') {
        if (I_FLAG(tty, IGNCR)) {
            return;
        }
        if (I_FLAG(tty, ICRNL)) {
            c = '\n';
        }
    } else if (c == '\n' && I_FLAG(tty, INLCR)) {
        c = '\r';
    }
    if (L_FLAG(tty, ICANON) && canonical_char(tty, c)) {
        return;
    }
    store(tty, c);
}

/* Linux: n_tty_set_termios. */
void tty_input_mode_changed_locked(struct tty *tty, const struct tty_termios *old)
{
    if ((old->lflag ^ tty->termios.lflag) & (ICANON | EXTPROC)) {
        memset(tty->line_ends, 0, sizeof(tty->line_ends));
        tty->line_start = tty->read_tail;
        if (!L_FLAG(tty, ICANON) || count_of(tty) == 0) {
            tty->canon_head = tty->read_tail;
            tty->push = false;
        } else {
            set_line_end(tty, tty->read_head - 1, true);
            tty->canon_head = tty->read_head;
            tty->push = true;
        }
        tty->erasing = tty->lnext = false;
    }
    if (!I_FLAG(tty, IXON) && (old->iflag & IXON)) {
        tty_start_locked(tty);
    }
    wake_reader(tty);
}

/* --- reading --- */

size_t tty_input_available_locked(const struct tty *tty, bool for_poll)
{
    if (L_FLAG(tty, ICANON) && !L_FLAG(tty, EXTPROC)) {
        if (tty->canon_head == tty->read_tail) {
            return 0;
        }
        if (for_poll) {
            return 1;
        }
        size_t count = tty->canon_head - tty->read_tail;
        for (size_t at = tty->read_tail; at != tty->canon_head; at++) {
            if (is_line_end(tty, at) && *byte_at(tty, at) == DISABLED) {
                count--; /* an end of file is no byte */
            }
        }
        return count;
    }
    size_t count = count_of(tty);
    if (for_poll && !tty->termios.cc[VTIME] && tty->termios.cc[VMIN] > count) {
        return 0;
    }
    return count;
}

/* Moves count bytes from read_tail on. */
static ssize_t copy_out(struct tty *tty, struct uio *uio, size_t count)
{
    size_t done = 0;
    while (done < count) {
        size_t start = (tty->read_tail + done) % TTY_INPUT_SIZE;
        size_t part = min_of(count - done, (size_t)TTY_INPUT_SIZE - start);
        ssize_t put_count = uio_put(uio, tty->input + start, part);
        if (put_count < 0) {
            return done > 0 ? (ssize_t)done : put_count;
        }
        done += (size_t)put_count;
        if ((size_t)put_count < part) {
            break;
        }
    }
    return (ssize_t)done;
}

/* Linux: canon_copy_from_read_buf. */
static ssize_t read_line(struct tty *tty, struct uio *uio)
{
    while (tty->canon_head != tty->read_tail) {
        size_t available = tty->canon_head - tty->read_tail;
        size_t length = 0;
        bool found = false;
        while (length < available && length < uio->left + 1) {
            if (is_line_end(tty, tty->read_tail + length)) {
                found = true;
                break;
            }
            length++;
        }
        size_t end = tty->read_tail + length;
        bool eof = found && !tty->push && *byte_at(tty, end) == DISABLED;
        size_t bytes = found && !eof ? length + 1 : length;
        if (bytes > uio->left) {
            bytes = uio->left;
            found = false;
        }
        ssize_t count = bytes > 0 ? copy_out(tty, uio, bytes) : 0;
        if (count < 0) {
            return count;
        }
        if ((size_t)count < bytes) {
            tty->read_tail += (size_t)count;
            return count;
        }
        /* The line was read to its last byte by an earlier read: its end of file is not one. */
        bool again = eof && bytes == 0 && tty->read_tail != tty->line_start;
        tty->read_tail += bytes;
        if (found) {
            set_line_end(tty, end, false);
            tty->read_tail = end + 1;
            tty->line_start = tty->read_tail;
            tty->push = false;
        }
        if (!again) {
            return count;
        }
    }
    return -EAGAIN;
}

void tty_read_timer_arm_locked(struct tty *tty)
{
    tty->read_timing = true;
    uint64_t ns = (uint64_t)tty->termios.cc[VTIME] * (NSEC_PER_SEC / 10);
    timer_arm(&tty->read_timer, CLOCK_MONOTONIC, clock_monotonic_ns() + ns);
}

/* Raw reads: VMIN and VTIME as termios(3). */
static ssize_t read_raw(struct tty *tty, struct uio *uio)
{
    size_t available = count_of(tty);
    size_t minimum = min_of((uint64_t)tty->termios.cc[VMIN], uio->left);
    bool timed = tty->termios.cc[VTIME] != 0;
    bool enough = available > 0 && available >= minimum;
    if (!enough && !(minimum == 0 && !timed)) {
        bool counting = timed && (minimum == 0 || available > 0);
        if (counting && tty->read_expired) {
            tty->read_expired = false;
        } else {
            if (counting && !tty->read_timing) {
                tty_read_timer_arm_locked(tty);
            }
            return -EAGAIN;
        }
    }
    timer_disarm(&tty->read_timer);
    tty->read_timing = tty->read_expired = false;
    size_t count = min_of((uint64_t)available, uio->left);
    ssize_t done = count > 0 ? copy_out(tty, uio, count) : 0;
    if (done > 0) {
        tty->read_tail += (size_t)done;
    }
    return done;
}

ssize_t tty_input_read_locked(struct tty *tty, struct uio *uio)
{
    bool was_full = tty_input_room_locked(tty) == 0;
    ssize_t count =
        L_FLAG(tty, ICANON) && !L_FLAG(tty, EXTPROC) ? read_line(tty, uio) : read_raw(tty, uio);
    if (was_full && tty_input_room_locked(tty) > 0) {
        pty_wake_master(tty, EPOLLOUT | EPOLLWRNORM);
    }
    return count;
}
