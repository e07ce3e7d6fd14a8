/*
 * msync.c: msync and mincore.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/mman.h>

TEST_CASE(msync_writes_through)
{
    char byte = 0;
    int fd = (int)CHECK_OK(open("f", O_RDWR | O_CREAT, 0644));
    CHECK_OK(ftruncate(fd, 8192));
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    p[4096] = 's';
    CHECK_OK(msync(p, 8192, MS_SYNC));
    CHECK_OK(msync(p, 8192, MS_ASYNC | MS_INVALIDATE));
    CHECK_EQ(pread(fd, &byte, 1, 4096), 1);
    CHECK_EQ(byte, 's');
}

TEST_CASE(msync_errors)
{
    char *p = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK_ERRNO(msync(p + 1, 4096, MS_SYNC), EINVAL);
    CHECK_ERRNO(msync(p, 4096, MS_SYNC | MS_ASYNC), EINVAL);
    CHECK_ERRNO(msync(p, 4096, 0x100), EINVAL);
    CHECK_OK(munmap(p, 4096));
    CHECK_ERRNO(msync(p, 8192, MS_SYNC), ENOMEM);
    CHECK_OK(msync(p, 0, MS_SYNC));
}

TEST_CASE(mincore_shows_touched_pages)
{
    unsigned char vector[4] = {9, 9, 9, 9};
    char *p = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    p[4096] = 1;
    CHECK_OK(mincore(p, 4 * 4096, vector));
    CHECK_EQ(vector[1] & 1, 1);
    for (int i = 0; i < 4; i++) {
        CHECK(vector[i] <= 1);
    }
}

TEST_CASE(mincore_errors)
{
    unsigned char vector[4];
    char *p = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK_ERRNO(mincore(p + 1, 4096, vector), EINVAL);
    CHECK_ERRNO(syscall(SYS_mincore, p, 4096, guest_bad()), EFAULT);
    CHECK_OK(munmap(p + 4096, 4096));
    CHECK_ERRNO(mincore(p, 8192, vector), ENOMEM);
}
