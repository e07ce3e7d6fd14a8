/*
 * mqueue.h: POSIX message queues: the queues as files of one file system, and the calls on them.
 * Sources: mq_overview(7), the man pages of the calls, Linux ipc/mqueue.c.
 */
#pragma once

#include <mqueue.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/base/compiler.h"

struct file;
struct super;

/* /proc/sys/fs/mqueue */
struct mqueue_limits {
    _Atomic uint64_t queues_max, msg_max, msgsize_max, msg_default, msgsize_default;
};
extern struct mqueue_limits mqueue_limits;

#define MQUEUE_PRIORITY_MAX  32768
#define MQUEUE_COOKIE_LENGTH 32

struct mqueue_message;
/* Text of length bytes, to be filled. NULL: no memory, or no room in the sandbox. */
struct mqueue_message *mqueue_message_new(unsigned priority, size_t length) must_check;
void mqueue_message_free(struct mqueue_message *message);
char *mqueue_message_text(struct mqueue_message *message);
size_t mqueue_message_length(const struct mqueue_message *message);
unsigned mqueue_message_priority(const struct mqueue_message *message);

/* The file system: a reference. */
int mqueue_new(struct super **ret_super) must_check;

/* name: without the slash. attr NULL: the defaults. *ret_created: the queue is a new one. */
int mqueue_open(const char *name, int flags, uint32_t mode, const struct mq_attr *attr,
                struct file **ret_file, bool *ret_created) must_check;
int mqueue_unlink(const char *name) must_check;

/* 0 when file is a queue open for reading (for writing), else -EBADF; *ret_size is the length of
 * its longest message. */
int mqueue_check(struct file *file, bool writing, size_t *ret_size) must_check;
/* Sleep, unless O_NONBLOCK, until the CLOCK_REALTIME time deadline_ns. Send takes the message on
 * success; receive gives one to the caller. -EAGAIN, -ETIMEDOUT, -ERESTARTSYS. */
int mqueue_send(struct file *file, struct mqueue_message *message, uint64_t deadline_ns) must_check;
int mqueue_receive(struct file *file, uint64_t deadline_ns,
                   struct mqueue_message **ret_message) must_check;

/* What to do when a message comes to an empty queue. */
struct mqueue_notification {
    int how, signo;      /* SIGEV_* */
    uint64_t value;      /* sigev_value */
    struct file *socket; /* SIGEV_THREAD: a netlink socket; reference */
    unsigned char cookie[MQUEUE_COOKIE_LENGTH];
};
/* NULL: no more, if it was the caller's. Takes the socket's reference in every case. -EBADF,
 * -EBUSY. */
int mqueue_notify(struct file *file, struct mqueue_notification *notification) must_check;
int mqueue_get_attr(struct file *file, struct mq_attr *ret_attr) must_check;
/* Sets O_NONBLOCK as attr->mq_flags says. */
int mqueue_set_attr(struct file *file, const struct mq_attr *attr) must_check;
