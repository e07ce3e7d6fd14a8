/*
 * tcp_pingpong.c: one byte through a TCP connection over the loopback to another process and back.
 */
#include "bench/micro/pair.h"

int main(void)
{
    struct pair_end near;
    struct pair_end far;
    pair_loopback(&near, &far);
    return pair_pingpong("tcp_pingpong", &near, &far);
}
