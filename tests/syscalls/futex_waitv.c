/*
 * futex_waitv.c: waiting for several futexes at once.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/futex.h>
#include <sys/mman.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#define SIZE_U32 2U
#define PRIVATE  128U

struct word {
    uint64_t value, addr;
    uint32_t flags, reserved;
};

static uint32_t *words;
static struct word waiters[129];

static void prepare(unsigned count)
{
    words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(words != MAP_FAILED);
    for (unsigned i = 0; i < count; i++) {
        waiters[i] = (struct word){0, (uintptr_t)&words[i], SIZE_U32, 0};
    }
    if (syscall(SYS_futex_waitv, waiters, 0, 0, NULL, 0) < 0 && errno == ENOSYS) {
        SKIP("no futex_waitv here");
    }
}

static long wait_many(unsigned count, const struct timespec *timeout, clockid_t clock)
{
    return syscall(SYS_futex_waitv, waiters, count, 0, timeout, clock);
}

static struct timespec from_now(clockid_t clock, long ms)
{
    struct timespec t;
    clock_gettime(clock, &t);
    t.tv_nsec += ms * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

TEST_CASE(bad_arguments)
{
    prepare(129);
    CHECK_ERRNO(wait_many(0, NULL, 0), EINVAL);
    CHECK_ERRNO(wait_many(129, NULL, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_futex_waitv, waiters, 1, 1, NULL, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_futex_waitv, NULL, 1, 0, NULL, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_futex_waitv, guest_bad(), 1, 0, NULL, 0), EFAULT);
    struct timespec t = from_now(CLOCK_MONOTONIC, 10);
    CHECK_ERRNO(wait_many(1, &t, CLOCK_TAI), EINVAL);
    CHECK_ERRNO(wait_many(1, guest_bad(), CLOCK_MONOTONIC), EFAULT);
    t.tv_nsec = 1000000000;
    CHECK_ERRNO(wait_many(1, &t, CLOCK_MONOTONIC), EINVAL);
    waiters[0].reserved = 1;
    CHECK_ERRNO(wait_many(1, NULL, 0), EINVAL);
    waiters[0].reserved = 0;
    waiters[0].flags = 0x1000;
    CHECK_ERRNO(wait_many(1, NULL, 0), EINVAL);
    waiters[0].flags = SIZE_U32;
    waiters[0].addr++;
    CHECK_ERRNO(wait_many(1, NULL, 0), EINVAL);
    waiters[0].addr = (uintptr_t)guest_bad();
    CHECK_ERRNO(wait_many(1, NULL, 0), EFAULT);
}

TEST_CASE(values)
{
    prepare(3);
    words[2] = 7;
    CHECK_ERRNO(wait_many(3, NULL, 0), EAGAIN);
    struct timespec t = from_now(CLOCK_MONOTONIC, 30);
    waiters[2].value = 7;
    CHECK_ERRNO(wait_many(3, &t, CLOCK_MONOTONIC), ETIMEDOUT);
    t = from_now(CLOCK_REALTIME, 30);
    CHECK_ERRNO(wait_many(3, &t, CLOCK_REALTIME), ETIMEDOUT);
}

TEST_CASE(woken)
{
    prepare(128);
    for (int index = 0; index < 128; index += 127) {
        pid_t pid = guest_fork();
        if (pid == 0) {
            for (int tries = 0; tries < 2000; tries++) {
                if (syscall(SYS_futex, &words[index], FUTEX_WAKE, 1, NULL, NULL, 0) == 1) {
                    _exit(0);
                }
                guest_sleep_ms(1);
            }
            _exit(1);
        }
        CHECK_EQ(wait_many(128, NULL, 0), index);
        CHECK_CHILD_OK(pid);
    }
    CHECK_EQ(syscall(SYS_futex, &words[5], FUTEX_WAKE, 1, NULL, NULL, 0), 0);
}

TEST_CASE(private_words)
{
    prepare(2);
    waiters[0].flags = waiters[1].flags = SIZE_U32 | PRIVATE;
    struct timespec t = from_now(CLOCK_MONOTONIC, 60);
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_sleep_ms(20);
        CHECK_EQ(syscall(SYS_futex, &words[1], FUTEX_WAKE, 1, NULL, NULL, 0), 0);
        _exit(0);
    }
    CHECK_ERRNO(wait_many(2, &t, CLOCK_MONOTONIC), ETIMEDOUT);
    CHECK_CHILD_OK(pid);
}

static void nothing(int sig)
{
    (void)sig;
}

TEST_CASE(signals)
{
    prepare(2);
    guest_handle(SIGALRM, nothing, 0);
    guest_ticker_start(20);
    CHECK_ERRNO(wait_many(2, NULL, 0), EINTR);
    guest_ticker_stop();
}

#ifndef SYS_futex_wake
#define SYS_futex_wake    454
#define SYS_futex_wait    455
#define SYS_futex_requeue 456
#endif

TEST_CASE(newer_forms)
{
    prepare(2);
    struct timespec t = from_now(CLOCK_MONOTONIC, 30);
    long result = syscall(SYS_futex_wait, words, 0, 1, SIZE_U32, &t, CLOCK_MONOTONIC);
    if (result < 0 && errno == ENOSYS) {
        SKIP("no futex_wait here");
    }
    CHECK_EQ(errno, ETIMEDOUT);
    CHECK_ERRNO(syscall(SYS_futex_wait, words, 1, 1, SIZE_U32, &t, CLOCK_MONOTONIC), EAGAIN);
    CHECK_ERRNO(syscall(SYS_futex_wait, words, 0, 0, SIZE_U32, &t, CLOCK_MONOTONIC), EINVAL);
    CHECK_ERRNO(syscall(SYS_futex_wait, words, 0, 1, 0x1000, &t, CLOCK_MONOTONIC), EINVAL);
    CHECK_EQ(syscall(SYS_futex_wake, words, 1, 1, SIZE_U32), 0);
    CHECK_ERRNO(syscall(SYS_futex_wake, words, 0, 1, SIZE_U32), EINVAL);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(syscall(SYS_futex_wait, words, 0, 4, SIZE_U32, NULL, 0));
        _exit(0);
    }
    guest_sleep_ms(40);
    CHECK_EQ(syscall(SYS_futex_wake, words, 3, 1, SIZE_U32), 0);
    CHECK_EQ(syscall(SYS_futex_requeue, waiters, 0, 0, 1), 1);
    CHECK_EQ(syscall(SYS_futex_wake, words, 4, 1, SIZE_U32), 0);
    CHECK_EQ(syscall(SYS_futex_wake, words + 1, 4, 1, SIZE_U32), 1);
    CHECK_CHILD_OK(pid);
    waiters[1].flags = SIZE_U32 | PRIVATE; /* both are shared, or none is */
    CHECK_ERRNO(syscall(SYS_futex_requeue, waiters, 0, 0, 1), EINVAL);
}
