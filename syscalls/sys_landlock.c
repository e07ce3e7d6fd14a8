/* sys_landlock.c: landlock_create_ruleset, landlock_add_rule, landlock_restrict_self, and the list
 * of security modules. Sources: the man pages of the calls, Linux security/landlock/syscalls.c. */
#include <linux/capability.h>
#include <sys/stat.h>

#include "sentry/fs/anon/landlock_file.h"
#include "sentry/vfs/inode.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#define CREATE_VERSION 1U

enum { RULE_PATH_BENEATH = 1, RULE_NET_PORT };

struct linux_ruleset_attr {
    uint64_t fs, net, scoped;
};

struct linux_path_beneath {
    uint64_t rights;
    int32_t parent_fd;
} __attribute__((packed));

struct linux_net_port {
    uint64_t rights, port;
};

long sys_landlock_create_ruleset(struct task *task, const struct syscall_args *args)
{
    struct linux_ruleset_attr attr;
    struct file *file;
    uint64_t size = args->arg[1];
    unsigned flags = arg_uint(args, 2);
    if (flags != 0) {
        return flags == CREATE_VERSION && args->arg[0] == 0 && size == 0 ? LANDLOCK_ABI : -EINVAL;
    }
    if (args->arg[0] == 0) {
        return -EFAULT;
    }
    if (size < sizeof(attr.fs)) {
        return -EINVAL;
    }
    if (size > PAGE_SIZE) {
        return -E2BIG;
    }
    int result = copy_in_struct(args->arg[0], size, &attr, sizeof(attr));
    if (result != 0) {
        return result;
    }
    if ((attr.fs & ~(uint64_t)LANDLOCK_FS_ALL) || (attr.net & ~(uint64_t)LANDLOCK_NET_ALL) ||
        (attr.scoped & ~(uint64_t)LANDLOCK_SCOPE_ALL)) {
        return -EINVAL;
    }
    if (attr.fs == 0 && attr.net == 0 && attr.scoped == 0) {
        return -ENOMSG;
    }
    struct landlock_ruleset *ruleset = landlock_ruleset_new(attr.fs, attr.net, attr.scoped);
    if (!ruleset) {
        return -ENOMEM;
    }
    result = landlock_file_new(ruleset, &file);
    return result != 0 ? result : install_file(task, file, true);
}

static int add_path(struct task *task, struct file *ruleset, uint64_t addr)
{
    struct linux_path_beneath rule;
    bool close_on_exec;
    if (copy_in(addr, &rule) != 0) {
        return -EFAULT;
    }
    if (rule.rights == 0) {
        return -ENOMSG;
    }
    if (rule.rights & ~(uint64_t)LANDLOCK_FS_ALL) {
        return -EINVAL;
    }
    auto_file struct file *parent = fd_get(task->fds, rule.parent_fd, &close_on_exec);
    if (!parent) {
        return -EBADF;
    }
    if (!parent->path.mount) {
        return -EBADFD; /* a pipe, a memfd: nothing of the tree */
    }
    return landlock_file_allow_inode(ruleset, parent->inode, rule.rights);
}

static int add_port(struct file *ruleset, uint64_t addr)
{
    struct linux_net_port rule;
    if (copy_in(addr, &rule) != 0) {
        return -EFAULT;
    }
    if (rule.rights == 0) {
        return -ENOMSG;
    }
    return landlock_file_allow_port(ruleset, rule.port, rule.rights);
}

long sys_landlock_add_rule(struct task *task, const struct syscall_args *args)
{
    if (arg_uint(args, 3) != 0) {
        return -EINVAL;
    }
    auto_file struct file *file = arg_file(task, args, 0);
    if (!file) {
        return -EBADF;
    }
    if (!landlock_file_is(file)) {
        return -EBADFD;
    }
    switch (arg_int(args, 1)) {
    case RULE_PATH_BENEATH:
        return add_path(task, file, args->arg[2]);
    case RULE_NET_PORT:
        return add_port(file, args->arg[2]);
    default:
        return -EINVAL;
    }
}

long sys_landlock_restrict_self(struct task *task, const struct syscall_args *args)
{
    if (!task->cred->no_new_privs && !capable(CAP_SYS_ADMIN)) {
        return -EPERM;
    }
    if (arg_uint(args, 1) != 0) {
        return -EINVAL;
    }
    auto_file struct file *file = arg_file(task, args, 0);
    if (!file) {
        return -EBADF;
    }
    if (!landlock_file_is(file)) {
        return -EBADFD;
    }
    struct cred *cred = cred_copy(task->cred);
    if (!cred) {
        return -ENOMEM;
    }
    int result = landlock_file_restrict(file, cred);
    if (result != 0) {
        cred_unref(cred);
        return result;
    }
    task_set_cred(cred);
    landlock_reap();
    return 0;
}

/* Linux: the security modules there are, by number (include/uapi/linux/lsm.h). */
long sys_lsm_list_modules(struct task *task, const struct syscall_args *args)
{
    static const uint64_t modules[] = {100 /* capabilities */, 110 /* Landlock */};
    const uint32_t needed = sizeof(modules);
    uint32_t size;
    (void)task;
    if (arg_uint(args, 2) != 0) {
        return -EINVAL;
    }
    if (copy_in(args->arg[1], &size) != 0 || copy_out(args->arg[1], &needed) != 0) {
        return -EFAULT;
    }
    if (size < needed) {
        return -E2BIG;
    }
    return copy_out(args->arg[0], &modules) != 0 ? -EFAULT : (long)array_size(modules);
}
