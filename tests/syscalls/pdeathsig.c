/*
 * pdeathsig.c: PR_SET_PDEATHSIG: the signal at the death of the parent.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/prctl.h>

TEST_CASE(set_and_get)
{
    int sig = -1;
    CHECK_OK(prctl(PR_GET_PDEATHSIG, &sig));
    CHECK_EQ(sig, 0);
    CHECK_OK(prctl(PR_SET_PDEATHSIG, SIGUSR1));
    CHECK_OK(prctl(PR_GET_PDEATHSIG, &sig));
    CHECK_EQ(sig, SIGUSR1);
    CHECK_ERRNO(prctl(PR_SET_PDEATHSIG, 65), EINVAL);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(prctl(PR_GET_PDEATHSIG, &sig));
        CHECK_EQ(sig, 0);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_OK(prctl(PR_SET_PDEATHSIG, 0));
}

TEST_CASE(delivered)
{
    int ready[2];
    CHECK_OK(pipe(ready));
    CHECK_OK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    pid_t pid = guest_fork();
    if (pid == 0) {
        pid_t child = guest_fork();
        if (child == 0) {
            CHECK_OK(prctl(PR_SET_PDEATHSIG, SIGUSR2));
            CHECK_EQ(write(ready[1], &(pid_t){getpid()}, sizeof(pid_t)), sizeof(pid_t));
            for (;;) {
                pause();
            }
        }
        guest_sleep_ms(5000);
        _exit(0);
    }
    pid_t child;
    CHECK_EQ(read(ready[0], &child, sizeof(child)), sizeof(child));
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
    CHECK_CHILD_SIGNAL(child, SIGUSR2);
}
