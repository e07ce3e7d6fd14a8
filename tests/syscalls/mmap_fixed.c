/*
 * mmap_fixed.c: MAP_FIXED and MAP_FIXED_NOREPLACE.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/mman.h>

static char *reserve(size_t pages)
{
    char *p = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

TEST_CASE(replaces_the_middle)
{
    char *p = reserve(3);
    memset(p, 'a', 3 * 4096);
    char *q = mmap(p + 4096, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                   -1, 0);
    CHECK(q == p + 4096);
    CHECK_EQ(p[4095], 'a');
    CHECK_EQ(p[4096], 0);
    CHECK_EQ(p[8191], 0);
    CHECK_EQ(p[8192], 'a');
}

TEST_CASE(over_several_mappings)
{
    char *p = reserve(6);
    CHECK_OK(mprotect(p + 4096, 4096, PROT_READ));
    CHECK_OK(munmap(p + 2 * 4096, 4096));
    guest_write_file("f", "file");
    int fd = (int)CHECK_OK(open("f", O_RDONLY));
    char *q = mmap(p, 5 * 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
    CHECK(q == p);
    CHECK(memcmp(p, "file", 4) == 0);
    p[5 * 4096] = 'x';
}

TEST_CASE(noreplace)
{
    char *p = reserve(4);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    CHECK_ERRNO(mmap(p + 4096, 4096, PROT_READ, flags, -1, 0), EEXIST);
    CHECK_OK(munmap(p + 4096, 8192));
    CHECK_ERRNO(mmap(p + 4096, 3 * 4096, PROT_READ, flags, -1, 0), EEXIST);
    CHECK(mmap(p + 4096, 8192, PROT_READ, flags, -1, 0) == p + 4096);
}

TEST_CASE(errors)
{
    char *p = reserve(2);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    CHECK_ERRNO(mmap(p + 1, 4096, PROT_READ, flags, -1, 0), EINVAL);
    CHECK_ERRNO(mmap((void *)0x7ffffffff000UL, 8192, PROT_READ, flags, -1, 0), ENOMEM);
    if (!guest_has_cap(17 /* CAP_SYS_RAWIO */)) {
        CHECK_ERRNO(mmap(NULL, 4096, PROT_READ, flags, -1, 0), EPERM);
    }
}

TEST_CASE(failed_fixed_mapping_by_bad_descriptor_keeps_the_old)
{
    char *p = reserve(1);
    p[0] = 'k';
    CHECK_ERRNO(mmap(p, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, 9999, 0), EBADF);
    CHECK_EQ(p[0], 'k');
}
