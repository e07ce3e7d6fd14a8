/*
 * sys_adjtime.c: adjtimex, clock_adjtime: a clock that nobody steers, and that is not the guest's
 * to set. Source: adjtimex(2), Linux kernel/time/timekeeping.c (timekeeping_validate_timex), ntp.c.
 */
#include <linux/capability.h>
#include <sys/timex.h>
#include <time.h>

#include "sentry/core/cred.h"
#include "syscalls/syscall.h"

#define ADJTIME        0x8000U /* the modes of adjtime(3) */
#define ADJTIME_READ   0x2000U
#define TICK           10000
#define TICK_LEAST     9000
#define TICK_MOST      11000
#define LARGEST_ERROR  16000000
#define TOLERANCE      (500L << 16)
#define MICROS_PER_SEC 1000000

static bool wants_nanoseconds(const struct timex *timex)
{
    return (timex->modes & ADJ_NANO) != 0;
}

/* -EINVAL, -EPERM; 0: the clock is only asked about. */
static int check(const struct timex *timex)
{
    unsigned modes = timex->modes;
    bool allowed = capable(CAP_SYS_TIME);
    if ((modes & ADJTIME) != 0) {
        if ((modes & ADJ_OFFSET) == 0) {
            return -EINVAL;
        }
        return (modes & ADJTIME_READ) != 0 ? 0 : -EPERM;
    }
    if (modes == 0) {
        return 0;
    }
    if (!allowed) {
        return -EPERM;
    }
    if ((modes & ADJ_TICK) != 0 && (timex->tick < TICK_LEAST || timex->tick > TICK_MOST)) {
        return -EINVAL;
    }
    long parts = wants_nanoseconds(timex) ? 1000L * MICROS_PER_SEC : MICROS_PER_SEC;
    if ((modes & ADJ_SETOFFSET) != 0 && (timex->time.tv_usec < 0 || timex->time.tv_usec >= parts)) {
        return -EINVAL;
    }
    return -EPERM;
}

static long adjust(uint64_t addr)
{
    struct timex timex;
    struct timespec now;
    if (copy_in(addr, &timex) < 0) {
        return -EFAULT;
    }
    int error = check(&timex);
    if (error < 0) {
        return error;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    const unsigned modes = timex.modes;
    timex = (struct timex){.modes = modes,
                           .maxerror = LARGEST_ERROR,
                           .esterror = LARGEST_ERROR,
                           .status = STA_UNSYNC,
                           .constant = 2,
                           .precision = 1,
                           .tolerance = TOLERANCE,
                           .tick = TICK};
    timex.time.tv_sec = now.tv_sec;
    timex.time.tv_usec = now.tv_nsec / 1000;
    return copy_out(addr, &timex) < 0 ? -EFAULT : TIME_ERROR;
}

long sys_adjtimex(struct task *task, const struct syscall_args *args)
{
    (void)task;
    return adjust(arg_u64(args, 0));
}

long sys_clock_adjtime(struct task *task, const struct syscall_args *args)
{
    clockid_t clock = arg_int(args, 0);
    (void)task;
    if (clock != CLOCK_REALTIME) {
        return clock >= 0 && clock <= CLOCK_TAI && clock != 10 ? -EOPNOTSUPP : -EINVAL;
    }
    return adjust(arg_u64(args, 1));
}
