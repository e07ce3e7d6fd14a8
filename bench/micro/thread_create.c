/*
 * thread_create.c: pthread_create() and pthread_join() of a thread that does nothing.
 */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>

#include "bench/micro/micro.h"

static void *nothing(void *argument)
{
    return argument;
}

static uint64_t threads(uint64_t n)
{
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n; i++) {
        pthread_t thread;
        errno = pthread_create(&thread, NULL, nothing, NULL);
        if (errno != 0) {
            micro_fail("pthread_create");
        }
        pthread_join(thread, NULL);
    }
    return micro_now() - start;
}

int main(void)
{
    return micro_report("thread_create", threads, 1);
}
