/* sys_prctl.c: prctl, arch_prctl, personality. Source: prctl(2). */
#include <linux/capability.h>
#include <linux/prctl.h>
#include <string.h>

#include "sentry/kernel/process.h"
#include "syscalls/sys_seccomp.h"
#include "syscalls/syscall.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#define TASK_SIZE_MAX_ADDR PLATFORM_GUEST_MAX

static long set_name(struct task *task, uint64_t addr)
{
    char name[16];
    ssize_t length = mm_copy_in_string(task->mm, addr, name, sizeof(name));
    if (length == -ENAMETOOLONG) {
        name[sizeof(name) - 1] = '\0';
        length = sizeof(name) - 1;
    }
    if (length < 0) {
        return length;
    }
    mutex_lock(&kernel_lock);
    memset(task->comm, 0, sizeof(task->comm));
    memcpy(task->comm, name, (size_t)length);
    mutex_unlock(&kernel_lock);
    memcpy(current.comm, task->comm, sizeof(current.comm));
    return 0;
}

static long set_dumpable(struct task *task, uint64_t value)
{
    if (value > 1) {
        return -EINVAL;
    }
    mm_lock(task->mm);
    task->mm->dumpable = (int)value;
    mm_unlock(task->mm);
    return 0;
}

static long drop_bounding(struct task *task, uint64_t capability)
{
    if (!cred_capable(task->cred, CAP_SETPCAP)) {
        return -EPERM;
    }
    if (capability > CRED_CAP_LAST) {
        return -EINVAL;
    }
    struct cred *cred = cred_copy(task->cred);
    if (!cred) {
        return -ENOMEM;
    }
    cred->cap_bounding &= ~(1ULL << capability);
    task_set_cred(cred);
    return 0;
}

static long ambient(struct task *task, const struct syscall_args *args)
{
    uint64_t operation = args->arg[1];
    uint64_t capability = args->arg[2];
    const struct cred *old = task->cred;
    if (operation == PR_CAP_AMBIENT_CLEAR_ALL) {
        if (args->arg[2] | args->arg[3] | args->arg[4]) {
            return -EINVAL;
        }
    } else if (capability > CRED_CAP_LAST || (args->arg[3] | args->arg[4])) {
        return -EINVAL;
    }
    uint64_t bit = 1ULL << (capability & 63);
    if (operation == PR_CAP_AMBIENT_IS_SET) {
        return (old->cap_ambient & bit) != 0;
    }
    if (operation == PR_CAP_AMBIENT_RAISE &&
        (!(old->cap_permitted & old->cap_inheritable & bit) || (old->securebits & 64))) {
        return -EPERM;
    }
    if (operation < PR_CAP_AMBIENT_IS_SET || operation > PR_CAP_AMBIENT_CLEAR_ALL) {
        return -EINVAL;
    }
    struct cred *cred = cred_copy(old);
    if (!cred) {
        return -ENOMEM;
    }
    if (operation == PR_CAP_AMBIENT_RAISE) {
        cred->cap_ambient |= bit;
    } else if (operation == PR_CAP_AMBIENT_LOWER) {
        cred->cap_ambient &= ~bit;
    } else {
        cred->cap_ambient = 0;
    }
    task_set_cred(cred);
    return 0;
}

/* Options that change one field of the credentials. */
static long change_cred(struct task *task, int option, uint64_t value)
{
    if (option == PR_SET_SECUREBITS && !cred_capable(task->cred, CAP_SETPCAP)) {
        return -EPERM;
    }
    struct cred *cred = cred_copy(task->cred);
    if (!cred) {
        return -ENOMEM;
    }
    if (option == PR_SET_KEEPCAPS) {
        cred->keep_caps = value;
    } else if (option == PR_SET_NO_NEW_PRIVS) {
        cred->no_new_privs = true;
    } else {
        cred->securebits = (uint32_t)value;
    }
    task_set_cred(cred);
    return 0;
}

static long process_option(struct task *task, int option, const struct syscall_args *args)
{
    struct process *process = task->process;
    int value;
    switch (option) {
    case PR_SET_PDEATHSIG:
        if (args->arg[1] > SIGNAL_COUNT) {
            return -EINVAL;
        }
        mutex_lock(&kernel_lock);
        process->pdeath_signal = (int)args->arg[1];
        mutex_unlock(&kernel_lock);
        return 0;
    case PR_GET_PDEATHSIG:
        value = process->pdeath_signal;
        return copy_out(args->arg[1], &value);
    case PR_SET_CHILD_SUBREAPER:
        mutex_lock(&kernel_lock);
        process->is_subreaper = args->arg[1] != 0;
        if (process->is_subreaper) {
            struct process *each; /* descendants alive now, too */
            TAILQ_FOREACH (each, &all_processes, all_link) {
                for (struct process *up = each->parent; up; up = up->parent) {
                    each->has_subreaper = each->has_subreaper || up == process;
                }
            }
        }
        mutex_unlock(&kernel_lock);
        return 0;
    case PR_GET_CHILD_SUBREAPER:
        value = process->is_subreaper;
        return copy_out(args->arg[1], &value);
    default:
        return -EINVAL;
    }
}

static long name_area(const struct syscall_args *args)
{
    /* PR_SET_VMA_ANON_NAME: as a kernel without CONFIG_ANON_VMA_NAME. */
    (void)args;
    return -EINVAL;
}

long sys_prctl(struct task *task, const struct syscall_args *args)
{
    int option = arg_int(args, 0);
    uint64_t value = args->arg[1];
    bool rest = args->arg[2] | args->arg[3] | args->arg[4];
    switch (option) {
    case PR_SET_NAME:
        return set_name(task, value);
    case PR_GET_NAME:
        return copy_out(value, &task->comm);
    case PR_GET_DUMPABLE:
        return task->mm->dumpable;
    case PR_SET_DUMPABLE:
        return set_dumpable(task, value);
    case PR_GET_KEEPCAPS:
        return task->cred->keep_caps;
    case PR_SET_KEEPCAPS:
        return value > 1 ? -EINVAL : change_cred(task, option, value);
    case PR_SET_NO_NEW_PRIVS:
        return value != 1 || rest ? -EINVAL : change_cred(task, option, value);
    case PR_GET_NO_NEW_PRIVS:
        return value || rest ? -EINVAL : task->cred->no_new_privs;
    case PR_SET_SECUREBITS:
        return change_cred(task, option, value);
    case PR_GET_SECUREBITS:
        return task->cred->securebits;
    case PR_CAPBSET_READ:
        return value > CRED_CAP_LAST ? -EINVAL : (long)(task->cred->cap_bounding >> value & 1);
    case PR_CAPBSET_DROP:
        return drop_bounding(task, value);
    case PR_CAP_AMBIENT:
        return ambient(task, args);
    case PR_SET_TIMERSLACK:
        task->timer_slack_ns = (int64_t)value <= 0 ? task->default_slack_ns : value;
        return 0;
    case PR_GET_TIMERSLACK:
        return (long)task->timer_slack_ns;
    case PR_GET_SECCOMP:
        return task->seccomp_mode;
    case PR_SET_SECCOMP:
        return prctl_set_seccomp(task, value, args->arg[2]);
    case PR_GET_TSC: {
        int mode = PR_TSC_ENABLE;
        return copy_out(value, &mode);
    }
    case PR_SET_TSC:
        return value == PR_TSC_ENABLE ? 0 : -EINVAL;
    case PR_GET_TIMING:
        return 0;
    case PR_SET_TIMING:
        return value == 0 ? 0 : -EINVAL;
    case PR_MCE_KILL_GET:
        return PR_MCE_KILL_DEFAULT;
    case PR_GET_THP_DISABLE:
        return value || rest ? -EINVAL : task->thp_disabled;
    case PR_SET_THP_DISABLE:
        if (args->arg[2] | args->arg[3] | args->arg[4]) {
            return -EINVAL;
        }
        task->thp_disabled = value != 0;
        return 0;
    case PR_SET_VMA:
        return name_area(args);
    case PR_GET_TID_ADDRESS:
        return copy_out(value, &task->clear_child_tid);
    default:
        return process_option(task, option, args);
    }
}

enum {
    ARCH_SET_GS = 0x1001,
    ARCH_SET_FS,
    ARCH_GET_FS,
    ARCH_GET_GS,
    ARCH_GET_CPUID = 0x1011,
    ARCH_SET_CPUID
};

long sys_arch_prctl(struct task *task, const struct syscall_args *args)
{
    uint64_t addr = args->arg[1];
    task_complete_registers(task);
    switch (arg_int(args, 0)) {
    case ARCH_SET_FS:
        if (addr >= TASK_SIZE_MAX_ADDR) {
            return -EPERM;
        }
        task->regs.fs_base = addr;
        return 0;
    case ARCH_SET_GS:
        if (addr >= TASK_SIZE_MAX_ADDR) {
            return -EPERM;
        }
        task->regs.gs_base = addr;
        return 0;
    case ARCH_GET_FS:
        return copy_out(addr, &task->regs.fs_base);
    case ARCH_GET_GS:
        return copy_out(addr, &task->regs.gs_base);
    case ARCH_GET_CPUID:
        return 1;
    case ARCH_SET_CPUID:
        return -ENODEV;
    default:
        return -EINVAL;
    }
}

long sys_personality(struct task *task, const struct syscall_args *args)
{
    uint32_t old = task->process->personality;
    uint32_t wanted = arg_uint(args, 0);
    if (wanted != 0xffffffffU) {
        task->process->personality = wanted;
    }
    return old;
}
