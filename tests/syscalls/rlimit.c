/*
 * rlimit.c: resource limits: get, set, raise, and effects.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/mman.h>
#include <sys/resource.h>

static struct rlimit limit;

TEST_CASE(get_and_lower)
{
    for (int i = 0; i < 16; i++) {
        CHECK_OK(getrlimit(i, &limit));
        CHECK(limit.rlim_cur <= limit.rlim_max);
    }
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = 100;
    limit.rlim_max = 200;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = 150;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    CHECK(limit.rlim_cur == 150 && limit.rlim_max == 200);
}

TEST_CASE(errors)
{
    CHECK_ERRNO(syscall(SYS_getrlimit, 16, &limit), EINVAL);
    CHECK_ERRNO(syscall(SYS_getrlimit, 0, guest_bad()), EFAULT);
    limit = (struct rlimit){200, 100};
    CHECK_ERRNO(setrlimit(RLIMIT_NOFILE, &limit), EINVAL);
    limit = (struct rlimit){100, 100};
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    if (!guest_has_cap(24 /* CAP_SYS_RESOURCE */)) {
        limit.rlim_max = 101;
        CHECK_ERRNO(setrlimit(RLIMIT_NOFILE, &limit), EPERM);
    }
}

TEST_CASE(prlimit_of_a_child)
{
    struct rlimit old;
    struct rlimit set = {55, 66};
    pid_t pid = guest_fork();
    if (pid == 0) {
        for (;;) {
            pause();
        }
    }
    CHECK_OK(prlimit(pid, RLIMIT_NOFILE, &set, &old));
    CHECK(old.rlim_cur >= 55);
    CHECK_OK(prlimit(pid, RLIMIT_NOFILE, NULL, &old));
    CHECK(old.rlim_cur == 55 && old.rlim_max == 66);
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    CHECK(limit.rlim_cur != 55);
    CHECK_ERRNO(prlimit(1 << 21, RLIMIT_NOFILE, NULL, &old), ESRCH);
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
}

TEST_CASE(inherited_by_fork_and_exec)
{
    limit = (struct rlimit){123, 124};
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    pid_t pid = guest_fork();
    if (pid == 0) {
        char *args[] = {"x", "--helper", "check_limit", NULL};
        char *env[] = {NULL};
        execve(guest_self(), args, env);
        _exit(126);
    }
    CHECK_CHILD_EXIT(pid, 12);
}

TEST_HELPER(check_limit)
{
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    return limit.rlim_cur == 123 && limit.rlim_max == 124 ? 12 : 1;
}

TEST_CASE(address_space)
{
    limit = (struct rlimit){64UL << 20, 64UL << 20};
    CHECK_OK(setrlimit(RLIMIT_AS, &limit));
    CHECK_ERRNO(mmap(NULL, 128UL << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                ENOMEM);
    char *p = mmap(NULL, 16UL << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK_ERRNO(mremap(p, 16UL << 20, 128UL << 20, MREMAP_MAYMOVE), ENOMEM);
}

TEST_CASE_SLOW(cpu_seconds)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        limit = (struct rlimit){1, 2};
        CHECK_OK(setrlimit(RLIMIT_CPU, &limit));
        volatile unsigned long n = 0;
        for (;;) {
            n++;
        }
    }
    CHECK_CHILD_SIGNAL(pid, SIGXCPU);
}

TEST_CASE(stack_is_limited)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(getrlimit(RLIMIT_STACK, &limit));
        limit.rlim_cur = 128 << 10;
        CHECK_OK(setrlimit(RLIMIT_STACK, &limit));
        volatile char *sp = __builtin_frame_address(0);
        for (long i = 0; i < 2000; i++) {
            sp[-i * 4096] = 1; /* grows down page by page until the limit */
        }
        _exit(0);
    }
    CHECK_CHILD_SIGNAL(pid, SIGSEGV);
}

TEST_CASE(stack_grows_within_the_limit)
{
    volatile char *sp = __builtin_frame_address(0);
    CHECK_OK(getrlimit(RLIMIT_STACK, &limit));
    if (limit.rlim_cur < 4 << 20) {
        SKIP("the stack is too small");
    }
    for (long i = 1; i < 700; i++) {
        sp[-i * 4096] = 1;
    }
}
