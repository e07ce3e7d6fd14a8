/*
 * futex_bitset.c: futex WAIT_BITSET and WAKE_BITSET, absolute timeouts.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/futex.h>

static int word;
static int started;
static int woken[3];

static void *wait_for_bit(void *argument)
{
    long bit = (long)argument;
    __atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
    if (syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, 1u << bit) == 0) {
        __atomic_store_n(&woken[bit], 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

static long wake(unsigned bits)
{
    return syscall(SYS_futex, &word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, bits);
}

TEST_CASE(only_matching_waiters)
{
    pthread_t threads[3];
    for (long i = 0; i < 3; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, wait_for_bit, (void *)i), 0);
    }
    while (__atomic_load_n(&started, __ATOMIC_SEQ_CST) < 3) {
        guest_sleep_ms(1);
    }
    guest_sleep_ms(50);
    CHECK_EQ(wake(8), 0);
    CHECK_EQ(wake(2), 1);
    CHECK_EQ(pthread_join(threads[1], NULL), 0);
    CHECK(woken[1] && !woken[0] && !woken[2]);
    CHECK_EQ(wake(FUTEX_BITSET_MATCH_ANY), 2);
    CHECK_EQ(pthread_join(threads[0], NULL), 0);
    CHECK_EQ(pthread_join(threads[2], NULL), 0);
}

TEST_CASE(empty_set)
{
    CHECK_ERRNO(wake(0), EINVAL);
    CHECK_ERRNO(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, 0), EINVAL);
}

TEST_CASE(absolute_monotonic_timeout)
{
    struct timespec t;
    CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &t));
    t.tv_nsec += 50000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    CHECK_ERRNO(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, &t, NULL, ~0u), ETIMEDOUT);
    struct timespec now;
    CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &now));
    CHECK(now.tv_sec > t.tv_sec || (now.tv_sec == t.tv_sec && now.tv_nsec >= t.tv_nsec));
    CHECK_ERRNO(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, &t, NULL, ~0u), ETIMEDOUT);
}

TEST_CASE(absolute_realtime_timeout)
{
    struct timespec t;
    CHECK_OK(clock_gettime(CLOCK_REALTIME, &t));
    t.tv_nsec += 30000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    long long start = guest_now_ms();
    CHECK_ERRNO(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &t,
                        NULL, ~0u),
                ETIMEDOUT);
    CHECK(guest_now_ms() - start >= 20);
    CHECK_ERRNO(syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0),
                ENOSYS);
}
