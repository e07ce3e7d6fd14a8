/*
 * futex_pingpong.c: two threads hand a word back and forth by futex; one operation is there and
 * back.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/micro/micro.h"

static _Atomic uint32_t turn;
static uint64_t rounds;

static void wait_for(uint32_t mine)
{
    while (atomic_load(&turn) != mine) {
        syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, !mine, NULL, NULL, 0);
    }
}

static void pass_to(uint32_t other)
{
    atomic_store(&turn, other);
    syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *partner(void *argument)
{
    for (uint64_t i = 0; i < rounds; i++) {
        wait_for(1);
        pass_to(0);
    }
    return argument;
}

static uint64_t pingpong(uint64_t n)
{
    rounds = n;
    atomic_store(&turn, 0);
    pthread_t thread;
    errno = pthread_create(&thread, NULL, partner, NULL);
    if (errno != 0) {
        micro_fail("pthread_create");
    }
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n; i++) {
        pass_to(1);
        wait_for(0);
    }
    uint64_t took = micro_now() - start;
    pthread_join(thread, NULL);
    return took;
}

int main(void)
{
    return micro_report("futex_pingpong", pingpong, 1);
}
