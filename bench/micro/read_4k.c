/*
 * read_4k.c: pread() of 4 KB of a file of the system that is in the page cache.
 */
#include <fcntl.h>
#include <unistd.h>

#include "bench/micro/micro.h"

static int file;

static uint64_t reads(uint64_t n)
{
    static char block[4096];
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n; i++) {
        if (pread(file, block, sizeof(block), (off_t)(i & 3) * 4096) != (ssize_t)sizeof(block)) {
            micro_fail("pread");
        }
    }
    return micro_now() - start;
}

int main(void)
{
    file = open("/usr/bin/env", O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        micro_fail("/usr/bin/env");
    }
    return micro_report("read_4k", reads, 1);
}
