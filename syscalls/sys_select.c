/*
 * sys_select.c: select and pselect6. Source: Linux fs/select.c; select(2).
 */
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "sentry/core/clock.h"
#include "sentry/vfs/file.h"
#include "syscalls/lookup.h"
#include "syscalls/poll_wait.h"
#include "syscalls/signal_mask.h"
#include "syscalls/syscall.h"

/* Linux: POLLIN_SET, POLLOUT_SET, POLLEX_SET. */
#define READ_EVENTS   (EPOLLRDNORM | EPOLLRDBAND | EPOLLIN | EPOLLHUP | EPOLLERR)
#define WRITE_EVENTS  (EPOLLWRBAND | EPOLLWRNORM | EPOLLOUT | EPOLLERR)
#define EXCEPT_EVENTS EPOLLPRI
#define BITS          64U

static const uint32_t events_of[3] = {READ_EVENTS, WRITE_EVENTS, EXCEPT_EVENTS};

struct select_call {
    uint64_t addr[3]; /* the guest's sets; 0: none */
    uint32_t count;   /* descriptors looked at */
    size_t words;     /* of one set */
    uint64_t *bits;   /* three sets */
};

static bool test_bit(const uint64_t *bits, uint32_t i)
{
    return (bits[i / BITS] >> (i % BITS) & 1) != 0;
}

static int copy_in_sets(struct select_call *call)
{
    for (int which = 0; which < 3; which++) {
        if (call->addr[which] != 0 &&
            mm_copy_in(current.mm, call->addr[which], call->bits + which * call->words,
                       call->words * sizeof(uint64_t)) < 0) {
            return -EFAULT;
        }
    }
    return 0;
}

static int copy_out_sets(const struct select_call *call)
{
    for (int which = 0; which < 3; which++) {
        if (call->addr[which] != 0 &&
            mm_copy_out(current.mm, call->addr[which], call->bits + which * call->words,
                        call->words * sizeof(uint64_t)) < 0) {
            return -EFAULT;
        }
    }
    return 0;
}

static uint32_t wanted_events(const struct select_call *call, uint32_t fd)
{
    uint32_t events = 0;
    for (int which = 0; which < 3; which++) {
        if (test_bit(call->bits + which * call->words, fd)) {
            events |= events_of[which];
        }
    }
    return events;
}

static int fill_set(struct task *task, const struct select_call *call, struct poll_set *set)
{
    for (uint32_t fd = 0; fd < call->count; fd++) {
        uint32_t events = wanted_events(call, fd);
        if (events == 0) {
            continue;
        }
        set->items[fd].events = events;
        set->items[fd].file = fd_get_io(task->fds, (int)fd);
        if (!set->items[fd].file) {
            return -EBADF;
        }
    }
    return 0;
}

/* Keeps the bits that are ready; returns their number. */
static long keep_ready(struct select_call *call, const struct poll_set *set)
{
    long count = 0;
    for (uint32_t fd = 0; fd < call->count; fd++) {
        for (int which = 0; which < 3; which++) {
            uint64_t *word = call->bits + which * call->words + fd / BITS;
            uint64_t bit = 1ULL << (fd % BITS);
            if ((*word & bit) == 0) {
                continue;
            }
            if ((set->items[fd].ready & events_of[which]) != 0) {
                count++;
            } else {
                *word &= ~bit;
            }
        }
    }
    if (call->count % BITS != 0) { /* bits of the last word beyond the count come back as zero */
        for (int which = 0; which < 3; which++) {
            call->bits[(which + 1) * call->words - 1] &= (1ULL << (call->count % BITS)) - 1;
        }
    }
    return count;
}

static long run_select(struct task *task, struct select_call *call, uint64_t deadline_ns)
{
    struct poll_set set;
    int error = poll_set_init(&set, call->count);
    if (error < 0) {
        return error;
    }
    long result = fill_set(task, call, &set);
    if (result == 0) {
        result = poll_set_wait(&set, task, false, deadline_ns);
    }
    if (result == 0) {
        result = keep_ready(call, &set);
        error = copy_out_sets(call);
        result = error < 0 ? error : result;
    }
    poll_set_fini(&set);
    return result;
}

static long do_select(struct task *task, const struct syscall_args *args, uint64_t deadline_ns)
{
    struct select_call call = {.addr = {arg_u64(args, 1), arg_u64(args, 2), arg_u64(args, 3)}};
    int count = arg_int(args, 0);
    if (count < 0) {
        return -EINVAL;
    }
    /* Linux: nothing beyond the size of the descriptor table is looked at */
    mutex_lock(&task->fds->lock);
    uint32_t table = max_of(task->fds->capacity, BITS);
    mutex_unlock(&task->fds->lock);
    call.count = min_of((uint32_t)count, table);
    call.words = (call.count + BITS - 1) / BITS;
    auto_free uint64_t *bits = calloc(3 * call.words + 1, sizeof(uint64_t));
    if (!bits) {
        return -ENOMEM;
    }
    call.bits = bits;
    int error = copy_in_sets(&call);
    return error < 0 ? error : run_select(task, &call, deadline_ns);
}

static uint64_t deadline_after(uint64_t timeout_ns)
{
    return timeout_ns == 0 ? 0 : ns_add(clock_monotonic_ns(), timeout_ns);
}

static uint64_t time_left(uint64_t deadline_ns)
{
    uint64_t now = clock_monotonic_ns();
    return deadline_ns > now ? deadline_ns - now : 0;
}

/* Linux: select's timeval may have any tv_usec that makes a valid sum. */
static int copy_in_select_timeout(uint64_t addr, uint64_t *ret_ns)
{
    struct timeval value;
    if (copy_in(addr, &value) < 0) {
        return -EFAULT;
    }
    int64_t seconds;
    int64_t micros = value.tv_usec % 1000000;
    if (__builtin_add_overflow(value.tv_sec, value.tv_usec / 1000000, &seconds) || seconds < 0 ||
        micros < 0) {
        return -EINVAL;
    }
    bool forever = (uint64_t)seconds >= INT64_MAX / NSEC_PER_SEC;
    *ret_ns = forever ? INT64_MAX : (uint64_t)seconds * NSEC_PER_SEC + (uint64_t)micros * 1000;
    return 0;
}

long sys_select(struct task *task, const struct syscall_args *args)
{
    uint64_t timeout_addr = arg_u64(args, 4);
    uint64_t deadline = SLEEP_FOREVER;
    if (timeout_addr != 0) {
        uint64_t timeout;
        int error = copy_in_select_timeout(timeout_addr, &timeout);
        if (error < 0) {
            return error;
        }
        deadline = deadline_after(timeout);
    }
    long result = do_select(task, args, deadline);
    if (timeout_addr != 0 && !process_sticky_timeouts(task->process) &&
        copy_out_timeval_ns(timeout_addr, time_left(deadline)) < 0 && result == -ERESTARTNOHAND) {
        result = -EINTR;
    }
    return result;
}

long sys_pselect6(struct task *task, const struct syscall_args *args)
{
    struct {
        uint64_t set, size;
    } mask = {0, 0};
    uint64_t timeout_addr = arg_u64(args, 4);
    uint64_t deadline = SLEEP_FOREVER;
    if (arg_u64(args, 5) != 0 && copy_in(arg_u64(args, 5), &mask) < 0) {
        return -EFAULT;
    }
    if (timeout_addr != 0) {
        uint64_t timeout;
        int error = copy_in_timespec_ns(timeout_addr, &timeout);
        if (error < 0) {
            return error;
        }
        deadline = deadline_after(timeout);
    }
    int error = temporary_mask_begin(task, mask.set, mask.size);
    if (error < 0) {
        return error;
    }
    long result = do_select(task, args, deadline);
    temporary_mask_end(task, result == -ERESTARTNOHAND);
    if (timeout_addr != 0 && !process_sticky_timeouts(task->process) &&
        copy_out_timespec_ns(timeout_addr, time_left(deadline)) < 0 && result == -ERESTARTNOHAND) {
        result = -EINTR;
    }
    return result;
}
