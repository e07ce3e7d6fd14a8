/*
 * mprotect.c: mprotect: splits, execution, errors.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/mman.h>

static char *map(size_t pages, int prot)
{
    char *p = mmap(NULL, pages * 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static bool write_faults(volatile char *address)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        *address = 1;
        _exit(0);
    }
    return guest_wait(pid) != 0;
}

TEST_CASE(one_page_of_three)
{
    char *p = map(3, PROT_READ | PROT_WRITE);
    memset(p, 'm', 3 * 4096);
    CHECK_OK(mprotect(p + 4096, 4096, PROT_READ));
    CHECK(!write_faults(p));
    CHECK(write_faults(p + 4096));
    CHECK(!write_faults(p + 8192));
    CHECK_EQ(p[4096], 'm');
    CHECK_OK(mprotect(p, 3 * 4096, PROT_NONE));
    CHECK(write_faults(p));
    CHECK_OK(mprotect(p, 3 * 4096, PROT_READ | PROT_WRITE));
    CHECK_EQ(p[8192], 'm');
    CHECK(!write_faults(p + 4096));
}

TEST_CASE(many_splits)
{
    char *p = map(256, PROT_READ | PROT_WRITE);
    for (int i = 0; i < 256; i += 2) {
        CHECK_OK(mprotect(p + i * 4096, 4096, PROT_READ));
    }
    for (int i = 1; i < 256; i += 2) {
        p[i * 4096] = 1;
    }
    CHECK(write_faults(p + 128 * 4096));
    CHECK_OK(mprotect(p, 256 * 4096, PROT_READ | PROT_WRITE));
    memset(p, 1, 256 * 4096);
}

TEST_CASE(write_then_execute)
{
    static const unsigned char code[] = {0xb8, 0x2a, 0, 0, 0, 0xc3}; /* mov $42, %eax; ret */
    char *p = map(1, PROT_READ | PROT_WRITE);
    memcpy(p, code, sizeof(code));
    CHECK_OK(mprotect(p, 4096, PROT_READ | PROT_EXEC));
    int (*function)(void) = (int (*)(void))(uintptr_t)p;
    CHECK_EQ(function(), 42);
    CHECK(write_faults(p));
    CHECK_OK(mprotect(p, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
    p[1] = 43;
    CHECK_EQ(function(), 43);
}

TEST_CASE(own_code_and_system_calls_from_new_code)
{
    /* getpid by a hand-written system call in fresh memory, as a JIT would do */
    static const unsigned char code[] = {0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xc3};
    char *p = map(1, PROT_READ | PROT_WRITE | PROT_EXEC);
    memcpy(p, code, sizeof(code));
    long (*function)(void) = (long (*)(void))(uintptr_t)p;
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(function(), getpid());
    }
    p[1] = 0x68; /* getgid, by changing the code in place */
    CHECK_EQ(function(), getgid());
}

TEST_CASE(errors)
{
    char *p = map(3, PROT_READ);
    CHECK_ERRNO(mprotect(p + 1, 4096, PROT_READ), EINVAL);
    CHECK_ERRNO(mprotect(p, 4096, 0x800), EINVAL);
    CHECK_OK(mprotect(p, 0, PROT_READ));
    CHECK_OK(mprotect(p, 1, PROT_READ | PROT_WRITE));
    p[4095] = 1;
    CHECK_OK(munmap(p + 4096, 4096));
    CHECK_ERRNO(mprotect(p, 3 * 4096, PROT_NONE), ENOMEM);
    CHECK(write_faults(p)); /* Linux: the part before the gap was changed */
    CHECK_ERRNO(mprotect(p, (size_t)-4096, PROT_READ), ENOMEM);
}

TEST_CASE(kernel_obeys_protections)
{
    char *p = map(2, PROT_READ | PROT_WRITE);
    int zero = (int)CHECK_OK(open("/dev/zero", O_RDONLY));
    CHECK_OK(mprotect(p + 4096, 4096, PROT_READ));
    CHECK_ERRNO(read(zero, p + 4096, 10), EFAULT);
    CHECK_EQ(read(zero, p + 4000, 96), 96);
    int ends[2];
    CHECK_OK(pipe(ends));
    CHECK_OK(mprotect(p, 4096, PROT_NONE));
    CHECK_ERRNO(write(ends[1], p, 10), EFAULT);
}
