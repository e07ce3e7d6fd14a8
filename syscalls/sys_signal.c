/* sys_signal.c: sending, masks, dispositions, waiting for signals. */
#include <limits.h>
#include <signal.h>
#include <string.h>

#include "sentry/core/clock.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/signal_sets.h"
#include "syscalls/syscall.h"

#define SIGSET_SIZE        8
#define SS_AUTODISARM_FLAG (1U << 31)

long sys_rt_sigaction(struct task *task, const struct syscall_args *args)
{
    struct linux_sigaction action;
    struct linux_sigaction old;
    if (args->arg[3] != SIGSET_SIZE) {
        return -EINVAL;
    }
    if (args->arg[1] != 0) {
        int result = copy_in(args->arg[1], &action);
        if (result != 0) {
            return result;
        }
    }
    int result = signal_set_action(task->process, arg_int(args, 0),
                                   args->arg[1] != 0 ? &action : NULL, &old);
    if (result == 0 && args->arg[2] != 0) {
        result = copy_out(args->arg[2], &old);
    }
    return result;
}

long sys_rt_sigprocmask(struct task *task, const struct syscall_args *args)
{
    if (args->arg[3] != SIGSET_SIZE) {
        return -EINVAL;
    }
    uint64_t old = task->signal_mask;
    if (args->arg[1] != 0) {
        uint64_t set;
        int result = copy_in(args->arg[1], &set);
        if (result != 0) {
            return result;
        }
        switch (arg_int(args, 0)) {
        case SIG_BLOCK:
            signal_set_mask(task, old | set);
            break;
        case SIG_UNBLOCK:
            signal_set_mask(task, old & ~set);
            break;
        case SIG_SETMASK:
            signal_set_mask(task, set);
            break;
        default:
            return -EINVAL;
        }
    }
    return args->arg[2] != 0 ? copy_out(args->arg[2], &old) : 0;
}

long sys_rt_sigpending(struct task *task, const struct syscall_args *args)
{
    uint64_t set = signal_pending_set(task) & task->signal_mask;
    if (args->arg[1] > SIGSET_SIZE) {
        return -EINVAL;
    }
    return mm_copy_out(task->mm, args->arg[0], &set, args->arg[1]);
}

long sys_rt_sigsuspend(struct task *task, const struct syscall_args *args)
{
    uint64_t mask;
    int result = copy_in_sigset(args->arg[0], args->arg[1], &mask);
    if (result != 0) {
        return result;
    }
    signal_set_temporary_mask(task, mask);
    do {
        task_sleep_prepare();
        result = task_sleep(SLEEP_FOREVER);
    } while (result != -ERESTARTSYS);
    return -ERESTARTNOHAND;
}

long sys_pause(struct task *task, const struct syscall_args *args)
{
    (void)task;
    (void)args;
    int result;
    do {
        task_sleep_prepare();
        result = task_sleep(SLEEP_FOREVER);
    } while (result != -ERESTARTSYS);
    return -ERESTARTNOHAND;
}

long sys_rt_sigreturn(struct task *task, const struct syscall_args *args)
{
    (void)args;
    if (signal_frame_pop(task) != 0) {
        siginfo_t info;
        memset(&info, 0, sizeof(info));
        info.si_signo = SIGSEGV;
        info.si_code = SI_KERNEL;
        signal_force(task, &info);
        return 0;
    }
    return (long)task->regs.rax;
}

long sys_rt_sigtimedwait(struct task *task, const struct syscall_args *args)
{
    uint64_t set;
    uint64_t deadline = SLEEP_FOREVER;
    int result = copy_in_sigset(args->arg[0], args->arg[3], &set);
    if (result == 0 && args->arg[2] != 0) {
        uint64_t timeout;
        result = copy_in_timespec_ns(args->arg[2], &timeout);
        deadline = ns_add(clock_monotonic_ns(), timeout);
    }
    if (result != 0) {
        return result;
    }
    set &= ~SIGNALS_UNBLOCKABLE;
    siginfo_t info;
    int signo = 0;
    mutex_lock(&kernel_lock);
    task->wait_mask = set; /* such a signal wakes this thread although it is blocked */
    mutex_unlock(&kernel_lock);
    for (;;) {
        task_sleep_prepare();
        signo = signal_dequeue(task, set, &info);
        if (signo != 0 || result != 0) {
            break;
        }
        result = clock_monotonic_ns() >= deadline ? -EAGAIN : task_sleep(deadline);
        result = result == -ETIMEDOUT ? -EAGAIN : result == -ERESTARTSYS ? -EINTR : result;
    }
    mutex_lock(&kernel_lock);
    task->wait_mask = 0;
    mutex_unlock(&kernel_lock);
    if (signo == 0) {
        return result;
    }
    if (args->arg[1] != 0) {
        result = copy_out(args->arg[1], &info);
        return result != 0 ? result : signo;
    }
    return signo;
}

long sys_sigaltstack(struct task *task, const struct syscall_args *args)
{
    struct {
        uint64_t addr;
        uint32_t flags, pad;
        uint64_t size;
    } stack, old = {.addr = task->altstack_addr, .size = task->altstack_size};
    task_complete_registers(task);
    uint64_t sp = task->regs.rsp;
    bool active = !(task->altstack_flags & SS_AUTODISARM_FLAG) && task->altstack_size != 0 &&
                  sp > task->altstack_addr && sp - task->altstack_addr <= task->altstack_size;
    old.flags = task->altstack_size == 0 ? (uint32_t)SS_DISABLE
                                         : (active ? (uint32_t)SS_ONSTACK : 0U) |
                                               (task->altstack_flags & SS_AUTODISARM_FLAG);
    if (args->arg[0] != 0) {
        int result = copy_in(args->arg[0], &stack);
        if (result != 0) {
            return result;
        }
        uint32_t mode = stack.flags & ~SS_AUTODISARM_FLAG;
        if (active) {
            return -EPERM;
        }
        if (mode != (uint32_t)SS_DISABLE && mode != (uint32_t)SS_ONSTACK && mode != 0) {
            return -EINVAL;
        }
        if (mode == (uint32_t)SS_DISABLE) {
            task->altstack_addr = task->altstack_size = 0;
            task->altstack_flags = SS_DISABLE;
        } else {
            if (stack.size < 2048) {
                return -ENOMEM;
            }
            task->altstack_addr = stack.addr;
            task->altstack_size = stack.size;
            task->altstack_flags = stack.flags & SS_AUTODISARM_FLAG;
        }
    }
    return args->arg[1] != 0 ? copy_out(args->arg[1], &old) : 0;
}

/* One process, permission checked. signo 0 only probes. (K) */
static int kill_one_locked(struct process *process, int signo, const siginfo_t *info)
{
    if (!signal_may_send(process, signo)) {
        return -EPERM;
    }
    return signo == 0 ? 0 : signal_send_process_locked(process, signo, info);
}

static long kill_many(struct task *task, int pid, int signo, const siginfo_t *info)
{
    int result = -ESRCH;
    bool any = false;
    struct process *process;
    mutex_lock(&kernel_lock);
    int pgid = pid == 0 ? task->process->pgid : -pid;
    TAILQ_FOREACH (process, &all_processes, all_link) {
        if (process->state == PROCESS_REAPED || process == init_process) {
            continue;
        }
        if (pid == -1 ? process == task->process : process->pgid != pgid) {
            continue;
        }
        int sent = kill_one_locked(process, signo, info);
        any = any || sent == 0;
        if (pid != -1 || sent != -EPERM) {
            result = sent;
        }
    }
    mutex_unlock(&kernel_lock);
    return any ? 0 : result;
}

long sys_kill(struct task *task, const struct syscall_args *args)
{
    int pid = arg_int(args, 0);
    int signo = arg_int(args, 1);
    if (pid == INT_MIN) {
        return -ESRCH;
    }
    if (signo < 0 || signo > SIGNAL_COUNT) {
        return -EINVAL;
    }
    siginfo_t info;
    signal_info_user(&info, signo, SI_USER);
    if (pid <= 0) {
        return kill_many(task, pid, signo, &info);
    }
    mutex_lock(&kernel_lock);
    struct task *named = task_find_locked(pid);
    struct process *process = named ? named->process : process_find_locked(pid);
    int result = process ? kill_one_locked(process, signo, &info) : -ESRCH;
    mutex_unlock(&kernel_lock);
    return result;
}

static long send_thread(int tgid, int tid, int signo, const siginfo_t *info)
{
    if (tid <= 0 || tgid == 0 || tgid < -1) {
        return -EINVAL;
    }
    if (signo < 0 || signo > SIGNAL_COUNT) {
        return -EINVAL;
    }
    mutex_lock(&kernel_lock);
    struct task *target = task_find_locked(tid);
    int result = -ESRCH;
    if (target && (tgid == -1 || target->process->tgid == tgid) &&
        atomic_load(&target->state) < TASK_DEAD) {
        result = signal_may_send(target->process, signo) ? 0 : -EPERM;
        if (result == 0 && signo != 0) {
            result = signal_send_task_locked(target, signo, info);
        }
    }
    mutex_unlock(&kernel_lock);
    return result;
}

long sys_tkill(struct task *task, const struct syscall_args *args)
{
    (void)task;
    siginfo_t info;
    signal_info_user(&info, arg_int(args, 1), SI_TKILL);
    return send_thread(-1, arg_int(args, 0), arg_int(args, 1), &info);
}

long sys_tgkill(struct task *task, const struct syscall_args *args)
{
    (void)task;
    siginfo_t info;
    signal_info_user(&info, arg_int(args, 2), SI_TKILL);
    if (arg_int(args, 0) <= 0) {
        return -EINVAL;
    }
    return send_thread(arg_int(args, 0), arg_int(args, 1), arg_int(args, 2), &info);
}

/* Linux: only codes below 0 but SI_TKILL may be claimed for somebody else. */
static int check_claimed_info(const struct task *task, int tgid, const siginfo_t *info)
{
    bool forged = info->si_code >= 0 || info->si_code == SI_TKILL;
    return forged && task->process->tgid != tgid ? -EPERM : 0;
}

long sys_rt_sigqueueinfo(struct task *task, const struct syscall_args *args)
{
    siginfo_t info;
    int tgid = arg_int(args, 0);
    int signo = arg_int(args, 1);
    int result = copy_in(args->arg[2], &info);
    if (result != 0) {
        return result;
    }
    info.si_signo = signo;
    result = check_claimed_info(task, tgid, &info);
    if (result != 0) {
        return result;
    }
    if (signo < 0 || signo > SIGNAL_COUNT) {
        return -EINVAL;
    }
    mutex_lock(&kernel_lock);
    struct task *named = task_find_locked(tgid);
    result = named ? kill_one_locked(named->process, signo, &info) : -ESRCH;
    mutex_unlock(&kernel_lock);
    return result;
}

long sys_rt_tgsigqueueinfo(struct task *task, const struct syscall_args *args)
{
    siginfo_t info;
    int tgid = arg_int(args, 0);
    int result = copy_in(args->arg[3], &info);
    if (result != 0) {
        return result;
    }
    if (tgid <= 0 || arg_int(args, 1) <= 0) {
        return -EINVAL;
    }
    info.si_signo = arg_int(args, 2);
    result = check_claimed_info(task, tgid, &info);
    return result != 0 ? result : send_thread(tgid, arg_int(args, 1), arg_int(args, 2), &info);
}

long sys_restart_syscall(struct task *task, const struct syscall_args *args)
{
    (void)args;
    long (*restart)(struct task *) = task->restart_block.restart;
    task->restart_block.restart = NULL;
    return restart ? restart(task) : -EINTR;
}
