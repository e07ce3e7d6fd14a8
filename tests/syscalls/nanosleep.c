/*
 * nanosleep.c: nanosleep and clock_nanosleep, relative and absolute.
 */
#include "tests/syscalls/guest_test.h"

static void tick(int sig)
{
    (void)sig;
}

TEST_CASE(sleeps_at_least_that_long)
{
    struct timespec t = {0, 30000000};
    long long start = guest_now_ns();
    CHECK_OK(nanosleep(&t, NULL));
    CHECK(guest_now_ns() - start >= 30000000);
    t.tv_nsec = 0;
    CHECK_OK(nanosleep(&t, NULL));
}

TEST_CASE(errors)
{
    struct timespec t = {0, 1000000000};
    CHECK_ERRNO(nanosleep(&t, NULL), EINVAL);
    t = (struct timespec){-1, 0};
    CHECK_ERRNO(nanosleep(&t, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_nanosleep, guest_bad(), NULL), EFAULT);
    t = (struct timespec){0, 1};
    CHECK_EQ(clock_nanosleep(1000, 0, &t, NULL), EINVAL);
    CHECK_EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL), EINVAL);
}

TEST_CASE(absolute)
{
    struct timespec t;
    struct timespec now;
    const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_TAI};
    for (int i = 0; i < 4; i++) {
        CHECK_OK(clock_gettime(clocks[i], &t));
        t.tv_nsec += 20000000;
        if (t.tv_nsec >= 1000000000) {
            t.tv_nsec -= 1000000000;
            t.tv_sec++;
        }
        CHECK_EQ(clock_nanosleep(clocks[i], TIMER_ABSTIME, &t, NULL), 0);
        CHECK_OK(clock_gettime(clocks[i], &now));
        CHECK(now.tv_sec > t.tv_sec || (now.tv_sec == t.tv_sec && now.tv_nsec >= t.tv_nsec));
        t.tv_sec -= 100;
        CHECK_EQ(clock_nanosleep(clocks[i], TIMER_ABSTIME, &t, NULL), 0);
    }
}

TEST_CASE(interrupted_relative_gives_the_rest)
{
    struct timespec t = {2, 0};
    struct timespec left = {0, 0};
    guest_handle(SIGALRM, tick, SA_RESTART);
    guest_ticker_start(50);
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &left), EINTR);
    guest_ticker_stop();
    CHECK(left.tv_sec <= 1);
    CHECK(left.tv_sec * 1000000000LL + left.tv_nsec > 0);
}

TEST_CASE(interrupted_absolute_leaves_the_rest_alone)
{
    struct timespec t;
    struct timespec left = {7, 7};
    CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &t));
    t.tv_sec += 5;
    guest_handle(SIGALRM, tick, SA_RESTART);
    guest_ticker_start(30);
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, &left), EINTR);
    guest_ticker_stop();
    CHECK(left.tv_sec == 7 && left.tv_nsec == 7);
}

TEST_CASE(clocks_that_cannot_sleep)
{
    struct timespec request = {0, 1};
    CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &request, NULL),
                EOPNOTSUPP);
    CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &request, NULL), EOPNOTSUPP);
}
