/* exec_arguments.c: argv and envp of execve. Linux: bprm_stack_limits, copy_strings. */
#include "syscalls/exec_arguments.h"

#include <stdlib.h>

#include "syscalls/syscall.h"

#define STRING_MAX (128UL * 1024) /* MAX_ARG_STRLEN */
#define TOTAL_MAX  (6UL << 20)    /* 3/4 of _STK_LIM */

static int copy_array(uint64_t array, uint64_t limit, struct string_list *list, uint64_t *total)
{
    auto_free char *buffer = malloc(STRING_MAX);
    if (!buffer) {
        return -ENOMEM;
    }
    for (uint64_t i = 0; array != 0; i++) {
        uint64_t addr;
        int result = mm_copy_in(current.mm, array + i * 8, &addr, sizeof(addr));
        if (result != 0) {
            return result;
        }
        if (addr == 0) {
            break;
        }
        ssize_t length = mm_copy_in_string(current.mm, addr, buffer, STRING_MAX);
        if (length < 0) {
            return length == -ENAMETOOLONG ? -E2BIG : (int)length;
        }
        *total += (uint64_t)length + 1 + 8;
        if (*total > limit) {
            return -E2BIG;
        }
        result = string_list_add(list, buffer, (size_t)length);
        if (result != 0) {
            return result;
        }
        if (task_signal_pending(current.task) && i % 1024 == 1023) {
            return -ERESTARTNOHAND;
        }
    }
    return 0;
}

int exec_copy_strings(uint64_t argv, uint64_t envp, struct string_list *ret_argv,
                      struct string_list *ret_envp)
{
    uint64_t limit = min_of(task_limit(RLIMIT_STACK) / 4, TOTAL_MAX);
    limit = max_of(limit, (uint64_t)STRING_MAX);
    uint64_t total = 0;
    int result = copy_array(argv, limit, ret_argv, &total);
    if (result == 0) {
        result = copy_array(envp, limit, ret_envp, &total);
    }
    if (result == 0 && ret_argv->count == 0) {
        result = string_list_add(ret_argv, "", 0); /* Linux 5.18 */
    }
    return result;
}
