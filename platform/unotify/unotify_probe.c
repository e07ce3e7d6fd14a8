/*
 * unotify_probe.c: what the engine needs of host and CPU. Tried on children of our own: a kernel
 * before 6.11 does not tell a listener that waits for a call when the last thread is gone, so a
 * guest that dies at the right moment would hang its sentry thread.
 */
#include <errno.h>
#include <linux/audit.h>
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
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/host/process.h"
#include "platform/unotify/unotify_internal.h"

#define HWCAP2_FSGSBASE_BIT 2 /* Linux: asm/hwcap2.h */
#define HANG_LIMIT_US       200000

/* How the tried child ends. */
enum outcome { WORKS, NO_LISTENER, NO_HANG_UP, OTHER };

/* Ends with the listener's descriptor number, which its parent shares. */
static _Noreturn void run_target(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = array_size(code), .filter = code};
    long fd = -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
        fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                     &program);
    }
    _exit(fd > 0 && fd < 255 ? (int)fd : 255);
}

/* The caller may have threads: only system calls from here on. SIGALRM ends a wait that does not
 * end by itself. */
static _Noreturn void run_listener(void)
{
    const struct itimerval limit = {.it_value = {.tv_usec = HANG_LIMIT_US}};
    int status;
    sigset_t none;
    sigemptyset(&none);
    signal(SIGALRM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* Room for a low number, whatever we inherited. */
    syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
    long pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        run_target();
    }
    if (pid < 0 || host_wait((pid_t)pid, &status) < 0 || !WIFEXITED(status) ||
        WEXITSTATUS(status) == 255) {
        _exit(NO_LISTENER);
    }
    struct seccomp_notif call;
    memset(&call, 0, sizeof call);
    setitimer(ITIMER_REAL, &limit, NULL);
    int rc = ioctl(WEXITSTATUS(status), SECCOMP_IOCTL_NOTIF_RECV, &call);
    _exit(rc != 0 && errno == ENOENT ? WORKS : OTHER);
}

static enum outcome try_listener(void)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        run_listener();
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
    default:
        snprintf(reason, reason_size, "seccomp user notification does not work");
        return -ENOTSUP;
    }
}
