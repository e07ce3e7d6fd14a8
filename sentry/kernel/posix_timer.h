/*
 * posix_timer.h: interval timers (setitimer), POSIX timers (timer_create), and CPU-time limits.
 * Sources: setitimer(2), timer_create(2), Linux kernel/time/{itimer,posix-timers}.c.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "platform/base/compiler.h"
#include "sentry/core/timer.h"

struct posix_timer;
struct process;
struct task;

struct timer_setting {
    uint64_t value_ns;    /* 0: disarmed */
    uint64_t interval_ns; /* 0: one shot */
};

/* which: ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF. The old setting is what remains. */
void itimer_set(struct process *process, int which, const struct timer_setting *setting,
                struct timer_setting *ret_old);
void itimer_get(struct process *process, int which, struct timer_setting *ret_setting);
void itimer_real_fired(struct timer *timer);

/* notify: SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD_ID. -EAGAIN when there are too many. */
struct posix_timer_request {
    clockid_t clock;
    int notify, signo, tid;
    uint64_t value;     /* sigev_value */
    bool default_value; /* sigevent was NULL: the value is the timer's id */
};
int posix_timer_create(struct process *process, const struct posix_timer_request *request,
                       int *ret_id) must_check;
int posix_timer_set(struct process *process, int id, bool absolute,
                    const struct timer_setting *setting, struct timer_setting *ret_old) must_check;
int posix_timer_get(struct process *process, int id, struct timer_setting *ret_setting) must_check;
int posix_timer_overrun(struct process *process, int id, int *ret_overrun) must_check;
int posix_timer_delete(struct process *process, int id) must_check;
/* exec and exit: all timers go. */
void posix_timers_delete_all(struct process *process);
/* The end of the process: ITIMER_REAL, which exec keeps, goes too. */
void posix_timers_end(struct process *process);
/* A queued timer signal is being delivered: fills si_overrun and re-arms counting. (K) */
void posix_timer_delivered_locked(struct posix_timer *timer, siginfo_t *info);

/* Some CPU timer or RLIMIT_CPU is set in the process: the CPU clock ticks. (K) */
void cpu_timer_start_locked(struct process *process);
/* The present value of a guest CPU clock (negative ids too); -EINVAL when there is no such clock.
 */
int cpu_clock_read(clockid_t clock, uint64_t *ret_ns) must_check;
