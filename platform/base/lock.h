/*
 * lock.h: mutexes with ranks.
 *
 * Every mutex has a rank from the enum below. A thread may only take a mutex whose rank is higher
 * than the highest it holds (equal ranks only through mutex_lock_nested). Debug builds
 * (STOCKADE_DEBUG_LOCKS) check this at run time and abort on the first inversion; release builds
 * pay nothing.
 *
 * Guest-memory copies are allowed under any lock ranked below RANK_SERVICE except where said: the
 * host kernel resolves the faults of native guest memory, so a copy never re-enters the sentry.
 * RPC to the gofer is allowed only under the locks marked (rpc).
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "platform/base/compiler.h"

/* Outermost first. */
enum lock_rank {
    RANK_EXEC = 1,   /* one execve or thread-group change per process at a time */
    RANK_RENAME,     /* super: serialises cross-directory renames (rpc) */
    RANK_MOUNT,      /* the mount tree */
    RANK_FILE,       /* file: position (rpc); outside the inode, as Linux's f_pos_lock */
    RANK_INODE,      /* inode: directory contents, attributes, data (rpc); nested: parent, child,
                        then upper and lower inode of an overlay */
    RANK_EPOLL,      /* epoll instance: interest set; nested by depth */
    RANK_SOCKET,     /* socket: state, queues; nested in address order */
    RANK_PIPE,       /* pipe ring; nested in address order (tee, splice) */
    RANK_TTY,        /* terminal: line discipline, queues; nested: master and slave */
    RANK_OBJECT,     /* eventfd, timerfd, signalfd, inotify, message queues, flock tables … */
    RANK_FD_TABLE,   /* descriptor table of a process */
    RANK_MM,         /* area table of one address space; held across service requests */
    RANK_SHM,        /* System V segments: areas that come and go are counted */
    RANK_FS_CONTEXT, /* root, cwd, umask */
    RANK_FUTEX,      /* futex hash bucket (guest word is read under it); nested in address order */
    RANK_KERNEL,     /* task tree, process groups, sessions, signal state */
    RANK_TIMER,      /* timer wheel */
    RANK_WAIT_QUEUE, /* wait queue heads; nested: a queue's waker takes an epoll's own queue */
    RANK_DENTRY,     /* name cache: children tables, parents, names */
    RANK_ACCOUNT,    /* sandbox-wide limits and counters */
    RANK_SPACE,      /* platform: changes of one address space's mappings */
    RANK_SERVICE,    /* platform: one request to a stub's service thread */
    RANK_PLATFORM,   /* platform: engine tables */
    RANK_GOFER,      /* gofer connection */
    RANK_LOG,        /* log, strace and audit output */
    RANK_COUNT,
};

struct thread_annotation(capability("mutex")) mutex
{
    pthread_mutex_t host;
    enum lock_rank rank;
};

void mutex_init(struct mutex *mutex, enum lock_rank rank);
void mutex_fini(struct mutex *mutex);
void mutex_lock(struct mutex *mutex) ACQUIRES(mutex);
/* For a second mutex of a rank already held; the order is the one its enum comment states. */
void mutex_lock_nested(struct mutex *mutex) ACQUIRES(mutex);
void mutex_unlock(struct mutex *mutex) RELEASES(mutex);
/* Debug builds: aborts unless the calling thread holds the mutex. Release builds: nothing. */
void mutex_assert_held(struct mutex *mutex);
/* Debug builds: aborts when the calling thread holds any ranked mutex (before sleeping). */
void lock_assert_none_held(const char *where);

/* Locks two mutexes of one rank in address order; the same mutex twice is locked once. */
void mutex_lock_two(struct mutex *a, struct mutex *b) NO_THREAD_SAFETY_ANALYSIS;
void mutex_unlock_two(struct mutex *a, struct mutex *b) NO_THREAD_SAFETY_ANALYSIS;
