/* timerfd.h: timers as files. Source: timerfd_create(2), Linux fs/timerfd.c. */
#pragma once

#include <time.h>

#include "platform/base/compiler.h"

struct file;

/* clock: CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME or (CAP_WAKE_ALARM: EPERM) their _ALARM
 * forms. flags: O_NONBLOCK. EINVAL: another clock. */
int timerfd_new(int clock, unsigned flags, struct file **ret_file) must_check;
/* EINVAL: not a timerfd, unknown flags, or times out of range. old may be NULL. */
int timerfd_set_time(struct file *file, int flags, const struct itimerspec *value,
                     struct itimerspec *ret_old) must_check;
int timerfd_get_time(struct file *file, struct itimerspec *ret_value) must_check;
