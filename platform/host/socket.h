/*
 * socket.h: socket pairs, and messages that carry file descriptors or the sender's pid.
 *
 * All return negative errno on failure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "platform/base/compiler.h"

#define HOST_SEND_FDS_MAX 8

/* A SEQPACKET pair, close-on-exec; the kernel attaches the sender's pid to what ends[0] receives.
 */
int host_socket_pair(int ret_ends[2]) must_check;
/* Sends one byte with fds (borrowed). Never raises SIGPIPE, never blocks. */
int host_socket_send_fds(int socket, const int *fds, size_t count) must_check;
/* Waits for one message; its data is dropped, its sender's pid (by the kernel) returned. -EPIPE at
 * the end of the stream. */
int host_socket_receive_pid(int socket, pid_t *ret_pid) must_check;
/* Takes one message that is there already, and the only descriptor that must be in it (the
 * caller's, close-on-exec). -EPROTO when it has none or several, -EAGAIN when there is no message,
 * -EMFILE when we cannot have another descriptor. */
int host_socket_receive_fd(int socket, int *ret_fd) must_check;
/* Has the other end been closed by all who held it? */
bool host_socket_hung_up(int socket);
/* Have all messages sent from this end been received? */
bool host_socket_drained(int socket);
