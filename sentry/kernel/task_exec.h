/* task_exec.h: execve. Source: execve(2), Linux fs/exec.c. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/loader/loader.h"

struct task;
struct file;

struct exec_request {
    struct file *file;        /* opened for execution; borrowed */
    const char *path;         /* as given by the guest: AT_EXECFN */
    struct string_list *argv; /* consumed */
    struct string_list *envp; /* borrowed */
};

/* Replaces the program of the calling task. 0: the registers are those of the new program. Negative
 * errno: nothing changed. After the point of no return a failure kills the process. */
int task_exec(struct task *task, const struct exec_request *request) must_check;

/* Boot: loads the first program into a task that has no memory yet. */
int task_exec_first(struct task *task, const struct exec_request *request) must_check;
