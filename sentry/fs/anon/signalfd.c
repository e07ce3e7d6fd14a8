/*
 * signalfd.c: a file whose content is the pending signals of whoever reads it.
 *
 * The kernel wakes task->signal_wait. Whoever waits on the file (a reader, a poller, the epoll
 * instance that watches it) waits on the file's own queue, which lives as long as the file; a
 * bridge from the task's queue to it is made when a task first asks for the queue. A bridge holds a
 * reference of its task, so neither queue can go while it stands. Bridges are under signalfd->lock.
 */
#include "sentry/fs/anon/signalfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "platform/base/queue.h"
#include "platform/base/text.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/file.h"

#define UNBLOCKABLE (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))

struct signal_bridge {
    LIST_ENTRY(signal_bridge) link;
    struct wait_entry entry; /* in task->signal_wait */
    struct task *task;       /* reference */
};

LIST_HEAD(signal_bridge_list, signal_bridge);

struct signalfd {
    _Atomic uint64_t mask;
    struct wait_queue queue;
    struct mutex lock;                 /* RANK_OBJECT */
    struct signal_bridge_list bridges; /* under lock */
};

static const struct file_ops signalfd_file_ops;

/* kernel_lock is held, and the task's queue's lock. */
static void bridge_wake(struct wait_entry *entry, uint32_t events)
{
    struct signalfd *signals = entry->owner;
    wait_queue_wake(&signals->queue, events | EPOLLRDNORM);
}

static void bridge_free(struct signal_bridge *bridge)
{
    wait_queue_remove(&bridge->entry);
    task_unref(bridge->task);
    free(bridge);
}

/* Moves the bridges of tasks that ended to `dead`. */
static void prune_locked(struct signalfd *signals, struct signal_bridge_list *dead)
{
    struct signal_bridge *bridge;
    struct signal_bridge *next;
    LIST_FOREACH_SAFE (bridge, &signals->bridges, link, next) {
        if (atomic_load(&bridge->task->state) >= TASK_ZOMBIE) {
            LIST_REMOVE(bridge, link);
            LIST_INSERT_HEAD(dead, bridge, link);
        }
    }
}

static bool has_bridge_locked(struct signalfd *signals, const struct task *task)
{
    struct signal_bridge *bridge;
    LIST_FOREACH (bridge, &signals->bridges, link) {
        if (bridge->task == task) {
            return true;
        }
    }
    return false;
}

static void free_bridges(struct signal_bridge_list *list)
{
    struct signal_bridge *bridge;
    while ((bridge = LIST_FIRST(list))) {
        LIST_REMOVE(bridge, link);
        bridge_free(bridge);
    }
}

/* Connects the calling task. Without memory the task is only not woken: its waits end with a
 * signal. */
static void connect_task(struct signalfd *signals, struct task *task)
{
    struct signal_bridge_list dead = LIST_HEAD_INITIALIZER(dead);
    mutex_lock_nested(&signals->lock);
    if (!has_bridge_locked(signals, task)) {
        prune_locked(signals, &dead);
        struct signal_bridge *bridge = calloc(1, sizeof(*bridge));
        if (bridge) {
            bridge->task = task_ref(task);
            bridge->entry =
                (struct wait_entry){.events = EPOLLIN, .wake = bridge_wake, .owner = signals};
            wait_queue_add(&task->signal_wait, &bridge->entry);
            LIST_INSERT_HEAD(&signals->bridges, bridge, link);
        }
    }
    mutex_unlock(&signals->lock);
    free_bridges(&dead);
}

/* Linux: signalfd_copyinfo. */
static void to_signalfd_siginfo(const siginfo_t *info, struct signalfd_siginfo *out)
{
    memset(out, 0, sizeof(*out));
    out->ssi_signo = (uint32_t)info->si_signo;
    out->ssi_errno = info->si_errno;
    out->ssi_code = info->si_code;
    if (info->si_code == SI_TIMER) {
        out->ssi_tid = (uint32_t)info->si_timerid;
        out->ssi_overrun = (uint32_t)info->si_overrun;
        out->ssi_int = info->si_value.sival_int;
        out->ssi_ptr = (uint64_t)(uintptr_t)info->si_value.sival_ptr;
        return;
    }
    if (info->si_signo == SIGCHLD && info->si_code > 0) {
        out->ssi_pid = (uint32_t)info->si_pid;
        out->ssi_uid = info->si_uid;
        out->ssi_status = info->si_status;
        out->ssi_utime = (uint64_t)info->si_utime;
        out->ssi_stime = (uint64_t)info->si_stime;
        return;
    }
    if (info->si_code > 0 && (info->si_signo == SIGPOLL || info->si_code == SI_SIGIO)) {
        out->ssi_band = (uint32_t)info->si_band;
        out->ssi_fd = info->si_fd;
        return;
    }
    if (info->si_code > 0 && info->si_code != SI_KERNEL) {
        out->ssi_addr = (uint64_t)(uintptr_t)info->si_addr;
        return;
    }
    out->ssi_pid = (uint32_t)info->si_pid;
    out->ssi_uid = info->si_uid;
    if (info->si_code < 0) {
        out->ssi_int = info->si_value.sival_int;
        out->ssi_ptr = (uint64_t)(uintptr_t)info->si_value.sival_ptr;
    }
}

static ssize_t signalfd_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    struct signalfd *signals = file->private_data;
    ssize_t total = 0;
    (void)offset;
    (void)flags;
    if (uio->left < sizeof(struct signalfd_siginfo)) {
        return -EINVAL;
    }
    if (!current.task) {
        return -EAGAIN;
    }
    while (uio->left >= sizeof(struct signalfd_siginfo)) {
        siginfo_t info;
        struct signalfd_siginfo record;
        if (signal_dequeue(current.task, atomic_load(&signals->mask), &info) == 0) {
            break;
        }
        to_signalfd_siginfo(&info, &record);
        if (uio_put(uio, &record, sizeof(record)) != (ssize_t)sizeof(record)) {
            return total > 0 ? total : -EFAULT;
        }
        total += (ssize_t)sizeof(record);
    }
    return total > 0 ? total : -EAGAIN;
}

/* Linux: noop_llseek. */
static int64_t signalfd_seek(struct file *file, int64_t offset, int whence)
{
    (void)file;
    (void)offset;
    (void)whence;
    return 0;
}

static uint32_t signalfd_poll(struct file *file)
{
    struct signalfd *signals = file->private_data;
    if (!current.task) {
        return 0;
    }
    bool ready = (signal_pending_set(current.task) & atomic_load(&signals->mask)) != 0;
    return ready ? EPOLLIN | EPOLLRDNORM : 0;
}

static struct wait_queue *signalfd_wait_queue(struct file *file)
{
    struct signalfd *signals = file->private_data;
    if (current.task) {
        connect_task(signals, current.task);
    }
    return &signals->queue;
}

static void signalfd_release(struct file *file)
{
    struct signalfd *signals = file->private_data;
    free_bridges(&signals->bridges);
    wait_queue_fini(&signals->queue);
    mutex_fini(&signals->lock);
    free(signals);
}

static void signalfd_show_fdinfo(struct file *file, struct text *text)
{
    struct signalfd *signals = file->private_data;
    text_printf(text, "sigmask:\t%016llx\n", (unsigned long long)atomic_load(&signals->mask));
}

static const struct file_ops signalfd_file_ops = {
    .read = signalfd_read,
    .seek = signalfd_seek,
    .poll = signalfd_poll,
    .wait_queue = signalfd_wait_queue,
    .release = signalfd_release,
    .show_fdinfo = signalfd_show_fdinfo,
    .anon_name = "[signalfd]",
};

bool file_is_signalfd(const struct file *file)
{
    return file->ops == &signalfd_file_ops;
}

void signalfd_set_mask(struct file *file, uint64_t mask)
{
    struct signalfd *signals = file->private_data;
    atomic_store(&signals->mask, mask & ~UNBLOCKABLE);
    wait_queue_wake(&signals->queue, EPOLLIN | EPOLLRDNORM);
}

int signalfd_new(uint64_t mask, unsigned flags, struct file **ret_file)
{
    struct signalfd *signals = calloc(1, sizeof(*signals));
    if (!signals) {
        return -ENOMEM;
    }
    atomic_init(&signals->mask, mask & ~UNBLOCKABLE);
    wait_queue_init(&signals->queue);
    mutex_init(&signals->lock, RANK_OBJECT);
    LIST_INIT(&signals->bridges);
    int error = file_new_anon(&signalfd_file_ops, 0600, FILE_READ | FILE_WRITE | FILE_STREAM,
                              (flags & O_NONBLOCK) | O_RDWR, signals, ret_file);
    if (error < 0) {
        wait_queue_fini(&signals->queue);
        mutex_fini(&signals->lock);
        free(signals);
    }
    return error;
}
