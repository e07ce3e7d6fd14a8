/*
 * current.h: what the layers below the kernel may know of the guest task that the calling sentry
 * thread works for. The kernel fills it; it is thread-local, so no lock is needed.
 *
 * cred and fs are borrowed from the task and stay valid for the duration of one system call.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cred;
struct fs_context;
struct mm;
struct task;

struct current {
    struct task *task;       /* opaque here; NULL on sentry threads that serve no task */
    const struct cred *cred; /* never NULL: boot threads use cred_root() */
    struct fs_context *fs;
    struct mm *mm;
    int32_t tid, tgid;   /* guest ids in the initial pid namespace */
    char comm[16];       /* for audit lines */
    uint64_t file_limit; /* RLIMIT_FSIZE soft limit, bytes */
};

extern _Thread_local struct current current;

/* Kernel hooks for lower layers; set once at boot. */
struct current_hooks {
    /* Sends a signal to the calling task itself: SIGPIPE, SIGXFSZ. */
    void (*send_signal)(int signo);
};
extern struct current_hooks current_hooks;
