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
#include "platform/platform.h"
#include "platform/host/notify.h"

/* A call that is allowed, with any arguments or when one of them has a value: rows of the same call
 * are alternatives. */
struct call_rule {
    int call;
    enum argument_check { ANY, EQUAL, MASKED } check;
    unsigned argument;
    uint64_t value, mask;
};

#define ALLOW(name)                                                                                \
    {                                                                                              \
        SCMP_SYS(name), ANY, 0, 0, 0                                                               \
    }
#define ALLOW_EQUAL(name, argument, value)                                                         \
    {                                                                                              \
        SCMP_SYS(name), EQUAL, argument, value, 0                                                  \
    }
#define ALLOW_MASKED(name, argument, mask, value)                                                  \
    {                                                                                              \
        SCMP_SYS(name), MASKED, argument, value, mask                                              \
    }

#define THREAD_FLAGS (CLONE_VM | CLONE_THREAD | CLONE_SIGHAND)
#define SPACE_FLAGS  (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET)

/* They act on descriptors and memory that the sentry has already, and on its stubs. */
static const struct call_rule rules[] = {
    /* files, streams and sockets that were handed over */
    ALLOW(write),
    ALLOW(preadv2),
    ALLOW(pwritev2),
    ALLOW(pwrite64),
    ALLOW(lseek),
    ALLOW(fstat) /* or, depending on the libc: */,
    ALLOW_EQUAL(newfstatat, 3, AT_EMPTY_PATH),
    ALLOW(ftruncate),
    ALLOW(fallocate),
    ALLOW(fsync),
    ALLOW(fdatasync),
    ALLOW(close),
    ALLOW(poll),
    ALLOW(sendmsg),
    ALLOW(recvmsg),
    ALLOW(memfd_create),
    ALLOW(epoll_ctl),
    ALLOW(epoll_wait),
    ALLOW_EQUAL(socketpair, 0, AF_UNIX),
    ALLOW_EQUAL(setsockopt, 1, SOL_SOCKET),
    ALLOW_EQUAL(ioctl, 1, FIONREAD),
    ALLOW_EQUAL(ioctl, 1, SIOCOUTQ),
    ALLOW_EQUAL(ioctl, 1, SECCOMP_IOCTL_NOTIF_RECV),
    ALLOW_EQUAL(ioctl, 1, SECCOMP_IOCTL_NOTIF_SEND),
    ALLOW_EQUAL(ioctl, 1, SECCOMP_IOCTL_NOTIF_ID_VALID),
    ALLOW_EQUAL(ioctl, 1, SECCOMP_IOCTL_NOTIF_SET_FLAGS),
    ALLOW_EQUAL(fcntl, 1, F_DUPFD_CLOEXEC),
    ALLOW_EQUAL(fcntl, 1, F_ADD_SEALS),
    /* its own memory and threads */
    ALLOW_MASKED(mmap, 2, PROT_EXEC, 0),
    ALLOW_MASKED(mprotect, 2, PROT_EXEC, 0),
    ALLOW(brk),
    ALLOW(munmap),
    ALLOW(madvise),
    ALLOW(futex),
    ALLOW_MASKED(clone, 0, THREAD_FLAGS | SPACE_FLAGS, THREAD_FLAGS),
    ALLOW(exit),
    ALLOW(exit_group),
    ALLOW(rt_sigprocmask),
    ALLOW(rseq) /* every new thread, by libc */,
    ALLOW(gettid),
    ALLOW(sched_yield),
    ALLOW(sched_setaffinity),
    ALLOW(clock_nanosleep),
    ALLOW(restart_syscall),
    ALLOW(clock_gettime) /* where the vDSO cannot answer */,
    ALLOW(getrandom),
    /* its stubs: the host lets it reach its own children only where Yama is active */
    ALLOW(wait4),
    ALLOW(tgkill),
    ALLOW(kill),
    ALLOW(process_vm_readv),
    ALLOW(process_vm_writev),
};

/* Where the engine traces its stubs; no request writes memory of a process that is not traced, or
 * changes options of a tracer that is not us. */
static const struct call_rule tracing_rules[] = {
    ALLOW_EQUAL(ptrace, 0, PTRACE_CONT),
    ALLOW_EQUAL(ptrace, 0, PTRACE_GETREGS),
    ALLOW_EQUAL(ptrace, 0, PTRACE_SETREGS),
    ALLOW_EQUAL(ptrace, 0, PTRACE_GETSIGINFO),
    ALLOW_EQUAL(ptrace, 0, PTRACE_SEIZE),
    ALLOW_EQUAL(ptrace, 0, PTRACE_GETREGSET),
    ALLOW_EQUAL(ptrace, 0, PTRACE_SETREGSET),
    ALLOW_EQUAL(ptrace, 0, PTRACE_INTERRUPT),
    ALLOW_EQUAL(ptrace, 0, PTRACE_DETACH),
    ALLOW_EQUAL(ptrace, 0, PTRACE_PEEKDATA),
    ALLOW_EQUAL(ptrace, 0, PTRACE_POKEDATA),
    ALLOW_EQUAL(ptrace, 0, PTRACE_SETSIGMASK),
    ALLOW_EQUAL(ptrace, 0, 31) /* PTRACE_SYSEMU */,
    ALLOW_EQUAL(ptrace, 0, 32) /* PTRACE_SYSEMU_SINGLESTEP */,
};

/* Where it is told of calls by seccomp. */
static const struct call_rule listening_rules[] = {
    ALLOW_EQUAL(ioctl, 1, SECCOMP_IOCTL_NOTIF_RECV),
    ALLOW_EQUAL(ioctl, 1, SECCOMP_IOCTL_NOTIF_SEND),
    ALLOW_EQUAL(ioctl, 1, SECCOMP_IOCTL_NOTIF_ID_VALID),
    ALLOW_EQUAL(ioctl, 1, SECCOMP_IOCTL_NOTIF_SET_FLAGS),
};

/* libc tries these and can do without. */
static const struct {
    int call, error;
} refused[] = {
    {SCMP_SYS(clone3), ENOSYS} /* its flags cannot be checked */,
    {SCMP_SYS(mremap), ENOMEM} /* realloc(3) copies then */,
    {SCMP_SYS(set_robust_list), ENOSYS},
    {SCMP_SYS(sched_getaffinity), ENOSYS} /* malloc(3): the number of its arenas */,
    {SCMP_SYS(sysinfo), ENOSYS} /* qsort(3) */,
    {SCMP_SYS(getcpu), ENOSYS} /* where the vDSO cannot answer */,
    {SCMP_SYS(clock_getres), ENOSYS},
};

static int add_rules(scmp_filter_ctx filter, const struct call_rule *rule, size_t count)
{
    int result = 0;
    for (; result == 0 && count > 0; rule++, count--) {
        struct scmp_arg_cmp check = {rule->argument, SCMP_CMP_EQ, rule->value, 0};
        if (rule->check == MASKED) {
            check =
                (struct scmp_arg_cmp){rule->argument, SCMP_CMP_MASKED_EQ, rule->mask, rule->value};
        }
        result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule->call,
                                        rule->check == ANY ? 0 : 1, &check);
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
    return SCMP_ACT_TRAP;
#else
    return SCMP_ACT_KILL_PROCESS;
#endif
}

static void handle_forbidden_calls(void)
{
#ifdef STOCKADE_DEBUG_LOCKS
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = name_forbidden_call;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSYS, &action, NULL);
#endif
}

/* NULL: no memory. */
static scmp_filter_ctx build_filter(const struct platform_ops *engine)
{
    scmp_filter_ctx filter = seccomp_init(default_action());
    if (filter == NULL) {
        return NULL;
    }
    int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    ignore_result(seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2));
    result = result != 0 ? result : add_rules(filter, rules, array_size(rules));
    if (engine->traces) {
        result = result != 0 ? result : add_rules(filter, tracing_rules, array_size(tracing_rules));
    }
    if (engine->listens) {
        result =
            result != 0 ? result : add_rules(filter, listening_rules, array_size(listening_rules));
    }
    for (size_t i = 0; result == 0 && i < array_size(refused); i++) {
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO((unsigned)refused[i].error),
                                  refused[i].call, 0);
    }
    if (result != 0) {
        seccomp_release(filter);
        return NULL;
    }
    return filter;
}

int sentry_confine(const struct platform_ops *engine, char *text, size_t text_size)
{
    if (UNDER_SANITIZER) {
        return 0; /* its run-time makes host calls of its own */
    }
    handle_forbidden_calls();
    scmp_filter_ctx filter = build_filter(engine);
    int result = filter == NULL ? -ENOMEM : seccomp_load(filter); /* no_new_privs, too */
    if (filter != NULL) {
        seccomp_release(filter);
    }
    if (result != 0) {
        snprintf(text, text_size, "cannot confine the sentry: %s", strerror(-result));
    }
    return result;
}

int sentry_confine_export(const struct platform_ops *engine, int fd)
{
    scmp_filter_ctx filter = build_filter(engine);
    int result = filter == NULL ? -ENOMEM : seccomp_export_bpf(filter, fd);
    if (filter != NULL) {
        seccomp_release(filter);
    }
    return result;
}
