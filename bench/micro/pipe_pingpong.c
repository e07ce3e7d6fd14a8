/*
 * pipe_pingpong.c: one byte through a pipe to another process and back through a second pipe.
 */
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/micro/micro.h"

struct ends {
    int read;
    int write;
};

static void make_ends(struct ends *ret_near, struct ends *ret_far)
{
    int there[2];
    int back[2];
    if (pipe(there) != 0 || pipe(back) != 0) {
        micro_fail("pipe");
    }
    *ret_near = (struct ends){back[0], there[1]};
    *ret_far = (struct ends){there[0], back[1]};
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
    int status = micro_report("pipe_pingpong", pingpong, 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return status;
}
