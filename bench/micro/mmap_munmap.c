/*
 * mmap_munmap.c: mapping 64 KB of anonymous memory, touching one page, unmapping it.
 */
#include <stddef.h>
#include <sys/mman.h>

#include "bench/micro/micro.h"

enum { SIZE = 65536 };

static uint64_t pairs(uint64_t n)
{
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n; i++) {
        char *area = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (area == MAP_FAILED) {
            micro_fail("mmap");
        }
        *(volatile char *)area = 1;
        munmap(area, SIZE);
    }
    return micro_now() - start;
}

int main(void)
{
    return micro_report("mmap_munmap", pairs, 1);
}
