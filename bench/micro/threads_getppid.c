/*
 * threads_getppid.c: N threads each making forced round trips, with so many nanoseconds of
 * arithmetic between two of them; prints wall time per call of all.
 */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/micro/micro.h"

enum { MAX_THREADS = 64 };

static unsigned thread_count = 1;
static uint64_t calls_each, work_each;
static pthread_barrier_t barrier;

static void *caller(void *argument)
{
    pthread_barrier_wait(&barrier);
    volatile uint64_t sum = 0;
    for (uint64_t i = 0; i < calls_each; i++) {
        syscall(SYS_getppid);
        for (uint64_t j = 0; j < work_each; j++) {
            sum += j;
        }
    }
    return argument;
}

static uint64_t calls(uint64_t n)
{
    pthread_t threads[MAX_THREADS];
    calls_each = n;
    pthread_barrier_init(&barrier, NULL, thread_count + 1);
    for (unsigned i = 0; i < thread_count; i++) {
        errno = pthread_create(&threads[i], NULL, caller, NULL);
        if (errno != 0) {
            micro_fail("pthread_create");
        }
    }
    /* Before the barrier: afterwards this thread may be the last to run. */
    uint64_t start = micro_now();
    pthread_barrier_wait(&barrier);
    for (unsigned i = 0; i < thread_count; i++) {
        pthread_join(threads[i], NULL);
    }
    uint64_t took = micro_now() - start;
    pthread_barrier_destroy(&barrier);
    return took;
}

int main(int argc, char **argv)
{
    int wanted = argc > 1 ? atoi(argv[1]) : 1;
    if (wanted < 1 || wanted > MAX_THREADS) {
        errno = EINVAL;
        micro_fail("number of threads");
    }
    thread_count = (unsigned)wanted;
    work_each = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    return micro_report("threads_getppid", calls, thread_count);
}
