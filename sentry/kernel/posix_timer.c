/*
 * posix_timer.c: setitimer and timer_create. Real-time clocks use sentry/core/timer; CPU clocks are
 * looked at by a tick that runs only while some CPU timer or RLIMIT_CPU is set.
 *
 * Timer callbacks take kernel_lock, so timer_cancel is called without it.
 */
#include "sentry/kernel/posix_timer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "sentry/core/clock.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/signal_sets.h"
#include "sentry/kernel/task.h"

#define TIMERS_MAX  4096 /* per process; Linux counts them in RLIMIT_SIGPENDING */
#define CPU_TICK_NS 4000000ULL

struct posix_timer {
    TAILQ_ENTRY(posix_timer) link; /* (K) */
    struct refcount ref;           /* the list, and a running callback's user */
    int id;
    struct process *process; /* borrowed: timers go before the process */
    struct task *target;     /* reference or NULL: SIGEV_THREAD_ID */
    clockid_t clock;         /* as asked */
    clockid_t base;          /* CLOCK_MONOTONIC or CLOCK_REALTIME to arm on */
    int notify;
    struct timer timer;
    uint64_t deadline_ns;      /* (K) on base; 0 disarmed */
    uint64_t interval_ns;      /* (K) */
    struct signal_entry entry; /* (K) */
    int overrun;               /* (K) since the queued signal was sent */
    int last_overrun;          /* (K) of the delivered signal */
};

/* --- interval timers --- */

void itimer_real_fired(struct timer *timer)
{
    struct process *process = container_of(timer, struct process, real_timer);
    mutex_lock(&kernel_lock);
    if (process->real_deadline_ns > clock_monotonic_ns()) {
        timer_arm(timer, CLOCK_MONOTONIC, process->real_deadline_ns); /* set anew meanwhile */
    } else if (process->real_deadline_ns != 0 && process->state == PROCESS_RUNNING &&
               !process->group_exiting) {
        siginfo_t info;
        memset(&info, 0, sizeof(info));
        info.si_code = SI_KERNEL;
        ignore_result(signal_send_process_locked(process, SIGALRM, &info));
        if (process->real_interval_ns != 0) {
            uint64_t next = process->real_deadline_ns + process->real_interval_ns;
            uint64_t now = clock_monotonic_ns();
            if (next <= now) {
                next += (now - next) / process->real_interval_ns * process->real_interval_ns +
                        process->real_interval_ns;
            }
            process->real_deadline_ns = next;
            timer_arm(timer, CLOCK_MONOTONIC, next);
        } else {
            process->real_deadline_ns = 0;
        }
    }
    mutex_unlock(&kernel_lock);
}

static uint64_t itimer_clock_locked(struct process *process, int which)
{
    uint64_t user;
    uint64_t system;
    process_cpu_time(process, &user, &system);
    return which == ITIMER_VIRTUAL ? user : user + system;
}

static void itimer_get_locked(struct process *process, int which, struct timer_setting *ret)
{
    if (which == ITIMER_REAL) {
        uint64_t now = clock_monotonic_ns();
        uint64_t at = process->real_deadline_ns;
        ret->value_ns = at == 0 ? 0 : at > now ? at - now : 1000;
        ret->interval_ns = process->real_interval_ns;
        return;
    }
    uint64_t at = process->cpu_timer_ns[which - 1];
    uint64_t now = at == 0 ? 0 : itimer_clock_locked(process, which);
    ret->value_ns = at == 0 ? 0 : at > now ? at - now : 1000;
    ret->interval_ns = process->cpu_interval_ns[which - 1];
}

void itimer_get(struct process *process, int which, struct timer_setting *ret_setting)
{
    mutex_lock(&kernel_lock);
    itimer_get_locked(process, which, ret_setting);
    mutex_unlock(&kernel_lock);
}

void itimer_set(struct process *process, int which, const struct timer_setting *setting,
                struct timer_setting *ret_old)
{
    mutex_lock(&kernel_lock);
    itimer_get_locked(process, which, ret_old);
    if (which == ITIMER_REAL) {
        timer_disarm(&process->real_timer);
        process->real_interval_ns = setting->interval_ns;
        process->real_deadline_ns = 0;
        if (setting->value_ns != 0) {
            process->real_deadline_ns = ns_add(clock_monotonic_ns(), setting->value_ns);
            timer_arm(&process->real_timer, CLOCK_MONOTONIC, process->real_deadline_ns);
        }
    } else {
        process->cpu_interval_ns[which - 1] = setting->interval_ns;
        process->cpu_timer_ns[which - 1] =
            setting->value_ns == 0 ? 0
                                   : ns_add(itimer_clock_locked(process, which), setting->value_ns);
        if (setting->value_ns != 0) {
            cpu_timer_start_locked(process);
        }
    }
    mutex_unlock(&kernel_lock);
}

/* --- CPU clocks --- */

static struct timer cpu_tick_timer;
static bool cpu_tick_running; /* (K) */

/* Fires what is due in one process. True while it still needs the tick. (K) */
static bool cpu_tick_process(struct process *process)
{
    static const int signals[] = {SIGVTALRM, SIGPROF};
    bool needed = false;
    for (int which = ITIMER_VIRTUAL; which <= ITIMER_PROF; which++) {
        uint64_t *at = &process->cpu_timer_ns[which - 1];
        if (*at == 0) {
            continue;
        }
        uint64_t now = itimer_clock_locked(process, which);
        if (now >= *at) {
            ignore_result(signal_send_process_locked(process, signals[which - 1], NULL));
            uint64_t interval = process->cpu_interval_ns[which - 1];
            *at = interval == 0 ? 0 : now + interval;
        }
        needed = needed || *at != 0;
    }
    uint64_t soft = process->limits[RLIMIT_CPU].rlim_cur;
    uint64_t hard = process->limits[RLIMIT_CPU].rlim_max;
    if (soft != RLIM_INFINITY) {
        needed = true;
        uint64_t seconds = itimer_clock_locked(process, ITIMER_PROF) / NSEC_PER_SEC;
        if (seconds >= hard) {
            ignore_result(signal_send_process_locked(process, SIGKILL, NULL));
        } else if (seconds >= soft && seconds >= process->cpu_limit_next) {
            process->cpu_limit_next = seconds + 1; /* Linux: once a second from then on */
            ignore_result(signal_send_process_locked(process, SIGXCPU, NULL));
        }
    }
    return needed;
}

static void posix_timer_expire_locked(struct posix_timer *timer);

static bool cpu_tick_posix(struct process *process)
{
    bool needed = false;
    struct posix_timer *timer;
    TAILQ_FOREACH (timer, &process->timers, link) {
        uint64_t now;
        if (timer->base != CLOCK_PROCESS_CPUTIME_ID || timer->deadline_ns == 0) {
            continue;
        }
        now = itimer_clock_locked(process, ITIMER_PROF);
        if (now >= timer->deadline_ns) {
            timer->deadline_ns = timer->interval_ns == 0 ? 0 : now + timer->interval_ns;
            posix_timer_expire_locked(timer);
        }
        needed = needed || timer->deadline_ns != 0;
    }
    return needed;
}

static void cpu_tick(struct timer *timer)
{
    bool needed = false;
    struct process *process;
    mutex_lock(&kernel_lock);
    TAILQ_FOREACH (process, &all_processes, all_link) {
        if (process->state == PROCESS_RUNNING && process->thread_count > 0) {
            needed = cpu_tick_process(process) || needed;
            needed = cpu_tick_posix(process) || needed;
        }
    }
    cpu_tick_running = needed;
    if (needed) {
        timer_arm(timer, CLOCK_MONOTONIC, clock_monotonic_ns() + CPU_TICK_NS);
    }
    mutex_unlock(&kernel_lock);
}

void cpu_timer_start_locked(struct process *process)
{
    (void)process;
    if (!cpu_tick_running) {
        cpu_tick_running = true;
        if (!cpu_tick_timer.fire) {
            timer_init(&cpu_tick_timer, cpu_tick);
        }
        timer_arm(&cpu_tick_timer, CLOCK_MONOTONIC, clock_monotonic_ns() + CPU_TICK_NS);
    }
}

int cpu_clock_read(clockid_t clock, uint64_t *ret_ns)
{
    struct task *task = current.task;
    uint64_t user = 0;
    uint64_t system = 0;
    int result = 0;
    mutex_lock(&kernel_lock);
    if (clock == CLOCK_PROCESS_CPUTIME_ID) {
        process_cpu_time(task->process, &user, &system);
    } else if (clock == CLOCK_THREAD_CPUTIME_ID) {
        task_cpu_time(task, &user, &system);
    } else if (clock < 0 && (clock & 7) <= 6 && (clock & 3) < 3) {
        /* Linux: posix-cpu-timers: ~pid << 3 | per-thread << 2 | which */
        int id = ~(clock >> 3);
        bool thread = clock & 4;
        struct task *target = id == 0 ? task : task_find_locked(id);
        if (!target || (thread && target->process != task->process) ||
            (!thread && id != 0 && target->process->tgid != id)) {
            result = -EINVAL;
        } else if (thread) {
            task_cpu_time(target, &user, &system);
        } else {
            process_cpu_time(target->process, &user, &system);
        }
        if ((clock & 3) == 1) {
            system = 0;
        }
    } else {
        result = -EINVAL;
    }
    mutex_unlock(&kernel_lock);
    if (result == 0) {
        *ret_ns = user + system;
    }
    return result;
}

/* --- POSIX timers --- */

static struct posix_timer *find_locked(struct process *process, int id)
{
    struct posix_timer *timer;
    TAILQ_FOREACH (timer, &process->timers, link) {
        if (timer->id == id) {
            return timer;
        }
    }
    return NULL;
}

static void posix_timer_expire_locked(struct posix_timer *timer)
{
    if (timer->notify == SIGEV_NONE) {
        return;
    }
    struct task *target = timer->target;
    if (target && (target->exiting || atomic_load(&target->state) >= TASK_ZOMBIE)) {
        return;
    }
    if (timer->entry.queued) {
        if (timer->overrun < INT32_MAX) {
            timer->overrun++;
        }
        return;
    }
    timer->overrun = 0;
    ignore_result(signal_send_timer_locked(timer->process, target, &timer->entry));
}

static void posix_timer_fired(struct timer *core)
{
    struct posix_timer *timer = container_of(core, struct posix_timer, timer);
    mutex_lock(&kernel_lock);
    if (timer->deadline_ns > clock_ns(timer->base)) {
        timer_arm(core, timer->base, timer->deadline_ns); /* set anew meanwhile */
    } else if (timer->deadline_ns != 0 && timer->process->state == PROCESS_RUNNING) {
        if (timer->interval_ns != 0) {
            uint64_t now = clock_ns(timer->base);
            uint64_t missed =
                now > timer->deadline_ns ? (now - timer->deadline_ns) / timer->interval_ns : 0;
            timer->deadline_ns += (missed + 1) * timer->interval_ns;
            posix_timer_expire_locked(timer);
            uint64_t extra = timer->entry.queued ? missed : 0;
            timer->overrun = (int)min_of((uint64_t)timer->overrun + extra, (uint64_t)INT32_MAX);
            timer_arm(core, timer->base, timer->deadline_ns);
        } else {
            timer->deadline_ns = 0;
            posix_timer_expire_locked(timer);
        }
    }
    mutex_unlock(&kernel_lock);
}

void posix_timer_delivered_locked(struct posix_timer *timer, siginfo_t *info)
{
    timer->last_overrun = timer->overrun;
    info->si_overrun = timer->overrun;
    timer->overrun = 0;
}

static int base_clock(clockid_t clock, clockid_t *ret_base)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
        *ret_base = CLOCK_REALTIME;
        return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        *ret_base = CLOCK_MONOTONIC;
        return 0;
    default:
        break;
    }
    uint64_t unused;
    if (cpu_clock_read(clock, &unused) == 0) {
        *ret_base = CLOCK_PROCESS_CPUTIME_ID;
        return 0;
    }
    return -EINVAL;
}

int posix_timer_create(struct process *process, const struct posix_timer_request *request,
                       int *ret_id)
{
    clockid_t base;
    int result = base_clock(request->clock, &base);
    if (result != 0) {
        return result;
    }
    struct posix_timer *timer = calloc(1, sizeof(*timer));
    if (!timer) {
        return -EAGAIN;
    }
    refcount_init(&timer->ref);
    timer->process = process;
    timer->clock = request->clock;
    timer->base = base;
    timer->notify = request->notify & ~SIGEV_THREAD_ID;
    timer_init(&timer->timer, posix_timer_fired);
    timer->entry.timer = timer;
    mutex_lock(&kernel_lock);
    struct posix_timer *each;
    int count = 0;
    TAILQ_FOREACH (each, &process->timers, link) {
        count++;
    }
    if (count >= TIMERS_MAX) {
        result = -EAGAIN;
    }
    if (result == 0 && (request->notify & SIGEV_THREAD_ID)) {
        struct task *target = task_find_locked(request->tid);
        if (!target || target->process != process) {
            result = -EINVAL;
        } else {
            timer->target = task_ref(target);
        }
    }
    if (result == 0) {
        timer->id = process->next_timer_id++;
        timer->entry.info.si_signo = request->signo;
        timer->entry.info.si_code = SI_TIMER;
        timer->entry.info.si_timerid = timer->id;
        timer->entry.info.si_value.sival_ptr =
            (void *)(uintptr_t)(request->default_value ? (uint64_t)timer->id : request->value);
        TAILQ_INSERT_TAIL(&process->timers, timer, link);
        *ret_id = timer->id;
    }
    mutex_unlock(&kernel_lock);
    if (result != 0) {
        free(timer);
    }
    return result;
}

static uint64_t base_now(const struct posix_timer *timer)
{
    return timer->base == CLOCK_PROCESS_CPUTIME_ID
               ? itimer_clock_locked(timer->process, ITIMER_PROF)
               : clock_ns(timer->base);
}

static void get_locked(struct posix_timer *timer, struct timer_setting *ret)
{
    uint64_t now = timer->deadline_ns == 0 ? 0 : base_now(timer);
    ret->value_ns = timer->deadline_ns == 0    ? 0
                    : timer->deadline_ns > now ? timer->deadline_ns - now
                                               : 1;
    ret->interval_ns = timer->interval_ns;
}

int posix_timer_get(struct process *process, int id, struct timer_setting *ret_setting)
{
    mutex_lock(&kernel_lock);
    struct posix_timer *timer = find_locked(process, id);
    if (timer) {
        get_locked(timer, ret_setting);
    }
    mutex_unlock(&kernel_lock);
    return timer ? 0 : -EINVAL;
}

int posix_timer_set(struct process *process, int id, bool absolute,
                    const struct timer_setting *setting, struct timer_setting *ret_old)
{
    mutex_lock(&kernel_lock);
    struct posix_timer *timer = find_locked(process, id);
    if (timer) {
        get_locked(timer, ret_old);
        timer_disarm(&timer->timer);
        signal_cancel_timer_locked(process, &timer->entry);
        timer->overrun = timer->last_overrun = 0;
        timer->interval_ns = setting->interval_ns;
        timer->deadline_ns = 0;
        if (setting->value_ns != 0) {
            uint64_t start = absolute ? 0 : base_now(timer);
            timer->deadline_ns = ns_add(start, setting->value_ns);
            if (timer->base == CLOCK_PROCESS_CPUTIME_ID) {
                cpu_timer_start_locked(process);
            } else {
                timer_arm(&timer->timer, timer->base, timer->deadline_ns);
            }
        }
    }
    mutex_unlock(&kernel_lock);
    return timer ? 0 : -EINVAL;
}

int posix_timer_overrun(struct process *process, int id, int *ret_overrun)
{
    mutex_lock(&kernel_lock);
    struct posix_timer *timer = find_locked(process, id);
    if (timer) {
        *ret_overrun = timer->last_overrun;
    }
    mutex_unlock(&kernel_lock);
    return timer ? 0 : -EINVAL;
}

/* Takes the timer out of its process (K held before), then frees it without the lock. */
static void posix_timer_free(struct posix_timer *timer)
{
    timer_cancel(&timer->timer);
    task_unref(timer->target);
    free(timer);
}

int posix_timer_delete(struct process *process, int id)
{
    mutex_lock(&kernel_lock);
    struct posix_timer *timer = find_locked(process, id);
    if (timer) {
        TAILQ_REMOVE(&process->timers, timer, link);
        timer->deadline_ns = 0;
        signal_cancel_timer_locked(process, &timer->entry);
    }
    mutex_unlock(&kernel_lock);
    if (!timer) {
        return -EINVAL;
    }
    posix_timer_free(timer);
    return 0;
}

void posix_timers_delete_all(struct process *process)
{
    for (;;) {
        mutex_lock(&kernel_lock);
        struct posix_timer *timer = TAILQ_FIRST(&process->timers);
        int id = timer ? timer->id : -1;
        mutex_unlock(&kernel_lock);
        if (!timer) {
            break;
        }
        ignore_result(posix_timer_delete(process, id));
    }
}

void posix_timers_end(struct process *process)
{
    posix_timers_delete_all(process);
    timer_cancel(&process->real_timer);
}
