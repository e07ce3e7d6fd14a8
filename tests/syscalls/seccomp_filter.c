/*
 * seccomp_filter.c: seccomp in detail: modes, verdicts, threads, programs, listeners.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <ucontext.h>

#define LOAD(field)       BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(x)         BPF_STMT(BPF_RET | BPF_K, x)
#define IF_NR(nr, action) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), RETURN(action)

#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND 2
#endif

static long seccomp(unsigned op, unsigned flags, void *args)
{
    return syscall(SYS_seccomp, op, flags, args);
}

static long install(struct sock_filter *code, unsigned short count, unsigned flags)
{
    struct sock_fprog program = {count, code};
    CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    return seccomp(SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* One call gets a verdict, all others go on. */
static long install_for(unsigned nr, unsigned action, unsigned flags)
{
    struct sock_filter code[] = {LOAD(nr), IF_NR(nr, action), RETURN(SECCOMP_RET_ALLOW)};
    return install(code, 4, flags);
}

static void check_status(const char *line)
{
    char text[8192];
    guest_read_file("/proc/thread-self/status", text, sizeof(text));
    CHECK(strstr(text, line) != NULL);
}

TEST_CASE(strict_mode)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
        char c = 'x';
        syscall(SYS_write, -1, &c, 1);
        syscall(SYS_exit, 3);
    }
    CHECK_CHILD_EXIT(pid, 3);
    pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(seccomp(SECCOMP_SET_MODE_STRICT, 0, NULL));
        syscall(SYS_getpid);
        syscall(SYS_exit, 3);
    }
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
    CHECK_ERRNO(seccomp(SECCOMP_SET_MODE_STRICT, 1, NULL), EINVAL);
    CHECK_ERRNO(seccomp(SECCOMP_SET_MODE_STRICT, 0, &pid), EINVAL);
    CHECK_OK(install_for(SYS_getppid, SECCOMP_RET_ERRNO | 1, 0));
    CHECK_ERRNO(seccomp(SECCOMP_SET_MODE_STRICT, 0, NULL), EINVAL);
}

TEST_CASE(arguments)
{
    unsigned action = SECCOMP_RET_TRAP;
    struct sock_filter code[] = {RETURN(SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {1, code};
    CHECK_ERRNO(seccomp(77, 0, NULL), EINVAL);
    CHECK_OK(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action));
    CHECK_ERRNO(seccomp(SECCOMP_GET_ACTION_AVAIL, 1, &action), EINVAL);
    CHECK_ERRNO(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, guest_bad()), EFAULT);
    action = 0x12340000;
    CHECK_ERRNO(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action), EOPNOTSUPP);
    CHECK_ERRNO(seccomp(SECCOMP_SET_MODE_FILTER, 0x8000, &program), EINVAL);
    CHECK_ERRNO(seccomp(SECCOMP_SET_MODE_FILTER, 0, guest_bad()), EFAULT);
    if (!guest_has_cap(21 /* CAP_SYS_ADMIN */)) {
        CHECK_ERRNO(seccomp(SECCOMP_SET_MODE_FILTER, 0, &program), EACCES);
    }
    CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    program.filter = guest_bad();
    CHECK_ERRNO(seccomp(SECCOMP_SET_MODE_FILTER, 0, &program), EFAULT);
    CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
    CHECK_OK(install_for(SYS_getppid, SECCOMP_RET_ERRNO | 1, 0));
    CHECK_OK(install_for(SYS_getppid, SECCOMP_RET_ERRNO | 2, 0));
    CHECK_EQ(prctl(PR_GET_SECCOMP), 2);
    check_status("NoNewPrivs:\t1\nSeccomp:\t2\n");
    struct seccomp_notif_sizes sizes;
    CHECK_OK(seccomp(SECCOMP_GET_NOTIF_SIZES, 0, &sizes));
    CHECK_EQ(sizes.seccomp_notif, sizeof(struct seccomp_notif));
    CHECK_EQ(sizes.seccomp_notif_resp, sizeof(struct seccomp_notif_resp));
}

TEST_CASE(the_most_severe_wins)
{
    CHECK_OK(install_for(SYS_getppid, SECCOMP_RET_ERRNO | 7, 0));
    CHECK_OK(install_for(SYS_getppid, SECCOMP_RET_LOG, 0));
    CHECK_ERRNO(syscall(SYS_getppid), 7);
    CHECK_OK(install_for(SYS_getppid, SECCOMP_RET_ERRNO | 8, 0));
    CHECK_ERRNO(syscall(SYS_getppid), 8); /* of equals the newest */
    CHECK_OK(install_for(SYS_getpgrp, SECCOMP_RET_ERRNO | 0xffff, 0));
    CHECK_EQ(syscall(SYS_getpgrp), -1);
    CHECK_EQ(errno, 4095);
    CHECK_OK(install_for(SYS_getuid, SECCOMP_RET_ERRNO | 0, 0));
    CHECK_EQ(syscall(SYS_getuid), 0);
    CHECK_OK(install_for(SYS_gettid, SECCOMP_RET_TRACE, 0));
    CHECK_ERRNO(syscall(SYS_gettid), ENOSYS); /* nobody traces */
    CHECK_OK(install_for(4711, SECCOMP_RET_ERRNO | EXDEV, 0));
    CHECK_ERRNO(syscall(4711), EXDEV);
}

TEST_CASE(architecture_and_address)
{
    struct sock_filter code[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0),
        RETURN(SECCOMP_RET_ALLOW),
        LOAD(instruction_pointer),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xfff),
        BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    CHECK_OK(install(code, 10, 0));
    long result;
    uintptr_t after;
    __asm__ volatile("lea 1f(%%rip), %1\n\tsyscall\n1:"
                     : "=a"(result), "=&r"(after)
                     : "0"((long)SYS_getppid)
                     : "rcx", "r11", "memory");
    CHECK_EQ(-result, (long)(after & 0xfff));
}

TEST_CASE(instructions)
{
    struct sock_filter code[] = {
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0),
        RETURN(SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_LD | BPF_IMM, 100),
        BPF_STMT(BPF_ST, 3),
        BPF_STMT(BPF_LDX | BPF_IMM, 7),
        BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), /* 14 */
        BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 3), /* 42 */
        BPF_STMT(BPF_MISC | BPF_TAX, 0),
        BPF_STMT(BPF_LD | BPF_MEM, 3),
        BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0), /* 58 */
        BPF_STMT(BPF_ALU | BPF_NEG, 0),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff), /* 198 */
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 1),    /* 99 */
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_X, 0, 0, 1),
        BPF_STMT(BPF_ALU | BPF_XOR | BPF_K, 1), /* 98 */
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 4, 1, 0),
        BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1), /* 99 */
        BPF_STMT(BPF_JMP | BPF_JA, 1),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    CHECK_OK(install(code, sizeof(code) / sizeof(code[0]), 0));
    CHECK_ERRNO(syscall(SYS_getppid), 99);
}

TEST_CASE(bad_programs)
{
    struct sock_filter bad[][2] = {
        {BPF_STMT(BPF_LD | BPF_MEM, 0), RETURN(0)},           /* never stored */
        {BPF_STMT(BPF_ST, 16), RETURN(0)},                    /* no such word */
        {BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), RETURN(0)},  /* by zero */
        {BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), RETURN(0)}, /* too far */
        {BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3), RETURN(0)},  /* not for seccomp */
        {BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0), RETURN(0)},   /* half words */
        {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), RETURN(0)},   /* not aligned */
        {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), RETURN(0)},  /* behind the data */
        {BPF_STMT(BPF_JMP | BPF_JA, 1), RETURN(0)},           /* behind the end */
        {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), RETURN(0)},
        {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), RETURN(0)},
        {RETURN(0), BPF_STMT(BPF_JMP | BPF_JA, 0)},
        {{0xffff, 0, 0, 0}, RETURN(0)},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_ERRNO(install(bad[i], 2, 0), EINVAL);
    }
}

TEST_CASE(length_of_all_programs)
{
    static struct sock_filter code[4096];
    for (int i = 0; i < 4095; i++) {
        code[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, 0);
    }
    code[4095] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
    for (int i = 0; i < 7; i++) {
        CHECK_OK(install(code, 4096, 0));
    }
    CHECK_ERRNO(install(code, 4096, 0), ENOMEM);
    CHECK_ERRNO(install(code, 4097, 0), EINVAL);
}

TEST_HELPER(getppid)
{
    return syscall(SYS_getppid) == -1 && errno == EXDEV ? 0 : 1;
}

TEST_CASE(survives_exec)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(install_for(SYS_getppid, SECCOMP_RET_ERRNO | EXDEV, 0));
        execl(guest_self(), guest_self(), "--helper", "getppid", (char *)NULL);
        _exit(9);
    }
    CHECK_CHILD_OK(pid);
}

static int go[2];

static void *wait_then_call(void *unused)
{
    char c;
    (void)unused;
    CHECK_EQ(read(go[0], &c, 1), 1);
    errno = 0;
    return (void *)(intptr_t)(syscall(SYS_getppid) == -1 ? errno : 0);
}

TEST_CASE(threads_synchronised)
{
    pthread_t thread;
    void *result;
    CHECK_OK(pipe(go));
    CHECK_EQ(pthread_create(&thread, NULL, wait_then_call, NULL), 0);
    CHECK_OK(install_for(SYS_getppid, SECCOMP_RET_ERRNO | EXDEV, SECCOMP_FILTER_FLAG_TSYNC));
    CHECK_EQ(write(go[1], "x", 1), 1);
    CHECK_EQ(pthread_join(thread, &result), 0);
    CHECK_EQ((intptr_t)result, EXDEV);
}

static volatile int other_tid;

static void *own_filter(void *unused)
{
    char c;
    (void)unused;
    CHECK_OK(install_for(SYS_getpgrp, SECCOMP_RET_ERRNO | 5, 0));
    other_tid = (int)syscall(SYS_gettid);
    CHECK_EQ(read(go[0], &c, 1), 1);
    CHECK(syscall(SYS_getppid) > 0);
    return NULL;
}

TEST_CASE(threads_that_differ)
{
    pthread_t thread;
    CHECK_OK(pipe(go));
    CHECK_EQ(pthread_create(&thread, NULL, own_filter, NULL), 0);
    while (other_tid == 0) {
        guest_sleep_ms(1);
    }
    CHECK_EQ(install_for(SYS_getppid, SECCOMP_RET_ERRNO | 5, SECCOMP_FILTER_FLAG_TSYNC), other_tid);
    CHECK_ERRNO(install_for(SYS_getppid, SECCOMP_RET_ERRNO | 5,
                            SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH),
                ESRCH);
    CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
    CHECK_EQ(write(go[1], "x", 1), 1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void *killed_thread(void *unused)
{
    (void)unused;
    CHECK_OK(install_for(SYS_getppid, SECCOMP_RET_KILL_THREAD, 0));
    syscall(SYS_getppid);
    _exit(9);
}

TEST_CASE(kill_one_thread)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, killed_thread, NULL), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        _exit(4);
    }
    CHECK_CHILD_EXIT(pid, 4);
    pid = guest_fork();
    if (pid == 0) {
        killed_thread(NULL);
    }
    CHECK_CHILD_SIGNAL(pid, SIGSYS);
}

static void on_sigsys(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    CHECK_EQ(sig, SIGSYS);
    CHECK_EQ(info->si_arch, AUDIT_ARCH_X86_64);
    CHECK_EQ(uc->uc_mcontext.gregs[REG_RAX], SYS_getppid); /* as before the call */
    CHECK_EQ((uintptr_t)info->si_call_addr, uc->uc_mcontext.gregs[REG_RIP]);
    uc->uc_mcontext.gregs[REG_RAX] = 4711;
}

TEST_CASE(emulated_by_a_handler)
{
    guest_handle_info(SIGSYS, on_sigsys, 0);
    CHECK_OK(install_for(SYS_getppid, SECCOMP_RET_TRAP, 0));
    CHECK_EQ(syscall(SYS_getppid), 4711);
}

/* --- listeners --- */

static void send_fd(int socket, int fd)
{
    char control[CMSG_SPACE(sizeof(int))] = {0};
    char byte = 'f';
    struct iovec iov = {&byte, 1};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    CHECK_EQ(sendmsg(socket, &message, 0), 1);
}

static int receive_fd(int socket)
{
    char control[CMSG_SPACE(sizeof(int))];
    char byte;
    int fd;
    struct iovec iov = {&byte, 1};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    CHECK_EQ(recvmsg(socket, &message, 0), 1);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    return fd;
}

/* A child whose dup(2) calls are asked about; it does body() and ends with its result. */
static pid_t asking_child(int (*body)(void), int *ret_listener)
{
    int pair[2];
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    pid_t pid = guest_fork();
    if (pid == 0) {
        int fd = (int)CHECK_OK(
            install_for(SYS_dup, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER));
        CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
        CHECK_ERRNO(install_for(SYS_dup, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER),
                    EBUSY);
        send_fd(pair[1], fd);
        close(fd);
        _exit(body());
    }
    close(pair[1]);
    *ret_listener = receive_fd(pair[0]);
    close(pair[0]);
    return pid;
}

static int three_dups(void)
{
    CHECK_EQ(syscall(SYS_dup, 1000), 77);
    CHECK_ERRNO(syscall(SYS_dup, 1001), EXDEV);
    CHECK_ERRNO(syscall(SYS_dup, 1002), EBADF); /* goes on */
    return 0;
}

TEST_CASE(listener)
{
    int fd;
    pid_t pid = asking_child(three_dups, &fd);
    for (unsigned i = 0; i < 3; i++) {
        struct seccomp_notif call;
        struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
        CHECK_EQ(poll(&p, 1, 5000), 1);
        CHECK_EQ(p.revents, POLLIN);
        memset(&call, 0, sizeof(call));
        CHECK_OK(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &call));
        CHECK_ERRNO(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &call), EINVAL); /* not zeroed */
        CHECK_EQ(call.pid, pid);
        CHECK_EQ(call.data.nr, SYS_dup);
        CHECK_EQ(call.data.args[0], 1000 + i);
        CHECK_EQ(poll(&p, 1, 0), 1);
        CHECK_EQ(p.revents, POLLOUT);
        CHECK_OK(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &call.id));
        struct seccomp_notif_resp resp = {.id = call.id, .val = i == 0 ? 77 : 0};
        resp.error = i == 1 ? -EXDEV : 0;
        resp.flags = i == 2 ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0;
        CHECK_OK(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp));
        if (i == 0) {
            resp.id += 100;
            CHECK_ERRNO(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp), ENOENT);
            CHECK_ERRNO(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &resp.id), ENOENT);
        }
    }
    CHECK_CHILD_OK(pid);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK_EQ(p.revents, POLLHUP); /* no task has the filter any more */
}

static int dup_gone(void)
{
    CHECK_ERRNO(syscall(SYS_dup, 0), ENOSYS);
    CHECK_ERRNO(syscall(SYS_dup, 0), ENOSYS);
    return 0;
}

TEST_CASE(listener_closed)
{
    int fd;
    pid_t pid = asking_child(dup_gone, &fd);
    guest_await_readable(fd);
    close(fd);
    CHECK_CHILD_OK(pid);
}

static int dup_of_listener(void)
{
    char c = 0;
    int fd = (int)syscall(SYS_dup, 0);
    CHECK(fd > 2);
    CHECK_EQ(read(fd, &c, 1), 1);
    CHECK_EQ(c, 'p');
    fd = (int)syscall(SYS_dup, 0);
    CHECK_EQ(fd, 300);
    CHECK_EQ(read(fd, &c, 1), 1);
    return 0;
}

TEST_CASE(descriptors_for_the_caller)
{
    int fd;
    int data[2];
    pid_t pid = asking_child(dup_of_listener, &fd);
    CHECK_OK(pipe(data));
    CHECK_EQ(write(data[1], "pp", 2), 2);
    struct seccomp_notif call;
    memset(&call, 0, sizeof(call));
    CHECK_OK(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &call));
    struct seccomp_notif_addfd add = {.id = call.id, .srcfd = (uint32_t)data[0]};
    add.newfd = 5;
    CHECK_ERRNO(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add), EINVAL);
    add.newfd = 0;
    int there = (int)CHECK_OK(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add));
    struct seccomp_notif_resp resp = {.id = call.id, .val = there};
    CHECK_OK(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp));
    memset(&call, 0, sizeof(call));
    CHECK_OK(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &call));
    add = (struct seccomp_notif_addfd){.id = call.id, .srcfd = (uint32_t)data[0], .newfd = 300};
    add.flags = SECCOMP_ADDFD_FLAG_SETFD | SECCOMP_ADDFD_FLAG_SEND;
    CHECK_EQ(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add), 300);
    CHECK_CHILD_OK(pid);
}

static void nothing(int sig)
{
    (void)sig;
}

static int dup_interrupted(void)
{
    guest_handle(SIGUSR1, nothing, 0);
    CHECK_ERRNO(syscall(SYS_dup, 0), EINTR);
    return 0;
}

TEST_CASE(interrupted_call)
{
    int fd;
    pid_t pid = asking_child(dup_interrupted, &fd);
    struct seccomp_notif call;
    memset(&call, 0, sizeof(call));
    CHECK_OK(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &call));
    CHECK_OK(kill(pid, SIGUSR1));
    CHECK_CHILD_OK(pid);
    struct seccomp_notif_resp resp = {.id = call.id};
    CHECK_ERRNO(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp), ENOENT);
}
