/*
 * advice.c: process_madvise, process_mrelease, mseal, cachestat.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/mman.h>
#include <sys/uio.h>

#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448
#endif
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#define PAGE 4096UL

static char *pages(size_t count, int prot)
{
    char *p = mmap(NULL, count * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static int pidfd(pid_t pid)
{
    return (int)CHECK_OK(syscall(SYS_pidfd_open, pid, 0));
}

TEST_CASE(process_madvise_self)
{
    char *p = pages(4, PROT_READ | PROT_WRITE);
    struct iovec ranges[] = {{p, PAGE}, {p + 2 * PAGE, 2 * PAGE}};
    int fd = pidfd(getpid());
    memset(p, 7, 4 * PAGE);
    long result = syscall(SYS_process_madvise, fd, ranges, 2, MADV_COLD, 0);
    if (result < 0 && errno == ENOSYS) {
        SKIP("no process_madvise here");
    }
    CHECK_EQ(result, 3 * PAGE);
    CHECK_EQ(p[3 * PAGE], 7);
    CHECK_ERRNO(syscall(SYS_process_madvise, fd, ranges, 2, MADV_COLD, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_process_madvise, fd, ranges, 2, 4711, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_process_madvise, -1, ranges, 2, MADV_COLD, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_process_madvise, fd, guest_bad(), 2, MADV_COLD, 0), EFAULT);
    ranges[1].iov_base = guest_bad();
    ranges[1].iov_len = PAGE;
    CHECK_EQ(syscall(SYS_process_madvise, fd, ranges, 1, MADV_COLD, 0), PAGE);
}

TEST_CASE(process_madvise_other)
{
    char *p = pages(1, PROT_READ | PROT_WRITE);
    struct iovec range = {p, PAGE};
    int gate[2];
    p[0] = 7;
    CHECK_OK(pipe(gate));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_await_fd(gate[0]);
        _exit(p[0] == 7 ? 0 : 1);
    }
    int fd = pidfd(pid);
    long result = syscall(SYS_process_madvise, fd, &range, 1, MADV_COLD, 0);
    if (guest_has_cap(23 /* CAP_SYS_NICE */)) {
        CHECK_EQ(result, PAGE);
        CHECK_ERRNO(syscall(SYS_process_madvise, fd, &range, 1, MADV_DONTNEED, 0), EINVAL);
    } else {
        CHECK(result < 0 && errno == EPERM);
    }
    CHECK_ERRNO(syscall(SYS_process_mrelease, fd, 0), EINVAL); /* it is not dying */
    CHECK_ERRNO(syscall(SYS_process_mrelease, fd, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_process_mrelease, gate[0], 0), EBADF);
    guest_signal_fd(gate[1]);
    CHECK_CHILD_OK(pid);
    CHECK_ERRNO(syscall(SYS_process_madvise, fd, &range, 1, MADV_COLD, 0), ESRCH);
}

static long seal(void *p, size_t length)
{
    long result = syscall(SYS_mseal, p, length, 0);
    if (result < 0 && (errno == ENOSYS || errno == EPERM)) {
        SKIP("no mseal here");
    }
    return result;
}

TEST_CASE(sealed_memory)
{
    char *p = pages(4, PROT_READ | PROT_WRITE);
    memset(p, 7, 4 * PAGE);
    CHECK_OK(seal(p + PAGE, PAGE + 1));
    CHECK_OK(seal(p + PAGE, PAGE)); /* again is fine */
    CHECK_ERRNO(munmap(p, 2 * PAGE), EPERM);
    CHECK_EQ(p[0], 7);
    CHECK_ERRNO(mprotect(p + 2 * PAGE, PAGE, PROT_READ), EPERM);
    CHECK(mmap(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
              MAP_FAILED &&
          errno == EPERM);
    CHECK(mremap(p + PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EPERM);
    CHECK(mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE) == MAP_FAILED &&
          errno == EPERM);
    CHECK_OK(madvise(p + PAGE, PAGE, MADV_DONTNEED)); /* who can write may as well drop it */
    CHECK_EQ(p[PAGE], 0);
    p[PAGE] = 1;
    CHECK_OK(munmap(p, PAGE));
    CHECK_OK(munmap(p + 3 * PAGE, PAGE));
    char *r = pages(1, PROT_READ);
    CHECK_OK(seal(r, PAGE));
    CHECK_ERRNO(madvise(r, PAGE, MADV_DONTNEED), EPERM);
}

TEST_CASE(mseal_arguments)
{
    char *p = pages(3, PROT_READ);
    CHECK_OK(seal(p, 0));
    CHECK_OK(munmap(p + PAGE, PAGE));
    CHECK_ERRNO(syscall(SYS_mseal, p, 3 * PAGE, 0), ENOMEM);
    CHECK_ERRNO(syscall(SYS_mseal, p, PAGE, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_mseal, p + 1, PAGE, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_mseal, p, -PAGE, 0), EINVAL);
    CHECK_OK(munmap(p, PAGE));
}

TEST_CASE(cached_pages)
{
    struct {
        uint64_t offset, length;
    } range = {0, 0};
    uint64_t answer[5];
    char data[10 * 4096];
    memset(data, 1, sizeof(data));
    int fd = (int)CHECK_OK(open("file", O_CREAT | O_RDWR, 0600));
    CHECK_EQ(write(fd, data, sizeof(data)), sizeof(data));
    long result = syscall(SYS_cachestat, fd, &range, answer, 0);
    if (result < 0 && errno == ENOSYS) {
        SKIP("no cachestat here");
    }
    CHECK_OK(result);
    CHECK_EQ(answer[0] + answer[3], 10);
    range.offset = 4096;
    range.length = 8192;
    CHECK_OK(syscall(SYS_cachestat, fd, &range, answer, 0));
    CHECK_EQ(answer[0] + answer[3], 2);
    range.offset = 1 << 20;
    CHECK_OK(syscall(SYS_cachestat, fd, &range, answer, 0));
    CHECK_EQ(answer[0] + answer[3], 0);
    CHECK_ERRNO(syscall(SYS_cachestat, fd, &range, answer, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_cachestat, -1, &range, answer, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_cachestat, fd, guest_bad(), answer, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_cachestat, fd, &range, guest_bad(), 0), EFAULT);
}
