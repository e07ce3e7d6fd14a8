/*
 * unix_pingpong.c: one byte through a unix stream socket to another process and back.
 */
#include <sys/socket.h>

#include "bench/micro/micro.h"
#include "bench/micro/pair.h"

int main(void)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) {
        micro_fail("socketpair");
    }
    const struct pair_end near = {pair[0], pair[0]};
    const struct pair_end far = {pair[1], pair[1]};
    return pair_pingpong("unix_pingpong", &near, &far);
}
