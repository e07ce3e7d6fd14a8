/*
 * bpf_reach.h: what a seccomp filter may answer, whatever the call's arguments are. Reads the
 * filter itself, not the list that it was made from.
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/base/compiler.h"

#define HOST_CALLS_MAX 512

/* By x86-64 number: what can become of a call. */
struct host_call_set {
    struct {
        bool allowed; /* with some arguments */
        bool refused; /* with some other arguments, or from another place */
    } calls[HOST_CALLS_MAX];
};

/*
 * Adds what the filters, of which the strictest answer holds, do with the calls made at address (as
 * seccomp sees it: behind the instruction), or with address 0 at any. -EINVAL for a program that
 * seccomp(2) would not take, or that uses more of BPF than filters do.
 */
int bpf_reach_add(const struct sock_fprog *filters, size_t count, uint64_t address,
                  struct host_call_set *set) must_check;
