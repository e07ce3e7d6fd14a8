/*
 * tcp_stream.c: 64 KiB through a TCP connection over the loopback to another process that reads
 * them.
 */
#include <stddef.h>
#include <unistd.h>

#include "bench/micro/micro.h"
#include "bench/micro/pair.h"

static struct pair_end near_end;
static char block[65536];

static uint64_t stream(uint64_t n)
{
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n; i++) {
        for (size_t done = 0; done < sizeof(block);) {
            ssize_t count = write(near_end.write, block + done, sizeof(block) - done);
            if (count <= 0) {
                micro_fail("write");
            }
            done += (size_t)count;
        }
    }
    return micro_now() - start;
}

static void drain(const struct pair_end *far)
{
    while (read(far->read, block, sizeof(block)) > 0) {
    }
}

int main(void)
{
    struct pair_end far;
    pair_loopback(&near_end, &far);
    pid_t child = pair_fork(&near_end, &far, drain);
    int status = micro_report("tcp_stream", stream, 1);
    pair_end_child(child);
    return status;
}
