/*
 * fork_exit.c: fork() of a small program, exit of the child, wait for it.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "bench/micro/micro.h"

static uint64_t forks(uint64_t n)
{
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n; i++) {
        pid_t child = fork();
        if (child < 0) {
            micro_fail("fork");
        }
        if (child == 0) {
            _exit(0);
        }
        if (waitpid(child, NULL, 0) != child) {
            micro_fail("waitpid");
        }
    }
    return micro_now() - start;
}

int main(void)
{
    return micro_report("fork_exit", forks, 1);
}
