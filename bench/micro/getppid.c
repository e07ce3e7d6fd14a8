/*
 * getppid.c: a call that no engine may answer without the sentry: one forced round trip.
 */
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/micro/micro.h"

static uint64_t round_trips(uint64_t n)
{
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n; i++) {
        syscall(SYS_getppid);
    }
    return micro_now() - start;
}

int main(void)
{
    return micro_report("getppid", round_trips, 1);
}
