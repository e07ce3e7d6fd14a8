/*
 * memory.h: host calls on memory: anonymous files, futexes, another process's memory.
 *
 * All return negative errno on failure.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "platform/base/compiler.h"

/* A memfd of size bytes that can be sealed, close-on-exec. The caller owns the fd. */
int host_memfd_create(const char *name, uint64_t size) must_check;
/* A memfd holding a program image: executable where the kernel distinguishes, and sealed. */
int host_memfd_create_image(const char *name, const void *bytes, size_t length) must_check;
/* The same from count pieces, one behind the other; the array is used up. */
int host_memfd_create_image_pieces(const char *name, struct iovec *pieces, size_t count) must_check;

/*
 * Shared futexes. wait returns 0 when woken, -EAGAIN when *word != expected, -EINTR, -ETIMEDOUT;
 * timeout_ns 0 waits without limit. wake returns the number of sleepers woken.
 */
int host_futex_wait(atomic_uint *word, uint32_t expected, uint64_t timeout_ns) must_check;
int host_futex_wake(atomic_uint *word, int count);

/* Copies from and to another process; short counts as the kernel gives them, -EFAULT, -ESRCH. */
ssize_t host_process_read(pid_t pid, uint64_t addr, void *buffer, size_t length) must_check;
ssize_t host_process_write(pid_t pid, uint64_t addr, const void *buffer, size_t length) must_check;
