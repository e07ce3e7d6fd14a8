/*
 * stat.c: stat() of a file of the system whose name is cached.
 */
#include <sys/stat.h>

#include "bench/micro/micro.h"

static uint64_t stats(uint64_t n)
{
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n; i++) {
        struct stat info;
        if (stat("/usr/bin/env", &info) != 0) {
            micro_fail("/usr/bin/env");
        }
    }
    return micro_now() - start;
}

int main(void)
{
    return micro_report("stat", stats, 1);
}
