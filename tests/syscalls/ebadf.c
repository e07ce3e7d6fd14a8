/*
 * ebadf.c: a closed descriptor gives EBADF: a table over the calls that take one.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/socket.h>

static long scratch[64];

TEST_CASE(every_call)
{
    const long b = (long)scratch;
    const struct {
        const char *name;
        long number;
        long second;
        long third;
        long fourth;
        long fifth;
    } rows[] = {
        {"read", SYS_read, b, 1, 0, 0},
        {"write", SYS_write, b, 1, 0, 0},
        {"pread64", SYS_pread64, b, 1, 0, 0},
        {"pwrite64", SYS_pwrite64, b, 1, 0, 0},
        {"readv", SYS_readv, b, 0, 0, 0},
        {"writev", SYS_writev, b, 0, 0, 0},
        {"lseek", SYS_lseek, 0, 0, 0, 0},
        {"fstat", SYS_fstat, b, 0, 0, 0},
        {"fstatfs", SYS_fstatfs, b, 0, 0, 0},
        {"fsync", SYS_fsync, 0, 0, 0, 0},
        {"fdatasync", SYS_fdatasync, 0, 0, 0, 0},
        {"syncfs", SYS_syncfs, 0, 0, 0, 0},
        {"ftruncate", SYS_ftruncate, 0, 0, 0, 0},
        {"fallocate", SYS_fallocate, 0, 0, 1, 0},
        {"fchmod", SYS_fchmod, 0644, 0, 0, 0},
        {"fchown", SYS_fchown, -1, -1, 0, 0},
        {"fchdir", SYS_fchdir, 0, 0, 0, 0},
        {"flock", SYS_flock, 1, 0, 0, 0},
        {"fcntl", SYS_fcntl, F_GETFL, 0, 0, 0},
        {"ioctl", SYS_ioctl, 0x541b, b, 0, 0},
        {"dup", SYS_dup, 0, 0, 0, 0},
        {"dup2", SYS_dup2, 1, 0, 0, 0},
        {"close", SYS_close, 0, 0, 0, 0},
        {"getdents64", SYS_getdents64, b, 100, 0, 0},
        {"fgetxattr", SYS_fgetxattr, (long)"user.x", b, 10, 0},
        {"bind", SYS_bind, b, 16, 0, 0},
        {"connect", SYS_connect, b, 16, 0, 0},
        {"listen", SYS_listen, 1, 0, 0, 0},
        {"accept", SYS_accept, 0, 0, 0, 0},
        {"sendto", SYS_sendto, b, 1, 0, 0},
        {"recvfrom", SYS_recvfrom, b, 1, 0, 0},
        {"shutdown", SYS_shutdown, 0, 0, 0, 0},
        {"getsockname", SYS_getsockname, b, b, 0, 0},
        {"getsockopt", SYS_getsockopt, SOL_SOCKET, SO_TYPE, b, b},
        {"epoll_wait", SYS_epoll_wait, b, 1, 0, 0},
        {"timerfd_gettime", SYS_timerfd_gettime, b, 0, 0, 0},
        {"inotify_rm_watch", SYS_inotify_rm_watch, 1, 0, 0, 0},
        {"openat", SYS_openat, (long)"x", 0, 0, 0},
        {"mkdirat", SYS_mkdirat, (long)"x", 0755, 0, 0},
        {"unlinkat", SYS_unlinkat, (long)"x", 0, 0, 0},
        {"readlinkat", SYS_readlinkat, (long)"x", b, 10, 0},
        {"fchmodat", SYS_fchmodat, (long)"x", 0644, 0, 0},
        {"newfstatat", SYS_newfstatat, (long)"x", b, 0, 0},
    };
    const int bad[] = {9999, -1, INT_MAX, INT_MIN, 1023};
    scratch[0] = AF_UNIX;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
            errno = 0;
            long result = syscall(rows[i].number, (long)bad[n], rows[i].second, rows[i].third,
                                  rows[i].fourth, rows[i].fifth, 0L);
            if (result != -1 || (errno != EBADF && errno != ENOSYS)) {
                FAIL("%s of %d: %ld, errno %d", rows[i].name, bad[n], result, errno);
            }
        }
    }
}

TEST_CASE(upper_half_of_the_register_is_ignored)
{
    int ends[2];
    CHECK_OK(pipe(ends));
    long fd = (long)ends[1] | 0x7700000000L;
    CHECK_EQ(syscall(SYS_write, fd, "x", 1L), 1);
    CHECK_EQ(syscall(SYS_fcntl, (long)ends[0] | 0x100000000L, F_GETFD), 0);
}
