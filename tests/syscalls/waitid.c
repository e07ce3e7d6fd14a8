/*
 * waitid.c: waitid: selectors, WNOWAIT, and the siginfo that comes back.
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

TEST_CASE(exited)
{
    siginfo_t info;
    memset(&info, 0xee, sizeof(info));
    pid_t pid = child_exits(300);
    CHECK_OK(waitid(P_PID, (id_t)pid, &info, WEXITED));
    CHECK_EQ(info.si_signo, SIGCHLD);
    CHECK_EQ(info.si_code, CLD_EXITED);
    CHECK_EQ(info.si_pid, pid);
    CHECK_EQ(info.si_uid, getuid());
    CHECK_EQ(info.si_status, 300 & 0xff);
    CHECK_EQ(info.si_errno, 0);
}

TEST_CASE(killed)
{
    siginfo_t info;
    pid_t pid = child_sleeps();
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_OK(waitid(P_ALL, 0, &info, WEXITED));
    CHECK_EQ(info.si_code, CLD_KILLED);
    CHECK_EQ(info.si_status, SIGKILL);
    CHECK_EQ(info.si_pid, pid);
}

TEST_CASE(nowait_leaves_the_child)
{
    siginfo_t info;
    pid_t pid = child_exits(5);
    for (int i = 0; i < 3; i++) {
        memset(&info, 0, sizeof(info));
        CHECK_OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
        CHECK_EQ(info.si_pid, pid);
        CHECK_EQ(info.si_status, 5);
    }
    CHECK_CHILD_EXIT(pid, 5);
    CHECK_ERRNO(waitid(P_PID, (id_t)pid, &info, WEXITED), ECHILD);
}

TEST_CASE(nohang_clears_the_info)
{
    siginfo_t info;
    memset(&info, 0xee, sizeof(info));
    pid_t pid = child_sleeps();
    CHECK_OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG));
    CHECK_EQ(info.si_pid, 0);
    CHECK_EQ(info.si_signo, 0);
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
}

TEST_CASE(stop_and_continue)
{
    siginfo_t info;
    pid_t pid = child_sleeps();
    CHECK_OK(kill(pid, SIGSTOP));
    CHECK_OK(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT));
    CHECK_EQ(info.si_code, CLD_STOPPED);
    CHECK_OK(waitid(P_PID, (id_t)pid, &info, WSTOPPED));
    CHECK_EQ(info.si_code, CLD_STOPPED);
    CHECK_EQ(info.si_status, SIGSTOP);
    CHECK_OK(kill(pid, SIGCONT));
    CHECK_OK(waitid(P_PID, (id_t)pid, &info, WCONTINUED));
    CHECK_EQ(info.si_code, CLD_CONTINUED);
    CHECK_EQ(info.si_status, SIGCONT);
    CHECK_OK(kill(pid, SIGTERM));
    CHECK_OK(waitid(P_PID, (id_t)pid, &info, WEXITED));
    CHECK_EQ(info.si_code, CLD_KILLED);
}

TEST_CASE(by_process_group)
{
    siginfo_t info;
    pid_t pid = guest_fork();
    if (pid == 0) {
        setpgid(0, 0);
        _exit(0);
    }
    setpgid(pid, pid);
    CHECK_ERRNO(waitid(P_PGID, (id_t)getpgrp(), &info, WEXITED), ECHILD);
    CHECK_OK(waitid(P_PGID, (id_t)pid, &info, WEXITED));
    CHECK_EQ(info.si_pid, pid);
}

TEST_CASE(own_group_is_zero)
{
    siginfo_t info;
    pid_t pid = child_exits(0);
    CHECK_OK(waitid(P_PGID, 0, &info, WEXITED));
    CHECK_EQ(info.si_pid, pid);
}

TEST_CASE(bad_arguments)
{
    siginfo_t info;
    pid_t pid = child_exits(0);
    CHECK_ERRNO(waitid(P_PID, (id_t)pid, &info, 0), EINVAL);
    CHECK_ERRNO(waitid(P_PID, (id_t)pid, &info, WNOHANG), EINVAL);
    CHECK_ERRNO(waitid(P_PID, (id_t)pid, &info, WEXITED | 0x100), EINVAL);
    CHECK_ERRNO(waitid(77, (id_t)pid, &info, WEXITED), EINVAL);
    CHECK_ERRNO(waitid(P_PID, 0, &info, WEXITED), EINVAL);
    CHECK_ERRNO(waitid(P_PIDFD, 9999, &info, WEXITED), EBADF);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(raw_call_with_rusage_and_no_info)
{
    struct rusage usage;
    memset(&usage, 0xff, sizeof(usage));
    pid_t pid = child_exits(0);
    CHECK_EQ(syscall(SYS_waitid, P_PID, pid, NULL, WEXITED, &usage), 0);
    CHECK(usage.ru_utime.tv_sec >= 0 && usage.ru_utime.tv_sec < 100);
}
