/*
 * seccomp.h: filters that guests put on their own system calls. Source: seccomp(2),
 * seccomp_unotify(2), Linux kernel/seccomp.c.
 *
 * A filter is immutable and points to the one installed before it; tasks share them. A task's mode
 * and filter are written under kernel_lock, by itself or by a thread of its process that
 * synchronises; the task reads them without, because a newer filter always holds the older one.
 */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"

struct file;
struct seccomp_filter;
struct task;

enum seccomp_decision {
    SECCOMP_PROCEED,
    SECCOMP_ANSWER,     /* the call's result is *ret_result */
    SECCOMP_ASK_TRACER, /* *ret_result is the data for it; without one the call fails: -ENOSYS */
    SECCOMP_SKIPPED,    /* by a tracer: the result is in rax; not from seccomp_check */
    SECCOMP_ROLL_BACK,  /* the registers are to be those before the call; a signal is on its way */
};

/* Asks the task's filters; may sleep for an answer from user space. Own thread. */
enum seccomp_decision seccomp_check(struct task *task, int number, const uint64_t args[6],
                                    long *ret_result);

int seccomp_set_strict(struct task *task) must_check;
/* Installs a program that was copied in. flags: SECCOMP_FILTER_FLAG_*. Returns 0, the tid of a
 * thread that could not be synchronised, a negative errno, or with NEW_LISTENER 0 and the
 * listener's file. */
int seccomp_install(struct task *task, const struct sock_filter *code, unsigned count,
                    unsigned flags, struct file **ret_listener) must_check;

/* What a new task takes over from its maker. (K) */
void seccomp_inherit_locked(struct task *child, const struct task *parent);
/* The task ends. No lock is held. */
void seccomp_task_exit(struct task *task);
/* How many filters are installed. (K) */
unsigned seccomp_count_locked(const struct task *task);
