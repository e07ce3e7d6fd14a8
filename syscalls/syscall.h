/*
 * syscall.h: what every sys_*.c includes: the signature of a call, and the helpers to decode.
 *
 * A call's body: decode → validate → copy in (each guest byte once) → look up → one sentry
 * operation → copy out. Results are >= 0, a negative errno, or a negative restart class
 * (sentry/core/restart.h).
 */
#pragma once

#include <errno.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "sentry/core/restart.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"

struct syscall_args {
    uint64_t arg[6];
};

typedef long (*syscall_fn)(struct task *task, const struct syscall_args *args);

/* Prototypes of every implemented call, from table.def. */
#define SYSCALL(number, name, support, note, ...)                                                  \
    long sys_##name(struct task *task, const struct syscall_args *args);
#define SYSCALL_REFUSED(number, name, error, note)
#include "syscalls/table.def"
#undef SYSCALL
#undef SYSCALL_REFUSED

/* Arguments by type; upper bits are dropped as the C types of the call do. */
static inline int arg_int(const struct syscall_args *args, int i)
{
    return (int)(uint32_t)args->arg[i];
}
static inline unsigned arg_uint(const struct syscall_args *args, int i)
{
    return (unsigned)args->arg[i];
}
static inline uint64_t arg_u64(const struct syscall_args *args, int i)
{
    return args->arg[i];
}
static inline int64_t arg_s64(const struct syscall_args *args, int i)
{
    return (int64_t)args->arg[i];
}

/* Copies between the caller's memory and kernel objects; -EFAULT. */
#define copy_in(addr, object)  mm_copy_in(current.mm, (addr), (object), sizeof(*(object)))
#define copy_out(addr, object) mm_copy_out(current.mm, (addr), (object), sizeof(*(object)))

/* A path argument: -EFAULT, -ENAMETOOLONG; "" is left to the caller (ENOENT in the walk). */
int copy_in_path(uint64_t addr, char buffer[4096]) must_check;
/* A struct timespec or timeval from the guest, validated (EINVAL), as nanoseconds. */
int copy_in_timespec_ns(uint64_t addr, uint64_t *ret_ns) must_check;
int copy_in_timeval_ns(uint64_t addr, uint64_t *ret_ns) must_check;
int copy_out_timespec_ns(uint64_t addr, uint64_t ns) must_check;
int copy_out_timeval_ns(uint64_t addr, uint64_t ns) must_check;
/* A sigset argument: size must be 8. */
int copy_in_sigset(uint64_t addr, uint64_t size, uint64_t *ret_set) must_check;
/* An extensible struct as openat2, clone3 (Linux: copy_struct_from_user): zero-fills; -E2BIG when
 * bytes beyond size are not zero. */
int copy_in_struct(uint64_t addr, uint64_t user_size, void *object, size_t size) must_check;
