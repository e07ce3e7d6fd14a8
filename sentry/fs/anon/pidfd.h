/* pidfd.h: a process as a file. Source: pidfd_open(2), Linux kernel/fork.c (pidfd_fops). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"

struct file;
struct process;
struct task;

/* Readable (EPOLLIN) once the process has exited. flags: O_NONBLOCK. Takes its own reference of
 * process. */
int pidfd_new(struct process *process, unsigned flags, struct file **ret_file) must_check;
/* The process of a pidfd, borrowed from the file; NULL: not a pidfd. */
struct process *pidfd_process(const struct file *file);

/* For waitid(P_PIDFD): the process id behind a descriptor of task. -EBADF: closed, or not a pidfd.
 */
int pidfd_lookup(struct task *task, int fd, int *ret_pid, bool *ret_nonblock) must_check;
/* For clone(CLONE_PIDFD): a close-on-exec descriptor in installer's table. Fits
 * kernel_install_pidfd. */
int pidfd_install(struct task *installer, struct task *target, int *ret_fd) must_check;
