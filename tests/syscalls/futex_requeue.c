/*
 * futex_requeue.c: futex REQUEUE and CMP_REQUEUE.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/futex.h>

static long futex(void *word, int op, unsigned value, unsigned long value2, void *second,
                  unsigned value3)
{
    return syscall(SYS_futex, word, op, value, value2, second, value3);
}

static int first;
static int second;
static int started;
static int finished;

static void *wait_on_first(void *argument)
{
    (void)argument;
    __atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
    if (futex(&first, FUTEX_WAIT_PRIVATE, 0, 0, NULL, 0) == 0) {
        __atomic_add_fetch(&finished, 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

static void start(pthread_t *threads, int count)
{
    for (int i = 0; i < count; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, wait_on_first, NULL), 0);
    }
    while (__atomic_load_n(&started, __ATOMIC_SEQ_CST) < count) {
        guest_sleep_ms(1);
    }
    guest_sleep_ms(50);
}

static void drain(pthread_t *threads, int count)
{
    while (__atomic_load_n(&finished, __ATOMIC_SEQ_CST) < count) {
        futex(&first, FUTEX_WAKE_PRIVATE, INT_MAX, 0, NULL, 0);
        futex(&second, FUTEX_WAKE_PRIVATE, INT_MAX, 0, NULL, 0);
        guest_sleep_ms(1);
    }
    for (int i = 0; i < count; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
}

TEST_CASE(cmp_requeue_wakes_one_and_moves_the_rest)
{
    pthread_t threads[4];
    start(threads, 4);
    CHECK_EQ(futex(&first, FUTEX_CMP_REQUEUE_PRIVATE, 1, INT_MAX, &second, 0), 4);
    guest_sleep_ms(20);
    CHECK_EQ(__atomic_load_n(&finished, __ATOMIC_SEQ_CST), 1);
    CHECK_EQ(futex(&first, FUTEX_WAKE_PRIVATE, INT_MAX, 0, NULL, 0), 0);
    CHECK_EQ(futex(&second, FUTEX_WAKE_PRIVATE, INT_MAX, 0, NULL, 0), 3);
    drain(threads, 4);
}

TEST_CASE(value_must_match)
{
    CHECK_ERRNO(futex(&first, FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, &second, 1), EAGAIN);
    CHECK_EQ(futex(&first, FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, &second, 0), 0);
}

TEST_CASE(requeue_counts_woken_and_moved)
{
    pthread_t threads[3];
    start(threads, 3);
    CHECK_EQ(futex(&first, FUTEX_REQUEUE_PRIVATE, 1, 1, &second, 0), 2);
    CHECK_EQ(futex(&second, FUTEX_WAKE_PRIVATE, INT_MAX, 0, NULL, 0), 1);
    CHECK_EQ(futex(&first, FUTEX_WAKE_PRIVATE, INT_MAX, 0, NULL, 0), 1);
    drain(threads, 3);
}

TEST_CASE(negative_counts)
{
    CHECK_ERRNO(futex(&first, FUTEX_CMP_REQUEUE_PRIVATE, (unsigned)-1, 1, &second, 0), EINVAL);
    CHECK_ERRNO(futex(&first, FUTEX_CMP_REQUEUE_PRIVATE, 1, (unsigned)-1, &second, 0), EINVAL);
    CHECK_ERRNO(futex(&first, FUTEX_CMP_REQUEUE, 1, 1, guest_bad(), 0), EFAULT);
}
