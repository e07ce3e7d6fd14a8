/*
 * fcntl.c: fcntl commands other than locks and duplication.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/socket.h>

TEST_CASE(status_flags)
{
    guest_write_file("f", "");
    int fd = (int)CHECK_OK(open("f", O_RDWR));
    CHECK_EQ(fcntl(fd, F_GETFL) & ~0100000, O_RDWR);
    CHECK_OK(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK | O_WRONLY | O_CREAT));
    CHECK_EQ(fcntl(fd, F_GETFL) & ~0100000, O_RDWR | O_APPEND | O_NONBLOCK);
    CHECK_OK(fcntl(fd, F_SETFL, 0));
    CHECK_EQ(fcntl(fd, F_GETFL) & ~0100000, O_RDWR);
}

TEST_CASE(errors)
{
    int fd = (int)CHECK_OK(open("/dev/null", O_RDWR));
    CHECK_ERRNO(fcntl(9999, F_GETFD), EBADF);
    CHECK_ERRNO(fcntl(fd, 9999), EINVAL);
    CHECK_ERRNO(syscall(SYS_fcntl, fd, F_GETLK, guest_bad()), EFAULT);
}

static volatile sig_atomic_t got;

static void note(int sig)
{
    got = sig;
}

TEST_CASE(owner)
{
    int pair[2];
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_EQ(fcntl(pair[0], F_GETOWN), 0);
    CHECK_OK(fcntl(pair[0], F_SETOWN, getpid()));
    CHECK_EQ(fcntl(pair[0], F_GETOWN), getpid());
    struct f_owner_ex owner = {F_OWNER_TID, (pid_t)syscall(SYS_gettid)};
    CHECK_OK(fcntl(pair[0], F_SETOWN_EX, &owner));
    memset(&owner, 0, sizeof(owner));
    CHECK_OK(fcntl(pair[0], F_GETOWN_EX, &owner));
    CHECK_EQ(owner.type, F_OWNER_TID);
    CHECK_EQ(owner.pid, getpid());
    owner.type = 99;
    CHECK_ERRNO(fcntl(pair[0], F_SETOWN_EX, &owner), EINVAL);
    CHECK_OK(fcntl(pair[0], F_SETOWN, -getpgrp()));
    CHECK_OK(fcntl(pair[0], F_SETOWN, 0));
}

TEST_CASE(sigio)
{
    int pair[2];
    guest_handle(SIGIO, note, 0);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_OK(fcntl(pair[0], F_SETOWN, getpid()));
    CHECK_OK(fcntl(pair[0], F_SETFL, O_ASYNC));
    CHECK_EQ(fcntl(pair[0], F_GETFL) & O_ASYNC, O_ASYNC);
    guest_signal_fd(pair[1]);
    for (int i = 0; i < 1000 && got == 0; i++) {
        guest_sleep_ms(1);
    }
    CHECK_EQ(got, SIGIO);
}

TEST_CASE(signal_number)
{
    int pair[2];
    guest_handle(SIGUSR1, note, 0);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_EQ(fcntl(pair[0], F_GETSIG), 0);
    CHECK_OK(fcntl(pair[0], F_SETSIG, SIGUSR1));
    CHECK_EQ(fcntl(pair[0], F_GETSIG), SIGUSR1);
    CHECK_ERRNO(fcntl(pair[0], F_SETSIG, 65), EINVAL);
    CHECK_OK(fcntl(pair[0], F_SETOWN, getpid()));
    CHECK_OK(fcntl(pair[0], F_SETFL, O_ASYNC));
    guest_signal_fd(pair[1]);
    for (int i = 0; i < 1000 && got == 0; i++) {
        guest_sleep_ms(1);
    }
    CHECK_EQ(got, SIGUSR1);
}

TEST_CASE(lease)
{
    guest_write_file("f", "");
    int fd = (int)CHECK_OK(open("f", O_RDONLY));
    if (fcntl(fd, F_GETLEASE) < 0 || fcntl(fd, F_SETLEASE, F_RDLCK) < 0) {
        SKIP("no leases here");
    }
    CHECK_EQ(fcntl(fd, F_GETLEASE), F_RDLCK);
    CHECK_OK(fcntl(fd, F_SETLEASE, F_UNLCK));
    CHECK_EQ(fcntl(fd, F_GETLEASE), F_UNLCK);
}

TEST_CASE(created_query)
{
    const int query = 1028; /* F_CREATED_QUERY */
    int fd = (int)CHECK_OK(open("new", O_CREAT | O_RDWR, 0600));
    int created = fcntl(fd, query, 0);
    if (created < 0) {
        CHECK_EQ(errno, EINVAL);
        SKIP("F_CREATED_QUERY needs Linux 6.12");
    }
    CHECK_EQ(created, 1);
    CHECK_EQ(fcntl((int)CHECK_OK(open("new", O_CREAT | O_RDWR, 0600)), query, 0), 0);
    CHECK_EQ(fcntl((int)CHECK_OK(open("new", O_RDWR)), query, 0), 0);
}
