/*
 * pipe.h: pipes and FIFOs.
 *
 * A pipe holds a queue of chunks measured in slots (pages), as Linux's ring does: capacity,
 * PIPE_BUF atomicity and "full" mean what they mean there. Sources: pipe(7), fifo(7), fs/pipe.c,
 * fs/splice.c. A write on a blocking pipe may move only a part (the count says so): the caller
 * waits and goes on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/base/compiler.h"

struct file;

/* Registers FIFOs with the VFS. At boot. */
void pipe_init(void);

/* Both ends. flags: O_NONBLOCK, O_DIRECT (packet mode). -ENOMEM. */
int pipe_new(unsigned flags, struct file **ret_read, struct file **ret_write) must_check;
bool file_is_pipe(const struct file *file);

/* fcntl F_GETPIPE_SZ and F_SETPIPE_SZ: the capacity in bytes; EBADF: not a pipe; EPERM, EBUSY,
 * EINVAL. */
int pipe_get_size(struct file *file) must_check;
int pipe_set_size(struct file *file, uint64_t size) must_check;

/*
 * splice(2) in its three directions, and tee(2). Each moves up to length bytes and returns the
 * count; 0: end of input; -EAGAIN: nothing could be moved now (the pipe is empty or full, or the
 * file not ready). pos: position in the other file (not advanced here), or NULL for its own
 * position. EPIPE comes with SIGPIPE, as for write.
 */
ssize_t pipe_splice_from_file(struct file *pipe, struct file *from, const uint64_t *pos,
                              size_t length) must_check;
ssize_t pipe_splice_to_file(struct file *pipe, struct file *to, const uint64_t *pos,
                            size_t length) must_check;
ssize_t pipe_splice_to_pipe(struct file *from, struct file *to, size_t length) must_check;
ssize_t pipe_tee(struct file *from, struct file *to, size_t length) must_check;
