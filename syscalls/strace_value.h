/*
 * strace_value.h: one argument of a call as text. Guest memory that cannot be read gives an
 * address.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct mm;
struct syscall_args;
struct syscall_row;
struct text;

/* Is the argument's value known only after the call? */
bool strace_is_output(const struct syscall_row *row, unsigned index);
/* Appends argument `index`. result: of the call; -1 before it ran. */
void strace_put_argument(struct text *text, struct mm *mm, const struct syscall_row *row,
                         const struct syscall_args *args, unsigned index, long result);
