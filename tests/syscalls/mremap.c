/*
 * mremap.c: mremap: shrink, grow in place, move, fixed, DONTUNMAP.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/mman.h>

static char *map(size_t pages)
{
    char *p = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    for (size_t i = 0; i < pages; i++) {
        p[i * 4096] = (char)('a' + i);
    }
    return p;
}

static bool faults(volatile char *address)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        (void)*address;
        _exit(0);
    }
    int status = guest_wait(pid);
    return WIFSIGNALED(status);
}

TEST_CASE(shrink)
{
    char *p = map(4);
    CHECK(mremap(p, 4 * 4096, 2 * 4096, 0) == p);
    CHECK_EQ(p[4096], 'b');
    CHECK(faults(p + 2 * 4096));
}

TEST_CASE(grow_in_place)
{
    char *p = map(8);
    CHECK_OK(munmap(p + 4 * 4096, 4 * 4096));
    CHECK(mremap(p, 4 * 4096, 6 * 4096, 0) == p);
    CHECK_EQ(p[3 * 4096], 'd');
    CHECK_EQ(p[5 * 4096], 0);
    p[6 * 4096 - 1] = 1;
}

TEST_CASE(no_room_in_place)
{
    char *p = map(4);
    CHECK_ERRNO(mremap(p, 4096, 2 * 4096, 0), ENOMEM);
    char *q = mremap(p, 4096, 100 * 4096, MREMAP_MAYMOVE);
    CHECK(q != MAP_FAILED && q != p);
    CHECK_EQ(q[0], 'a');
    CHECK_EQ(q[99 * 4096], 0);
    CHECK(faults(p));
    CHECK_EQ(p[4096], 'b');
}

TEST_CASE(fixed_destination)
{
    char *p = map(2);
    char *q = map(4);
    CHECK(mremap(p, 2 * 4096, 2 * 4096, MREMAP_MAYMOVE | MREMAP_FIXED, q + 4096) == q + 4096);
    CHECK_EQ(q[0], 'a');
    CHECK_EQ(q[4096], 'a');
    CHECK_EQ(q[2 * 4096], 'b');
    CHECK_EQ(q[3 * 4096], 'd');
    CHECK(faults(p));
}

TEST_CASE(dontunmap)
{
    char *p = map(2);
    char *q = mremap(p, 2 * 4096, 2 * 4096, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    if (q == MAP_FAILED && errno == EINVAL) {
        SKIP("no MREMAP_DONTUNMAP");
    }
    CHECK(q != MAP_FAILED && q != p);
    CHECK_EQ(q[4096], 'b');
    CHECK_EQ(p[4096], 0); /* still mapped, now empty */
    p[0] = 'n';
}

TEST_CASE(file_mapping_moves_with_its_contents)
{
    int fd = (int)CHECK_OK(open("f", O_RDWR | O_CREAT, 0644));
    CHECK_OK(ftruncate(fd, 4 * 4096));
    CHECK_EQ(pwrite(fd, "second", 6, 4096), 6);
    char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    char *q = mremap(p, 4096, 4 * 4096, MREMAP_MAYMOVE);
    CHECK(q != MAP_FAILED);
    CHECK(memcmp(q + 4096, "second", 6) == 0);
    q[0] = 'F';
    char byte;
    CHECK_EQ(pread(fd, &byte, 1, 0), 1);
    CHECK_EQ(byte, 'F');
}

TEST_CASE(duplicate_of_a_shared_mapping)
{
    int fd = (int)CHECK_OK(open("f", O_RDWR | O_CREAT, 0644));
    CHECK_OK(ftruncate(fd, 4096));
    char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    char *q = mremap(p, 0, 4096, MREMAP_MAYMOVE); /* old size 0: a second mapping */
    CHECK(q != MAP_FAILED && q != p);
    p[9] = 'z';
    CHECK_EQ(q[9], 'z');
    char *private_map = map(1);
    CHECK_ERRNO(mremap(private_map, 0, 4096, MREMAP_MAYMOVE), EINVAL);
}

TEST_CASE(errors)
{
    char *p = map(4);
    CHECK_ERRNO(mremap(p + 1, 4096, 4096, 0), EINVAL);
    CHECK_ERRNO(mremap(p, 4096, 0, 0), EINVAL);
    CHECK_ERRNO(mremap(p, 4096, 8192, 0x100), EINVAL);
    CHECK_ERRNO(mremap(p, 4096, 4096, MREMAP_FIXED, p), EINVAL);
    CHECK_ERRNO(mremap(p, 2 * 4096, 2 * 4096, MREMAP_FIXED | MREMAP_MAYMOVE, p + 4096), EINVAL);
    CHECK_OK(munmap(p, 4 * 4096));
    CHECK_ERRNO(mremap(p, 4096, 8192, MREMAP_MAYMOVE), EFAULT);
    p = map(2);
    CHECK_OK(munmap(p + 4096, 4096));
    CHECK_ERRNO(mremap(p, 8192, 16384, MREMAP_MAYMOVE), EFAULT);
}

TEST_CASE(large_move_keeps_everything)
{
    size_t pages = 2000;
    char *p = map(pages);
    char *q = mremap(p, pages * 4096, 2 * pages * 4096, MREMAP_MAYMOVE);
    CHECK(q != MAP_FAILED);
    for (size_t i = 0; i < pages; i++) {
        CHECK_EQ(q[i * 4096], (char)('a' + i));
    }
}
