/* tty_file.c: the slave's file: opening, reading, writing, readiness. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>

#include "sentry/core/cred.h"
#include "sentry/fs/dev/tty_hooks.h"
#include "sentry/fs/dev/tty_internal.h"
#include "sentry/mm/uio.h"

#define WRITE_CHUNK   1024
#define WRITABLE_ROOM 256 /* Linux: WAKEUP_CHARS */

static struct tty_slave *slave_of(struct file *file)
{
    return file->private_data;
}

static bool is_dead_locked(const struct tty_slave *slave)
{
    return slave->hangups != slave->tty->hangups;
}

int tty_slave_open(struct tty *tty, struct file *file, bool controlling)
{
    struct tty_slave *slave = calloc(1, sizeof(*slave));
    if (!slave) {
        return -ENOMEM;
    }
    mutex_lock(&tty->lock);
    int result = tty_input_prepare_locked(tty);
    if (result == 0 && (tty->locked || tty->master_closed)) {
        result = -EIO;
    }
    if (result == 0 && tty->exclusive && !capable(CAP_SYS_ADMIN)) {
        result = -EBUSY;
    }
    if (result == 0) {
        tty->slaves++;
        tty->slave_closed = false;
        slave->tty = tty_ref(tty);
        slave->hangups = tty->hangups;
    }
    mutex_unlock(&tty->lock);
    if (result != 0) {
        free(slave);
        return result;
    }
    file->mode |= FILE_STREAM;
    file->private_data = slave;
    file->ops = &tty_slave_ops;
    if (controlling && !(atomic_load(&file->flags) & O_NOCTTY)) {
        tty_open_controlling(tty, file);
    }
    return 0;
}

static ssize_t slave_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)offset;
    (void)flags;
    struct tty_slave *slave = slave_of(file);
    struct tty *tty = slave->tty;
    ssize_t count;
    mutex_lock(&tty->lock);
    if (is_dead_locked(slave)) {
        count = 0; /* Linux: hung_up_tty_read */
    } else {
        count = tty_check_background_locked(tty, SIGTTIN);
        if (count == 0) {
            count = uio->left == 0 ? 0 : tty_input_read_locked(tty, uio);
        }
    }
    mutex_unlock(&tty->lock);
    return count;
}

/* Writes what there is room for. Returns the count; 0: no room. */
static ssize_t write_locked(struct tty *tty, struct uio *uio)
{
    ssize_t done = 0;
    while (uio->left > 0) {
        uint8_t chunk[WRITE_CHUNK];
        ssize_t got = uio_get(uio, chunk, min_of(uio->left, (uint64_t)sizeof(chunk)));
        if (got < 0) {
            return done > 0 ? done : got;
        }
        ssize_t put = 0;
        if (!O_FLAG(tty, OPOST)) {
            size_t part = min_of((size_t)got, tty_output_room_locked(tty));
            put = part > 0 && tty_output_put_locked(tty, chunk, part, false) ? (ssize_t)part : 0;
        } else {
            while (put < got && tty_output_char_locked(tty, chunk[put], false)) {
                put++;
            }
        }
        done += put;
        if (put < got) {
            uio_rewind(uio, (uint64_t)(got - put));
            break;
        }
    }
    return done;
}

static ssize_t slave_write(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)offset;
    (void)flags;
    struct tty_slave *slave = slave_of(file);
    struct tty *tty = slave->tty;
    ssize_t count = 0;
    mutex_lock(&tty->lock);
    if (is_dead_locked(slave)) {
        count = -EIO;
    } else if (L_FLAG(tty, TOSTOP)) {
        count = tty_check_background_locked(tty, SIGTTOU);
    }
    if (count == 0 && uio->left > 0) {
        count = tty->stopped ? 0 : write_locked(tty, uio);
        count = count == 0 ? -EAGAIN : count;
    }
    if (count > 0) {
        pty_wake_master(tty, EPOLLIN | EPOLLRDNORM);
    }
    mutex_unlock(&tty->lock);
    return count;
}

static uint32_t slave_poll(struct file *file)
{
    struct tty_slave *slave = slave_of(file);
    struct tty *tty = slave->tty;
    uint32_t mask = 0;
    mutex_lock_nested(&tty->lock);
    if (is_dead_locked(slave)) {
        mask = EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDNORM | EPOLLWRNORM;
    } else {
        if (tty_input_available_locked(tty, true) > 0) {
            mask |= EPOLLIN | EPOLLRDNORM;
        }
        if (!tty->stopped && tty_output_room_locked(tty) >= WRITABLE_ROOM) {
            mask |= EPOLLOUT | EPOLLWRNORM;
        }
    }
    mutex_unlock(&tty->lock);
    return mask;
}

static struct wait_queue *slave_wait_queue(struct file *file)
{
    return &slave_of(file)->tty->slave_queue;
}

static long slave_ioctl(struct file *file, unsigned command, uint64_t argument)
{
    struct tty_slave *slave = slave_of(file);
    mutex_lock(&slave->tty->lock);
    bool dead = is_dead_locked(slave);
    mutex_unlock(&slave->tty->lock);
    if (dead) {
        return command == TIOCSPGRP ? -ENOTTY : -EIO;
    }
    return tty_ioctl(slave->tty, file, false, command, argument);
}

static void slave_release(struct file *file)
{
    struct tty_slave *slave = slave_of(file);
    struct tty *tty = slave->tty;
    mutex_lock(&tty->lock);
    tty->slaves--;
    if (tty->slaves == 0) {
        tty->slave_closed = true;
        tty->exclusive = false;
        pty_wake_master(tty, EPOLLIN | EPOLLRDNORM | EPOLLHUP);
    }
    mutex_unlock(&tty->lock);
    tty_unref(tty);
    free(slave);
}

const struct file_ops tty_slave_ops = {
    .read = slave_read,
    .write = slave_write,
    .poll = slave_poll,
    .wait_queue = slave_wait_queue,
    .ioctl = slave_ioctl,
    .release = slave_release,
    .anon_name = "tty",
};
