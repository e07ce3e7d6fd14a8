/*
 * sched.c: scheduling: affinity, policy, priority, yield, getcpu.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/resource.h>

TEST_CASE(affinity)
{
    cpu_set_t set;
    cpu_set_t again;
    CPU_ZERO(&set);
    CHECK_OK(sched_getaffinity(0, sizeof(set), &set));
    int count = CPU_COUNT(&set);
    CHECK(count >= 1);
    CHECK_EQ(sysconf(_SC_NPROCESSORS_ONLN) >= 1, 1);
    CHECK_OK(sched_setaffinity(0, sizeof(set), &set));
    int first = 0;
    while (!CPU_ISSET(first, &set)) {
        first++;
    }
    CPU_ZERO(&set);
    CPU_SET(first, &set);
    CHECK_OK(sched_setaffinity(0, sizeof(set), &set));
    CHECK_OK(sched_getaffinity(0, sizeof(again), &again));
    CHECK_EQ(CPU_COUNT(&again), 1);
    CHECK(CPU_ISSET(first, &again));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(sched_getaffinity(0, sizeof(again), &again));
        CHECK_EQ(CPU_COUNT(&again), 1);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(affinity_errors)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CHECK_ERRNO(sched_setaffinity(0, sizeof(set), &set), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, 1, &set), EINVAL);
    CHECK_ERRNO(sched_getaffinity(1 << 21, sizeof(set), &set), ESRCH);
    CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, sizeof(set), guest_bad()), EFAULT);
    CHECK(syscall(SYS_sched_getaffinity, 0, sizeof(set), &set) % 8 == 0);
}

TEST_CASE(policy)
{
    struct sched_param p = {99};
    CHECK_EQ(sched_getscheduler(0), SCHED_OTHER);
    CHECK_OK(sched_getparam(0, &p));
    CHECK_EQ(p.sched_priority, 0);
    CHECK_OK(sched_setscheduler(0, SCHED_BATCH, &p));
    CHECK_EQ(sched_getscheduler(0), SCHED_BATCH);
    CHECK_OK(sched_setscheduler(0, SCHED_OTHER, &p));
    p.sched_priority = 1;
    CHECK_ERRNO(sched_setscheduler(0, SCHED_OTHER, &p), EINVAL);
    p.sched_priority = 0;
    CHECK_ERRNO(sched_setscheduler(0, 99, &p), EINVAL);
    CHECK_ERRNO(sched_setscheduler(-1, SCHED_OTHER, &p), EINVAL);
    CHECK_ERRNO(sched_getscheduler(1 << 21), ESRCH);
    CHECK_EQ(sched_get_priority_max(SCHED_FIFO), 99);
    CHECK_EQ(sched_get_priority_min(SCHED_FIFO), 1);
    CHECK_EQ(sched_get_priority_max(SCHED_OTHER), 0);
    CHECK_ERRNO(sched_get_priority_max(99), EINVAL);
    struct timespec interval;
    CHECK_OK(sched_rr_get_interval(0, &interval));
}

TEST_CASE(priority)
{
    int before = getpriority(PRIO_PROCESS, 0);
    CHECK_OK(setpriority(PRIO_PROCESS, 0, before + 1));
    CHECK_EQ(getpriority(PRIO_PROCESS, 0), before + 1);
    CHECK_EQ(syscall(SYS_getpriority, PRIO_PROCESS, 0), 20 - (before + 1));
    CHECK_OK(setpriority(PRIO_PROCESS, 0, 100));
    CHECK_EQ(getpriority(PRIO_PROCESS, 0), 19);
    if (!guest_has_cap(23 /* CAP_SYS_NICE */)) {
        struct rlimit limit;
        CHECK_OK(getrlimit(RLIMIT_NICE, &limit));
        if (limit.rlim_cur == 0) {
            CHECK_ERRNO(setpriority(PRIO_PROCESS, 0, 0), EACCES);
        }
    }
    CHECK_ERRNO(setpriority(99, 0, 0), EINVAL);
    CHECK_ERRNO(setpriority(PRIO_PROCESS, 1 << 21, 0), ESRCH);
}

TEST_CASE(yield_and_getcpu)
{
    unsigned cpu = 9999;
    unsigned node = 9999;
    cpu_set_t set;
    CHECK_OK(sched_getaffinity(0, sizeof(set), &set));
    for (int i = 0; i < 100; i++) {
        CHECK_OK(sched_yield());
    }
    CHECK_OK(getcpu(&cpu, &node));
    CHECK(cpu < CPU_SETSIZE && CPU_ISSET(cpu, &set));
    CHECK(node < 1024);
    CHECK_OK(syscall(SYS_getcpu, &cpu, NULL, NULL));
    CHECK_OK(syscall(SYS_getcpu, NULL, NULL, NULL));
    CHECK(CPU_ISSET(cpu, &set));
}

TEST_CASE(io_priority)
{
    long value = syscall(SYS_ioprio_get, 1, 0);
    if (value < 0 && errno == ENOSYS) {
        SKIP("no ioprio_get");
    }
    CHECK_OK(value);
    CHECK_OK(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 5));
    CHECK_EQ(syscall(SYS_ioprio_get, 1, 0), 2 << 13 | 5);
    CHECK_ERRNO(syscall(SYS_ioprio_get, 99, 0), EINVAL);
}

TEST_CASE(reset_on_fork)
{
    struct sched_param param = {.sched_priority = 10};
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) != 0) {
        CHECK_EQ(errno, EPERM);
        SKIP("no right to real-time scheduling");
    }
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_EQ(sched_getscheduler(0), SCHED_OTHER);
        CHECK_OK(sched_getparam(0, &param));
        CHECK_EQ(param.sched_priority, 0);
        _exit(0);
    }
    CHECK_CHILD_OK(child);
    CHECK_EQ(sched_getscheduler(0), SCHED_FIFO | SCHED_RESET_ON_FORK);
}

struct deadline_attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

TEST_CASE(deadline)
{
    struct deadline_attr attr = {.size = sizeof(attr),
                                 .policy = 6 /* SCHED_DEADLINE */,
                                 .runtime = 10000000,
                                 .deadline = 30000000,
                                 .period = 30000000};
    struct deadline_attr got;
    attr.runtime = 40000000;
    CHECK_ERRNO(syscall(SYS_sched_setattr, 0, &attr, 0), EINVAL);
    attr.runtime = 10000000;
    if (syscall(SYS_sched_setattr, 0, &attr, 0) != 0) {
        CHECK(errno == EPERM || errno == EBUSY);
        SKIP("no right to deadline scheduling");
    }
    CHECK_OK(syscall(SYS_sched_getattr, 0, &got, sizeof(got), 0));
    CHECK_EQ(got.policy, 6);
    CHECK_EQ(got.runtime, 10000000);
    CHECK_EQ(got.period, 30000000);
}
