/*
 * async_io.c: see async_io.h.
 *
 * A wake runs under the file's wait queue lock, where no signal can be sent. So it only marks the
 * watch, pushes it on a lock-free stack and wakes one worker thread, which is started by the first
 * watch and sends the signals. async_lock guards which watch a file has; a watch lives while its
 * file or the stack holds it.
 */
#include "sentry/fs/anon/async_io.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/base/refcount.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/special.h"

#define WATCHED (EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLERR | EPOLLHUP | EPOLLRDNORM)

#define WORKER_STACK    (128UL * 1024)
#define CAPABILITY_KILL 5

struct async_watch {
    struct refcount ref;
    struct wait_entry entry; /* in the file's wait queue */
    struct file *file;       /* borrowed; NULL once the file is going. Under async_lock */
    int fd;
    bool io;            /* O_ASYNC: signals for every event; else for urgent data only */
    bool urgent;        /* a socket: SIGURG */
    atomic_uint events; /* that happened since the last signal */
    atomic_bool queued; /* on the stack */
    struct async_watch *next;
};

static struct mutex async_lock = {.host = PTHREAD_MUTEX_INITIALIZER, .rank = RANK_OBJECT};
static bool worker_started; /* under async_lock */
static struct sleeper worker_sleeper;
static _Atomic(struct async_watch *) stack;

static void watch_unref(struct async_watch *watch)
{
    if (refcount_put(&watch->ref)) {
        free(watch);
    }
}

static void watch_wake(struct wait_entry *entry, uint32_t events)
{
    struct async_watch *watch = entry->owner;
    atomic_fetch_or(&watch->events, events);
    if (atomic_exchange(&watch->queued, true)) {
        return;
    }
    refcount_get(&watch->ref);
    watch->next = atomic_load(&stack);
    while (!atomic_compare_exchange_weak(&stack, &watch->next, watch)) {
    }
    sleeper_wake(&worker_sleeper);
}

/* What is to be sent, taken from the file while it cannot go. */
struct notice {
    int type, id, signo;
    const struct cred *cred; /* reference: the opener's */
    siginfo_t info;
};

static void fill_info(struct notice *notice, int fd, uint32_t events)
{
    static const struct {
        uint32_t event;
        int code;
    } codes[] = {{EPOLLERR, POLL_ERR},
                 {EPOLLHUP, POLL_HUP},
                 {EPOLLPRI, POLL_PRI},
                 {EPOLLIN, POLL_IN},
                 {EPOLLOUT, POLL_OUT}};
    memset(&notice->info, 0, sizeof(notice->info));
    notice->info.si_signo = notice->signo;
    notice->info.si_code = POLL_IN;
    notice->info.si_band = (long)events;
    notice->info.si_fd = fd;
    for (size_t i = 0; i < array_size(codes); i++) {
        if ((events & codes[i].event) != 0) {
            notice->info.si_code = codes[i].code;
            break;
        }
    }
}

/* False: nobody is to be told. */
static bool address_notice(struct file *file, struct notice *notice)
{
    notice->type = __atomic_load_n(&file->owner_type, __ATOMIC_RELAXED);
    notice->id = __atomic_load_n(&file->owner_id, __ATOMIC_RELAXED);
    notice->signo = __atomic_load_n(&file->owner_signal, __ATOMIC_RELAXED);
    if (notice->id == 0) {
        return false;
    }
    notice->cred = cred_ref(file->cred);
    return true;
}

static bool take_notice(struct async_watch *watch, uint32_t events, struct notice *notice)
{
    mutex_lock(&async_lock);
    bool found = watch->file && address_notice(watch->file, notice);
    mutex_unlock(&async_lock);
    if (found) {
        fill_info(notice, watch->fd, events);
    }
    return found;
}

/* Linux: sigio_perm. */
static bool may_signal(const struct cred *cred, const struct process *target)
{
    const struct cred *other = target->leader ? target->leader->cred : NULL;
    if (!other) {
        return false;
    }
    return cred->euid == 0 || cred->euid == other->suid || cred->euid == other->uid ||
           cred->uid == other->suid || cred->uid == other->uid;
}

static void send_locked(const struct notice *notice, int plain)
{
    /* Linux: without F_SETSIG it is SIGIO (or SIGURG), and siginfo says nothing */
    const siginfo_t *info = notice->signo != 0 ? &notice->info : NULL;
    int signo = notice->signo != 0 ? notice->signo : plain;
    if (notice->type == F_OWNER_TID) {
        struct task *task = task_find_locked(notice->id);
        if (task && may_signal(notice->cred, task->process)) {
            ignore_result(signal_send_task_locked(task, signo, info));
        }
        return;
    }
    struct process *process;
    TAILQ_FOREACH (process, &all_processes, all_link) {
        bool meant = notice->type == F_OWNER_PGRP ? process->pgid == notice->id
                                                  : process->tgid == notice->id;
        if (meant && process->state == PROCESS_RUNNING && may_signal(notice->cred, process)) {
            ignore_result(signal_send_process_locked(process, signo, info));
        }
    }
}

void async_io_send(struct file *file, int fd, int code, uint32_t band)
{
    struct notice notice;
    if (!address_notice(file, &notice)) {
        return;
    }
    fill_info(&notice, fd, band);
    notice.info.si_code = code;
    mutex_lock(&kernel_lock);
    send_locked(&notice, SIGIO);
    mutex_unlock(&kernel_lock);
    cred_unref(notice.cred);
}

/* Linux: send_sigurg: SIGURG from the kernel, whatever F_SETSIG says. */
static void tell(struct async_watch *watch)
{
    uint32_t events = atomic_exchange(&watch->events, 0);
    bool urgent = watch->urgent && (events & EPOLLPRI) != 0;
    struct notice notice;
    if ((!urgent && !watch->io) || !take_notice(watch, events, &notice)) {
        return;
    }
    struct notice urgent_notice = notice;
    urgent_notice.signo = 0;
    mutex_lock(&kernel_lock);
    if (urgent) {
        send_locked(&urgent_notice, SIGURG);
    }
    if (watch->io) {
        send_locked(&notice, SIGIO);
    }
    mutex_unlock(&kernel_lock);
    cred_unref(notice.cred);
}

static void *worker(void *unused)
{
    (void)unused;
    for (;;) {
        sleeper_prepare(&worker_sleeper);
        struct async_watch *watch = atomic_exchange(&stack, NULL);
        if (!watch) {
            ignore_result(sleeper_wait(&worker_sleeper, SLEEP_FOREVER));
        }
        while (watch) {
            struct async_watch *next = watch->next;
            atomic_store(&watch->queued, false);
            tell(watch);
            watch_unref(watch);
            watch = next;
        }
    }
    return NULL;
}

static int start_worker_locked(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (worker_started) {
        return 0;
    }
    if (pthread_attr_init(&attributes) != 0) {
        return -ENOMEM;
    }
    sleeper_init(&worker_sleeper);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, thread_stack_size(WORKER_STACK));
    int result = pthread_create(&thread, &attributes, worker, NULL);
    pthread_attr_destroy(&attributes);
    worker_started = result == 0;
    return result == 0 ? 0 : -EAGAIN;
}

/* Ends the file's watch, if it has one. No wake of it runs afterwards. */
static void watch_end(struct file *file)
{
    mutex_lock(&async_lock);
    struct async_watch *watch = atomic_exchange(&file->async_watch, NULL);
    if (watch) {
        watch->file = NULL;
    }
    mutex_unlock(&async_lock);
    if (watch) {
        wait_queue_remove(&watch->entry);
        watch_unref(watch);
    }
}

static int watch_begin_locked(struct file *file, struct wait_queue *queue, int fd, bool io)
{
    if (atomic_load(&file->async_watch)) {
        return 0;
    }
    int error = start_worker_locked();
    if (error < 0) {
        return error;
    }
    struct async_watch *watch = calloc(1, sizeof(*watch));
    if (!watch) {
        return -ENOMEM;
    }
    vfs_special.async_gone = watch_end;
    refcount_init(&watch->ref);
    watch->file = file;
    watch->fd = fd;
    watch->io = io;
    watch->urgent = S_ISSOCK(file->inode->mode);
    watch->entry =
        (struct wait_entry){.events = io ? WATCHED : EPOLLPRI, .wake = watch_wake, .owner = watch};
    atomic_store(&file->async_watch, watch);
    wait_queue_add(queue, &watch->entry);
    return 0;
}

static int watch_begin(struct file *file, int fd, bool io)
{
    struct wait_queue *queue = file_wait_queue(file);
    if (!queue) {
        return 0;
    }
    ignore_result(file_poll(file)); /* tells the file that somebody wants to hear of every event */
    mutex_lock(&async_lock);
    int error = watch_begin_locked(file, queue, fd, io);
    mutex_unlock(&async_lock);
    return error;
}

int async_io_set(struct file *file, int fd, bool on)
{
    mode_t type = file->inode->mode & S_IFMT;
    if (type != S_IFIFO && type != S_IFSOCK && type != S_IFCHR) {
        return 0;
    }
    watch_end(file); /* of urgent data alone, or of everything */
    if (on) {
        return watch_begin(file, fd, true);
    }
    return __atomic_load_n(&file->owner_id, __ATOMIC_RELAXED) != 0 ? async_io_set_urgent(file) : 0;
}

int async_io_set_urgent(struct file *file)
{
    return S_ISSOCK(file->inode->mode) ? watch_begin(file, -1, false) : 0;
}
