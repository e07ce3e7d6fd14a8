/*
 * ofd_lock.c: open file description locks.
 */
#include "tests/syscalls/guest_test.h"

static int open_file(void)
{
    return (int)CHECK_OK(open("f", O_RDWR | O_CREAT, 0644));
}

static int lock(int fd, int type, off_t start, off_t length)
{
    struct flock l = {
        .l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, F_OFD_SETLK, &l);
}

TEST_CASE(conflict_within_one_process)
{
    int a = open_file();
    int b = open_file();
    CHECK_OK(lock(a, F_WRLCK, 0, 10));
    CHECK_OK(lock(a, F_WRLCK, 5, 10));
    CHECK_ERRNO(lock(b, F_RDLCK, 14, 1), EAGAIN);
    CHECK_OK(lock(b, F_RDLCK, 15, 1));
    struct flock l = {.l_type = F_WRLCK};
    CHECK_OK(fcntl(b, F_OFD_GETLK, &l));
    CHECK_EQ(l.l_type, F_WRLCK);
    CHECK_EQ(l.l_start, 0);
    CHECK_EQ(l.l_len, 15);
    CHECK_EQ(l.l_pid, -1);
}

TEST_CASE(inherited_and_released_at_the_last_close)
{
    int a = open_file();
    int b = open_file();
    CHECK_OK(lock(a, F_WRLCK, 0, 0));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(lock(a, F_WRLCK, 0, 0));
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_ERRNO(lock(b, F_WRLCK, 0, 0), EAGAIN);
    int other = open_file();
    CHECK_OK(close(other)); /* unlike record locks: no effect */
    CHECK_ERRNO(lock(b, F_WRLCK, 0, 0), EAGAIN);
    CHECK_OK(close(a));
    CHECK_OK(lock(b, F_WRLCK, 0, 0));
}

TEST_CASE(conflicts_with_record_locks)
{
    int a = open_file();
    int b = open_file();
    struct flock l = {.l_type = F_WRLCK};
    CHECK_OK(lock(a, F_WRLCK, 0, 0));
    CHECK(fcntl(b, F_SETLK, &l) < 0 && (errno == EAGAIN || errno == EACCES));
    CHECK_OK(lock(a, F_UNLCK, 0, 0));
    CHECK_OK(fcntl(b, F_SETLK, &l));
    CHECK_ERRNO(lock(a, F_WRLCK, 0, 0), EAGAIN);
}

TEST_CASE(waiting)
{
    int a = open_file();
    int b = open_file();
    CHECK_OK(lock(a, F_WRLCK, 0, 0));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(a));
        struct flock l = {.l_type = F_WRLCK};
        CHECK_OK(fcntl(b, F_OFD_SETLKW, &l));
        _exit(0);
    }
    guest_sleep_ms(20);
    CHECK_OK(close(a));
    CHECK_CHILD_OK(pid);
}

TEST_CASE(pid_must_be_zero)
{
    int a = open_file();
    struct flock l = {.l_type = F_WRLCK, .l_pid = 1};
    CHECK_ERRNO(fcntl(a, F_OFD_SETLK, &l), EINVAL);
}
