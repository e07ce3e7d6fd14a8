/*
 * brk.c: the break: raw calls, growth, shrinking, zeroing, limits.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/mman.h>
#include <sys/resource.h>

static char *brk_raw(void *address)
{
    return (char *)syscall(SYS_brk, address);
}

TEST_CASE(grow_and_shrink)
{
    char *start = brk_raw(NULL);
    char *page = (char *)(((uintptr_t)start + 4095) & ~4095UL);
    CHECK(brk_raw(page + 8192) == page + 8192);
    CHECK_EQ(page[0], 0);
    page[0] = page[8191] = 'b';
    CHECK(brk_raw(page + 4096) == page + 4096);
    pid_t pid = guest_fork();
    if (pid == 0) {
        (void)((volatile char *)page)[4096];
        _exit(0);
    }
    CHECK_CHILD_SIGNAL(pid, SIGSEGV);
    CHECK_EQ(page[0], 'b');
    CHECK(brk_raw(page + 8192) == page + 8192);
    CHECK_EQ(page[8191], 0); /* fresh again */
    CHECK_EQ(page[0], 'b');
    CHECK(brk_raw(start) == start);
}

TEST_CASE(unaligned)
{
    char *start = brk_raw(NULL);
    CHECK(brk_raw(start + 12345) == start + 12345);
    start[12344] = 1;
    CHECK(brk_raw(NULL) == start + 12345);
    CHECK(brk_raw(start) == start);
}

TEST_CASE(failure_returns_the_current_break)
{
    char *start = brk_raw(NULL);
    CHECK(brk_raw((void *)16) == start);
    CHECK(brk_raw(start + (1ULL << 46)) == start);
    char *page = (char *)(((uintptr_t)start + 4095) & ~4095UL);
    void *block = mmap(page + (1 << 20), 4096, PROT_READ,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(block == page + (1 << 20));
    CHECK(brk_raw(page + (2 << 20)) == start); /* something is in the way */
    CHECK(brk_raw(page + (1 << 19)) == page + (1 << 19));
}

TEST_CASE(data_limit)
{
    struct rlimit limit = {1 << 16, 1 << 16};
    char *start = brk_raw(NULL);
    CHECK_OK(setrlimit(RLIMIT_DATA, &limit));
    CHECK(brk_raw(start + (16 << 20)) == start);
}

TEST_CASE(fork_copies_the_heap)
{
    char *start = brk_raw(NULL);
    CHECK(brk_raw(start + 65536) == start + 65536);
    start[60000] = 'h';
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK(brk_raw(NULL) == start + 65536);
        CHECK_EQ(start[60000], 'h');
        start[60000] = 'i';
        CHECK(brk_raw(start + 131072) == start + 131072);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ(start[60000], 'h');
    CHECK(brk_raw(NULL) == start + 65536);
}
