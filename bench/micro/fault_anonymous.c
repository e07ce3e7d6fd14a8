/*
 * fault_anonymous.c: the first touch of 64 MB of anonymous memory, per 4 KB page.
 */
#include <stddef.h>
#include <sys/mman.h>

#include "bench/micro/micro.h"

enum { SIZE = 64 << 20, PAGE = 4096 };

static uint64_t touch(uint64_t n)
{
    uint64_t took = 0;
    for (uint64_t i = 0; i < n; i++) {
        char *area = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (area == MAP_FAILED) {
            micro_fail("mmap");
        }
        /* Small pages, or the figure depends on the host's huge-page setting. */
        madvise(area, SIZE, MADV_NOHUGEPAGE);
        uint64_t start = micro_now();
        for (volatile char *p = area; p < area + SIZE; p += PAGE) {
            *p = 1;
        }
        took += micro_now() - start;
        munmap(area, SIZE);
    }
    return took;
}

int main(void)
{
    return micro_report("fault_anonymous", touch, SIZE / PAGE);
}
