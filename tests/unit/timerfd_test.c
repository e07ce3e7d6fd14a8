/* timerfd_test.c: once, intervals, absolute and past times, disarming. */
#include "tests/unit/io.h"

#include <errno.h>
#include <poll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "sentry/core/clock.h"
#include "sentry/core/timer.h"
#include "sentry/fs/anon/timerfd.h"

static void pause_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static struct itimerspec in_ms(long value, long interval)
{
    return (struct itimerspec){{interval / 1000, interval % 1000 * 1000000},
                               {value / 1000, value % 1000 * 1000000}};
}

static void test_once(void **state)
{
    (void)state;
    const int clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};
    for (size_t i = 0; i < array_size(clocks); i++) {
        struct file *timer;
        uint64_t ticks;
        struct sleeper sleeper;
        struct wait_entry entry = {.events = EPOLLIN, .wake = wait_wake_sleeper, .owner = &sleeper};
        struct itimerspec spec = in_ms(30, 0);
        assert_int_equal(timerfd_new(clocks[i], 0, &timer), 0);
        assert_int_equal(io_read(timer, &ticks, 8), -EAGAIN);
        assert_int_equal(io_read(timer, &ticks, 4), -EINVAL);
        sleeper_init(&sleeper);
        wait_queue_add(file_wait_queue(timer), &entry);
        sleeper_prepare(&sleeper);
        assert_int_equal(timerfd_set_time(timer, 0, &spec, NULL), 0);
        assert_true(sleeper_wait(&sleeper, clock_monotonic_ns() + 5 * NSEC_PER_SEC));
        wait_queue_remove(&entry);
        assert_int_equal(file_poll(timer), EPOLLIN);
        assert_int_equal(io_read(timer, &ticks, 8), 8);
        assert_int_equal(ticks, 1);
        assert_int_equal(file_poll(timer), 0);
        assert_int_equal(timerfd_get_time(timer, &spec), 0);
        assert_int_equal(spec.it_value.tv_nsec, 0);
        file_unref(timer);
    }
}

static void test_interval(void **state)
{
    (void)state;
    struct file *timer;
    uint64_t ticks = 0;
    struct itimerspec spec = in_ms(5, 10), old;
    assert_int_equal(timerfd_new(CLOCK_MONOTONIC, 0, &timer), 0);
    assert_int_equal(timerfd_set_time(timer, 0, &spec, NULL), 0);
    pause_ms(58);
    assert_int_equal(io_read(timer, &ticks, 8), 8);
    assert_in_range(ticks, 5, 12);
    spec = in_ms(0, 0);
    assert_int_equal(timerfd_set_time(timer, 0, &spec, &old), 0);
    assert_int_equal(old.it_interval.tv_nsec, 10000000);
    assert_true(old.it_value.tv_nsec <= 10000000);
    pause_ms(20);
    assert_int_equal(io_read(timer, &ticks, 8), -EAGAIN);
    /* An absolute time in the past fires at once. */
    spec = in_ms(1, 0);
    assert_int_equal(timerfd_set_time(timer, TFD_TIMER_ABSTIME, &spec, NULL), 0);
    assert_int_equal(io_read(timer, &ticks, 8), 8);
    spec.it_value.tv_nsec = 1000000000;
    assert_int_equal(timerfd_set_time(timer, 0, &spec, NULL), -EINVAL);
    assert_int_equal(timerfd_set_time(timer, 64, &old, NULL), -EINVAL);
    file_unref(timer);
    assert_int_equal(timerfd_new(CLOCK_PROCESS_CPUTIME_ID, 0, &timer), -EINVAL);
}

int main(void)
{
    if (timer_start() != 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
