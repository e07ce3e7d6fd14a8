/*
 * mmap_anonymous.c: anonymous mappings: contents, sharing with children, errors.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/mman.h>

static char *map(size_t size, int prot, int flags)
{
    char *p = mmap(NULL, size, prot, flags | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

TEST_CASE(zeroed_and_page_aligned)
{
    char *p = map(10000, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    CHECK_EQ((uintptr_t)p & 4095, 0);
    for (int i = 0; i < 12288; i++) {
        CHECK_EQ(p[i], 0);
    }
    p[12287] = 1; /* the last page is whole */
    CHECK_OK(munmap(p, 10000));
}

TEST_CASE(private_is_copied_by_fork)
{
    char *p = map(4096, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    p[0] = 'a';
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(p[0], 'a');
        p[0] = 'b';
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ(p[0], 'a');
}

TEST_CASE(shared_is_shared_by_fork)
{
    char *p = map(4096, PROT_READ | PROT_WRITE, MAP_SHARED);
    pid_t pid = guest_fork();
    if (pid == 0) {
        pid_t inner = guest_fork();
        if (inner == 0) {
            p[0] = 'c';
            _exit(0);
        }
        CHECK_CHILD_OK(inner);
        p[1] = 'd';
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK(p[0] == 'c' && p[1] == 'd');
}

TEST_CASE(freed_memory_faults)
{
    char *p = map(12288, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    CHECK_OK(munmap(p + 4096, 4096));
    p[0] = p[8192] = 1;
    pid_t pid = guest_fork();
    if (pid == 0) {
        ((volatile char *)p)[4096] = 1;
        _exit(0);
    }
    CHECK_CHILD_SIGNAL(pid, SIGSEGV);
}

TEST_CASE(errors)
{
    CHECK_ERRNO(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERRNO(mmap(NULL, 1ULL << 62, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
    CHECK_ERRNO(mmap(NULL, (size_t)-1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
    CHECK_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, -1, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 1), EINVAL);
    CHECK_ERRNO(munmap((void *)1, 4096), EINVAL);
    CHECK_ERRNO(munmap((void *)4096, 0), EINVAL);
    CHECK_OK(munmap((void *)(16UL << 30), 4096)); /* nothing there: fine */
}

TEST_CASE(hint_is_used_if_free)
{
    char *p = map(4096 * 16, PROT_NONE, MAP_PRIVATE);
    CHECK_OK(munmap(p, 4096 * 16));
    char *q = mmap(p + 4096, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(q == p + 4096);
    char *r = mmap(p + 4096, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(r != MAP_FAILED && r != q);
}

TEST_CASE(flags_that_change_nothing_visible)
{
    char *p = map(65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_POPULATE);
    p[65535] = 1;
    p = map(65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE | MAP_STACK);
    p[0] = 1;
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK((uintptr_t)p < (1UL << 32));
}

TEST_CASE(many_small_mappings)
{
    static char *pages[500];
    for (int i = 0; i < 500; i++) {
        pages[i] = map(4096, i % 2 ? PROT_READ | PROT_WRITE : PROT_READ, MAP_PRIVATE);
        if (i % 2) {
            pages[i][0] = (char)i;
        }
    }
    for (int i = 1; i < 500; i += 2) {
        CHECK_EQ(pages[i][0], (char)i);
        CHECK_OK(munmap(pages[i], 4096));
    }
}
