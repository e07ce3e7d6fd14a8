/*
 * getpid.c: the identity calls, which never fail.
 */
#include "tests/syscalls/guest_test.h"

TEST_CASE(consistent)
{
    CHECK(getpid() > 0);
    CHECK_EQ(getpid(), syscall(SYS_getpid));
    CHECK_EQ(syscall(SYS_gettid), getpid());
    CHECK(getppid() > 0);
    CHECK_EQ(getpgid(getpid()), getpgrp());
    CHECK_EQ(getuid(), syscall(SYS_getuid));
    CHECK_EQ(getgid(), syscall(SYS_getgid));
}

TEST_CASE(set_tid_address)
{
    int word = 5;
    CHECK_EQ(syscall(SYS_set_tid_address, &word), getpid());
    CHECK_EQ(word, 5);
}

static int set_own_word(void *argument)
{
    return syscall(SYS_set_tid_address, argument) > 0 ? 0 : 1;
}

TEST_CASE(cleared_at_exit_of_a_shared_memory_child)
{
    static volatile int word;
    static char stack[32768] __attribute__((aligned(64)));
    word = 5;
    pid_t pid = (pid_t)CHECK_OK(
        clone(set_own_word, stack + sizeof(stack), CLONE_VM | SIGCHLD, (void *)&word));
    CHECK_CHILD_OK(pid);
    CHECK_EQ(word, 0);
}

TEST_CASE(many_pids_are_distinct)
{
    pid_t last = 0;
    for (int i = 0; i < 50; i++) {
        pid_t pid = guest_fork();
        if (pid == 0) {
            _exit(0);
        }
        CHECK(pid != last && pid > 1);
        last = pid;
        CHECK_CHILD_OK(pid);
    }
}
