/* exec_arguments.h: argv and envp of execve, from guest memory. */
#pragma once

#include <stdint.h>

#include "platform/base/compiler.h"
#include "sentry/loader/loader.h"

/* Copies both arrays. -E2BIG above Linux's limits (128 KiB a string, a quarter of the stack limit
 * in all), -EFAULT, -ENOMEM. A NULL array is empty; an empty argv becomes {""}. */
int exec_copy_strings(uint64_t argv, uint64_t envp, struct string_list *ret_argv,
                      struct string_list *ret_envp) must_check;
