/*
 * usage.h: memory and CPU time of a process tree, read from /proc.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "platform/base/compiler.h"

struct usage {
    uint64_t memory;    /* bytes resident; pages shared between processes may count several times */
    uint64_t cpu_ns;    /* of the living and of the children they have waited for */
    unsigned processes; /* seen */
};

/* The tree below and with root. 0 or negative errno. A tree that changes meanwhile gives what was
 * seen. */
int usage_sample(pid_t root, struct usage *ret_usage) must_check;
/* Proportional set size of the tree: exact about sharing, dearer. Falls back to the sum of private
 * resident pages where the host does not tell. */
int usage_memory_exact(pid_t root, uint64_t *ret_bytes) must_check;
/* Sends SIGKILL to every child of this process. Only children: their ids cannot have been given to
 * somebody else, because nobody but us waits for them. */
void usage_kill_children(void);
/* Physical memory of the host, or the memory limit of our cgroup if that is smaller. */
uint64_t usage_host_memory(void);
