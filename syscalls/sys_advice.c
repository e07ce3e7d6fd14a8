/*
 * sys_advice.c: advice about memory and files beyond madvise: process_madvise, process_mrelease,
 * mseal, cachestat. Sources: the man pages of the calls, Linux
 * mm/{madvise,oom_kill,mseal,filemap}.c.
 */
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "sentry/fs/anon/pidfd.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#ifndef MADV_COLD
#define MADV_COLD    20
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static bool remote_advice(int advice)
{
    return advice == MADV_COLD || advice == MADV_PAGEOUT || advice == MADV_WILLNEED ||
           advice == MADV_COLLAPSE;
}

/* The memory of a pidfd's process, after the checks of ptrace_may_access and CAP_SYS_NICE. */
static int get_memory(struct task *task, struct process *process, struct mm **ret_mm)
{
    int result = -ESRCH;
    struct task *thread = NULL;
    mutex_lock(&kernel_lock);
    if (process->state == PROCESS_RUNNING && !TAILQ_EMPTY(&process->threads)) {
        thread = task_ref(TAILQ_FIRST(&process->threads));
    }
    mutex_unlock(&kernel_lock);
    if (!thread) {
        return result;
    }
    result = proc_check_access(thread) == 0 ? 0 : -EPERM;
    mutex_lock(&kernel_lock);
    struct mm *mm = result == 0 && thread->mm ? mm_ref(thread->mm) : NULL;
    mutex_unlock(&kernel_lock);
    task_unref(thread);
    if (!mm) {
        return result != 0 ? result : -ESRCH;
    }
    if (mm != task->mm && !capable(CAP_SYS_NICE)) {
        mm_unref(mm);
        return -EPERM;
    }
    *ret_mm = mm;
    return 0;
}

long sys_process_madvise(struct task *task, const struct syscall_args *args)
{
    struct uio uio;
    struct mm *mm;
    int advice = arg_int(args, 3);
    if (arg_uint(args, 4) != 0) {
        return -EINVAL;
    }
    int result = uio_init_guest_vector(&uio, task->mm, args->arg[1], args->arg[2]);
    if (result != 0) {
        return result;
    }
    auto_file struct file *file = arg_file(task, args, 0);
    struct process *process = file ? pidfd_process(file) : NULL;
    result = !process ? -EBADF : get_memory(task, process, &mm);
    if (result != 0) {
        uio_fini(&uio);
        return result;
    }
    if (mm != task->mm && !remote_advice(advice)) {
        result = -EINVAL;
    }
    uint64_t done = 0;
    for (uint32_t i = 0; i < uio.count && result == 0; i++) {
        result = mm_advise(mm, uio.segments[i].addr, uio.segments[i].length, advice);
        done += result == 0 ? uio.segments[i].length : 0;
    }
    mm_unref(mm);
    uio_fini(&uio);
    return done > 0 ? (long)done : result;
}

long sys_process_mrelease(struct task *task, const struct syscall_args *args)
{
    if (arg_uint(args, 1) != 0) {
        return -EINVAL;
    }
    auto_file struct file *file = arg_file(task, args, 0);
    struct process *process = file ? pidfd_process(file) : NULL;
    if (!process) {
        return -EBADF;
    }
    mutex_lock(&kernel_lock);
    bool gone = process->state != PROCESS_RUNNING;
    bool dying = process->group_exiting;
    mutex_unlock(&kernel_lock);
    /* A dying process gives its memory back at once, by itself. */
    return gone ? -ESRCH : dying ? 0 : -EINVAL;
}

long sys_mseal(struct task *task, const struct syscall_args *args)
{
    return args->arg[2] != 0 ? -EINVAL : mm_seal(task->mm, args->arg[0], args->arg[1]);
}

struct linux_cachestat_range {
    uint64_t offset, length;
};

struct linux_cachestat {
    uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

long sys_cachestat(struct task *task, const struct syscall_args *args)
{
    struct linux_cachestat_range range;
    struct linux_cachestat answer = {0};
    struct inode_attr attr;
    auto_file struct file *file = arg_file(task, args, 0);
    if (!file) {
        return -EBADF;
    }
    if (copy_in(args->arg[1], &range) != 0) {
        return -EFAULT;
    }
    if (arg_uint(args, 3) != 0) {
        return -EINVAL;
    }
    /* DIFFERS: what the host has in memory is not told; a file counts as cached as a whole. */
    if (S_ISREG(inode_load(file->inode->mode)) && inode_getattr(file->inode, &attr) == 0) {
        uint64_t first = range.offset / PAGE_SIZE;
        uint64_t pages = page_round_up(attr.size) / PAGE_SIZE;
        uint64_t end = range.length == 0 || range.offset + range.length < range.offset
                           ? pages
                           : (range.offset + range.length - 1) / PAGE_SIZE + 1;
        end = min_of(end, pages);
        answer.cached = end > first ? end - first : 0;
    }
    return copy_out(args->arg[2], &answer);
}
