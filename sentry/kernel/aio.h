/*
 * aio.h: contexts of native asynchronous I/O: completions that wait to be fetched, and polls that
 * wait for their file. Requests themselves are carried out by io_submit (syscalls/sys_aio.c), as
 * Linux does for buffered files. Source: io_submit(2), Linux fs/aio.c.
 *
 * A context belongs to a process and dies with its memory (exec, exit).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "platform/base/lock.h"
#include "platform/base/queue.h"
#include "platform/base/refcount.h"
#include "sentry/core/wait_queue.h"

struct file;
struct process;

/* struct io_event of the ABI. */
struct aio_event {
    uint64_t data, object;
    int64_t result, result2;
};

/* IOCB_CMD_POLL that waits. */
struct aio_poll {
    TAILQ_ENTRY(aio_poll) link;
    struct file *file;   /* reference */
    struct file *notify; /* the eventfd to be told; reference or NULL */
    uint32_t events;
    uint64_t data, object;
};

struct aio_context {
    struct refcount ref;
    TAILQ_ENTRY(aio_context) link; /* in the list of all */
    const struct process *process; /* borrowed: the context goes first */
    uint64_t id;                   /* the address of its page in the guest */
    struct mutex lock;             /* RANK_OBJECT; guards all below */
    uint32_t capacity, head, count, pending;
    TAILQ_HEAD(aio_polls, aio_poll) polls; /* pending of them */
    struct aio_event *events;              /* a ring */
    struct wait_queue queue;               /* woken by a completion */
    bool dead;
};

/* Requests that all contexts may hold (/proc/sys/fs/aio-max-nr), and what they do. */
#define AIO_MAX_REQUESTS 65536
uint64_t aio_reserved(void);

/* A context for that many requests, known by id. -EAGAIN: beyond AIO_MAX_REQUESTS; -ENOMEM. */
int aio_context_new(const struct process *process, uint64_t id, uint32_t capacity) must_check;
/* The process's context: a reference, or NULL. */
struct aio_context *aio_context_find(const struct process *process, uint64_t id);
struct aio_context *aio_context_unref(struct aio_context *context);
/* Takes it from the process; who waits for it is told. False: another thread did. */
bool aio_context_destroy(struct aio_context *context);
/* exec and exit. */
void aio_drop_process(const struct process *process);

/* Is there room for one more request? */
bool aio_has_room(struct aio_context *context);
/* A request is done. */
void aio_complete(struct aio_context *context, const struct aio_event *event);
/* The oldest completion. False: there is none. */
bool aio_take(struct aio_context *context, struct aio_event *ret_event);
/* A poll waits; takes it. */
void aio_add_poll(struct aio_context *context, struct aio_poll *poll);
void aio_poll_free(struct aio_poll *poll);
/* Takes out a waiting poll: the one for object, or (object 0) one whose file is ready, which
 * *ret_ready then tells. The caller completes and frees it. NULL: none. */
struct aio_poll *aio_take_poll(struct aio_context *context, uint64_t object, uint32_t *ret_ready);
