/*
 * prctl.c: prctl options that are not covered elsewhere.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>

TEST_CASE(name)
{
    char buffer[17] = "";
    CHECK_OK(prctl(PR_SET_NAME, "short"));
    CHECK_OK(prctl(PR_GET_NAME, buffer));
    CHECK(strcmp(buffer, "short") == 0);
    CHECK_OK(prctl(PR_SET_NAME, "much longer than fifteen"));
    CHECK_OK(prctl(PR_GET_NAME, buffer));
    CHECK(strcmp(buffer, "much longer tha") == 0);
    CHECK_ERRNO(prctl(PR_SET_NAME, guest_bad()), EFAULT);
    CHECK_ERRNO(prctl(PR_GET_NAME, guest_bad()), EFAULT);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(prctl(PR_GET_NAME, buffer));
        CHECK(strcmp(buffer, "much longer tha") == 0);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(dumpable)
{
    CHECK_OK(prctl(PR_SET_DUMPABLE, 0));
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
    CHECK_OK(prctl(PR_SET_DUMPABLE, 1));
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
    CHECK_ERRNO(prctl(PR_SET_DUMPABLE, 2), EINVAL);
}

TEST_CASE(no_new_privs)
{
    int before = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    CHECK(before == 0 || before == 1); /* 1 if whoever started us had set it */
    CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
    CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0), EINVAL);
    CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
    pid_t pid = guest_fork();
    if (pid == 0) {
        _exit(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 1);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(keepcaps)
{
    CHECK_EQ(prctl(PR_GET_KEEPCAPS), 0);
    CHECK_OK(prctl(PR_SET_KEEPCAPS, 1));
    CHECK_EQ(prctl(PR_GET_KEEPCAPS), 1);
    CHECK_ERRNO(prctl(PR_SET_KEEPCAPS, 2), EINVAL);
    CHECK_OK(prctl(PR_SET_KEEPCAPS, 0));
}

TEST_CASE(timer_slack)
{
    CHECK(prctl(PR_GET_TIMERSLACK) > 0);
    CHECK_OK(prctl(PR_SET_TIMERSLACK, 12345));
    CHECK_EQ(prctl(PR_GET_TIMERSLACK), 12345);
    CHECK_OK(prctl(PR_SET_TIMERSLACK, 0));
    CHECK(prctl(PR_GET_TIMERSLACK) != 12345);
}

TEST_CASE(seccomp_mode)
{
    CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
}

TEST_CASE(unknown_option)
{
    CHECK_ERRNO(prctl(0x7fffffff, 0, 0, 0, 0), EINVAL);
}

TEST_CASE(vma_name)
{
    /* PR_SET_VMA may be missing; it must then fail cleanly. */
    int result = prctl(0x53564d41, 0, 0x1000, 0x1000, "name");
    CHECK(result == 0 || errno == EINVAL || errno == ENOMEM);
}

TEST_HELPER(print_name)
{
    char buffer[17] = "";
    prctl(PR_GET_NAME, buffer);
    return strncmp(buffer, argv[1], 15) == 0 ? 0 : 1;
}

TEST_CASE(exec_sets_the_name)
{
    const char *slash = strrchr(guest_self(), '/');
    char *args[] = {"other", "--helper", "print_name", (char *)(slash ? slash + 1 : guest_self()),
                    NULL};
    char *env[] = {NULL};
    pid_t pid = guest_fork();
    if (pid == 0) {
        prctl(PR_SET_NAME, "before");
        execve(guest_self(), args, env);
        _exit(126);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(timer_slack_of_a_child)
{
    CHECK_OK(prctl(PR_SET_TIMERSLACK, 70000, 0, 0, 0));
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_EQ(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0), 70000);
        CHECK_OK(prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0));
        CHECK_OK(prctl(PR_SET_TIMERSLACK, 0, 0, 0, 0));
        CHECK_EQ(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0), 70000);
        _exit(0);
    }
    CHECK_CHILD_OK(child);
}
