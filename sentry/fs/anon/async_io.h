/*
 * async_io.h: O_ASYNC: a signal to a file's owner when it becomes ready. Source: fcntl(2) F_SETOWN,
 * F_SETSIG; Linux fs/fcntl.c (fasync, send_sigio).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"

struct file;

/*
 * Turns signals for file on or off; fd is what si_fd will say. Owner and signal number are those of
 * the file (owner_type, owner_id, owner_signal) at the time of the event. Files that are neither
 * pipes, sockets nor character devices never send. -ENOMEM, -EAGAIN (no thread).
 */
int async_io_set(struct file *file, int fd, bool on) must_check;
/* A socket got an owner: SIGURG is sent when out-of-band data arrives, also without O_ASYNC. Other
 * files: nothing. -ENOMEM, -EAGAIN. */
int async_io_set_urgent(struct file *file) must_check;
/* Sends the file's signal now: code is POLL_MSG and the like, band what si_band says. Takes
 * kernel_lock. */
void async_io_send(struct file *file, int fd, int code, uint32_t band);
