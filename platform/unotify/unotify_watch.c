/*
 * unotify_watch.c: a thread that kills guests which do not answer an interrupt. Their sentry
 * threads wait at the listener without a limit, since a limit costs as much as a tenth of a call.
 *
 * A thread is listed from its interrupt until it leaves guest mode. The lock orders the two: who
 * lists it sees it in guest mode with the interrupt, and who leaves guest mode looks afterwards.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "platform/base/lock.h"
#include "platform/host/memory.h"
#include "platform/host/process.h"
#include "platform/unotify/unotify_internal.h"

TAILQ_HEAD(watched_list, platform_thread);

struct unotify_watch {
    uint64_t limit_ns;
    struct mutex lock;
    struct watched_list threads; /* first the one whose time is up first */
    atomic_uint state;           /* futex word */
    pthread_t thread;
};

enum watch_state { WATCH_IDLE, WATCH_BUSY, WATCH_STOP };

/* Kills the processes of threads whose time is up. How long the next has, in ns; 0: there is none.
 */
static uint64_t look(struct unotify_watch *watch)
{
    struct platform_thread *thread;
    uint64_t left = 0;
    mutex_lock(&watch->lock);
    while ((thread = TAILQ_FIRST(&watch->threads)) != NULL) {
        uint64_t now = host_monotonic_ns();
        if (now < thread->deadline_ns) {
            left = thread->deadline_ns - now;
            break;
        }
        TAILQ_REMOVE(&watch->threads, thread, link);
        thread->watched = false;
        stub_kill(thread->space->stub);
    }
    if (thread == NULL) {
        unsigned int busy = WATCH_BUSY;
        ignore_result(atomic_compare_exchange_strong(&watch->state, &busy, WATCH_IDLE));
    }
    mutex_unlock(&watch->lock);
    return left;
}

static void *run_watch(void *argument)
{
    struct unotify_watch *watch = argument;
    for (;;) {
        unsigned int state = atomic_load(&watch->state);
        if (state == WATCH_STOP) {
            return NULL;
        }
        uint64_t left = state == WATCH_BUSY ? look(watch) : 0;
        if (left != 0 || state == WATCH_IDLE) {
            ignore_result(host_futex_wait(&watch->state, state, left));
        }
    }
}

int unotify_watch_new(uint64_t limit_ns, struct unotify_watch **ret_watch)
{
    struct unotify_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        return -ENOMEM;
    }
    watch->limit_ns = limit_ns;
    mutex_init(&watch->lock, RANK_PLATFORM);
    TAILQ_INIT(&watch->threads);
    /* It takes none of the process's signals. */
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&watch->thread, NULL, run_watch, watch);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        mutex_fini(&watch->lock);
        free(watch);
        return -rc;
    }
    *ret_watch = watch;
    return 0;
}

void unotify_watch_free(struct unotify_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    atomic_store(&watch->state, WATCH_STOP);
    host_futex_wake(&watch->state, 1);
    pthread_join(watch->thread, NULL);
    mutex_fini(&watch->lock);
    free(watch);
}

void unotify_watch_begin(struct unotify_watch *watch, struct platform_thread *thread)
{
    const unsigned int both = THREAD_IN_GUEST | THREAD_INTERRUPT;
    bool wake = false;
    mutex_lock(&watch->lock);
    if ((atomic_load(&thread->state) & both) == both && !thread->watched) {
        thread->watched = true;
        thread->deadline_ns = host_monotonic_ns() + watch->limit_ns;
        TAILQ_INSERT_TAIL(&watch->threads, thread, link);
        unsigned int idle = WATCH_IDLE;
        wake = atomic_compare_exchange_strong(&watch->state, &idle, WATCH_BUSY);
    }
    mutex_unlock(&watch->lock);
    if (wake) {
        host_futex_wake(&watch->state, 1);
    }
}

void unotify_watch_end(struct unotify_watch *watch, struct platform_thread *thread)
{
    mutex_lock(&watch->lock);
    if (thread->watched) {
        thread->watched = false;
        TAILQ_REMOVE(&watch->threads, thread, link);
    }
    mutex_unlock(&watch->lock);
}
