/*
 * socket_control.h: ancillary data (cmsg) of sendmsg and recvmsg: descriptors and credentials.
 * Source: Linux net/core/scm.c; cmsg(3), unix(7).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"

struct socket_message;
struct task;

/*
 * Reads length bytes of control data at addr into message: references of the files, credentials.
 * EINVAL (malformed), EBADF, EPERM (credentials of others), ENOBUFS (too long), EFAULT, ENOMEM. On
 * failure the message holds no files.
 */
int control_copy_in(struct task *task, uint64_t addr, uint64_t length,
                    struct socket_message *message) must_check;

/*
 * Writes what message brought to the room bytes at addr: installs the files as descriptors. Takes
 * the files in every case (what does not fit is dropped, MSG_CTRUNC in message->ret_flags).
 * *ret_used: bytes written.
 */
int control_copy_out(struct task *task, uint64_t addr, uint64_t room, bool close_on_exec,
                     struct socket_message *message, uint64_t *ret_used) must_check;
/*
 * The same for families without files and credentials: message->control becomes a malloc'ed copy,
 * which the caller frees. Of what SOL_SOCKET knows, what Linux's __sock_cmsg_send takes is taken.
 */
int control_copy_in_raw(uint64_t addr, uint64_t length, struct socket_message *message) must_check;
/* Drops the files that a message holds, and what a receive brought of ancillary data. */
void control_drop_files(struct socket_message *message);
