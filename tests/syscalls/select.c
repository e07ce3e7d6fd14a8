/*
 * select.c: select and pselect6.
 */
#include <sys/personality.h>
#include "tests/syscalls/guest_test.h"

#include <sys/select.h>
#include <sys/socket.h>

static int ends[2];

TEST_CASE(sets_are_replaced)
{
    fd_set in;
    fd_set out;
    CHECK_OK(pipe(ends));
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(ends[0], &in);
    FD_SET(ends[1], &out);
    struct timeval t = {5, 0};
    CHECK_EQ(select(ends[1] + 1, &in, &out, NULL, &t), 1);
    CHECK(!FD_ISSET(ends[0], &in));
    CHECK(FD_ISSET(ends[1], &out));
    guest_signal_fd(ends[1]);
    FD_SET(ends[0], &in);
    CHECK_EQ(select(ends[1] + 1, &in, &out, NULL, NULL), 2);
}

TEST_CASE(same_descriptor_in_two_sets_counts_twice)
{
    int pair[2];
    fd_set in;
    fd_set out;
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    guest_signal_fd(pair[1]);
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(pair[0], &in);
    FD_SET(pair[0], &out);
    CHECK_EQ(select(pair[0] + 1, &in, &out, NULL, NULL), 2);
}

TEST_CASE(timeout_is_updated)
{
    fd_set in;
    struct timeval t = {0, 50000};
    CHECK_OK(pipe(ends));
    FD_ZERO(&in);
    FD_SET(ends[0], &in);
    long long start = guest_now_ms();
    CHECK_EQ(select(ends[0] + 1, &in, NULL, NULL, &t), 0);
    CHECK(guest_now_ms() - start >= 50);
    CHECK(!FD_ISSET(ends[0], &in));
    CHECK(t.tv_sec == 0 && t.tv_usec == 0);
    guest_signal_fd(ends[1]);
    FD_SET(ends[0], &in);
    t = (struct timeval){10, 0};
    CHECK_EQ(select(ends[0] + 1, &in, NULL, NULL, &t), 1);
    CHECK(t.tv_sec == 9 || (t.tv_sec == 10 && t.tv_usec == 0));
}

TEST_CASE(nfds_limits_what_is_looked_at)
{
    fd_set in;
    struct timeval t = {0, 0};
    CHECK_OK(pipe(ends));
    guest_signal_fd(ends[1]);
    FD_ZERO(&in);
    FD_SET(ends[0], &in);
    CHECK_EQ(select(ends[0], &in, NULL, NULL, &t), 0);
    CHECK_EQ(select(0, NULL, NULL, NULL, &t), 0);
}

TEST_CASE(closed_pipe_is_readable_and_writable)
{
    fd_set in;
    fd_set out;
    CHECK_OK(pipe(ends));
    CHECK_OK(close(ends[1]));
    FD_ZERO(&in);
    FD_SET(ends[0], &in);
    CHECK_EQ(select(ends[0] + 1, &in, NULL, NULL, NULL), 1);
    CHECK_OK(pipe(ends));
    CHECK_OK(close(ends[0]));
    FD_ZERO(&out);
    FD_SET(ends[1], &out);
    CHECK_EQ(select(ends[1] + 1, NULL, &out, NULL, NULL), 1);
}

TEST_CASE(errors)
{
    fd_set in;
    struct timeval t = {-1, 0};
    FD_ZERO(&in);
    FD_SET(40, &in);
    CHECK_ERRNO(select(41, &in, NULL, NULL, NULL), EBADF);
    CHECK_ERRNO(select(-1, NULL, NULL, NULL, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_select, 0, NULL, NULL, NULL, &t), EINVAL);
    CHECK_ERRNO(syscall(SYS_select, 64, guest_bad(), NULL, NULL, NULL), EFAULT);
    CHECK_ERRNO(syscall(SYS_select, 0, NULL, NULL, NULL, guest_bad()), EFAULT);
}

static volatile sig_atomic_t got;

static void note(int sig)
{
    got = sig;
}

TEST_CASE(pselect_mask)
{
    sigset_t set;
    sigset_t none;
    struct timespec t = {5, 0};
    guest_handle(SIGUSR1, note, 0);
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    CHECK_OK(raise(SIGUSR1));
    CHECK_ERRNO(pselect(0, NULL, NULL, NULL, &t, &none), EINTR);
    CHECK_EQ(got, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &set));
    CHECK_EQ(sigismember(&set, SIGUSR1), 1);
    t = (struct timespec){0, 20000000};
    CHECK_EQ(pselect(0, NULL, NULL, NULL, &t, NULL), 0);
}

TEST_CASE(sticky_timeouts)
{
    struct timespec timeout = {0, 20000000};
    int persona = personality(0xffffffff);
    CHECK(personality((unsigned long)persona | STICKY_TIMEOUTS) >= 0);
    CHECK_EQ(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &timeout, NULL), 0);
    CHECK_EQ(timeout.tv_nsec, 20000000);
    CHECK(personality((unsigned long)persona) >= 0);
    CHECK_EQ(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &timeout, NULL), 0);
    CHECK_EQ(timeout.tv_nsec, 0);
}
