/*
 * open_close.c: open() and close() of a file of the system whose name is cached.
 */
#include <fcntl.h>
#include <unistd.h>

#include "bench/micro/micro.h"

static uint64_t opens(uint64_t n)
{
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n; i++) {
        int fd = open("/usr/bin/env", O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            micro_fail("/usr/bin/env");
        }
        close(fd);
    }
    return micro_now() - start;
}

int main(void)
{
    return micro_report("open_close", opens, 1);
}
