/*
 * madvise.c: madvise: DONTNEED, FREE, DONTFORK, WIPEONFORK, and advice that changes nothing.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/mman.h>

static char *map(size_t pages, int flags)
{
    char *p = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    memset(p, 'v', pages * 4096);
    return p;
}

TEST_CASE(dontneed_private_is_zero_again)
{
    char *p = map(3, MAP_PRIVATE);
    CHECK_OK(madvise(p + 4096, 4096, MADV_DONTNEED));
    CHECK_EQ(p[4095], 'v');
    CHECK_EQ(p[4096], 0);
    CHECK_EQ(p[8192], 'v');
}

TEST_CASE(dontneed_shared_keeps_contents)
{
    char *p = map(1, MAP_SHARED);
    CHECK_OK(madvise(p, 4096, MADV_DONTNEED));
    CHECK_EQ(p[0], 'v');
}

TEST_CASE(dontneed_private_file_shows_the_file_again)
{
    guest_write_file("f", "contents");
    int fd = (int)CHECK_OK(open("f", O_RDONLY));
    char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(p != MAP_FAILED);
    p[0] = 'X';
    CHECK_OK(madvise(p, 4096, MADV_DONTNEED));
    CHECK_EQ(p[0], 'c');
}

TEST_CASE(free_gives_old_or_zero)
{
    char *p = map(4, MAP_PRIVATE);
    if (madvise(p, 4 * 4096, MADV_FREE) < 0) {
        CHECK_EQ(errno, EINVAL);
        SKIP("no MADV_FREE");
    }
    for (int i = 0; i < 4; i++) {
        CHECK(p[i * 4096] == 'v' || p[i * 4096] == 0);
    }
    p[0] = 'w';
    CHECK_EQ(p[0], 'w');
    char *shared = map(1, MAP_SHARED);
    CHECK_ERRNO(madvise(shared, 4096, MADV_FREE), EINVAL);
}

TEST_CASE(dontfork)
{
    char *p = map(3, MAP_PRIVATE);
    CHECK_OK(madvise(p + 4096, 4096, MADV_DONTFORK));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(p[0], 'v');
        CHECK_EQ(p[8192], 'v');
        (void)((volatile char *)p)[4096];
        _exit(0);
    }
    CHECK_CHILD_SIGNAL(pid, SIGSEGV);
    CHECK_EQ(p[4096], 'v');
    CHECK_OK(madvise(p, 3 * 4096, MADV_DOFORK));
    pid = guest_fork();
    if (pid == 0) {
        _exit(p[4096] == 'v' ? 0 : 1);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(wipeonfork)
{
    char *p = map(2, MAP_PRIVATE);
    if (madvise(p, 4096, MADV_WIPEONFORK) < 0) {
        SKIP("no MADV_WIPEONFORK");
    }
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(p[0], 0);
        CHECK_EQ(p[4096], 'v');
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ(p[0], 'v');
    char *shared = map(1, MAP_SHARED);
    CHECK_ERRNO(madvise(shared, 4096, MADV_WIPEONFORK), EINVAL);
}

TEST_CASE(harmless_advice)
{
    char *p = map(2, MAP_PRIVATE);
    const int advice[] = {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED};
    for (int i = 0; i < 4; i++) {
        CHECK_OK(madvise(p, 8192, advice[i]));
        CHECK_EQ(p[0], 'v');
    }
    CHECK(madvise(p, 8192, MADV_HUGEPAGE) == 0 || errno == EINVAL);
    CHECK(madvise(p, 8192, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
    CHECK_OK(madvise(p, 8192, MADV_DONTDUMP));
    CHECK_EQ(p[0], 'v');
}

TEST_CASE(remove_punches_a_hole)
{
    char *p = map(2, MAP_SHARED);
    CHECK_OK(madvise(p, 4096, MADV_REMOVE));
    CHECK_EQ(p[0], 0);
    CHECK_EQ(p[4096], 'v');
    char *private_map = map(1, MAP_PRIVATE);
    CHECK_ERRNO(madvise(private_map, 4096, MADV_REMOVE), EINVAL);
}

TEST_CASE(errors)
{
    char *p = map(3, MAP_PRIVATE);
    CHECK_ERRNO(madvise(p + 1, 4096, MADV_DONTNEED), EINVAL);
    CHECK_ERRNO(madvise(p, 4096, 9999), EINVAL);
    CHECK_OK(madvise(p, 0, MADV_DONTNEED));
    CHECK_OK(munmap(p + 4096, 4096));
    CHECK_ERRNO(madvise(p, 3 * 4096, MADV_DONTNEED), ENOMEM);
    CHECK_EQ(p[0], 0); /* Linux: applied to what is mapped */
    CHECK_EQ(p[8192], 0);
}
