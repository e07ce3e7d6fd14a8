/* sys_time.c: clocks and sleeping. */
#include <linux/capability.h>
#include <string.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

#include "sentry/core/clock.h"
#include "sentry/kernel/posix_timer.h"
#include "syscalls/syscall.h"

#define CLOCK_ID_MAX 16

static bool is_host_clock(clockid_t clock)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_BOOTTIME_ALARM:
    case CLOCK_TAI:
        return true;
    default:
        return false;
    }
}

/* What an ALARM clock shows; the host may have none (they need a device that can wake it). */
static clockid_t without_alarm(clockid_t clock)
{
    return clock == CLOCK_REALTIME_ALARM   ? CLOCK_REALTIME
           : clock == CLOCK_BOOTTIME_ALARM ? CLOCK_BOOTTIME
                                           : clock;
}

long sys_clock_gettime(struct task *task, const struct syscall_args *args)
{
    (void)task;
    clockid_t clock = arg_int(args, 0);
    struct timespec now;
    if (is_host_clock(clock)) {
        if (clock_gettime(without_alarm(clock), &now) != 0) {
            return -EINVAL;
        }
    } else {
        uint64_t ns;
        int result = cpu_clock_read(clock, &ns);
        if (result != 0) {
            return result;
        }
        now = (struct timespec){.tv_sec = (time_t)(ns / NSEC_PER_SEC),
                                .tv_nsec = (long)(ns % NSEC_PER_SEC)};
    }
    return copy_out(args->arg[1], &now);
}

long sys_clock_getres(struct task *task, const struct syscall_args *args)
{
    (void)task;
    clockid_t clock = arg_int(args, 0);
    struct timespec resolution = {.tv_nsec = 1};
    uint64_t unused;
    if (clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE) {
        if (clock_getres(clock, &resolution) != 0) {
            return -EINVAL;
        }
    } else if (!is_host_clock(clock)) {
        int result = cpu_clock_read(clock, &unused);
        if (result != 0) {
            return result;
        }
    }
    return args->arg[1] != 0 ? copy_out(args->arg[1], &resolution) : 0;
}

long sys_clock_settime(struct task *task, const struct syscall_args *args)
{
    (void)task;
    struct timespec value;
    clockid_t clock = arg_int(args, 0);
    if (clock != CLOCK_REALTIME) {
        return -EINVAL;
    }
    int result = copy_in(args->arg[1], &value);
    if (result == 0 && (value.tv_sec < 0 || value.tv_nsec < 0 || value.tv_nsec > 999999999)) {
        result = -EINVAL;
    }
    return result != 0 ? result : -EPERM; /* the host's clock is not the guest's to set */
}

long sys_settimeofday(struct task *task, const struct syscall_args *args)
{
    struct timeval value;
    struct timezone zone;
    (void)task;
    if (args->arg[0] != 0 && copy_in(args->arg[0], &value) != 0) {
        return -EFAULT;
    }
    if (args->arg[0] != 0 && (value.tv_sec < 0 || value.tv_usec < 0 || value.tv_usec > 999999)) {
        return -EINVAL;
    }
    if (args->arg[1] != 0 && copy_in(args->arg[1], &zone) != 0) {
        return -EFAULT;
    }
    return -EPERM; /* as clock_settime */
}

long sys_gettimeofday(struct task *task, const struct syscall_args *args)
{
    (void)task;
    struct timeval now;
    gettimeofday(&now, NULL);
    if (args->arg[0] != 0) {
        int result = copy_out(args->arg[0], &now);
        if (result != 0) {
            return result;
        }
    }
    struct timezone zone = {0};
    return args->arg[1] != 0 ? copy_out(args->arg[1], &zone) : 0;
}

long sys_time(struct task *task, const struct syscall_args *args)
{
    (void)task;
    int64_t now = (int64_t)time(NULL);
    if (args->arg[0] != 0) {
        int result = copy_out(args->arg[0], &now);
        if (result != 0) {
            return result;
        }
    }
    return now;
}

long sys_times(struct task *task, const struct syscall_args *args)
{
    struct tms times;
    uint64_t user;
    uint64_t system;
    mutex_lock(&kernel_lock);
    process_cpu_time(task->process, &user, &system);
    times.tms_utime = (clock_t)(user / 10000000);
    times.tms_stime = (clock_t)(system / 10000000);
    times.tms_cutime = (clock_t)(task->process->child_user_ns / 10000000);
    times.tms_cstime = (clock_t)(task->process->child_system_ns / 10000000);
    mutex_unlock(&kernel_lock);
    if (args->arg[0] != 0) {
        int result = copy_out(args->arg[0], &times);
        if (result != 0) {
            return result;
        }
    }
    return (long)(clock_ns(CLOCK_BOOTTIME) / 10000000);
}

/* Sleeps until deadline on a host clock; CLOCK_REALTIME is looked at again each second. */
static int sleep_until_clock(clockid_t clock, uint64_t deadline)
{
    for (;;) {
        task_sleep_prepare();
        uint64_t now = clock_ns(clock);
        if (now >= deadline) {
            return 0;
        }
        uint64_t left = deadline - now;
        if (clock == CLOCK_REALTIME) {
            left = min_of(left, (uint64_t)NSEC_PER_SEC);
        }
        int result = task_sleep(ns_add(clock_monotonic_ns(), left));
        if (result == -ERESTARTSYS) {
            return result;
        }
    }
}

static int sleep_cpu_clock(clockid_t clock, uint64_t deadline)
{
    for (;;) {
        uint64_t now;
        task_sleep_prepare();
        int result = cpu_clock_read(clock, &now);
        if (result != 0 || now >= deadline) {
            return result;
        }
        result = task_sleep(clock_monotonic_ns() + max_of(deadline - now, (uint64_t)1000000));
        if (result == -ERESTARTSYS) {
            return result;
        }
    }
}

static long sleep_restart(struct task *task);

/* A relative sleep; args of the restart block: clock, deadline, remain address. */
static long sleep_relative(struct task *task, clockid_t clock, uint64_t deadline, uint64_t remain)
{
    int result = is_host_clock(clock) ? sleep_until_clock(clock, deadline)
                                      : sleep_cpu_clock(clock, deadline);
    if (result != -ERESTARTSYS) {
        return result;
    }
    if (remain != 0) {
        uint64_t now = 0;
        if (is_host_clock(clock)) {
            now = clock_ns(clock);
        } else {
            ignore_result(cpu_clock_read(clock, &now));
        }
        if (now >= deadline) {
            return 0;
        }
        result = copy_out_timespec_ns(remain, deadline - now);
        if (result != 0) {
            return result;
        }
    }
    task->restart_block = (struct restart_block){
        .restart = sleep_restart, .args = {(uint64_t)(int64_t)clock, deadline, remain}};
    return -ERESTART_RESTARTBLOCK;
}

static long sleep_restart(struct task *task)
{
    const uint64_t *a = task->restart_block.args;
    return sleep_relative(task, (clockid_t)a[0], a[1], a[2]);
}

long sys_nanosleep(struct task *task, const struct syscall_args *args)
{
    uint64_t length;
    int result = copy_in_timespec_ns(args->arg[0], &length);
    if (result != 0) {
        return result;
    }
    return sleep_relative(task, CLOCK_MONOTONIC, ns_add(clock_monotonic_ns(), length),
                          args->arg[1]);
}

long sys_clock_nanosleep(struct task *task, const struct syscall_args *args)
{
    clockid_t clock = arg_int(args, 0);
    bool absolute = arg_int(args, 1) & TIMER_ABSTIME;
    uint64_t now = 0;
    uint64_t length;
    if (clock == CLOCK_THREAD_CPUTIME_ID || clock == CLOCK_MONOTONIC_RAW ||
        clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE) {
        return -EOPNOTSUPP;
    }
    clock = without_alarm(clock);
    if (is_host_clock(clock)) {
        now = clock_ns(clock);
    } else {
        int result = cpu_clock_read(clock, &now);
        if (result != 0) {
            return result;
        }
    }
    int result = copy_in_timespec_ns(args->arg[2], &length);
    if (result != 0) {
        return result;
    }
    if (!absolute) {
        return sleep_relative(task, clock, ns_add(now, length), args->arg[3]);
    }
    result =
        is_host_clock(clock) ? sleep_until_clock(clock, length) : sleep_cpu_clock(clock, length);
    return result == -ERESTARTSYS ? -ERESTARTNOHAND : result;
}
