/*
 * write_4k.c: pwrite() of 4 KB over existing contents of a file in memory.
 */
#include <unistd.h>

#include "bench/micro/micro.h"

static int file;

static uint64_t writes(uint64_t n)
{
    static char block[4096];
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n; i++) {
        if (pwrite(file, block, sizeof(block), (off_t)(i & 63) * 4096) != (ssize_t)sizeof(block)) {
            micro_fail("pwrite");
        }
    }
    return micro_now() - start;
}

int main(void)
{
    file = micro_make_file("write_4k", 64 * 4096);
    int status = micro_report("write_4k", writes, 1);
    unlink("write_4k");
    return status;
}
