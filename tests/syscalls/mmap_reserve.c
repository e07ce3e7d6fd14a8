/*
 * mmap_reserve.c: huge reservations, guard pages and growth inside them.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/mman.h>

#define TERABYTE (1ULL << 40)

TEST_CASE(one_terabyte_without_access)
{
    char *p = mmap(NULL, TERABYTE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK_OK(mprotect(p + TERABYTE / 2, 65536, PROT_READ | PROT_WRITE));
    p[TERABYTE / 2] = 1;
    p[TERABYTE / 2 + 65535] = 2;
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(p[TERABYTE / 2], 1);
        ((volatile char *)p)[TERABYTE / 2 + 65536] = 1;
        _exit(0);
    }
    CHECK_CHILD_SIGNAL(pid, SIGSEGV);
    CHECK_OK(munmap(p, TERABYTE));
}

TEST_CASE(guard_pages_around_a_stack)
{
    char *p = mmap(NULL, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK_OK(mprotect(p + 4096, 4096, PROT_READ | PROT_WRITE));
    memset(p + 4096, 1, 4096);
    for (int i = 0; i < 2; i++) {
        pid_t pid = guest_fork();
        if (pid == 0) {
            ((volatile char *)p)[i ? 8192 : 4095] = 1;
            _exit(0);
        }
        CHECK_CHILD_SIGNAL(pid, SIGSEGV);
    }
}

TEST_CASE(large_sparse_use)
{
    size_t size = 8ULL << 30;
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    CHECK(p != MAP_FAILED);
    for (size_t at = 0; at < size; at += size / 64) {
        p[at] = (char)(at >> 27);
    }
    for (size_t at = 0; at < size; at += size / 64) {
        CHECK_EQ(p[at], (char)(at >> 27));
        CHECK_EQ(p[at + 5000], 0);
    }
}

TEST_CASE(reservation_can_be_replaced_piecewise)
{
    size_t size = 64UL << 20;
    char *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(p != MAP_FAILED);
    for (size_t at = 0; at < size; at += 1 << 20) {
        CHECK(mmap(p + at, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                   -1, 0) == p + at);
        p[at] = 1;
    }
    CHECK_OK(madvise(p, 65536, MADV_DONTNEED));
    CHECK_EQ(p[0], 0);
    CHECK_OK(munmap(p, size));
}

TEST_CASE(grows_down)
{
    char *p = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK_OK(munmap(p, 64 * 4096));
    char *top = mmap(p + 60 * 4096, 4 * 4096, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
    CHECK(top == p + 60 * 4096);
    top[0] = 1;
    CHECK_EQ(top[0], 1);
}
