/*
 * confine_syscalls.c: the host calls that the gofer may make once it serves. Each row names its
 * caller.
 *
 * Without a writable mount the changing half is absent. Paths cannot be checked by a filter: that
 * is Landlock's part (opening, naming) and the reason why stat-like calls must carry their flags.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "gofer/files/confine.h"

#define ALLOW(call, ...)                                                                           \
    allow(filter, SCMP_SYS(call), call_args(__VA_ARGS__), call_count(__VA_ARGS__))
#define call_args(...) (const struct scmp_arg_cmp[]){{0}, ##__VA_ARGS__} + 1
#define call_count(...)                                                                            \
    (sizeof((const struct scmp_arg_cmp[]){{0}, ##__VA_ARGS__}) / sizeof(struct scmp_arg_cmp) - 1)

static int allow(scmp_filter_ctx filter, int call, const struct scmp_arg_cmp *args, size_t count)
{
    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, (unsigned)count, args);
}

static struct scmp_arg_cmp is(unsigned argument, int value)
{
    return (struct scmp_arg_cmp){argument, SCMP_CMP_MASKED_EQ, UINT32_MAX, (uint32_t)value};
}

static struct scmp_arg_cmp has(unsigned argument, uint32_t mask, uint32_t value)
{
    return (struct scmp_arg_cmp){argument, SCMP_CMP_MASKED_EQ, mask, value};
}

/* Memory, time and the end of the process: libc's own needs. */
static int allow_process(scmp_filter_ctx filter)
{
    int error = 0;
    error |= ALLOW(brk);
    error |= ALLOW(mmap, has(2, PROT_EXEC, 0), has(3, MAP_ANONYMOUS, MAP_ANONYMOUS));
    error |= ALLOW(munmap);
    error |= ALLOW(mremap);
    error |= ALLOW(madvise);
    error |= ALLOW(getrandom);     /* malloc's first use in newer libc */
    error |= ALLOW(clock_gettime); /* audit, where the vDSO cannot answer */
    error |= ALLOW(exit_group);
    error |= ALLOW(rt_sigreturn);
    return error;
}

static int allow_reading(scmp_filter_ctx filter, const struct confine_config *config)
{
    int error = 0;
    error |= ALLOW(recvmsg, is(0, config->connection));
    error |= ALLOW(sendmsg, is(0, config->connection));
    if (config->audit >= 0) {
        error |= ALLOW(write, is(0, config->audit));
    }
    if (config->log >= 0 && config->log != config->audit) {
        error |= ALLOW(write, is(0, config->log));
    }
    error |= ALLOW(openat2, is(3, sizeof(struct open_how))); /* node_lookup_open */
    if (config->proc_fd >= 0) {
        /* open_by_proc: O_TMPFILE contains O_DIRECTORY, which is never asked for either. */
        error |= ALLOW(openat, is(0, config->proc_fd), has(2, O_CREAT | O_TMPFILE, 0));
    }
    error |= ALLOW(statx, has(2, AT_EMPTY_PATH, AT_EMPTY_PATH)); /* node_fd_stat */
    error |= ALLOW(statx, has(2, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW,
                              AT_SYMLINK_NOFOLLOW)); /* node_lookup_stat */
    error |= ALLOW(fstatfs);                         /* answer_statfs, device_is_kernel */
    error |= ALLOW(getdents64);                      /* answer_list */
    error |= ALLOW(lseek);                           /* answer_list */
    error |= ALLOW(readlinkat);                      /* answer_readlink */
    error |= ALLOW(pread64);                         /* answer_read */
    error |= ALLOW(fgetxattr);
    error |= ALLOW(flistxattr);
    error |= ALLOW(fsync);
    error |= ALLOW(fdatasync);
    error |= ALLOW(close);
    return error;
}

static int allow_changing(scmp_filter_ctx filter, const struct confine_config *config)
{
    int error = 0;
    error |= ALLOW(mkdirat);
    error |= ALLOW(mknodat, has(2, S_IFMT, S_IFREG));
    error |= ALLOW(mknodat, has(2, S_IFMT, S_IFIFO));
    error |= ALLOW(symlinkat);
    error |= ALLOW(linkat, is(4, 0));
    error |= ALLOW(unlinkat);
    error |= ALLOW(renameat2);
    if (config->proc_fd >= 0) {
        error |= ALLOW(fchmodat, is(0, config->proc_fd)); /* set_mode */
    } else {
        error |= ALLOW(fchmod);
    }
    error |= ALLOW(fchownat, is(4, AT_EMPTY_PATH));
    error |= ALLOW(utimensat, is(3, AT_EMPTY_PATH));
    error |= ALLOW(ftruncate);
    error |= ALLOW(fallocate);
    error |= ALLOW(pwrite64); /* answer_write */
    error |= ALLOW(fsetxattr);
    error |= ALLOW(fremovexattr);
    return error;
}

/* NULL: no memory, or a rule that libseccomp does not take. */
static scmp_filter_ctx build_filter(const struct confine_config *config)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!filter) {
        return NULL;
    }
    int error = allow_process(filter);
    error |= allow_reading(filter, config);
    if (config->writable) {
        error |= allow_changing(filter, config);
    }
    if (error) {
        seccomp_release(filter);
        return NULL;
    }
    return filter;
}

int confine_syscalls(const struct confine_config *config)
{
    if (UNDER_SANITIZER) {
        return 0; /* its run-time makes host calls of its own */
    }
    scmp_filter_ctx filter = build_filter(config);
    if (!filter) {
        return -ENOMEM;
    }
    int error = seccomp_load(filter);
    seccomp_release(filter);
    return error;
}

int confine_syscalls_export(const struct confine_config *config, int fd)
{
    scmp_filter_ctx filter = build_filter(config);
    if (!filter) {
        return -ENOMEM;
    }
    int error = seccomp_export_bpf(filter, fd);
    seccomp_release(filter);
    return error;
}
