/*
 * fork_exec_dynamic.c: fork(), exec of /bin/true (dynamically linked), wait.
 */
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/micro/micro.h"

static uint64_t runs(uint64_t n)
{
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n; i++) {
        pid_t child = fork();
        if (child < 0) {
            micro_fail("fork");
        }
        if (child == 0) {
            execl("/bin/true", "true", (char *)NULL);
            _exit(127);
        }
        int status;
        if (waitpid(child, &status, 0) != child || status != 0) {
            micro_fail("/bin/true");
        }
    }
    return micro_now() - start;
}

int main(void)
{
    return micro_report("fork_exec_dynamic", runs, 1);
}
