/*
 * pty.c: pseudo-terminal pairs: their table, the master's file, and /dev/tty, /dev/console.
 *
 * pairs_lock guards the table; it is innermost but for reference counts. The table's reference
 * keeps a pair until its master closes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/dev/tty_hooks.h"
#include "sentry/fs/dev/tty_internal.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/inode.h"

#define WRITABLE_ROOM 256

static pthread_mutex_t pairs_lock = PTHREAD_MUTEX_INITIALIZER;
static struct tty *pairs[PTY_MAX];

struct tty *tty_console;

/* --- pairs --- */

struct tty *tty_ref(struct tty *tty)
{
    refcount_get(&tty->ref);
    return tty;
}

struct tty *tty_unref(struct tty *tty)
{
    if (tty && refcount_put(&tty->ref)) {
        timer_cancel(&tty->read_timer);
        if (tty->inode) {
            inode_unref(tty->inode);
        }
        free(tty->input);
        free(tty->output);
        wait_queue_fini(&tty->slave_queue);
        wait_queue_fini(&tty->master_queue);
        mutex_fini(&tty->lock);
        free(tty);
    }
    return NULL;
}

static void read_timer_fired(struct timer *timer)
{
    struct tty *tty = container_of(timer, struct tty, read_timer);
    mutex_lock(&tty->lock);
    if (tty->read_timing) {
        tty->read_timing = false;
        tty->read_expired = true;
    }
    mutex_unlock(&tty->lock);
    wait_queue_wake(&tty->slave_queue, EPOLLIN | EPOLLRDNORM);
}

static const struct tty_termios default_termios = {
    .iflag = ICRNL | IXON,
    .oflag = OPOST | ONLCR,
    .cflag = B38400 | CS8 | CREAD,
    .lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
    .cc = {[VINTR] = 3,
           [VQUIT] = 28,
           [VERASE] = 127,
           [VKILL] = 21,
           [VEOF] = 4,
           [VMIN] = 1,
           [VSTART] = 17,
           [VSTOP] = 19,
           [VSUSP] = 26,
           [VREPRINT] = 18,
           [VDISCARD] = 15,
           [VWERASE] = 23,
           [VLNEXT] = 22},
    .ispeed = 38400,
    .ospeed = 38400,
};

int pty_new(struct tty **ret_tty)
{
    struct tty *tty = calloc(1, sizeof(*tty));
    if (!tty) {
        return -ENOMEM;
    }
    refcount_init(&tty->ref);
    mutex_init(&tty->lock, RANK_TTY);
    wait_queue_init(&tty->slave_queue);
    wait_queue_init(&tty->master_queue);
    timer_init(&tty->read_timer, read_timer_fired);
    tty->termios = default_termios;
    tty->locked = true;
    pthread_mutex_lock(&pairs_lock);
    int index = 0;
    while (index < PTY_MAX && pairs[index]) {
        index++;
    }
    if (index < PTY_MAX) {
        tty->index = index;
        pairs[index] = tty_ref(tty);
    }
    pthread_mutex_unlock(&pairs_lock);
    if (index == PTY_MAX) {
        tty_unref(tty);
        return -ENOSPC;
    }
    int result = devpts_make_inode(tty);
    if (result != 0) {
        pty_close_master(tty);
        tty_unref(tty);
        return result;
    }
    *ret_tty = tty;
    return 0;
}

struct tty *pty_find(unsigned index)
{
    struct tty *tty = NULL;
    pthread_mutex_lock(&pairs_lock);
    if (index < PTY_MAX && pairs[index]) {
        tty = tty_ref(pairs[index]);
    }
    pthread_mutex_unlock(&pairs_lock);
    return tty;
}

struct tty *pty_ref_if_alive(const struct tty *tty)
{
    struct tty *found = NULL;
    pthread_mutex_lock(&pairs_lock);
    for (unsigned i = 0; i < PTY_MAX && !found; i++) {
        if (pairs[i] == tty && tty) {
            found = tty_ref(pairs[i]);
        }
    }
    pthread_mutex_unlock(&pairs_lock);
    return found;
}

bool pty_next(unsigned index, unsigned *ret_index)
{
    pthread_mutex_lock(&pairs_lock);
    while (index < PTY_MAX && !pairs[index]) {
        index++;
    }
    pthread_mutex_unlock(&pairs_lock);
    *ret_index = index;
    return index < PTY_MAX;
}

void pty_wake_master(struct tty *tty, uint32_t events)
{
    wait_queue_wake(&tty->master_queue, events);
}

void pty_wake_slave(struct tty *tty, uint32_t events)
{
    wait_queue_wake(&tty->slave_queue, events);
}

void pty_close_master(struct tty *tty)
{
    pthread_mutex_lock(&pairs_lock);
    pairs[tty->index] = NULL;
    pthread_mutex_unlock(&pairs_lock);
    mutex_lock(&tty->lock);
    tty->master_closed = true;
    mutex_unlock(&tty->lock);
    tty_hangup(tty);
    tty_unref(tty);
}

ssize_t pty_type_locked(struct tty *tty, const uint8_t *data, size_t length)
{
    size_t done = 0;
    size_t echoed = tty->output_count;
    int result = tty_input_prepare_locked(tty);
    if (result != 0) {
        return result;
    }
    while (done < length && tty_input_room_locked(tty) > 0) {
        tty_input_char_locked(tty, data[done]);
        done++;
    }
    if (tty->output_count > echoed) {
        pty_wake_master(tty, EPOLLIN | EPOLLRDNORM);
    }
    return done > 0 ? (ssize_t)done : -EAGAIN;
}

/* --- the master's file --- */

static ssize_t master_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)offset;
    (void)flags;
    struct tty *tty = file->private_data;
    ssize_t done = 0;
    if (uio->left == 0) {
        return 0;
    }
    mutex_lock(&tty->lock);
    if (tty->packet && (tty->packet_status || tty->output_count > 0)) {
        /* Linux: n_tty_read in packet mode: a status byte alone, or 0 and data. */
        uint8_t status = tty->packet_status;
        tty->packet_status = 0;
        done = uio_put(uio, &status, 1);
        if (status || done < 0) {
            mutex_unlock(&tty->lock);
            return done;
        }
    }
    bool was_tight = tty_output_room_locked(tty) < WRITABLE_ROOM;
    bool took = false;
    while (uio->left > 0 && tty->output_count > 0) {
        uint8_t chunk[2048];
        size_t count = tty_output_take_locked(tty, chunk, min_of(uio->left, sizeof(chunk)));
        ssize_t put = uio_put(uio, chunk, count);
        took = true;
        if (put < 0) {
            done = done > 0 ? done : put;
            break;
        }
        done += put;
        if ((size_t)put < count) {
            break;
        }
    }
    if (!took && done == 0) {
        done = tty->slave_closed ? -EIO : -EAGAIN;
    }
    if (was_tight && tty_output_room_locked(tty) >= WRITABLE_ROOM) {
        pty_wake_slave(tty, EPOLLOUT | EPOLLWRNORM);
    }
    mutex_unlock(&tty->lock);
    return done;
}

static ssize_t master_write(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)offset;
    (void)flags;
    struct tty *tty = file->private_data;
    ssize_t done = 0;
    mutex_lock(&tty->lock);
    /* Linux: typing into a terminal that nobody has open is no error; the next opener reads it. */
    while (uio->left > 0) {
        uint8_t chunk[512];
        ssize_t got = uio_get(uio, chunk, min_of(uio->left, (uint64_t)sizeof(chunk)));
        if (got < 0) {
            done = done > 0 ? done : got;
            break;
        }
        ssize_t count = pty_type_locked(tty, chunk, (size_t)got);
        if (count < 0) {
            uio_rewind(uio, (uint64_t)got);
            done = done > 0 ? done : count;
            break;
        }
        done += count;
        if (count < got) {
            uio_rewind(uio, (uint64_t)(got - count));
            break;
        }
    }
    mutex_unlock(&tty->lock);
    return done;
}

static uint32_t master_poll(struct file *file)
{
    struct tty *tty = file->private_data;
    uint32_t mask = 0;
    mutex_lock_nested(&tty->lock);
    if (tty->output_count > 0) {
        mask |= EPOLLIN | EPOLLRDNORM;
    }
    if (tty->packet && tty->packet_status) {
        mask |= EPOLLPRI | EPOLLIN | EPOLLRDNORM;
    }
    if (tty->slave_closed) {
        mask |= EPOLLHUP;
    }
    if (tty_input_room_locked(tty) > 0) {
        mask |= EPOLLOUT | EPOLLWRNORM;
    }
    mutex_unlock(&tty->lock);
    return mask;
}

static struct wait_queue *master_wait_queue(struct file *file)
{
    struct tty *tty = file->private_data;
    return &tty->master_queue;
}

static long master_ioctl(struct file *file, unsigned command, uint64_t argument)
{
    return tty_ioctl(file->private_data, file, true, command, argument);
}

static void master_release(struct file *file)
{
    struct tty *tty = file->private_data;
    pty_close_master(tty);
    tty_unref(tty);
}

const struct file_ops pty_master_ops = {
    .read = master_read,
    .write = master_write,
    .poll = master_poll,
    .wait_queue = master_wait_queue,
    .ioctl = master_ioctl,
    .release = master_release,
    .anon_name = "ptmx",
};

/* --- device nodes --- */

int pty_open_master(struct file *file)
{
    struct tty *tty;
    int result = pty_new(&tty);
    if (result == 0) {
        file->mode |= FILE_STREAM;
        file->private_data = tty;
        file->ops = &pty_master_ops;
    }
    return result;
}

int pty_open_slave(struct file *file, unsigned index)
{
    struct tty *tty = pty_find(index);
    if (!tty) {
        return -ENXIO;
    }
    int result = tty_slave_open(tty, file, true);
    tty_unref(tty);
    return result;
}

int tty_open_current(struct file *file)
{
    struct tty *tty = tty_hooks.session_tty ? tty_hooks.session_tty() : NULL;
    if (!tty) {
        return -ENXIO;
    }
    int result = tty_slave_open(tty, file, false);
    tty_unref(tty);
    return result;
}

int tty_open_console(struct file *file)
{
    return tty_console ? tty_slave_open(tty_console, file, false) : -ENXIO;
}
