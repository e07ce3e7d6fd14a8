/*
 * flock.c: flock: shared, exclusive, conversion, and whom a lock belongs to.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/file.h>

static int open_lock(void)
{
    return (int)CHECK_OK(open("lock", O_RDWR | O_CREAT, 0644));
}

TEST_CASE(exclusive_and_shared)
{
    int a = open_lock();
    int b = open_lock();
    CHECK_OK(flock(a, LOCK_EX));
    CHECK_ERRNO(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    CHECK_ERRNO(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    CHECK_OK(flock(a, LOCK_SH));
    CHECK_OK(flock(b, LOCK_SH | LOCK_NB));
    CHECK_ERRNO(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    CHECK_OK(flock(b, LOCK_UN));
    CHECK_OK(flock(a, LOCK_EX | LOCK_NB));
}

TEST_CASE(belongs_to_the_open_file)
{
    int a = open_lock();
    int b = open_lock();
    int copy = (int)CHECK_OK(dup(a));
    CHECK_OK(flock(a, LOCK_EX));
    CHECK_OK(flock(copy, LOCK_EX | LOCK_NB));
    CHECK_OK(close(a));
    CHECK_ERRNO(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    CHECK_OK(close(copy));
    CHECK_OK(flock(b, LOCK_EX | LOCK_NB));
}

TEST_CASE(inherited_by_fork)
{
    int a = open_lock();
    CHECK_OK(flock(a, LOCK_EX));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(flock(a, LOCK_EX | LOCK_NB));
        int own = open_lock();
        CHECK_ERRNO(flock(own, LOCK_EX | LOCK_NB), EWOULDBLOCK);
        CHECK_OK(flock(a, LOCK_UN)); /* releases it for the parent too */
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    int b = open_lock();
    CHECK_OK(flock(b, LOCK_EX | LOCK_NB));
}

TEST_CASE(waits)
{
    int ready[2];
    CHECK_OK(pipe(ready));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(flock(open_lock(), LOCK_EX));
        guest_signal_fd(ready[1]);
        guest_sleep_ms(40);
        _exit(0); /* exit releases */
    }
    guest_await_fd(ready[0]);
    long long start = guest_now_ms();
    CHECK_OK(flock(open_lock(), LOCK_EX));
    CHECK(guest_now_ms() - start >= 10);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(errors)
{
    int a = open_lock();
    CHECK_ERRNO(flock(a, 0), EINVAL);
    CHECK_ERRNO(flock(a, LOCK_SH | LOCK_EX), EINVAL);
    CHECK_ERRNO(flock(9999, LOCK_SH), EBADF);
    int path = (int)CHECK_OK(open("lock", O_PATH));
    CHECK_ERRNO(flock(path, LOCK_SH), EBADF);
    int ro = (int)CHECK_OK(open("lock", O_RDONLY));
    CHECK_OK(flock(ro, LOCK_EX)); /* the access mode does not matter */
}
