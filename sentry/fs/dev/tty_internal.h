/*
 * tty_internal.h: a terminal pair, shared by the tty files.
 *
 * tty_line.c: input characters to lines (n_tty). tty_output.c: output processing and echo.
 * tty_file.c: the slave's file. tty_ioctl.c: both ends' ioctls. tty_control.c: controlling
 * terminals, background access, hang-up. pty.c: pairs and the master's file. devpts.c: names.
 * tty_job.c: the kernel's side.
 *
 * tty->lock (RANK_TTY) guards the pair. Signals are sent under it (RANK_KERNEL is inner); wait
 * queues are woken after it is released or under it (inner too).
 */
#pragma once

#include <asm/termios.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "platform/base/lock.h"
#include "platform/base/refcount.h"
#include "sentry/core/timer.h"
#include "sentry/core/wait_queue.h"
#include "sentry/fs/dev/tty.h"
#include "sentry/vfs/file.h"

#define TTY_INPUT_SIZE  4096U  /* Linux: N_TTY_BUF_SIZE; a power of two */
#define TTY_OUTPUT_SIZE 65536U /* bytes the master has not read, at most */
#define TTY_ECHO_SLACK  4096U  /* room beyond it for echo */

struct tty_termios {
    uint32_t iflag, oflag, cflag, lflag;
    uint8_t line;
    uint8_t cc[19];
    uint32_t ispeed, ospeed;
};

struct tty {
    struct refcount ref; /* master file, slave files, a session, the table of pairs */
    int index;
    struct mutex lock; /* RANK_TTY */
    struct wait_queue slave_queue, master_queue;

    /* under lock */
    struct tty_termios termios;
    struct winsize size;
    uint32_t slaves;    /* open slave files */
    bool locked;        /* TIOCSPTLCK */
    bool exclusive;     /* TIOCEXCL */
    bool slave_closed;  /* the last slave file was closed: the master reads EIO */
    bool master_closed; /* hung up for good */
    uint64_t hangups;   /* a file opened before the last hang-up is dead */
    int session, group; /* controlled session, foreground group; 0: none */
    bool stopped;       /* output stopped by ^S or TCXONC */
    bool packet;        /* TIOCPKT */
    uint8_t packet_status;

    /* input: bytes read_tail..read_head of a ring; complete lines end at canon_head */
    uint8_t *input; /* allocated on first use */
    uint8_t line_ends[TTY_INPUT_SIZE / 8];
    size_t read_head, read_tail, canon_head, line_start;
    bool lnext, erasing, push;
    struct timer read_timer;        /* VTIME */
    bool read_timing, read_expired; /* the timer runs; it ran out */

    /* output: for the master to read */
    uint8_t *output; /* ring, grows from 0 to the limit */
    size_t output_size, output_head, output_count;
    unsigned column, canon_column;

    struct inode *inode; /* in devpts; reference */
};

/* Flag tests. */
#define I_FLAG(tty, flag) (((tty)->termios.iflag & (flag)) != 0)
#define O_FLAG(tty, flag) (((tty)->termios.oflag & (flag)) != 0)
#define L_FLAG(tty, flag) (((tty)->termios.lflag & (flag)) != 0)

struct tty *tty_ref(struct tty *tty);
struct tty *tty_unref(struct tty *tty);

/* tty_line.c. All locked. */
/* Bytes the line discipline takes now; in canonical mode without a complete line never 0. */
size_t tty_input_room_locked(const struct tty *tty);
int tty_input_prepare_locked(struct tty *tty) must_check; /* allocates; -ENOMEM */
void tty_input_char_locked(struct tty *tty, uint8_t c);
void tty_input_flush_locked(struct tty *tty);
/* The mode changed from old: makes the buffered bytes fit the new one. */
void tty_input_mode_changed_locked(struct tty *tty, const struct tty_termios *old);
/* Readable bytes (FIONREAD); for_poll: 0 unless a read would return. */
size_t tty_input_available_locked(const struct tty *tty, bool for_poll);
struct uio;
/* n_tty's read: bytes, 0 (end of file), -EAGAIN, -EFAULT. */
/* VTIME starts anew; the timer only wakes the reader, who calls again. */
void tty_read_timer_arm_locked(struct tty *tty);
ssize_t tty_input_read_locked(struct tty *tty, struct uio *uio) must_check;

/* tty_output.c. All locked. */
size_t tty_output_room_locked(const struct tty *tty);
/* Raw bytes to the master; false when there was no room or memory. */
bool tty_output_put_locked(struct tty *tty, const void *data, size_t length, bool echo);
/* One byte with OPOST processing. False: no room. */
bool tty_output_char_locked(struct tty *tty, uint8_t c, bool echo);
void tty_echo_locked(struct tty *tty, uint8_t c); /* ^X for control characters */
void tty_echo_raw_locked(struct tty *tty, uint8_t c);
size_t tty_output_take_locked(struct tty *tty, void *data, size_t length);
void tty_output_flush_locked(struct tty *tty);
void tty_stop_locked(struct tty *tty);
void tty_start_locked(struct tty *tty);

/* tty_file.c */
extern const struct file_ops tty_slave_ops;
/* One open slave file. */
struct tty_slave {
    struct tty *tty;  /* reference */
    uint64_t hangups; /* tty->hangups at open */
};
/* Opens tty's slave into file; controlling: may become the caller's terminal. Takes no reference.
 */
int tty_slave_open(struct tty *tty, struct file *file, bool controlling) must_check;

/* tty_control.c */
/* Background access: 0, -EIO, or -ERESTARTSYS after signo (SIGTTIN, SIGTTOU) went to the group. */
int tty_check_background_locked(struct tty *tty, int signo) must_check;
int tty_set_controlling(struct tty *tty, struct file *file, bool steal) must_check;
void tty_open_controlling(struct tty *tty, struct file *file);
int tty_drop_controlling(struct tty *tty) must_check; /* TIOCNOTTY */
int tty_get_group(struct tty *tty, bool master, int *ret_group) must_check;
int tty_get_session(struct tty *tty, bool master, int *ret_session) must_check;
int tty_set_group(struct tty *tty, bool master, int group) must_check;
/* The carrier is lost: the leader gets SIGHUP and SIGCONT, open slave files die. No lock held. */
void tty_hangup(struct tty *tty);
/* The leader of the controlled session exits or lets go. No lock held. */
void tty_disassociate(struct tty *tty, bool exiting);
void tty_set_size(struct tty *tty, const struct winsize *size); /* SIGWINCH when it changed */

/* tty_ioctl.c; master: the file is the master's. -ENOTTY: not known. */
long tty_ioctl(struct tty *tty, struct file *file, bool master, unsigned command,
               uint64_t argument) must_check;

/* pty.c */
extern const struct file_ops pty_master_ops;
struct tty *pty_find(unsigned index) must_check; /* a reference, or NULL */
/* A reference of tty if it is still a pair whose master is open; tty may be dangling. */
struct tty *pty_ref_if_alive(const struct tty *tty) must_check;
/* Fills next with the first pair at or after index; false: none. */
bool pty_next(unsigned index, unsigned *ret_index);
int pty_new(struct tty **ret_tty) must_check; /* two references: the table's and the caller's */
void pty_wake_master(struct tty *tty, uint32_t events);
void pty_wake_slave(struct tty *tty, uint32_t events);
/* The master is gone: the pair leaves the table and hangs up. Drops the table's reference. */
void pty_close_master(struct tty *tty);
/* Bytes typed at the terminal: the count, or -EAGAIN. */
ssize_t pty_type_locked(struct tty *tty, const uint8_t *data, size_t length) must_check;

/* devpts.c: the node of a new pair. */
int devpts_make_inode(struct tty *tty) must_check;

extern struct tty *tty_console; /* a reference; NULL: no console. Set once at boot */
