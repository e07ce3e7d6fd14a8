/* sys_system.c: names, sizes and limits of the system. */
#include <linux/capability.h>
#include <linux/random.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include "sentry/core/clock.h"
#include "sentry/core/tunables.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/posix_timer.h"
#include "sentry/kernel/process.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/fd_table.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/landlock.h"
#include "syscalls/syscall.h"

#define PERSONALITY_UNAME26 0x0020000U

long sys_uname(struct task *task, const struct syscall_args *args)
{
    struct utsname name;
    memset(&name, 0, sizeof(name));
    strcpy(name.sysname, "Linux");
    kernel_get_hostname(name.nodename);
    strcpy(name.release,
           task->process->personality & PERSONALITY_UNAME26 ? "2.6.61" : KERNEL_RELEASE);
    strcpy(name.version, KERNEL_VERSION);
    strcpy(name.machine, "x86_64");
    kernel_get_domainname(name.domainname);
    return copy_out(args->arg[0], &name);
}

static long set_uts(struct task *task, const struct syscall_args *args,
                    int (*set)(const char *name, size_t length))
{
    char name[65];
    int64_t length = arg_int(args, 1);
    if (!cred_capable(task->cred, CAP_SYS_ADMIN)) {
        return -EPERM;
    }
    if (length < 0 || length > 64) {
        return -EINVAL;
    }
    int result = mm_copy_in(task->mm, args->arg[0], name, (size_t)length);
    return result != 0 ? result : set(name, (size_t)length);
}

long sys_sethostname(struct task *task, const struct syscall_args *args)
{
    return set_uts(task, args, kernel_set_hostname);
}

long sys_setdomainname(struct task *task, const struct syscall_args *args)
{
    return set_uts(task, args, kernel_set_domainname);
}

long sys_sysinfo(struct task *task, const struct syscall_args *args)
{
    struct sysinfo info;
    (void)task;
    memset(&info, 0, sizeof(info));
    uint64_t total = 0;
    uint64_t available = 0;
    kernel_memory(&total, &available);
    info.uptime = (long)(clock_ns(CLOCK_BOOTTIME) / NSEC_PER_SEC);
    info.totalram = total;
    info.freeram = available;
    info.mem_unit = 1;
    info.procs = (unsigned short)min_of(atomic_load(&kernel.task_count), 65535U);
    return copy_out(args->arg[0], &info);
}

long sys_getrandom(struct task *task, const struct syscall_args *args)
{
    unsigned flags = arg_uint(args, 2);
    if ((flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) ||
        (flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE)) {
        return -EINVAL;
    }
    struct uio uio;
    uio_init_guest(&uio, task->mm, args->arg[0], min_of(args->arg[1], (uint64_t)33554431));
    long done = 0;
    while (uio.left > 0) {
        char buffer[4096];
        size_t part = min_of(uio.left, (uint64_t)sizeof(buffer));
        ssize_t got = getrandom(buffer, part, 0);
        if (got <= 0) {
            return done > 0 ? done : -EAGAIN;
        }
        ssize_t moved = uio_put(&uio, buffer, (size_t)got);
        if (moved < 0) {
            return done > 0 ? done : moved;
        }
        done += moved;
        if (moved < got || task_signal_pending(task)) {
            break;
        }
    }
    return done;
}

long sys_syslog(struct task *task, const struct syscall_args *args)
{
    enum { CLOSE, OPEN, READ, READ_ALL, READ_CLEAR, CLEAR, OFF, ON, LEVEL, UNREAD, BUFFER };
    int action = arg_int(args, 0), length = arg_int(args, 2);
    /* Linux: check_syslog_permissions, with kernel.dmesg_restrict on */
    if (!cred_capable(task->cred, CAP_SYSLOG)) {
        return -EPERM;
    }
    switch (action) {
    case READ:
    case READ_ALL:
    case READ_CLEAR:
        if (arg_u64(args, 1) == 0 || length < 0) {
            return -EINVAL;
        }
        return length == 0 || action != READ ? 0 : -EAGAIN; /* DIFFERS: Linux waits for a line */
    case LEVEL:
        return length < 1 || length > 8 ? -EINVAL : 0;
    case CLOSE:
    case OPEN:
    case CLEAR:
    case OFF:
    case ON:
    case UNREAD: /* nothing is ever logged, and there is no console */
        return 0;
    case BUFFER:
        return 1 << 17;
    default:
        return -EINVAL;
    }
}

static void apply_limit(struct task *target, int resource, const struct rlimit *limit)
{
    struct mm *mm = NULL;
    mutex_lock(&kernel_lock);
    target->process->limits[resource] = *limit;
    if (resource == RLIMIT_CPU && limit->rlim_cur != RLIM_INFINITY) {
        target->process->cpu_limit_next = 0;
        cpu_timer_start_locked(target->process);
    }
    if (target->mm) {
        mm = mm_ref(target->mm);
    }
    mutex_unlock(&kernel_lock);
    if (mm) {
        mm_lock(mm);
        switch (resource) {
        case RLIMIT_AS:
            mm->limit_as = limit->rlim_cur;
            break;
        case RLIMIT_DATA:
            mm->limit_data = limit->rlim_cur;
            break;
        case RLIMIT_MEMLOCK:
            mm->limit_memlock = limit->rlim_cur;
            break;
        default:
            break;
        }
        mm_unlock(mm);
        if (resource == RLIMIT_STACK) {
            struct arch_regs regs;
            task_sleep_registers(target, &regs);
            mm_set_stack_limit(mm, limit->rlim_cur, regs.rsp);
        }
        mm_unref(mm);
    }
    if (resource == RLIMIT_FSIZE && target->process == current.task->process) {
        current.file_limit = limit->rlim_cur;
    }
}

static int change_limit(struct task *task, struct task *target, int resource,
                        const struct rlimit *limit, struct rlimit *ret_old)
{
    if (resource < 0 || resource >= RLIM_NLIMITS) {
        return -EINVAL;
    }
    mutex_lock(&kernel_lock);
    *ret_old = target->process->limits[resource];
    mutex_unlock(&kernel_lock);
    if (!limit) {
        return 0;
    }
    if (limit->rlim_cur > limit->rlim_max) {
        return -EINVAL;
    }
    if (resource == RLIMIT_NOFILE && limit->rlim_max > tunables.nr_open) {
        return -EPERM; /* Linux: sysctl_nr_open */
    }
    if (limit->rlim_max > ret_old->rlim_max && !cred_capable(task->cred, CAP_SYS_RESOURCE)) {
        return -EPERM;
    }
    apply_limit(target, resource, limit);
    return 0;
}

long sys_getrlimit(struct task *task, const struct syscall_args *args)
{
    struct rlimit old;
    int result = change_limit(task, task, (int)arg_uint(args, 0), NULL, &old);
    return result != 0 ? result : copy_out(args->arg[1], &old);
}

long sys_setrlimit(struct task *task, const struct syscall_args *args)
{
    struct rlimit limit;
    struct rlimit old;
    int result = copy_in(args->arg[1], &limit);
    return result != 0 ? result : change_limit(task, task, (int)arg_uint(args, 0), &limit, &old);
}

/* Linux: check_prlimit_permission. */
static bool may_prlimit(const struct task *task, const struct task *target)
{
    const struct cred *mine = task->cred;
    if (target->process == task->process || cred_capable(mine, CAP_SYS_RESOURCE)) {
        return true;
    }
    mutex_lock(&kernel_lock);
    const struct cred *other = target->cred;
    bool allowed = other && mine->uid == other->euid && mine->uid == other->suid &&
                   mine->uid == other->uid && mine->gid == other->egid &&
                   mine->gid == other->sgid && mine->gid == other->gid;
    mutex_unlock(&kernel_lock);
    return allowed;
}

long sys_prlimit64(struct task *task, const struct syscall_args *args)
{
    struct rlimit limit;
    struct rlimit old;
    int pid = arg_int(args, 0);
    if (args->arg[2] != 0) {
        int result = copy_in(args->arg[2], &limit);
        if (result != 0) {
            return result;
        }
    }
    struct task *target = pid == 0 ? task_ref(task) : task_find(pid);
    if (!target) {
        return -ESRCH;
    }
    int result = may_prlimit(task, target) ? change_limit(task, target, (int)arg_uint(args, 1),
                                                          args->arg[2] != 0 ? &limit : NULL, &old)
                                           : -EPERM;
    task_unref(target);
    if (result == 0 && args->arg[3] != 0) {
        result = copy_out(args->arg[3], &old);
    }
    return result;
}

/* Linux: ptrace_may_access with PTRACE_MODE_ATTACH_REALCREDS. */
static int get_foreign_mm(struct task *task, int pid, struct mm **ret_mm)
{
    struct task *target = task_find(pid);
    if (!target) {
        return -ESRCH;
    }
    mutex_lock(&kernel_lock);
    struct mm *mm = target->mm ? mm_ref(target->mm) : NULL;
    bool allowed = target->process == task->process || cred_capable(task->cred, CAP_SYS_PTRACE);
    if (mm && target->cred && !allowed) {
        allowed = mm->dumpable == 1 && task->cred->uid == target->cred->euid &&
                  task->cred->uid == target->cred->suid && task->cred->uid == target->cred->uid &&
                  task->cred->gid == target->cred->gid && task->cred->gid == target->cred->egid;
    }
    allowed = allowed && (!target->cred || landlock_may_trace(target->cred));
    mutex_unlock(&kernel_lock);
    task_unref(target);
    if (!mm) {
        return -ESRCH;
    }
    if (!allowed) {
        mm_unref(mm);
        return -EPERM;
    }
    *ret_mm = mm;
    return 0;
}

static ssize_t copy_between(struct uio *from, struct uio *to)
{
    char buffer[4096];
    ssize_t done = 0;
    while (from->left > 0 && to->left > 0) {
        size_t part = min_of(min_of(from->left, to->left), (uint64_t)sizeof(buffer));
        ssize_t got = uio_get(from, buffer, part);
        if (got <= 0) {
            return done > 0 ? done : got;
        }
        ssize_t moved = uio_put(to, buffer, (size_t)got);
        if (moved < 0) {
            return done > 0 ? done : moved;
        }
        done += moved;
        if ((size_t)moved < part) {
            break;
        }
    }
    return done;
}

static long process_vm(struct task *task, const struct syscall_args *args, bool write)
{
    struct uio local;
    struct uio remote;
    if (args->arg[5] != 0) {
        return -EINVAL;
    }
    int result = uio_init_guest_vector(&local, task->mm, args->arg[1], args->arg[2]);
    if (result != 0) {
        return result;
    }
    result = uio_init_guest_vector(&remote, task->mm, args->arg[3], args->arg[4]);
    struct mm *mm = NULL;
    if (result == 0) {
        result = get_foreign_mm(task, arg_int(args, 0), &mm);
    }
    long done = result;
    if (result == 0) {
        remote.mm = mm;
        done = write ? copy_between(&local, &remote) : copy_between(&remote, &local);
        mm_unref(mm);
    }
    uio_fini(&remote);
    uio_fini(&local);
    return done;
}

long sys_process_vm_readv(struct task *task, const struct syscall_args *args)
{
    return process_vm(task, args, false);
}

long sys_process_vm_writev(struct task *task, const struct syscall_args *args)
{
    return process_vm(task, args, true);
}

long sys_vhangup(struct task *task, const struct syscall_args *args)
{
    (void)args;
    return cred_capable(task->cred, CAP_SYS_TTY_CONFIG) ? 0 : -EPERM;
}

enum { KCMP_FILE, KCMP_VM, KCMP_FILES, KCMP_FS, KCMP_SIGHAND, KCMP_IO, KCMP_SYSVSEM };

static long compare(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)a;
    uintptr_t y = (uintptr_t)b;
    return x == y ? 0 : x < y ? 1 : 2;
}

static long compare_tasks(struct task *a, struct task *b, int type, const struct syscall_args *args)
{
    switch (type) {
    case KCMP_FILE: {
        bool unused;
        struct file *x = a->fds ? fd_get(a->fds, (int)args->arg[3], &unused) : NULL;
        struct file *y = b->fds ? fd_get(b->fds, (int)args->arg[4], &unused) : NULL;
        long result = x && y ? compare(x, y) : -EBADF;
        file_unref(x);
        file_unref(y);
        return result;
    }
    case KCMP_VM:
        return compare(a->mm, b->mm);
    case KCMP_FILES:
        return compare(a->fds, b->fds);
    case KCMP_FS:
        return compare(a->fs, b->fs);
    case KCMP_SIGHAND:
        return compare(a->process->sighand, b->process->sighand);
    case KCMP_IO:
        return 0; /* Linux: equal as long as neither has an I/O context, and here none has */
    case KCMP_SYSVSEM:
        return compare(a->sem_undo, b->sem_undo);
    default:
        return -EINVAL;
    }
}

long sys_kcmp(struct task *task, const struct syscall_args *args)
{
    struct task *a = task_find(arg_int(args, 0));
    struct task *b = task_find(arg_int(args, 1));
    long result = -ESRCH;
    if (a && b) {
        bool allowed = cred_capable(task->cred, CAP_SYS_PTRACE) ||
                       (a->cred && b->cred && a->cred->uid == task->cred->uid &&
                        b->cred->uid == task->cred->uid);
        result = allowed ? compare_tasks(a, b, arg_int(args, 2), args) : -EPERM;
    }
    task_unref(a);
    task_unref(b);
    return result;
}
