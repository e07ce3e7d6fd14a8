/*
 * futex_wake_op.c: futex WAKE_OP: arithmetic on the second word and the comparison.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/futex.h>

static int first;
static int second;
static int started;
static int finished;

static long wake_op(int op, int argument, int compare, int with, int count1, unsigned long count2)
{
    return syscall(SYS_futex, &first, FUTEX_WAKE_OP_PRIVATE, count1, count2, &second,
                   FUTEX_OP(op, argument, compare, with));
}

TEST_CASE(operations)
{
    second = 6;
    CHECK_EQ(wake_op(FUTEX_OP_SET, 9, FUTEX_OP_CMP_EQ, 0, 1, 1), 0);
    CHECK_EQ(second, 9);
    CHECK_EQ(wake_op(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 0, 1, 1), 0);
    CHECK_EQ(second, 12);
    CHECK_EQ(wake_op(FUTEX_OP_OR, 3, FUTEX_OP_CMP_EQ, 0, 1, 1), 0);
    CHECK_EQ(second, 15);
    CHECK_EQ(wake_op(FUTEX_OP_ANDN, 5, FUTEX_OP_CMP_EQ, 0, 1, 1), 0);
    CHECK_EQ(second, 10);
    CHECK_EQ(wake_op(FUTEX_OP_XOR, 3, FUTEX_OP_CMP_EQ, 0, 1, 1), 0);
    CHECK_EQ(second, 9);
    CHECK_EQ(wake_op(FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 4, FUTEX_OP_CMP_EQ, 0, 1, 1), 0);
    CHECK_EQ(second, 25);
    CHECK_EQ(wake_op(FUTEX_OP_ADD, -1, FUTEX_OP_CMP_EQ, 0, 1, 1), 0);
    CHECK_EQ(second, 24);
}

static void *wait_on(void *word)
{
    __atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, *(int *)word, NULL, NULL, 0);
    __atomic_add_fetch(&finished, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

TEST_CASE(comparison_decides_on_the_second_wake)
{
    pthread_t threads[2];
    second = 7;
    CHECK_EQ(pthread_create(&threads[0], NULL, wait_on, &first), 0);
    CHECK_EQ(pthread_create(&threads[1], NULL, wait_on, &second), 0);
    while (__atomic_load_n(&started, __ATOMIC_SEQ_CST) < 2) {
        guest_sleep_ms(1);
    }
    guest_sleep_ms(50);
    CHECK_EQ(wake_op(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_NE, 7, 0, 1), 1); /* 0 still wakes one */
    CHECK_EQ(wake_op(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_GT, 7, 1, 1), 0);
    CHECK_EQ(wake_op(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_GE, 7, 1, 1), 1);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
}

TEST_CASE(errors)
{
    CHECK_ERRNO(syscall(SYS_futex, &first, FUTEX_WAKE_OP, 1, 1, guest_bad(), 0), EFAULT);
    CHECK_ERRNO(wake_op(5, 0, FUTEX_OP_CMP_EQ, 0, 1, 1), ENOSYS);
    CHECK_ERRNO(wake_op(FUTEX_OP_ADD, 0, 9, 0, 1, 1), ENOSYS);
}
