/*
 * file_lock.h: advisory locks: POSIX record locks, open-file-description locks, flock(2).
 *
 * A request that conflicts gives -EAGAIN. A blocking caller passes a struct file_lock_wait, which
 * then stands in the table of waiters (deadlock detection among POSIX locks: -EDEADLK); it waits on
 * file_lock_queue() for any event, asks again with the same wait, and calls file_lock_wait_end at
 * the end in every case. Source: fcntl(2), flock(2), kernel fs/locks.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "platform/base/queue.h"

struct file;
struct inode;
struct text;
struct wait_queue;

enum file_lock_kind { FILE_LOCK_POSIX, FILE_LOCK_OFD, FILE_LOCK_FLOCK };

#define FILE_LOCK_MAX_END INT64_MAX

struct file_lock {
    TAILQ_ENTRY(file_lock) link;
    enum file_lock_kind kind;
    int type;           /* F_RDLCK, F_WRLCK, F_UNLCK */
    int64_t start, end; /* inclusive; end FILE_LOCK_MAX_END: to the end of the file */
    const void *owner;  /* POSIX: the descriptor table; OFD and flock: the file */
    int32_t pid;        /* as F_GETLK tells; -1 for OFD */
};

struct file_lock_wait {
    TAILQ_ENTRY(file_lock_wait) link;
    const void *owner;      /* who waits */
    const void *blocked_on; /* the owner of the lock in the way; NULL once that lock changed */
    const void *locks;      /* of which inode */
    bool queued;
};

void file_lock_wait_init(struct file_lock_wait *wait);
void file_lock_wait_end(struct file_lock_wait *wait);

/* Turns l_whence, l_start, l_len of struct flock into an inclusive range: EINVAL, EOVERFLOW. */
int file_lock_range(struct file *file, int whence, int64_t start, int64_t length,
                    int64_t *ret_start, int64_t *ret_end) must_check;
/* Sets, changes or removes. request is copied. wait NULL: does not block. EAGAIN, EDEADLK, ENOMEM,
 * EBADF (read lock without read access, write lock without write access; not for flock). */
int file_lock_set(struct file *file, const struct file_lock *request,
                  struct file_lock_wait *wait) must_check;
/* F_GETLK: *lock becomes the first lock in the way, or type F_UNLCK. */
void file_lock_test(struct file *file, struct file_lock *lock);
/* Woken whenever locks of the file's inode went. NULL: no lock was ever taken. */
struct wait_queue *file_lock_queue(struct file *file);

/* The table closed a descriptor of the file: its POSIX locks on the inode go. */
void file_locks_release_posix(struct file *file, const void *owner);
/* The file's last reference goes: its OFD and flock locks go. */
void file_locks_release_file(struct file *file);
/* Lines of /proc/pid/fdinfo/N ("lock:\t…"). */
void file_locks_show(struct file *file, struct text *text);
void file_locks_free(struct inode *inode);
