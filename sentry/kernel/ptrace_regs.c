/*
 * ptrace_regs.c: the registers of a frozen tracee, as struct user has them, and its extended state.
 * Linux: arch/x86/kernel/ptrace.c (putreg, ptrace_set_debugreg), arch/x86/kernel/fpu/regset.c.
 */
#include <errno.h>
#include <string.h>
#include <sys/user.h>

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/ptrace_errand.h"
#include "sentry/kernel/task.h"

#define TASK_SIZE_LIMIT 0x7ffffffff000ULL
#define FLAG_MASK       0x54dd5ULL /* the flags a tracer may change */
#define SOFTWARE_OFFSET 464        /* struct _fpx_sw_bytes: here the feature mask */
#define SOFTWARE_SIZE   48
#define USER_SIZE       928 /* of the kernel's struct user: two words more than libc's */
#define DR6_RESERVED    0xffff0ff0ULL

_Static_assert(sizeof(struct arch_regs) == sizeof(struct user_regs_struct), "the same layout");

#define REG(name) (offsetof(struct arch_regs, name))

static int set_register(struct arch_regs *regs, uint64_t offset, uint64_t value)
{
    uint64_t *slot = (uint64_t *)(void *)((char *)regs + offset);
    switch (offset) {
    case REG(cs):
    case REG(ss):
    case REG(ds):
    case REG(es):
    case REG(fs):
    case REG(gs):
        /* DIFFERS: other segments than a 64-bit program's are refused. */
        return (value & 0xffff) == *slot ? 0 : -EIO;
    case REG(eflags):
        *slot = (*slot & ~FLAG_MASK) | (value & FLAG_MASK);
        return 0;
    case REG(fs_base):
    case REG(gs_base):
        if (value >= TASK_SIZE_LIMIT) {
            return -EIO;
        }
        break;
    case REG(rip):
        if (value >= PLATFORM_GUEST_MAX) {
            return -EIO; /* DIFFERS: Linux lets the task fault there */
        }
        break;
    default:
        break;
    }
    *slot = value;
    return 0;
}

static bool is_debug_register(uint64_t offset)
{
    return offset >= offsetof(struct user, u_debugreg) &&
           offset < offsetof(struct user, u_debugreg) + sizeof(((struct user *)0)->u_debugreg);
}

static unsigned debug_index(uint64_t offset)
{
    return (unsigned)((offset - offsetof(struct user, u_debugreg)) / sizeof(uint64_t));
}

static bool valid_offset(uint64_t offset)
{
    return offset % sizeof(uint64_t) == 0 && offset < USER_SIZE;
}

int ptrace_get_user(struct task *target, uint64_t offset, uint64_t *ret_value)
{
    if (!valid_offset(offset)) {
        return -EIO;
    }
    uint64_t value = 0;
    if (offset < sizeof(struct arch_regs)) {
        memcpy(&value, (const char *)&target->regs + offset, sizeof(value));
    } else if (is_debug_register(offset)) {
        unsigned index = debug_index(offset);
        value = target->ptrace.debug[index];
        value ^= index == 6 ? DR6_RESERVED : 0;
    }
    *ret_value = value;
    return 0;
}

int ptrace_set_user(struct task *target, uint64_t offset, uint64_t value)
{
    if (!valid_offset(offset)) {
        return -EIO;
    }
    if (offset < sizeof(struct arch_regs)) {
        return set_register(&target->regs, offset, value);
    }
    if (!is_debug_register(offset)) {
        return -EIO;
    }
    unsigned index = debug_index(offset);
    value ^= index == 6 ? DR6_RESERVED : 0;
    return ptrace_set_debug(target->ptrace.debug, index, value);
}

void ptrace_errand_run(struct task *task, struct ptrace_errand *errand)
{
    const struct platform_ops *ops = kernel.platform_ops;
    if (!task->platform_thread) {
        errand->result = -ESRCH;
    } else if (errand->sets) {
        errand->result =
            ops->thread_set_xstate(task->platform_thread, errand->buffer, errand->size);
    } else {
        errand->result =
            ops->thread_get_xstate(task->platform_thread, errand->buffer, errand->size);
    }
}

/* The frozen target does the errand. */
static ssize_t send_errand(struct task *target, bool sets, void *buffer, size_t size)
{
    if (!target->platform_thread) {
        return -ESRCH;
    }
    struct ptrace_errand errand = {
        .asker = current_task(), .sets = sets, .buffer = buffer, .size = size};
    mutex_lock(&kernel_lock);
    target->ptrace.errand = &errand;
    sleeper_wake(&target->sleeper);
    while (!errand.done) {
        sleeper_prepare(&errand.asker->sleeper);
        mutex_unlock(&kernel_lock);
        sleeper_wait(&errand.asker->sleeper, SLEEP_FOREVER);
        mutex_lock(&kernel_lock);
    }
    /* What it has used up may have been a wake-up for the asker itself. */
    if (errand.asker->exiting) {
        atomic_store(&errand.asker->work, true);
    }
    mutex_unlock(&kernel_lock);
    return errand.result;
}

int ptrace_get_xstate(struct task *target, void *buffer, size_t size)
{
    ssize_t got = send_errand(target, false, buffer, size);
    if (got < ARCH_XSTATE_MIN_SIZE) {
        return got < 0 ? (int)got : -EIO;
    }
    uint64_t features = arch_xstate_features();
    memset((char *)buffer + SOFTWARE_OFFSET, 0, SOFTWARE_SIZE);
    memcpy((char *)buffer + SOFTWARE_OFFSET, &features, sizeof(features));
    return 0;
}

int ptrace_set_xstate(struct task *target, void *buffer, size_t size)
{
    uint32_t mxcsr;
    memcpy(&mxcsr, (char *)buffer + 24, sizeof(mxcsr));
    memset((char *)buffer + SOFTWARE_OFFSET, 0, SOFTWARE_SIZE);
    if ((mxcsr & ~arch_mxcsr_mask()) != 0 || !arch_xstate_is_valid(buffer)) {
        return -EINVAL;
    }
    return (int)send_errand(target, true, buffer, size);
}
