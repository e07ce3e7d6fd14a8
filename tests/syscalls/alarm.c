/*
 * alarm.c: alarm and its relation to ITIMER_REAL.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/time.h>

TEST_CASE(returns_what_was_left)
{
    CHECK_EQ(alarm(100), 0);
    unsigned left = alarm(50);
    CHECK(left == 100 || left == 99);
    left = alarm(0);
    CHECK(left == 50 || left == 49);
    CHECK_EQ(alarm(0), 0);
}

TEST_CASE(shares_the_real_timer)
{
    struct itimerval now;
    CHECK_EQ(alarm(100), 0);
    CHECK_OK(getitimer(ITIMER_REAL, &now));
    CHECK(now.it_value.tv_sec >= 98);
    CHECK_EQ(now.it_interval.tv_sec, 0);
    alarm(0);
    CHECK_OK(getitimer(ITIMER_REAL, &now));
    CHECK_EQ(now.it_value.tv_sec, 0);
}

TEST_CASE(kills_by_default)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        alarm(1);
        for (;;) {
            pause();
        }
    }
    long long start = guest_now_ms();
    CHECK_CHILD_SIGNAL(pid, SIGALRM);
    CHECK(guest_now_ms() - start >= 900);
}

TEST_HELPER(wait_for_alarm)
{
    pause();
    return 1;
}

TEST_CASE(survives_exec)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        char *args[] = {"x", "--helper", "wait_for_alarm", NULL};
        char *env[] = {NULL};
        guest_ticker_start(200);
        execve(guest_self(), args, env);
        _exit(126);
    }
    CHECK_CHILD_SIGNAL(pid, SIGALRM);
}
