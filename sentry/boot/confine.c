/*
 * confine.c: what the sentry may still ask of the host once it has booted.
 *
 * The list below is the host attack surface of a compromised sentry: it opens, creates, connects
 * and executes nothing. Memory can never become executable, threads can be made but no processes.
 * A debug build names a forbidden call before it dies; a release build just dies.
 */
#include "sentry/boot/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <linux/sockios.h>
#include <unistd.h>

#include "platform/base/compiler.h"
#include "platform/host/notify.h"

/* Allowed with any arguments: they act on descriptors and memory that the sentry has already. */
static const int plain_calls[] = {
    /* files, streams and sockets that were handed over */
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(preadv2),
    SCMP_SYS(pwritev2),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(lseek),
    SCMP_SYS(fstat),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fallocate),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(dup),
    SCMP_SYS(close),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(recvfrom),
    SCMP_SYS(shutdown),
    SCMP_SYS(memfd_create),
    SCMP_SYS(eventfd2),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    /* its own memory and threads */
    SCMP_SYS(munmap),
    SCMP_SYS(madvise),
    SCMP_SYS(mremap),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(sched_yield),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(getcpu),
    SCMP_SYS(getrandom),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sysinfo) /* qsort(3) */,
    /* its stubs: the host lets it reach its own children only where Yama is active */
    SCMP_SYS(wait4),
    SCMP_SYS(tgkill),
    SCMP_SYS(kill),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
};

static int allow_plain(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < array_size(plain_calls); i++) {
        int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, plain_calls[i], 0);
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

/* ptrace requests of the engine; none that writes memory of an untraced process or changes options
 * of a tracer that is not us. */
static int allow_ptrace(scmp_filter_ctx filter)
{
    static const unsigned requests[] = {
        PTRACE_CONT,
        PTRACE_GETREGS,
        PTRACE_SETREGS,
        PTRACE_GETSIGINFO,
        PTRACE_SEIZE,
        PTRACE_GETREGSET,
        PTRACE_SETREGSET,
        PTRACE_INTERRUPT,
        PTRACE_DETACH,
        PTRACE_PEEKDATA,
        PTRACE_POKEDATA,
        PTRACE_SETSIGMASK,
        31 /* PTRACE_SYSEMU */,
        32 /* PTRACE_SYSEMU_SINGLESTEP */
    };
    for (size_t i = 0; i < array_size(requests); i++) {
        int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ptrace), 1,
                                      SCMP_A0(SCMP_CMP_EQ, requests[i], 0));
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

static int allow_checked(scmp_filter_ctx filter)
{
    static const unsigned long ioctls[] = {FIONREAD,
                                           SIOCOUTQ,
                                           TIOCGWINSZ,
                                           TCGETS,
                                           SECCOMP_IOCTL_NOTIF_RECV,
                                           SECCOMP_IOCTL_NOTIF_SEND,
                                           SECCOMP_IOCTL_NOTIF_ID_VALID,
                                           SECCOMP_IOCTL_NOTIF_SET_FLAGS};
    static const int fcntls[] = {F_GETFL, F_DUPFD_CLOEXEC, F_ADD_SEALS, F_GET_SEALS, F_SETFD};
    int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (result == 0) {
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    }
    /* Threads only: the exact flags of pthread_create; clone3 cannot be checked, so glibc falls
     * back. */
    if (result == 0) {
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                  SCMP_A0(SCMP_CMP_MASKED_EQ,
                                          CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_NEWUSER |
                                              CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET,
                                          CLONE_VM | CLONE_THREAD | CLONE_SIGHAND));
    }
    if (result == 0) {
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    }
    if (result == 0) {
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1,
                                  SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));
    }
    if (result == 0) {
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 1,
                                  SCMP_A1(SCMP_CMP_EQ, SOL_SOCKET, 0));
    }
    for (size_t i = 0; result == 0 && i < array_size(ioctls); i++) {
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                                  SCMP_A1(SCMP_CMP_EQ, ioctls[i], 0));
    }
    for (size_t i = 0; result == 0 && i < array_size(fcntls); i++) {
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                                  SCMP_A1(SCMP_CMP_EQ, (unsigned)fcntls[i], 0));
    }
    /* fstat by glibc: newfstatat on a descriptor with an empty path. */
    if (result == 0) {
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
                                  SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH, 0));
    }
    return result;
}

#ifdef STOCKADE_DEBUG_LOCKS
static void name_forbidden_call(int signo, siginfo_t *info, void *context)
{
    char line[80];
    (void)signo;
    (void)context;
    int length = snprintf(line, sizeof(line), "stockade: sentry: forbidden host call %d\n",
                          info->si_syscall);
    ignore_result(write(STDERR_FILENO, line, (size_t)length));
    _exit(99);
}
#endif

static uint32_t default_action(void)
{
#ifdef STOCKADE_DEBUG_LOCKS
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = name_forbidden_call;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSYS, &action, NULL);
    return SCMP_ACT_TRAP;
#else
    return SCMP_ACT_KILL_PROCESS;
#endif
}

int sentry_confine(char *text, size_t text_size)
{
    if (UNDER_SANITIZER) {
        return 0; /* its run-time makes host calls of its own */
    }
    scmp_filter_ctx filter = seccomp_init(default_action());
    int result = filter ? 0 : -ENOMEM;
    if (result == 0) {
        result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    }
    if (result == 0) {
        ignore_result(seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2));
        result = allow_plain(filter);
    }
    if (result == 0) {
        result = allow_ptrace(filter);
    }
    if (result == 0) {
        result = allow_checked(filter);
    }
    if (result == 0) {
        result = seccomp_load(filter); /* sets no_new_privs, too */
    }
    if (filter) {
        seccomp_release(filter);
    }
    if (result != 0) {
        snprintf(text, text_size, "cannot confine the sentry: %s", strerror(-result));
    }
    return result;
}
