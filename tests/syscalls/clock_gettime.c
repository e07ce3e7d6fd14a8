/*
 * clock_gettime.c: all clocks: progress, order, resolution, CPU time.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/time.h>
#include <sys/times.h>

static long long read_clock(clockid_t clock)
{
    struct timespec t = {-1, -1};
    CHECK_OK(clock_gettime(clock, &t));
    CHECK(t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static const clockid_t clocks[] = {
    CLOCK_REALTIME,       CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
    CLOCK_MONOTONIC_RAW,  CLOCK_BOOTTIME,  CLOCK_REALTIME_COARSE,    CLOCK_MONOTONIC_COARSE,
    CLOCK_REALTIME_ALARM, CLOCK_TAI,       CLOCK_BOOTTIME_ALARM};

TEST_CASE(never_backwards)
{
    for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
        struct timespec t;
        if (clock_gettime(clocks[i], &t) < 0) {
            CHECK(clocks[i] == CLOCK_REALTIME_ALARM || clocks[i] == CLOCK_BOOTTIME_ALARM);
            continue;
        }
        long long last = read_clock(clocks[i]);
        for (int n = 0; n < 200; n++) {
            long long now = read_clock(clocks[i]);
            CHECK(now >= last);
            last = now;
        }
    }
}

TEST_CASE(raw_call_agrees_with_the_vdso)
{
    for (int i = 0; i < 2; i++) {
        struct timespec t;
        long long before = read_clock(clocks[i]);
        CHECK_OK(syscall(SYS_clock_gettime, clocks[i], &t));
        long long raw = t.tv_sec * 1000000000LL + t.tv_nsec;
        long long after = read_clock(clocks[i]);
        CHECK(before <= raw && raw <= after);
    }
}

TEST_CASE(resolution)
{
    struct timespec t;
    CHECK_OK(clock_getres(CLOCK_MONOTONIC, &t));
    CHECK(t.tv_sec == 0 && t.tv_nsec >= 1 && t.tv_nsec <= 10000000);
    CHECK_OK(clock_getres(CLOCK_REALTIME_COARSE, &t));
    CHECK(t.tv_nsec >= 1000000 && t.tv_nsec <= 10000000);
    CHECK_OK(syscall(SYS_clock_getres, CLOCK_REALTIME, NULL));
    CHECK_ERRNO(syscall(SYS_clock_getres, 1000, &t), EINVAL);
}

TEST_CASE(realtime_time_and_gettimeofday_agree)
{
    struct timeval tv;
    time_t first = (time_t)syscall(SYS_time, NULL);
    CHECK_OK(gettimeofday(&tv, NULL));
    CHECK(tv.tv_sec - first >= 0 && tv.tv_sec - first <= 2);
    CHECK(tv.tv_usec >= 0 && tv.tv_usec < 1000000);
    CHECK(read_clock(CLOCK_REALTIME) / 1000000000 - tv.tv_sec <= 2);
    CHECK(tv.tv_sec > 1600000000);
    time_t stored = 0;
    time_t returned = (time_t)syscall(SYS_time, &stored);
    CHECK_EQ(returned, stored);
    struct timezone zone = {1, 1};
    CHECK_OK(syscall(SYS_gettimeofday, NULL, &zone));
}

TEST_CASE(cpu_clocks_do_not_count_sleep)
{
    long long before = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    long long thread_before = read_clock(CLOCK_THREAD_CPUTIME_ID);
    guest_sleep_ms(100);
    CHECK(read_clock(CLOCK_PROCESS_CPUTIME_ID) - before < 80000000);
    CHECK(read_clock(CLOCK_THREAD_CPUTIME_ID) - thread_before < 80000000);
    long long start = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    volatile unsigned long n = 0;
    while (read_clock(CLOCK_PROCESS_CPUTIME_ID) - start < 30000000) {
        n++;
    }
    CHECK(n > 0);
}

TEST_CASE(sleep_counts_on_the_others)
{
    long long monotonic = read_clock(CLOCK_MONOTONIC);
    long long boot = read_clock(CLOCK_BOOTTIME);
    long long coarse = read_clock(CLOCK_MONOTONIC_COARSE);
    guest_sleep_ms(50);
    CHECK(read_clock(CLOCK_MONOTONIC) - monotonic >= 50000000);
    CHECK(read_clock(CLOCK_BOOTTIME) - boot >= 50000000);
    CHECK(read_clock(CLOCK_MONOTONIC_COARSE) - coarse >= 30000000);
}

TEST_CASE(clock_of_another_process)
{
    clockid_t clock;
    pid_t pid = guest_fork();
    if (pid == 0) {
        volatile unsigned long n = 0;
        while (read_clock(CLOCK_PROCESS_CPUTIME_ID) < 20000000) {
            n++;
        }
        pause();
        _exit(0);
    }
    CHECK_EQ(clock_getcpuclockid(pid, &clock), 0);
    for (int i = 0; i < 2000 && read_clock(clock) < 20000000; i++) {
        guest_sleep_ms(1);
    }
    CHECK(read_clock(clock) >= 20000000);
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
}

TEST_CASE(errors)
{
    struct timespec t = {0, 0};
    CHECK_ERRNO(syscall(SYS_clock_gettime, 1000, &t), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_gettime, CLOCK_REALTIME, guest_bad()), EFAULT);
    CHECK_ERRNO(clock_settime(CLOCK_MONOTONIC, &t), EINVAL);
    CHECK_ERRNO(syscall(SYS_gettimeofday, guest_bad(), NULL), EFAULT);
    if (geteuid() != 0) {
        CHECK_OK(clock_gettime(CLOCK_REALTIME, &t));
        CHECK_ERRNO(clock_settime(CLOCK_REALTIME, &t), EPERM);
    }
}

TEST_CASE(times_call)
{
    struct tms before;
    struct tms after;
    clock_t ticks = times(&before);
    volatile unsigned long n = 0;
    long long start = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    while (read_clock(CLOCK_PROCESS_CPUTIME_ID) - start < 60000000) {
        n++;
    }
    CHECK(times(&after) - ticks >= 5);
    CHECK(after.tms_utime + after.tms_stime - before.tms_utime - before.tms_stime >= 4);
    pid_t pid = guest_fork();
    if (pid == 0) {
        while (read_clock(CLOCK_PROCESS_CPUTIME_ID) < 60000000) {
            n++;
        }
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK(times(&after) != (clock_t)-1);
    CHECK(after.tms_cutime + after.tms_cstime >= 4);
}
