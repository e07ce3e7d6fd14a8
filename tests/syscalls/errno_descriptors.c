/*
 * errno_descriptors.c: close, dup family, close_range, fcntl, flock, generic ioctls.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

static int open_file(void)
{
    return (int)CHECK_OK(open("f", O_CREAT | O_RDWR, 0600));
}

TEST_CASE(dup_family)
{
    int fd = open_file();
    CHECK_ERRNO(dup(-1), EBADF);
    CHECK_ERRNO(dup2(-1, 5), EBADF);
    CHECK_ERRNO(dup2(fd, -1), EBADF);
    CHECK_ERRNO(dup2(fd, 1 << 30), EBADF);
    CHECK_EQ(dup2(fd, fd), fd);
    CHECK_ERRNO(dup2(77, 77), EBADF);
    CHECK_ERRNO(dup3(fd, fd, 0), EINVAL);
    CHECK_ERRNO(dup3(-1, -1, 0), EINVAL);
    CHECK_ERRNO(dup3(fd, 50, O_APPEND), EINVAL);
    CHECK_EQ(dup3(fd, 50, O_CLOEXEC), 50);
    CHECK_EQ(fcntl(50, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(dup2(fd, 51), 51);
    CHECK_EQ(fcntl(51, F_GETFD), 0);
    CHECK_EQ(write(50, "abc", 3), 3);
    CHECK_EQ(lseek(51, 0, SEEK_CUR), 3); /* one description */
    CHECK_OK(close(50));
    CHECK_ERRNO(close(50), EBADF);
}

TEST_CASE(dup_limit)
{
    int fd = open_file();
    struct rlimit limit = {20, 20};
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    CHECK_ERRNO(fcntl(fd, F_DUPFD, 20), EINVAL);
    CHECK_ERRNO(fcntl(fd, F_DUPFD, -1), EINVAL);
    CHECK_EQ(fcntl(fd, F_DUPFD, 19), 19);
    CHECK_ERRNO(fcntl(fd, F_DUPFD, 19), EMFILE);
    CHECK_ERRNO(dup2(fd, 20), EBADF);
    int last;
    while ((last = dup(fd)) >= 0) {
        CHECK(last < 20);
    }
    CHECK_EQ(errno, EMFILE);
}

TEST_CASE(close_range_call)
{
    int fd = open_file();
    for (int i = 30; i < 35; i++) {
        CHECK_EQ(dup2(fd, i), i);
    }
    CHECK_ERRNO(syscall(SYS_close_range, 32U, 31U, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_close_range, 30U, 31U, 8), EINVAL);
    CHECK_OK(syscall(SYS_close_range, 33U, 34U, 4)); /* CLOSE_RANGE_CLOEXEC */
    CHECK_EQ(fcntl(33, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(32, F_GETFD), 0);
    CHECK_OK(syscall(SYS_close_range, 31U, ~0U, 0));
    CHECK_EQ(fcntl(30, F_GETFD), 0);
    CHECK_ERRNO(fcntl(31, F_GETFD), EBADF);
    CHECK_ERRNO(fcntl(34, F_GETFD), EBADF);
    CHECK_OK(syscall(SYS_close_range, 30U, 30U, 2)); /* CLOSE_RANGE_UNSHARE */
    CHECK_ERRNO(fcntl(30, F_GETFD), EBADF);
}

TEST_CASE(path_descriptors)
{
    int fd = (int)CHECK_OK(open(".", O_PATH));
    CHECK_EQ(fcntl(fd, F_GETFL), O_PATH);
    CHECK_ERRNO(fcntl(fd, F_SETFL, O_APPEND), EBADF);
    CHECK_ERRNO(fcntl(fd, F_GETOWN), EBADF);
    CHECK_OK(fcntl(fd, F_DUPFD, 0));
    int on = 1;
    CHECK_ERRNO(ioctl(fd, FIONBIO, &on), EBADF);
    CHECK_ERRNO(flock(fd, LOCK_SH), EBADF);
    CHECK_ERRNO(fchmod(fd, 0700), EBADF);
    CHECK_ERRNO(fsync(fd), EBADF);
    struct stat st;
    CHECK_OK(fstat(fd, &st));
    CHECK_OK(fchdir(fd));
}

TEST_CASE(fcntl_errors)
{
    int fd = open_file();
    CHECK_ERRNO(fcntl(-1, F_GETFD), EBADF);
    CHECK_ERRNO(fcntl(fd, 0x7777), EINVAL);
    CHECK_ERRNO(fcntl(fd, F_SETSIG, 65), EINVAL);
    CHECK_ERRNO(fcntl(fd, F_SETOWN, INT_MIN), EINVAL);
    CHECK_ERRNO(fcntl(fd, F_SETOWN, 1 << 29), ESRCH);
    CHECK_ERRNO(fcntl(fd, F_GETPIPE_SZ), EBADF);
    CHECK_OK(fcntl(fd, F_SETFL, O_APPEND | O_RDONLY));
    CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | O_APPEND | 0100000);
}

TEST_CASE(owner)
{
    int fd = open_file();
    CHECK_EQ(fcntl(fd, F_GETOWN), 0);
    CHECK_OK(fcntl(fd, F_SETOWN, getpid()));
    CHECK_EQ(fcntl(fd, F_GETOWN), getpid());
    struct f_owner_ex owner = {F_OWNER_TID, getpid()};
    CHECK_OK(fcntl(fd, F_SETOWN_EX, &owner));
    memset(&owner, 0xff, sizeof(owner));
    CHECK_OK(fcntl(fd, F_GETOWN_EX, &owner));
    CHECK_EQ(owner.type, F_OWNER_TID);
    CHECK_EQ(owner.pid, getpid());
    owner.type = (enum __pid_type)7;
    CHECK_ERRNO(fcntl(fd, F_SETOWN_EX, &owner), EINVAL);
    CHECK_OK(fcntl(fd, F_SETSIG, SIGUSR1));
    CHECK_EQ(fcntl(fd, F_GETSIG), SIGUSR1);
}

TEST_CASE(record_locks)
{
    int fd = open_file();
    struct flock lock = {.l_type = 9, .l_whence = SEEK_SET};
    CHECK_ERRNO(fcntl(fd, F_SETLK, &lock), EINVAL);
    lock = (struct flock){.l_type = F_UNLCK, .l_whence = SEEK_SET};
    CHECK_ERRNO(fcntl(fd, F_GETLK, &lock), EINVAL);
    lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5};
    CHECK_OK(fcntl(fd, F_SETLK, &lock));
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct flock test = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 12, .l_len = 1};
        CHECK_OK(fcntl(fd, F_GETLK, &test));
        CHECK_EQ(test.l_type, F_WRLCK);
        CHECK_EQ(test.l_pid, getppid());
        CHECK_EQ(test.l_start, 10);
        CHECK_EQ(test.l_len, 5);
        test = (struct flock){.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 12, .l_len = 1};
        CHECK_ERRNO(fcntl(fd, F_SETLK, &test), EAGAIN);
        test.l_start = 20;
        CHECK_OK(fcntl(fd, F_SETLK, &test));
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    int reader = (int)CHECK_OK(open("f", O_RDONLY));
    lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
    CHECK_ERRNO(fcntl(reader, F_SETLK, &lock), EBADF);
    lock.l_pid = 1;
    CHECK_ERRNO(fcntl(fd, F_OFD_SETLK, &lock), EINVAL);
}

TEST_CASE(lock_wait)
{
    int fd = open_file();
    int ends[2];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    CHECK_OK(pipe(ends));
    CHECK_OK(fcntl(fd, F_SETLK, &lock));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_signal_fd(ends[1]);
        struct flock wanted = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        CHECK_OK(fcntl(fd, F_SETLKW, &wanted));
        _exit(0);
    }
    guest_await_fd(ends[0]);
    guest_sleep_ms(50);
    lock.l_type = F_UNLCK;
    CHECK_OK(fcntl(fd, F_SETLK, &lock));
    CHECK_CHILD_OK(pid);
}

TEST_CASE(flock_call)
{
    int a = open_file();
    int b = open_file();
    CHECK_ERRNO(flock(-1, LOCK_SH), EBADF);
    CHECK_ERRNO(flock(a, 0), EINVAL);
    CHECK_ERRNO(flock(-1, 0), EINVAL);
    CHECK_OK(flock(a, LOCK_EX));
    CHECK_ERRNO(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    CHECK_OK(flock(a, LOCK_SH));
    CHECK_OK(flock(b, LOCK_SH | LOCK_NB));
    CHECK_OK(flock(a, LOCK_UN));
    CHECK_OK(flock(b, LOCK_EX | LOCK_NB));
}

TEST_CASE(generic_ioctls)
{
    int fd = open_file();
    int value = -1;
    CHECK_EQ(write(fd, "hello", 5), 5);
    CHECK_EQ(lseek(fd, 2, SEEK_SET), 2);
    CHECK_OK(ioctl(fd, FIONREAD, &value));
    CHECK_EQ(value, 3);
    CHECK_OK(ioctl(fd, FIOCLEX));
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_OK(ioctl(fd, FIONCLEX));
    CHECK_EQ(fcntl(fd, F_GETFD), 0);
    value = 1;
    CHECK_OK(ioctl(fd, FIONBIO, &value));
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK_ERRNO(ioctl(fd, FIONBIO, guest_bad()), EFAULT);
    CHECK_ERRNO(ioctl(fd, TCGETS, &value), ENOTTY);
    CHECK_ERRNO(ioctl(-1, FIONBIO, &value), EBADF);
}
