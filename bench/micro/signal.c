/*
 * signal.c: a signal to oneself: sent, handled, returned from.
 */
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/micro/micro.h"

static volatile sig_atomic_t seen;

static void handler(int number)
{
    seen = number;
}

static uint64_t signals(uint64_t n)
{
    pid_t pid = getpid();
    pid_t tid = gettid();
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n; i++) {
        seen = 0;
        syscall(SYS_tgkill, pid, tid, SIGUSR1);
        if (seen != SIGUSR1) {
            micro_fail("the signal was not delivered");
        }
    }
    return micro_now() - start;
}

int main(void)
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR1, &action, NULL);
    return micro_report("signal", signals, 1);
}
