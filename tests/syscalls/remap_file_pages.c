/*
 * remap_file_pages.c: other pages of what is mapped shared.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/mman.h>
#include <sys/shm.h>

#define PAGE 4096UL

static long remap(volatile void *start, size_t size, int prot, size_t page)
{
    return syscall(SYS_remap_file_pages, start, size, prot, page, 0);
}

static char *map_file(int flags)
{
    int fd = (int)CHECK_OK(open("file", O_CREAT | O_RDWR, 0600));
    for (char c = 'a'; c < 'e'; c++) {
        char page[PAGE];
        memset(page, c, sizeof(page));
        CHECK_EQ(write(fd, page, PAGE), PAGE);
    }
    char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
    CHECK(p != MAP_FAILED);
    close(fd);
    return p;
}

TEST_CASE(pages_of_a_file)
{
    volatile char *p = map_file(MAP_SHARED);
    CHECK_OK(remap(p, PAGE, 0, 3));
    CHECK_OK(remap(p + PAGE, 2 * PAGE, 0, 0));
    CHECK(p[0] == 'd' && p[PAGE] == 'a' && p[2 * PAGE] == 'b' && p[3 * PAGE] == 'd');
    p[0] = 'D';
    CHECK_EQ(p[3 * PAGE], 'D'); /* one page, seen twice */
}

TEST_CASE(bad_arguments)
{
    volatile char *p = map_file(MAP_SHARED);
    char *private = map_file(MAP_PRIVATE);
    CHECK_ERRNO(remap(private, PAGE, 0, 1), EINVAL);
    CHECK_ERRNO(remap(guest_bad(), PAGE, 0, 1), EINVAL);
    CHECK_ERRNO(remap(p, PAGE, PROT_READ, 1), EINVAL);
    CHECK_ERRNO(remap(p, 0, 0, 1), EINVAL);
    CHECK_OK(munmap((void *)(p + 3 * PAGE), PAGE));
    CHECK_ERRNO(remap(p + 2 * PAGE, 2 * PAGE, 0, 0), EINVAL);
}

TEST_CASE(memory_without_a_file)
{
    volatile char *p =
        mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    p[0] = 'x';
    CHECK_OK(remap(p + PAGE, PAGE, 0, 0));
    CHECK_EQ(p[PAGE], 'x');
    int id = (int)CHECK_OK(shmget(IPC_PRIVATE, 2 * PAGE, IPC_CREAT | 0600));
    p = shmat(id, NULL, 0);
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
    CHECK(p != (void *)-1);
    p[PAGE] = 'y';
    CHECK_OK(remap(p, PAGE, 0, 1));
    CHECK_EQ(p[0], 'y');
}
