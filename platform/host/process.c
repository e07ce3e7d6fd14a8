/*
 * process.c: signals, waiting, CPU time and affinity.
 */
#include "platform/host/process.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

pid_t host_gettid(void)
{
    return (pid_t)syscall(SYS_gettid);
}

int host_tgkill(pid_t pid, pid_t tid, int signo)
{
    return syscall(SYS_tgkill, pid, tid, signo) != 0 ? -errno : 0;
}

int host_kill(pid_t pid, int signo)
{
    return kill(pid, signo) != 0 ? -errno : 0;
}

pid_t host_wait(pid_t pid, int *ret_status)
{
    for (;;) {
        pid_t waited = waitpid(pid, ret_status, __WALL);
        if (waited >= 0) {
            return waited;
        }
        if (errno != EINTR) {
            return -errno;
        }
    }
}

int host_pidfd_open(pid_t pid)
{
    long fd = syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : (int)fd;
}

/* Linux: include/linux/posix-timers_types.h, clock ids of other processes. */
enum process_clock { PROCESS_CLOCK_PROF = 0, PROCESS_CLOCK_VIRT = 1, PROCESS_CLOCK_SCHED = 2 };

static int read_process_clock(pid_t pid, enum process_clock clock, uint64_t *ret_ns)
{
    struct timespec now;
    if (clock_gettime((clockid_t)(~(unsigned int)pid << 3 | (unsigned int)clock), &now) != 0) {
        return -errno;
    }
    *ret_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    return 0;
}

uint64_t host_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int host_process_cpu_time(pid_t pid, uint64_t *ret_user_ns, uint64_t *ret_system_ns)
{
    uint64_t total = 0;
    uint64_t sampled = 0;
    uint64_t sampled_user = 0;
    int rc = read_process_clock(pid, PROCESS_CLOCK_SCHED, &total);
    if (rc == 0) {
        rc = read_process_clock(pid, PROCESS_CLOCK_PROF, &sampled);
    }
    if (rc == 0) {
        rc = read_process_clock(pid, PROCESS_CLOCK_VIRT, &sampled_user);
    }
    if (rc != 0) {
        return rc;
    }
    /* Linux: cputime_adjust() scales the exact total by the ratio of the tick samples. */
    uint64_t user = total;
    if (sampled != 0 && sampled_user <= sampled) {
        user = (uint64_t)((unsigned __int128)total * sampled_user / sampled);
    }
    *ret_user_ns = user;
    *ret_system_ns = total - user;
    return 0;
}

int host_get_affinity(pid_t tid, void *mask, size_t mask_size)
{
    memset(mask, 0, mask_size);
    return syscall(SYS_sched_getaffinity, tid, mask_size, mask) < 0 ? -errno : 0;
}

int host_set_affinity(pid_t tid, const void *mask, size_t mask_size)
{
    return syscall(SYS_sched_setaffinity, tid, mask_size, mask) < 0 ? -errno : 0;
}
