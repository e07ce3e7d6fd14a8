/*
 * sys_epoll.c: epoll_create, epoll_ctl, epoll_wait and their forms. Source: Linux fs/eventpoll.c;
 * epoll_ctl(2), epoll_wait(2). An interrupted wait gives EINTR, whatever SA_RESTART says.
 */
#include <limits.h>

#include "sentry/core/clock.h"
#include "sentry/fs/anon/epoll.h"
#include "sentry/vfs/file.h"
#include "syscalls/blocking.h"
#include "syscalls/lookup.h"
#include "syscalls/signal_mask.h"
#include "syscalls/syscall.h"

#define EVENTS_AT_ONCE 256 /* one call returns at most so many */

static long create(struct task *task, int flags)
{
    struct file *file;
    int error = epoll_new(&file);
    return error < 0 ? error : install_file(task, file, (flags & EPOLL_CLOEXEC) != 0);
}

long sys_epoll_create(struct task *task, const struct syscall_args *args)
{
    return arg_int(args, 0) <= 0 ? -EINVAL : create(task, 0);
}

long sys_epoll_create1(struct task *task, const struct syscall_args *args)
{
    int flags = arg_int(args, 0);
    return (flags & ~EPOLL_CLOEXEC) != 0 ? -EINVAL : create(task, flags);
}

long sys_epoll_ctl(struct task *task, const struct syscall_args *args)
{
    struct epoll_event event = {0};
    int op = arg_int(args, 1);
    if (op != EPOLL_CTL_DEL && copy_in(arg_u64(args, 3), &event) < 0) {
        return -EFAULT;
    }
    auto_file struct file *epoll = arg_file(task, args, 0);
    auto_file struct file *target = epoll ? arg_file(task, args, 2) : NULL;
    if (!target) {
        return -EBADF;
    }
    return epoll_control(epoll, op, arg_int(args, 2), target, &event);
}

/* Waits for events; deadline_ns 0: does not wait. -ERESTARTSYS: a signal. */
static long collect(struct file *epoll, struct epoll_event *events, int max, uint64_t deadline_ns)
{
    struct blocking_wait wait;
    int count = epoll_collect(epoll, events, max);
    if (count != -EAGAIN) {
        return count;
    }
    if (deadline_ns == 0) {
        return 0;
    }
    blocking_begin(&wait, file_wait_queue(epoll), EPOLLIN | EPOLLRDNORM, deadline_ns);
    wait.entry.exclusive = true;
    while (count == -EAGAIN) {
        int error = blocking_next(&wait);
        count = error < 0 ? error : epoll_collect(epoll, events, max);
    }
    blocking_end(&wait);
    if (count == -ETIMEDOUT) {
        return 0;
    }
    return count == -ERESTARTSYS ? -EINTR : count;
}

static long do_wait(struct task *task, const struct syscall_args *args, uint64_t deadline_ns)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int max = arg_int(args, 2);
    uint64_t addr = arg_u64(args, 1);
    if (max <= 0 || max > INT_MAX / (int)sizeof(struct epoll_event)) {
        return -EINVAL;
    }
    if (!user_range_ok(addr, (uint64_t)max * sizeof(struct epoll_event))) {
        return -EFAULT;
    }
    auto_file struct file *epoll = arg_file(task, args, 0);
    if (!epoll) {
        return -EBADF;
    }
    if (!file_is_epoll(epoll)) {
        return -EINVAL;
    }
    long count = collect(epoll, events, min_of(max, EVENTS_AT_ONCE), deadline_ns);
    if (count > 0 &&
        mm_copy_out(current.mm, addr, events, (size_t)count * sizeof(struct epoll_event)) < 0) {
        return -EFAULT;
    }
    return count;
}

static uint64_t deadline_of_ms(int timeout)
{
    if (timeout < 0) {
        return SLEEP_FOREVER;
    }
    return timeout == 0 ? 0 : clock_monotonic_ns() + (uint64_t)timeout * 1000000;
}

static long wait_masked(struct task *task, const struct syscall_args *args, uint64_t deadline_ns)
{
    int error = temporary_mask_begin(task, arg_u64(args, 4), arg_u64(args, 5));
    if (error < 0) {
        return error;
    }
    long result = do_wait(task, args, deadline_ns);
    temporary_mask_end(task, result == -EINTR);
    return result;
}

long sys_epoll_wait(struct task *task, const struct syscall_args *args)
{
    return do_wait(task, args, deadline_of_ms(arg_int(args, 3)));
}

long sys_epoll_pwait(struct task *task, const struct syscall_args *args)
{
    return wait_masked(task, args, deadline_of_ms(arg_int(args, 3)));
}

long sys_epoll_pwait2(struct task *task, const struct syscall_args *args)
{
    uint64_t deadline = SLEEP_FOREVER;
    if (arg_u64(args, 3) != 0) {
        uint64_t timeout;
        int error = copy_in_timespec_ns(arg_u64(args, 3), &timeout);
        if (error < 0) {
            return error;
        }
        deadline = timeout == 0 ? 0 : ns_add(clock_monotonic_ns(), timeout);
    }
    return wait_masked(task, args, deadline);
}
