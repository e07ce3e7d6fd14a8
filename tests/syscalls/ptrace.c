/*
 * ptrace.c: the basics of ptrace, where it exists.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/ptrace.h>
#include <sys/user.h>

static pid_t traced(void)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0) {
            _exit(100);
        }
        raise(SIGSTOP);
        _exit((int)syscall(SYS_getppid) > 0 ? 3 : 4);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status)) {
        CHECK_EQ(WEXITSTATUS(status), 100);
        SKIP("no ptrace here");
    }
    CHECK(WIFSTOPPED(status));
    CHECK_EQ(WSTOPSIG(status), SIGSTOP);
    return pid;
}

TEST_CASE(stop_and_continue)
{
    pid_t pid = traced();
    CHECK_OK(ptrace(PTRACE_CONT, pid, NULL, NULL));
    CHECK_CHILD_EXIT(pid, 3);
}

TEST_CASE(peek_and_poke)
{
    static volatile long word = 0x1122334455667788;
    pid_t pid = traced();
    errno = 0;
    CHECK_EQ(ptrace(PTRACE_PEEKDATA, pid, &word, NULL), 0x1122334455667788);
    CHECK_OK(ptrace(PTRACE_POKEDATA, pid, &word, (void *)5L));
    CHECK_EQ(ptrace(PTRACE_PEEKDATA, pid, &word, NULL), 5);
    CHECK_EQ(word, 0x1122334455667788);
    CHECK_ERRNO(ptrace(PTRACE_PEEKDATA, pid, guest_bad(), NULL), EIO);
    CHECK_OK(ptrace(PTRACE_KILL, pid, NULL, NULL));
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
}

TEST_CASE(system_call_stops_and_registers)
{
    struct user_regs_struct regs;
    int status;
    bool seen = false;
    pid_t pid = traced();
    CHECK_OK(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)PTRACE_O_TRACESYSGOOD));
    for (int i = 0; i < 50; i++) {
        CHECK_OK(ptrace(PTRACE_SYSCALL, pid, NULL, NULL));
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        if (!WIFSTOPPED(status)) {
            break;
        }
        CHECK_EQ(WSTOPSIG(status), SIGTRAP | 0x80);
        CHECK_OK(ptrace(PTRACE_GETREGS, pid, NULL, &regs));
        if (regs.orig_rax == SYS_getppid && (long)regs.rax == -ENOSYS) {
            seen = true;
            regs.orig_rax = SYS_getpid; /* another call instead */
            CHECK_OK(ptrace(PTRACE_SETREGS, pid, NULL, &regs));
        }
    }
    CHECK(seen);
    CHECK(WIFEXITED(status));
}

TEST_CASE(signals_are_seen_and_suppressed)
{
    int status;
    pid_t pid = traced();
    CHECK_OK(kill(pid, SIGTERM));
    CHECK_OK(ptrace(PTRACE_CONT, pid, NULL, NULL));
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTERM);
    CHECK_OK(ptrace(PTRACE_CONT, pid, NULL, NULL)); /* not passed on */
    CHECK_CHILD_EXIT(pid, 3);
}

TEST_CASE(errors)
{
    if (ptrace(PTRACE_CONT, 1 << 21, NULL, NULL) < 0 && errno == ENOSYS) {
        SKIP("no ptrace here");
    }
    CHECK_ERRNO(ptrace(PTRACE_CONT, 1 << 21, NULL, NULL), ESRCH);
    CHECK_ERRNO(ptrace(PTRACE_CONT, getppid(), NULL, NULL), ESRCH);
    CHECK_ERRNO(ptrace(PTRACE_ATTACH, getpid(), NULL, NULL), EPERM);
}
