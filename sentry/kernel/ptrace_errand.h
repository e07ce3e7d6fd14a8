/* ptrace_errand.h: what a stopped tracee does for its tracer, because only its own thread may. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct task;

struct ptrace_errand {
    struct task *asker; /* woken when done */
    bool sets;          /* the extended state is set, else fetched */
    void *buffer;
    size_t size;
    ssize_t result;
    bool done; /* (K) */
};

void ptrace_errand_run(struct task *task, struct ptrace_errand *errand);
