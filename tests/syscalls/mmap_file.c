/*
 * mmap_file.c: file mappings: coherence with read and write, copy on write, permissions.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/mman.h>

static int file_with(const char *name, size_t size)
{
    int fd = (int)CHECK_OK(open(name, O_RDWR | O_CREAT | O_TRUNC, 0644));
    for (size_t i = 0; i < size; i += 16) {
        char line[32];
        snprintf(line, sizeof(line), "%015zu\n", i);
        CHECK_EQ(write(fd, line, 16), 16);
    }
    return fd;
}

TEST_CASE(private_does_not_write_back)
{
    char byte;
    int fd = file_with("f", 8192);
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK(memcmp(p + 4096, "000000000004096\n", 16) == 0);
    p[4096] = 'X';
    CHECK_EQ(pread(fd, &byte, 1, 4096), 1);
    CHECK_EQ(byte, '0');
}

TEST_CASE(shared_is_coherent_both_ways)
{
    char byte;
    int fd = file_with("f", 8192);
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    p[100] = 'Y';
    CHECK_EQ(pread(fd, &byte, 1, 100), 1);
    CHECK_EQ(byte, 'Y');
    CHECK_EQ(pwrite(fd, "Z", 1, 101), 1);
    CHECK_EQ(p[101], 'Z');
    int other = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK_EQ(pread(other, &byte, 1, 100), 1);
    CHECK_EQ(byte, 'Y');
}

TEST_CASE(between_processes)
{
    int fd = file_with("f", 4096);
    char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    pid_t pid = guest_fork();
    if (pid == 0) {
        int own = (int)CHECK_OK(open("f", O_RDWR));
        char *q = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, own, 0);
        CHECK(q != MAP_FAILED);
        q[7] = 'q';
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ(p[7], 'q');
}

TEST_CASE(offset_and_closed_descriptor)
{
    int fd = file_with("f", 16384);
    char *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 8192);
    CHECK(p != MAP_FAILED);
    CHECK_OK(close(fd));
    CHECK_OK(unlink("f"));
    CHECK(memcmp(p, "000000000008192\n", 16) == 0);
}

TEST_CASE(permissions)
{
    file_with("f", 4096);
    int ro = (int)CHECK_OK(open("f", O_RDONLY));
    int wo = (int)CHECK_OK(open("f", O_WRONLY));
    int dir = (int)CHECK_OK(open(".", O_RDONLY));
    int path = (int)CHECK_OK(open("f", O_PATH));
    CHECK_ERRNO(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0), EACCES);
    CHECK_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, wo, 0), EACCES);
    CHECK_ERRNO(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, wo, 0), EACCES);
    CHECK_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, dir, 0), ENODEV);
    CHECK_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, path, 0), EBADF);
    char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0);
    CHECK(p != MAP_FAILED);
    p[0] = 'x';
    p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, ro, 0);
    CHECK(p != MAP_FAILED);
    CHECK_ERRNO(mprotect(p, 4096, PROT_READ | PROT_WRITE), EACCES);
    CHECK_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_SHARED_VALIDATE | 0x1000000, ro, 0), EOPNOTSUPP);
    CHECK_ERRNO(mmap(NULL, 4096, PROT_READ, 0, ro, 0), EINVAL);
    int ends[2];
    CHECK_OK(pipe(ends));
    CHECK_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, ends[0], 0), ENODEV);
}

TEST_CASE(tail_of_the_last_page_is_zero)
{
    guest_write_file("f", "abc");
    int fd = (int)CHECK_OK(open("f", O_RDWR));
    char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    for (int i = 3; i < 4096; i++) {
        CHECK_EQ(p[i], 0);
    }
    p[10] = 'T'; /* beyond the end: never reaches the file */
    struct stat st;
    CHECK_OK(fstat(fd, &st));
    CHECK_EQ(st.st_size, 3);
}

TEST_CASE(truncate_and_extend)
{
    int fd = file_with("f", 8192);
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK_EQ(p[4096], '0');
    CHECK_OK(ftruncate(fd, 4096));
    pid_t pid = guest_fork();
    if (pid == 0) {
        (void)((volatile char *)p)[4096];
        _exit(0);
    }
    CHECK_CHILD_SIGNAL(pid, SIGBUS);
    CHECK_OK(ftruncate(fd, 8192));
    CHECK_EQ(p[4096], 0); /* the old contents are gone */
}

TEST_CASE(write_calls_with_mapped_buffers)
{
    int fd = file_with("f", 8192);
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK_EQ(pwrite(fd, p + 4096, 4096, 0), 4096);
    CHECK(memcmp(p, "000000000004096\n", 16) == 0);
    CHECK_EQ(pread(fd, p + 4096, 16, 16), 16);
    CHECK(memcmp(p + 4096, "000000000004112\n", 16) == 0);
}

TEST_CASE(dev_zero)
{
    int fd = (int)CHECK_OK(open("/dev/zero", O_RDWR));
    char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK_EQ(p[0], 0);
    p[0] = 1;
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    pid_t pid = guest_fork();
    if (pid == 0) {
        p[0] = 's';
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ(p[0], 's');
}
