/*
 * strace_names.h: symbolic names of flags, commands, errors and signals, for the trace and for
 * coverage reports.
 */
#pragma once

#include <stdint.h>

struct text;

struct strace_name {
    uint64_t value;
    const char *name;
};

struct strace_flags {
    const struct strace_name *names; /* ended by a NULL name */
    uint64_t enum_mask;              /* bits that are one number (O_ACCMODE), printed first */
};

extern const struct strace_flags strace_open_flags, strace_at_flags, strace_msg_flags,
    strace_access_modes, strace_clocks, strace_resources, strace_wait_options,
    strace_socket_families, strace_socket_types, strace_prot, strace_map_flags, strace_mremap_flags,
    strace_msync_flags, strace_madvice, strace_whence, strace_sigproc_how, strace_prctl,
    strace_ioctls, strace_futex_ops, strace_fcntl, strace_clone_flags;

/* "O_RDWR|O_CREAT"; bits without a name are added in hexadecimal. */
void strace_put_flags(struct text *text, const struct strace_flags *flags, uint64_t value);
/* "SIGCHLD"; "SIGRT_3"; a number when it is not a signal. */
void strace_put_signal(struct text *text, int signo);
/* "ENOENT"; NULL when unknown. error is positive; the restart classes are known too. */
const char *strace_error_name(int error);
const char *strace_error_text(int error);
