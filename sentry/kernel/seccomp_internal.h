/* seccomp_internal.h: one filter, between the seccomp*.c files. */
#pragma once

#include <stdatomic.h>

#include "platform/base/lock.h"
#include "platform/base/queue.h"
#include "platform/base/refcount.h"
#include "sentry/core/wait_queue.h"
#include "sentry/kernel/seccomp.h"

/* A call that waits for user space's answer; on its task's stack. Under the listener's lock. */
struct seccomp_call {
    TAILQ_ENTRY(seccomp_call) link;
    struct task *task;
    uint64_t id;
    struct seccomp_data data;
    enum { SECCOMP_NEW, SECCOMP_SENT, SECCOMP_REPLIED } state;
    int64_t value;
    int32_t error;
    uint32_t flags;
};

struct seccomp_listener {
    struct mutex lock; /* RANK_OBJECT */
    TAILQ_HEAD(, seccomp_call) calls;
    uint64_t next_id;
    bool closed;
    struct wait_queue queue; /* poll, and RECV */
};

struct seccomp_filter {
    struct refcount ref;
    atomic_uint users;                 /* tasks, and newer filters that have users */
    struct seccomp_filter *previous;   /* reference; fixed */
    struct seccomp_listener *listener; /* NULL: none; fixed, lives as long as the filter */
    bool killable;                     /* WAIT_KILLABLE_RECV */
    unsigned count;
    struct sock_filter code[];
};

struct seccomp_filter *seccomp_filter_ref(struct seccomp_filter *filter);
struct seccomp_filter *seccomp_filter_unref(struct seccomp_filter *filter);

/* seccomp_bpf.c: 0 or -EINVAL; and what the program returns. */
int seccomp_bpf_check(const struct sock_filter *code, unsigned count) must_check;
uint32_t seccomp_bpf_run(const struct sock_filter *code, unsigned count,
                         const struct seccomp_data *data);

/* seccomp_notify.c */
struct seccomp_listener *seccomp_listener_new(void) must_check;
void seccomp_listener_free(struct seccomp_listener *listener);
int seccomp_listener_file(struct seccomp_filter *filter, struct file **ret_file) must_check;
/* Asks user space and waits. */
enum seccomp_decision seccomp_ask(struct seccomp_filter *filter, struct task *task,
                                  const struct seccomp_data *data, long *ret_result);
