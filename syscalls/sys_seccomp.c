/* sys_seccomp.c: seccomp(2), and what prctl(2) has of it. */
#include <linux/capability.h>
#include <stdlib.h>

#include "sentry/kernel/seccomp.h"
#include "syscalls/lookup.h"
#include "syscalls/sys_seccomp.h"
#include "syscalls/syscall.h"

#define FILTER_FLAGS                                                                               \
    (SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW |        \
     SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC_ESRCH |                          \
     SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)

static int check_flags(unsigned flags)
{
    if (flags & ~(unsigned)FILTER_FLAGS) {
        return -EINVAL;
    }
    bool listens = flags & SECCOMP_FILTER_FLAG_NEW_LISTENER;
    if ((flags & SECCOMP_FILTER_FLAG_TSYNC) && listens &&
        !(flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH)) {
        return -EINVAL;
    }
    return (flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) && !listens ? -EINVAL : 0;
}

/* The program that addr describes: *ret_code is the caller's to free. */
static int copy_in_program(struct task *task, uint64_t addr, struct sock_filter **ret_code,
                           unsigned *ret_count)
{
    struct {
        uint16_t count;
        uint64_t code;
    } program;
    if (copy_in(addr, &program) != 0) {
        return -EFAULT;
    }
    if (program.count == 0 || program.count > BPF_MAXINSNS) {
        return -EINVAL;
    }
    if (!task->cred->no_new_privs && !capable(CAP_SYS_ADMIN)) {
        return -EACCES;
    }
    struct sock_filter *code = calloc(program.count, sizeof(*code));
    if (!code) {
        return -ENOMEM;
    }
    if (mm_copy_in(task->mm, program.code, code, program.count * sizeof(*code)) != 0) {
        free(code);
        return -EFAULT;
    }
    *ret_code = code;
    *ret_count = program.count;
    return 0;
}

static long set_filter(struct task *task, unsigned flags, uint64_t addr)
{
    auto_free struct sock_filter *code = NULL;
    unsigned count = 0;
    struct file *listener = NULL;
    int result = check_flags(flags);
    if (result == 0) {
        result = copy_in_program(task, addr, &code, &count);
    }
    if (result == 0) {
        result = seccomp_install(task, code, count, flags, &listener);
    }
    return result == 0 && listener ? install_file(task, listener, true) : result;
}

static long action_available(uint64_t addr)
{
    static const uint32_t actions[] = {
        SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO,
        SECCOMP_RET_USER_NOTIF,   SECCOMP_RET_TRACE,       SECCOMP_RET_LOG,  SECCOMP_RET_ALLOW};
    uint32_t action;
    if (copy_in(addr, &action) != 0) {
        return -EFAULT;
    }
    for (size_t i = 0; i < array_size(actions); i++) {
        if (actions[i] == action) {
            return 0;
        }
    }
    return -EOPNOTSUPP;
}

static long notification_sizes(uint64_t addr)
{
    const struct seccomp_notif_sizes sizes = {.seccomp_notif = sizeof(struct seccomp_notif),
                                              .seccomp_notif_resp =
                                                  sizeof(struct seccomp_notif_resp),
                                              .seccomp_data = sizeof(struct seccomp_data)};
    return copy_out(addr, &sizes);
}

long sys_seccomp(struct task *task, const struct syscall_args *args)
{
    unsigned flags = arg_uint(args, 1);
    uint64_t addr = args->arg[2];
    switch (arg_uint(args, 0)) {
    case SECCOMP_SET_MODE_STRICT:
        return flags != 0 || addr != 0 ? -EINVAL : seccomp_set_strict(task);
    case SECCOMP_SET_MODE_FILTER:
        return set_filter(task, flags, addr);
    case SECCOMP_GET_ACTION_AVAIL:
        return flags != 0 ? -EINVAL : action_available(addr);
    case SECCOMP_GET_NOTIF_SIZES:
        return flags != 0 ? -EINVAL : notification_sizes(addr);
    default:
        return -EINVAL;
    }
}

long prctl_set_seccomp(struct task *task, uint64_t mode, uint64_t addr)
{
    switch (mode) {
    case SECCOMP_MODE_STRICT:
        return seccomp_set_strict(task);
    case SECCOMP_MODE_FILTER:
        return set_filter(task, 0, addr);
    default:
        return -EINVAL;
    }
}
