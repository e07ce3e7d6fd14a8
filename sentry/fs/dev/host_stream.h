/*
 * host_stream.h: the sandbox's inherited standard input, output and error as guest files.
 *
 * A host fd may be shared with processes outside the sandbox, so its O_NONBLOCK is never changed
 * and its position is the host's: reads, writes and lseek act on the host fd as the native program
 * would. Pipes, sockets and devices never block a sentry thread for long: one poller thread,
 * started when somebody first waits, watches all of them. SIGPIPE must be ignored in the sentry
 * process.
 */
#pragma once

#include <stdint.h>

#include "platform/base/compiler.h"

struct file;

/*
 * A guest file for host_fd, which it owns from then on (also on failure the caller keeps it). The
 * access mode is the host's; flags adds O_APPEND as the host has it. Two fds of one host object get
 * the same made-up inode number.
 */
int host_stream_new(int host_fd, struct file **ret_file) must_check;

/* After more than limit bytes were written to all host streams, exceeded is called once (from the
 * writing thread, no locks held) and further writes give EIO. 0: no limit. Set at boot. */
void host_stream_set_limit(uint64_t limit, void (*exceeded)(void));
/* Counts bytes written to the host by other means (the console). -EIO above the limit. */
int host_stream_account(uint64_t count) must_check;
/* Bytes written so far. */
uint64_t host_stream_written(void);
