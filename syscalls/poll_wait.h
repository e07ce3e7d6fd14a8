/*
 * poll_wait.h: waiting on many files at once, for poll and select. The set holds a reference of
 * each file and, once the wait has begun, an entry in its queue.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "sentry/core/wait_queue.h"

struct file;
struct task;

struct poll_item {
    struct file *file; /* reference; NULL: nothing to wait for */
    struct wait_entry entry;
    uint32_t events; /* wanted: EPOLL* */
    uint32_t ready;  /* of those, and EPOLLERR | EPOLLHUP */
};

struct poll_set {
    struct poll_item *items;
    uint32_t count;
};

int poll_set_init(struct poll_set *set, uint32_t count) must_check; /* -ENOMEM */
void poll_set_fini(struct poll_set *set);
/*
 * Fills ready of all items. Returns 0 when something is ready, also when nothing is and the
 * monotonic deadline has passed; -ERESTARTNOHAND when a signal came first. some_ready: something
 * that needs no waiting was found already (an invalid descriptor). A deadline of 0 never sleeps.
 */
int poll_set_wait(struct poll_set *set, struct task *task, bool some_ready,
                  uint64_t deadline_ns) must_check;
