/* sys_credentials.c: user and group ids, capabilities. Linux: kernel/sys.c, security/commoncap.c.
 */
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "syscalls/syscall.h"

#define NO_ID                  0xffffffffU
#define GROUPS_LIMIT           65536
#define SECBIT_NO_SETUID_FIXUP 4U

long sys_getuid(struct task *task, const struct syscall_args *args)
{
    (void)args;
    return task->cred->uid;
}

long sys_geteuid(struct task *task, const struct syscall_args *args)
{
    (void)args;
    return task->cred->euid;
}

long sys_getgid(struct task *task, const struct syscall_args *args)
{
    (void)args;
    return task->cred->gid;
}

long sys_getegid(struct task *task, const struct syscall_args *args)
{
    (void)args;
    return task->cred->egid;
}

static long copy_out_three(const struct syscall_args *args, uint32_t a, uint32_t b, uint32_t c)
{
    int result = copy_out(args->arg[0], &a);
    if (result == 0) {
        result = copy_out(args->arg[1], &b);
    }
    return result == 0 ? copy_out(args->arg[2], &c) : result;
}

long sys_getresuid(struct task *task, const struct syscall_args *args)
{
    return copy_out_three(args, task->cred->uid, task->cred->euid, task->cred->suid);
}

long sys_getresgid(struct task *task, const struct syscall_args *args)
{
    return copy_out_three(args, task->cred->gid, task->cred->egid, task->cred->sgid);
}

/* Linux: cap_emulate_setxuid: capabilities follow a change from or to uid 0. */
static void fix_capabilities(struct cred *cred, const struct cred *old)
{
    if (cred->securebits & SECBIT_NO_SETUID_FIXUP) {
        return;
    }
    bool was_root = old->uid == 0 || old->euid == 0 || old->suid == 0;
    bool is_root = cred->uid == 0 || cred->euid == 0 || cred->suid == 0;
    if (was_root && !is_root) {
        if (!cred->keep_caps) {
            cred->cap_permitted = cred->cap_effective = 0;
        }
        cred->cap_ambient = 0;
    }
    if (old->euid == 0 && cred->euid != 0) {
        cred->cap_effective = 0;
    }
    if (old->euid != 0 && cred->euid == 0) {
        cred->cap_effective = cred->cap_permitted;
    }
}

/* CAP_CHOWN … CAP_FOWNER, CAP_FSETID, CAP_LINUX_IMMUTABLE, CAP_MKNOD, CAP_MAC_OVERRIDE. */
#define CAP_FS_SET                                                                                 \
    (1ULL << CAP_CHOWN | 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_DAC_READ_SEARCH |                  \
     1ULL << CAP_FOWNER | 1ULL << CAP_FSETID | 1ULL << CAP_LINUX_IMMUTABLE | 1ULL << CAP_MKNOD |   \
     1ULL << CAP_MAC_OVERRIDE)

static void fix_fs_capabilities(struct cred *cred, const struct cred *old)
{
    if (old->fsuid == 0 && cred->fsuid != 0) {
        cred->cap_effective &= ~CAP_FS_SET;
    } else if (old->fsuid != 0 && cred->fsuid == 0) {
        cred->cap_effective |= CAP_FS_SET & cred->cap_permitted;
    }
}

static long publish(struct task *task, struct cred *cred, const struct cred *old)
{
    if (cred->euid != old->euid || cred->egid != old->egid || cred->fsuid != old->fsuid ||
        cred->fsgid != old->fsgid) {
        mm_lock(task->mm);
        task->mm->dumpable = 0; /* Linux: commit_creds: suid_dumpable */
        mm_unlock(task->mm);
        mutex_lock(&kernel_lock);
        task->process->pdeath_signal = 0;
        mutex_unlock(&kernel_lock);
    }
    task_set_cred(cred);
    return 0;
}

long sys_setuid(struct task *task, const struct syscall_args *args)
{
    const struct cred *old = task->cred;
    uid_t uid = arg_uint(args, 0);
    if (uid == NO_ID) {
        return -EINVAL;
    }
    struct cred *cred = cred_copy(old);
    if (!cred) {
        return -ENOMEM;
    }
    if (cred_capable(old, CAP_SETUID)) {
        cred->uid = cred->suid = uid;
    } else if (uid != old->uid && uid != old->suid) {
        cred_unref(cred);
        return -EPERM;
    }
    cred->euid = cred->fsuid = uid;
    fix_capabilities(cred, old);
    return publish(task, cred, old);
}

long sys_setgid(struct task *task, const struct syscall_args *args)
{
    const struct cred *old = task->cred;
    gid_t gid = arg_uint(args, 0);
    if (gid == NO_ID) {
        return -EINVAL;
    }
    struct cred *cred = cred_copy(old);
    if (!cred) {
        return -ENOMEM;
    }
    if (cred_capable(old, CAP_SETGID)) {
        cred->gid = cred->sgid = gid;
    } else if (gid != old->gid && gid != old->sgid) {
        cred_unref(cred);
        return -EPERM;
    }
    cred->egid = cred->fsgid = gid;
    return publish(task, cred, old);
}

long sys_setreuid(struct task *task, const struct syscall_args *args)
{
    const struct cred *old = task->cred;
    uid_t ruid = arg_uint(args, 0);
    uid_t euid = arg_uint(args, 1);
    bool privileged = cred_capable(old, CAP_SETUID);
    if (!privileged &&
        ((ruid != NO_ID && ruid != old->uid && ruid != old->euid) ||
         (euid != NO_ID && euid != old->uid && euid != old->euid && euid != old->suid))) {
        return -EPERM;
    }
    struct cred *cred = cred_copy(old);
    if (!cred) {
        return -ENOMEM;
    }
    cred->uid = ruid == NO_ID ? old->uid : ruid;
    cred->euid = euid == NO_ID ? old->euid : euid;
    if (ruid != NO_ID || (euid != NO_ID && euid != old->uid)) {
        cred->suid = cred->euid;
    }
    cred->fsuid = cred->euid;
    fix_capabilities(cred, old);
    return publish(task, cred, old);
}

long sys_setregid(struct task *task, const struct syscall_args *args)
{
    const struct cred *old = task->cred;
    gid_t rgid = arg_uint(args, 0);
    gid_t egid = arg_uint(args, 1);
    bool privileged = cred_capable(old, CAP_SETGID);
    if (!privileged &&
        ((rgid != NO_ID && rgid != old->gid && rgid != old->egid) ||
         (egid != NO_ID && egid != old->gid && egid != old->egid && egid != old->sgid))) {
        return -EPERM;
    }
    struct cred *cred = cred_copy(old);
    if (!cred) {
        return -ENOMEM;
    }
    cred->gid = rgid == NO_ID ? old->gid : rgid;
    cred->egid = egid == NO_ID ? old->egid : egid;
    if (rgid != NO_ID || (egid != NO_ID && egid != old->gid)) {
        cred->sgid = cred->egid;
    }
    cred->fsgid = cred->egid;
    return publish(task, cred, old);
}

static bool one_of(uint32_t id, uint32_t a, uint32_t b, uint32_t c)
{
    return id == NO_ID || id == a || id == b || id == c;
}

long sys_setresuid(struct task *task, const struct syscall_args *args)
{
    const struct cred *old = task->cred;
    uint32_t ids[3] = {arg_uint(args, 0), arg_uint(args, 1), arg_uint(args, 2)};
    for (int i = 0; i < 3; i++) {
        if (!cred_capable(old, CAP_SETUID) && !one_of(ids[i], old->uid, old->euid, old->suid)) {
            return -EPERM;
        }
    }
    struct cred *cred = cred_copy(old);
    if (!cred) {
        return -ENOMEM;
    }
    cred->uid = ids[0] == NO_ID ? old->uid : ids[0];
    cred->euid = ids[1] == NO_ID ? old->euid : ids[1];
    cred->suid = ids[2] == NO_ID ? old->suid : ids[2];
    cred->fsuid = cred->euid;
    fix_capabilities(cred, old);
    return publish(task, cred, old);
}

long sys_setresgid(struct task *task, const struct syscall_args *args)
{
    const struct cred *old = task->cred;
    uint32_t ids[3] = {arg_uint(args, 0), arg_uint(args, 1), arg_uint(args, 2)};
    for (int i = 0; i < 3; i++) {
        if (!cred_capable(old, CAP_SETGID) && !one_of(ids[i], old->gid, old->egid, old->sgid)) {
            return -EPERM;
        }
    }
    struct cred *cred = cred_copy(old);
    if (!cred) {
        return -ENOMEM;
    }
    cred->gid = ids[0] == NO_ID ? old->gid : ids[0];
    cred->egid = ids[1] == NO_ID ? old->egid : ids[1];
    cred->sgid = ids[2] == NO_ID ? old->sgid : ids[2];
    cred->fsgid = cred->egid;
    return publish(task, cred, old);
}

long sys_setfsuid(struct task *task, const struct syscall_args *args)
{
    const struct cred *old = task->cred;
    uid_t uid = arg_uint(args, 0);
    bool allowed = uid != NO_ID && (one_of(uid, old->uid, old->euid, old->suid) ||
                                    uid == old->fsuid || cred_capable(old, CAP_SETUID));
    if (allowed && uid != old->fsuid) {
        struct cred *cred = cred_copy(old);
        if (cred) {
            long previous = old->fsuid;
            cred->fsuid = uid;
            fix_fs_capabilities(cred, old);
            ignore_result(publish(task, cred, old));
            return previous;
        }
    }
    return old->fsuid;
}

long sys_setfsgid(struct task *task, const struct syscall_args *args)
{
    const struct cred *old = task->cred;
    gid_t gid = arg_uint(args, 0);
    bool allowed = gid != NO_ID && (one_of(gid, old->gid, old->egid, old->sgid) ||
                                    gid == old->fsgid || cred_capable(old, CAP_SETGID));
    if (allowed && gid != old->fsgid) {
        struct cred *cred = cred_copy(old);
        if (cred) {
            long previous = old->fsgid;
            cred->fsgid = gid;
            ignore_result(publish(task, cred, old));
            return previous;
        }
    }
    return old->fsgid;
}

long sys_getgroups(struct task *task, const struct syscall_args *args)
{
    int size = arg_int(args, 0);
    uint32_t count = task->cred->group_count;
    if (size < 0 || (size != 0 && (uint32_t)size < count)) {
        return -EINVAL;
    }
    if (size != 0 && count > 0) {
        int result = mm_copy_out(task->mm, args->arg[1], task->cred->groups, count * sizeof(gid_t));
        if (result != 0) {
            return result;
        }
    }
    return count;
}

long sys_setgroups(struct task *task, const struct syscall_args *args)
{
    uint32_t count = arg_uint(args, 0);
    if (!cred_capable(task->cred, CAP_SETGID)) {
        return -EPERM;
    }
    if (count > GROUPS_LIMIT) {
        return -EINVAL;
    }
    auto_free gid_t *groups = calloc(count + 1, sizeof(*groups));
    struct cred *cred = cred_copy(task->cred);
    int result = groups && cred ? 0 : -ENOMEM;
    if (result == 0) {
        result = mm_copy_in(task->mm, args->arg[1], groups, count * sizeof(*groups));
    }
    if (result == 0) {
        result = cred_set_groups(cred, groups, count);
    }
    if (result != 0) {
        cred_unref(cred);
        return result;
    }
    task_set_cred(cred);
    return 0;
}

#define CAPABILITY_VERSION_1 0x19980330U
#define CAPABILITY_VERSION_2 0x20071026U
#define CAPABILITY_VERSION_3 0x20080522U

struct cap_header {
    uint32_t version;
    int32_t pid;
};

struct cap_data {
    uint32_t effective, permitted, inheritable;
};

/* Words of 32 bits that the header's version uses; writes back the preferred one when unknown. */
static int check_cap_header(uint64_t addr, struct cap_header *header, int *ret_words)
{
    int result = copy_in(addr, header);
    if (result != 0) {
        return result;
    }
    switch (header->version) {
    case CAPABILITY_VERSION_1:
        *ret_words = 1;
        return 0;
    case CAPABILITY_VERSION_2:
    case CAPABILITY_VERSION_3:
        *ret_words = 2;
        return 0;
    default: {
        uint32_t preferred = CAPABILITY_VERSION_3;
        result = copy_out(addr, &preferred);
        return result != 0 ? result : -EINVAL;
    }
    }
}

long sys_capget(struct task *task, const struct syscall_args *args)
{
    struct cap_header header;
    int words;
    int result = check_cap_header(args->arg[0], &header, &words);
    if (result != 0) {
        return result == -EINVAL && args->arg[1] == 0 ? 0 : result;
    }
    if (header.pid < 0) {
        return -EINVAL;
    }
    const struct cred *cred = cred_ref(task->cred);
    if (header.pid != 0 && header.pid != task->tid) {
        cred = cred_unref(cred);
        mutex_lock(&kernel_lock);
        struct task *target = task_find_locked(header.pid);
        if (target && target->cred) {
            cred = cred_ref(target->cred);
        }
        mutex_unlock(&kernel_lock);
        if (!cred) {
            return -ESRCH;
        }
    }
    struct cap_data data[2];
    for (int i = 0; i < 2; i++) {
        data[i] = (struct cap_data){.effective = (uint32_t)(cred->cap_effective >> 32 * i),
                                    .permitted = (uint32_t)(cred->cap_permitted >> 32 * i),
                                    .inheritable = (uint32_t)(cred->cap_inheritable >> 32 * i)};
    }
    cred_unref(cred);
    return args->arg[1] == 0
               ? 0
               : mm_copy_out(task->mm, args->arg[1], data, (size_t)words * sizeof(data[0]));
}

long sys_capset(struct task *task, const struct syscall_args *args)
{
    struct cap_header header;
    struct cap_data data[2];
    int words;
    memset(data, 0, sizeof(data));
    int result = check_cap_header(args->arg[0], &header, &words);
    if (result != 0) {
        return result;
    }
    if (header.pid != 0 && header.pid != task->tid) {
        return -EPERM;
    }
    result = mm_copy_in(task->mm, args->arg[1], data, (size_t)words * sizeof(data[0]));
    if (result != 0) {
        return result;
    }
    const struct cred *old = task->cred;
    uint64_t effective = (data[0].effective | (uint64_t)data[1].effective << 32) & CRED_CAP_ALL;
    uint64_t permitted = (data[0].permitted | (uint64_t)data[1].permitted << 32) & CRED_CAP_ALL;
    uint64_t inheritable =
        (data[0].inheritable | (uint64_t)data[1].inheritable << 32) & CRED_CAP_ALL;
    bool inheritable_ok = cred_capable(old, CAP_SETPCAP) ||
                          !(inheritable & ~(old->cap_inheritable | old->cap_permitted));
    if (!inheritable_ok || (inheritable & ~(old->cap_inheritable | old->cap_bounding)) ||
        (permitted & ~old->cap_permitted) || (effective & ~permitted)) {
        return -EPERM;
    }
    struct cred *cred = cred_copy(old);
    if (!cred) {
        return -ENOMEM;
    }
    cred->cap_effective = effective;
    cred->cap_permitted = permitted;
    cred->cap_inheritable = inheritable;
    cred->cap_ambient &= permitted & inheritable;
    task_set_cred(cred);
    return 0;
}
