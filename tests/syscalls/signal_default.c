/*
 * signal_default.c: default action of every signal, and the status it leaves.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/resource.h>

static void no_core(void)
{
    struct rlimit none = {0, 0};
    CHECK_OK(setrlimit(RLIMIT_CORE, &none));
}

/* Sends itself the signal; exits 50 if it survives. */
static int status_after(int sig)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        kill(getpid(), sig);
        _exit(50);
    }
    return guest_wait(pid);
}

TEST_CASE(fatal_signals)
{
    const int fatal[] = {SIGHUP,  SIGINT,    SIGKILL, SIGUSR1, SIGUSR2,   SIGPIPE, SIGALRM, SIGTERM,
                         SIGPROF, SIGVTALRM, SIGPOLL, SIGPWR,  SIGSTKFLT, 34,      50,      64};
    no_core();
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
        int status = status_after(fatal[i]);
        CHECK(WIFSIGNALED(status));
        CHECK_EQ(WTERMSIG(status), fatal[i]);
        CHECK(!WCOREDUMP(status));
    }
}

TEST_CASE(core_signals_without_a_core)
{
    const int core[] = {SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS,
                        SIGFPE,  SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS};
    no_core();
    for (size_t i = 0; i < sizeof(core) / sizeof(core[0]); i++) {
        int status = status_after(core[i]);
        CHECK(WIFSIGNALED(status));
        CHECK_EQ(WTERMSIG(status), core[i]);
        /* Linux: RLIMIT_CORE 0 means no dump, unless a pipe handler takes it. */
        siginfo_t info;
        pid_t pid = guest_fork();
        if (pid == 0) {
            kill(getpid(), core[i]);
            _exit(50);
        }
        CHECK_OK(waitid(P_PID, (id_t)pid, &info, WEXITED));
        CHECK_EQ(info.si_code, WCOREDUMP(status) ? CLD_DUMPED : CLD_KILLED);
        CHECK_EQ(info.si_status, core[i]);
    }
}

TEST_CASE(ignored_signals)
{
    const int ignored[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT};
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
        int status = status_after(ignored[i]);
        CHECK(WIFEXITED(status));
        CHECK_EQ(WEXITSTATUS(status), 50);
    }
}

TEST_CASE(abort_and_real_faults_end_with_their_signal)
{
    no_core();
    pid_t pid = guest_fork();
    if (pid == 0) {
        abort();
    }
    CHECK_CHILD_SIGNAL(pid, SIGABRT);
    pid = guest_fork();
    if (pid == 0) {
        *(volatile int *)8 = 1;
        _exit(0);
    }
    CHECK_CHILD_SIGNAL(pid, SIGSEGV);
    pid = guest_fork();
    if (pid == 0) {
        __asm__ volatile("ud2");
    }
    CHECK_CHILD_SIGNAL(pid, SIGILL);
}

TEST_CASE(blocked_or_ignored_fault_still_kills)
{
    no_core();
    pid_t pid = guest_fork();
    if (pid == 0) {
        sigset_t set;
        sigfillset(&set);
        sigprocmask(SIG_BLOCK, &set, NULL);
        *(volatile int *)8 = 1;
        _exit(0);
    }
    CHECK_CHILD_SIGNAL(pid, SIGSEGV);
    pid = guest_fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_IGN);
        *(volatile int *)8 = 1;
        _exit(0);
    }
    CHECK_CHILD_SIGNAL(pid, SIGSEGV);
}
