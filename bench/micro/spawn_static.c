/*
 * spawn_static.c: posix_spawn() (a vfork underneath) of a static program, this one, and waiting.
 */
#include <errno.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/micro/micro.h"

static char *program;

static uint64_t spawns(uint64_t n)
{
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n; i++) {
        char *const arguments[] = {program, (char *)"exit", NULL};
        pid_t child;
        errno = posix_spawn(&child, program, NULL, NULL, arguments, environ);
        if (errno != 0) {
            micro_fail("posix_spawn");
        }
        if (waitpid(child, NULL, 0) != child) {
            micro_fail("waitpid");
        }
    }
    return micro_now() - start;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        _exit(0);
    }
    program = argv[0];
    return micro_report("spawn_static", spawns, 1);
}
