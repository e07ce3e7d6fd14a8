/*
 * clock_vdso.c: clock_gettime() through the vDSO: no system call natively, none inside.
 */
#include <time.h>

#include "bench/micro/micro.h"

static uint64_t calls(uint64_t n)
{
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n; i++) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
    }
    return micro_now() - start;
}

int main(void)
{
    return micro_report("clock_vdso", calls, 1);
}
