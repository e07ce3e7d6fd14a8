/* task_fs.c: pivot_root for everybody who stands on the old root. Linux: chroot_fs_refs. */
#include <stdlib.h>

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/process.h"
#include "sentry/vfs/fs_context.h"

/* References to the contexts of all tasks. -ENOMEM. */
static int collect_contexts(struct fs_context ***ret, size_t *ret_count)
{
    for (size_t room = 64;; room *= 2) {
        struct fs_context **contexts = calloc(room, sizeof(struct fs_context *));
        struct process *process;
        struct task *task;
        size_t count = 0, seen = 0;
        if (!contexts) {
            return -ENOMEM;
        }
        mutex_lock(&kernel_lock);
        TAILQ_FOREACH (process, &all_processes, all_link) {
            TAILQ_FOREACH (task, &process->threads, thread_link) {
                seen++;
                if (task->fs && count < room) {
                    contexts[count++] = fs_context_ref(task->fs);
                }
            }
        }
        mutex_unlock(&kernel_lock);
        if (seen <= room) {
            *ret = contexts;
            *ret_count = count;
            return 0;
        }
        while (count > 0) {
            fs_context_unref(contexts[--count]);
        }
        free(contexts);
    }
}

int task_pivot_roots(const struct path *old, const struct path *new_root)
{
    struct fs_context **contexts;
    size_t count;
    int error = collect_contexts(&contexts, &count);
    if (error < 0) {
        return error;
    }
    for (size_t i = 0; i < count; i++) {
        fs_context_pivot(contexts[i], old, new_root);
        fs_context_unref(contexts[i]);
    }
    free(contexts);
    return 0;
}
