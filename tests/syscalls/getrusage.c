/*
 * getrusage.c: resource usage of the process, its threads and its children.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/mman.h>
#include <sys/resource.h>

static struct rusage usage;

static long long microseconds(const struct rusage *u)
{
    return (u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000000LL + u->ru_utime.tv_usec +
           u->ru_stime.tv_usec;
}

static void spin(long us)
{
    struct rusage now;
    CHECK_OK(getrusage(RUSAGE_SELF, &now));
    long long end = microseconds(&now) + us;
    do {
        CHECK_OK(getrusage(RUSAGE_SELF, &now));
    } while (microseconds(&now) < end);
}

TEST_CASE(own_time_grows)
{
    CHECK_OK(getrusage(RUSAGE_SELF, &usage));
    long long before = microseconds(&usage);
    spin(50000);
    CHECK_OK(getrusage(RUSAGE_SELF, &usage));
    CHECK(microseconds(&usage) - before >= 50000);
    CHECK(usage.ru_maxrss >= 0);
}

TEST_CASE(children_count_when_waited_for)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        spin(50000);
        _exit(0);
    }
    siginfo_t info;
    CHECK_OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    CHECK_OK(getrusage(RUSAGE_CHILDREN, &usage));
    CHECK_EQ(microseconds(&usage), 0);
    CHECK_CHILD_OK(pid);
    CHECK_OK(getrusage(RUSAGE_CHILDREN, &usage));
    CHECK(microseconds(&usage) >= 40000);
}

static void *spin_thread(void *argument)
{
    struct rusage mine;
    spin(50000);
    getrusage(RUSAGE_THREAD, &mine);
    *(long long *)argument = microseconds(&mine);
    return NULL;
}

TEST_CASE(threads)
{
    pthread_t thread;
    long long time_of_thread = 0;
    CHECK_OK(getrusage(RUSAGE_THREAD, &usage));
    long long before = microseconds(&usage);
    CHECK_EQ(pthread_create(&thread, NULL, spin_thread, &time_of_thread), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(time_of_thread >= 40000);
    CHECK_OK(getrusage(RUSAGE_THREAD, &usage));
    CHECK(microseconds(&usage) - before < 40000);
    CHECK_OK(getrusage(RUSAGE_SELF, &usage));
    CHECK(microseconds(&usage) >= 50000);
}

TEST_CASE(errors)
{
    CHECK_ERRNO(syscall(SYS_getrusage, 99, &usage), EINVAL);
    CHECK_ERRNO(syscall(SYS_getrusage, RUSAGE_SELF, guest_bad()), EFAULT);
}

static long peak(int who)
{
    CHECK_OK(getrusage(who, &usage));
    return usage.ru_maxrss;
}

/* Within 4 MB: what of a program's text is there differs. */
static void expect_kb(long value, long wanted)
{
    if (value < wanted - 4096 || value > wanted + 4096) {
        FAIL("%ld KB, wanted about %ld", value, wanted);
    }
}

TEST_CASE(peak_of_resident_memory)
{
    size_t size = 128UL << 20;
    long start = peak(RUSAGE_SELF);
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    madvise(p, size, MADV_NOHUGEPAGE);
    expect_kb(peak(RUSAGE_SELF), start); /* mapped is not resident */
    for (size_t i = 0; i < size / 2; i += 4096) {
        p[i] = 1;
    }
    CHECK_OK(munmap(p, size)); /* not looked at before it goes */
    expect_kb(peak(RUSAGE_SELF), start + 64 * 1024);
    pid_t child = guest_fork();
    if (child == 0) {
        char *q = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(q != MAP_FAILED);
        madvise(q, size, MADV_NOHUGEPAGE);
        memset(q, 1, size);
        _exit(0);
    }
    int status;
    CHECK_EQ(wait4(child, &status, 0, &usage), child);
    CHECK_EQ(status, 0);
    expect_kb(usage.ru_maxrss, start + 128 * 1024);
    expect_kb(peak(RUSAGE_CHILDREN), start + 128 * 1024);
    expect_kb(peak(RUSAGE_SELF), start + 64 * 1024);
}
