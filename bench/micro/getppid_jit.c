/*
 * getppid_jit.c: a forced round trip from writable code, which no engine can rewrite ahead of time.
 */
#include <string.h>
#include <sys/mman.h>

#include "bench/micro/micro.h"

static long (*call)(void);

static uint64_t round_trips(uint64_t n)
{
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n; i++) {
        call();
    }
    return micro_now() - start;
}

int main(void)
{
    /* mov $110, %eax; syscall; ret */
    static const unsigned char code[] = {0xb8, 0x6e, 0, 0, 0, 0x0f, 0x05, 0xc3};
    void *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        micro_fail("mmap");
    }
    memcpy(page, code, sizeof(code));
    memcpy(&call, &page, sizeof(page));
    return micro_report("getppid_jit", round_trips, 1);
}
