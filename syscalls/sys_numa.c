/*
 * sys_numa.c: memory policies on a machine with one node: kept and shown, without effect. Source:
 * Linux mm/mempolicy.c, mm/migrate.c; set_mempolicy(2), mbind(2), move_pages(2).
 */
#include <linux/capability.h>
#include <linux/mempolicy.h>
#include <string.h>

#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "syscalls/syscall.h"

#define NODES_MAX     1024 /* CONFIG_NODES_SHIFT=10 */
#define WEIGHTED      6    /* MPOL_WEIGHTED_INTERLEAVE */
#define POLICY_FLAGS  (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES | (1 << 13))
#define BITS_PER_PAGE (4096U * 8)

/* Is node 0 in the mask? *ret_other: others are. Linux: get_nodes. */
static int copy_in_nodes(uint64_t addr, uint64_t count, bool *ret_zero, bool *ret_other)
{
    *ret_zero = *ret_other = false;
    if (count <= 1 || addr == 0) {
        return 0;
    }
    count--;
    if (count > BITS_PER_PAGE) {
        return -EINVAL;
    }
    for (uint64_t bit = 0; bit < count; bit += 64) {
        uint64_t word;
        if (copy_in(addr + bit / 8, &word) < 0) {
            return -EFAULT;
        }
        if (count - bit < 64) {
            word &= (1ULL << (count - bit)) - 1;
        }
        if (bit >= NODES_MAX && word != 0) {
            return -EINVAL;
        }
        *ret_zero = *ret_zero || (bit == 0 && (word & 1) != 0);
        *ret_other = *ret_other || (bit == 0 ? word & ~1ULL : word) != 0;
    }
    return 0;
}

/* Checks a policy as set_mempolicy and mbind do; *ret_mode is what it comes to. */
static int check_policy(int mode, uint64_t nodes, uint64_t count, unsigned *ret_mode)
{
    bool zero, other;
    int flags = mode & POLICY_FLAGS;
    int plain = mode & ~POLICY_FLAGS;
    if (plain < 0 || plain > WEIGHTED ||
        (flags & (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES)) ==
            (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES)) {
        return -EINVAL;
    }
    int error = copy_in_nodes(nodes, count, &zero, &other);
    if (error < 0) {
        return error;
    }
    bool empty = !zero && !other;
    if (plain == MPOL_DEFAULT || plain == MPOL_LOCAL) {
        *ret_mode = (unsigned)plain;
        return empty && (plain == MPOL_DEFAULT || flags == 0) ? 0 : -EINVAL;
    }
    if (plain == MPOL_PREFERRED && empty) {
        *ret_mode = MPOL_LOCAL;
        return flags == 0 ? 0 : -EINVAL;
    }
    *ret_mode = (unsigned)plain;
    return zero ? 0 : -EINVAL; /* of the others none is there */
}

long sys_set_mempolicy(struct task *task, const struct syscall_args *args)
{
    unsigned mode;
    int error = check_policy(arg_int(args, 0), arg_u64(args, 1), arg_u64(args, 2), &mode);
    if (error == 0) {
        task->memory_policy = mode;
    }
    return error;
}

static int put_nodes(uint64_t addr, uint64_t count, bool zero)
{
    for (uint64_t bit = 0; bit + 1 < count; bit += 64) {
        uint64_t word = bit == 0 && zero;
        if (copy_out(addr + bit / 8, &word) < 0) {
            return -EFAULT;
        }
    }
    return 0;
}

long sys_get_mempolicy(struct task *task, const struct syscall_args *args)
{
    uint64_t nodes = arg_u64(args, 1), count = arg_u64(args, 2), addr = arg_u64(args, 3);
    unsigned flags = arg_uint(args, 4), mode = task->memory_policy;
    bool zero;
    if ((arg_u64(args, 4) & ~(uint64_t)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED)) != 0 ||
        (nodes != 0 && count < 1) || count > BITS_PER_PAGE) {
        return -EINVAL;
    }
    if ((flags & MPOL_F_MEMS_ALLOWED) != 0) {
        if ((flags & (MPOL_F_NODE | MPOL_F_ADDR)) != 0) {
            return -EINVAL;
        }
        mode = MPOL_DEFAULT;
        zero = true;
    } else if ((flags & MPOL_F_ADDR) != 0) {
        int error = mm_get_policy(current.mm, addr, &mode);
        if (error < 0) {
            return error;
        }
        zero = mode != MPOL_DEFAULT && mode != MPOL_LOCAL;
    } else {
        if (addr != 0) {
            return -EINVAL;
        }
        zero = mode != MPOL_DEFAULT && mode != MPOL_LOCAL;
    }
    if ((flags & MPOL_F_NODE) != 0) {
        if ((flags & MPOL_F_ADDR) == 0 && mode != MPOL_INTERLEAVE && mode != WEIGHTED) {
            return -EINVAL;
        }
        mode = 0; /* the node of the page, or the next one */
    }
    if (arg_u64(args, 0) != 0) {
        int value = (int)mode;
        if (copy_out(arg_u64(args, 0), &value) < 0) {
            return -EFAULT;
        }
    }
    return nodes != 0 ? put_nodes(nodes, count, zero) : 0;
}

long sys_mbind(struct task *task, const struct syscall_args *args)
{
    uint64_t start = arg_u64(args, 0), length = arg_u64(args, 1);
    uint64_t flags = arg_u64(args, 5);
    unsigned mode;
    (void)task;
    if ((flags & ~(uint64_t)MPOL_MF_VALID) != 0 || (start & ~PAGE_MASK) != 0) {
        return -EINVAL;
    }
    if ((flags & MPOL_MF_MOVE_ALL) != 0 && !capable(CAP_SYS_NICE)) {
        return -EPERM;
    }
    int error = check_policy(arg_int(args, 2), arg_u64(args, 3), arg_u64(args, 4), &mode);
    if (error < 0) {
        return error;
    }
    length = page_round_up(length);
    if (start + length < start) {
        return -EINVAL;
    }
    return length == 0 ? 0 : mm_set_policy(current.mm, start, length, mode);
}

/* The process whose pages a call is about, if the caller may: -ESRCH, -EPERM. */
static int check_target(struct task *task, int pid, struct task **ret)
{
    struct task *target = pid == 0 ? task_ref(task) : task_find(pid);
    if (!target) {
        return -ESRCH;
    }
    mutex_lock(&kernel_lock);
    const struct cred *other = target->cred;
    bool allowed = target->process == task->process || capable(CAP_SYS_PTRACE) ||
                   (other && other->uid == task->cred->fsuid && other->euid == task->cred->fsuid &&
                    other->suid == task->cred->fsuid);
    mutex_unlock(&kernel_lock);
    if (!allowed) {
        task_unref(target);
        return -EPERM;
    }
    *ret = target;
    return 0;
}

long sys_migrate_pages(struct task *task, const struct syscall_args *args)
{
    uint64_t count = arg_u64(args, 1);
    bool zero, other;
    struct task *target;
    int error = copy_in_nodes(arg_u64(args, 2), count, &zero, &other);
    if (error == 0) {
        error = copy_in_nodes(arg_u64(args, 3), count, &zero, &other);
    }
    if (error == 0) {
        error = check_target(task, arg_int(args, 0), &target);
    }
    if (error < 0) {
        return error;
    }
    task_unref(target);
    if (other && !capable(CAP_SYS_NICE)) {
        return -EPERM;
    }
    return zero ? 0 : -EINVAL;
}

/* The node of a page of a process: 0, -ENOENT (not there yet), -EFAULT (not mapped). */
static int page_node(struct mm *mm, uint64_t addr)
{
    unsigned char resident = 0;
    int error = mm_mincore(mm, addr & PAGE_MASK, PAGE_SIZE, &resident);
    return error < 0 ? -EFAULT : (resident & 1) != 0 ? 0 : -ENOENT;
}

static long move_pages(struct task *task, struct mm *mm, const struct syscall_args *args)
{
    uint64_t count = arg_u64(args, 1);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t addr;
        int node = 0;
        if (i % 1024 == 0 && atomic_load(&task->exiting)) {
            return -EINTR; /* nobody will see it */
        }
        if (copy_in(arg_u64(args, 2) + i * 8, &addr) < 0 ||
            (arg_u64(args, 3) != 0 && copy_in(arg_u64(args, 3) + i * 4, &node) < 0)) {
            return -EFAULT;
        }
        if (node != 0) {
            return -ENODEV;
        }
        int status = page_node(mm, addr);
        if (arg_u64(args, 4) != 0 && copy_out(arg_u64(args, 4) + i * 4, &status) < 0) {
            return -EFAULT;
        }
    }
    return 0;
}

long sys_move_pages(struct task *task, const struct syscall_args *args)
{
    unsigned flags = arg_uint(args, 5);
    struct task *target;
    if ((flags & ~(unsigned)(MPOL_MF_MOVE | MPOL_MF_MOVE_ALL)) != 0) {
        return -EINVAL;
    }
    if ((flags & MPOL_MF_MOVE_ALL) != 0 && !capable(CAP_SYS_NICE)) {
        return -EPERM;
    }
    int error = check_target(task, arg_int(args, 0), &target);
    if (error < 0) {
        return error;
    }
    mutex_lock(&kernel_lock);
    struct mm *mm = target->mm ? mm_ref(target->mm) : NULL;
    mutex_unlock(&kernel_lock);
    task_unref(target);
    long result = mm ? move_pages(task, mm, args) : -EINVAL;
    if (mm) {
        mm_unref(mm);
    }
    return result;
}
