/*
 * ptrace_attach.c: becoming a tracer of running tasks, and ceasing to be one; group stops.
 */
#include "tests/syscalls/ptrace_test.h"

TEST_CASE(attach_and_detach)
{
    pid_t pid = plain_child(loop_forever);
    CHECK_OK(ptrace(PTRACE_ATTACH, pid, NULL, NULL));
    CHECK_STOP(next_stop(pid), SIGSTOP);
    CHECK_EQ(status_field(pid, "TracerPid:", false), getpid());
    CHECK_EQ(status_field(pid, "State:", true), 't');
    CHECK_ERRNO(ptrace(PTRACE_ATTACH, pid, NULL, NULL), EPERM);
    CHECK_ERRNO(ptrace(PTRACE_DETACH, pid, NULL, (void *)65L), EIO);
    CHECK_OK(ptrace(PTRACE_DETACH, pid, NULL, NULL));
    CHECK_EQ(status_field(pid, "TracerPid:", false), 0);
    CHECK_ERRNO(ptrace(PTRACE_CONT, pid, NULL, NULL), ESRCH);
    guest_sleep_ms(20);
    CHECK_EQ(status_field(pid, "State:", true), 'S');
    end_child(pid);
}

TEST_CASE(detach_with_a_signal)
{
    pid_t pid = plain_child(loop_forever);
    CHECK_OK(ptrace(PTRACE_ATTACH, pid, NULL, NULL));
    CHECK_STOP(next_stop(pid), SIGSTOP);
    CHECK_OK(ptrace(PTRACE_DETACH, pid, NULL, (void *)(long)SIGTERM));
    CHECK_CHILD_SIGNAL(pid, SIGTERM);
}

TEST_CASE(requests_need_a_stop)
{
    struct user_regs_struct regs;
    pid_t pid = plain_child(loop_forever);
    CHECK_ERRNO(ptrace(PTRACE_GETREGS, pid, NULL, &regs), ESRCH);
    CHECK_OK(ptrace(PTRACE_SEIZE, pid, NULL, NULL));
    CHECK_ERRNO(ptrace(PTRACE_GETREGS, pid, NULL, &regs), ESRCH);
    CHECK_ERRNO(ptrace(PTRACE_CONT, pid, NULL, NULL), ESRCH);
    CHECK_ERRNO(ptrace(PTRACE_DETACH, pid, NULL, NULL), ESRCH);
    end_child(pid);
}

TEST_CASE(seize_and_interrupt)
{
    siginfo_t info;
    pid_t pid = plain_child(loop_forever);
    CHECK_ERRNO(ptrace(PTRACE_SEIZE, pid, (void *)1, NULL), EIO);
    CHECK_ERRNO(ptrace(PTRACE_SEIZE, pid, NULL, (void *)0x40000000L), EIO);
    CHECK_OK(ptrace(PTRACE_SEIZE, pid, NULL, (void *)PTRACE_O_TRACESYSGOOD));
    CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
    CHECK_OK(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL));
    CHECK_STOP(next_stop(pid), EVENT(PTRACE_EVENT_STOP));
    CHECK_OK(ptrace(PTRACE_GETSIGINFO, pid, NULL, &info));
    CHECK_EQ(info.si_signo, SIGTRAP);
    CHECK_EQ(info.si_code, EVENT(PTRACE_EVENT_STOP));
    resume(pid, PTRACE_CONT, 0);
    CHECK_OK(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL));
    CHECK_STOP(next_stop(pid), EVENT(PTRACE_EVENT_STOP));
    CHECK_OK(ptrace(PTRACE_DETACH, pid, NULL, NULL));
    end_child(pid);
}

static void spin(void)
{
    for (volatile unsigned long i = 0;; i++) {
    }
}

TEST_CASE(interrupt_of_a_running_task)
{
    struct user_regs_struct regs;
    pid_t pid = plain_child(spin);
    guest_sleep_ms(20);
    CHECK_OK(ptrace(PTRACE_SEIZE, pid, NULL, NULL));
    for (int i = 0; i < 20; i++) {
        CHECK_OK(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL));
        CHECK_STOP(next_stop(pid), EVENT(PTRACE_EVENT_STOP));
        CHECK_OK(ptrace(PTRACE_GETREGS, pid, NULL, &regs));
        CHECK_EQ((long)regs.orig_rax, -1);
        resume(pid, PTRACE_CONT, 0);
    }
    end_child(pid);
}

TEST_CASE(interrupt_is_for_seized_tasks)
{
    pid_t pid = traced_child(loop_forever, 0);
    CHECK_ERRNO(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), EIO);
    CHECK_ERRNO(ptrace(PTRACE_LISTEN, pid, NULL, NULL), EIO);
    end_child(pid);
}

TEST_CASE(group_stop_of_a_seized_task)
{
    pid_t pid = plain_child(loop_forever);
    CHECK_OK(ptrace(PTRACE_SEIZE, pid, NULL, NULL));
    CHECK_OK(kill(pid, SIGSTOP));
    CHECK_STOP(next_stop(pid), SIGSTOP);
    resume(pid, PTRACE_CONT, SIGSTOP);
    CHECK_STOP(next_stop(pid), SIGSTOP | PTRACE_EVENT_STOP << 8);
    CHECK_OK(ptrace(PTRACE_LISTEN, pid, NULL, NULL));
    CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
    CHECK_ERRNO(ptrace(PTRACE_CONT, pid, NULL, NULL), ESRCH);
    CHECK_EQ(status_field(pid, "State:", true), 't');
    CHECK_OK(kill(pid, SIGCONT));
    CHECK_STOP(next_stop(pid), EVENT(PTRACE_EVENT_STOP));
    resume(pid, PTRACE_CONT, 0);
    CHECK_STOP(next_stop(pid), SIGCONT);
    resume(pid, PTRACE_CONT, 0);
    guest_sleep_ms(20);
    CHECK_EQ(status_field(pid, "State:", true), 'S');
    end_child(pid);
}

TEST_CASE(group_stop_of_an_attached_task)
{
    siginfo_t info;
    pid_t pid = traced_child(loop_forever, 0);
    resume(pid, PTRACE_CONT, SIGSTOP);
    CHECK_STOP(next_stop(pid), SIGSTOP); /* the group stop */
    CHECK_ERRNO(ptrace(PTRACE_GETSIGINFO, pid, NULL, &info), EINVAL);
    resume(pid, PTRACE_CONT, 0); /* out of it */
    guest_sleep_ms(20);
    CHECK_EQ(status_field(pid, "State:", true), 'S');
    CHECK_OK(kill(pid, SIGUSR1));
    CHECK_STOP(next_stop(pid), SIGUSR1);
    CHECK_OK(ptrace(PTRACE_DETACH, pid, NULL, NULL)); /* and into it again */
    guest_sleep_ms(50);
    CHECK_EQ(status_field(pid, "State:", true), 'T');
    CHECK_OK(kill(pid, SIGCONT));
    guest_sleep_ms(50);
    CHECK_EQ(status_field(pid, "State:", true), 'S');
    end_child(pid);
}

TEST_CASE(attach_to_a_stopped_task)
{
    pid_t pid = plain_child(loop_forever);
    int status;
    CHECK_OK(kill(pid, SIGSTOP));
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK_OK(ptrace(PTRACE_ATTACH, pid, NULL, NULL));
    CHECK_EQ(waitpid(pid, &status, WNOHANG), pid);
    CHECK_STOP(status, SIGSTOP);
    CHECK_EQ(status_field(pid, "State:", true), 't');
    CHECK_OK(ptrace(PTRACE_DETACH, pid, NULL, NULL));
    guest_sleep_ms(20);
    CHECK_EQ(status_field(pid, "State:", true), 'T');
    end_child(pid);
}

TEST_CASE(signals_that_are_ignored_show)
{
    pid_t pid = traced_child(loop_forever, 0);
    resume(pid, PTRACE_CONT, 0);
    CHECK_OK(kill(pid, SIGCHLD));
    CHECK_STOP(next_stop(pid), SIGCHLD);
    resume(pid, PTRACE_CONT, SIGCHLD);
    CHECK_OK(kill(pid, SIGWINCH));
    CHECK_STOP(next_stop(pid), SIGWINCH);
    resume(pid, PTRACE_CONT, SIGTERM); /* another one instead */
    CHECK_CHILD_SIGNAL(pid, SIGTERM);
}

TEST_CASE(kill_ends_any_stop)
{
    pid_t pid = traced_child(loop_forever, 0);
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
    pid = traced_child(loop_forever, 0);
    CHECK_OK(ptrace(PTRACE_KILL, pid, NULL, NULL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
}

/* A tracer that ends: fd tells when it has attached. */
static void tracer_of(pid_t pid, unsigned long options)
{
    int status;
    pid_t tracer = guest_fork();
    if (tracer == 0) {
        CHECK_OK(ptrace(PTRACE_SEIZE, pid, NULL, (void *)options));
        CHECK_OK(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL));
        CHECK_EQ(waitpid(pid, &status, __WALL), pid);
        CHECK_EQ(status_field(pid, "TracerPid:", false), getpid());
        _exit(0);
    }
    CHECK_CHILD_OK(tracer);
}

TEST_CASE(tracer_exits)
{
    pid_t pid = plain_child(loop_forever);
    tracer_of(pid, 0);
    guest_sleep_ms(20);
    CHECK_EQ(status_field(pid, "TracerPid:", false), 0);
    CHECK_EQ(status_field(pid, "State:", true), 'S');
    tracer_of(pid, PTRACE_O_EXITKILL);
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
}

TEST_CASE(real_parent_waits_after_the_tracer)
{
    int status;
    int go[2];
    CHECK_OK(pipe(go));
    pid_t pid = guest_fork();
    if (pid == 0) {
        char c;
        _exit(read(go[0], &c, 1) == 1 ? 9 : 1);
    }
    pid_t tracer = guest_fork();
    if (tracer == 0) {
        CHECK_OK(ptrace(PTRACE_SEIZE, pid, NULL, NULL));
        CHECK_EQ(write(go[1], "x", 1), 1);
        guest_sleep_ms(100); /* it is a zombie now; the parent does not see that yet */
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
        CHECK_ERRNO(waitpid(pid, &status, 0), ECHILD);
        _exit(0);
    }
    guest_sleep_ms(50);
    CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
    CHECK_CHILD_OK(tracer);
}

TEST_CASE(real_parent_sees_no_trace_stops)
{
    int status;
    pid_t pid = plain_child(loop_forever);
    pid_t tracer = guest_fork();
    if (tracer == 0) {
        CHECK_OK(ptrace(PTRACE_ATTACH, pid, NULL, NULL));
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_STOP(status, SIGSTOP);
        guest_sleep_ms(50);
        CHECK_OK(ptrace(PTRACE_DETACH, pid, NULL, NULL));
        _exit(0);
    }
    guest_sleep_ms(25);
    CHECK_EQ(waitpid(pid, &status, WNOHANG | WUNTRACED), 0);
    CHECK_CHILD_OK(tracer);
    CHECK_EQ(waitpid(pid, &status, WNOHANG | WUNTRACED), 0);
    end_child(pid);
}

TEST_CASE(traceme_twice)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
        CHECK_ERRNO(ptrace(PTRACE_TRACEME, 0, NULL, NULL), EPERM);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

static void *attach_to_main(void *result)
{
    *(int *)result = ptrace(PTRACE_ATTACH, getpid(), NULL, NULL) == 0 ? 0 : errno;
    return NULL;
}

TEST_CASE(own_threads_may_not)
{
    pthread_t thread;
    int result = -1;
    CHECK_EQ(pthread_create(&thread, NULL, attach_to_main, &result), 0);
    pthread_join(thread, NULL);
    CHECK_EQ(result, EPERM);
}

TEST_CASE(other_users_may_not)
{
    if (geteuid() != 0) {
        SKIP("needs root");
    }
    pid_t pid = plain_child(loop_forever);
    pid_t tracer = guest_fork();
    if (tracer == 0) {
        CHECK_OK(setresuid(1000, 1000, 1000));
        CHECK_ERRNO(ptrace(PTRACE_ATTACH, pid, NULL, NULL), EPERM);
        CHECK_ERRNO(ptrace(PTRACE_SEIZE, pid, NULL, NULL), EPERM);
        _exit(0);
    }
    CHECK_CHILD_OK(tracer);
    end_child(pid);
}

TEST_CASE(sigchld_tells_of_stops)
{
    sigset_t set;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    pid_t pid = traced_child(loop_forever, 0);
    CHECK_EQ(sigwaitinfo(&set, &info), SIGCHLD);
    CHECK_EQ(info.si_code, CLD_TRAPPED);
    CHECK_EQ(info.si_pid, pid);
    CHECK_EQ(info.si_status, SIGSTOP);
    resume(pid, PTRACE_CONT, 0);
    CHECK_OK(kill(pid, SIGUSR2));
    memset(&info, 0, sizeof(info));
    CHECK_OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    CHECK_EQ(info.si_code, CLD_TRAPPED);
    CHECK_EQ(info.si_status, SIGUSR2);
    CHECK_STOP(next_stop(pid), SIGUSR2);
    CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
    end_child(pid);
}
