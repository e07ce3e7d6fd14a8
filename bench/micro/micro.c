/*
 * micro.c: finds the size of a round, measures rounds, prints the best.
 */
#include "bench/micro/micro.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    MICRO_ROUNDS = 6,
    MICRO_DEFAULT_MS = 40,
};

uint64_t micro_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void micro_fail(const char *what)
{
    fprintf(stderr, "micro: %s: %s\n", what, strerror(errno));
    exit(1);
}

int micro_make_file(const char *name, uint64_t size)
{
    static char block[65536];
    memset(block, 'x', sizeof(block));
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        micro_fail(name);
    }
    while (size > 0) {
        size_t part = size < sizeof(block) ? (size_t)size : sizeof(block);
        if (write(fd, block, part) != (ssize_t)part) {
            micro_fail("write");
        }
        size -= part;
    }
    return fd;
}

int micro_report(const char *name, micro_round *round, uint64_t operations)
{
    const char *setting = getenv("MICRO_MS");
    long ms = setting != NULL ? atol(setting) : MICRO_DEFAULT_MS;
    uint64_t wanted = (uint64_t)(ms > 0 ? ms : MICRO_DEFAULT_MS) * 1000000u;
    uint64_t n = 1;
    uint64_t took = round(n);
    while (took < wanted / 2 && n < (UINT64_C(1) << 40)) {
        n *= took < wanted / 16 ? 4 : 2;
        took = round(n);
    }
    double best = (double)took / (double)n;
    for (int i = 1; i < MICRO_ROUNDS; i++) {
        double again = (double)round(n) / (double)n;
        best = again < best ? again : best;
    }
    printf("%s %.2f\n", name, best / (double)operations);
    return 0;
}
