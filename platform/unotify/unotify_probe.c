/*
 * unotify_probe.c: what the engine needs of host and CPU. Tried on children of our own: a kernel
 * before 6.11 does not tell a listener that waits for a call when the last thread is gone, so a
 * guest that dies would hang its sentry thread.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/host/process.h"
#include "platform/unotify/unotify_internal.h"

#define HWCAP2_FSGSBASE_BIT 2 /* Linux: asm/hwcap2.h */
#define HANG_LIMIT_S        1
#define CALLS               470 /* a bit more than there are */
#define ANSWER              4711

/* How the tried child ends. */
enum outcome { WORKS, NO_LISTENER, NO_HANG_UP, ANSWERED_ELSEWHERE, OTHER };

/* Is there a filter around us? One that refuses calls outranks a listener's (Linux:
 * seccomp_run_filters), so that the sentry would never hear of them. */
static bool is_filtered(void)
{
    return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0;
}

/* Makes calls, none of which the host carries out, and looks whether all are answered by the
 * listener, whose number it writes to the pipe first. */
static _Noreturn void run_target(int pipe_end, bool filtered)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = array_size(code), .filter = code};
    unsigned char fd = 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
        long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
        fd = listener > 0 && listener <= UINT8_MAX ? (unsigned char)listener : 0;
    }
    if (write(pipe_end, &fd, 1) != 1 || fd == 0) {
        _exit(NO_LISTENER);
    }
    for (long number = filtered ? 0 : CALLS - 1; number < CALLS; number++) {
        if (number != SYS_write && number != SYS_exit_group &&
            syscall(number, 0, 0, 0, 0, 0, 0) != ANSWER) {
            _exit(ANSWERED_ELSEWHERE);
        }
    }
    _exit(WORKS);
}

/* The caller may have threads: only system calls from here on. SIGALRM ends a wait that does not
 * end by itself. */
static _Noreturn void run_listener(bool filtered)
{
    sigset_t none;
    int ends[2];
    unsigned char fd = 0;
    sigemptyset(&none);
    signal(SIGALRM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* Room for low numbers, whatever we inherited. */
    syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
    if (pipe(ends) != 0) {
        _exit(OTHER);
    }
    long pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        run_target(ends[1], filtered);
    }
    if (pid < 0 || read(ends[0], &fd, 1) != 1 || fd == 0) {
        _exit(NO_LISTENER);
    }
    alarm(HANG_LIMIT_S);
    struct seccomp_notif call;
    do {
        memset(&call, 0, sizeof call);
        if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) {
            break;
        }
    } while (host_notify_answer(fd, call.id, ANSWER) == 0);
    int status;
    if (errno != ENOENT || host_wait((pid_t)pid, &status) < 0) {
        _exit(OTHER);
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : ANSWERED_ELSEWHERE);
}

static enum outcome try_listener(void)
{
    int status;
    const bool filtered = is_filtered();
    pid_t pid = fork();
    if (pid == 0) {
        run_listener(filtered);
    }
    if (pid < 0 || host_wait(pid, &status) < 0) {
        return OTHER;
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
        return NO_HANG_UP;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) < OTHER ? (enum outcome)WEXITSTATUS(status)
                                                            : OTHER;
}

int unotify_probe(char *reason, size_t reason_size)
{
    if ((getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT) == 0) {
        snprintf(reason, reason_size, "the CPU or the kernel lacks FSGSBASE instructions");
        return -ENOTSUP;
    }
    if (arch_xstate_size() > STUB_XSTATE_MAX) {
        snprintf(reason, reason_size, "the CPU's extended state of %zu bytes is too large",
                 arch_xstate_size());
        return -ENOTSUP;
    }
    switch (try_listener()) {
    case WORKS:
        return 0;
    case NO_LISTENER:
        snprintf(reason, reason_size, "the host gives no seccomp listener");
        return -ENOTSUP;
    case NO_HANG_UP:
        snprintf(reason, reason_size, "seccomp listeners do not hang up (Linux 6.11 does it)");
        return -ENOTSUP;
    case ANSWERED_ELSEWHERE:
        snprintf(reason, reason_size, "a seccomp filter around us refuses calls on its own");
        return -ENOTSUP;
    default:
        snprintf(reason, reason_size, "seccomp user notification does not work");
        return -ENOTSUP;
    }
}
