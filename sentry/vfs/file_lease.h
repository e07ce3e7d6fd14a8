/*
 * file_lease.h: leases: an open file is told before somebody else opens or truncates its inode in a
 * way that disturbs it, and has some time to give way. Source: fcntl(2) F_SETLEASE, Linux
 * fs/locks.c (__break_lease).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"

struct file;
struct inode;
struct wait_queue;

/* Not an errno: opening or truncating has to wait for a lease. Wait on lease_wait_queue() for any
 * event, until lease_deadline() at the latest, and try again. */
#define LEASE_WAIT (-600)

extern _Atomic uint64_t lease_break_time; /* seconds; 0: for ever */
/* Sends a file's signal: async_io_send. Set once at boot. */
extern void (*lease_signal)(struct file *file, int fd, int code, uint32_t band);

/* type: F_RDLCK, F_WRLCK, F_UNLCK; fd: as si_fd tells. The checks of who may are done here. */
int lease_set(struct file *file, int fd, int type) must_check;
/* What the file's lease is, or is becoming: F_RDLCK, F_WRLCK, F_UNLCK. */
int lease_get(struct file *file);
/* Somebody opens (or truncates: writes) the inode: 0, LEASE_WAIT, or -EWOULDBLOCK. */
int lease_break(struct inode *inode, bool writes, bool nonblock) must_check;
struct wait_queue *lease_wait_queue(void);
uint64_t lease_deadline(void); /* CLOCK_MONOTONIC */
/* The last reference of the file is going. */
void lease_release_file(struct file *file);
