/* task_wait.h: wait4 and waitid. Source: wait(2), Linux kernel/exit.c do_wait. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"

struct task;
struct process;

enum wait_which { WAIT_ANY_CHILD, WAIT_CHILD, WAIT_CHILD_GROUP, WAIT_OWN_GROUP };

struct wait_request {
    enum wait_which which;
    int id;
    int options; /* WNOHANG WUNTRACED WCONTINUED WEXITED WSTOPPED WNOWAIT __WALL __WCLONE
                    __WNOTHREAD */
};

struct wait_result {
    int pid;           /* 0: nothing yet with WNOHANG */
    int status;        /* wait status */
    int code;          /* CLD_* */
    int signal_status; /* si_status */
    uint32_t uid;
    uint64_t user_ns, system_ns, max_rss; /* of the child and its waited-for children */
};

/* Sleeps for the child. -ECHILD, -ERESTARTSYS. */
int task_wait(struct task *task, const struct wait_request *request,
              struct wait_result *ret_result) must_check;
