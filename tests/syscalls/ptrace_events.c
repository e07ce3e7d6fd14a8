/*
 * ptrace_events.c: stops for events: new tasks, exec, exit, filters.
 */
#include "tests/syscalls/ptrace_test.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

static long message(pid_t pid)
{
    unsigned long value = 0;
    CHECK_OK(ptrace(PTRACE_GETEVENTMSG, pid, NULL, &value));
    return (long)value;
}

static void forks(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(5);
    }
    int status;
    waitpid(pid, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) + 1 : 99);
}

TEST_CASE(fork_event)
{
    siginfo_t info;
    pid_t pid = traced_child(forks, PTRACE_O_TRACEFORK);
    resume(pid, PTRACE_CONT, 0);
    CHECK_STOP(next_stop(pid), EVENT(PTRACE_EVENT_FORK));
    pid_t child = (pid_t)message(pid);
    CHECK(child > 0);
    CHECK_OK(ptrace(PTRACE_GETSIGINFO, pid, NULL, &info));
    CHECK_EQ(info.si_code, EVENT(PTRACE_EVENT_FORK));
    CHECK_STOP(next_stop(child), SIGSTOP);
    CHECK_EQ(status_field(child, "TracerPid:", false), getpid());
    resume(pid, PTRACE_CONT, 0);
    resume(child, PTRACE_CONT, 0);
    int status = next_stop(child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
    status = next_stop(pid);
    CHECK_STOP(status, SIGCHLD);
    resume(pid, PTRACE_CONT, SIGCHLD);
    CHECK_CHILD_EXIT(pid, 6);
}

static void vforks(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        _exit(5);
    }
    _exit(0);
}

TEST_CASE(vfork_events)
{
    pid_t pid = traced_child(vforks, PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE);
    resume(pid, PTRACE_CONT, 0);
    CHECK_STOP(next_stop(pid), EVENT(PTRACE_EVENT_VFORK));
    pid_t child = (pid_t)message(pid);
    CHECK_STOP(next_stop(child), SIGSTOP);
    resume(pid, PTRACE_CONT, 0);
    guest_sleep_ms(20);
    CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
    resume(child, PTRACE_CONT, 0);
    int status = next_stop(child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
    status = next_stop(pid);
    if (WSTOPSIG(status) == SIGCHLD) { /* either order */
        resume(pid, PTRACE_CONT, 0);
        status = next_stop(pid);
    }
    CHECK_STOP(status, EVENT(PTRACE_EVENT_VFORK_DONE));
    CHECK_EQ(message(pid), child);
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
}

static void *thread_body(void *argument)
{
    return argument;
}

static void threads(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, thread_body, NULL);
    pthread_join(thread, NULL);
    guest_sleep_ms(200); /* the thread's own status is to be seen, not that of the process */
    _exit(4);
}

TEST_CASE(clone_event_and_the_end_of_a_thread)
{
    pid_t pid = traced_child(threads, PTRACE_O_TRACECLONE);
    resume(pid, PTRACE_CONT, 0);
    CHECK_STOP(next_stop(pid), EVENT(PTRACE_EVENT_CLONE));
    pid_t tid = (pid_t)message(pid);
    CHECK_STOP(next_stop(tid), SIGSTOP);
    resume(pid, PTRACE_CONT, 0);
    guest_sleep_ms(20);
    CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
    resume(tid, PTRACE_CONT, 0);
    int status = next_stop(tid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_CHILD_EXIT(pid, 4);
}

TEST_HELPER(ends_with_3)
{
    return 3;
}

static void execs(void)
{
    execl(guest_self(), "x", "--helper", "ends_with_3", NULL);
    _exit(99);
}

TEST_CASE(exec_event)
{
    pid_t pid = traced_child(execs, PTRACE_O_TRACEEXEC);
    resume(pid, PTRACE_CONT, 0);
    CHECK_STOP(next_stop(pid), EVENT(PTRACE_EVENT_EXEC));
    CHECK_EQ(message(pid), pid);
    resume(pid, PTRACE_CONT, 0);
    CHECK_CHILD_EXIT(pid, 3);
}

TEST_CASE(exec_without_the_event_is_a_signal)
{
    siginfo_t info;
    pid_t pid = traced_child(execs, 0);
    resume(pid, PTRACE_CONT, 0);
    CHECK_STOP(next_stop(pid), SIGTRAP);
    CHECK_OK(ptrace(PTRACE_GETSIGINFO, pid, NULL, &info));
    CHECK_EQ(info.si_code, SI_USER);
    resume(pid, PTRACE_CONT, 0);
    CHECK_CHILD_EXIT(pid, 3);
}

static void *thread_execs(void *argument)
{
    execs();
    return argument;
}

static void exec_from_thread(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, thread_execs, NULL);
    loop_forever();
}

TEST_CASE(exec_by_another_thread)
{
    pid_t pid = traced_child(exec_from_thread, PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE);
    resume(pid, PTRACE_CONT, 0);
    CHECK_STOP(next_stop(pid), EVENT(PTRACE_EVENT_CLONE));
    pid_t tid = (pid_t)message(pid);
    CHECK_STOP(next_stop(tid), SIGSTOP);
    resume(pid, PTRACE_CONT, 0);
    resume(tid, PTRACE_CONT, 0);
    CHECK_STOP(next_stop(pid), EVENT(PTRACE_EVENT_EXEC)); /* by its new number */
    CHECK_EQ(message(pid), tid);
    CHECK_ERRNO(waitpid(tid, NULL, WNOHANG | __WALL), ECHILD);
    resume(pid, PTRACE_CONT, 0);
    CHECK_CHILD_EXIT(pid, 3);
}

static void exits(void)
{
    _exit(6);
}

TEST_CASE(exit_event)
{
    struct user_regs_struct regs;
    pid_t pid = traced_child(exits, PTRACE_O_TRACEEXIT);
    resume(pid, PTRACE_CONT, 0);
    CHECK_STOP(next_stop(pid), EVENT(PTRACE_EVENT_EXIT));
    CHECK_EQ(message(pid), 6 << 8);
    CHECK_OK(ptrace(PTRACE_GETREGS, pid, NULL, &regs));
    CHECK_EQ(regs.orig_rax, SYS_exit_group);
    resume(pid, PTRACE_CONT, 0);
    CHECK_CHILD_EXIT(pid, 6);
    pid = traced_child(loop_forever, PTRACE_O_TRACEEXIT);
    resume(pid, PTRACE_CONT, SIGTERM);
    CHECK_STOP(next_stop(pid), EVENT(PTRACE_EVENT_EXIT));
    CHECK_EQ(message(pid), SIGTERM);
    resume(pid, PTRACE_CONT, 0);
    CHECK_CHILD_SIGNAL(pid, SIGTERM);
}

static void seized_forks(void)
{
    guest_sleep_ms(50);
    forks();
}

TEST_CASE(children_of_seized_tasks)
{
    pid_t pid = plain_child(seized_forks);
    CHECK_OK(ptrace(PTRACE_SEIZE, pid, NULL, (void *)PTRACE_O_TRACEFORK));
    CHECK_STOP(next_stop(pid), EVENT(PTRACE_EVENT_FORK));
    pid_t child = (pid_t)message(pid);
    CHECK_STOP(next_stop(child), EVENT(PTRACE_EVENT_STOP));
    resume(child, PTRACE_CONT, 0);
    resume(pid, PTRACE_CONT, 0);
    int status = next_stop(child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
    CHECK_STOP(next_stop(pid), SIGCHLD);
    resume(pid, PTRACE_CONT, 0);
    CHECK_CHILD_EXIT(pid, 6);
}

/* getppid asks the tracer, with data 17. */
static void filtered(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | 17),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(*code), code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        _exit(90);
    }
    long first = syscall(SYS_getppid);
    long second = syscall(SYS_getppid);
    _exit(first == getpid() && second == 55 ? 8 : 9);
}

TEST_CASE(seccomp_event)
{
    struct user_regs_struct regs;
    pid_t pid = traced_child(filtered, PTRACE_O_TRACESECCOMP);
    resume(pid, PTRACE_CONT, 0);
    CHECK_STOP(next_stop(pid), EVENT(PTRACE_EVENT_SECCOMP));
    CHECK_EQ(message(pid), 17);
    CHECK_OK(ptrace(PTRACE_GETREGS, pid, NULL, &regs));
    CHECK_EQ(regs.orig_rax, SYS_getppid);
    CHECK_EQ((long)regs.rax, -ENOSYS);
    regs.orig_rax = SYS_getpid;
    CHECK_OK(ptrace(PTRACE_SETREGS, pid, NULL, &regs));
    resume(pid, PTRACE_CONT, 0);
    CHECK_STOP(next_stop(pid), EVENT(PTRACE_EVENT_SECCOMP));
    CHECK_OK(ptrace(PTRACE_GETREGS, pid, NULL, &regs));
    regs.orig_rax = (unsigned long)-1;
    regs.rax = 55;
    CHECK_OK(ptrace(PTRACE_SETREGS, pid, NULL, &regs));
    resume(pid, PTRACE_CONT, 0);
    CHECK_CHILD_EXIT(pid, 8);
}
