/*
 * getpid.c: a call whose answer never changes; an engine may answer it without the sentry.
 */
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/micro/micro.h"

static uint64_t calls(uint64_t n)
{
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n; i++) {
        syscall(SYS_getpid);
    }
    return micro_now() - start;
}

int main(void)
{
    return micro_report("getpid", calls, 1);
}
