/*
 * rare.c: calls that a system may lack: membarrier, rseq, kcmp, namespaces, privileged ones.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/kcmp.h>
#include <linux/membarrier.h>
#include <linux/rseq.h>
#include <sys/timex.h>
#include <sys/mount.h>
#include <sys/reboot.h>

TEST_CASE(membarrier)
{
    long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    if (commands < 0) {
        CHECK_EQ(errno, ENOSYS);
        SKIP("no membarrier");
    }
    CHECK_ERRNO(syscall(SYS_membarrier, 0x40000000, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 99, 0), EINVAL);
    if (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) {
        CHECK_ERRNO(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), EPERM);
        CHECK_OK(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
        CHECK_OK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
    }
}

TEST_CASE(rseq)
{
    static struct rseq area __attribute__((aligned(32)));
    /* libc registers its own area; a second one, or a bad size, must be refused. */
    long result = syscall(SYS_rseq, &area, sizeof(area), 0, 0x53053053);
    if (result < 0 && errno == ENOSYS) {
        SKIP("no rseq");
    }
    CHECK(result == 0 || errno == EINVAL || errno == EPERM || errno == EBUSY);
    CHECK_ERRNO(syscall(SYS_rseq, (char *)&area + 1, sizeof(area), 0, 0x53053053), EINVAL);
}

TEST_CASE(kcmp)
{
    int fd = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    int copy = (int)CHECK_OK(dup(fd));
    int other = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    long result = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, fd, copy);
    if (result < 0) {
        CHECK(errno == ENOSYS || errno == EPERM);
        SKIP("no kcmp");
    }
    CHECK_EQ(result, 0);
    CHECK(syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, fd, other) > 0);
    CHECK_ERRNO(syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, fd, 9999), EBADF);
}

TEST_CASE(privileged_calls_of_an_ordinary_user)
{
    if (guest_has_cap(21 /* CAP_SYS_ADMIN */)) {
        SKIP("this process is privileged");
    }
    CHECK_ERRNO(mount("none", ".", "tmpfs", 0, NULL), EPERM);
    CHECK_ERRNO(umount2(".", 0), EPERM);
    CHECK_ERRNO(syscall(SYS_pivot_root, ".", "."), EPERM);
    CHECK_ERRNO(reboot(RB_AUTOBOOT), EPERM);
    const long missing_or_refused[] = {
        syscall(SYS_init_module, NULL, 0, "") < 0 ? errno : 0,
        syscall(SYS_iopl, 3) < 0 ? errno : 0,
        syscall(SYS_swapon, "x", 0) < 0 ? errno : 0,
        syscall(SYS_acct, "x") < 0 ? errno : 0,
    };
    for (int i = 0; i < 4; i++) {
        CHECK(missing_or_refused[i] == EPERM || missing_or_refused[i] == ENOSYS);
    }
}

TEST_CASE(unshare_of_harmless_parts)
{
    int fd = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    CHECK_OK(unshare(CLONE_FILES));
    CHECK_OK(unshare(CLONE_FS));
    CHECK_OK(unshare(0));
    CHECK_ERRNO(unshare(0x1), EINVAL);
    CHECK_OK(fcntl(fd, F_GETFD));
}

TEST_CASE(unknown_numbers)
{
    CHECK_ERRNO(syscall(100000), ENOSYS);
    CHECK_ERRNO(syscall(-5L), ENOSYS);
    CHECK_ERRNO(syscall(999), ENOSYS);
    CHECK_ERRNO(syscall(400), ENOSYS); /* a hole in the table */
    CHECK_ERRNO(syscall(SYS_uselib, "x"), ENOSYS);
    CHECK_ERRNO(syscall(SYS_create_module, "x", 0), ENOSYS);
}

TEST_CASE(registers_around_a_call)
{
    /* Only rax, rcx and r11 may change. */
    uint64_t r15 = 0;
    uint64_t rbx = 0;
    long result;
    register uint64_t r10 __asm__("r10") = 0x10;
    register uint64_t r8 __asm__("r8") = 0x8;
    register uint64_t r9 __asm__("r9") = 0x9;
    uint64_t rdi = 0x71;
    uint64_t rsi = 0x51;
    uint64_t rdx = 0xd1;
    __asm__ volatile("mov $0x1515, %%r15\n\tmov $0xbbbb, %%ebx\n\tsyscall\n\tmov %%r15, %[r15]\n\t"
                     "mov %%rbx, %[rbx]"
                     : [r15] "=m"(r15), [rbx] "=m"(rbx), "=a"(result), "+D"(rdi), "+S"(rsi),
                       "+d"(rdx), "+r"(r10), "+r"(r8), "+r"(r9)
                     : "a"(SYS_getpid)
                     : "rcx", "r11", "r15", "rbx", "memory");
    uint64_t after[3] = {r10, r8, r9};
    CHECK(after[0] == 0x10 && after[1] == 0x8 && after[2] == 0x9);
    CHECK(r15 == 0x1515 && rbx == 0xbbbb);
    CHECK_EQ(result, getpid());
    CHECK(rdi == 0x71 && rsi == 0x51 && rdx == 0xd1);
}

TEST_CASE(sysfs_names)
{
    char name[64];
    long count = syscall(SYS_sysfs, 3);
    if (count < 0 && errno == ENOSYS) {
        SKIP("a kernel without sysfs(2)");
    }
    CHECK(count > 0);
    long index = CHECK_OK(syscall(SYS_sysfs, 1, "proc"));
    CHECK_OK(syscall(SYS_sysfs, 2, index, name));
    CHECK(strcmp(name, "proc") == 0);
    CHECK_ERRNO(syscall(SYS_sysfs, 1, "no-such-fs"), EINVAL);
    CHECK_ERRNO(syscall(SYS_sysfs, 1, NULL), EFAULT);
    CHECK_ERRNO(syscall(SYS_sysfs, 2, 100000, name), EINVAL);
    CHECK_ERRNO(syscall(SYS_sysfs, 4), EINVAL);
}

TEST_CASE(clock_values)
{
    struct timeval time = {-1, 0};
    struct timespec value = {0, 1000000000};
    CHECK_ERRNO(syscall(SYS_settimeofday, &time, NULL), EINVAL);
    time = (struct timeval){0, 1000000};
    CHECK_ERRNO(syscall(SYS_settimeofday, &time, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_settimeofday, guest_bad(), NULL), EFAULT);
    CHECK_ERRNO(clock_settime(CLOCK_REALTIME, &value), EINVAL);
}

TEST_CASE(adjtimex_tells)
{
    struct timex timex = {.modes = 0};
    int state = adjtimex(&timex);
    CHECK(state >= TIME_OK && state <= TIME_ERROR);
    CHECK(timex.tick >= 9000 && timex.tick <= 11000 && timex.time.tv_sec > 0);
    timex.modes = 0x8000;
    CHECK_ERRNO(syscall(SYS_adjtimex, &timex), EINVAL);
    CHECK_ERRNO(syscall(SYS_adjtimex, guest_bad()), EFAULT);
    timex.modes = 0;
    CHECK(clock_adjtime(CLOCK_REALTIME, &timex) >= 0);
    CHECK_ERRNO(clock_adjtime(CLOCK_MONOTONIC, &timex), EOPNOTSUPP);
}
