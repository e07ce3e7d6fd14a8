/* syscall_table.h: table.def as an array, by number. */
#pragma once

#include <stdint.h>

#include "platform/base/compiler.h"

struct syscall_args;
struct syscall_argument;
struct task;

#define SYSCALL_COUNT         470
#define SYSCALL_MAX_ARGUMENTS 6

enum syscall_support { SYSCALL_NONE, SYSCALL_FULL, SYSCALL_PARTIAL, SYSCALL_IS_REFUSED };

struct syscall_row {
    const char *name; /* NULL: a number that Linux does not use */
    long (*function)(struct task *task, const struct syscall_args *args); /* NULL when refused */
    const char *note;
    const struct syscall_argument
        *arguments;  /* SYSCALL_MAX_ARGUMENTS, ended by ARG_NONE if fewer */
    uint8_t support; /* enum syscall_support */
    uint8_t error;   /* of a refused call, positive */
};

extern const struct syscall_row syscall_table[SYSCALL_COUNT];
