/*
 * run_app.c: times a script of bench/apps from inside the sandbox, so that the sandbox's own start
 * is not part of the figure (it has a row of its own).
 *
 *   run_app REPEAT BUDGET_MS WORK SCRIPT
 *
 * Each run gets a fresh directory below WORK: "SCRIPT DIR prepare" runs untimed, "SCRIPT DIR"
 * timed. Short scripts run more often than REPEAT, and no run starts once BUDGET_MS is spent.
 * Prints "run NANOSECONDS" per run. Status: the script's when it fails (77: it cannot run here).
 */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/micro/micro.h"

enum {
    SHORT_RUNS = 15,
    SHORT_TOTAL_MS = 500,
};

static int remove_entry(const char *path, const struct stat *info, int flag, struct FTW *where)
{
    (void)info;
    (void)flag;
    (void)where;
    remove(path);
    return 0;
}

static void run_script(const char *script, const char *dir, const char *verb)
{
    pid_t child = fork();
    if (child < 0) {
        micro_fail("fork");
    }
    if (child == 0) {
        dup2(2, 1);
        execl("/bin/sh", "sh", script, dir, verb, (char *)NULL);
        _exit(126);
    }
    int status;
    if (waitpid(child, &status, 0) != child) {
        micro_fail("waitpid");
    }
    if (!WIFEXITED(status)) {
        fprintf(stderr, "killed by signal %d\n", WTERMSIG(status));
        exit(1);
    }
    if (WEXITSTATUS(status) != 0) {
        exit(WEXITSTATUS(status));
    }
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        errno = EINVAL;
        micro_fail("usage: run_app REPEAT BUDGET_MS WORK SCRIPT");
    }
    int repeat = atoi(argv[1]);
    uint64_t budget = (uint64_t)atol(argv[2]) * 1000000u;
    uint64_t begin = micro_now();
    for (int i = 0; i < SHORT_RUNS; i++) {
        uint64_t spent = micro_now() - begin;
        if (i > 0 &&
            (spent > budget || (i >= repeat && spent > SHORT_TOTAL_MS * UINT64_C(1000000)))) {
            break;
        }
        char dir[4096];
        snprintf(dir, sizeof(dir), "%s/run-%d", argv[3], i);
        if (mkdir(dir, 0755) != 0) {
            micro_fail(dir);
        }
        run_script(argv[4], dir, "prepare");
        uint64_t start = micro_now();
        run_script(argv[4], dir, "run");
        printf("run %llu\n", (unsigned long long)(micro_now() - start));
        fflush(stdout);
        nftw(dir, remove_entry, 32, FTW_DEPTH | FTW_PHYS);
    }
    return 0;
}
