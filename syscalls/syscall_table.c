/*
 * syscall_table.c: expands table.def into the array that dispatch, strace and the support list
 * read. A row whose number is SYSCALL_COUNT or above does not compile.
 */
#include "syscalls/syscall_table.h"

#include "syscalls/syscall.h"

#include "syscalls/arguments.h"

#define SYSCALL(number, name, support, note, ...)                                                  \
    static const struct syscall_argument arguments_##name[SYSCALL_MAX_ARGUMENTS] = {__VA_ARGS__};
#define SYSCALL_REFUSED(number, name, error, note)
#include "syscalls/table.def"
#undef SYSCALL
#undef SYSCALL_REFUSED

static const struct syscall_argument arguments_unknown[SYSCALL_MAX_ARGUMENTS] = {
    HEX(a1), HEX(a2), HEX(a3), HEX(a4), HEX(a5), HEX(a6),
};

const struct syscall_row syscall_table[SYSCALL_COUNT] = {
#define SYSCALL(number, name, support, note, ...)                                                  \
    [number] = {#name, sys_##name, note, arguments_##name, SYSCALL_##support, 0},
#define SYSCALL_REFUSED(number, name, error, note)                                                 \
    [number] = {#name, NULL, note, arguments_unknown, SYSCALL_IS_REFUSED, error},
#include "syscalls/table.def"
};
