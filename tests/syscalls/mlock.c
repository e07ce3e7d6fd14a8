/*
 * mlock.c: mlock, mlockall and their limit.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/mman.h>
#include <sys/resource.h>

static char *map(size_t size)
{
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

TEST_CASE(small_amounts)
{
    char *p = map(16384);
    if (mlock(p, 8192) < 0) {
        SKIP("locking is not allowed here");
    }
    p[0] = 1;
    CHECK_OK(munlock(p, 8192));
    CHECK_OK(mlock2(p, 4096, MLOCK_ONFAULT));
    CHECK_ERRNO(mlock2(p, 4096, 0x80), EINVAL);
    CHECK_OK(munlock(p, 16384));
}

TEST_CASE(limit_of_an_ordinary_user)
{
    struct rlimit limit = {65536, 65536};
    char *p = map(1 << 20);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(setrlimit(RLIMIT_MEMLOCK, &limit));
        if (guest_can_switch_user()) {
            guest_become_user();
        }
        if (!guest_has_cap(14 /* CAP_IPC_LOCK */)) {
            CHECK_OK(mlock(p, 32768));
            CHECK_ERRNO(mlock(p, 1 << 20), ENOMEM);
            limit.rlim_cur = limit.rlim_max = 0;
            CHECK_OK(setrlimit(RLIMIT_MEMLOCK, &limit));
            CHECK_ERRNO(mlock(p + 65536, 4096), EPERM);
        }
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(errors)
{
    char *p = map(8192);
    CHECK_OK(munmap(p + 4096, 4096));
    CHECK_ERRNO(mlock(p, 8192), ENOMEM);
    CHECK_ERRNO(munlock(p, 8192), ENOMEM);
    CHECK_ERRNO(mlockall(0), EINVAL);
    CHECK_ERRNO(mlockall(0x80), EINVAL);
    CHECK_OK(munlockall());
    CHECK_OK(mlock(p, 0));
}

TEST_CASE(pages_are_there)
{
    unsigned char resident[4];
    char *p = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK_OK(mlock(p, 3 * 4096));
    CHECK_OK(mincore(p, 4 * 4096, resident));
    CHECK_EQ(resident[0] & resident[1] & resident[2] & 1, 1);
    CHECK_EQ(resident[3] & 1, 0);
}
