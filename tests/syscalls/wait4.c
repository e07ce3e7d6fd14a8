/*
 * wait4.c: wait4: selection of children, options, status words, resource usage.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/resource.h>

static pid_t child_exits(int code)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        _exit(code);
    }
    return pid;
}

static pid_t child_sleeps(void)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        for (;;) {
            pause();
        }
    }
    return pid;
}

TEST_CASE(no_children)
{
    CHECK_ERRNO(wait4(-1, NULL, 0, NULL), ECHILD);
    CHECK_ERRNO(wait4(-1, NULL, WNOHANG, NULL), ECHILD);
    CHECK_ERRNO(wait4(getpid(), NULL, 0, NULL), ECHILD);
    CHECK_ERRNO(wait4(1 << 21, NULL, 0, NULL), ECHILD);
}

TEST_CASE(bad_options)
{
    CHECK_ERRNO(wait4(-1, NULL, 0x100, NULL), EINVAL);
    CHECK_ERRNO(wait4(-1, NULL, WEXITED, NULL), EINVAL);
    CHECK_ERRNO(wait4(-1, NULL, WNOWAIT, NULL), EINVAL);
    CHECK_ERRNO(wait4(INT_MIN, NULL, 0, NULL), ESRCH);
}

TEST_CASE(wnohang)
{
    int status = 0x55;
    pid_t pid = child_sleeps();
    CHECK_EQ(wait4(pid, &status, WNOHANG, NULL), 0);
    CHECK_EQ(wait4(-1, &status, WNOHANG, NULL), 0);
    CHECK_EQ(status, 0x55);
    CHECK_OK(kill(pid, SIGTERM));
    CHECK_CHILD_SIGNAL(pid, SIGTERM);
}

TEST_CASE(any_child_in_turn)
{
    pid_t pids[3];
    int seen = 0;
    for (int i = 0; i < 3; i++) {
        pids[i] = child_exits(10 + i);
    }
    for (int n = 0; n < 3; n++) {
        int status;
        pid_t pid = (pid_t)CHECK_OK(wait4(-1, &status, 0, NULL));
        for (int i = 0; i < 3; i++) {
            if (pid == pids[i]) {
                CHECK_EQ(WEXITSTATUS(status), 10 + i);
                seen |= 1 << i;
            }
        }
    }
    CHECK_EQ(seen, 7);
    CHECK_ERRNO(wait4(-1, NULL, 0, NULL), ECHILD);
}

TEST_CASE(by_group)
{
    pid_t other = guest_fork();
    if (other == 0) {
        setpgid(0, 0);
        _exit(1);
    }
    setpgid(other, other);
    pid_t same = child_exits(2);
    int status;
    CHECK_EQ(wait4(0, &status, 0, NULL), same);
    CHECK_EQ(WEXITSTATUS(status), 2);
    CHECK_ERRNO(wait4(0, &status, 0, NULL), ECHILD);
    CHECK_EQ(wait4(-other, &status, 0, NULL), other);
    CHECK_EQ(WEXITSTATUS(status), 1);
}

TEST_CASE(stopped_and_continued)
{
    int status;
    pid_t pid = child_sleeps();
    CHECK_OK(kill(pid, SIGSTOP));
    CHECK_EQ(wait4(pid, &status, WUNTRACED, NULL), pid);
    CHECK(WIFSTOPPED(status));
    CHECK_EQ(WSTOPSIG(status), SIGSTOP);
    CHECK_EQ(wait4(pid, &status, WUNTRACED | WNOHANG, NULL), 0);
    CHECK_OK(kill(pid, SIGCONT));
    CHECK_EQ(wait4(pid, &status, WCONTINUED, NULL), pid);
    CHECK(WIFCONTINUED(status));
    CHECK_EQ(status, 0xffff);
    CHECK_OK(kill(pid, SIGTSTP));
    /* The group of this case is orphaned or not, depending on who started it: stop for certain. */
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
}

TEST_CASE(usage_of_the_child)
{
    struct rusage usage;
    memset(&usage, 0xff, sizeof(usage));
    pid_t pid = guest_fork();
    if (pid == 0) {
        volatile unsigned long spin = 0;
        while (clock() < CLOCKS_PER_SEC / 20) {
            spin++;
        }
        _exit(0);
    }
    CHECK_EQ(wait4(pid, NULL, 0, &usage), pid);
    long us = usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec +
              usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec;
    CHECK(us >= 40000);
    CHECK(us < 5000000);
    CHECK(usage.ru_maxrss >= 0);
}

TEST_CASE(ignored_sigchld_reaps)
{
    signal(SIGCHLD, SIG_IGN);
    pid_t pid = child_exits(0);
    CHECK_ERRNO(waitpid(pid, NULL, 0), ECHILD);
}

TEST_CASE(no_child_wait_flag)
{
    struct sigaction action = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
    CHECK_OK(sigaction(SIGCHLD, &action, NULL));
    pid_t pid = child_exits(0);
    CHECK_ERRNO(waitpid(pid, NULL, 0), ECHILD);
}

static void *wait_in_thread(void *argument)
{
    int status = 0;
    *(pid_t *)argument = waitpid(*(pid_t *)argument, &status, 0);
    return (void *)(long)status;
}

TEST_CASE(children_belong_to_the_whole_process)
{
    pthread_t thread;
    pid_t pid = child_exits(9);
    pid_t word = pid;
    void *status = NULL;
    CHECK_EQ(pthread_create(&thread, NULL, wait_in_thread, &word), 0);
    CHECK_EQ(pthread_join(thread, &status), 0);
    CHECK_EQ(word, pid);
    CHECK_EQ((long)status, 9 << 8);
}

TEST_CASE(wnothread_sees_only_own_children)
{
    pid_t pid = child_exits(0);
    CHECK_EQ(wait4(pid, NULL, __WNOTHREAD, NULL), pid);
}

TEST_CASE(killed_status)
{
    int status;
    pid_t pid = child_sleeps();
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_EQ(wait4(pid, &status, 0, NULL), pid);
    CHECK_EQ(status, SIGKILL);
}
