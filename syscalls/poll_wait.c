/*
 * poll_wait.c: see poll_wait.h. The first look adds no entries: most polls are ready at once.
 * Linux: do_poll, do_select.
 */
#include "syscalls/poll_wait.h"

#include <errno.h>
#include <stdlib.h>

#include "sentry/core/clock.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/file.h"

int poll_set_init(struct poll_set *set, uint32_t count)
{
    set->count = 0;
    set->items = calloc(count > 0 ? count : 1, sizeof(*set->items));
    if (!set->items) {
        return -ENOMEM;
    }
    set->count = count;
    return 0;
}

static void remove_entries(struct poll_set *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        wait_queue_remove(&set->items[i].entry);
    }
}

void poll_set_fini(struct poll_set *set)
{
    remove_entries(set);
    for (uint32_t i = 0; i < set->count; i++) {
        file_unref(set->items[i].file);
    }
    free(set->items);
    set->items = NULL;
    set->count = 0;
}

static void add_entries(struct poll_set *set, struct task *task)
{
    for (uint32_t i = 0; i < set->count; i++) {
        struct poll_item *item = &set->items[i];
        struct wait_queue *queue = item->file ? file_wait_queue(item->file) : NULL;
        if (queue) {
            item->entry.events = item->events | EPOLLERR | EPOLLHUP;
            item->entry.wake = wait_wake_sleeper;
            item->entry.owner = &task->sleeper;
            wait_queue_add(queue, &item->entry);
        }
    }
}

static bool look(struct poll_set *set)
{
    bool found = false;
    for (uint32_t i = 0; i < set->count; i++) {
        struct poll_item *item = &set->items[i];
        item->ready = 0;
        if (item->file) {
            item->ready = file_poll(item->file) & (item->events | EPOLLERR | EPOLLHUP);
            found = found || item->ready != 0;
        }
    }
    return found;
}

int poll_set_wait(struct poll_set *set, struct task *task, bool some_ready, uint64_t deadline_ns)
{
    if (look(set) || some_ready) {
        return 0;
    }
    if (deadline_ns == 0) {
        return task_signal_pending(task) ? -ERESTARTNOHAND : 0;
    }
    int error = 0;
    task_sleep_prepare();
    add_entries(set, task);
    while (!look(set)) {
        if (error < 0) {
            break; /* the last look after the deadline or a signal found nothing either */
        }
        error = task_sleep(deadline_ns);
        task_sleep_prepare();
    }
    remove_entries(set);
    bool found = false;
    for (uint32_t i = 0; i < set->count; i++) {
        found = found || set->items[i].ready != 0;
    }
    return !found && error < 0 && error != -ETIMEDOUT ? -ERESTARTNOHAND : 0;
}
