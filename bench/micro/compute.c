/*
 * compute.c: arithmetic without any call: the sanity row, whose ratio is 1.
 */
#include "bench/micro/micro.h"

static uint64_t steps(uint64_t n)
{
    static volatile uint64_t sink;
    uint64_t value = 1;
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n * 1000; i++) {
        value = value * UINT64_C(6364136223846793005) + i;
    }
    sink = value;
    (void)sink;
    return micro_now() - start;
}

int main(void)
{
    return micro_report("compute", steps, 1000);
}
