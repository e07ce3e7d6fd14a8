/*
 * posix_lock.c: record locks: ranges, splitting, F_GETLK, deadlock, closing.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/file.h>

static int fd;

static void setup(void)
{
    guest_write_file("f", "0123456789");
    fd = (int)CHECK_OK(open("f", O_RDWR));
}

static int lock(int type, off_t start, off_t length)
{
    struct flock l = {
        .l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, F_SETLK, &l);
}

/* What another process would see: the conflicting lock's start and length, or -1. */
static void expect_seen(int type, off_t start, off_t length, off_t want_start, off_t want_length)
{
    pid_t owner = getpid();
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct flock l = {
            .l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
        CHECK_OK(fcntl(fd, F_GETLK, &l));
        if (want_start < 0) {
            CHECK_EQ(l.l_type, F_UNLCK);
        } else {
            CHECK(l.l_type != F_UNLCK);
            CHECK_EQ(l.l_start, want_start);
            CHECK_EQ(l.l_len, want_length);
            CHECK_EQ(l.l_pid, owner);
        }
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(conflicts_between_processes)
{
    setup();
    CHECK_OK(lock(F_WRLCK, 2, 3));
    CHECK_OK(lock(F_WRLCK, 2, 3)); /* again: no conflict with oneself */
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK(lock(F_RDLCK, 4, 1) < 0 && (errno == EAGAIN || errno == EACCES));
        CHECK_OK(lock(F_WRLCK, 5, 100));
        CHECK_OK(lock(F_RDLCK, 0, 2));
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(getlk)
{
    setup();
    CHECK_OK(lock(F_RDLCK, 3, 4));
    expect_seen(F_WRLCK, 0, 0, 3, 4);
    expect_seen(F_RDLCK, 0, 0, -1, 0);
    expect_seen(F_WRLCK, 7, 0, -1, 0);
    expect_seen(F_WRLCK, 6, 1, 3, 4);
}

TEST_CASE(split_and_merge)
{
    setup();
    CHECK_OK(lock(F_WRLCK, 0, 10));
    CHECK_OK(lock(F_UNLCK, 4, 2));
    expect_seen(F_WRLCK, 0, 0, 0, 4);
    expect_seen(F_WRLCK, 4, 2, -1, 0);
    expect_seen(F_WRLCK, 5, 0, 6, 4);
    CHECK_OK(lock(F_WRLCK, 4, 2));
    expect_seen(F_WRLCK, 0, 0, 0, 10);
    CHECK_OK(lock(F_RDLCK, 2, 2));
    expect_seen(F_RDLCK, 2, 2, -1, 0);
    expect_seen(F_WRLCK, 2, 2, 2, 2);
}

TEST_CASE(to_the_end_and_negative_lengths)
{
    setup();
    CHECK_OK(lock(F_WRLCK, 5, 0));
    expect_seen(F_WRLCK, 1000000, 1, 5, 0);
    CHECK_OK(lock(F_UNLCK, 0, 0));
    CHECK_OK(lock(F_WRLCK, 5, -2));
    expect_seen(F_WRLCK, 0, 0, 3, 2);
    CHECK_ERRNO(lock(F_WRLCK, 1, -2), EINVAL);
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = -1, .l_len = 1};
    CHECK_OK(lock(F_UNLCK, 0, 0));
    CHECK_OK(fcntl(fd, F_SETLK, &l));
    expect_seen(F_WRLCK, 0, 0, 9, 1);
}

TEST_CASE(not_inherited_by_fork)
{
    setup();
    CHECK_OK(lock(F_WRLCK, 0, 0));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK(lock(F_WRLCK, 0, 0) < 0);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    expect_seen(F_WRLCK, 0, 0, 0, 0); /* and the child's exit did not release ours */
}

TEST_CASE(closing_any_descriptor_releases)
{
    setup();
    CHECK_OK(lock(F_WRLCK, 0, 0));
    int other = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK_OK(close(other));
    expect_seen(F_WRLCK, 0, 0, -1, 0);
}

TEST_CASE(waiting)
{
    int ready[2];
    setup();
    CHECK_OK(pipe(ready));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(lock(F_WRLCK, 0, 0));
        guest_signal_fd(ready[1]);
        guest_sleep_ms(40);
        _exit(0);
    }
    guest_await_fd(ready[0]);
    struct flock l = {.l_type = F_WRLCK};
    long long start = guest_now_ms();
    CHECK_OK(fcntl(fd, F_SETLKW, &l));
    CHECK(guest_now_ms() - start >= 10);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(deadlock)
{
    int ready[2];
    setup();
    CHECK_OK(pipe(ready));
    CHECK_OK(lock(F_WRLCK, 0, 1));
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct flock l = {.l_type = F_WRLCK, .l_start = 0, .l_len = 1};
        CHECK_OK(lock(F_WRLCK, 1, 1));
        guest_signal_fd(ready[1]);
        CHECK_OK(fcntl(fd, F_SETLKW, &l));
        _exit(0);
    }
    guest_await_fd(ready[0]);
    guest_sleep_ms(50);
    struct flock l = {.l_type = F_WRLCK, .l_start = 1, .l_len = 1};
    CHECK_ERRNO(fcntl(fd, F_SETLKW, &l), EDEADLK);
    CHECK_OK(lock(F_UNLCK, 0, 0));
    CHECK_CHILD_OK(pid);
}

TEST_CASE(access_modes_and_errors)
{
    setup();
    int ro = (int)CHECK_OK(open("f", O_RDONLY));
    int wo = (int)CHECK_OK(open("f", O_WRONLY));
    struct flock l = {.l_type = F_WRLCK};
    CHECK_ERRNO(fcntl(ro, F_SETLK, &l), EBADF);
    l.l_type = F_RDLCK;
    CHECK_ERRNO(fcntl(wo, F_SETLK, &l), EBADF);
    CHECK_OK(fcntl(ro, F_SETLK, &l));
    l.l_type = 99;
    CHECK_ERRNO(fcntl(fd, F_SETLK, &l), EINVAL);
    l = (struct flock){.l_type = F_RDLCK, .l_whence = 99};
    CHECK_ERRNO(fcntl(fd, F_SETLK, &l), EINVAL);
    l = (struct flock){.l_type = F_UNLCK};
    CHECK_ERRNO(fcntl(fd, F_GETLK, &l), EINVAL);
}

TEST_CASE(flock_is_independent)
{
    setup();

    CHECK_OK(lock(F_WRLCK, 0, 0));
    pid_t pid = guest_fork();
    if (pid == 0) {
        int own = (int)CHECK_OK(open("f", O_RDWR));
        CHECK_OK(flock(own, LOCK_EX | LOCK_NB));
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}
