/* mqueue_inode.h: one queue, between the files of this folder. */
#pragma once

#include "platform/base/queue.h"
#include "sentry/core/wait_queue.h"
#include "sentry/fs/mqueue/mqueue.h"
#include "sentry/vfs/inode.h"

struct process;
struct task;

struct mqueue_message {
    TAILQ_ENTRY(mqueue_message) link;
    unsigned priority;
    size_t length;
    char text[];
};

/* A task that sleeps for a message, or for room for its own. */
struct mqueue_waiter {
    TAILQ_ENTRY(mqueue_waiter) link;
    struct task *task;
    struct mqueue_message *message; /* what it got, or wants to send */
    bool done;
};
TAILQ_HEAD(mqueue_waiters, mqueue_waiter);

struct mqueue_inode {
    struct inode inode;
    TAILQ_ENTRY(mqueue_inode) link; /* under the directory's lock */
    char name[256];                 /* fixed */
    bool linked;                    /* under the directory's lock */
    uint64_t cookie;                /* position in the directory; fixed */
    uint64_t most, size;            /* messages, bytes of each; fixed */
    uint64_t charged;               /* bytes of the user's limit; fixed */
    uint32_t owner;                 /* who is charged; fixed */

    struct mutex lock; /* RANK_OBJECT */
    /* under lock */
    TAILQ_HEAD(mqueue_message_list, mqueue_message) messages; /* highest priority first */
    uint64_t count, bytes;
    struct mqueue_waiters senders, receivers;
    struct process *notified; /* reference; NULL: nobody */
    struct mqueue_notification notification;

    struct wait_queue queue; /* poll */
};

static inline struct mqueue_inode *mqueue_of(struct inode *inode)
{
    return container_of(inode, struct mqueue_inode, inode);
}

extern const struct file_ops mqueue_file_ops;

/* mqueue_queue.c */
void mqueue_queue_init(struct mqueue_inode *queue);
void mqueue_queue_fini(struct mqueue_inode *queue);
