/*
 * console.c: the sandbox's own terminal on a host terminal: pair 0, whose master is two sentry
 * threads.
 *
 * The input thread reads the host and types; the output thread writes what the line discipline
 * gives. They block on the host and on the master's wait queue only, never with a lock held.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sentry/core/clock.h"
#include "sentry/fs/dev/host_stream.h"
#include "sentry/fs/dev/tty_internal.h"

#define PUMP_STACK (64 * 1024)

static int console_in = -1, console_out = -1;
static atomic_bool output_busy; /* bytes are between the terminal and the host */

/* Sleeps until the master side hears of events, or ready says so at once. */
static void wait_master(struct tty *tty, uint32_t events, bool (*ready_locked)(struct tty *tty))
{
    struct sleeper sleeper;
    struct wait_entry entry = {.events = events, .wake = wait_wake_sleeper, .owner = &sleeper};
    sleeper_init(&sleeper);
    wait_queue_add(&tty->master_queue, &entry);
    for (;;) {
        sleeper_prepare(&sleeper);
        mutex_lock(&tty->lock);
        bool ready = ready_locked(tty);
        mutex_unlock(&tty->lock);
        if (ready) {
            break;
        }
        sleeper_wait(&sleeper, SLEEP_FOREVER);
    }
    wait_queue_remove(&entry);
}

static bool has_room_locked(struct tty *tty)
{
    return tty_input_room_locked(tty) > 0;
}

static bool has_output_locked(struct tty *tty)
{
    return tty->output_count > 0;
}

static void type_all(struct tty *tty, const uint8_t *data, size_t length)
{
    while (length > 0) {
        mutex_lock(&tty->lock);
        ssize_t count = pty_type_locked(tty, data, length);
        mutex_unlock(&tty->lock);
        if (count > 0) {
            data += count;
            length -= (size_t)count;
        } else if (count == -EAGAIN) {
            wait_master(tty, EPOLLOUT, has_room_locked);
        } else {
            return; /* no memory: the bytes are lost */
        }
    }
}

static void *input_thread(void *argument)
{
    struct tty *tty = argument;
    for (;;) {
        uint8_t buffer[1024];
        const struct iovec vector = {buffer, sizeof(buffer)};
        ssize_t count = preadv2(console_in, &vector, 1, -1, 0);
        if (count > 0) {
            type_all(tty, buffer, (size_t)count);
        } else if (count == 0) {
            mutex_lock(&tty->lock);
            buffer[0] = tty->termios.cc[VEOF];
            mutex_unlock(&tty->lock);
            type_all(tty, buffer, 1);
            return NULL;
        } else if (errno == EAGAIN) {
            struct pollfd wait = {.fd = console_in, .events = POLLIN};
            poll(&wait, 1, -1);
        } else if (errno != EINTR) {
            tty_hangup(tty); /* the real terminal is gone */
            return NULL;
        }
    }
}

/* False when the host takes no more. */
static bool write_host(const uint8_t *data, size_t length)
{
    while (length > 0) {
        ssize_t count = write(console_out, data, length);
        if (count >= 0) {
            data += count;
            length -= (size_t)count;
        } else if (errno == EAGAIN) {
            struct pollfd wait = {.fd = console_out, .events = POLLOUT};
            poll(&wait, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

static void *output_thread(void *argument)
{
    struct tty *tty = argument;
    bool open = console_out >= 0;
    for (;;) {
        uint8_t buffer[4096];
        wait_master(tty, EPOLLIN, has_output_locked);
        mutex_lock(&tty->lock);
        atomic_store(&output_busy, true);
        size_t count = tty_output_take_locked(tty, buffer, sizeof(buffer));
        mutex_unlock(&tty->lock);
        pty_wake_slave(tty, EPOLLOUT | EPOLLWRNORM);
        /* After a host error, or beyond the output limit, the output goes nowhere. */
        if (open) {
            open = write_host(buffer, count) && host_stream_account(count) == 0;
        }
        atomic_store(&output_busy, false);
    }
    return NULL;
}

static int pump_start(void *(*thread_fn)(void *argument), struct tty *tty)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, thread_stack_size(PUMP_STACK));
    int result = pthread_create(&thread, &attributes, thread_fn, tty);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -result;
}

int console_start(int in_fd, int out_fd, const struct winsize *size, struct file **ret_file)
{
    struct tty *tty;
    int result = pty_new(&tty);
    if (result != 0) {
        return result;
    }
    tty->locked = false;
    tty->size = *size;
    console_in = in_fd;
    console_out = out_fd;
    char name[32] = "/dev/pts/0";
    struct open_request request = {.flags = O_RDWR | O_NOCTTY};
    result = vfs_open(NULL, name, &request, ret_file);
    if (result == 0) {
        result = pump_start(output_thread, tty);
    }
    if (result == 0 && in_fd >= 0) {
        result = pump_start(input_thread, tty);
    }
    if (result == 0) {
        tty_console = tty; /* both references stay: the threads live as long as the sandbox */
    }
    return result;
}

int console_attach(struct file *file)
{
    return tty_console ? tty_set_controlling(tty_console, file, false) : -ENXIO;
}

void tty_console_resize(const struct winsize *size)
{
    if (tty_console) {
        tty_set_size(tty_console, size);
    }
}

void console_drain(unsigned timeout_ms)
{
    uint64_t deadline = clock_monotonic_ns() + timeout_ms * 1000000ULL;
    while (tty_console && clock_monotonic_ns() < deadline) {
        mutex_lock(&tty_console->lock);
        bool idle = tty_console->output_count == 0 && !atomic_load(&output_busy);
        mutex_unlock(&tty_console->lock);
        if (idle) {
            return;
        }
        struct timespec pause = {.tv_nsec = 500000};
        nanosleep(&pause, NULL);
    }
}
