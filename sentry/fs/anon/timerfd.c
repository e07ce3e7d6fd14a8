/*
 * timerfd.c: timers as files.
 *
 * Expirations are derived from the clock whenever somebody looks (lock held), so the timer callback
 * only wakes; it takes timer->lock (RANK_OBJECT), which is why nobody cancels under that lock. As
 * on Linux an interval timer is armed again only when it was read, so an unread one wakes once.
 */
#include "sentry/fs/anon/timerfd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/ioctl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/timerfd.h>

#include "platform/base/text.h"
#include "sentry/core/clock.h"
#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/core/timer.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/file.h"

#define SET_TICKS _IOW('T', 0, uint64_t) /* TFD_IOC_SET_TICKS */
#define STEP_SLOP 1000000                /* ns between two clock reads that is no clock step */
#define CHECK_NS  NSEC_PER_SEC           /* how often a cancellable timer looks for steps */

struct timerfd {
    struct mutex lock;
    struct wait_queue queue;
    struct timer timer;
    struct timer step_check; /* TFD_TIMER_CANCEL_ON_SET: looks for clock steps */
    clockid_t clock;         /* without ALARM */
    int shown_clock;         /* as given at creation */

    /* under lock */
    bool armed;
    uint64_t expires_ns;  /* on clock; the next expiration not counted in ticks */
    uint64_t interval_ns; /* 0: once */
    uint64_t ticks;       /* not read yet */
    bool expired;         /* fired and, with an interval, not armed again before a read */
    int settime_flags;
    bool cancelled;
    int64_t real_offset_ns; /* CLOCK_REALTIME - CLOCK_MONOTONIC when set */
};

static const struct file_ops timerfd_file_ops;

static int64_t real_offset(void)
{
    return (int64_t)(clock_ns(CLOCK_REALTIME) - clock_monotonic_ns());
}

static void host_arm_locked(struct timerfd *timer)
{
    if (timer->clock == CLOCK_BOOTTIME) {
        uint64_t now = clock_ns(CLOCK_BOOTTIME);
        uint64_t left = timer->expires_ns > now ? timer->expires_ns - now : 0;
        timer_arm(&timer->timer, CLOCK_MONOTONIC, ns_add(clock_monotonic_ns(), left));
    } else {
        timer_arm(&timer->timer, timer->clock, timer->expires_ns);
    }
}

/* Looks at the clock: the first expiration counts one tick and stops the timer until it is read. */
static void update_locked(struct timerfd *timer)
{
    if (timer->armed && !timer->expired && clock_ns(timer->clock) >= timer->expires_ns) {
        timer->expired = true;
        timer->ticks++;
        if (timer->interval_ns == 0) {
            timer->armed = false;
        }
    }
    if ((timer->settime_flags & TFD_TIMER_CANCEL_ON_SET) && !timer->cancelled) {
        int64_t change = real_offset() - timer->real_offset_ns;
        if (change > STEP_SLOP || change < -STEP_SLOP) {
            timer->cancelled = true;
        }
    }
}

/* Counts the further intervals that have passed and arms for the next. */
static uint64_t forward_locked(struct timerfd *timer)
{
    uint64_t now = clock_ns(timer->clock);
    uint64_t passed = 1;
    if (now >= timer->expires_ns) {
        passed += (now - timer->expires_ns) / timer->interval_ns;
    }
    timer->expires_ns = ns_add(timer->expires_ns, passed * timer->interval_ns);
    timer->expired = false;
    host_arm_locked(timer);
    return passed - 1;
}

static void timer_fired(struct timer *host)
{
    struct timerfd *timer = container_of(host, struct timerfd, timer);
    mutex_lock(&timer->lock);
    update_locked(timer);
    bool ready = timer->ticks > 0 || timer->cancelled;
    if (timer->armed && !timer->expired) {
        host_arm_locked(timer); /* set again meanwhile, or early */
    }
    mutex_unlock(&timer->lock);
    if (ready) {
        wait_queue_wake(&timer->queue, EPOLLIN | EPOLLRDNORM);
    }
}

static void step_fired(struct timer *host)
{
    struct timerfd *timer = container_of(host, struct timerfd, step_check);
    mutex_lock(&timer->lock);
    update_locked(timer);
    bool ready = timer->cancelled;
    if (!ready && timer->armed && (timer->settime_flags & TFD_TIMER_CANCEL_ON_SET)) {
        timer_arm(&timer->step_check, CLOCK_MONOTONIC, clock_monotonic_ns() + CHECK_NS);
    }
    mutex_unlock(&timer->lock);
    if (ready) {
        wait_queue_wake(&timer->queue, EPOLLIN | EPOLLRDNORM);
    }
}

/* --- file operations --- */

static ssize_t timerfd_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)offset;
    (void)flags;
    struct timerfd *timer = file->private_data;
    if (uio->left < sizeof(uint64_t)) {
        return -EINVAL;
    }
    mutex_lock(&timer->lock);
    update_locked(timer);
    if (timer->cancelled) {
        /* Linux: the timer goes on; the next read looks for the next step. */
        timer->cancelled = false;
        timer->ticks = 0;
        timer->real_offset_ns = real_offset();
        mutex_unlock(&timer->lock);
        return -ECANCELED;
    }
    if (timer->ticks == 0) {
        mutex_unlock(&timer->lock);
        return -EAGAIN;
    }
    uint64_t ticks = timer->ticks;
    if (timer->expired && timer->armed && timer->interval_ns != 0) {
        ticks += forward_locked(timer);
    }
    timer->expired = false;
    timer->ticks = 0;
    mutex_unlock(&timer->lock);
    ssize_t put = uio_put(uio, &ticks, sizeof(ticks));
    return put == sizeof(ticks) ? put : -EFAULT;
}

static uint32_t timerfd_poll(struct file *file)
{
    struct timerfd *timer = file->private_data;
    mutex_lock_nested(&timer->lock);
    update_locked(timer);
    bool ready = timer->ticks > 0 || timer->cancelled;
    mutex_unlock(&timer->lock);
    return ready ? EPOLLIN : 0;
}

static struct wait_queue *timerfd_wait_queue(struct file *file)
{
    struct timerfd *timer = file->private_data;
    return &timer->queue;
}

static long timerfd_ioctl(struct file *file, unsigned command, uint64_t argument)
{
    struct timerfd *timer = file->private_data;
    uint64_t ticks;
    struct uio uio;
    if (command != SET_TICKS) {
        return -ENOTTY;
    }
    uio_init_guest(&uio, current.mm, argument, sizeof(ticks));
    ssize_t got = uio_get(&uio, &ticks, sizeof(ticks));
    if (got != sizeof(ticks)) {
        return -EFAULT;
    }
    if (ticks == 0) {
        return -EINVAL;
    }
    mutex_lock(&timer->lock);
    timer->ticks = ticks;
    mutex_unlock(&timer->lock);
    wait_queue_wake(&timer->queue, EPOLLIN | EPOLLRDNORM);
    return 0;
}

static void timerfd_free(struct timerfd *timer)
{
    timer_cancel(&timer->timer);
    timer_cancel(&timer->step_check);
    /* A callback that ran may have armed the other or itself: nothing does once armed is false. */
    wait_queue_fini(&timer->queue);
    mutex_fini(&timer->lock);
    free(timer);
}

static void timerfd_release(struct file *file)
{
    struct timerfd *timer = file->private_data;
    mutex_lock(&timer->lock);
    timer->armed = false;
    mutex_unlock(&timer->lock);
    timerfd_free(timer);
}

static void to_timespec(uint64_t ns, struct timespec *ret)
{
    ret->tv_sec = (time_t)(ns / NSEC_PER_SEC);
    ret->tv_nsec = (long)(ns % NSEC_PER_SEC);
}

static void get_locked(struct timerfd *timer, struct itimerspec *ret)
{
    uint64_t left = 0;
    update_locked(timer);
    if (timer->expired && timer->armed && timer->interval_ns != 0) {
        timer->ticks += forward_locked(timer);
    }
    if (timer->armed) {
        uint64_t now = clock_ns(timer->clock);
        left = timer->expires_ns > now ? timer->expires_ns - now : 1;
    }
    to_timespec(left, &ret->it_value);
    to_timespec(timer->interval_ns, &ret->it_interval);
}

static void timerfd_show_fdinfo(struct file *file, struct text *text)
{
    struct timerfd *timer = file->private_data;
    struct itimerspec value;
    mutex_lock(&timer->lock);
    get_locked(timer, &value);
    text_printf(text,
                "clockid: %d\nticks: %llu\nsettime flags: 0%o\nit_value: (%llu, %llu)\n"
                "it_interval: (%llu, %llu)\n",
                timer->shown_clock, (unsigned long long)timer->ticks,
                (unsigned)timer->settime_flags, (unsigned long long)value.it_value.tv_sec,
                (unsigned long long)value.it_value.tv_nsec,
                (unsigned long long)value.it_interval.tv_sec,
                (unsigned long long)value.it_interval.tv_nsec);
    mutex_unlock(&timer->lock);
}

static const struct file_ops timerfd_file_ops = {
    .seek = file_seek_nothing,
    .read = timerfd_read,
    .poll = timerfd_poll,
    .wait_queue = timerfd_wait_queue,
    .ioctl = timerfd_ioctl,
    .release = timerfd_release,
    .show_fdinfo = timerfd_show_fdinfo,
    .anon_name = "[timerfd]",
};

/* --- the calls --- */

int timerfd_new(int clock, unsigned flags, struct file **ret_file)
{
    clockid_t base = clock;
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
        break;
    case CLOCK_REALTIME_ALARM:
    case CLOCK_BOOTTIME_ALARM:
        if (!capable(CAP_WAKE_ALARM)) {
            return -EPERM;
        }
        base = clock == CLOCK_REALTIME_ALARM ? CLOCK_REALTIME : CLOCK_BOOTTIME;
        break;
    default:
        return -EINVAL;
    }
    struct timerfd *timer = calloc(1, sizeof(*timer));
    if (!timer) {
        return -ENOMEM;
    }
    mutex_init(&timer->lock, RANK_OBJECT);
    wait_queue_init(&timer->queue);
    timer_init(&timer->timer, timer_fired);
    timer_init(&timer->step_check, step_fired);
    timer->clock = base;
    timer->shown_clock = clock;
    int result = file_new_anon(&timerfd_file_ops, 0600, FILE_READ | FILE_WRITE | FILE_STREAM,
                               (flags & O_NONBLOCK) | O_RDWR, timer, ret_file);
    if (result != 0) {
        timerfd_free(timer);
    }
    return result;
}

static bool time_is_valid(const struct timespec *time)
{
    return time->tv_sec >= 0 && time->tv_nsec >= 0 && time->tv_nsec < (long)NSEC_PER_SEC;
}

/* Saturates, as ktime does. */
static uint64_t to_ns(const struct timespec *time)
{
    if ((uint64_t)time->tv_sec >= INT64_MAX / NSEC_PER_SEC) {
        return INT64_MAX;
    }
    return (uint64_t)time->tv_sec * NSEC_PER_SEC + (uint64_t)time->tv_nsec;
}

int timerfd_set_time(struct file *file, int flags, const struct itimerspec *value,
                     struct itimerspec *ret_old)
{
    if ((flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) != 0 ||
        !time_is_valid(&value->it_value) || !time_is_valid(&value->it_interval) ||
        file->ops != &timerfd_file_ops) {
        return -EINVAL;
    }
    struct timerfd *timer = file->private_data;
    uint64_t when = to_ns(&value->it_value);
    mutex_lock(&timer->lock);
    if (ret_old) {
        get_locked(timer, ret_old);
    }
    bool cancellable = (flags & TFD_TIMER_CANCEL_ON_SET) && (flags & TFD_TIMER_ABSTIME) &&
                       timer->clock == CLOCK_REALTIME;
    timer->settime_flags = cancellable ? flags : flags & ~TFD_TIMER_CANCEL_ON_SET;
    timer->armed = when != 0;
    timer->expired = timer->cancelled = false;
    timer->ticks = 0;
    timer->interval_ns = to_ns(&value->it_interval);
    timer->real_offset_ns = real_offset();
    timer->expires_ns = (flags & TFD_TIMER_ABSTIME)
                            ? when
                            : min_of(ns_add(clock_ns(timer->clock), when), (uint64_t)INT64_MAX);
    if (timer->armed) {
        host_arm_locked(timer);
        if (cancellable) {
            timer_arm(&timer->step_check, CLOCK_MONOTONIC, clock_monotonic_ns() + CHECK_NS);
        }
    } else {
        timer_disarm(&timer->timer);
        timer_disarm(&timer->step_check);
    }
    mutex_unlock(&timer->lock);
    return 0;
}

int timerfd_get_time(struct file *file, struct itimerspec *ret_value)
{
    if (file->ops != &timerfd_file_ops) {
        return -EINVAL;
    }
    struct timerfd *timer = file->private_data;
    mutex_lock(&timer->lock);
    get_locked(timer, ret_value);
    mutex_unlock(&timer->lock);
    return 0;
}
