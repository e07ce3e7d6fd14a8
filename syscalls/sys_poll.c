/*
 * sys_poll.c: poll and ppoll. Source: Linux fs/select.c; poll(2). The events fields of the guest's
 * array are never written: another thread may share it.
 */
#include <poll.h>
#include <stdlib.h>

#include "sentry/core/clock.h"
#include "sentry/vfs/file.h"
#include "syscalls/lookup.h"
#include "syscalls/poll_wait.h"
#include "syscalls/signal_mask.h"
#include "syscalls/syscall.h"

/* Takes references on the files. Returns true when a descriptor was invalid. */
static bool fill_set(struct task *task, const struct pollfd *fds, struct poll_set *set)
{
    bool invalid = false;
    for (uint32_t i = 0; i < set->count; i++) {
        if (fds[i].fd < 0) {
            continue;
        }
        set->items[i].events = (uint16_t)fds[i].events;
        set->items[i].file = fd_get_io(task->fds, fds[i].fd);
        invalid = invalid || !set->items[i].file;
    }
    return invalid;
}

static long store_results(const struct pollfd *fds, const struct poll_set *set, uint64_t addr)
{
    long count = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        uint16_t revents = (uint16_t)set->items[i].ready;
        if (fds[i].fd >= 0 && !set->items[i].file) {
            revents = POLLNVAL;
        }
        count += revents != 0;
        if (revents != (uint16_t)fds[i].revents &&
            copy_out(addr + i * sizeof(*fds) + offsetof(struct pollfd, revents), &revents) < 0) {
            return -EFAULT;
        }
    }
    return count;
}

/* deadline_ns 0: do not wait. */
static long do_poll(struct task *task, uint64_t addr, uint64_t count, uint64_t deadline_ns)
{
    if (count > task_limit(RLIMIT_NOFILE)) {
        return -EINVAL;
    }
    auto_free struct pollfd *fds = malloc(count * sizeof(*fds) + 1);
    if (!fds) {
        return -ENOMEM;
    }
    if (mm_copy_in(current.mm, addr, fds, count * sizeof(*fds)) < 0) {
        return -EFAULT;
    }
    struct poll_set set;
    int error = poll_set_init(&set, (uint32_t)count);
    if (error < 0) {
        return error;
    }
    bool invalid = fill_set(task, fds, &set);
    error = poll_set_wait(&set, task, invalid, deadline_ns);
    long result = error < 0 ? error : store_results(fds, &set, addr);
    poll_set_fini(&set);
    return result;
}

static long restart_poll(struct task *task);

/* A poll interrupted without a handler goes on until its first deadline. */
static long poll_restartable(struct task *task, uint64_t addr, uint64_t count, uint64_t deadline_ns)
{
    long result = do_poll(task, addr, count, deadline_ns);
    if (result == -ERESTARTNOHAND) {
        task->restart_block = (struct restart_block){restart_poll, {addr, count, deadline_ns}};
        result = -ERESTART_RESTARTBLOCK;
    }
    return result;
}

static long restart_poll(struct task *task)
{
    const uint64_t *args = task->restart_block.args;
    return poll_restartable(task, args[0], args[1], args[2]);
}

long sys_poll(struct task *task, const struct syscall_args *args)
{
    int timeout = arg_int(args, 2);
    uint64_t deadline = SLEEP_FOREVER;
    if (timeout >= 0) {
        deadline = timeout == 0 ? 0 : clock_monotonic_ns() + (uint64_t)timeout * 1000000;
    }
    return poll_restartable(task, arg_u64(args, 0), arg_uint(args, 1), deadline);
}

long sys_ppoll(struct task *task, const struct syscall_args *args)
{
    uint64_t timeout_addr = arg_u64(args, 2);
    uint64_t timeout = 0;
    uint64_t deadline = SLEEP_FOREVER;
    if (timeout_addr != 0) {
        int error = copy_in_timespec_ns(timeout_addr, &timeout);
        if (error < 0) {
            return error;
        }
        deadline = timeout == 0 ? 0 : ns_add(clock_monotonic_ns(), timeout);
    }
    int error = temporary_mask_begin(task, arg_u64(args, 3), arg_u64(args, 4));
    if (error < 0) {
        return error;
    }
    long result = do_poll(task, arg_u64(args, 0), arg_uint(args, 1), deadline);
    temporary_mask_end(task, result == -ERESTARTNOHAND);
    if (timeout_addr != 0 && !process_sticky_timeouts(task->process)) {
        /* Linux: poll_select_finish: what is left, also for the restarted call */
        uint64_t now = clock_monotonic_ns();
        uint64_t left = deadline > now ? deadline - now : 0;
        if (copy_out_timespec_ns(timeout_addr, left) < 0 && result == -ERESTARTNOHAND) {
            result = -EINTR;
        }
    }
    return result;
}
