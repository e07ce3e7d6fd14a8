/*
 * pipe_pingpong.c: one byte through a pipe to another process and back through a second pipe.
 */
#include <unistd.h>

#include "bench/micro/micro.h"
#include "bench/micro/pair.h"

int main(void)
{
    int there[2];
    int back[2];
    if (pipe(there) != 0 || pipe(back) != 0) {
        micro_fail("pipe");
    }
    const struct pair_end near = {back[0], there[1]};
    const struct pair_end far = {there[0], back[1]};
    return pair_pingpong("pipe_pingpong", &near, &far);
}
