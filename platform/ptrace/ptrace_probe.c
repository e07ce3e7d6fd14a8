/*
 * ptrace_probe.c: does PTRACE_SYSEMU work here? Tried on a child of our own.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/host/process.h"
#include "platform/ptrace/ptrace_internal.h"

static _Noreturn void run_child(void)
{
    for (;;) {
        syscall(SYS_pause);
    }
}

/* Seizes the child, interrupts its call and lets it run into the next one. */
static const char *try_child(pid_t pid)
{
    int status;
    if (ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD) != 0) {
        return "ptrace(PTRACE_SEIZE) of a child is refused";
    }
    if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) != 0 || host_wait(pid, &status) < 0 ||
        !WIFSTOPPED(status)) {
        return "a traced child does not stop";
    }
    if (ptrace(PTRACE_SYSEMU, pid, NULL, NULL) != 0) {
        return "PTRACE_SYSEMU is not supported";
    }
    if (host_wait(pid, &status) < 0 || !WIFSTOPPED(status) ||
        WSTOPSIG(status) != (SIGTRAP | 0x80)) {
        return "PTRACE_SYSEMU does not stop at system calls";
    }
    errno = 0;
    return NULL;
}

int ptrace_probe(char *reason, size_t reason_size)
{
    pid_t pid = fork();
    if (pid < 0) {
        int error = -errno;
        snprintf(reason, reason_size, "cannot create a process: %s", strerror(-error));
        return error;
    }
    if (pid == 0) {
        run_child();
    }
    const char *failure = try_child(pid);
    int error = errno;
    int status;
    ignore_result(host_kill(pid, SIGKILL));
    do {
        if (host_wait(pid, &status) < 0) {
            break;
        }
    } while (WIFSTOPPED(status));
    if (failure == NULL) {
        return 0;
    }
    snprintf(reason, reason_size, "%s%s%s", failure, error != 0 ? ": " : "",
             error != 0 ? strerror(error) : "");
    return error != 0 ? -error : -ENOTSUP;
}
