/* task_clone.h: fork, vfork, clone, clone3. Source: clone(2), Linux kernel/fork.c copy_process. */
#pragma once

#include <stdint.h>

#include "platform/base/compiler.h"

struct task;

struct clone_request {
    uint64_t flags;                        /* CLONE_* without the exit signal */
    uint64_t stack;                        /* initial rsp; 0: the caller's */
    uint64_t tls;                          /* with CLONE_SETTLS */
    uint64_t parent_tid, child_tid, pidfd; /* guest addresses, by flags */
    int exit_signal;
    const int *set_tid; /* clone3: wanted ids; NULL */
    uint64_t set_tid_count;
};

/* Makes the child and starts it. Returns its tid, or negative errno. With CLONE_VFORK the caller
 * sleeps until the child execs or exits. */
long task_clone(struct task *parent, const struct clone_request *request) must_check;

/* unshare(2): the caller gets copies of its own of what flags name. -EPERM for namespaces. */
int task_unshare(struct task *task, uint64_t flags) must_check;

/* Makes a pidfd file for CLONE_PIDFD; set at boot. */
extern int (*kernel_install_pidfd)(struct task *installer, struct task *target, int *ret_fd);
