/*
 * efault.c: an invalid pointer gives EFAULT, never a crash: a table over the common calls.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Arguments: P stands for the bad pointer, the rest are numbers. */
#define P (-0x7007L)

struct row {
    const char *name;
    long number;
    long arguments[6];
};

static int file;
static int ends[2];
static int pair[2];
static int epoll;
static int directory;

static void check(const struct row *row, void *bad)
{
    long a[6];
    for (int i = 0; i < 6; i++) {
        a[i] = row->arguments[i] == P ? (long)bad : row->arguments[i];
    }
    errno = 0;
    long result = syscall(row->number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (result == -1 && errno == ENOSYS) {
        return;
    }
    if (result != -1 || errno != EFAULT) {
        FAIL("%s with pointer %p: %ld, errno %d", row->name, bad, result, errno);
    }
}

static void check_all(const struct row *rows, size_t count)
{
    char *inaccessible = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *bad[] = {guest_bad(),
                   inaccessible,
                   guest_page_end(),
                   (void *)0x8000000000000000UL,
                   (void *)0xffffffffffffff00UL,
                   (void *)0x7ffffffff000UL};
    CHECK(inaccessible != MAP_FAILED);
    for (size_t i = 0; i < count; i++) {
        for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
            check(&rows[i], bad[n]);
        }
    }
}

static void setup(void)
{
    guest_write_file("f", "0123456789");
    file = (int)CHECK_OK(open("f", O_RDWR));
    directory = (int)CHECK_OK(open(".", O_RDONLY));
    CHECK_OK(pipe2(ends, O_NONBLOCK));
    CHECK_EQ(write(ends[1], "data", 4), 4);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    CHECK_EQ(write(pair[1], "data", 4), 4);
    epoll = (int)CHECK_OK(epoll_create1(0));
    struct epoll_event event = {.events = EPOLLIN};
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event));
}

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

TEST_CASE(paths)
{
    setup();
    const struct row rows[] = {
        {"open", SYS_open, {P, O_RDONLY}},
        {"openat", SYS_openat, {AT_FDCWD, P, O_RDONLY}},
        {"creat", SYS_creat, {P, 0644}},
        {"stat", SYS_stat, {P, (long)&file}},
        {"lstat", SYS_lstat, {P, (long)&file}},
        {"access", SYS_access, {P, F_OK}},
        {"faccessat", SYS_faccessat, {AT_FDCWD, P, F_OK}},
        {"chdir", SYS_chdir, {P}},
        {"mkdir", SYS_mkdir, {P, 0755}},
        {"mkdirat", SYS_mkdirat, {AT_FDCWD, P, 0755}},
        {"rmdir", SYS_rmdir, {P}},
        {"unlink", SYS_unlink, {P}},
        {"unlinkat", SYS_unlinkat, {AT_FDCWD, P, 0}},
        {"rename old", SYS_rename, {P, (long)"x"}},
        {"rename new", SYS_rename, {(long)"f", P}},
        {"renameat2", SYS_renameat2, {AT_FDCWD, (long)"f", AT_FDCWD, P, 0}},
        {"link old", SYS_link, {P, (long)"x"}},
        {"link new", SYS_link, {(long)"f", P}},
        {"symlink target", SYS_symlink, {P, (long)"x"}},
        {"symlink name", SYS_symlink, {(long)"f", P}},
        {"readlink", SYS_readlink, {P, (long)&file, 4}},
        {"chmod", SYS_chmod, {P, 0644}},
        {"chown", SYS_chown, {P, -1, -1}},
        {"lchown", SYS_lchown, {P, -1, -1}},
        {"truncate", SYS_truncate, {P, 0}},
        {"statfs", SYS_statfs, {P, (long)&file}},
        {"utimensat", SYS_utimensat, {AT_FDCWD, (long)"f", P, 0}},
        {"mknod", SYS_mknod, {P, S_IFREG | 0644, 0}},
        {"statx", SYS_statx, {AT_FDCWD, P, 0, 0x7ff, (long)&file}},
        {"execve", SYS_execve, {P, 0, 0}},
        {"inotify_add_watch", SYS_inotify_add_watch, {syscall(SYS_inotify_init1, 0), P, 2}},
        {"getxattr", SYS_getxattr, {P, (long)"user.x", 0, 0}},
        {"memfd_create", SYS_memfd_create, {P, 0}},
    };
    check_all(rows, COUNT(rows));
}

TEST_CASE(buffers)
{
    setup();
    const struct row rows[] = {
        {"read file", SYS_read, {file, P, 10}},
        {"read pipe", SYS_read, {ends[0], P, 4}},
        {"read socket", SYS_read, {pair[0], P, 4}},
        {"write file", SYS_write, {file, P, 10}},
        {"write pipe", SYS_write, {ends[1], P, 10}},
        {"write socket", SYS_write, {pair[0], P, 10}},
        {"pread64", SYS_pread64, {file, P, 10, 0}},
        {"pwrite64", SYS_pwrite64, {file, P, 10, 0}},
        {"readv", SYS_readv, {file, P, 1}},
        {"writev", SYS_writev, {file, P, 1}},
        {"preadv", SYS_preadv, {file, P, 1, 0}},
        {"getdents64", SYS_getdents64, {directory, P, 1000}},
        {"getcwd", SYS_getcwd, {P, 1000}},
        {"getrandom", SYS_getrandom, {P, 10, 0}},
        {"recvfrom", SYS_recvfrom, {pair[0], P, 4, 0, 0, 0}},
        {"sendto", SYS_sendto, {pair[0], P, 4, 0, 0, 0}},
        {"recvmsg", SYS_recvmsg, {pair[0], P, 0}},
        {"sendmsg", SYS_sendmsg, {pair[0], P, 0}},
        {"sendmmsg", SYS_sendmmsg, {pair[0], P, 1, 0}},
        {"process_vm_readv", SYS_process_vm_readv, {getpid(), P, 1, (long)&file, 1, 0}},
    };
    check_all(rows, COUNT(rows));
}

TEST_CASE(structures_out)
{
    setup();
    const struct row rows[] = {
        {"fstat", SYS_fstat, {file, P}},
        {"stat", SYS_stat, {(long)"f", P}},
        {"newfstatat", SYS_newfstatat, {AT_FDCWD, (long)"f", P, 0}},
        {"fstatfs", SYS_fstatfs, {file, P}},
        {"pipe", SYS_pipe, {P}},
        {"pipe2", SYS_pipe2, {P, 0}},
        {"socketpair", SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, P}},
        {"uname", SYS_uname, {P}},
        {"sysinfo", SYS_sysinfo, {P}},
        {"times", SYS_times, {P}},
        {"getrusage", SYS_getrusage, {0, P}},
        {"getrlimit", SYS_getrlimit, {0, P}},
        {"prlimit64", SYS_prlimit64, {0, 0, 0, P}},
        {"clock_gettime", SYS_clock_gettime, {CLOCK_PROCESS_CPUTIME_ID, P}},
        {"clock_getres", SYS_clock_getres, {CLOCK_REALTIME, P}},
        {"getitimer", SYS_getitimer, {0, P}},
        {"timer_create", SYS_timer_create, {CLOCK_REALTIME, 0, P}},
        {"sigaltstack", SYS_sigaltstack, {0, P}},
        {"rt_sigpending", SYS_rt_sigpending, {P, 8}},
        {"rt_sigprocmask", SYS_rt_sigprocmask, {0, 0, P, 8}},
        {"rt_sigaction", SYS_rt_sigaction, {SIGUSR1, 0, P, 8}},
        {"getresuid", SYS_getresuid, {P, (long)&file, (long)&file}},
        {"getresgid", SYS_getresgid, {P, (long)&file, (long)&file}},
        {"sched_getaffinity", SYS_sched_getaffinity, {0, 128, P}},
        {"sched_getparam", SYS_sched_getparam, {0, P}},
        {"getsockname", SYS_getsockname, {pair[0], P, P}},
        {"getsockopt", SYS_getsockopt, {pair[0], SOL_SOCKET, SO_TYPE, P, P}},
        {"epoll_wait", SYS_epoll_wait, {epoll, P, 1, 0}},
        {"capget", SYS_capget, {P, 0}},
        {"arch_prctl", SYS_arch_prctl, {0x1003, P}},
        {"ioctl FIONREAD", SYS_ioctl, {ends[0], 0x541b, P}},
        {"fcntl F_GETLK", SYS_fcntl, {file, F_GETLK, P}},
        {"getcpu", SYS_getcpu, {P, 0, 0}},
    };
    check_all(rows, COUNT(rows));
}

TEST_CASE(structures_in)
{
    setup();
    const struct row rows[] = {
        {"nanosleep", SYS_nanosleep, {P, 0}},
        {"clock_nanosleep", SYS_clock_nanosleep, {CLOCK_REALTIME, 0, P, 0}},
        {"setitimer", SYS_setitimer, {0, P, 0}},
        {"rt_sigaction", SYS_rt_sigaction, {SIGUSR1, P, 0, 8}},
        {"rt_sigprocmask", SYS_rt_sigprocmask, {0, P, 0, 8}},
        {"rt_sigsuspend", SYS_rt_sigsuspend, {P, 8}},
        {"rt_sigtimedwait", SYS_rt_sigtimedwait, {P, 0, 0, 8}},
        {"rt_sigqueueinfo", SYS_rt_sigqueueinfo, {getpid(), SIGUSR1, P}},
        {"sigaltstack", SYS_sigaltstack, {P, 0}},
        {"futex wait", SYS_futex, {P, FUTEX_WAIT, 0, 0, 0, 0}},
        {"poll", SYS_poll, {P, 1, 0}},
        {"ppoll", SYS_ppoll, {0, 0, P, 0, 8}},
        {"select", SYS_select, {1, P, 0, 0, 0}},
        {"pselect6", SYS_pselect6, {0, 0, 0, 0, P, 0}},
        {"epoll_ctl", SYS_epoll_ctl, {epoll, EPOLL_CTL_ADD, ends[1], P}},
        {"bind", SYS_bind, {socket(AF_UNIX, SOCK_STREAM, 0), P, 20}},
        {"connect", SYS_connect, {socket(AF_UNIX, SOCK_STREAM, 0), P, 20}},
        {"setsockopt", SYS_setsockopt, {pair[0], SOL_SOCKET, SO_KEEPALIVE, P, 4}},
        {"setrlimit", SYS_setrlimit, {RLIMIT_CORE, P}},
        {"signalfd4", SYS_signalfd4, {-1, P, 8, 0}},
        {"fcntl F_SETLK", SYS_fcntl, {file, F_SETLK, P}},
        {"sendfile", SYS_sendfile, {ends[1], file, P, 4}},
        {"splice", SYS_splice, {file, P, ends[1], 0, 4, 0}},
        {"clone3", SYS_clone3, {P, 88}},
        {"openat2", SYS_openat2, {AT_FDCWD, (long)"f", P, 24}},
        {"sched_setaffinity", SYS_sched_setaffinity, {0, 8, P}},
        {"prctl PR_SET_NAME", SYS_prctl, {15, P}},
    };
    check_all(rows, COUNT(rows));
}

TEST_CASE(wait_status_pointer)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        _exit(3);
    }
    CHECK_ERRNO(syscall(SYS_wait4, pid, guest_bad(), 0, NULL), EFAULT);
    CHECK_ERRNO(waitpid(pid, NULL, 0), ECHILD); /* Linux: the child is gone all the same */
}
