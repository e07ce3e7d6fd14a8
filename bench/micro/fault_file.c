/*
 * fault_file.c: reading every page of a freshly mapped 16 MB file that is in memory, per page.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "bench/micro/micro.h"

enum { SIZE = 16 << 20, PAGE = 4096 };

static int file;

static uint64_t touch(uint64_t n)
{
    uint64_t took = 0;
    for (uint64_t i = 0; i < n; i++) {
        char *area = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, file, 0);
        if (area == MAP_FAILED) {
            micro_fail("mmap");
        }
        uint64_t start = micro_now();
        for (volatile char *p = area; p < area + SIZE; p += PAGE) {
            (void)*p;
        }
        took += micro_now() - start;
        munmap(area, SIZE);
    }
    return took;
}

int main(void)
{
    file = micro_make_file("fault_file", SIZE);
    int status = micro_report("fault_file", touch, SIZE / PAGE);
    unlink("fault_file");
    return status;
}
