/*
 * seccomp.c: seccomp filters installed by the guest itself.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#define LOAD(field)       BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(x)         BPF_STMT(BPF_RET | BPF_K, x)
#define IF_NR(nr, action) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), RETURN(action)

static void install(struct sock_filter *code, unsigned short count)
{
    struct sock_fprog program = {count, code};
    CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
        CHECK(errno == EINVAL || errno == ENOSYS);
        SKIP("no seccomp filters here");
    }
}

TEST_CASE(errno_action)
{
    struct sock_filter code[] = {LOAD(nr), IF_NR(SYS_getppid, SECCOMP_RET_ERRNO | EXDEV),
                                 RETURN(SECCOMP_RET_ALLOW)};
    install(code, 4);
    CHECK_ERRNO(syscall(SYS_getppid), EXDEV);
    CHECK(getpid() > 0);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_ERRNO(syscall(SYS_getppid), EXDEV); /* inherited */
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(kill_action)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct sock_filter code[] = {LOAD(nr), IF_NR(SYS_getppid, SECCOMP_RET_KILL_PROCESS),
                                     RETURN(SECCOMP_RET_ALLOW)};
        install(code, 4);
        syscall(SYS_getppid);
        _exit(0);
    }
    int status = guest_wait(pid);
    if (WIFEXITED(status)) {
        CHECK_EQ(WEXITSTATUS(status), 77);
        SKIP("no seccomp filters here");
    }
    CHECK_EQ(WTERMSIG(status), SIGSYS);
}

static volatile int trapped_call;
static volatile int trapped_errno;
static volatile int trapped_code;

static void on_sigsys(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    trapped_call = info->si_syscall;
    trapped_errno = info->si_errno;
    trapped_code = info->si_code;
}

TEST_CASE(trap_action)
{
    struct sock_filter code[] = {LOAD(nr), IF_NR(SYS_getppid, SECCOMP_RET_TRAP | 55),
                                 RETURN(SECCOMP_RET_ALLOW)};
    guest_handle_info(SIGSYS, on_sigsys, 0);
    install(code, 4);
    syscall(SYS_getppid);
    CHECK_EQ(trapped_call, SYS_getppid);
    CHECK_EQ(trapped_errno, 55);
    CHECK_EQ(trapped_code, 1 /* SYS_SECCOMP */);
}

TEST_CASE(arguments_are_seen)
{
    struct sock_filter code[] = {LOAD(nr),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_dup, 0, 3),
                                 LOAD(args[0]),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 1),
                                 RETURN(SECCOMP_RET_ERRNO | ENXIO),
                                 RETURN(SECCOMP_RET_ALLOW)};
    install(code, 6);
    CHECK_ERRNO(dup(1), ENXIO);
    CHECK_ERRNO(dup(9999), EBADF);
}

TEST_CASE(bad_programs)
{
    struct sock_filter no_return[] = {LOAD(nr)};
    struct sock_filter bad_load[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4096), RETURN(0)};
    struct sock_filter good[] = {RETURN(SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {0, good};
    CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK_ERRNO(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), EINVAL);
    program = (struct sock_fprog){1, no_return};
    CHECK_ERRNO(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), EINVAL);
    program = (struct sock_fprog){2, bad_load};
    CHECK_ERRNO(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), EINVAL);
    CHECK_ERRNO(prctl(PR_SET_SECCOMP, 99, NULL), EINVAL);
}
