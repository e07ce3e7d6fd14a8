/*
 * confine.c: no_new_privs and a seccomp list for the launcher. A call that is not in the list gets
 * EPERM rather than death, because the launcher must always live to clean up.
 */
#include "runtime/confine.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/host/bpf.h"

static const unsigned short allowed[] = {
    /* memory and time */
    SYS_brk,
    SYS_mmap,
    SYS_munmap,
    SYS_mremap,
    SYS_mprotect,
    SYS_madvise,
    SYS_futex,
    SYS_clock_gettime,
    SYS_gettimeofday,
    SYS_clock_nanosleep,
    SYS_restart_syscall,
    SYS_sysinfo,
    SYS_getrandom,
    /* watching */
    SYS_poll,
    SYS_ppoll,
    SYS_wait4,
    SYS_waitid,
    SYS_getrusage,
    SYS_recvmsg,
    SYS_sendmsg,
    SYS_kill,
    SYS_tgkill,
    SYS_getpid,
    SYS_gettid,
    SYS_getppid,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_sched_getaffinity,
    /* files: reading /proc, saving, reporting */
    SYS_read,
    SYS_write,
    SYS_writev,
    SYS_pread64,
    SYS_lseek,
    SYS_close,
    SYS_fcntl,
    SYS_ioctl,
    SYS_openat,
    SYS_open,
    SYS_newfstatat,
    SYS_fstat,
    SYS_stat,
    SYS_lstat,
    SYS_statx,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_access,
    SYS_getdents64,
    SYS_sendfile,
    SYS_ftruncate,
    SYS_fchmod,
    SYS_utimensat,
    SYS_rename,
    SYS_renameat,
    SYS_renameat2,
    SYS_unlink,
    SYS_unlinkat,
    SYS_mkdirat,
    SYS_symlinkat,
    SYS_mknodat,
    SYS_readlink,
    SYS_fadvise64,
    /* the end */
    SYS_exit,
    SYS_exit_group,
};

static struct bpf_program *build_filter(void)
{
    static struct bpf_program program;
    program.length = 0;
    program.failed = false;
    bpf_check_abi(&program, SECCOMP_RET_KILL_PROCESS);
    for (size_t i = 0; i < array_size(allowed); i++) {
        bpf_begin_rule(&program, allowed[i]);
        bpf_end_rule(&program, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | EPERM);
    }
    bpf_return(&program, SECCOMP_RET_ERRNO | EPERM);
    return program.failed ? NULL : &program;
}

void confine_launcher(void)
{
    if (UNDER_SANITIZER || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return;
    }
    struct bpf_program *program = build_filter();
    if (program == NULL) {
        return;
    }
    struct sock_fprog filter = {.len = (unsigned short)program->length, .filter = program->code};
    ignore_result(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter));
}

int confine_launcher_export(int fd)
{
    const struct bpf_program *program = build_filter();
    if (program == NULL) {
        return -E2BIG;
    }
    const size_t size = program->length * sizeof(program->code[0]);
    return write(fd, program->code, size) == (ssize_t)size ? 0 : -EIO;
}
