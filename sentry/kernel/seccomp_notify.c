/*
 * seccomp_notify.c: calls that a listener in user space answers. The listener's file holds the
 * filter; calls wait in its list, on the stacks of their tasks. Linux: kernel/seccomp.c
 * (seccomp_do_user_notification).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sentry/core/current.h"
#include "sentry/kernel/seccomp_internal.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/fd_table.h"
#include "sentry/vfs/file.h"

#define IOCTL_ID_VALID_OLD 0x80082102U /* _IOR('!', 2, __u64): the first definition's direction */
#define IOCTL_SET_FLAGS    0x40082104U
#define FLAG_SYNC_WAKE_UP  1ULL

struct seccomp_listener *seccomp_listener_new(void)
{
    struct seccomp_listener *listener = calloc(1, sizeof(*listener));
    if (listener) {
        mutex_init(&listener->lock, RANK_OBJECT);
        TAILQ_INIT(&listener->calls);
        wait_queue_init(&listener->queue);
        listener->next_id = 1;
    }
    return listener;
}

void seccomp_listener_free(struct seccomp_listener *listener)
{
    if (listener) {
        wait_queue_fini(&listener->queue);
        mutex_fini(&listener->lock);
        free(listener);
    }
}

static void reply_locked(struct seccomp_call *call, int64_t value, int error, uint32_t flags)
{
    call->state = SECCOMP_REPLIED;
    call->value = value;
    call->error = error;
    call->flags = flags;
    sleeper_wake(&call->task->sleeper);
}

enum seccomp_decision seccomp_ask(struct seccomp_filter *filter, struct task *task,
                                  const struct seccomp_data *data, long *ret_result)
{
    struct seccomp_listener *listener = filter->listener;
    struct seccomp_call call = {.task = task, .data = *data, .state = SECCOMP_NEW};
    int result = 0;
    if (!listener) {
        *ret_result = -ENOSYS;
        return SECCOMP_ANSWER;
    }
    task_sleep_prepare();
    mutex_lock(&listener->lock);
    if (listener->closed) {
        mutex_unlock(&listener->lock);
        *ret_result = -ENOSYS;
        return SECCOMP_ANSWER;
    }
    call.id = listener->next_id++;
    TAILQ_INSERT_TAIL(&listener->calls, &call, link);
    mutex_unlock(&listener->lock);
    wait_queue_wake(&listener->queue, EPOLLIN | EPOLLRDNORM);
    mutex_lock(&listener->lock);
    while (call.state != SECCOMP_REPLIED && result == 0) {
        bool killable = filter->killable && call.state == SECCOMP_SENT;
        mutex_unlock(&listener->lock);
        result = killable ? task_sleep_killable(SLEEP_FOREVER) : task_sleep(SLEEP_FOREVER);
        task_sleep_prepare();
        mutex_lock(&listener->lock);
        if (result != 0 && !killable && filter->killable && call.state == SECCOMP_SENT &&
            !task->exiting) {
            result = 0; /* taken by the listener meanwhile: only a deadly signal ends it now */
        }
    }
    TAILQ_REMOVE(&listener->calls, &call, link);
    bool replied = call.state == SECCOMP_REPLIED;
    mutex_unlock(&listener->lock);
    if (replied && (call.flags & SECCOMP_USER_NOTIF_FLAG_CONTINUE)) {
        return SECCOMP_PROCEED;
    }
    *ret_result = !replied ? -ERESTARTSYS : call.error != 0 ? call.error : (long)call.value;
    return SECCOMP_ANSWER;
}

static struct seccomp_filter *filter_of(struct file *file)
{
    return file->private_data;
}

static struct seccomp_call *find_locked(struct seccomp_listener *listener, uint64_t id)
{
    struct seccomp_call *call;
    TAILQ_FOREACH (call, &listener->calls, link) {
        if (call->id == id) {
            return call;
        }
    }
    return NULL;
}

static struct seccomp_call *find_new_locked(struct seccomp_listener *listener)
{
    struct seccomp_call *call;
    TAILQ_FOREACH (call, &listener->calls, link) {
        if (call->state == SECCOMP_NEW) {
            return call;
        }
    }
    return NULL;
}

/* Takes the next new call. -EAGAIN: there is none. */
static int take_next(struct seccomp_listener *listener, struct seccomp_notif *ret)
{
    mutex_lock(&listener->lock);
    struct seccomp_call *call = find_new_locked(listener);
    if (call) {
        call->state = SECCOMP_SENT;
        *ret = (struct seccomp_notif){
            .id = call->id, .pid = (uint32_t)call->task->tid, .data = call->data};
        sleeper_wake(&call->task->sleeper); /* it may now wait in another way */
    }
    mutex_unlock(&listener->lock);
    return call ? 0 : -EAGAIN;
}

static void give_back(struct seccomp_listener *listener, uint64_t id)
{
    mutex_lock(&listener->lock);
    struct seccomp_call *call = find_locked(listener, id);
    if (call && call->state == SECCOMP_SENT) {
        call->state = SECCOMP_NEW;
    }
    mutex_unlock(&listener->lock);
    wait_queue_wake(&listener->queue, EPOLLIN | EPOLLRDNORM);
}

static long receive(struct seccomp_filter *filter, uint64_t addr)
{
    struct seccomp_listener *listener = filter->listener;
    static const struct seccomp_notif zero;
    struct seccomp_notif notif;
    if (mm_copy_in(current.mm, addr, &notif, sizeof(notif)) != 0) {
        return -EFAULT;
    }
    if (memcmp(&notif, &zero, sizeof(notif)) != 0) {
        return -EINVAL;
    }
    struct wait_entry entry = {
        .events = EPOLLIN | EPOLLHUP, .wake = wait_wake_sleeper, .owner = &current_task()->sleeper};
    task_sleep_prepare();
    wait_queue_add(&listener->queue, &entry);
    int result = take_next(listener, &notif);
    while (result == -EAGAIN) {
        if (atomic_load(&filter->users) == 0) {
            result = -ENOENT;
            break;
        }
        int slept = task_sleep(SLEEP_FOREVER);
        task_sleep_prepare();
        result = take_next(listener, &notif);
        result = result == -EAGAIN && slept < 0 ? slept : result;
    }
    wait_queue_remove(&entry);
    if (result == 0) {
        wait_queue_wake(&listener->queue, EPOLLOUT | EPOLLWRNORM);
        if (mm_copy_out(current.mm, addr, &notif, sizeof(notif)) != 0) {
            give_back(listener, notif.id);
            result = -EFAULT;
        }
    }
    return result;
}

static long answer(struct seccomp_listener *listener, uint64_t addr)
{
    struct seccomp_notif_resp resp;
    if (mm_copy_in(current.mm, addr, &resp, sizeof(resp)) != 0) {
        return -EFAULT;
    }
    bool goes_on = resp.flags & SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    if ((resp.flags & ~SECCOMP_USER_NOTIF_FLAG_CONTINUE) ||
        (goes_on && (resp.error != 0 || resp.val != 0))) {
        return -EINVAL;
    }
    mutex_lock(&listener->lock);
    struct seccomp_call *call = find_locked(listener, resp.id);
    int result = !call ? -ENOENT : call->state != SECCOMP_SENT ? -EINPROGRESS : 0;
    if (result == 0) {
        reply_locked(call, resp.val, resp.error, resp.flags);
    }
    mutex_unlock(&listener->lock);
    return result;
}

static long is_valid(struct seccomp_listener *listener, uint64_t addr)
{
    uint64_t id;
    if (mm_copy_in(current.mm, addr, &id, sizeof(id)) != 0) {
        return -EFAULT;
    }
    mutex_lock(&listener->lock);
    const struct seccomp_call *call = find_locked(listener, id);
    bool valid = call && call->state == SECCOMP_SENT;
    mutex_unlock(&listener->lock);
    return valid ? 0 : -ENOENT;
}

/* Puts a descriptor into the table of the calling task. */
static int add_to(struct fd_table *fds, struct file *file, const struct seccomp_notif_addfd *add,
                  uint64_t limit)
{
    bool close_on_exec = add->newfd_flags & O_CLOEXEC;
    file_ref(file);
    int fd = add->flags & SECCOMP_ADDFD_FLAG_SETFD
                 ? fd_install_at(fds, (int)add->newfd, file, close_on_exec, limit)
                 : fd_install(fds, file, close_on_exec, 0, limit);
    if (fd < 0) {
        file_unref(file);
        return fd;
    }
    return add->flags & SECCOMP_ADDFD_FLAG_SETFD ? (int)add->newfd : fd;
}

static long add_descriptor(struct seccomp_listener *listener, uint64_t addr)
{
    struct seccomp_notif_addfd add;
    if (mm_copy_in(current.mm, addr, &add, sizeof(add)) != 0) {
        return -EFAULT;
    }
    if ((add.newfd_flags & ~(unsigned)O_CLOEXEC) ||
        (add.flags & ~(SECCOMP_ADDFD_FLAG_SETFD | SECCOMP_ADDFD_FLAG_SEND)) ||
        (add.newfd != 0 && !(add.flags & SECCOMP_ADDFD_FLAG_SETFD))) {
        return -EINVAL;
    }
    struct file *file = fd_get_io(current_task()->fds, (int)add.srcfd);
    if (!file) {
        return -EBADF;
    }
    struct fd_table *fds = NULL;
    uint64_t limit = 0;
    mutex_lock(&listener->lock);
    struct seccomp_call *call = find_locked(listener, add.id);
    int result = !call ? -ENOENT : call->state != SECCOMP_SENT ? -EINPROGRESS : 0;
    if (result == 0) {
        mutex_lock(&kernel_lock);
        fds = call->task->fds ? fd_table_ref(call->task->fds) : NULL;
        limit = call->task->process->limits[RLIMIT_NOFILE].rlim_cur;
        mutex_unlock(&kernel_lock);
    }
    mutex_unlock(&listener->lock);
    if (fds) {
        result = add_to(fds, file, &add, limit);
        fd_table_unref(fds);
    }
    file_unref(file);
    if (result >= 0 && (add.flags & SECCOMP_ADDFD_FLAG_SEND)) {
        mutex_lock(&listener->lock);
        call = find_locked(listener, add.id);
        if (call && call->state == SECCOMP_SENT) {
            reply_locked(call, result, 0, 0);
        }
        mutex_unlock(&listener->lock);
    }
    return result;
}

static long listener_ioctl(struct file *file, unsigned command, uint64_t argument)
{
    struct seccomp_filter *filter = filter_of(file);
    switch (command) {
    case SECCOMP_IOCTL_NOTIF_RECV:
        return receive(filter, argument);
    case SECCOMP_IOCTL_NOTIF_SEND:
        return answer(filter->listener, argument);
    case SECCOMP_IOCTL_NOTIF_ID_VALID:
    case IOCTL_ID_VALID_OLD:
        return is_valid(filter->listener, argument);
    case SECCOMP_IOCTL_NOTIF_ADDFD:
        return add_descriptor(filter->listener, argument);
    case IOCTL_SET_FLAGS: /* where the woken task runs is the host's choice */
        return argument & ~FLAG_SYNC_WAKE_UP ? -EINVAL : 0;
    default:
        return -EINVAL;
    }
}

static uint32_t listener_poll(struct file *file)
{
    struct seccomp_filter *filter = filter_of(file);
    struct seccomp_call *call;
    uint32_t events = atomic_load(&filter->users) == 0 ? EPOLLHUP : 0;
    mutex_lock_nested(&filter->listener->lock);
    TAILQ_FOREACH (call, &filter->listener->calls, link) {
        events |= call->state == SECCOMP_NEW    ? EPOLLIN | EPOLLRDNORM
                  : call->state == SECCOMP_SENT ? EPOLLOUT | EPOLLWRNORM
                                                : 0;
    }
    mutex_unlock(&filter->listener->lock);
    return events;
}

static struct wait_queue *listener_wait_queue(struct file *file)
{
    return &filter_of(file)->listener->queue;
}

static void listener_release(struct file *file)
{
    struct seccomp_filter *filter = filter_of(file);
    struct seccomp_listener *listener = filter->listener;
    struct seccomp_call *call;
    mutex_lock(&listener->lock);
    listener->closed = true;
    TAILQ_FOREACH (call, &listener->calls, link) {
        if (call->state != SECCOMP_REPLIED) {
            reply_locked(call, 0, -ENOSYS, 0);
        }
    }
    mutex_unlock(&listener->lock);
    seccomp_filter_unref(filter);
}

static const struct file_ops listener_ops = {
    .ioctl = listener_ioctl,
    .poll = listener_poll,
    .wait_queue = listener_wait_queue,
    .release = listener_release,
    .anon_name = "[seccomp notify]",
};

int seccomp_listener_file(struct seccomp_filter *filter, struct file **ret_file)
{
    int result = file_new_anon(&listener_ops, 0600, FILE_READ | FILE_WRITE | FILE_STREAM, O_RDWR,
                               seccomp_filter_ref(filter), ret_file);
    if (result != 0) {
        seccomp_filter_unref(filter);
    }
    return result;
}
