/* sys_timer.c: interval timers and POSIX timers. */
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "sentry/core/clock.h"
#include "sentry/kernel/posix_timer.h"
#include "syscalls/syscall.h"

static int copy_out_itimerval(uint64_t addr, const struct timer_setting *setting)
{
    struct itimerval value = {
        .it_interval = {.tv_sec = (time_t)(setting->interval_ns / NSEC_PER_SEC),
                        .tv_usec = (suseconds_t)(setting->interval_ns / 1000 % 1000000)},
        .it_value = {.tv_sec = (time_t)(setting->value_ns / NSEC_PER_SEC),
                     .tv_usec = (suseconds_t)(setting->value_ns / 1000 % 1000000)},
    };
    return copy_out(addr, &value);
}

static int timeval_ns(const struct timeval *value, uint64_t *ret_ns)
{
    if (value->tv_sec < 0 || value->tv_usec < 0 || value->tv_usec >= 1000000) {
        return -EINVAL;
    }
    *ret_ns = ns_add(min_of((uint64_t)value->tv_sec, UINT64_MAX / NSEC_PER_SEC) * NSEC_PER_SEC,
                     (uint64_t)value->tv_usec * 1000);
    return 0;
}

static int timespec_ns(const struct timespec *value, uint64_t *ret_ns)
{
    if (value->tv_sec < 0 || value->tv_nsec < 0 || value->tv_nsec >= (long)NSEC_PER_SEC) {
        return -EINVAL;
    }
    *ret_ns = ns_add(min_of((uint64_t)value->tv_sec, UINT64_MAX / NSEC_PER_SEC) * NSEC_PER_SEC,
                     (uint64_t)value->tv_nsec);
    return 0;
}

long sys_getitimer(struct task *task, const struct syscall_args *args)
{
    int which = arg_int(args, 0);
    struct timer_setting setting;
    if (which < ITIMER_REAL || which > ITIMER_PROF) {
        return -EINVAL;
    }
    itimer_get(task->process, which, &setting);
    return copy_out_itimerval(args->arg[1], &setting);
}

long sys_setitimer(struct task *task, const struct syscall_args *args)
{
    int which = arg_int(args, 0);
    struct itimerval value;
    struct timer_setting setting;
    struct timer_setting old;
    memset(&value, 0, sizeof(value));
    if (args->arg[1] != 0) {
        int result = copy_in(args->arg[1], &value);
        if (result != 0) {
            return result;
        }
    }
    if (which < ITIMER_REAL || which > ITIMER_PROF ||
        timeval_ns(&value.it_value, &setting.value_ns) != 0 ||
        timeval_ns(&value.it_interval, &setting.interval_ns) != 0) {
        return -EINVAL;
    }
    itimer_set(task->process, which, &setting, &old);
    return args->arg[2] != 0 ? copy_out_itimerval(args->arg[2], &old) : 0;
}

long sys_alarm(struct task *task, const struct syscall_args *args)
{
    struct timer_setting setting = {.value_ns = (uint64_t)arg_uint(args, 0) * NSEC_PER_SEC};
    struct timer_setting old;
    itimer_set(task->process, ITIMER_REAL, &setting, &old);
    uint64_t seconds = old.value_ns / NSEC_PER_SEC;
    /* Linux: a rest of half a second or more, or less than one second, counts as a second. */
    if (old.value_ns != 0 && (seconds == 0 || old.value_ns % NSEC_PER_SEC >= NSEC_PER_SEC / 2)) {
        seconds++;
    }
    return (long)seconds;
}

struct guest_sigevent {
    uint64_t value;
    int32_t signo, notify, tid, pad[11];
};

long sys_timer_create(struct task *task, const struct syscall_args *args)
{
    struct guest_sigevent event = {.signo = SIGALRM, .notify = SIGEV_SIGNAL};
    if (args->arg[1] != 0) {
        int result = copy_in(args->arg[1], &event);
        if (result != 0) {
            return result;
        }
    }
    int notify = event.notify & ~SIGEV_THREAD_ID;
    if ((notify != SIGEV_SIGNAL && notify != SIGEV_NONE && notify != SIGEV_THREAD) ||
        (notify == SIGEV_NONE && event.notify != SIGEV_NONE) ||
        (notify != SIGEV_NONE && (event.signo <= 0 || event.signo > SIGNAL_COUNT))) {
        return -EINVAL;
    }
    struct posix_timer_request request = {
        .clock = arg_int(args, 0),
        .notify = event.notify,
        .signo = notify == SIGEV_NONE ? SIGALRM : event.signo,
        .tid = event.tid,
        .value = event.value,
        .default_value = args->arg[1] == 0,
    };
    int id;
    int result = posix_timer_create(task->process, &request, &id);
    if (result == 0) {
        result = copy_out(args->arg[2], &id);
        if (result != 0) {
            ignore_result(posix_timer_delete(task->process, id));
        }
    }
    return result;
}

static int copy_out_itimerspec(uint64_t addr, const struct timer_setting *setting)
{
    struct itimerspec value = {
        .it_interval = {.tv_sec = (time_t)(setting->interval_ns / NSEC_PER_SEC),
                        .tv_nsec = (long)(setting->interval_ns % NSEC_PER_SEC)},
        .it_value = {.tv_sec = (time_t)(setting->value_ns / NSEC_PER_SEC),
                     .tv_nsec = (long)(setting->value_ns % NSEC_PER_SEC)},
    };
    return copy_out(addr, &value);
}

long sys_timer_settime(struct task *task, const struct syscall_args *args)
{
    struct itimerspec value;
    struct timer_setting setting;
    struct timer_setting old;
    if (args->arg[2] == 0) {
        return -EINVAL;
    }
    int result = copy_in(args->arg[2], &value);
    if (result != 0) {
        return result;
    }
    if (timespec_ns(&value.it_value, &setting.value_ns) != 0 ||
        timespec_ns(&value.it_interval, &setting.interval_ns) != 0) {
        return -EINVAL;
    }
    result = posix_timer_set(task->process, arg_int(args, 0), arg_int(args, 1) & TIMER_ABSTIME,
                             &setting, &old);
    if (result == 0 && args->arg[3] != 0) {
        result = copy_out_itimerspec(args->arg[3], &old);
    }
    return result;
}

long sys_timer_gettime(struct task *task, const struct syscall_args *args)
{
    struct timer_setting setting;
    int result = posix_timer_get(task->process, arg_int(args, 0), &setting);
    return result != 0 ? result : copy_out_itimerspec(args->arg[1], &setting);
}

long sys_timer_getoverrun(struct task *task, const struct syscall_args *args)
{
    int overrun;
    int result = posix_timer_overrun(task->process, arg_int(args, 0), &overrun);
    return result != 0 ? result : overrun;
}

long sys_timer_delete(struct task *task, const struct syscall_args *args)
{
    return posix_timer_delete(task->process, arg_int(args, 0));
}
