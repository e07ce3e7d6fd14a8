/* ptrace_test.h: what the ptrace_*.c programs share. */
#pragma once

#include "tests/syscalls/guest_test.h"

#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#define CHECK_STOP(status, code) CHECK_EQ((status), (code) << 8 | 0x7f)
#define EVENT(event)             (SIGTRAP | (event) << 8)

/* A child that runs body after it was stopped by its tracer, us. */
static inline pid_t traced_child(void (*body)(void), unsigned long options)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
        raise(SIGSTOP);
        body();
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_STOP(status, SIGSTOP);
    CHECK_OK(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(options | PTRACE_O_EXITKILL)));
    return pid;
}

/* A child that is not traced yet. */
static inline pid_t plain_child(void (*body)(void))
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        body();
        _exit(0);
    }
    return pid;
}

static inline int next_stop(pid_t pid)
{
    int status;
    CHECK_EQ(waitpid(pid, &status, __WALL), pid);
    return status;
}

static inline void resume(pid_t pid, int request, int signo)
{
    CHECK_OK(ptrace(request, pid, NULL, (void *)(long)signo));
}

static inline void loop_forever(void)
{
    for (;;) {
        pause();
    }
}

static inline void end_child(pid_t pid)
{
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
}

/* The value of a field of /proc/PID/status, as a number or as its first letter. */
static inline long status_field(pid_t pid, const char *name, bool letter)
{
    char path[64];
    char text[4096];
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    guest_read_file(path, text, sizeof(text));
    char *found = strstr(text, name);
    CHECK(found != NULL);
    found += strlen(name) + 1;
    found += strspn(found, "\t ");
    return letter ? *found : strtol(found, NULL, 10);
}
