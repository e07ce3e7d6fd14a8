/* sys_memory.c: memory mapping calls. */
#include <stdlib.h>
#include <sys/mman.h>

#include "sentry/kernel/resident.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/fd_table.h"
#include "sentry/vfs/mount.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#define MAP_TYPE_MASK 0x0f
#define MAP_KNOWN                                                                                  \
    (MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_32BIT | MAP_GROWSDOWN |            \
     MAP_DENYWRITE | MAP_EXECUTABLE | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK |   \
     MAP_STACK | MAP_HUGETLB | MAP_FIXED_NOREPLACE)
#define PROT_KNOWN (PROT_READ | PROT_WRITE | PROT_EXEC)

/* What the open mode and the mount allow for a file mapping. */
static int check_file_mapping(struct file *file, int prot, int flags, int *ret_max_prot)
{
    int type = flags & MAP_TYPE_MASK;
    int max_prot = PROT_READ | PROT_WRITE | PROT_EXEC;
    if (!(file->mode & FILE_READ)) {
        return -EACCES;
    }
    if (type != MAP_PRIVATE) {
        if (!(file->mode & FILE_WRITE)) {
            if (prot & PROT_WRITE) {
                return -EACCES;
            }
            max_prot &= ~PROT_WRITE;
        }
    }
    if (file->path.mount && (file->path.mount->flags & MOUNT_NO_EXEC)) {
        if (prot & PROT_EXEC) {
            return -EPERM;
        }
        max_prot &= ~PROT_EXEC;
    }
    *ret_max_prot = max_prot;
    return 0;
}

static int map_file(struct task *task, int fd, struct mm_map_request *request, uint64_t *ret_addr)
{
    struct file *file = fd_get_io(task->fds, fd);
    if (!file) {
        return -EBADF;
    }
    int result = check_file_mapping(file, request->prot, request->flags, &request->max_prot);
    if (result == 0) {
        result = file_mmap(file, request->offset, request->length, request->prot, request->flags,
                           &request->source);
    }
    if (result == 0) {
        if (request->source.anonymous) { /* /dev/zero */
            request->flags |= MAP_ANONYMOUS;
            request->offset = 0;
        } else {
            request->backing = &file->backing;
        }
        if (request->source.never_write && (request->flags & MAP_SHARED)) {
            request->max_prot &= ~PROT_WRITE;
        }
        result = mm_map(task->mm, request, ret_addr);
    }
    file_unref(file);
    return result;
}

static bool is_open(struct task *task, int fd)
{
    struct file *file = fd_get_io(task->fds, fd);
    bool open = file != NULL;
    file_unref(file);
    return open;
}

long sys_mmap(struct task *task, const struct syscall_args *args)
{
    int flags = (int)args->arg[3];
    int type = flags & MAP_TYPE_MASK;
    uint64_t length = args->arg[1];
    uint64_t offset = args->arg[5];
    if (offset & ~PAGE_MASK) {
        return -EINVAL;
    }
    struct mm_map_request request = {
        .addr = args->arg[0],
        .length = length,
        .prot = (int)args->arg[2] & PROT_KNOWN,
        .flags = flags,
        .offset = offset,
    };
    bool anonymous = flags & MAP_ANONYMOUS;
    if (!anonymous && !is_open(task, (int)args->arg[4])) {
        return -EBADF;
    }
    if (length == 0) {
        return -EINVAL;
    }
    if (type == MAP_SHARED_VALIDATE && (flags & ~(MAP_KNOWN | MAP_TYPE_MASK))) {
        return -EOPNOTSUPP;
    }
    if (type != MAP_SHARED && type != MAP_PRIVATE && type != MAP_SHARED_VALIDATE) {
        return -EINVAL;
    }
    if (flags & MAP_HUGETLB) {
        return -ENOMEM; /* as a host whose pool of huge pages is empty */
    }
    if (type == MAP_SHARED_VALIDATE) {
        request.flags = (flags & ~MAP_TYPE_MASK) | MAP_SHARED;
    }
    if (page_round_up(length) < length || offset + page_round_up(length) < offset) {
        return length > PLATFORM_GUEST_MAX ? -ENOMEM : -EOVERFLOW;
    }
    uint64_t addr = 0;
    int result = anonymous ? mm_map(task->mm, &request, &addr)
                           : map_file(task, (int)args->arg[4], &request, &addr);
    if (result != 0) {
        return result;
    }
    if ((flags & MAP_POPULATE) && !(flags & MAP_NONBLOCK)) {
        ignore_result(mm_advise(task->mm, addr, length,
                                request.prot & PROT_WRITE && !(type != MAP_PRIVATE) ? 23 : 22));
    }
    return (long)addr;
}

long sys_munmap(struct task *task, const struct syscall_args *args)
{
    if (args->arg[1] >= RESIDENT_LARGE) {
        resident_note(task); /* before the peak goes */
    }
    return mm_unmap(task->mm, args->arg[0], args->arg[1]);
}

long sys_mprotect(struct task *task, const struct syscall_args *args)
{
    int prot = (int)args->arg[2];
    if (prot & ~(PROT_KNOWN | PROT_GROWSDOWN | PROT_GROWSUP | 8)) {
        return -EINVAL;
    }
    if ((prot & PROT_GROWSDOWN) && (prot & PROT_GROWSUP)) {
        return -EINVAL;
    }
    return mm_protect(task->mm, args->arg[0], args->arg[1], prot & PROT_KNOWN);
}

long sys_mremap(struct task *task, const struct syscall_args *args)
{
    uint64_t addr = 0;
    int result = mm_remap(task->mm, args->arg[0], args->arg[1], args->arg[2], (int)args->arg[3],
                          args->arg[4], &addr);
    return result != 0 ? result : (long)addr;
}

long sys_brk(struct task *task, const struct syscall_args *args)
{
    return (long)mm_brk(task->mm, args->arg[0]);
}

long sys_madvise(struct task *task, const struct syscall_args *args)
{
    return mm_advise(task->mm, args->arg[0], args->arg[1], arg_int(args, 2));
}

long sys_msync(struct task *task, const struct syscall_args *args)
{
    return mm_sync(task->mm, args->arg[0], args->arg[1], arg_int(args, 2));
}

static long lock_range(struct task *task, const struct syscall_args *args, bool populate)
{
    int result = mm_lock_range(task->mm, args->arg[0], args->arg[1], true);
    if (result == 0 && populate) {
        mm_populate(task->mm, args->arg[0], args->arg[1]);
    }
    return result;
}

long sys_mlock(struct task *task, const struct syscall_args *args)
{
    return lock_range(task, args, true);
}

long sys_mlock2(struct task *task, const struct syscall_args *args)
{
    if (args->arg[2] & ~1ULL) {
        return -EINVAL;
    }
    return lock_range(task, args, (args->arg[2] & 1 /* MLOCK_ONFAULT */) == 0);
}

long sys_munlock(struct task *task, const struct syscall_args *args)
{
    return mm_lock_range(task->mm, args->arg[0], args->arg[1], false);
}

long sys_mlockall(struct task *task, const struct syscall_args *args)
{
    int flags = arg_int(args, 0);
    if (flags == 0 || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT) {
        return -EINVAL;
    }
    int result = mm_lock_all(task->mm, flags, true);
    if (result == 0 && (flags & (MCL_CURRENT | MCL_ONFAULT)) == MCL_CURRENT) {
        mm_populate(task->mm, PAGE_SIZE, PLATFORM_GUEST_MAX - PAGE_SIZE);
    }
    return result;
}

long sys_munlockall(struct task *task, const struct syscall_args *args)
{
    (void)args;
    return mm_lock_all(task->mm, 0, false);
}

long sys_mincore(struct task *task, const struct syscall_args *args)
{
    uint64_t addr = args->arg[0];
    uint64_t length = page_round_up(args->arg[1]);
    if (addr & ~PAGE_MASK) {
        return -EINVAL;
    }
    if (length < args->arg[1] || addr + length < addr) {
        return -ENOMEM;
    }
    unsigned char vector[4096];
    for (uint64_t done = 0; done < length;) {
        uint64_t part = min_of(length - done, (uint64_t)sizeof(vector) * PAGE_SIZE);
        int result = mm_mincore(task->mm, addr + done, part, vector);
        if (result == 0) {
            result =
                mm_copy_out(task->mm, args->arg[2] + done / PAGE_SIZE, vector, part / PAGE_SIZE);
        }
        if (result != 0) {
            return result;
        }
        done += part;
    }
    return 0;
}

long sys_membarrier(struct task *task, const struct syscall_args *args)
{
    enum {
        QUERY = 0,
        GLOBAL = 1,
        GLOBAL_EXPEDITED = 2,
        REGISTER_GLOBAL_EXPEDITED = 4,
        PRIVATE_EXPEDITED = 8,
        REGISTER_PRIVATE_EXPEDITED = 16,
        PRIVATE_SYNC_CORE = 32,
        REGISTER_PRIVATE_SYNC_CORE = 64,
    };
    if (args->arg[1] != 0) {
        return -EINVAL;
    }
    switch (arg_int(args, 0)) {
    case QUERY:
        return GLOBAL | GLOBAL_EXPEDITED | REGISTER_GLOBAL_EXPEDITED | PRIVATE_EXPEDITED |
               REGISTER_PRIVATE_EXPEDITED | PRIVATE_SYNC_CORE | REGISTER_PRIVATE_SYNC_CORE;
    case REGISTER_GLOBAL_EXPEDITED:
    case REGISTER_PRIVATE_EXPEDITED:
    case REGISTER_PRIVATE_SYNC_CORE:
        mm_lock(task->mm);
        task->mm->membarrier |= (unsigned)arg_int(args, 0);
        mm_unlock(task->mm);
        return 0;
    case PRIVATE_EXPEDITED:
    case PRIVATE_SYNC_CORE:
        if (!(task->mm->membarrier & (unsigned)arg_int(args, 0) << 1)) {
            return -EPERM; /* not registered */
        }
        /* fall through */
    case GLOBAL:
    case GLOBAL_EXPEDITED: {
        /* Every thread that runs guest code is taken out of it: a full barrier on its CPU. */
        struct process *process;
        struct task *other;
        mutex_lock(&kernel_lock);
        TAILQ_FOREACH (process, &all_processes, all_link) {
            TAILQ_FOREACH (other, &process->threads, thread_link) {
                if (other != task && other->mm == task->mm && atomic_load(&other->in_guest)) {
                    task_kick_locked(other);
                }
            }
        }
        mutex_unlock(&kernel_lock);
        return 0;
    }
    default:
        return -EINVAL;
    }
}
