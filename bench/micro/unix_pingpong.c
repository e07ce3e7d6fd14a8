/*
 * unix_pingpong.c: one byte through a unix stream socket to another process and back.
 */
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/micro/micro.h"

struct ends {
    int read;
    int write;
};

static void make_ends(struct ends *ret_near, struct ends *ret_far)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) {
        micro_fail("socketpair");
    }
    *ret_near = (struct ends){pair[0], pair[0]};
    *ret_far = (struct ends){pair[1], pair[1]};
}

static struct ends near;

static uint64_t pingpong(uint64_t n)
{
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n; i++) {
        char byte = 1;
        if (write(near.write, &byte, 1) != 1 || read(near.read, &byte, 1) != 1) {
            micro_fail("ping");
        }
    }
    return micro_now() - start;
}

int main(void)
{
    struct ends far;
    make_ends(&near, &far);
    pid_t child = fork();
    if (child < 0) {
        micro_fail("fork");
    }
    if (child == 0) {
        close(near.read);
        close(near.write);
        char byte;
        while (read(far.read, &byte, 1) == 1 && write(far.write, &byte, 1) == 1) {
        }
        _exit(0);
    }
    int status = micro_report("unix_pingpong", pingpong, 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return status;
}
