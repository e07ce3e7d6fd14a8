/*
 * trap_monitor.c: a thread that sleeps until a stub process ends. A stub holds the only other end
 * of its socket, which the host closes with the process.
 *
 * Events carry an id, not a pointer: the space may be gone by the time the event is looked at.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "platform/trap/trap_internal.h"

#define STOP_ID UINT64_MAX

struct trap_monitor {
    struct mutex lock;
    struct space_list spaces;
    uint64_t last_id;
    int epoll, stop;
    pthread_t thread;
};

static void space_ended(struct trap_monitor *monitor, uint64_t id)
{
    struct address_space *space;
    mutex_lock(&monitor->lock);
    TAILQ_FOREACH (space, &monitor->spaces, link) {
        if (space->id == id) {
            break;
        }
    }
    if (space != NULL) {
        struct platform_thread *thread;
        atomic_store(&space->stub->dead, true);
        ignore_result(epoll_ctl(monitor->epoll, EPOLL_CTL_DEL, space->stub->socket, NULL));
        TAILQ_FOREACH (thread, &space->threads, link) {
            trap_thread_lost(thread);
        }
    }
    mutex_unlock(&monitor->lock);
}

static void *run_monitor(void *argument)
{
    struct trap_monitor *monitor = argument;
    for (;;) {
        struct epoll_event events[8];
        int count = epoll_wait(monitor->epoll, events, (int)array_size(events), -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 == STOP_ID) {
                return NULL;
            }
            space_ended(monitor, events[i].data.u64);
        }
        if (count < 0 && errno != EINTR) {
            log_error("cannot watch the stub processes");
            return NULL;
        }
    }
}

int trap_monitor_new(struct trap_monitor **ret_monitor)
{
    struct trap_monitor *monitor = calloc(1, sizeof *monitor);
    if (monitor == NULL) {
        return -ENOMEM;
    }
    int rc = 0;
    mutex_init(&monitor->lock, RANK_PLATFORM);
    TAILQ_INIT(&monitor->spaces);
    monitor->epoll = epoll_create1(EPOLL_CLOEXEC);
    monitor->stop = eventfd(0, EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = STOP_ID};
    if (monitor->epoll < 0 || monitor->stop < 0 ||
        epoll_ctl(monitor->epoll, EPOLL_CTL_ADD, monitor->stop, &event) != 0) {
        rc = -errno;
    }
    if (rc == 0) {
        /* It takes none of the process's signals. */
        sigset_t all;
        sigset_t old;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        rc = -pthread_create(&monitor->thread, NULL, run_monitor, monitor);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    if (rc != 0) {
        close(monitor->epoll);
        close(monitor->stop);
        mutex_fini(&monitor->lock);
        free(monitor);
        return rc;
    }
    *ret_monitor = monitor;
    return 0;
}

void trap_monitor_free(struct trap_monitor *monitor)
{
    if (monitor == NULL) {
        return;
    }
    uint64_t one = 1;
    ignore_result(write(monitor->stop, &one, sizeof one));
    pthread_join(monitor->thread, NULL);
    close(monitor->epoll);
    close(monitor->stop);
    mutex_fini(&monitor->lock);
    free(monitor);
}

int trap_monitor_add_space(struct trap_monitor *monitor, struct address_space *space)
{
    TAILQ_INIT(&space->threads);
    mutex_lock(&monitor->lock);
    space->id = ++monitor->last_id;
    struct epoll_event event = {.events = EPOLLRDHUP, .data.u64 = space->id};
    int rc = 0;
    if (epoll_ctl(monitor->epoll, EPOLL_CTL_ADD, space->stub->socket, &event) != 0) {
        rc = -errno;
    } else {
        TAILQ_INSERT_TAIL(&monitor->spaces, space, link);
    }
    mutex_unlock(&monitor->lock);
    return rc;
}

void trap_monitor_remove_space(struct trap_monitor *monitor, struct address_space *space)
{
    mutex_lock(&monitor->lock);
    TAILQ_REMOVE(&monitor->spaces, space, link);
    ignore_result(epoll_ctl(monitor->epoll, EPOLL_CTL_DEL, space->stub->socket, NULL));
    mutex_unlock(&monitor->lock);
}

void trap_monitor_add_thread(struct trap_monitor *monitor, struct platform_thread *thread)
{
    mutex_lock(&monitor->lock);
    TAILQ_INSERT_TAIL(&thread->space->threads, thread, link);
    if (thread->space->stopping) {
        atomic_fetch_or(&thread->state, THREAD_STOP);
    }
    bool dead = atomic_load(&thread->space->stub->dead);
    mutex_unlock(&monitor->lock);
    if (dead) {
        trap_thread_lost(thread);
    }
}

bool trap_monitor_remove_thread(struct trap_monitor *monitor, struct platform_thread *thread,
                                bool keep)
{
    struct address_space *space = thread->space;
    mutex_lock(&monitor->lock);
    TAILQ_REMOVE(&space->threads, thread, link);
    bool kept = keep && space->idle_count < TRAP_IDLE_MAX;
    if (kept) {
        space->idle[space->idle_count++] = (struct trap_idle){
            .tid = thread->tid, .slot = thread->slot, .mailbox = thread->mailbox};
    }
    mutex_unlock(&monitor->lock);
    return kept;
}

bool trap_monitor_take_idle(struct trap_monitor *monitor, struct address_space *space,
                            struct trap_idle *ret_idle)
{
    mutex_lock(&monitor->lock);
    bool found = space->idle_count != 0;
    if (found) {
        *ret_idle = space->idle[--space->idle_count];
    }
    mutex_unlock(&monitor->lock);
    return found;
}

void trap_monitor_stop_threads(struct trap_monitor *monitor, struct address_space *space, bool stop)
{
    struct platform_thread *thread;
    mutex_lock(&monitor->lock);
    space->stopping = stop;
    TAILQ_FOREACH (thread, &space->threads, link) {
        if (!stop) {
            atomic_fetch_and(&thread->state, ~THREAD_STOP);
            continue;
        }
        /* Counted before the bit is seen, so that the count is never too low. */
        atomic_fetch_add(&space->stop_pending, 1);
        if ((atomic_fetch_or(&thread->state, THREAD_STOP) & THREAD_IN_GUEST) == 0) {
            atomic_fetch_sub(&space->stop_pending, 1);
        } else {
            trap_thread_kick(thread);
        }
    }
    mutex_unlock(&monitor->lock);
}
