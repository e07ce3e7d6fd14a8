/*
 * proc.h: /proc. Every file is a row in a table (name, mode, show function): proc_root.c for the
 * system, proc_task.c for processes. Formats are those of Linux, byte for byte, because parsers
 * exist for them; contents are true of the sandbox, not of the host. Source: proc(5), Linux
 * fs/proc.
 */
#pragma once

#include <stdint.h>

#include "platform/base/compiler.h"

struct task;
struct file;
struct process;
struct super;

int proc_new(struct super **ret_super) must_check;
/* The kind (CLONE_NEW*) of namespace that a file of /proc/PID/ns stands for; 0: another file. */
unsigned proc_file_namespace(const struct file *file);
/* For CLONE_NEWNS: the id of the mount namespace. */
uint64_t proc_file_mount_namespace(const struct file *file);
/* The process whose /proc/PID directory this is; borrowed from the file. NULL: another file. */
struct process *proc_file_process(const struct file *file);
/* -EACCES unless the caller may read what belongs to the task alone (Linux: ptrace_may_access). */
int proc_check_access(struct task *task) must_check;
